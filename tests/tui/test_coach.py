"""The coach beside the steps: three lines at most, hints that are counted, a score."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from unittest.mock import patch

import pytest
from textual.binding import Binding
from textual.widgets import Button

import pitr_tui.tui
from pitr_tui.errors import RefusedError
from pitr_tui.lab import diary
from pitr_tui.lab.coach import advice, in_short
from pitr_tui.lab.container_ground import container_name
from pitr_tui.lab.scenario_file import built_in
from pitr_tui.recovery.state import RunState
from pitr_tui.servers.osuser import server_user
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.lab_session import OpenLab, free_destination, session_of, told_notes
from pitr_tui.tui.screens.lab_dialogs import HintDialog, ScoreDialog
from pitr_tui.tui.screens.lab_keys import LabKeys
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.coach import Coached, CoachPanel, coach_content
from pitr_tui.tui.widgets.stepper import NAMES
from tests.tui.first_scenes import FirstScene, chosen, connected
from tests.tui.labs import HINTS, hinted, practising, score
from tests.tui.scenes import LARGE, PAUSED, SMALL, Scene, journal, screen_text, until
from tests.unit.made_labs import written_lab

LONG = "A very long sentence that nobody can read at a glance. " * 9


def told(hint: str = "") -> Coached:
    return Coached(
        title=LONG,
        story=LONG,
        advice=LONG,
        minutes=1234,
        hints=2,
        of=3,
        hint=hint,
        marks=100,
        can_score=True,
    )


@pytest.mark.parametrize("hint", ["", LONG])
@pytest.mark.parametrize(("size", "most"), [((80, 24), 3), ((120, 24), 3), ((120, 40), 8)])
def test_it_takes_few_lines_whatever_it_has_to_tell(
    size: tuple[int, int], most: int, hint: str
) -> None:
    rows = coach_content(told(hint), *size).plain.splitlines()
    assert len(rows) <= most
    assert all(len(row) <= size[0] - 2 for row in rows)
    assert rows[0].endswith("C hide")
    assert ("hint 2: A very long" in "\n".join(rows)) is bool(hint)


def test_what_is_told_of_each_step_fits_into_a_line() -> None:
    for scenario in built_in():
        for state in ("runs", "stopped", "killed", "lost"):
            for step in NAMES:
                words = advice(scenario, state, step)
                assert words
                assert scenario.coach.get(step) or len(words) <= 76, (step, words)


def test_a_story_in_short_ends_with_a_sentence() -> None:
    assert (
        in_short('He says: "It is gone." We look. And more.') == 'He says: "It is gone." We look.'
    )
    assert in_short("no end") == "no end"


def test_the_keys_of_the_lab_are_nobody_elses() -> None:
    ours = {binding.key for binding in _bindings(LabKeys)}
    assert ours == {"L,ctrl+l", "H,ctrl+g", "S,ctrl+s", "C,ctrl+o"}
    mine = {key for binding in ours for key in binding.split(",")}
    for module in pkgutil.walk_packages(pitr_tui.tui.__path__, "pitr_tui.tui."):
        for name, found in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            if found is LabKeys or "BINDINGS" not in vars(found):
                continue
            others = [one for one in _bindings(found) if one.action != "screen.cards"]
            keys = {key for one in others for key in one.key.split(",")}
            assert not keys & mine, f"{name} uses {keys & mine}"


def _bindings(owner: type) -> list[Binding]:
    return [one for one in vars(owner)["BINDINGS"] if isinstance(one, Binding)]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_it_stands_below_the_step_and_can_be_hidden(size: tuple[int, int]) -> None:
    scene = FirstScene("", "target", lambda world: practising(chosen(world), hinted()), "reachable")
    async with scene.played(size) as pilot:
        app = pilot.app
        rows = screen_text(app).splitlines()
        height = app.screen.query_one(CoachPanel).size.height
        assert height <= (3 if size == SMALL else 8)
        strip = rows[-2 - height : -2]
        assert "lab Somebody dropped a table · 4 min · hints 1 of 3" in strip[0]
        assert any("stop just before it" in row for row in strip)
        assert any("hint 1: Everything that a server does" in row for row in strip)
        assert "▸ enter: stop just before xid 932" in rows[-2]
        assert rows[-1].startswith(" t Type a After ")
        assert rows[-1].endswith(" ^p All")
        await pilot.press("C")
        await until(pilot, lambda: "lab Somebody" not in screen_text(app))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "lab Somebody" in screen_text(app))


async def test_nobody_who_recovers_in_earnest_sees_it() -> None:
    async with FirstScene("", "connect", connected, "primary 15.14").played(SMALL) as pilot:
        app = pilot.app
        assert isinstance(app, PitrApp)
        assert not app.screen.query_one(CoachPanel).display
        await pilot.press("H", "S", "C")
        await pilot.pause()
        assert len(app.screen_stack) == 1
        assert not app.wizard.at_work


async def test_a_hint_is_taken_after_a_yes_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))
    lab = written_lab(tmp_path / "world")
    open_lab = OpenLab.of(lab)
    scene = FirstScene("", "target", lambda world: practising(chosen(world), open_lab), "reachable")
    async with scene.played(SMALL) as pilot:
        app = pilot.app
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, HintDialog))
        await pilot.pause()
        assert lab.story in screen_text(app)
        assert app.focused is app.screen.query_one("#close", Button)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert diary.hints_taken(lab) == 0
        for number, hint in enumerate(lab.hints, 1):
            await pilot.press("ctrl+g")
            await until(pilot, lambda: isinstance(app.screen, HintDialog))
            await pilot.pause()
            await pilot.press("right", "enter")
            await until(pilot, lambda hint=hint: hint in screen_text(app))  # type: ignore[misc]
            assert diary.hints_taken(lab) == number
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
            assert f"hints {number} of 3" in screen_text(app)
        await pilot.press("H")
        await until(pilot, lambda: "all the hints that there are" in screen_text(app))
        assert not app.screen.query("#take")
    assert OpenLab.of(lab).hints == list(lab.hints)


async def test_the_score_is_shown_and_told_by_the_coach() -> None:
    open_lab = hinted()
    scene = FirstScene("", "target", lambda world: practising(chosen(world), open_lab), "reachable")
    with patch("pitr_tui.lab.score.score", lambda *_: score(87)):
        async with scene.played(LARGE) as pilot:
            app = pilot.app
            await pilot.press("S")
            await until(pilot, lambda: isinstance(app.screen, ScoreDialog))
            await until(pilot, lambda: "87 of 100 marks" in screen_text(app))
            text = screen_text(app)
            for words in (
                "The answer ends too early: 3 good rows are lost",
                "shop.orders                   67        64       3       0",
                "What an expert would have done",
                "A guessed time loses orders",
                "shop.orders 1015: a good row that was lost",
                "✗ 18:22:08.929      731  the developer drops shop.orders",
                "^ the best answer ends here",
            ):
                assert words in text
            await pilot.press("escape")
            await until(pilot, lambda: "· 87 marks" in screen_text(app))


async def test_what_cannot_be_scored_yet_says_what_to_do() -> None:
    def refuse(*_: object) -> None:
        hint = "open it for writing with `pitr promote RUN`, then score again"
        raise RefusedError("a table cannot be read while it is paused", "locked", hint)

    with patch("pitr_tui.lab.score.score", refuse):
        async with Scene("", lambda: journal(PAUSED), step="verify").played(SMALL) as pilot:
            app = pilot.app
            assert isinstance(app, PitrApp)
            assert app.session.run is not None
            assert app.session.run.state is RunState.PAUSED
            practising(app.session)
            app.wizard.refresh_frame()
            await until(pilot, lambda: "S: score it" in screen_text(app))
            await pilot.press("S")
            await until(pilot, lambda: "p at the step verify" in screen_text(app))
            assert "cannot be read while it is paused" in screen_text(app)


def test_the_session_of_a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))
    lab = written_lab(tmp_path / "world", os_user=server_user().name)
    session = session_of(lab)
    assert not session.primary_is_down
    assert str(session.database) == str(lab.server.database)
    assert session.archive_directory == lab.archive_directory
    assert session.backup_directory == lab.backup_directory
    assert session.destination == lab.destination
    assert session.story is not None
    assert session.story.text == lab.story


@pytest.mark.parametrize(("state", "disk"), [("stopped", True), ("killed", True), ("lost", False)])
def test_the_session_of_a_lab_whose_primary_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, disk: bool
) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))
    lab = written_lab(tmp_path / "world", primary_state=state, os_user=server_user().name)
    data = tmp_path / "world" / "primary"
    if disk:
        data.mkdir()
    session = session_of(lab)
    assert session.primary_is_down
    assert session.database is None
    assert session.dead_data == (data if disk else None)


def test_the_session_of_a_lab_in_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))
    world = tmp_path / "world"
    lab = written_lab(world, image="postgres:18", os_user=server_user().name)
    session = session_of(lab)
    name = container_name(world)
    assert (session.container, session.database) == (name, None)  # the first step connects
    assert str(session.archive_directory) == f"engine:{world}/archive"
    assert str(session.backup_directory) == f"engine:{world}/backups"
    assert str(session.destination) == f"volume:{name}-recovered"


def test_a_second_recovery_goes_to_a_place_of_its_own(tmp_path: Path) -> None:
    place = tmp_path / "recovered"
    assert free_destination(place) == place
    place.mkdir()
    (tmp_path / "recovered-2").mkdir()
    assert free_destination(place) == tmp_path / "recovered-3"


def test_only_a_clock_that_is_told_as_it_is_is_given_away() -> None:
    notes = {one.name: told_notes(one) for one in built_in()}
    assert notes["wrong-rows"] == ["noted"]
    assert notes["other-zone"] == []
    assert Session().lab is None
    assert HINTS[0] in hinted().hints
