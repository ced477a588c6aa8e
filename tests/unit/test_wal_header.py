"""The head of a segment: read, or refused with the reason why it is not the one that is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import PitrError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader
from tests.unit.made import MEGABYTE, SYSTEM, header_bytes, segment

MAJORS = ("9.6", "10", "11", "12", "13", "14", "15", "16", "17", "18")
THIRD = segment(3)


@pytest.mark.parametrize("major", MAJORS)
def test_the_head_of_every_major_is_read(major: str) -> None:
    magic = PostgresVersion.parse(major).wal_magic
    header = SegmentHeader.parse(header_bytes(THIRD, magic=magic) + b"records")
    assert header == SegmentHeader(major, THIRD.timeline, THIRD.start, SYSTEM, MEGABYTE, 8192)
    assert header.why_not(THIRD, SYSTEM, major) is None


@pytest.mark.parametrize("size", [1 << bits for bits in range(20, 31)])
def test_every_size_is_read(size: int) -> None:
    one = segment(3, size=size)
    header = SegmentHeader.parse(header_bytes(one, info=0x0003))
    assert header.why_not(one, SYSTEM, "18") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header_bytes(THIRD)[: HEADER_BYTES - 1],
        bytes(HEADER_BYTES),
        b"\x1f\x8b" + bytes(HEADER_BYTES),
        header_bytes(THIRD, magic=0xD119),
        header_bytes(THIRD, info=0x0001),
        header_bytes(THIRD, timeline=0),
        header_bytes(THIRD, size=0),
        header_bytes(THIRD, size=MEGABYTE // 2),
        header_bytes(THIRD, size=3 * MEGABYTE),
        header_bytes(THIRD, size=1 << 31),
    ],
    ids=[
        *("empty", "short", "zeros", "gzip", "magic", "short header", "timeline"),
        *("no size", "too small", "no power of two", "too large"),
    ],
)
def test_what_is_no_head_is_refused(data: bytes) -> None:
    with pytest.raises(PitrError, match="not a WAL segment"):
        SegmentHeader.parse(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (header_bytes(THIRD, system=SYSTEM + 1), "belongs to another cluster"),
        (header_bytes(THIRD, magic=0xD116), "written by PostgreSQL 17, the backup by 18"),
        (header_bytes(THIRD, size=16 * MEGABYTE), "segments of 16777216 bytes, not 1048576"),
        (
            header_bytes(THIRD, page=THIRD.end),
            "holds the WAL from 0/400000, its name says 0/300000",
        ),
        (header_bytes(THIRD, page=0), "holds the WAL from 0/0"),
        (header_bytes(THIRD, timeline=2), "written on timeline 2, its name says 1"),
    ],
)
def test_another_segment_is_told_from_the_one_that_is_named(data: bytes, why: str) -> None:
    problem = SegmentHeader.parse(data).why_not(THIRD, SYSTEM, "18")
    assert problem
    assert why in problem


def test_the_first_segment_of_a_branch_begins_with_its_parents_pages() -> None:
    header = SegmentHeader.parse(header_bytes(THIRD, timeline=1))
    assert header.why_not(segment(3, timeline=2), SYSTEM, "18") is None


@given(st.binary(max_size=64))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    try:
        header = SegmentHeader.parse(data)
    except PitrError:
        return
    assert header.segment_size >= MEGABYTE


@given(st.binary(min_size=38, max_size=38), st.sampled_from(MAJORS))
def test_any_bytes_behind_a_magic_are_too(data: bytes, major: str) -> None:
    magic = PostgresVersion.parse(major).wal_magic.to_bytes(2, "little")
    try:
        header = SegmentHeader.parse(magic + data)
    except PitrError:
        return
    assert (header.major, header.segment_size & (header.segment_size - 1)) == (major, 0)
