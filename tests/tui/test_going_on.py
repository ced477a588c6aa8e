"""Going on with a run that stands: after a failure, and from its journal, with a made engine."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from pitr_tui.cli.output import Output
from pitr_tui.cli.wizard import _tell_what_is_left
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.target import AtXid
from pitr_tui.recovery.checks import Judgement
from pitr_tui.recovery.events import (
    RunFailed,
    RunStarted,
    RunTakenUp,
    Stamped,
    Step,
    StepDone,
    StepStarted,
)
from pitr_tui.recovery.journal import Journal, runs_directory
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.state import RunView
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.screens import discarding, opening, recover
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.recover import RecoverPane
from pitr_tui.tui.screens.runs import RunsDialog
from pitr_tui.tui.session import Session
from tests.tui.scenes import (
    SMALL,
    journal,
    opened,
    screen_text,
    session_at,
    settled,
    until,
    until_event,
)
from tests.tui.standing_scenes import KEPT
from tests.unit.made import backup_value, make_plan
from tests.unit.made_journals import lay_down

EVENTS = journal(KEPT)
FAILED = until_event(EVENTS, RunFailed)
TAKEN_UP = EVENTS[len(FAILED) :]
TARGET = AtXid(64510, inclusive=False)
NAME = "20261123-071539-e8ad4297"


@dataclass
class Engine:
    """A run that fails with its copy kept; taken up, it comes to its target."""

    refusal: PitrError | None = None
    waits: bool = False
    plans: list[RecoveryPlan] = field(default_factory=list)

    def recover(
        self,
        plan: RecoveryPlan,
        seen: Judgement | None,
        emit: Emit[Stamped],
        cancel: threading.Event,
    ) -> RunView:
        for stamped in FAILED:
            emit(stamped)
        raise PitrError("told by the panel already")

    def take_up(
        self,
        record: RunRecord,
        plan: RecoveryPlan,
        seen: Judgement | None,
        emit: Emit[Stamped],
        cancel: threading.Event,
    ) -> RunView:
        self.plans.append(plan)
        if self.refusal is not None:
            raise self.refusal
        first = until_event(TAKEN_UP, RunTakenUp) if self.waits else TAKEN_UP
        for stamped in first:
            emit(stamped)
        if not self.waits:
            return RunView()
        assert cancel.wait(10)
        left = RunFailed("the recovery was cancelled", "", "", "the copy", True, "", kept=True)
        emit(Stamped(TAKEN_UP[-1].at, left))
        raise CancelledError("the recovery was cancelled")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(recover, "_recover", made.recover)
    monkeypatch.setattr(recover, "_take_up", made.take_up)
    return made


@asynccontextmanager
async def failed(place: Path) -> AsyncIterator[tuple[Pilot[Any], RecoverPane, Session]]:
    """The wizard just after the run has failed."""
    session = session_at(EVENTS[-1].at)
    session.backup = backup_value(place / "backup-1")
    session.plan = make_plan(place, target=TARGET)
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await app.wizard.show("recover")
        await settled(pilot)
        pane = app.wizard.panes["recover"]
        assert isinstance(pane, RecoverPane)
        yield pilot, pane, session


@pytest.mark.parametrize("key", ["enter", "r"])
async def test_a_kept_copy_is_gone_on_with(tmp_path: Path, engine: Engine, key: str) -> None:
    async with failed(tmp_path) as (pilot, pane, session):
        text = screen_text(pilot.app)
        assert "FAILED" in text
        assert f"left: the copy, stopped: pitr resume {NAME} takes it up" in text
        assert "enter: go on with the copy that is there" in text
        assert session.standing is not None
        assert session.record == RunRecord(runs_directory() / NAME)
        panel = pane.panel.view
        await pilot.press(key)
        await settled(pilot)
        text = screen_text(pilot.app)
        assert "PAUSED AT TARGET" in text
        assert "enter: verify what was recovered" in text
        assert pane.panel.view is panel
        assert [one.target for one in engine.plans] == [TARGET]
        assert session.secondary is not None
        assert session.standing is not None
        assert [one.name for one in session.records] == [NAME]


async def test_stopping_one_that_was_gone_on_with_keeps_it(tmp_path: Path, engine: Engine) -> None:
    engine.waits = True
    async with failed(tmp_path) as (pilot, pane, session):
        await pilot.press("enter")
        await until(pilot, lambda: pane.panel.view.taken_up is not None)
        assert pane.check_action("throw_away", ()) is False
        await pilot.press("x")
        assert isinstance(pilot.app.screen, ConfirmDialog)
        asked = " ".join(screen_text(pilot.app).split())
        assert "its copy is kept" in asked
        assert "removed" not in asked
        await pilot.press("right", "enter")
        await settled(pilot)
        assert pane.panel.view.failed is not None
        assert pane.panel.view.failed.cancelled
        assert session.standing is not None
        assert "enter: go on with the copy" in screen_text(pilot.app)


async def test_quitting_says_that_it_is_kept(tmp_path: Path, engine: Engine) -> None:
    engine.waits = True
    async with failed(tmp_path) as (pilot, pane, _):
        await pilot.press("enter")
        await until(pilot, lambda: pane.panel.view.taken_up is not None)
        await pilot.press("ctrl+q")
        assert "its copy is kept" in " ".join(screen_text(pilot.app).split())
        await pilot.press("right", "enter")
        await until(pilot, lambda: not pane.running)


async def test_what_is_refused_leaves_all_as_it_was(tmp_path: Path, engine: Engine) -> None:
    engine.refusal = RefusedError("the secondary of this run has opened for writing")
    async with failed(tmp_path) as (pilot, _, session):
        before = session.standing
        await pilot.press("enter")
        await settled(pilot)
        assert "has opened for writing" in screen_text(pilot.app)
        assert session.standing is before
        await pilot.press("5", "6")
        await settled(pilot)
        assert len(engine.plans) == 1


async def test_it_is_thrown_away_by_its_name(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    thrown: list[tuple[str, str]] = []
    monkeypatch.setattr(
        discarding, "discard_run", lambda run, server: thrown.append((run.name, server.name))
    )
    async with failed(tmp_path) as (pilot, _, session):
        await pilot.press("D", "enter")
        assert thrown == []
        pilot.app.screen.query_one(Input).value = "secondary"
        await pilot.press("enter")
        await until(pilot, lambda: "Where do you want to stop?" in screen_text(pilot.app))
        assert [name for name, _ in thrown] == [NAME]
        assert (session.standing, session.run, session.record) == (None, None, None)
        assert len(session.records) == 1


# From the journal.


def make_openable(monkeypatch: pytest.MonkeyPatch, place: Path, runs: bool) -> None:
    """Let the plan of the recorded run be made of nothing, and its server run or not."""

    def plan_from(data: object, places: object) -> RecoveryPlan:
        plan = make_plan(place, "15.18", target=TARGET, destination=place)
        backup = replace(plan.backup, path=place / "backups" / "nightly")
        return replace(plan, backup=backup)

    monkeypatch.setattr(opening, "plan_from", plan_from)
    monkeypatch.setattr(LocalSecondary, "is_running", lambda _: runs)


def here(events: list[Stamped], place: Path) -> list[Stamped]:
    """The same run, recovered into a place that is there."""
    started = events[0].event
    assert isinstance(started, RunStarted)
    return [Stamped(events[0].at, replace(started, destination=str(place))), *events[1:]]


@asynccontextmanager
async def choosing(session: Session) -> AsyncIterator[Pilot[Any]]:
    """The wizard with the list of runs open."""
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await settled(pilot)
        await pilot.press("R")
        assert isinstance(app.screen, RunsDialog)
        yield pilot


def during(step: Step) -> Callable[[Stamped], bool]:
    return lambda one: one.event == StepStarted(step)


def behind(step: Step) -> Callable[[Stamped], bool]:
    return lambda one: isinstance(one.event, StepDone) and one.event.step is step


def cut_at(happened: Callable[[Stamped], bool], place: Path) -> list[Stamped]:
    last = next(number for number, one in enumerate(EVENTS) if happened(one))
    return here(EVENTS[: last + 1], place)


@pytest.mark.parametrize(
    ("happened", "runs", "words", "action"),
    [
        (
            during(Step.COPY),
            False,
            "what was copied into",
            "recover once more, by the same plan",
        ),
        (behind(Step.COPY), False, "is whole, and nothing of it is copied again", "go on with"),
        (during(Step.REPLAY), True, "runs, and waits for WAL that nobody", "go on with the copy"),
    ],
)
async def test_a_run_that_was_cut_off_is_opened(
    happened: Callable[[Stamped], bool],
    runs: bool,
    words: str,
    action: str,
    tmp_path: Path,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lay_down(NAME, cut_at(happened, tmp_path))
    make_openable(monkeypatch, tmp_path, runs)
    session = Session(clock=lambda: EVENTS[-1].at)
    async with choosing(session) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "CUT OFF" in screen_text(pilot.app))
        text = " ".join(screen_text(pilot.app).split())
        assert words in text
        assert action in text
        assert NAME in text
        assert session.backup_directory == tmp_path / "backups"
        assert session.archive_directory is not None
        assert engine.plans == []
        await pilot.press("enter")
        await settled(pilot)
        assert len(engine.plans) == 1
        assert "PAUSED AT TARGET" in screen_text(pilot.app)


@pytest.mark.parametrize("runs", [True, False])
async def test_a_paused_one_is_opened_where_it_stands(
    runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_down(NAME, here(EVENTS, tmp_path))
    make_openable(monkeypatch, tmp_path, runs)
    session = Session(clock=lambda: EVENTS[-1].at)
    async with choosing(session) as pilot:
        assert "paused at target" in screen_text(pilot.app)
        await pilot.press("enter")
        shown = "This is the database as of" if runs else "NOT RUNNING"
        await until(pilot, lambda: shown in screen_text(pilot.app))
        assert session.standing is not None
        assert (session.secondary is not None) == runs
        if runs:
            await pilot.press("s")
            await until(pilot, lambda: "Where do you want to stop?" in screen_text(pilot.app))
        else:
            assert "enter: start the secondary again" in screen_text(pilot.app)


async def test_what_cannot_be_opened_cannot_be_chosen(tmp_path: Path) -> None:
    lay_down(NAME, here(EVENTS, tmp_path))
    held = lay_down("20261124-000000-aaaaaaaa", here(FAILED[:-1], tmp_path))
    lay_down("20261122-000000-bbbbbbbb", here(EVENTS, tmp_path / "gone"))
    lay_down("20261121-000000-cccccccc", [])
    live = Journal.reopen(held, lambda _: None)
    try:
        async with choosing(Session(clock=lambda: EVENTS[-1].at)) as pilot:
            text = screen_text(pilot.app)
            assert "running now" in text
            assert "its place is gone" in text
            assert "cannot be read" in text
            listing = pilot.app.screen.query_one(OptionList)
            usable = [one.id for one in listing.options if not one.disabled]
            assert usable == [NAME]
    finally:
        live.close()


async def test_without_an_open_run_nothing_is_said(tmp_path: Path) -> None:
    app = PitrApp(Session(clock=lambda: EVENTS[-1].at))
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await settled(pilot)
        assert "Recoveries" not in screen_text(app)
        assert not app.query_one("#runs-line").is_on_screen


def test_leaving_tells_how_to_go_on(
    tmp_path: Path, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    session = Session()
    for name, events in (
        (NAME, here(FAILED, tmp_path / "a")),
        ("20261124-000000-aaaaaaaa", here(EVENTS, tmp_path / "a")),
        ("20261125-000000-bbbbbbbb", here(EVENTS, tmp_path / "gone")),
    ):
        session.records.append(RunRecord(lay_down(name, events)))
    _tell_what_is_left(session, Output(as_json=False))
    said = capsys.readouterr().out
    assert f"  go on:       pitr resume {NAME}\n" in said
    assert "  step on:     pitr resume 20261124-000000-aaaaaaaa --target-…\n" in said
    assert "bbbbbbbb" not in said
