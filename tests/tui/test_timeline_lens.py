"""The ruler of the timeline, its columns, and the steps through it, without any screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.tui.widgets.timeline import Picture, describe
from pitr_tui.tui.widgets.timeline.canvas import Kind
from pitr_tui.tui.widgets.timeline.frame import View, frame, singles
from pitr_tui.tui.widgets.timeline.lens import Lens
from pitr_tui.tui.widgets.timeline.picture import WIDE
from pitr_tui.tui.widgets.timeline.plot import Plot, plot
from pitr_tui.tui.widgets.timeline.ruler import positions, ticks
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.coverage import TimelineCoverage
from pitr_tui.wal.windows import BackupMark
from tests.tui import pasts
from tests.unit.made import MEGABYTE, SYSTEM, segment

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
CELLS = 70

# The ruler.


def labels(start: datetime, span: int, zone: tzinfo = UTC, width: int = CELLS) -> list[str]:
    return [tick.label for tick in ticks(from_moment(start), span, width, zone)]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (50, ["12:00:00.000000", "12:00:00.000020", "12:00:00.000040"]),
        (50_000, ["12:00:00.000", "12:00:00.020", "12:00:00.040"]),
        (40 * SECOND, ["12:00:00", "12:00:10", "12:00:20", "12:00:30"]),
        (HOUR, ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50"]),
        (12 * HOUR, ["12:00", "14:00", "16:00", "18:00", "20:00", "22:00"]),
        (18 * HOUR, ["12:00", "15:00", "18:00", "21:00", "23 Nov", "03:00"]),
        (7 * DAY, ["23 Nov", "24 Nov", "25 Nov", "26 Nov", "27 Nov", "28 Nov", "29 Nov"]),
        (40 * DAY, ["23 Nov", "30 Nov", "7 Dec", "14 Dec", "21 Dec", "28 Dec"]),
        (180 * DAY, ["Dec 2026", "Jan 2027", "Feb 2027", "Mar 2027", "Apr 2027", "May 2027"]),
        (5000 * DAY, ["2028", "2030", "2032", "2034", "2036", "2038", "2040"]),
    ],
)
def test_ticks_are_round_from_microseconds_to_years(span: int, expected: list[str]) -> None:
    found = labels(pasts.NOON, span)
    assert found[: len(expected)] == expected


def test_ticks_are_round_in_the_zone_of_choice() -> None:
    assert labels(pasts.NOON, 3 * HOUR, KOLKATA)[:3] == ["17:30", "18:00", "18:30"]
    assert labels(pasts.NOON, 12 * HOUR, KOLKATA)[:2] == ["18:00", "20:00"]


def test_an_hour_that_comes_twice_is_named_with_its_offset() -> None:
    before = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)  # 01:30, half an hour before 02:00 CEST
    assert labels(before, 3 * HOUR, BERLIN) == [
        "01:30", "02:00", "02:30", "02:00+01", "02:30", "03:00", "03:30"
    ]  # fmt: skip


def test_an_hour_that_is_left_out_has_no_tick() -> None:
    before = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert labels(before, 3 * HOUR, BERLIN)[:4] == ["01:00", "01:30", "03:00", "03:30"]
    half = datetime(2026, 10, 3, 14, 0, tzinfo=UTC)
    assert labels(half, 4 * HOUR, LORD_HOWE, 90)[:4] == ["00:30", "01:00", "01:30", "02:30"]


def test_days_begin_at_midnight_on_both_sides_of_a_change() -> None:
    start = from_moment(datetime(2026, 10, 23, 12, tzinfo=UTC))
    local = [moment(tick.at) for tick in ticks(start, 5 * DAY, CELLS, BERLIN)]
    assert all(one is not None and one.astimezone(BERLIN).hour == 0 for one in local)
    assert len(local) == 5


@given(
    st.integers(-(2 * 10**17), 2 * 10**17),
    st.integers(30, 10**17),
    st.integers(40, 300),
    st.sampled_from([UTC, BERLIN, KOLKATA, LORD_HOWE, timezone(timedelta(hours=-9, minutes=-30))]),
)
def test_labels_never_run_into_each_other(start: int, span: int, width: int, zone: tzinfo) -> None:
    span = max(span, width)
    found = ticks(start, span, width, zone)
    view = View(start, span, width, zone, "", False)
    columns = [view.column(tick.at) for tick in found]
    assert all(start <= tick.at <= start + span for tick in found)
    assert columns == sorted(columns)
    crowded = [
        (one, two)
        for one, two, tick in zip(columns, columns[1:], found, strict=False)
        if one + 1 + len(tick.label.split("+")[0]) > two
    ]
    assert len(crowded) <= 1  # the clocks may be changed just before a tick
    assert found or moment(start) is None or moment(start + span) is None or width < 60


def test_impossible_years_have_no_ticks() -> None:
    assert ticks((1 << 62), 1000, CELLS, UTC) == []
    assert (
        ticks(from_moment(datetime(9999, 12, 31, 23, tzinfo=UTC)), HOUR // 2, CELLS, BERLIN) == []
    )


def test_positions_are_round_powers_of_two() -> None:
    found = positions(0x2FF0000, 0x1000000, CELLS)
    assert [tick.label for tick in found][:2] == ["0/3000000", "0/3400000"]
    assert all(tick.at % 0x400000 == 0 for tick in found)


# Columns.

spans = st.tuples(st.integers(-(10**6), 10**6), st.integers(10, 10**6), st.integers(10, 200))


@given(spans, st.lists(st.integers(-(10**6), 2 * 10**6), max_size=40))
def test_a_column_has_what_its_edges_say(span: tuple[int, int, int], places: list[int]) -> None:
    start, length, width = span
    view = View(start, max(length, width), width, UTC, "", False)
    ordered = np.array(sorted(places), np.int64)
    counted = np.diff(np.searchsorted(ordered, view.edges)).tolist()
    one_by_one = [sum(view.column(place) == column for place in places) for column in range(width)]
    assert counted == one_by_one


@given(st.lists(st.floats(0, 60), min_size=1, max_size=30), st.data())
def test_the_cut_stands_between_two_transactions(minutes: list[float], data: st.DataObject) -> None:
    made = plot(pasts.picture(None, pasts.chronicle(sorted(minutes))))
    lens = Lens(made, CELLS)
    cut = data.draw(st.integers(0, len(minutes)))
    lens.put(cut)
    for _ in range(data.draw(st.integers(0, 12))):
        lens.zoom(4)
    view = View(*lens.seen, CELLS, UTC, "", False)
    drawn = frame(made, view, lens.cut)
    assert drawn.cut is not None
    kept = [view.column(int(one)) for one in made.at[:cut]]
    lost = [view.column(int(one)) for one in made.at[cut:]]
    assert all(column <= drawn.cut for column in kept)
    assert all(column >= drawn.cut for column in lost)
    for row in drawn.rows:
        assert len(row.cells) == len(row.kinds) == CELLS


# Steps.


def ordinary() -> Plot:
    survey = pasts.surveyed(pasts.files(range(2, 62)), [pasts.backup_at(4), pasts.backup_at(30)])
    return plot(pasts.picture(survey, pasts.ordinary()))


def test_from_the_whole_archive_to_one_transaction_and_back() -> None:
    lens = Lens(ordinary(), CELLS)
    lens.put(100)
    whole = lens.seen
    for _ in range(40):
        lens.zoom(4)
    start, span = lens.seen
    assert span == CELLS  # a microsecond a column
    assert start <= lens.place_of(100) < start + span
    inside = lens.plot.at[(lens.plot.at >= start) & (lens.plot.at < start + span)]
    assert len(inside) == 1
    for _ in range(40):
        lens.zoom(1 / 4)
    assert (lens.span, lens.seen) == (None, whole)


def test_transactions_of_the_same_moment_can_be_told_apart() -> None:
    made = plot(pasts.picture(None, pasts.chronicle([0, 5, 5, 5, 10])))
    lens = Lens(made, CELLS)
    lens.put(2)
    for _ in range(40):
        lens.zoom(4)
    view = View(*lens.seen, CELLS, UTC, "", False)
    assert len({view.column(int(one)) for one in made.at[1:4]}) == 3
    assert singles(made, view)


def test_what_lies_under_the_pointer_stays_there() -> None:
    lens = Lens(ordinary(), CELLS)
    view = View(*lens.seen, CELLS, UTC, "", False)
    place = int(lens.plot.at[37])
    column = view.column(place)
    for _ in range(3):
        lens.zoom(2, column)
        assert abs(View(*lens.seen, CELLS, UTC, "", False).column(place) - column) <= 8


def test_nothing_beyond_the_ends_is_looked_at() -> None:
    lens = Lens(ordinary(), CELLS)
    lens.zoom(4)
    for steps in (-1, 1):
        for _ in range(20):
            lens.pan(steps)
        start, span = lens.seen
        assert lens.plot.low <= start
        assert start + span <= lens.plot.high
    assert start + span == lens.plot.high


def test_a_step_is_a_column_far_away_and_a_transaction_near() -> None:
    minutes = np.linspace(0, 60, 5000)
    lens = Lens(plot(pasts.picture(None, pasts.chronicle(minutes))), CELLS)
    lens.put(2500)
    lens.move(1)
    assert lens.cut is not None
    assert 2500 < lens.cut < 2600
    lens.move(-1)
    assert lens.cut in range(2450, 2550)
    for _ in range(5):
        lens.zoom(4)
    before = lens.cut
    lens.move(1)
    assert lens.cut == before + 1
    lens.move(-1)
    assert lens.cut == before


moves = st.tuples(
    st.sampled_from(["zoom", "pan", "move", "jump"]),
    st.sampled_from([1, -1]),
    st.sampled_from(["suspect", "point", "gap", "backup"]),
)


@given(st.lists(moves, max_size=30))
def test_every_step_ends_somewhere(steps: list[tuple[str, int, str]]) -> None:
    lens = Lens(ordinary(), CELLS)
    for what, way, kind in steps:
        before = lens.cut
        match what:
            case "zoom":
                lens.zoom(4.0**way)
            case "pan":
                lens.pan(way)
            case "move":
                lens.move(way)
                assert lens.cut is not None
                assert before is None or before == lens.cut or (lens.cut > before) == (way > 0)
            case _:
                lens.jump(kind, way)
        start, span = lens.seen
        assert span >= CELLS
        assert lens.plot.low <= start
        assert start + span <= max(lens.plot.high, start + CELLS)
        assert lens.cut is None or 0 <= lens.cut <= lens.count


def test_jumps_go_from_one_to_the_next_and_stop_at_the_last() -> None:
    lens = Lens(ordinary(), CELLS)
    found: list[int | None] = []
    for _ in range(3):
        lens.jump("suspect", 1)
        found.append(lens.cut)
    for _ in range(2):
        lens.jump("suspect", -1)
        found.append(lens.cut)
    assert found == [100, 114, 114, 100, 100]
    lens.jump("point", -1)
    assert lens.cut == 60
    lens.jump("point", -1)
    assert lens.cut == 10
    lens.jump("backup", 1)
    assert lens.cut == 56  # the first transaction behind the second backup


def test_gaps_are_found_where_nothing_was_read(tmp_path: Path) -> None:
    made = plot(pasts.with_gaps(tmp_path))
    lens = Lens(made, CELLS)
    lens.zoom(16)
    lens.jump("gap", 1)
    first = lens.place
    assert first == made.gaps[0]
    lens.jump("gap", 1)
    assert lens.place is not None
    assert first is not None
    assert lens.place > first
    assert lens.cut == lens.count  # all that was read lies before it
    start, span = lens.seen
    assert start <= lens.place < start + span


def test_a_mark_that_is_pointed_at_counts_before_the_transactions_around() -> None:
    lens = Lens(ordinary(), 30)  # four transactions a column
    view = View(*lens.seen, 30, UTC, "", False)
    column = view.column(int(lens.plot.at[100]))
    assert lens.hit(column, ("suspect",)) == 100
    assert lens.hit(column, ()) in range(97, 101)


def test_a_longer_past_is_looked_at_where_one_was() -> None:
    minutes = [one / 2 for one in range(120)]
    survey = pasts.surveyed(pasts.files(range(2, 62)))
    so_far = pasts.chronicle(minutes[:60], finished=False)
    lens = Lens(plot(pasts.picture(survey, so_far)), CELLS)
    lens.put(50)
    lens.zoom(16)
    seen, cut = lens.seen, lens.cut
    lens.take(plot(pasts.picture(survey, pasts.chronicle(minutes))))
    assert (lens.seen, lens.cut) == (seen, cut)


# Whatever an archive holds.

any_file = st.builds(
    pasts.File,
    st.builds(segment, st.integers(0, 60), st.integers(1, 4)),
    st.one_of(st.none(), st.floats(-1e7, 1e7)),
    st.sampled_from([SYSTEM, SYSTEM, 4711]),
    st.booleans(),
)
any_backup = st.builds(pasts.backup_at, st.integers(0, 60), st.integers(1, 4))
any_history = st.builds(
    lambda child, parent, lsn: pasts.branch(child, (parent, lsn, "")),
    st.integers(3, 4),
    st.integers(1, 2),
    st.integers(0, 61 * MEGABYTE),
)
any_story = st.builds(
    lambda minutes, timeline, finished, marked: pasts.chronicle(
        sorted(minutes),
        marks=[pasts.suspect(one) for one in sorted(marked) if one < len(minutes)],
        timeline=timeline,
        finished=finished,
    ),
    st.lists(st.floats(0, 50), max_size=20),
    st.integers(1, 4),
    st.booleans(),
    st.sets(st.integers(-1, 20)),
)


@given(
    st.lists(any_file, max_size=25),
    st.lists(any_backup, max_size=4),
    st.lists(any_history, max_size=2, unique_by=lambda one: one.timeline),
    st.one_of(st.none(), any_story),
    st.integers(10, 200),
    st.data(),
)
def test_any_archive_can_be_drawn_and_told_of(
    files: list[pasts.File],
    backups: list[BackupMark],
    histories: list[TimelineHistory],
    story: Chronicle | None,
    width: int,
    data: st.DataObject,
) -> None:
    picture = pasts.picture(pasts.surveyed(files, backups, histories), story)
    made = plot(picture)
    lens = Lens(made, width)
    lens.put(data.draw(st.none() | st.integers(0, 20)))
    for factor in data.draw(st.lists(st.sampled_from([4, 16, 1 / 4]), max_size=4)):
        lens.zoom(factor)
    view = View(*lens.seen, width, BERLIN, "Europe/Berlin", width >= WIDE)
    for row in frame(made, view, lens.cut).rows:
        assert len(row.cells) == len(row.kinds) == width
        assert cell_len(row.cells) == width
        assert {*row.kinds} <= {*Kind}
    said = "\n".join(describe(picture))
    assert all(str(one.range) in said for each in made_of(picture) for one in each.unusable)
    assert all(str(gap) in said for each in made_of(picture) for gap in each.gaps)
    assert all(f"Backup {mark.name} " in said for mark in backups)


def made_of(picture: Picture) -> tuple[TimelineCoverage, ...]:
    assert picture.surveyed is not None
    return picture.surveyed.coverage.timelines
