"""The recover step with an engine that does what the test says."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.target import AtTime
from pitr_tui.recovery.checks import Judgement
from pitr_tui.recovery.events import LogArrived, RunFailed, Stamped
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.screens import recover
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.recover import RecoverPane
from pitr_tui.tui.widgets.problem import Problem
from tests.tui.scenes import (
    MISSING,
    PAUSED,
    SMALL,
    journal,
    screen_text,
    session_at,
    settled,
    until,
    until_event,
)
from tests.unit.made import backup_value, make_plan

NOW = journal(PAUSED)[0].at


@dataclass
class Engine:
    """Runs as recorded: half of the events at once, the rest when `go` is set."""

    events: list[Stamped] = field(default_factory=lambda: journal(PAUSED))
    error: PitrError | None = None
    starts: int = 0
    go: threading.Event = field(default_factory=threading.Event)

    def __call__(
        self,
        plan: RecoveryPlan,
        seen: Judgement | None,
        emit: Emit[Stamped],
        cancel: threading.Event,
    ) -> RunView:
        self.starts += 1
        first = until_event(self.events, LogArrived, "redo starts") if self.events else []
        for stamped in first:
            emit(stamped)
        while not self.go.wait(0.005):
            if cancel.is_set():
                left = RunFailed("the recovery was cancelled", "you asked to stop", "", "", True)
                emit(Stamped(NOW, left))
                raise CancelledError("the recovery was cancelled")
        for stamped in self.events[len(first) :]:
            emit(stamped)
        if self.error is not None:
            raise self.error
        return RunView()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(recover, "_recover", made)
    return made


@asynccontextmanager
async def recovering(place: Path) -> AsyncIterator[tuple[Pilot[Any], RecoverPane]]:
    """The wizard just after a plan was confirmed."""
    session = session_at(NOW)
    session.backup = backup_value(place / "backup-1")
    session.plan = make_plan(place, target=AtTime(NOW))
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.wizard.query("Footer"))
        await app.wizard.show("recover")
        pane = app.wizard.panes["recover"]
        assert isinstance(pane, RecoverPane)
        yield pilot, pane


def shows(pilot: Pilot[Any], text: str) -> Callable[[], bool]:
    return lambda: text in screen_text(pilot.app)


async def test_a_confirmed_plan_starts_and_leads_to_verify(tmp_path: Path, engine: Engine) -> None:
    async with recovering(tmp_path) as (pilot, pane):
        await until(pilot, shows(pilot, "REPLAYING"))
        assert pane.at_work == "the recovery"
        assert pane.session.run is pane.panel.view
        engine.go.set()
        await settled(pilot)
        assert "PAUSED AT TARGET" in screen_text(pilot.app)
        assert pane.session.secondary is not None
        assert pane.at_work == ""
        await pilot.press("enter")
        await until(pilot, shows(pilot, "This is the database as of"))


async def test_it_cannot_be_started_twice(tmp_path: Path, engine: Engine) -> None:
    async with recovering(tmp_path) as (pilot, pane):
        await until(pilot, shows(pilot, "REPLAYING"))
        await pilot.press("enter", "enter", "r", "ctrl+r")
        pane.enter()
        pane.start()
        pane.proceed()
        await pilot.press("5", "6")
        await pilot.pause()
        assert engine.starts == 1
        engine.go.set()
        await settled(pilot)
        pane.enter()
        await settled(pilot)
        assert engine.starts == 1


async def test_leaving_the_step_lets_it_go_on(tmp_path: Path, engine: Engine) -> None:
    async with recovering(tmp_path) as (pilot, pane):
        await until(pilot, shows(pilot, "REPLAYING"))
        await pilot.press("3")  # where the backup turns out to be gone, which blocks other steps
        engine.go.set()
        await until(pilot, lambda: not pane.running)
        await settled(pilot)
        await pilot.press("6")
        await until(pilot, shows(pilot, "PAUSED AT TARGET"))
        assert engine.starts == 1


@pytest.mark.parametrize("key", ["x", "ctrl+c"])
async def test_stopping_asks_first(tmp_path: Path, engine: Engine, key: str) -> None:
    async with recovering(tmp_path) as (pilot, pane):
        await until(pilot, shows(pilot, "REPLAYING"))
        await pilot.press(key)
        assert isinstance(pilot.app.screen, ConfirmDialog)
        await pilot.press("enter")  # Cancel has the focus
        await pilot.pause()
        assert pane.running
        await pilot.press(key, "right", "enter")
        await until(pilot, lambda: not pane.running)
        await settled(pilot)
        assert pane.panel.view.state is RunState.CANCELLED
        assert "CANCELLED" in screen_text(pilot.app)
        assert pane.session.secondary is None


async def test_quitting_asks_and_waits_for_the_tidying_up(tmp_path: Path, engine: Engine) -> None:
    async with recovering(tmp_path) as (pilot, pane):
        await until(pilot, shows(pilot, "REPLAYING"))
        await pilot.press("ctrl+q")
        assert isinstance(pilot.app.screen, ConfirmDialog)
        await pilot.press("right", "enter")
        await until(pilot, lambda: not pane.running)


async def test_a_failure_tells_why_and_can_be_tried_again(tmp_path: Path, engine: Engine) -> None:
    engine.events, engine.error = journal(MISSING), PitrError("told by the panel already")
    engine.go.set()
    async with recovering(tmp_path) as (pilot, pane):
        await settled(pilot)
        text = screen_text(pilot.app)
        assert "FAILED" in text
        assert "is not in the archive" in text
        assert "left:" in text
        assert not pane.query_one(Problem).display
        engine.events, engine.error = journal(PAUSED), None
        await pilot.press("r")
        await settled(pilot)
        assert engine.starts == 2
        text = screen_text(pilot.app)
        assert "PAUSED AT TARGET" in text
        assert "is not in the archive" not in text
        assert "FATAL" not in text


async def test_a_failure_leads_back_to_the_target(tmp_path: Path, engine: Engine) -> None:
    engine.events, engine.error = journal(MISSING), PitrError("no")
    engine.go.set()
    async with recovering(tmp_path) as (pilot, _):
        await settled(pilot)
        await pilot.press("T")
        await until(pilot, lambda: getattr(pilot.app, "wizard").current == "target")  # noqa: B009


async def test_what_fails_before_the_run_is_told_below(tmp_path: Path, engine: Engine) -> None:
    engine.events, engine.error = [], PitrError("the journal of this run cannot be written")
    engine.go.set()
    async with recovering(tmp_path) as (pilot, pane):
        await settled(pilot)
        assert "the journal of this run cannot be written" in screen_text(pilot.app)
        assert pane.session.run is None
