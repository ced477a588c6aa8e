"""Transactions put together from segments, against the oracle and against what was done."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.pages import Ending as StopKind
from pitr_tui.wal.transactions import Kind, Transaction
from tests.unit.made import DATA
from tests.wal import ours
from tests.wal.conftest import shapes
from tests.wal.histories import SMALL, History
from tests.wal.ours import Reading
from tests.wal.waldump import WITHOUT_WALDUMP, Account, Ending, Waldump, account
from tests.wal.workload import same_rows

PG96 = DATA / "pg96"


def reading_of(history: History) -> Reading:
    return ours.read(ours.facts_of(history.paths, history.shape.segment_size))


def same_ending(found: Transaction, told: Ending) -> bool:
    """Whether both speak of the same end; a PREPARE up to 12 is not described by the oracle."""
    if (found.kind, found.xid, found.lsn) != (told.kind, told.xid, told.lsn):
        return False
    if told.kind == "prepare" and told.time is None:
        return True
    return (ours.moment(found.time), frozenset(found.subxids)) == (told.time, told.subxids) and (
        told.kind.startswith(("abort", "prepare")) or ours.places(found.dropped) == told.dropped
    )


def compare(reading: Reading, told: Account) -> None:
    """Every transaction: its end, its rows, and how much it wrote."""
    assert [one.xid for one in reading.ended] == [one.xid for one in told.endings]
    for found, ending in zip(reading.ended, told.endings, strict=True):
        assert same_ending(found, ending), (found, ending)
        if ending.kind == "prepare" and ending.time is None:
            ending = ending._replace(subxids=frozenset(found.subxids))
        assert ours.rows_of(found) == ours.told_rows(told, ending), found
        span = ours.told_span(told, ending)
        if span is not None:
            assert found.first == span.first, found
            if not ending.kind.endswith("prepared"):  # that record has no xid of its own
                assert (found.records, found.bytes) == (span.records, span.bytes), found
    ended = {xid for one in told.endings for xid in (one.xid, *one.subxids)}
    open_ = {x for one in reading.transactions for x in (one.xid, *one.subxids)} - ended
    assert open_ == {xid for xid in told.spans if xid > 2} - ended  # below: initdb, or none


@pytest.mark.integration
def test_an_archive_says_what_waldump_says(history: History, oracle: Waldump) -> None:
    compare(reading_of(history), oracle.read(history.paths[0], history.paths[-1]))


@pytest.mark.integration
def test_an_archive_says_what_was_done(history: History) -> None:
    reading = reading_of(history)
    for deed in history.truth.deeds:
        found = reading.of(deed.xid, deed.kind)
        when = ours.moment(found.time)
        assert when is not None
        assert deed.before is not None
        assert deed.after is not None
        assert deed.before <= when <= deed.after, deed.label
        if deed.kind != "commit prepared" and deed.subtransactions:
            assert len(found.subxids) == deed.subtransactions, deed.label
        if deed.kind.startswith("commit"):
            assert deed.dropped <= ours.places(found.dropped), deed.label
        rows = ours.rows_of(found)
        for place, counts in deed.rows.items():
            assert same_rows(rows[place], counts, deed.hot), (deed.label, deed.names[place])
        assert found.gid == deed.gid
        assert found.top_xid == found.xid
        assert found.full_xid is not None
        assert found.full_xid >> 32 == history.shape.epoch
        assert not found.partial or deed.label not in ("in a tablespace", "after the restart")


@pytest.mark.integration
def test_reading_ends_where_the_wal_does(history: History) -> None:
    """The last segment is not full, and what was given up in a crash is no gap."""
    (end,) = reading_of(history).unread
    assert end.kind is StopKind.UNWRITTEN
    assert end.until is None
    assert (
        history.segment(history.paths[-1]).start < end.lsn < history.segment(history.paths[-1]).end
    )


@pytest.mark.integration
@shapes(*(shape for shape in SMALL if shape.major not in WITHOUT_WALDUMP))
def test_a_missing_segment_is_told(history: History, oracle: Waldump) -> None:
    """What stands on both sides of it is read all the same."""
    gone = len(history.paths) // 2
    paths = history.paths[:gone] + history.paths[gone + 1 :]
    reading = ours.read(ours.facts_of(paths, history.shape.segment_size))
    missing = history.segment(history.paths[gone])
    gap = reading.unread[0]
    assert gap.kind is StopKind.CUT
    assert gap.lsn <= missing.start
    assert gap.until is not None
    assert gap.until >= missing.end
    before = oracle.read(paths[0], paths[gone - 1]).endings
    after = oracle.read(paths[gone], paths[-1]).endings
    assert [one.lsn for one in reading.ended] == [one.lsn for one in (*before, *after)]


@pytest.fixture(scope="module")
def reading_of_9_6() -> Reading:
    facts = []
    for path in sorted((PG96 / "archive").glob("*.zst")):
        data = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
        facts.append(ours.facts_of_bytes(data, WalSegment.parse(path.stem)))
    return ours.read(facts)


def test_the_archive_of_9_6_says_what_xlogdump_says(reading_of_9_6: Reading) -> None:
    with gzip.open(PG96 / "xlogdump.txt.gz", "rt") as lines:
        compare(reading_of_9_6, account(lines))


def test_9_6_tells_what_the_dump_does_not(reading_of_9_6: Reading) -> None:
    prepared = reading_of_9_6.of(563, "prepare")
    assert prepared.gid
    assert reading_of_9_6.of(563, "commit prepared").gid == prepared.gid
    assert reading_of_9_6.of(563, "commit prepared").kind is Kind.COMMIT_PREPARED
