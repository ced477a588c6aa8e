"""The verify step with servers that answer what the test says."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.recovery import contents
from pitr_tui.recovery.check_file import OwnCheck
from pitr_tui.recovery.contents import Contents, gather, table_rows
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import Answer, ServerState, Table
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.sql import Database
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.screens import verify, verify_fate, verify_look
from pitr_tui.tui.screens.naming import NameDialog
from pitr_tui.tui.screens.typed import TypedConfirmDialog
from pitr_tui.tui.screens.verify import VerifyPane
from pitr_tui.tui.screens.verify_look import Seen, SeenKind, look_at
from pitr_tui.tui.screens.verify_words import evidence_facts, latest
from tests.tui.scenes import (
    CACHE,
    LARGE,
    ORDERS,
    PAUSED,
    Scene,
    journal,
    paste,
    screen_text,
    secondary,
    settled,
    until,
)

NASTY = "[/] [b]x[/b] \x1b[31m"


@asynccontextmanager
async def verifying() -> AsyncIterator[tuple[Pilot[Any], VerifyPane]]:
    scene = Scene("verify", lambda: journal(PAUSED), step="verify")
    async with scene.played(LARGE) as pilot:
        pane = pilot.app.query_one(VerifyPane)
        yield pilot, pane


async def confirm(pilot: Pilot[Any], key: str) -> None:
    """Press a key and type what its dialog asks for."""
    await pilot.press(key)
    pilot.app.screen.query_one(Input).value = "secondary"
    await pilot.press("enter")


async def test_a_query_is_asked_and_its_answer_is_only_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def ask(database: Database, statement: str, limit: int) -> Answer:
        asked.append((str(database.parameters["dbname"]), statement))
        return Answer((NASTY, "n"), [(NASTY, None), ("a\nb", "2")], True)

    monkeypatch.setattr(verify, "ask", ask)
    async with verifying() as (pilot, _):
        await pilot.press("slash")
        await paste(pilot, "SELECT 1")
        await pilot.press("enter")
        await settled(pilot)
        text = screen_text(pilot.app)
        assert asked == [("postgres", "SELECT 1")]
        assert "[/] [b]x[/b] ␛[31m" in text
        assert "NULL" in text
        assert "a␊b" in text
        assert "2 rows and more" in text
        assert "\x1b" not in text


async def test_a_query_that_fails_says_so_in_the_servers_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(database: Database, statement: str, limit: int) -> Answer:
        raise PitrError("no", 'relation "orderz" does not exist')

    monkeypatch.setattr(verify, "ask", ask)
    async with verifying() as (pilot, _):
        await pilot.press("slash")
        await paste(pilot, "SELECT")
        await pilot.press("enter")
        await settled(pilot)
        assert 'relation "orderz" does not exist' in screen_text(pilot.app)
        await pilot.press("escape")
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "tables"


@pytest.mark.parametrize("key", ["p", "D"])
async def test_nothing_happens_without_the_typed_name(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was not confirmed")

    monkeypatch.setattr(verify_fate, "promote", never)
    monkeypatch.setattr(LocalSecondary, "throw_away", never)
    async with verifying() as (pilot, pane):
        await pilot.press(key, "enter")
        for typed in ("secondar", "SECONDARY"):
            pilot.app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            assert isinstance(pilot.app.screen, TypedConfirmDialog)
        await pilot.press("tab", "enter")  # Cancel; the other button is not to be had
        await pilot.pause()
        assert not isinstance(pilot.app.screen, TypedConfirmDialog)
        await pilot.press(key, "escape")
        await settled(pilot)
        assert pane.session.secondary is not None


async def test_promoting(monkeypatch: pytest.MonkeyPatch) -> None:
    promoted: list[str] = []

    def promote(secondary: LocalSecondary) -> ServerState:
        promoted.append(secondary.destination)
        return ServerState(False, False, None, None, TimelineId(2))

    monkeypatch.setattr(verify_fate, "promote", promote)
    async with verifying() as (pilot, _):
        await confirm(pilot, "p")
        await settled(pilot)
        assert promoted == ["/srv/pg/secondary"]
        text = screen_text(pilot.app)
        assert "PROMOTED" in text
        assert "open for writing, on timeline 2" in " ".join(text.split())
        assert "until you decide" not in text
        await pilot.press("p")
        assert not isinstance(pilot.app.screen, TypedConfirmDialog)


async def test_after_promoting_everything_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[bool] = []

    def look(server: object, run: RunView, emit: Emit[Seen], cancel: threading.Event) -> None:
        looked.append(run.promoted is not None)
        emit(Seen(CheckDone("as of", Status.OK, f"As of look {len(looked)}.")))
        if run.promoted is not None:
            todo = CheckDone("base backup", Status.WARNING, "there is none", "pitr backup take")
            emit(Seen(todo, SeenKind.TODO))

    monkeypatch.setattr(
        verify_fate, "promote", lambda _: ServerState(False, False, None, None, TimelineId(2))
    )
    async with verifying() as (pilot, pane):
        monkeypatch.setattr(verify, "look_at", look)
        pane.action_look()
        await settled(pilot)
        assert "As of look 1." in screen_text(pilot.app)
        assert "to do, now" not in screen_text(pilot.app)
        await confirm(pilot, "p")
        await settled(pilot)
        text = screen_text(pilot.app)
        assert looked == [False, True]
        assert "As of look 2. It is open for writing, on timeline 2." in text
        assert "! base backup" in text
        assert "pitr backup take" not in text
        await pilot.press("e")
        await settled(pilot)
        assert "try: pitr backup take" in screen_text(pilot.app)


async def test_a_query_is_kept_as_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[OwnCheck, int]] = []
    monkeypatch.setattr(verify, "ask", lambda *_: Answer(("count",), [("7",)], False))
    monkeypatch.setattr(verify, "system_identifier", lambda _: 42)
    monkeypatch.setattr(verify, "remember", lambda *given: kept.append(given))
    async with verifying() as (pilot, pane):
        await pilot.press("k")
        assert not isinstance(pilot.app.screen, NameDialog), "nothing was asked yet"
        await pilot.press("slash")
        await paste(pilot, "SELECT count(*)  FROM orders")
        await pilot.press("enter")
        await settled(pilot)
        assert "k (f4) keeps it" in screen_text(pilot.app)
        await pilot.press("f4", "escape")
        await settled(pilot)
        assert kept == []
        await pilot.press("f4")
        dialog = pilot.app.screen
        assert isinstance(dialog, NameDialog)
        assert "expected: 7" in screen_text(pilot.app)
        dialog.query_one(Input).value = "all [/] orders"
        await pilot.press("enter")
        await settled(pilot)
        statement = "SELECT count(*)  FROM orders"
        assert kept == [(OwnCheck("all [/] orders", statement, "7", "postgres"), 42)]
        assert "✓ all [/] orders" in screen_text(pilot.app)


async def test_own_checks_that_fail_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(server: object, run: RunView, emit: Emit[Seen], cancel: threading.Event) -> None:
        failed = CheckDone("orders", Status.FAILURE, "5, expected 7", "asked: SELECT 1")
        emit(Seen(failed, SeenKind.OWN))

    async with verifying() as (pilot, pane):
        monkeypatch.setattr(verify, "look_at", look)
        pane.action_look()
        await settled(pilot)
        text = screen_text(pilot.app)
        assert "✗ orders" in text
        assert "5, expected 7" in text


def test_everything_is_looked_at_and_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    open_now = ServerState(False, False, None, None, TimelineId(2))
    ours = [CheckDone("sequences", Status.NOTE, "s"), CheckDone("listens", Status.OK, "l")]
    todo = CheckDone("sequences", Status.NOTE, "t", "SELECT setval()")
    monkeypatch.setattr(verify_look, "server_state", lambda *_: open_now)
    monkeypatch.setattr(verify_look, "postflight", lambda *_: iter(ours))
    monkeypatch.setattr(verify_look, "aftercare", lambda _: (todo,))
    monkeypatch.setattr(verify_look, "system_identifier", lambda _: 1)
    monkeypatch.setattr(verify_look, "own_checks", _wrong_file)
    told: list[Seen] = []
    look_at(secondary(), RunView(), told.append, threading.Event())
    assert told[:2] == [Seen(ours[1]), Seen(todo, SeenKind.TODO)]
    assert (told[2].kind, told[2].check.status) == (SeenKind.OWN, Status.FAILURE)
    assert "line 3" in told[2].check.evidence


def _wrong_file(system: int) -> tuple[OwnCheck, ...]:
    raise PitrError("pitr.yaml is not right", "line 3: 'sql' is empty")


def test_what_came_out_well_is_folded_and_nothing_else() -> None:
    good = [CheckDone(f"good {n}", Status.OK, "fine") for n in range(6)]
    other = [
        CheckDone("stopped at the target", Status.OK, "it stopped there"),
        CheckDone("knowing", Status.NOTE, "n"),
        CheckDone("doubt", Status.WARNING, "w", "look"),
        CheckDone("harm", Status.FAILURE, "f"),
    ]
    folded = evidence_facts([*good, *other], False)
    assert [(fact.name, fact.status) for fact in folded] == [
        ("harm", Status.FAILURE),
        ("doubt", Status.WARNING),
        ("stopped at the target", Status.OK),
        ("6 more checks", Status.OK),
        ("worth knowing", Status.NOTE),
    ]
    assert folded[1].hint == "look"
    assert len(evidence_facts([*good, *other], True)) == 10
    nobody = CheckDone("as of", Status.FAILURE, "Nobody can say")
    assert "as of" in [fact.name for fact in evidence_facts([nobody], False)]


def test_what_was_seen_now_counts_before_what_the_run_told() -> None:
    told = [
        CheckDone("merged configuration", Status.OK, "as planned"),
        CheckDone("state", Status.OK, "paused"),
        CheckDone("locked", Status.WARNING, "2"),
    ]
    seen = [CheckDone("state", Status.FAILURE, "open")]
    assert latest(told, seen) == [told[0], seen[0]]
    assert latest(told, []) == told


async def test_throwing_away_and_what_is_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    thrown: list[str] = []

    def throw_away(secondary: LocalSecondary) -> None:
        thrown.append(secondary.destination)

    monkeypatch.setattr(LocalSecondary, "throw_away", throw_away)
    async with verifying() as (pilot, pane):
        await confirm(pilot, "D")
        await settled(pilot)
        assert thrown == ["/srv/pg/secondary"]
        assert "The secondary was thrown away." in screen_text(pilot.app)
        assert pane.session.secondary is None
        assert pane.session.run is None
        assert not pane.query_one("#query", Input).is_on_screen
        assert pane.next_action() == "choose another target"
        await pilot.press("enter")
        await until(pilot, lambda: "Where do you want to stop?" in screen_text(pilot.app))


async def test_what_cannot_be_thrown_away_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def throw_away(secondary: LocalSecondary) -> None:
        raise RefusedError("it is left alone", "it is not ours")

    monkeypatch.setattr(LocalSecondary, "throw_away", throw_away)
    async with verifying() as (pilot, pane):
        await confirm(pilot, "D")
        await settled(pilot)
        assert "it is left alone" in screen_text(pilot.app)
        assert pane.session.secondary is not None


def test_rows_are_compared_with_the_primarys() -> None:
    gone = ("public", "dropped_here")
    primary = {("public", "orders"): 1_500_000, ("public", "session_cache"): 5, gone: None}
    rows = table_rows(Contents("shop", (ORDERS, CACHE), primary))
    assert rows == [
        ("shop", "orders", "1,200,000", "1,500,000", "300,000 fewer here"),
        ("shop", "session_cache", "0", "5", "unlogged, so empty here"),
        ("shop", "dropped_here", "none", "?", "not there at that moment"),
    ]
    busy = (Table("s", "t", False, 10, None, "timeout"),)
    assert table_rows(Contents("shop", busy)) == [("shop", "s.t", "?", "?", "timeout")]
    assert table_rows(Contents("shop", busy, awaited=True))[0].there == "…"


def test_the_primary_may_be_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def tables(database: Database, count_rows: bool = True, **_: Any) -> list[Table]:
        if database.parameters["host"] == "down":
            raise PitrError("no")
        return [ORDERS]

    monkeypatch.setattr(contents, "databases", lambda _: ["shop"])
    monkeypatch.setattr(contents, "tables", tables)
    told: list[Contents] = []
    here, down = Database({"host": "here"}), Database({"host": "down"})
    gather(here, down, told.append, threading.Event())
    assert [one.primary for one in told] == [None, None, None]
    assert [one.awaited for one in told] == [True, True, False]
    told.clear()
    gather(here, here, told.append, threading.Event())
    assert told[-1].primary == {("public", "orders"): 1_200_000}
