"""A past run on the screen: its pace, its keys, and that nothing comes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Input

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import LogArrived, Stamped, Step, StepStarted
from pitr_tui.recovery.state import RunState
from pitr_tui.tui.playback import FASTEST, LONGEST_PAUSE, SLOWEST, Playback
from pitr_tui.tui.screens.dialogs import HelpDialog
from pitr_tui.tui.widgets.run_head import draw_end
from tests.tui.replay_scenes import StillClock, passed, replaying, screen_of
from tests.tui.scenes import screen_text, until
from tests.unit.made_journals import PAUSED, followed_by, recorded, taken_up

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


# The pace, without a screen.


def line(seconds: float, text: str = "x") -> Stamped:
    return Stamped(NOON + timedelta(seconds=seconds), LogArrived(text))


def playback(*seconds: float, speed: float = 1.0) -> Playback:
    """Lines of a log at these moments."""
    made = Playback(speed)
    made.add([line(one) for one in seconds])
    made.complete = True
    return made


def test_events_come_at_their_pace_times_the_speed() -> None:
    slow, fast = playback(0, 1, 1.5), playback(0, 1, 1.5, speed=10)
    assert [len(slow.due(0.25, 9)) for _ in range(7)] == [1, 0, 0, 1, 0, 1, 0]
    assert [len(fast.due(0.05, 9)) for _ in range(4)] == [1, 1, 1, 0]


def test_a_long_pause_is_cut_at_any_speed() -> None:
    for speed in (1.0, 10.0, 500.0):
        made = playback(0, 86_400, speed=speed)
        assert len(made.due(0, 9)) == 1
        assert not made.due(LONGEST_PAUSE - 0.1, 9)
        assert len(made.due(0.2, 9)) == 1
        assert made.over


def test_a_clock_that_went_back_does_not_hold_it_up() -> None:
    made = playback(100, 0, 50)
    assert len(made.due(0, 9)) == 2


def test_waiting_does_not_pile_up() -> None:
    made = playback(0, *(n / 100 for n in range(1, 50)), 10, speed=1)
    while made.place < 50:
        made.due(10, 10)
    assert not made.due(0.5, 9)
    assert len(made.due(LONGEST_PAUSE, 9)) == 1


def test_the_clock_goes_on_between_two_events() -> None:
    made = playback(0, 1)
    assert made.clock == NOON
    made.due(0.4, 9)
    assert made.clock == NOON + timedelta(seconds=0.4)


def test_held_it_stands_still() -> None:
    made = playback(0, 1)
    made.paused = True
    assert not made.due(100, 9)
    assert made.clock == NOON


def test_the_speed_has_bounds() -> None:
    made = playback(0)
    for _ in range(50):
        made.faster(2)
    assert made.speed == FASTEST
    for _ in range(50):
        made.faster(0.5)
    assert made.speed == SLOWEST


def test_what_is_read_later_comes_later() -> None:
    made = Playback(1)
    assert not made.due(5, 9)
    made.add([line(0), line(1)])
    assert len(made.due(0, 9)) == 1
    made.due(1, 9)
    assert not made.over
    made.complete = True
    assert made.over


@given(
    st.lists(st.floats(-1e4, 1e6, allow_nan=False), max_size=30),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 9)), max_size=30),
    st.floats(0.125, 1e5),
)
def test_every_event_comes_once_and_in_order(
    moments: list[float], ticks: list[tuple[float, int]], speed: float
) -> None:
    made = playback(*moments, speed=speed)
    shown = [one for seconds, limit in ticks for one in made.due(seconds, limit)]
    shown += made.skip_to(len(made.events), 99)
    assert shown == made.events
    assert made.over


# On the screen.


def shows(pilot: Pilot[Any], text: str) -> bool:
    return text in screen_text(pilot.app)


async def skipped(pilot: Pilot[Any], *keys: str) -> str:
    """What is on the screen when keys have led somewhere."""
    await pilot.press(*keys)
    await until(pilot, lambda: not screen_of(pilot).skipping)
    return screen_text(pilot.app)


async def stepped(pilot: Pilot[Any], steps: int) -> str:
    """The same for so many steps on, or back."""
    for _ in range(abs(steps)):
        screen_of(pilot).action_step(1 if steps > 0 else -1)
    await until(pilot, lambda: not screen_of(pilot).skipping)
    return screen_text(pilot.app)


async def test_it_plays_by_the_clock_to_the_same_end() -> None:
    clock = StillClock()
    events = recorded(PAUSED)
    async with replaying(events, 10, clock=clock) as pilot:
        await passed(pilot, clock, 0.03)
        text = screen_text(pilot.app)
        assert "2026-11-22 18:22:11 UTC, 10x" in text
        assert "FETCHING" in text
        for _ in range(3):
            await passed(pilot, clock, 0.05)
        text = screen_text(pilot.app)
        assert "PAUSED AT TARGET" in text
        assert "the record ends here: paused at target" in text
        live = screen_of(pilot).panel.view
        assert (live.state, live.finished) == (RunState.PAUSED, events[-1].event)


async def test_keys_lead_through_the_steps() -> None:
    async with replaying(recorded(PAUSED)) as pilot:
        assert "PREPARING" in await skipped(pilot, "right")
        assert "COPYING" in await skipped(pilot, "n")
        assert "▸ replay" in await stepped(pilot, 3)
        assert "▸ start" in await skipped(pilot, "left")
        assert "PAUSED AT TARGET" in await skipped(pilot, "end")
        assert "▸ look" in await stepped(pilot, -1)
        for key in ("0", "home"):
            await skipped(pilot, "end")
            text = await skipped(pilot, key)
            assert "event 1 of 62" in text or "event 0 of 62" in text
            assert "PAUSED" not in text
            assert "redo starts" not in text


async def test_space_holds_and_plus_and_minus_change_the_pace() -> None:
    clock = StillClock()
    async with replaying(recorded(PAUSED), 1, clock=clock) as pilot:
        await pilot.press("space", "+", "+")
        await passed(pilot, clock, 60)
        assert shows(pilot, "4x ⏸")
        assert screen_of(pilot).playback.place <= 1
        await pilot.press("space", "-", "-", "-")
        await passed(pilot, clock, 0.3)
        assert shows(pilot, "0.5x ▶")
        assert 1 < screen_of(pilot).playback.place < 62


async def test_every_attempt_is_shown_in_its_order() -> None:
    async with replaying(taken_up()) as pilot:
        text = await stepped(pilot, 6)
        assert "FAILED" in text
        assert "attempt 1 of 2" in text
        assert "is not in the archive" in text
        text = await stepped(pilot, 2)
        assert "attempt 2 of 2" in text
        assert "FAILED" not in text
        assert "✗ segment" not in text
        assert draw_end(screen_of(pilot).panel.view) is None
        text = await skipped(pilot, "end")
        assert "PAUSED AT TARGET" in text
        assert "✗" not in text.partition("── log")[0]


async def test_a_step_back_over_a_failure_takes_it_away() -> None:
    async with replaying(taken_up()) as pilot:
        assert "✗ segment" in await stepped(pilot, 6)
        assert "✗ segment" not in await stepped(pilot, -1)


async def test_while_a_filter_is_typed_keys_are_letters() -> None:
    async with replaying(recorded(PAUSED)) as pilot:
        await skipped(pilot, "end")
        await pilot.press("slash")
        await pilot.press(*"0 n+-")
        assert pilot.app.screen.query_one(Input).value == "0 n+-"
        assert screen_of(pilot).playback.speed == 10
        await pilot.press("left", "home")
        assert screen_of(pilot).playback.over


async def test_the_log_answers_as_in_a_live_run() -> None:
    async with replaying(recorded(PAUSED)) as pilot:
        await skipped(pilot, "end")
        await pilot.press("up", "up", "e")
        assert shows(pilot, "? The target is found: replay stops just before")
        await pilot.press("escape", "f")
        assert pilot.app.screen.maximized is screen_of(pilot).panel.log_pane


async def test_help_tells_the_keys_of_a_replay_and_no_others() -> None:
    async with replaying(recorded(PAUSED)) as pilot:
        await pilot.press("f1")
        assert isinstance(pilot.app.screen, HelpDialog)
        assert shows(pilot, "Nothing can be started or changed from here")
        await pilot.press("end")
        assert shows(pilot, "Slower")
        assert not shows(pilot, "Go to a step")


async def test_escape_sequences_of_an_old_log_stay_harmless() -> None:
    bad = "2026-11-22 18:22:13.000 UTC [1] FATAL:  \x1b[2J\x1b]0;x\x07 [/] [b]bold"
    async with replaying(followed_by(recorded(PAUSED), 1, LogArrived(bad))) as pilot:
        text = await skipped(pilot, "end")
        assert "FATAL: ␛[2J␛]0;x␇ [/] [b]bold" in text
        assert not {"\x1b", "\x07"} & set(text)


async def test_a_journal_that_breaks_off_is_shown_as_far_as_it_goes() -> None:
    def broken() -> Iterator[Stamped]:
        yield from recorded(PAUSED)[:30]
        raise PitrError("this is not a line of a journal", "garbage")

    async with replaying(broken()) as pilot:
        text = await skipped(pilot, "end")
        assert "✗ this is not a line of a journal" in text
        assert "the record ends here: cut off: it was to replay the WAL" in text


async def test_nothing_is_written_by_it(state_dir: Path, cache_dir: Path) -> None:
    async with replaying(recorded(PAUSED)) as pilot:
        await skipped(pilot, "end", "enter", "p", "x", "r", "T", "7")
        assert len(pilot.app.screen_stack) == 1
    assert not state_dir.exists()
    assert not cache_dir.exists()


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_leaving_asks_nothing(key: str) -> None:
    async with replaying(recorded(PAUSED)) as pilot:
        await pilot.press(key)
        assert not pilot.app.is_running or pilot.app._exit


def long_journal(lines: int) -> list[Stamped]:
    """A run with so many lines of log in it."""
    events = recorded(PAUSED)
    place = next(n for n, one in enumerate(events) if one.event == StepStarted(Step.REPLAY)) + 1
    text = "2026-11-22 18:22:11.449 UTC [15388] LOG:  number {}"
    more = [Stamped(events[place].at, LogArrived(text.format(n))) for n in range(lines)]
    return [*events[:place], *more, *events[place:]]


async def test_keys_are_answered_while_it_skips_over_many_lines() -> None:
    """No tick holds the event loop for longer than a person notices."""
    events = long_journal(30_000)
    async with replaying(events) as pilot:
        longest, last = 0.0, time.monotonic()
        screen = screen_of(pilot)
        screen.action_to_end()
        while screen.skipping:
            await asyncio.sleep(0)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        assert screen.playback.over
        assert longest < 0.5
        assert screen.panel.log_pane.view.rows.end > 30_000
