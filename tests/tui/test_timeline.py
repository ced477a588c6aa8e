"""The timeline on the screen: its pictures in every state, its keys, and the mouse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.tui.widgets.timeline import Picture, TimelineView, describe
from pitr_tui.tui.widgets.timeline.canvas import Kind
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Unread
from tests.tui import pasts
from tests.tui.conftest import Golden
from tests.tui.scenes import screen_text
from tests.unit.made import backup_value, label_text, segment

NARROW, WIDE = (80, 12), (120, 14)
BERLIN = ZoneInfo("Europe/Berlin")


class Shown(App[None]):
    """Nothing but a timeline, and what it told."""

    CSS_PATH: ClassVar[str] = str(Path(__file__).parents[2] / "pitr_tui" / "tui" / "app.tcss")

    def __init__(self, plain: bool = False) -> None:
        super().__init__()
        self.plain = plain
        self.cuts: list[int] = []

    def compose(self) -> ComposeResult:
        yield TimelineView(plain=self.plain)

    def on_timeline_view_cut_moved(self, event: TimelineView.CutMoved) -> None:
        assert event.cut == event.view.cut
        self.cuts.append(event.cut)


@asynccontextmanager
async def shown(
    picture: Picture, size: tuple[int, int] = NARROW, plain: bool = False
) -> AsyncIterator[tuple[Pilot[None], TimelineView, Shown]]:
    """A picture on a screen."""
    app = Shown(plain)
    async with app.run_test(size=size) as pilot:
        view = app.query_one(TimelineView)
        view.show(picture)
        view.focus()
        await pilot.pause()
        yield pilot, view, app


def drawn(view: TimelineView) -> list[str]:
    """The rows as a person reads them."""
    return [view.render_line(row).text.rstrip() for row in range(view.size.height)]


def ordinary() -> Picture:
    survey = pasts.surveyed(pasts.files(range(2, 62)), [pasts.backup_at(4), pasts.backup_at(30)])
    noted = ((pasts.at(45), "before the release"),)
    return pasts.picture(survey, pasts.ordinary(), moments=noted)


def being_read() -> Picture:
    survey = pasts.surveyed(pasts.files(range(2, 62)), [pasts.backup_at(10)])
    minutes = [8 + one / 4 for one in range(60)]
    return pasts.picture(survey, pasts.chronicle(minutes, first=2, end=25, finished=False))


def many_suspects() -> Picture:
    minutes = np.linspace(0, 60, 20_000)
    marks = [pasts.suspect(one) for one in range(4000, 12_000, 2)] + [pasts.suspect(19_000)]
    return pasts.picture(
        pasts.surveyed(pasts.files(range(2, 62))), pasts.chronicle(minutes, marks=marks)
    )


def many_timelines() -> Picture:
    files = pasts.files(range(2, 20))
    histories = []
    for timeline in range(2, 14):
        files += pasts.files(range(timeline, timeline + 3), timeline, 10 + timeline * 5)
        fork = segment(timeline).start + 0x100
        histories.append(pasts.branch(timeline, (1, fork, "before a time")))
    return pasts.picture(pasts.surveyed(files, [], histories), timeline=3)


def without_times() -> Picture:
    files = [pasts.File(segment(n)) for n in (5, 6, 8, 9, 10)]
    return pasts.picture(pasts.surveyed(files, [pasts.backup_at(5), pasts.backup_at(9)]))


STATES: dict[str, tuple[Callable[[Path], Picture], int | None, int]] = {
    "loading": (lambda place: pasts.picture(None), None, 0),
    "empty": (lambda place: pasts.picture(pasts.surveyed([])), None, 0),
    "ordinary": (lambda place: ordinary(), 100, 0),
    "all-kept": (lambda place: ordinary(), 120, 0),
    "gaps": (pasts.with_gaps, 30, 0),
    "branches": (pasts.with_branches, 30, 0),
    "being-read": (lambda place: being_read(), None, 0),
    "many-suspects": (lambda place: many_suspects(), 15_000, 0),
    "many-timelines": (lambda place: many_timelines(), None, 0),
    "without-times": (lambda place: without_times(), None, 0),
    "single-transactions": (lambda place: ordinary(), 100, 2),
    "one-transaction": (lambda place: ordinary(), 100, 20),
}


@pytest.mark.parametrize("state", STATES)
async def test_every_state(state: str, tmp_path: Path, golden: Golden) -> None:
    make, cut, zooms = STATES[state]
    async with shown(make(tmp_path)) as (pilot, view, _):
        for width, height in (NARROW, WIDE):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            view.action_whole()
            view.show_cut(cut)
            for _ in range(zooms):
                view.action_zoom(1)
            rows = drawn(view)
            assert all(cell_len(row) <= width for row in rows)
            golden("\n".join(rows) + "\n", f"{width}")


async def test_a_narrow_timeline_takes_few_rows(tmp_path: Path) -> None:
    for picture, rows in (
        (ordinary(), 5),
        (pasts.with_branches(tmp_path), 8),
        (many_timelines(), 8),
    ):
        async with shown(picture) as (_, view, _):
            assert view.size.height == len(drawn(view)) == rows


async def test_the_text_alone_tells_everything_apart(tmp_path: Path) -> None:
    """No sign stands for two things in one lane, so that no colour is needed."""
    meanings: dict[tuple[str, str], set[str]] = {}
    async with shown(pasts.picture(None), WIDE) as (_, view, _):
        for make, cut, zooms in STATES.values():
            view.show(pasts.picture(None))
            view.show(make(tmp_path))
            view.show_cut(cut)
            for _ in range(zooms):
                view.action_zoom(1)
            frame = view._drawn()
            for row in frame.rows if frame is not None else ():
                for sign, kind in zip(row.cells, row.kinds, strict=True):
                    if kind not in (Kind.NAME, Kind.RULER, Kind.PLAIN):
                        lane = "wal" if row.name.startswith(("wal", "tl")) else row.name
                        meanings.setdefault((lane, sign), set()).add(kind)
    assert {kind for kinds in meanings.values() for kind in kinds} >= set("bxwogaspuk")
    assert all(len(kinds) == 1 for kinds in meanings.values()), meanings


async def test_what_is_lost_or_chosen_differs_by_more_than_colour() -> None:
    label = pasts.backup_at(4)
    chosen = backup_value(Path("/backups/base-4"))
    start = label.start_lsn
    text = label_text(str(start), segment(4).name)
    picture = replace(ordinary(), backup=replace(chosen, label=type(chosen.label).parse(text)))
    async with shown(picture, WIDE) as (_, view, _):
        view.show_cut(100)
        assert view._style("B").reverse
        assert not view._style("b").reverse
        assert view._style("w", lost=True).dim
        assert not view._style("w").dim
        frame = view._drawn()
        assert frame is not None
        assert frame.rows[1].kinds.count(Kind.CHOSEN) == 1
        assert frame.rows[1].kinds.count(Kind.BACKUP) == 1


def wheel(
    turn: type[MouseScrollUp] | type[MouseScrollDown], view: TimelineView, column: int
) -> MouseScrollUp | MouseScrollDown:
    """A turn of the wheel over a column."""
    return turn(view, column, 4, 0, 0, 0, False, False, False, column, 4)


# Keys.


async def test_keys_lead_to_the_accident_and_around_it() -> None:
    async with shown(ordinary()) as (pilot, _, app):
        await pilot.press("n", "n", "n", "N")
        assert app.cuts == [100, 114, 100]
        await pilot.press("plus", "plus", "right", "left", "left", "h", "l")
        assert app.cuts[3:] == [101, 100, 99, 98, 99]
        await pilot.press("0", "left_square_bracket")
        assert app.cuts[-1] == 91  # noted for 45 minutes after noon
        await pilot.press("B", "B", "b")
        assert app.cuts[-3:] == [56, 4, 56]


async def test_panning_moves_no_cut() -> None:
    async with shown(ordinary()) as (pilot, view, app):
        await pilot.press("n", "plus")
        assert view.seen is not None
        start, span = view.seen
        await pilot.press("ctrl+left")
        assert view.seen == (start - span // 4, span)
        await pilot.press("ctrl+right")
        assert view.seen == (start, span)
        await pilot.press("0")
        assert view.seen[1] > span
        assert app.cuts == [100]


async def test_gaps_are_reached_by_keys(tmp_path: Path) -> None:
    async with shown(pasts.with_gaps(tmp_path)) as (pilot, view, app):
        await pilot.press("plus", "plus", "right_curly_bracket")
        assert "░" in drawn(view)[2]
        assert app.cuts == [60]  # all that was read is before it
        await pilot.press("right_curly_bracket")
        assert "✗" in drawn(view)[2]
        assert app.cuts == [60]


@pytest.mark.parametrize("picture", [pasts.picture(None), pasts.picture(pasts.surveyed([]))])
async def test_no_key_needs_a_past(picture: Picture) -> None:
    async with shown(picture) as (pilot, view, app):
        for binding in TimelineView.BINDINGS:
            assert isinstance(binding, Binding)
            await view.run_action(binding.action)
        await pilot.click(view, offset=(20, 2))
        view.show_cut(3)
        assert (app.cuts, view.cut) == ([], None)


# From outside.


async def test_a_cut_from_outside_is_shown_and_not_told() -> None:
    async with shown(ordinary()) as (pilot, view, app):
        view.show_cut(100)
        await pilot.press("plus", "plus", "plus")
        view.show_cut(3)
        assert view.seen is not None
        start, span = view.seen
        assert start < pasts.at(1.5) < start + span
        assert any("┊" in row for row in drawn(view))
        view.show_cut(None)
        assert not any("┊" in row for row in drawn(view))
        assert app.cuts == []


async def test_what_was_looked_at_stays_while_more_is_read() -> None:
    survey = pasts.surveyed(pasts.files(range(2, 62)))
    minutes = [one / 2 for one in range(120)]
    so_far = pasts.chronicle(minutes[:60], finished=False)
    async with shown(pasts.picture(survey, so_far)) as (pilot, view, _):
        view.show_cut(50)
        await pilot.press("plus", "plus")
        seen, rows = view.seen, drawn(view)
        view.show(pasts.picture(survey, pasts.chronicle(minutes)))
        assert (view.seen, view.cut, drawn(view)) == (seen, 50, rows)


async def test_another_past_has_no_cut_yet(tmp_path: Path) -> None:
    async with shown(ordinary()) as (_, view, _):
        view.show_cut(100)
        view.show(pasts.with_branches(tmp_path))
        assert view.cut is None
        view.show_cut(5)
        view.show(pasts.picture(None))
        assert view.cut is None


async def test_it_grows_with_the_timelines_it_shows(tmp_path: Path) -> None:
    async with shown(pasts.picture(None)) as (pilot, view, _):
        assert view.size.height == 5
        view.show(pasts.with_branches(tmp_path))
        await pilot.pause()
        assert view.size.height == 8
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        assert view.size.height == 10
        rows = screen_text(pilot.app).split("\n")
        assert cell_len(rows[0]) == WIDE[0]  # the zone stands at the right edge


async def test_colours_follow_the_theme() -> None:
    async with shown(ordinary()) as (pilot, view, app):
        dark = view._style("a").color
        app.theme = "textual-light"
        await pilot.pause()
        assert view._style("a").color != dark


async def test_the_zone_is_the_one_of_choice() -> None:
    picture = replace(ordinary(), zone=BERLIN, zone_name="Europe/Berlin")
    async with shown(picture) as (_, view, _):
        ruler = drawn(view)[0]
        assert "╷13:00" in ruler
        assert ruler.endswith("Europe/Berlin")


async def test_outside_text_stays_text() -> None:
    name = "\x1b[31m[/bold]雪"
    marks = [pasts.restore_point(5, 2.4, name)]
    story = pasts.chronicle([one / 2 for one in range(10)], marks=marks)
    picture = pasts.picture(None, story, zone_name="UTC\x07")
    async with shown(picture, WIDE) as (_, view, _):
        rows = drawn(view)
        assert "◇␛[31m[/bold]?" in rows[-1]
        assert rows[0].endswith("UTC␇")
        assert all(cell_len(row) <= WIDE[0] for row in rows)


async def test_without_a_story_only_what_there_is(tmp_path: Path, golden: Golden) -> None:
    picture = replace(pasts.with_gaps(tmp_path), chronicle=None)
    async with shown(picture, plain=True) as (pilot, view, app):
        assert not view.can_focus
        golden("\n".join(drawn(view)) + "\n", "plain")
        seen = view.seen
        view.post_message(wheel(MouseScrollUp, view, 30))
        await pilot.click(view, offset=(30, 1))
        assert (view.seen, app.cuts) == (seen, [])


# The mouse.


async def test_a_click_cuts_before_what_is_there() -> None:
    async with shown(ordinary()) as (pilot, view, app):
        column = drawn(view)[4].index("▼")
        await pilot.click(view, offset=(column, 4))
        assert app.cuts == [100]
        await pilot.click(view, offset=(column - 20, 3))
        assert 55 < app.cuts[1] < 75
        await pilot.click(view, offset=(2, 3))  # a name
        assert len(app.cuts) == 2


async def test_a_drag_pans_and_cuts_nothing() -> None:
    async with shown(ordinary()) as (pilot, view, app):
        await pilot.press("n", "plus")
        assert view.seen is not None
        start, span = view.seen
        await pilot.mouse_down(view, offset=(40, 3))
        await pilot.hover(view, offset=(50, 3))
        assert view.seen == (start - 10 * span // 70, span)
        await pilot.mouse_up(view, offset=(50, 3))
        await pilot.hover(view, offset=(20, 3))
        assert view.seen == (start - 10 * span // 70, span)
        assert app.cuts == [100]


async def test_the_wheel_zooms_at_the_pointer() -> None:
    async with shown(ordinary()) as (pilot, view, _):
        whole = view.seen
        assert whole is not None
        column = drawn(view)[4].index("▼")
        for _ in range(2):
            view.post_message(wheel(MouseScrollUp, view, column))
            await pilot.pause()
        assert view.seen is not None
        assert view.seen[1] == pytest.approx(whole[1] / 4, rel=0.01)
        assert abs(drawn(view)[4].index("▼") - column) <= 4
        for _ in range(3):
            view.post_message(wheel(MouseScrollDown, view, column))
            await pilot.pause()
        assert view.seen == whole


# In words.


def test_every_mark_has_its_words(tmp_path: Path, golden: Golden) -> None:
    noted = ((pasts.at(45), "before the \x1b[1mrelease"),)
    gaps = replace(pasts.with_gaps(tmp_path), moments=noted)
    said = [*describe(gaps), "", *describe(pasts.with_branches(tmp_path))]
    golden("\n".join(said) + "\n", "words")


def test_words_for_what_is_not_known() -> None:
    assert describe(pasts.picture(None)) == ["The archive has not been looked at yet."]
    assert describe(pasts.picture(pasts.surveyed([]))) == ["There is no WAL and no base backup."]
    said = describe(pasts.picture(pasts.surveyed(pasts.files([2, 3]))))
    assert said == ["No transaction has been read yet."]


def test_damage_and_clocks_are_told_of() -> None:
    hole = Unread(Lsn(0x500000), Lsn(0x580000), Ending.DAMAGED, "its checksum is wrong")
    cut = Unread(Lsn(0x700000), None, Ending.CUT, "the file ends")
    minutes = [0, 2, 1, 4]
    story = pasts.chronicle([0, 1, 2, 4], holes=[hole, cut], end=8)
    story = replace(story, times=pasts.at(0) + np.array(minutes, np.int64) * pasts.MINUTE)
    story = replace(story, at=np.maximum.accumulate(story.times))
    survey = pasts.surveyed(pasts.files(range(2, 9)))
    said = describe(pasts.picture(survey, story))
    assert any("from 0/500000 to 0/580000" in one and "checksum is wrong" in one for one in said)
    assert not any("the file ends" in one for one in said)  # a gap says that
    assert any("clock was put back: 1 transaction from xid 702 on" in one for one in said)


def test_many_gaps_are_told_of_briefly() -> None:
    survey = pasts.surveyed(pasts.files(range(2, 1000, 2)))
    said = describe(pasts.picture(survey))
    assert len(said) == 102
    assert said[100] == "And 398 more gaps in timeline 1."


async def test_damage_within_a_segment_is_marked_where_the_reading_met_it() -> None:
    hole = Unread(Lsn(0x2000000), Lsn(0x2080000), Ending.DAMAGED, "its checksum is wrong")
    story = pasts.chronicle([one / 2 for one in range(120)], holes=[hole])
    async with shown(pasts.picture(pasts.surveyed(pasts.files(range(2, 62))), story)) as (
        _,
        view,
        _,
    ):
        assert drawn(view)[2].count("✗") in (1, 2)


def test_the_first_paint_waits_for_no_numpy() -> None:
    code = "import sys, pitr_tui.tui.widgets.timeline; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in run.stdout.split()}
    assert "textual" in modules
    assert "numpy" not in modules
