"""The live log under the fingers of a person."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from pitr_tui.tui.widgets.log_pane import LogPane
from pitr_tui.tui.widgets.log_view import LogView
from tests.tui.scenes import screen_text, until


def line(text: str, severity: str = "LOG") -> str:
    return f"2026-11-22 14:43:48.896 UTC [7] {severity}:  {text}"


NUMBERED = [line(f"line {n:04}") for n in range(100)]
NASTY = line("[/] [local] [b]x[/b] \x1b[31mred\x07\ttab [/var/lib/pg]")


class LogApp(App[None]):
    copied = ""

    def compose(self) -> ComposeResult:
        yield LogPane(limit=200)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied = text


@asynccontextmanager
async def log(*lines: str) -> AsyncIterator[tuple[Pilot[Any], LogPane, LogView]]:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        pane = app.query_one(LogPane)
        pane.view.focus()
        pane.write(lines)
        await pilot.pause()
        yield pilot, pane, pane.view


async def test_it_follows_the_end() -> None:
    async with log(*NUMBERED) as (pilot, pane, _):
        assert "line 0099" in screen_text(pilot.app)
        pane.write([line("the last one")])
        await pilot.pause()
        text = screen_text(pilot.app)
        assert "14:43:48.896  the last one" in text
        assert "following" in text


async def test_looking_back_holds_the_view_and_end_lets_it_go() -> None:
    async with log(*NUMBERED) as (pilot, pane, view):
        await pilot.press("up", "pageup")
        await pilot.pause()
        held = screen_text(pilot.app).splitlines()[1:]
        assert not view.following
        pane.write([line("news")])
        await pilot.pause()
        assert screen_text(pilot.app).splitlines()[1:] == held
        assert "below · end follows again" in screen_text(pilot.app)
        await pilot.press("end")
        await pilot.pause()
        assert view.following
        assert "news" in screen_text(pilot.app)


async def test_the_wheel_holds_too_and_its_end_follows_again() -> None:
    async with log(*NUMBERED) as (pilot, _, view):
        view.scroll_up(animate=False)
        await pilot.pause()
        assert not view.following
        view.scroll_end(animate=False)
        await pilot.pause()
        assert view.following


async def test_space_holds_the_very_picture() -> None:
    async with log(*NUMBERED) as (pilot, pane, view):
        before = screen_text(pilot.app).splitlines()[1:]
        await pilot.press("space")
        for _ in range(5):
            pane.write(NUMBERED[:3])
            await pilot.pause()
        assert screen_text(pilot.app).splitlines()[1:] == before
        await pilot.press("space")
        assert view.following


async def test_lines_that_are_held_stay_when_old_ones_are_forgotten() -> None:
    async with log(*NUMBERED) as (pilot, pane, view):
        await pilot.press("up", "up")
        await pilot.pause()
        number = view.current_line
        assert number is not None
        text = view.rows.line(number)
        pane.write(NUMBERED)
        pane.write(NUMBERED[:40])
        await pilot.pause()
        assert view.rows.skipped > 0
        assert view.rows.line(view.current_line or 0) == text
        assert text[-9:] in screen_text(pilot.app)
        assert "lines skipped, the journal has them" in screen_text(pilot.app)


async def test_the_filter_grows_with_each_letter_and_escape_clears_it() -> None:
    async with log(*NUMBERED, line("redo starts at 0/2000028")) as (pilot, _, view):
        await pilot.press("slash", *"REDO")
        await until(pilot, lambda: len(view.rows) == 1)
        assert "1 line with “redo”" in screen_text(pilot.app)
        await pilot.press("enter")
        assert pilot.app.focused is view
        await pilot.press("escape")
        await until(pilot, lambda: len(view.rows) == 101)
        assert not pilot.app.query_one(Input).display


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line("redo starts at 0/2000028")], "Replay of the WAL starts at 0/2000028."),
        (
            [line("recovery ended before configured recovery target was reached", "FATAL")],
            "The WAL ended",
        ),
        ([line("nothing known")], "means nothing for the recovery"),
        (
            [line("pausing at the end of recovery"), line("Execute x() to promote.", "HINT")],
            "Replay is paused",
        ),
    ],
)
async def test_a_line_is_explained(lines: list[str], said: str) -> None:
    async with log(*lines) as (pilot, _, _view):
        await pilot.press("e")
        await pilot.pause()
        assert said in " ".join(screen_text(pilot.app).split())
        await pilot.press("escape")
        await pilot.pause()
        assert said not in " ".join(screen_text(pilot.app).split())


async def test_enter_unfolds_only_what_is_folded() -> None:
    restored = [line(f'restored log file "{n:024X}" from archive') for n in range(7, 16)]
    async with log(line("redo starts at 0/7000028"), *restored) as (pilot, _, view):
        assert "restored … 07 to 0F (9 files)" in screen_text(pilot.app)
        assert not view.check_action("toggle_fold", ())
        await pilot.press("up", "down", "enter")
        await pilot.pause()
        assert len(view.rows) == 10
        await pilot.press("enter")
        await pilot.pause()
        assert len(view.rows) == 2
        await pilot.press("home")
        assert not view.check_action("toggle_fold", ())


async def test_outside_text_is_shown_and_never_obeyed() -> None:
    async with log(NASTY, line("x" * 5000)) as (pilot, _, view):
        text = screen_text(pilot.app)
        assert "[/] [local] [b]x[/b] ␛[31mred␇    tab [/var/lib/pg]" in text
        await pilot.press("up", "e")
        await pilot.pause()
        assert "\x1b" not in screen_text(pilot.app)
        await pilot.press("t", "right", "left")
        assert "2026-11-22 14:43:48.896 UTC [7] LOG:  [/]" in screen_text(pilot.app)
        await pilot.press("c")
        assert getattr(pilot.app, "copied", "") == NASTY
        assert view.whole


async def test_full_screen_and_back() -> None:
    async with log(*NUMBERED) as (pilot, pane, _):
        await pilot.press("f")
        assert pilot.app.screen.maximized is pane
        await pilot.press("f")
        assert pilot.app.screen.maximized is None


async def test_an_empty_log_takes_every_key() -> None:
    async with log() as (pilot, _, view):
        await pilot.press("up", "down", "pageup", "home", "end", "space", "enter", "e", "c", "t")
        assert len(view.rows) == 0


async def test_a_theme_change_draws_in_the_new_colours() -> None:
    async with log(line("bad", "ERROR")) as (pilot, _, view):
        dark = view.render_line(0)
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert view.render_line(0) != dark
