"""The first time in a segment: from records made by hand, and from a real archive's dump."""

from __future__ import annotations

import gzip
import re
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.storage.compression import read_plain
from pitr_tui.wal.first_time import FIRST_BYTES, MOST_BYTES, NeedsMore, first_time
from tests.unit.made import DATA, header_bytes, segment
from tests.unit.made_wal import PAGE, commit, record, wal_bytes

TIME = from_moment(datetime(2026, 11, 22, 14, 35, 2, 117000, tzinfo=UTC))
OF = segment(3)
INSERT = record(10, 0x00, b"\x00" * 40)  # without a time, 72 bytes long


@pytest.mark.parametrize(
    ("manager", "info"),
    [(1, 0x00), (1, 0x80), (1, 0x20), (1, 0x30), (1, 0x40), (0, 0x70), (0, 0x90)],
    ids=["commit", "with more", "abort", "commit prepared", "abort prepared", "point", "end"],
)
@pytest.mark.parametrize("origin", [b"", b"\xfd\x01\x00", b"\xfc\x01\x00\x00\x00"])
def test_a_time_is_found(manager: int, info: int, origin: bytes) -> None:
    timed = record(manager, info, struct.pack("<q", TIME) + b"more", before=origin)
    assert first_time(wal_bytes(OF, [INSERT, timed, commit(TIME + 1)])[:FIRST_BYTES]) == TIME


@pytest.mark.parametrize(("magic", "offset"), [(0xD098, 56), (0xD101, 64), (0xD118, 64)])
@pytest.mark.parametrize("info", [0x00, 0x10])
def test_a_checkpoint_has_whole_seconds_since_1970(magic: int, offset: int, info: int) -> None:
    main = bytes(offset) + struct.pack("<q", 1_795_358_102) + bytes(16)
    data = wal_bytes(OF, [record(0, info, main)], magic=magic)
    assert moment(first_time(data) or 0) == datetime(2026, 11, 22, 14, 35, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "other",
    [record(1, 0x10, bytes(40)), record(1, 0x50, bytes(16)), record(0, 0x20, bytes(16)), INSERT],
    ids=["prepare", "assignment", "noop", "insert"],
)
def test_records_without_a_time_are_passed_over(other: bytes) -> None:
    assert first_time(wal_bytes(OF, [other, commit(TIME)])) == TIME


def test_a_time_that_no_calendar_has_is_none() -> None:
    assert first_time(wal_bytes(OF, [commit((1 << 63) - 1), commit(TIME)])) == TIME


def test_the_rest_of_an_earlier_record_is_passed_over() -> None:
    """It reaches over the end of the first page, and its bytes look like a commit."""
    rest = commit(TIME + 1) * 300
    data = wal_bytes(OF, [rest, commit(TIME)], rest=len(rest))
    assert len(rest) > PAGE
    with pytest.raises(NeedsMore):
        first_time(data[:FIRST_BYTES])
    assert first_time(data[:MOST_BYTES]) == TIME


def test_the_first_pages_may_not_be_enough() -> None:
    data = wal_bytes(OF, [INSERT] * 300 + [commit(TIME)])
    with pytest.raises(NeedsMore):
        first_time(data[:FIRST_BYTES])
    assert first_time(data[:MOST_BYTES]) == TIME
    late = wal_bytes(OF, [INSERT] * 2000 + [commit(TIME)])
    assert first_time(late[:MOST_BYTES]) is None


def test_a_record_longer_than_what_is_read_ends_the_search() -> None:
    data = wal_bytes(OF, [record(10, 0, bytes(100_000)), commit(TIME)])
    assert first_time(data[:FIRST_BYTES]) is None


def test_wal_ends_where_a_page_is_not_of_this_segment() -> None:
    data = bytearray(wal_bytes(OF, [INSERT] * 300 + [commit(TIME)]))
    struct.pack_into("<Q", data, PAGE + 8, 0x100000 + PAGE)  # recycled: from an earlier life
    assert first_time(bytes(data[:MOST_BYTES])) is None


@pytest.mark.parametrize(
    "data", [b"", bytes(39), bytes(FIRST_BYTES), header_bytes(OF), header_bytes(OF).ljust(9000)]
)
def test_where_there_is_no_wal_there_is_no_time(data: bytes) -> None:
    try:
        assert first_time(data) is None
    except NeedsMore:
        assert len(data) < FIRST_BYTES


def test_a_segment_with_larger_pages_is_read() -> None:
    data = wal_bytes(OF, [INSERT] * 500 + [commit(TIME)], page_size=65536)
    assert first_time(data[:MOST_BYTES]) == TIME


@given(st.binary(max_size=200), st.integers(0, 3 * PAGE), st.sampled_from((200, 9000, MOST_BYTES)))
def test_damaged_bytes_give_a_time_or_none(noise: bytes, at: int, length: int) -> None:
    data = bytearray(wal_bytes(OF, [INSERT] * 150 + [commit(TIME)]))
    data[at : at + len(noise)] = noise
    try:
        time = first_time(bytes(data[:length]))
    except NeedsMore:
        return
    assert time is None or moment(time) is not None


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_it_is_what_the_dump_of_9_6_says(number: int) -> None:
    """The first time of a record that begins in the segment, by PostgreSQL's own pg_xlogdump."""
    archive = WalArchive(DATA / "pg96" / "archive")
    of = WalSegment.parse(f"{number:024X}".replace("0" * 8, "00000001", 1))
    path = archive.find(of.name)
    assert path is not None
    first, wanted = None, None
    with gzip.open(DATA / "pg96" / "xlogdump.txt.gz", "rt", errors="replace") as dump:
        for line in dump:
            where = re.search(r"lsn: (\S+), prev .*? desc: (\S+) ?(.*)", line)
            if where is None or not of.start <= Lsn.parse(where[1]) < of.end:
                continue
            found = re.match(r"(\d{4}-\d\d-\d\d [\d:.]+) UTC", where[3])
            if where[2] in ("COMMIT", "ABORT") and found and "Transaction" in line:
                first, wanted = Lsn.parse(where[1]), datetime.fromisoformat(f"{found[1]}+00:00")
                break
            if where[2].startswith("CHECKPOINT"):
                first = Lsn.parse(where[1])
                break
    time = first_time(read_plain(path, MOST_BYTES))
    assert first is not None
    if int(first) - int(of.start) > MOST_BYTES:
        assert time is None
        return
    assert time is not None
    assert wanted is None or moment(time) == wanted
    assert datetime(2026, 11, 22, 15, tzinfo=UTC) < (moment(time) or datetime.min)
