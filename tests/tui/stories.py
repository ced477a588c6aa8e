"""What the WAL of the made world tells: an afternoon with an accident, and other afternoons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.wal.chronicle import (
    ENTRY,
    Changes,
    Chronicle,
    Mark,
    MarkKind,
    Prepared,
    Table,
    TableChange,
)
from pitr_tui.wal.findings import Finding, Suspect, What
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.transactions import Kind, Transaction

ORDERS, LINES, STOCK, AUDIT = (
    Table("shop", f"public.{name}") for name in ("orders", "order_lines", "stock", "audit")
)
BEGIN = datetime(2026, 11, 22, 18, 0, 0, 117_000, UTC)
_FIRST, _END = Lsn(0x9000200), Lsn(0x10FF0000)
_STEP = 0x20000
_RECORD = 0x40


@dataclass(frozen=True)
class Done:
    """A transaction: seconds after six, what it changed, and what makes it suspect."""

    seconds: float
    changes: tuple[TableChange, ...] = ()
    finding: Finding | None = None
    committed: bool = True
    locks: bool = False
    begun: float | None = None  # seconds after six of its first record


def order(seconds: float) -> Done:
    """What happens all the time."""
    return Done(seconds, (TableChange(LINES, 3, 0, 0), TableChange(ORDERS, 1, 0, 0)))


def audit(seconds: float, begun: float | None = None) -> Done:
    return Done(seconds, (TableChange(AUDIT, 1, 0, 0),), begun=begun)


def drop(seconds: float, table: Table = ORDERS, rows: int = 51_200) -> Done:
    words = f"dropped {table} (about {rows:,} rows) and 5 more relations"
    finding = Finding(What.DROP_TABLE, (str(table),), rows, rows, 138.8, words)
    return Done(seconds, (), finding, locks=True)


def delete(seconds: float, rows: int = 50_000) -> Done:
    words = f"deleted {rows:,} of about 51,200 rows of public.stock"
    finding = Finding(What.DELETE, (str(STOCK),), rows, 51_200, 116.4, words)
    return Done(seconds, (TableChange(STOCK, 0, 0, rows),), finding)


def story(done: Sequence[Done], *, finished: bool = True, end: Lsn = _END) -> Chronicle:
    """The chronicle of these, spread over the WAL behind the newest backup."""
    at = [from_moment(BEGIN + timedelta(seconds=one.seconds)) for one in done]
    step = min(_STEP, (_END - _FIRST) // max(1, len(done)))
    entries = np.zeros(len(done), ENTRY)
    tables: dict[Table, int] = {}
    changes: list[tuple[int, int, int, int]] = []
    begins, marks = [0], list[Mark]()
    for number, one in enumerate(done):
        lsn = Lsn(_FIRST + number * step)
        first = Lsn(lsn - _RECORD)
        if one.begun is not None:
            before = sum(other.seconds < one.begun for other in done)
            first = Lsn(_FIRST + before * step - _RECORD)
        rows = sum(change.rows for change in one.changes)
        entries[number] = (
            *(at[number], max(at[: number + 1]), lsn, lsn + _RECORD, first, 700 + number, 0),
            *(one.committed, False, one.locks, 8_192 + 64 * rows, rows, 1),
        )
        for change in one.changes:
            table = tables.setdefault(change.table, len(tables))
            changes.append((table, change.inserted, change.updated, change.deleted))
        begins.append(len(changes))
        if one.finding is not None:
            marks.append(_suspect(number, lsn, first, at[number], one.finding))
    columns = {name: np.ascontiguousarray(entries[name]) for name in ENTRY.names or ()}
    numbers = np.array(changes, np.int64).reshape(-1, 4)
    empty = np.empty(0, np.int64)
    return Chronicle(
        timeline=TimelineId(1),
        start=Lsn(0x9000028),
        end=end if finished else Lsn(int(entries["end"][-1])),
        finished=finished,
        times=columns["time"],
        at=columns["at"],
        lsns=columns["lsn"],
        ends=columns["end"],
        firsts=columns["first"],
        xids=columns["xid"],
        full_xids=columns["full_xid"],
        committed=columns["committed"],
        partial=columns["partial"],
        locks=columns["locks"],
        bytes=columns["bytes"],
        rows=columns["rows"],
        timelines=columns["timeline"],
        made=Changes(
            tuple(tables),
            np.array(begins, np.int64),
            numbers[:, 0].astype(np.int32),
            *(np.ascontiguousarray(numbers[:, column]) for column in (1, 2, 3)),
        ),
        sub_xids=empty.astype(np.uint32),
        sub_entries=empty,
        gids={},
        marks=tuple(marks),
    )


def _suspect(number: int, lsn: Lsn, first: Lsn, time: int, finding: Finding) -> Mark:
    transaction = Transaction(
        xid=700 + number,
        top_xid=700 + number,
        full_xid=None,
        kind=Kind.COMMIT,
        time=time,
        lsn=lsn,
        end=lsn + _RECORD,
        first=first,
        bytes=8_192,
        records=10,
        subxids=(),
        gid=None,
        partial=False,
        changes=(),
        dropped=(),
        rows=(),
        actions=(),
        timeline=TimelineId(1),
    )
    suspect = Suspect(transaction, "shop", (finding,), finding.severity)
    return Mark(MarkKind.SUSPECT, number, lsn, time, finding.words, suspect)


def with_point(told: Chronicle, index: int, name: str) -> Chronicle:
    """With a restore point before the entry of this number."""
    lsn = Lsn(int(told.lsns[index]) - 2 * _RECORD)
    words = f"restore point {name!r}"
    mark = Mark(MarkKind.RESTORE_POINT, index, lsn, int(told.times[index]), words, name=name)
    return replace(told, marks=tuple(sorted((*told.marks, mark), key=lambda one: one.lsn)))


def accident(*, finished: bool = True, seconds: int = 1_440) -> Chronicle:
    """An order every few seconds; stock is deleted, a transaction goes on for long, orders drop."""
    done = [order(one) for one in range(0, seconds, 6)]
    at = next((place for place, one in enumerate(done) if one.seconds >= 1_380), len(done))
    if at < len(done):
        done[at:at] = [audit(1_378.2), drop(1_379.5), audit(1_379.9, begun=1_330)]
        done = [one for one in done[: at + 3]] + [audit(one.seconds) for one in done[at + 3 :]]
    middle = next((place for place, one in enumerate(done) if one.seconds >= 1_000), None)
    if middle is not None:
        done.insert(middle, delete(999.902))
    told = story(done, finished=finished)
    return with_point(told, min(100, len(done) - 1), "before_release")


def quiet() -> Chronicle:
    """Nothing looks harmful."""
    return story([order(one) for one in range(0, 600, 20)])


def nothing() -> Chronicle:
    """Not one transaction ended."""
    return story([])


def many(count: int = 3_000) -> Chronicle:
    """More suspects than anybody wants to read."""
    return story([delete(one / 4, 1_000 + one) for one in range(count)])


def prepared() -> Chronicle:
    """With a prepared transaction that nobody ended, with a name that is hard to show."""
    told = accident()
    lsn = Lsn(int(told.lsns[50]) - _RECORD)
    return replace(told, prepared=(Prepared(691, "[/] two [b]phases", lsn, int(told.times[50])),))


def holed() -> Chronicle:
    """With a stretch in the middle that could not be read."""
    told = accident()
    why = "00000001000000000000000C is damaged"
    hole = Unread(Lsn(0xC000000), Lsn(0xD000000), Ending.DAMAGED, why)
    return replace(told, holes=(hole,))
