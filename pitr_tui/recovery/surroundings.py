"""What a recovery keeps and what it loses, as the WAL on both sides of the stop tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.timestamp import moment
from pitr_tui.recovery.events import CutKnown
from pitr_tui.wal.chronicle import Chronicle, TableChange
from pitr_tui.wording import count_text

_MOST_TABLES = 50
_MOST_IN_A_DEED = 3
_USUAL_SCHEMA = re.compile(r"\bpublic\.")


def cut_known(chronicle: Chronicle, cut: int, since: Lsn) -> CutKnown | None:
    """What lies around a cut; `since` is where replay begins, the start of the backup.

    None where WAL just around the cut could not be read: then nobody knows what ended there
    last and first. `archive_end` is None, and what is lost a lower bound, where some of the WAL
    behind the cut was not read.
    """
    kept, lost = chronicle.last_kept(cut), chronicle.first_lost(cut)
    before = int(chronicle.ends[kept]) if kept is not None else int(since)
    behind = int(chronicle.lsns[lost]) if lost is not None else int(chronicle.end)
    if any(before <= hole.lsn <= behind for hole in chronicle.holes):
        return None
    whole = chronicle.finished and not any(hole.lsn > behind for hole in chronicle.holes)
    loss = chronicle.loss(cut)
    begin = chronicle.cut_at_lsn(since)
    return CutKnown(
        last_kept_xid=_xid(chronicle, kept),
        last_kept_time=_time(chronicle, kept),
        first_lost_xid=_xid(chronicle, lost),
        first_lost_time=_time(chronicle, lost),
        first_lost_deed=deed(chronicle, lost) if lost is not None else "",
        kept_transactions=int(np.count_nonzero(chronicle.committed[begin:cut])),
        lost_transactions=loss.transactions,
        lost_rows=_rows_of_tables(loss.tables),
        archive_end=_time(chronicle, chronicle.last_kept(len(chronicle))) if whole else None,
    )


def deed(chronicle: Chronicle, entry: int) -> str:
    """What a transaction did: as a suspect, or which rows it changed.

    The name of the usual schema is left out.
    """
    mark = chronicle.suspect_at(entry)
    if mark is not None:
        return _USUAL_SCHEMA.sub("", mark.words)
    changes = chronicle.changes(entry)
    if not changes:
        return chronicle.changed_definitions(entry) or "changed no rows of tables"
    told = [f"{_counts(one)} in {_name(one)}" for one in changes[:_MOST_IN_A_DEED]]
    if len(changes) > _MOST_IN_A_DEED:
        told.append(count_text(len(changes) - _MOST_IN_A_DEED, "more table"))
    return ", ".join(told)


def _rows_of_tables(tables: Sequence[TableChange]) -> tuple[str, ...]:
    """A line a table, with the database where there are several."""
    several = len({one.table.database for one in tables}) > 1
    rows = []
    for one in tables[:_MOST_TABLES]:
        where = f" (in {one.table.database})" if several and one.table.database else ""
        rows.append(f"{_name(one)}{where}: {_counts(one)}")
    if len(tables) > _MOST_TABLES:
        rows.append(f"and {count_text(len(tables) - _MOST_TABLES, 'more table')}")
    return tuple(rows)


def _name(change: TableChange) -> str:
    return str(change.table).removeprefix("public.")


def _counts(change: TableChange) -> str:
    counts = {
        "inserted": change.inserted,
        "updated": change.updated,
        "deleted": change.deleted,
    }
    told = [f"{number:,} {word}" for word, number in counts.items() if number]
    return ", ".join(told) or "no rows"


def _xid(chronicle: Chronicle, entry: int | None) -> int | None:
    return None if entry is None else int(chronicle.xids[entry])


def _time(chronicle: Chronicle, entry: int | None) -> datetime | None:
    return None if entry is None else moment(int(chronicle.times[entry]))
