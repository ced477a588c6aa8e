"""Positions of the WAL and their times: ascending, and exact where something was read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.wal.axis import Axis, Longs, apart, axes
from tests.tui import pasts
from tests.unit.made import MEGABYTE, segment

ONE, TWO = TimelineId(1), TimelineId(2)


def longs(*values: int) -> Longs:
    return np.array(values, np.int64)


def test_between_two_heads_the_wal_is_taken_to_be_even() -> None:
    known = pasts.surveyed(pasts.files([2, 3, 5], each=10)).known
    axis = axes(known)[ONE]
    assert axis.time_at(segment(2).start) == pasts.at(0)
    assert axis.time_at(segment(2).start + MEGABYTE // 2) == pasts.at(5)
    assert axis.time_at(segment(4).start) == pasts.at(20)


def test_outside_of_what_is_known_the_nearest_counts() -> None:
    axis = axes(pasts.surveyed(pasts.files([2, 3])).known)[ONE]
    assert (axis.time_at(0), axis.time_at(1 << 40)) == (pasts.at(0), pasts.at(1))


def test_segments_that_tell_no_time_lie_between_their_neighbours() -> None:
    files = [pasts.File(segment(n), minutes) for n, minutes in ((2, 0), (3, None), (4, 10))]
    axis = axes(pasts.surveyed(files).known)[ONE]
    assert axis.time_at(segment(3).start) == pasts.at(5)


def test_a_clock_that_was_put_back_stands_still() -> None:
    files = [pasts.File(segment(n), minutes) for n, minutes in ((2, 0), (3, 30), (4, 10), (5, 40))]
    axis = axes(pasts.surveyed(files).known)[ONE]
    assert axis.time_at(segment(4).start) == pasts.at(30)
    assert axis.time_at(segment(5).start) == pasts.at(40)


def test_a_child_leaves_out_what_it_copied_from_its_parent() -> None:
    """Its first segment begins with the parent's WAL, from an hour before it was promoted."""
    files = [*pasts.files(range(2, 6)), pasts.File(segment(4, 2), 2), pasts.File(segment(5, 2), 62)]
    history = pasts.branch(2, (1, segment(4).start + 0x100, "before a time"))
    found = axes(pasts.surveyed(files, histories=[history]).known)
    assert len(found[ONE]) == 4
    assert found[TWO].times.tolist() == [pasts.at(62)]


def test_without_any_time_there_is_no_axis() -> None:
    axis = axes(pasts.surveyed([pasts.File(segment(2))]).known)[ONE]
    assert len(axis) == 0
    with pytest.raises(ValueError, match="empty"):
        axis.time_at(segment(2).start)


def test_what_was_read_takes_the_place_of_what_the_heads_tell() -> None:
    axis = Axis(longs(0, 100, 200, 300), longs(0, 10, 20, 30))
    finer = axis.with_points(longs(50, 100, 150), longs(1, 2, 19))
    assert finer.lsns.tolist() == [0, 50, 100, 150, 200, 300]
    assert finer.times.tolist() == [0, 1, 2, 19, 20, 30]
    assert finer.time_at(75) == 2
    assert axis.with_points(longs(), longs()) is axis


points = st.lists(
    st.tuples(st.integers(0, 1 << 40), st.integers(-(10**15), 10**15)), min_size=1, max_size=30
)


@given(points, points, st.lists(st.integers(0, 1 << 41), min_size=2, max_size=20))
def test_an_axis_never_goes_back(
    heads: list[tuple[int, int]], read: list[tuple[int, int]], asked: list[int]
) -> None:
    ordered = sorted(dict(read).items())
    lsns, times = (longs(*column) for column in zip(*ordered, strict=True))
    first = sorted(dict(heads).items())
    known = Axis().with_points(*(longs(*column) for column in zip(*first, strict=True)))
    axis = known.with_points(lsns, times)
    assert (np.diff(axis.lsns) > 0).all()
    assert (np.diff(axis.times) >= 0).all()
    found = axis.times_at(sorted(asked))
    assert (np.diff(found) >= 0).all()
    assert np.array_equal(axis.times_at(axis.lsns), axis.times)


@given(st.lists(st.integers(-(10**15), 10**15), max_size=50))
def test_times_are_put_apart_no_more_than_needed(times: list[int]) -> None:
    given_times = np.array(times, np.int64)
    found = apart(given_times)
    highest = np.maximum.accumulate(given_times)
    assert (np.diff(found) > 0).all()
    assert (found >= highest).all()
    assert (found - highest <= np.arange(len(times))).all()
