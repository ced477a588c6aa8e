"""Step 4 by keys over a made world: the cut, the list and the field move together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from textual.pilot import Pilot

from pitr_tui.errors import CancelledError
from pitr_tui.postgres.target import AtName, AtTime, AtXid, Immediate, Latest
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.screens import reading
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.zones import Zone
from pitr_tui.tui.session import Moment, Session, WizardStep
from pitr_tui.tui.widgets.moments import MomentList
from pitr_tui.tui.widgets.timeline import TimelineView
from pitr_tui.tui.widgets.virtual_list import Cell, VirtualList
from pitr_tui.wal.chronicle import Chronicle
from tests.tui import pasts, stories
from tests.tui.conftest import Golden
from tests.tui.first_scenes import chosen, unnoted
from tests.tui.scenes import LARGE, SMALL, opened, paste, screen_text, settled, until
from tests.tui.world import NOTED, NOW, MadePrimary, World, segment
from tests.unit.made import write_files

DROP = 932  # the xid


@asynccontextmanager
async def at_target(
    session_of: Callable[[World], Session] = unnoted,
    told: Callable[[], Chronicle] = stories.accident,
    size: tuple[int, int] = SMALL,
) -> AsyncIterator[Pilot[Any]]:
    """The wizard at step 4, when everything was read."""
    async with AsyncExitStack() as stack:
        world = World(Path(stack.enter_context(TemporaryDirectory())).resolve(), told=told)
        world.make()
        stack.enter_context(world.opened(MadePrimary))
        app = PitrApp(session_of(world))
        pilot = await stack.enter_async_context(app.run_test(size=size))
        await opened(pilot)
        await app.wizard.show("target")
        await settled(pilot)
        yield pilot


def session_of(pilot: Pilot[Any]) -> Session:
    app = pilot.app
    assert isinstance(app, PitrApp)
    return app.session


async def test_the_worst_is_chosen_until_somebody_chooses() -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        assert session.aim is not None
        assert session.aim.reached
        assert session.aim.cut == 232
        for key, target in {
            "down": AtXid(867, inclusive=False),
            "a": AtXid(868, inclusive=False),
            "j": AtName("before_release"),
            "end": Latest(),
        }.items():
            await pilot.press(key)
            assert session.target == target, key


def marked(world: World) -> Session:
    """The same where a mark was set after the accident."""
    session = unnoted(world)
    session.marks.append(Moment(NOW, "restore point 'incident_1', set here", "incident_1"))
    return session


async def test_a_mark_that_was_set_after_the_accident_is_not_what_one_recovers_to() -> None:
    async with at_target(marked) as pilot:
        session = session_of(pilot)
        assert session.aim is not None
        assert session.aim.cut == 232
        assert "just before xid 932" in screen_text(pilot.app)
        await pilot.press("down", "down")
        assert session.target == AtName("incident_1")
        assert "stop at 'incident_1'" in screen_text(pilot.app)


async def test_a_key_that_can_do_nothing_says_why() -> None:
    async with at_target() as pilot:
        with patch("pitr_tui.tui.screens.target.my_zone", lambda now: Zone(UTC, "UTC", "mine")):
            await pilot.press("z")
            await until(pilot, lambda: "no other zone than UTC" in screen_text(pilot.app))


async def test_a_noted_moment_comes_first_and_becomes_a_transaction() -> None:
    async with at_target(chosen) as pilot:
        session = session_of(pilot)
        assert session.aim is not None
        assert session.aim.asked == AtTime(NOTED)
        assert session.target == AtXid(923, inclusive=False)


async def test_list_and_timeline_move_together() -> None:
    async with at_target() as pilot:
        session, rows = session_of(pilot), pilot.app.screen.query_one(MomentList)
        await pilot.press("v", "up")
        assert rows.cursor == 231
        timeline = pilot.app.screen.query_one(TimelineView)
        timeline.focus()
        timeline.post_message(TimelineView.CutMoved(timeline, 100))
        await pilot.pause()
        assert session.aim is not None
        assert session.aim.cut == 100
        assert rows.cursor == 100
        await pilot.press("v")
        assert rows.cursor is None
        timeline.post_message(TimelineView.CutMoved(timeline, 167))
        await pilot.pause()
        assert rows.cursor == 1  # the deletion


@pytest.mark.parametrize(
    ("text", "asked", "target"),
    [
        ("18:22:59.5", None, 231),
        ("932", None, 231),
        ("after 867", AtXid(867), 167),
        (f"xid {(5 << 32) + 867}", AtXid(867, False), 166),
        ("0/9000300", None, None),
        ("before_release", AtName("before_release"), None),
        ("end of backup", Immediate(), None),
        ("latest", Latest(), None),
    ],
)
async def test_one_field_takes_it_all(text: str, asked: object, target: int | None) -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        await pilot.press("t")
        await paste(pilot, text)
        assert session.aim is not None
        assert session.aim.reached, screen_text(pilot.app)
        if asked is not None:
            assert session.aim.asked == asked
        if target is not None:
            told = stories.accident()
            assert session.aim.cut is not None
            assert told.last_kept(session.aim.cut) == target
        await pilot.press("enter")
        assert WizardStep.TARGET in session.passed


async def test_what_makes_no_sense_changes_nothing_and_leads_nowhere() -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        before = session.aim
        assert "● reachable" in screen_text(pilot.app)
        await pilot.press("t", *"tomorrow", "enter")
        assert session.aim == before
        assert "● reachable" not in screen_text(pilot.app)
        assert "● not what is typed" in screen_text(pilot.app)
        assert WizardStep.TARGET not in session.passed
        await pilot.press("escape")
        assert "tomorrow" not in screen_text(pilot.app)
        assert "● reachable" in screen_text(pilot.app)
        await pilot.press("enter")
        assert WizardStep.TARGET in session.passed


async def test_a_person_may_choose_another_backup_and_leave_it_again() -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        await pilot.press("b")
        await until(pilot, lambda: "Which base backup?" in screen_text(pilot.app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "your choice" in screen_text(pilot.app))
        assert session.backup is not None
        assert session.backup.name == "2026-11-20"
        assert "not from this backup" in screen_text(pilot.app)
        await pilot.press("b")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        await pilot.press("home", "enter")
        await until(pilot, lambda: "● reachable" in screen_text(pilot.app))
        assert session.backup.name == "2026-11-22"
        assert session.own_backup is None


@pytest.mark.parametrize("brought", [False, True])
async def test_what_one_step_cannot_use_the_next_one_does_not_choose(
    tmp_path: Path, brought: bool
) -> None:
    """The archive has not the first segment of the newest backup, which may bring its own."""
    world = World(tmp_path)
    world.make()
    first = world.place / "archive" / segment(9).name
    if brought:
        write_files(world.place / "backups/2026-11-22/pg_wal", {first.name: first.read_bytes()})
    first.unlink()
    with world.opened(MadePrimary):
        app = PitrApp(unnoted(world))
        async with app.run_test(size=LARGE) as pilot:
            await opened(pilot)
            await app.wizard.show("backups")
            await settled(pilot)
            usable, name = (2, "2026-11-22") if brought else (1, "2026-11-20")
            assert f"{usable} of 3 backups usable" in screen_text(app)
            app.wizard.panes["backups"].query_one("#backups").focus()
            await pilot.press("enter")
            await settled(pilot)
            await pilot.press("t")
            await paste(pilot, "latest")
            shown = screen_text(app)
            assert app.session.backup is not None
            assert app.session.backup.name == name
            assert "your choice" not in shown


async def test_the_plan_follows_and_is_forgotten_when_the_cut_moves() -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "● GREEN" in screen_text(pilot.app))
        assert session.plan is not None
        assert session.plan.target == session.target
        await pilot.press("escape")
        await settled(pilot)
        assert session.plan is not None
        await pilot.press("down")
        assert session.plan is None
        assert WizardStep.PLAN not in session.passed


async def test_the_primary_is_asked_to_switch_by_its_very_statements() -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        await pilot.press("t")
        await paste(pilot, "18:24:10")
        await pilot.press("enter")
        await until(pilot, lambda: "● AMBER" in screen_text(pilot.app))
        body = pilot.app.screen.query_one("#pane-plan .step-body")
        for answer, times in {"escape": 0, "right enter": 1}.items():
            proved: list[object] = []
            record = proved.append
            await pilot.press("pagedown")
            await until(pilot, lambda: body.scroll_y > 0)
            with patch(
                "pitr_tui.tui.screens.wal_switch.prove", lambda session, _, to=record: to(session)
            ):
                await pilot.press("s")
                await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
                await pilot.pause()
                assert "SELECT pg_switch_wal();" in screen_text(pilot.app)
                await pilot.press(*answer.split())
                await settled(pilot)
            assert len(proved) == times
            assert (body.scroll_y == 0) == bool(proved)
        assert session.plan is not None


async def test_stop_there_is_one_key() -> None:
    async with at_target() as pilot:
        session = session_of(pilot)
        await pilot.press("t")
        await paste(pilot, "18:24:10")
        await pilot.press("enter")
        await until(pilot, lambda: "● AMBER" in screen_text(pilot.app))
        await pilot.press("u")
        await until(pilot, lambda: "● GREEN" in screen_text(pilot.app))
        assert session.target == AtXid(943)
        await pilot.press("escape")
        await settled(pilot)
        assert session.target == AtXid(943)
        assert "● reachable" in screen_text(pilot.app)


async def test_nobody_waits_for_the_reading(golden: Golden) -> None:
    """What was read so far can be used; escape stops the rest; F5 begins it anew."""
    go_on, began = threading.Event(), threading.Event()

    def read(
        surveyed: Surveyed, backup: object, branch: object, emit: Emit[Any], cancel: threading.Event
    ) -> Chronicle:
        emit(Progress(3 << 24, 8 << 24))
        emit(stories.accident(finished=False, seconds=1_100))
        began.set()
        while not go_on.wait(0.01):
            if cancel.is_set():
                raise CancelledError
        return stories.accident()

    def still() -> float:
        return 0.0

    async with at_target() as pilot:
        session = session_of(pilot)
        with (
            patch.object(reading, "read", read),
            patch("pitr_tui.tui.widgets.jobline.time", SimpleNamespace(monotonic=still)),
        ):
            await pilot.press("f5")
            await until(pilot, lambda: "38 %" in screen_text(pilot.app))
            await until(pilot, lambda: "1 suspect," in screen_text(pilot.app))
            golden(screen_text(pilot.app), "80x24")
            assert session.aim is not None
            assert session.aim.cut == 167
            await pilot.press("escape")
            await settled(pilot)
            assert "cancelled" in screen_text(pilot.app)
            assert not session.story_of_wal.reads
            assert "so far" in screen_text(pilot.app)
            assert len(session.story_of_wal.chronicle or ()) < 244
            await pilot.press("f5")
            go_on.set()
            await settled(pilot)
            assert len(session.story_of_wal.chronicle or ()) == 244
            assert session.aim.cut == 232  # nobody had chosen


async def test_branches_are_followed_one_after_the_other(tmp_path: Path, golden: Golden) -> None:
    picture = pasts.with_branches(tmp_path)
    assert picture.surveyed is not None
    surveyed, told = picture.surveyed, picture.chronicle
    asked: list[object] = []

    def read(surveyed: object, backup: object, branch: object, *_: object) -> Chronicle | None:
        asked.append(branch)
        return told

    async with at_target() as pilot:
        with (
            patch.object(reading, "survey", lambda session, cancel: surveyed),
            patch.object(reading, "read", read),
        ):
            await pilot.press("f5")
            await settled(pilot)
            golden(screen_text(pilot.app), "80x24")
            await pilot.press("c")
            await settled(pilot)
        assert asked == [None, 1]


class Million:
    """So many rows that nobody could make them all."""

    made = 0

    def __len__(self) -> int:
        return 1_000_000

    def row(self, number: int, width: int) -> list[Cell]:
        self.made += 1
        return [(f"row {number} [/] \x1b[31m", "plain")]


async def test_of_a_million_rows_only_those_in_sight_are_made() -> None:
    async with at_target() as pilot:
        rows, million = pilot.app.screen.query_one(VirtualList), Million()
        rows.show(million, 0)
        rows.focus()
        await pilot.press("end")
        assert "row 999999 [/] ␛[31m" in screen_text(pilot.app)
        await pilot.press("pageup", "pageup", "home", "down")
        assert "▸row 1 " in screen_text(pilot.app)
        assert million.made < 200


async def test_keys_of_the_list_do_not_leave_it() -> None:
    async with at_target(told=stories.nothing) as pilot:
        await pilot.press("up", "up", "end", "down", "v", "down", "i", "a", "f", "x", "enter")
        await pilot.press("escape", "escape")
        assert session_of(pilot).target == Latest()
