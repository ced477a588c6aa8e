"""The names of WAL segments of every size, and of the other files of an archive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.walname import (
    WalSegment,
    history_timeline,
    is_archive_file,
    is_backup_history,
    is_partial,
    is_segment,
)

SIZES = [1 << bits for bits in range(20, 31)]  # 1 MB to 1 GB
ANY_SIZE = st.sampled_from(SIZES)
TIMELINES = st.integers(1, (1 << 32) - 1).map(TimelineId)
POSITIONS = st.integers(0, (1 << 64) - 1).map(Lsn)


@given(POSITIONS, TIMELINES, ANY_SIZE)
def test_the_segment_at_a_position_holds_it(lsn: Lsn, timeline: TimelineId, size: int) -> None:
    segment = WalSegment.at(lsn, timeline, size)
    assert segment.start <= lsn
    assert lsn - segment.start < size
    assert segment.start % size == 0
    assert is_segment(segment.name)
    assert WalSegment.parse(segment.name, size) == segment


@given(st.integers(0, (1 << 32) - 1), TIMELINES, ANY_SIZE)
def test_neighbours_meet(number: int, timeline: TimelineId, size: int) -> None:
    segment = WalSegment(timeline, number, size)
    after = segment.next()
    assert segment.end == after.start
    assert segment < after
    assert segment.name < after.name
    assert segment.on(TimelineId(1)).start == segment.start


@pytest.mark.parametrize(
    ("lsn", "size", "name"),
    [
        ("0/3000000", 16 << 20, "000000010000000000000003"),
        ("0/FFFFFFFF", 16 << 20, "0000000100000000000000FF"),
        ("1/0", 16 << 20, "000000010000000100000000"),
        ("0/FFFFFFFF", 1 << 20, "000000010000000000000FFF"),
        ("1/0", 1 << 20, "000000010000000100000000"),
        ("0/FFFFFFFF", 1 << 30, "000000010000000000000003"),
        ("1/40000000", 1 << 30, "000000010000000100000001"),
        ("FFFFFFFF/FFFFFFFF", 64 << 20, "00000001FFFFFFFF0000003F"),
    ],
)
def test_names_as_pg_walfile_name_gives_them(lsn: str, size: int, name: str) -> None:
    assert WalSegment.at(Lsn.parse(lsn), TimelineId(1), size).name == name


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("000000010000000000000100", 16 << 20),
        ("000000010000000000001000", 1 << 20),
        ("000000010000000000000004", 1 << 30),
    ],
)
def test_a_name_beyond_the_size_cannot_exist(name: str, size: int) -> None:
    with pytest.raises(UsageError, match="cannot exist with WAL segments"):
        WalSegment.parse(name, size)


@pytest.mark.parametrize(
    "name",
    [
        *("", "00000001000000000000000", "0000000100000000000000033", "00000001000000000000000G"),
        *("00000001000000000000000a", "000000000000000000000003", "000000010000000000000003.gz"),
        *("000000010000000000000003\n", " 00000010000000000000003", "../00001000000000000000003"),
    ],
)
def test_what_is_no_segment_is_refused(name: str) -> None:
    assert not is_segment(name)
    with pytest.raises(UsageError, match="not the name of a WAL segment"):
        WalSegment.parse(name)


def test_segments_are_ordered_by_timeline_then_number() -> None:
    names = ["000000010000000100000000", "000000020000000000000003", "000000010000000000000003"]
    parsed = sorted(map(WalSegment.parse, names))
    assert [segment.name for segment in parsed] == sorted(names)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("000000010000000000000003", is_segment),
        ("000000010000000000000003.partial", is_partial),
        ("000000010000000000000002.00000028.backup", is_backup_history),
        ("0000001A.history", history_timeline),
        ("000000010000000000000003.ready", None),
        ("000000010000000000000002.28.backup", None),
        ("00000000.history", None),
        ("2.history", None),
        ("0000001a.history", None),
        ("RECOVERYXLOG", None),
        (".000000010000000000000003.part", None),
    ],
)
def test_every_name_has_one_kind_or_none(name: str, kind: object) -> None:
    kinds = (is_segment, is_partial, is_backup_history, history_timeline)
    assert [one for one in kinds if one(name)] == ([kind] if kind else [])
    assert is_archive_file(name) == (kind is not None)


def test_a_history_names_its_timeline() -> None:
    assert history_timeline("0000001A.history") == TimelineId(26)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_not(name: str) -> None:
    assert is_archive_file(name) == (
        is_segment(name)
        or is_partial(name)
        or is_backup_history(name)
        or history_timeline(name) is not None
    )
