"""A server that floods its log with what no terminal should see: keys are answered all the same."""

from __future__ import annotations

import asyncio
import threading
import time
from statistics import median

from textual.app import App, ComposeResult

from pitr_tui.recovery.events import LogArrived, Stamped
from pitr_tui.recovery.state import RunView
from pitr_tui.tui.bridge import TICK, Bridge, Emit
from pitr_tui.tui.widgets.run_panel import RunPanel
from tests.tui.scenes import PAUSED, journal, screen_text

NOW = journal(PAUSED)[0].at
A_SECOND = 50_000
NASTY = (
    "2026-11-22 14:43:48.896 UTC [7] LOG:  \x1b[2J\x1b[31mred\x07 [b]x[/b] ",
    "2026-11-22 14:43:48.896 UTC [7] FATAL:  \ufffd\ufffd nonsense ",
    '2026-11-22 14:43:48.896 UTC [7] LOG:  restored log file "000000010000000000000007" from ',
    "\x00\x00 [7] LOG:  \u202e " + "x" * 300,
)
HUGE = "2026-11-22 14:43:48.896 UTC [7] LOG:  " + "\x1bx" * (1 << 19)
ANSWER = 0.1  # seconds to the effect of a key


def flood(emit: Emit[Stamped], cancel: threading.Event) -> RunView:
    """So many lines a second, a second's worth at once, until it is stopped; some are huge."""
    started, told = time.monotonic() - 1, 0
    while not cancel.is_set():
        while told < (time.monotonic() - started) * A_SECOND and not cancel.is_set():
            told += 1
            line = HUGE if told % 20_000 == 0 else f"{NASTY[told % len(NASTY)]}{told}"
            emit(Stamped(NOW, LogArrived(line)))
        time.sleep(0.001)
    return RunView()


class FloodApp(App[None]):
    """A panel that is fed as the recover step feeds its own."""

    def __init__(self) -> None:
        super().__init__()
        self.bridge: Bridge[Stamped, RunView] = Bridge(flood)
        self.panel = RunPanel()
        self.taken = 0

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_mount(self) -> None:
        self.set_interval(TICK, self.take)

    def take(self) -> None:
        events = self.bridge.drain()
        self.taken += len(events)
        if events:
            began = time.monotonic()
            self.panel.feed(events)
            self.bridge.drawn(len(events), time.monotonic() - began)


async def test_a_key_is_answered_in_a_flood() -> None:
    app = FloodApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.panel.feed(journal(PAUSED)[:20])
        view = app.panel.log_pane.view
        view.focus()
        await pilot.pause()
        app.bridge.start()
        took: list[float] = []
        waiting: list[asyncio.Task[None]] = []
        for _ in range(15):
            await asyncio.sleep(0.06)
            following = view.following
            started = time.monotonic()
            pressed = asyncio.create_task(pilot.press("space"))  # it ends when all is quiet
            while view.following is following:
                assert time.monotonic() < started + 10
                await asyncio.sleep(0.002)
            took.append(time.monotonic() - started)
            waiting.append(pressed)
        app.bridge.close()
        assert app.bridge.join(10)
        await asyncio.gather(*waiting)
        assert app.taken > 5_000
        text = screen_text(app)
        assert "\x1b" not in text
        assert "\x00" not in text
        print(f"median {median(took) * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms")
        assert median(took) < ANSWER
