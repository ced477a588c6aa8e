"""A trainee's whole way by keys, on a real lab; and what the keys of a running lab begin."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from pitr_tui.cli import main
from pitr_tui.errors import PitrError
from pitr_tui.lab import record
from pitr_tui.lab.ending import stop
from pitr_tui.lab.play import StartOrder
from pitr_tui.lab.record import Lab
from pitr_tui.lab.tutorial import Phase
from pitr_tui.recovery.state import RunView
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.running import find_running
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.lab_session import OpenLab
from pitr_tui.tui.screens.connect_found import Behind
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.lab_dialogs import ScoreDialog
from pitr_tui.tui.session import Session
from tests.tui import labs
from tests.tui.scenes import SMALL, screen_text, until
from tests.tui.world import NOW
from tests.unit.made_labs import written_lab

pytestmark = pytest.mark.integration

_CARDS = "pitr_tui.tui.screens.lab_cards"
_PATIENCE = 90  # seconds for a lab on a machine that has other things to do


@pytest.fixture
def _labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for records; the lab that a test leaves is ended."""
    try:
        embedded_installation(server_user())
    except PitrError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path))
    try:
        yield
    finally:
        lab = record.current()
        if lab is not None:
            stop(lab)


@pytest.mark.usefixtures("_labs")
async def test_from_the_card_to_full_marks_and_to_the_end_of_the_lab() -> None:
    app = PitrApp(Session(), first="lab")
    async with app.run_test(size=SMALL) as pilot:

        async def see(words: str) -> None:
            await until(pilot, lambda: words in screen_text(app), _PATIENCE)

        async def yes() -> None:
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.pause()
            await pilot.press("right", "enter")

        await see("Somebody dropped a table")
        await pilot.press("down")
        await see("relation shop.orders does not exist")
        await pilot.press("enter")
        await see("Setting up: Somebody dropped a table")
        await see("lab Somebody dropped a table")  # the coach
        await see("enter: go on to archive")
        session, lab = app.session, record.require_current()
        assert session.lab is not None
        assert session.lab.lab == lab
        assert "gone very quiet" in screen_text(app)
        await pilot.press("enter")
        await see("last archived")
        await pilot.press("ctrl+n")
        await see("nightly")
        await see("enter: choose the target")
        await pilot.press("enter")
        await see("dropped shop.orders")
        await see("● reachable")
        await see("enter: stop just before xid")
        await pilot.press("enter")
        await see("● GREEN")
        await see("enter: start the recovery")
        await pilot.press("enter")
        await yes()
        await see("PAUSED AT TARGET")
        await see("enter: verify what was recovered")
        await pilot.press("enter")
        await see("▸ S: score it")
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, ScoreDialog), _PATIENCE)
        await see("✓ 100 of 100 marks")
        await see("Everything good that could be reached is there")
        await pilot.press("escape")
        await see("· 100 marks")
        assert session.lab.score is not None
        assert session.lab.score.lost == session.lab.score.wrong == ()
        assert session.lab.score.hints == session.lab.score.attempts == 0

        await pilot.press("1", "L")
        await see("▸ Somebody dropped a table  ")
        await see("enter: go on with this lab")
        await see("best 100")
        await pilot.press("x")
        await yes()
        await until(pilot, lambda: app.session.lab is None, _PATIENCE)
        assert record.current() is None
        assert not lab.directory.exists()
        world = lab.directory.resolve()
        assert not any(one.data_directory.is_relative_to(world) for one in find_running())


# The keys of a lab that runs; nothing is really begun or ended.


def session() -> Session:
    return Session(clock=lambda: NOW)


@contextmanager
def alone() -> Iterator[None]:
    """Nothing else of this machine is looked at."""
    with (
        patch("pitr_tui.tui.screens.connect_found.find_running", lambda: ()),
        patch("pitr_tui.tui.screens.connect.look_behind", lambda *_: Behind("Docker 29.1")),
        patch("pitr_tui.tui.screens.past_runs.glances", lambda: iter(())),
    ):
        yield


@contextmanager
def running(one: OpenLab, anew: OpenLab) -> Iterator[list[tuple[str, object]]]:
    """This lab runs; give what is done to it in turn. A start would make the other one."""
    done: list[tuple[str, object]] = []

    def end(lab: Lab) -> tuple[str, ...]:
        done.append(("end", lab))
        return ()

    def start(order: StartOrder, emit: Emit[Phase], cancel: threading.Event) -> Lab:
        done.append(("start", order))
        return anew.lab

    def score(lab: Lab, run: str | None, places: object) -> object:
        done.append(("score", lab))
        return labs.score(87)

    with (
        alone(),
        patch(f"{_CARDS}.look_at_labs", lambda: labs.seen(one)),
        patch(f"{_CARDS}.session_of", lambda _: labs.practising(session(), anew)),
        patch("pitr_tui.lab.ending.stop", end),
        patch("pitr_tui.lab.play.start", start),
        patch("pitr_tui.lab.score.score", score),
    ):
        yield done


