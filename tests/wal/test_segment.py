"""Each segment by itself, against what pg_waldump finds whole in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pitr_tui.wal.facts import SegmentFacts, Tally
from pitr_tui.wal.record import Manager
from tests.wal.cluster import MEGABYTE
from tests.wal.histories import History
from tests.wal.ours import facts_of_bytes
from tests.wal.waldump import Account, Counts, Place, Waldump

pytestmark = pytest.mark.integration

_KEPT = {"Transaction": Manager.TRANSACTION, "Database": Manager.DATABASE}
_KEPT |= {"Tablespace": Manager.TABLESPACE, "RelMap": Manager.RELMAP}


def facts_of(history: History, path: Path) -> SegmentFacts:
    return facts_of_bytes(path.read_bytes(), history.segment(path))


def spans_of(tally: Tally) -> dict[int, tuple[int, int, int]]:
    """Of each transaction id the first record, the number of records, and their bytes."""
    spans = tally.spans
    rows = zip(
        *(spans[name].tolist() for name in ("xid", "first", "records", "bytes")), strict=True
    )
    return {xid: (first, records, size) for xid, first, records, size in rows}


def told_spans(account: Account) -> dict[int, tuple[int, int, int]]:
    """The same; records of no transaction are only counted."""
    spans = {xid: span for xid, span in account.spans.items() if xid}
    return {xid: (span.first, span.records, span.bytes) for xid, span in spans.items()}


def changes_of(tally: Tally) -> dict[int, dict[Place, Counts]]:
    """Rows changed, without what only page images were written of."""
    names = ("xid", "place", "inserted", "updated", "hot_updated", "deleted")
    found: dict[int, dict[Place, Counts]] = {}
    for xid, place_row, *counts in zip(
        *(tally.changes[name].tolist() for name in names), strict=True
    ):
        if any(counts):
            changes, place = found.setdefault(xid, {}), Place(*place_row)
            assert place not in changes, "a relation of a transaction has two rows"
            inserted, updated, hot, deleted = counts
            changes[place] = Counts(inserted, updated - hot, hot, deleted)
    return found


def test_a_segment_holds_what_waldump_finds(history: History, oracle: Waldump) -> None:
    for path in history.paths:
        facts, told = facts_of(history, path), oracle.read(path, path)
        assert facts.tally.records == told.records, path.name
        assert spans_of(facts.tally) == told_spans(told), path.name
        assert changes_of(facts.tally) == told.changes_by_xid, path.name
        assert facts.previous == told.last, path.name
        for xid, end in zip(
            *(facts.tally.spans[name].tolist() for name in ("xid", "end")), strict=True
        ):
            assert end > told.spans[xid].last, (path.name, xid)
        if told.records:
            assert facts.first_lsn == told.first, path.name


def test_what_is_looked_at_one_by_one_is_kept(history: History, oracle: Waldump) -> None:
    for path in history.paths:
        facts, told = facts_of(history, path), oracle.read(path, path)
        kept = [note.kind >> 8 for note in facts.tally.each_note()]
        for name, manager in _KEPT.items():
            number = sum(n for what, n in told.operations.items() if what.split()[0] == name)
            assert kept.count(manager) == number, (path.name, name)
        where = [note.lsn for note in facts.tally.each_note()]
        assert where == sorted(where)
        assert set(where) <= set(told.positions)


def test_segments_lead_to_each_other(history: History) -> None:
    """What one ends with and the next begins with is one record, or one that was given up."""
    begun, begun_lsn, previous = b"", None, None
    for path in history.paths:
        facts = facts_of(history, path)
        if begun_lsn is not None and begun_lsn == history.given_up:
            assert not facts.head, path.name
            begun, begun_lsn = b"", None
        begun += facts.head
        if facts.first_lsn is None:  # all of it belongs to one record
            continue
        if begun_lsn is not None:
            assert int.from_bytes(begun[:4], "little") == len(begun), path.name
            previous = begun_lsn
        if previous is not None and facts.first_previous is not None:
            assert facts.first_previous == previous, path.name
        begun, begun_lsn, previous = facts.tail, facts.tail_lsn, facts.previous or previous
    assert history.given_up is None or history.shape.segment_size == MEGABYTE


def test_facts_survive_packing(history: History) -> None:
    for path in history.paths:
        facts = facts_of(history, path)
        packed = facts.pack()
        again = SegmentFacts.unpack(packed)
        assert again.pack() == packed
        assert spans_of(again.tally) == spans_of(facts.tally)
        assert (again.stop, again.head, again.tail) == (facts.stop, facts.head, facts.tail)
