"""Lessons over the wizard: opened by help on every step, and read by keys alone."""

from typing import Any
from unittest.mock import patch

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static

from pitr_tui.errors import PitrError
from pitr_tui.recovery.teaching import STEPS, Kind, lesson
from pitr_tui.servers.container_secondary import ContainerSecondary
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.lesson import LessonDialog
from pitr_tui.tui.session import Session
from tests.tui.first_scenes import FIRST_SCENES
from tests.tui.scenes import SCENES, SMALL, opened, screen_text, until
from tests.tui.world import NOW

EVERY = {scene.name: scene for scene in (*FIRST_SCENES, *SCENES)}
SCENE_OF = {
    "connect": "connect",
    "archive": "archive-change",
    "backups": "backups",
    "target": "target",
    "plan": "plan",
    "recover": "recover-replaying",
    "verify": "verify",
}
HEADINGS = [
    "What this step does",
    "Why",
    "Behind it",
    "What would go wrong without it",
    "PostgreSQL 18's manual says so",
    "Without the screen",
    "Keys",
]


async def asked(pilot: Pilot[Any], key: str = "f1") -> LessonDialog:
    """Press a key for help, and wait for the lesson."""
    if key == "question_mark":
        pilot.app.screen.set_focus(None)  # a field takes the sign for itself
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, LessonDialog))
    await pilot.pause()
    dialog = pilot.app.screen
    assert isinstance(dialog, LessonDialog)
    return dialog


def body_of(dialog: LessonDialog) -> VerticalScroll:
    return dialog.query_one(".dialog-body", VerticalScroll)


def headings(dialog: LessonDialog) -> dict[str, int]:
    """The headings, each with its row in the whole text."""
    found = dialog.query(".part-heading").results(Static)
    return {str(one.content): one.virtual_region.y for one in found}


def at_top(dialog: LessonDialog) -> str:
    """The heading in the first row that is seen."""
    first = round(body_of(dialog).scroll_y)
    return next((text for text, row in headings(dialog).items() if row == first), "")


def whole(dialog: LessonDialog) -> str:
    """All of the text, seen or not."""
    return "\n".join(str(one.content) for one in body_of(dialog).query(Static))


@pytest.mark.parametrize("step", STEPS)
async def test_help_opens_the_lesson_of_every_step(step: str) -> None:
    async with EVERY[SCENE_OF[step]].played(SMALL) as pilot:
        dialog = await asked(pilot, "question_mark")
        assert dialog.step == step
        assert f"{STEPS.index(step) + 1} {lesson(step).title}" in screen_text(pilot.app)
        assert list(headings(dialog)) == HEADINGS
        assert at_top(dialog) == HEADINGS[0]
        assert "Step back" in whole(dialog)  # one of the keys
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)


async def test_the_plan_on_the_screen_is_the_one_that_is_taught() -> None:
    async with EVERY["plan"].played(SMALL) as pilot:
        dialog = await asked(pilot)
        assert isinstance(pilot.app, PitrApp)
        plan = pilot.app.session.plan
        assert plan is not None
        text = whole(dialog)
        assert "These are the ones of your plan." in text
        for one in lesson("plan", plan=plan).behind:
            if one.kind is Kind.SETTING:
                assert one.text in text
        assert plan.recovery_settings()["recovery_target_xid"] in text


async def test_the_proposal_on_the_screen_is_the_one_that_is_taught() -> None:
    async with EVERY["archive-change"].played(SMALL) as pilot:
        text = whole(await asked(pilot))
        assert "archive_mode = 'on'  (now off, needs a restart)" in text
        assert "d=/srv/pg/pitr-archive;" in text


async def test_the_backup_that_would_be_taken_is_taught() -> None:
    async with EVERY["backups"].played(SMALL) as pilot:
        text = whole(await asked(pilot))
        assert "--pgdata /srv/pg/backups/" in text
        assert "The command is the one that would run now." in text


async def test_every_lesson_is_reached_by_keys_from_the_first_step() -> None:
    async with PitrApp(Session(clock=lambda: NOW)).run_test(size=SMALL) as pilot:
        await opened(pilot)
        dialog = await asked(pilot)
        for step in STEPS[1:]:
            await pilot.press("right")
            await until(pilot, lambda: lesson(dialog.step).title in screen_text(pilot.app))
            assert dialog.step == step
            # The keys are those of the step below, and so are not told with another one.
            await until(pilot, lambda: list(headings(dialog)) == HEADINGS[:-1])
            assert at_top(dialog) == HEADINGS[0]
        await pilot.press("right")
        assert dialog.step == STEPS[-1]
        await pilot.press("left")
        assert dialog.step == STEPS[-2]
        await pilot.press("4")
        await until(pilot, lambda: lesson("target").title in screen_text(pilot.app))
        await until(pilot, lambda: list(headings(dialog)) == HEADINGS[:-1])
        assert "recovery_target_xid = '4711'" in whole(dialog)
        await pilot.press("q")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)


async def test_one_reads_from_heading_to_heading() -> None:
    async with PitrApp(Session(clock=lambda: NOW)).run_test(size=SMALL) as pilot:
        await opened(pilot)
        dialog = await asked(pilot)
        for heading in HEADINGS[1:4]:
            await pilot.press("tab")
            await pilot.pause()
            assert at_top(dialog) == heading
        await pilot.press("shift+tab")
        await pilot.pause()
        assert at_top(dialog) == HEADINGS[2]
        await pilot.press("down", "p")
        await pilot.pause()
        assert at_top(dialog) == HEADINGS[2]
        await pilot.press("end")
        await pilot.pause()
        assert body_of(dialog).scroll_y == body_of(dialog).max_scroll_y > 0
        assert "Go to a step that can be entered" in screen_text(pilot.app)
        await pilot.press("home")
        seen, body = "", body_of(dialog)
        while body.scroll_y < body.max_scroll_y:
            seen += screen_text(pilot.app)
            await pilot.press("pagedown")
            await pilot.pause()
        assert all(heading in seen for heading in HEADINGS)


async def test_a_plan_whose_engine_is_away_does_not_keep_the_lesson_back() -> None:
    async with EVERY["plan-container"].played(SMALL) as pilot:
        assert "docker volume create" in whole(await asked(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        gone = PitrError("the Docker engine does not answer")
        with patch.object(ContainerSecondary, "place_commands", side_effect=gone):
            text = whole(await asked(pilot))
        assert "Your plan cannot be shown now (the Docker engine does not answer)." in text
        assert "recovery.signal" in text
