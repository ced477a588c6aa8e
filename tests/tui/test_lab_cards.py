"""The cards of the lab, driven by keys; nothing of a lab is really there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from textual.app import App

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.lab.scenario_file import built_in
from pitr_tui.lab.tutorial import Phase
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.lab_session import OpenLab
from pitr_tui.tui.screens.connect_found import Behind
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.lab_cards import LabPane
from pitr_tui.tui.session import Session
from tests.tui.labs import MARKS, hinted, lab, practising, score, seen
from tests.tui.scenes import LARGE, SMALL, opened, screen_text, until
from tests.tui.world import NOW

_CARDS = "pitr_tui.tui.screens.lab_cards"


def session() -> Session:
    return Session(clock=lambda: NOW)


@contextmanager
def labs(running: OpenLab | None = None) -> Iterator[None]:
    """What the pane finds; nothing else of this machine is looked at."""
    with (
        patch(f"{_CARDS}.look_at_labs", lambda: seen(running)),
        patch("pitr_tui.tui.screens.connect_found.find_running", lambda: ()),
        patch("pitr_tui.tui.screens.connect.look_behind", lambda *_: Behind("Docker 29.1")),
        patch("pitr_tui.tui.screens.past_runs.glances", lambda: iter(())),
    ):
        yield


def is_shown(app: App[Any], words: str) -> bool:
    return words in screen_text(app)


async def test_every_scenario_has_a_card_that_fits() -> None:
    with labs():
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            await until(pilot, lambda: "An import" in screen_text(pilot.app))
            for scenario in built_in():
                for words in (f"█ {scenario.title}", " ▸ enter: begin it"):
                    await until(pilot, partial(is_shown, pilot.app, words))
                text = screen_text(pilot.app)
                rows = text.splitlines()
                row = next(one for one in rows if scenario.title[:30] in one)
                assert str(scenario.difficulty) in row
                assert f"{scenario.minutes} min" in row
                if scenario.name in MARKS:
                    assert f"best {MARKS[scenario.name]:>3}" in row
                assert scenario.story.split()[-1] in text  # to its end
                assert "{" not in text
                await pilot.press("down")


async def test_an_own_file_that_is_no_scenario_is_told_of() -> None:
    broken = replace(seen(None), broken=(Path("/srv/scenarios/mine.yaml"),))
    with labs(), patch(f"{_CARDS}.look_at_labs", lambda: broken):
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            await until(pilot, partial(is_shown, pilot.app, "mine.yaml is not right"))
            assert "An import" in screen_text(pilot.app)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_first_step_shows_the_key_and_escape_leads_back(size: tuple[int, int]) -> None:
    with labs():
        async with PitrApp(session()).run_test(size=size) as pilot:
            app = await opened(pilot)
            assert "practise in the lab" in screen_text(app)
            await until(pilot, lambda: "L Lab" in screen_text(app).splitlines()[-1])
            await pilot.press("L")
            await until(pilot, lambda: "Practise: which accident" in screen_text(app))
            assert "L Lab" not in screen_text(app)
            await pilot.press("escape")
            await until(pilot, lambda: app.wizard.current == "connect")
            await pilot.press("ctrl+l")
            await until(pilot, lambda: app.wizard.current == "lab")
            await pilot.press("ctrl+b")
            await until(pilot, lambda: app.wizard.current == "connect")


async def test_a_start_tells_its_phases_and_opens_the_wizard_on_the_lab() -> None:
    go_on = threading.Event()
    made = practising(session())

    def played(
        before: object, order: object, emit: Emit[Phase], cancel: threading.Event
    ) -> Session:
        assert before is None
        emit(Phase("make the primary"))
        emit(Phase("make the primary", seconds=1.2))
        emit(Phase("let the shop work", 120, 240))
        assert go_on.wait(10)
        return made

    with labs(), patch(f"{_CARDS}._played", played):
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            app = pilot.app
            assert isinstance(app, PitrApp)
            await until(pilot, lambda: "An import" in screen_text(app))
            records, reach = app.session.records, app.session.reach
            await pilot.press("down", "enter")
            await until(pilot, lambda: "let the shop work" in screen_text(app))
            text = screen_text(app)
            assert "Setting up: Somebody dropped a table" in text
            assert "gone very quiet" in text  # the story can be read meanwhile
            assert "✓ make the primary" in text
            assert "1.2 s" in text
            assert "esc cancels" in text
            go_on.set()
            await until(pilot, lambda: app.wizard.current == "connect")
            assert app.session is made
            assert app.session.records is records
            assert app.session.reach is reach
            await until(pilot, lambda: "lab Somebody dropped a table" in screen_text(app))


async def test_a_start_can_be_cancelled_and_one_that_fails_says_why() -> None:
    def played(
        before: object, order: object, emit: Emit[Phase], cancel: threading.Event
    ) -> Session:
        emit(Phase("make the primary"))
        if cancel.wait(10):
            raise CancelledError("the lab was cancelled")
        raise AssertionError("nobody cancelled")

    def failing(*_: object) -> Session:
        raise PitrError("the disk is full", "no space left on device")

    with labs():
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            app = pilot.app
            await until(pilot, lambda: "An import" in screen_text(app))
            with patch(f"{_CARDS}._played", played):
                await pilot.press("enter")
                await until(pilot, lambda: "▸ make the primary" in screen_text(app))
                await pilot.press("escape")
                await until(pilot, lambda: "the lab was cancelled" in screen_text(app))
            assert "An import" in screen_text(app)
            with patch(f"{_CARDS}._played", failing):
                await pilot.press("enter")
                await until(pilot, lambda: "✗ the disk is full" in screen_text(app))


async def test_the_lab_that_runs_is_above_the_others_with_its_keys() -> None:
    running = hinted()
    running.score = score(87)
    stopped: list[object] = []

    def stop(lab: object) -> tuple[str, ...]:
        stopped.append(lab)
        return ("the secondary in /srv/else stays",)

    with (
        labs(),
        patch(f"{_CARDS}.look_at_labs", lambda: seen(None if stopped else running)),
        patch("pitr_tui.lab.ending.stop", stop),
        patch(f"{_CARDS}.session_of", lambda _: practising(session(), running)),
    ):
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            app = pilot.app
            assert isinstance(app, PitrApp)
            await until(pilot, lambda: "running since" in screen_text(app))
            text = screen_text(app)
            assert "▸ Somebody dropped a table  running since 4 minutes" in text
            assert "hints 1 of 3, 87 marks" in text
            await until(pilot, lambda: "s Score r Reset x Stop" in screen_text(app))
            await until(pilot, lambda: "enter: go on with this lab" in screen_text(app))

            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.pause()
            await pilot.press("enter")  # Cancel has the focus
            await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
            assert not stopped

            await pilot.press("enter")
            await until(pilot, lambda: app.session.lab is running)
            await pilot.press("L")
            await until(pilot, lambda: app.wizard.current == "lab")
            await until(pilot, lambda: "running since" in screen_text(app))
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.pause()
            await pilot.press("right", "enter")
            await until(pilot, lambda: app.session.lab is None)  # nothing of it is there any more
            assert stopped == [running.lab]
            assert app.wizard.current == "lab"


async def test_another_one_ends_the_lab_that_runs_only_after_a_yes() -> None:
    running = OpenLab(lab())
    ended: list[object] = []

    def played(
        before: object, order: object, emit: Emit[Phase], cancel: threading.Event
    ) -> Session:
        ended.append(before)
        return practising(session())

    with labs(running), patch(f"{_CARDS}._played", played):
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            app = pilot.app
            assert isinstance(app, PitrApp)
            await until(pilot, lambda: "running since" in screen_text(app))
            await pilot.press("down", "enter")
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.pause()
            assert "Then this begins: An import put in wrong rows" in screen_text(app)
            await pilot.press("right", "enter")
            await until(pilot, lambda: app.wizard.current == "connect")
            assert ended == [running.lab]


async def test_a_lab_that_is_on_the_screen_is_gone_on_with_where_one_was() -> None:
    running = hinted()
    with labs(running):
        async with PitrApp(practising(session(), running)).run_test(size=SMALL) as pilot:
            app = await opened(pilot)
            here = app.session
            await pilot.press("L")
            await until(pilot, lambda: "running since" in screen_text(app))
            assert isinstance(app.wizard.panes["lab"], LabPane)
            assert "hints" not in screen_text(app).splitlines()[-3]  # no coach over the cards
            await pilot.press("enter")
            await until(pilot, lambda: app.wizard.current == "connect")
            assert app.session is here


async def test_a_lab_that_was_ended_meanwhile_is_left() -> None:
    with labs():
        async with PitrApp(practising(session())).run_test(size=SMALL) as pilot:
            app = await opened(pilot)
            await pilot.press("L")
            await until(pilot, lambda: app.session.lab is None)
            await until(pilot, lambda: "An import" in screen_text(app))
            assert app.wizard.session is app.session
