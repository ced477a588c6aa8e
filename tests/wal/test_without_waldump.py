"""The majors that no pg_waldump is there for: against a slow reader that decodes every record."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.wal.facts import Tally
from pitr_tui.wal.record import Manager, Record
from pitr_tui.wal.seam import Seam
from tests.wal import ours
from tests.wal.histories import History
from tests.wal.plain_reader import read_records
from tests.wal.test_segment import changes_of, spans_of, told_spans
from tests.wal.waldump import WITHOUT_WALDUMP, Account, Counts, Place, Row

pytestmark = pytest.mark.integration

_HEAP = {0x00: "INSERT", 0x10: "DELETE", 0x20: "UPDATE", 0x40: "HOT_UPDATE"}
_MULTI_INSERT = 0x50


def row_of(record: Record) -> Row:
    """A record as pg_waldump would print it, as far as rows are concerned."""
    manager, operation, rest = str(record.manager), "", ""
    kind = record.info & 0x70
    if record.manager == Manager.HEAP and kind in _HEAP:
        manager, operation = "Heap", _HEAP[kind]
    elif record.manager == Manager.HEAP2 and kind == _MULTI_INSERT:
        manager, operation = "Heap2", "MULTI_INSERT"
    if operation:
        body = record.body()
        tuples = struct.unpack_from("<H", body.main, 2)[0] if manager == "Heap2" else 1
        rest = f" ntuples: {tuples}, rel {body.blocks[0].locator}"
    previous = struct.unpack_from("<Q", record.data, 8)[0]
    return Row(record.lsn, previous, manager, record.xid, record.length, operation, rest)


def told_by_plain_reader(history: History) -> Account:
    account = Account()
    for record in read_records([path.read_bytes() for path in history.paths]):
        account.add(row_of(record))
    return account


def tallies_of(history: History) -> Iterable[Tally]:
    """What each segment counts, and what the records that go over into the next one add."""
    seam = Seam(ours.NOTHING_WATCHED)
    for facts in ours.facts_of(history.paths, history.shape.segment_size):
        unread, joined = seam.join(facts)
        assert unread is None
        if joined is not None:
            yield joined
        yield facts.tally


def test_an_archive_holds_what_a_plain_reader_finds(history: History) -> None:
    assert history.shape.major in WITHOUT_WALDUMP
    told = told_by_plain_reader(history)
    records = 0
    spans: dict[int, tuple[int, int, int]] = {}
    changes: dict[int, dict[Place, Counts]] = {}
    for tally in tallies_of(history):
        records += tally.records
        for xid, (first, number, size) in spans_of(tally).items():
            before = spans.get(xid, (first, 0, 0))
            spans[xid] = (before[0], before[1] + number, before[2] + size)
        for xid, places in changes_of(tally).items():
            for place, counts in places.items():
                changes.setdefault(xid, {}).setdefault(place, Counts()).add(counts)
    assert records == told.records
    assert spans == told_spans(told)
    assert changes == told.changes_by_xid
    assert told.last is not None
    assert Lsn(told.last) >= history.segment(history.paths[-1]).start
