"""History files: which branch a position lies on, and which files are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import Fork, TimelineHistory

# A file as a server writes it that was promoted twice, with all that may stand between.
TEXT = """\
1\t0/3002448\tbefore 2026-11-22 14:46:07.874111+00

# a comment
  # another one
3\t0/5000000\tat restore point "a\u2028 4\tb"
"""
HISTORY = TimelineHistory.parse(TimelineId(5), TEXT)


def test_a_real_file_is_read() -> None:
    assert HISTORY.forks == (
        Fork(TimelineId(1), Lsn(0x3002448), "before 2026-11-22 14:46:07.874111+00"),
        Fork(TimelineId(3), Lsn(0x5000000), 'at restore point "a\u2028 4\tb"'),
    )
    assert HISTORY.lineage == (5, 3, 1)


@pytest.mark.parametrize(
    ("lsn", "owner"),
    [
        ("0/0", 1),
        ("0/3002447", 1),
        ("0/3002448", 3),
        ("0/4FFFFFF", 3),
        ("0/5000000", 5),
        ("F/0", 5),
    ],
)
def test_every_position_has_one_owner(lsn: str, owner: int) -> None:
    assert HISTORY.owner(Lsn.parse(lsn)) == owner
    assert [t for t in range(1, 7) if HISTORY.contains(TimelineId(t), Lsn.parse(lsn))] == [owner]


def test_the_first_timeline_needs_no_file() -> None:
    first = TimelineHistory(TimelineId(1))
    assert first.owner(Lsn(0)) == first.owner(Lsn((1 << 64) - 1)) == 1
    assert first.lineage == (1,)


def test_a_reason_may_be_missing() -> None:
    history = TimelineHistory.parse(TimelineId(2), "1 0/5000000")
    assert history.forks == (Fork(TimelineId(1), Lsn(0x5000000), ""),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no parent"),
        ("# nothing but a comment\n\n", "names no parent"),
        ("1\n", "makes no sense"),
        ("1\tthere\tno reason\n", "makes no sense"),
        ("one\t0/3000000\tx\n", "makes no sense"),
        ("0\t0/3000000\tx\n", "makes no sense"),
        ("\0\0\0\0", "makes no sense"),
        ("2\t0/3000000\tx\n1\t0/4000000\tx\n", "ascending"),
        ("1\t0/3000000\tx\n1\t0/4000000\tx\n", "ascending"),
        ("1\t0/3000000\tx\n5\t0/4000000\tx\n", "ascending"),
        ("6\t0/3000000\tx\n", "ascending"),
    ],
)
def test_a_damaged_file_is_refused(text: str, why: str) -> None:
    with pytest.raises(PitrError, match="history file of timeline 5") as told:
        TimelineHistory.parse(TimelineId(5), text)
    assert why in told.value.why


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=6, unique=True).map(sorted))
def test_owners_rise_with_the_position(switches: list[int]) -> None:
    lines = [f"{number}\t{Lsn(at)}\twhy\n" for number, at in enumerate(switches, 1)]
    history = TimelineHistory.parse(TimelineId(len(lines) + 1), "".join(lines))
    for number, at in enumerate(switches, 1):
        assert history.owner(Lsn(at - 1)) <= number
        assert history.owner(Lsn(at)) == number + 1


@pytest.mark.parametrize(
    ("timeline", "start", "end", "passes"),
    [
        (1, "0/0", "0/1000000", True),
        (1, "0/3000000", "0/4000000", True),
        (1, "0/3002448", "0/4000000", False),
        (1, "0/4000000", "0/5000000", False),
        (3, "0/2000000", "0/3002448", False),
        (3, "0/3000000", "0/4000000", True),
        (3, "0/4000000", "0/5000000", True),
        (3, "0/5000000", "0/6000000", False),
        (5, "0/4000000", "0/5000000", False),
        (5, "0/5000000", "0/6000000", True),
        (5, "F/0", "F/1000000", True),
        (2, "0/3000000", "0/4000000", False),
    ],
)
def test_a_piece_of_wal_is_on_the_way_or_not(
    timeline: int, start: str, end: str, passes: bool
) -> None:
    assert HISTORY.passes(TimelineId(timeline), Lsn.parse(start), Lsn.parse(end)) is passes