def lab_here(programs: Path, **more: object) -> OpenLab:
    """A lab that could be begun anew with the programs in there."""
    (programs / "initdb").touch(0o755)
    return OpenLab(labs.lab(bindir=programs, os_user=server_user().name, seed=4711, **more))


async def test_a_reset_ends_the_lab_and_begins_it_with_the_same_seed(tmp_path: Path) -> None:
    one, anew = lab_here(tmp_path), lab_here(tmp_path, name="dropped-table-4711-anew")
    with running(one, anew) as done:
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            app = pilot.app
            assert isinstance(app, PitrApp)
            await until(pilot, lambda: "running since" in screen_text(app))
            for answer in (["enter"], ["right", "enter"]):  # Cancel has the focus
                assert not done
                await pilot.press("r")
                await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
                await pilot.pause()
                assert "Begin the lab anew?" in screen_text(app)
                await pilot.press(*answer)
                await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
            await until(pilot, lambda: app.session.lab is anew)
            assert app.wizard.current == "connect"
    assert [what for what, _ in done] == ["end", "start"]
    (_, ended), (_, order) = done
    assert ended == one.lab
    assert isinstance(order, StartOrder)
    assert (order.seed, order.scenario) == (4711, one.lab.scenario)
    assert order.directory == one.lab.directory


async def test_the_cards_score_the_lab_that_runs(tmp_path: Path) -> None:
    one = lab_here(tmp_path)
    with running(one, one) as done:
        async with PitrApp(session(), first="lab").run_test(size=SMALL) as pilot:
            await until(pilot, lambda: "running since" in screen_text(pilot.app))
            await pilot.press("s")
            await until(pilot, lambda: isinstance(pilot.app.screen, ScoreDialog))
            assert "87 of 100 marks" in screen_text(pilot.app)
            assert done == [("score", one.lab)]
            await pilot.press("escape")
            await until(pilot, lambda: "87 marks" in screen_text(pilot.app))


@pytest.mark.parametrize("key", ["r", "x"])
async def test_a_recovery_that_goes_on_is_not_taken_away(tmp_path: Path, key: str) -> None:
    one = lab_here(tmp_path)
    recovering = labs.practising(session(), one)
    recovering.run = RunView()
    with running(one, one) as done:
        async with PitrApp(recovering, first="lab").run_test(size=SMALL) as pilot:
            await until(pilot, lambda: "running since" in screen_text(pilot.app))
            await pilot.press(key)
            await until(pilot, lambda: "a recovery is going on" in screen_text(pilot.app))
            assert not isinstance(pilot.app.screen, ConfirmDialog)
    assert not done


# `pitr lab open`


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitr_tui.cli.wizard.require_terminal", lambda: None)


def left_when(app_shows: Callable[[PitrApp], bool]) -> Callable[[PitrApp], int]:
    """A person who leaves the wizard as soon as it shows something."""

    async def looked(app: PitrApp) -> None:
        async with app.run_test(size=SMALL) as pilot:
            await until(pilot, lambda: app_shows(app))

    def run(app: PitrApp) -> int:
        asyncio.run(looked(app))
        return 0

    return run


@pytest.mark.usefixtures("_terminal")
def test_without_a_lab_it_opens_on_the_cards(capsys: pytest.CaptureFixture[str]) -> None:
    cards = left_when(lambda app: "Practise: which accident" in screen_text(app))
    with alone(), patch.object(PitrApp, "run", cards):
        assert main(["lab", "open"]) == 0
    assert "goes on running" not in capsys.readouterr().out


@pytest.mark.usefixtures("_terminal")
def test_with_one_it_opens_on_it_and_says_that_it_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lab = written_lab(tmp_path / "lab", os_user=server_user().name)
    opened = left_when(
        lambda app: (
            app.session.lab is not None
            and app.session.lab.lab == lab
            and app.session.archive_directory == lab.archive_directory
            and "All prices are zero." in screen_text(app)
        )
    )
    with alone(), patch.object(PitrApp, "run", opened):
        assert main(["lab", "open"]) == 0
    told = capsys.readouterr().out
    assert f"The lab {lab.name} goes on running." in told
    for command in ("pitr lab open", "pitr lab score", "pitr lab stop"):
        assert command in told
    assert record.current() == lab
