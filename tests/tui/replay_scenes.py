"""Moments of a replay, drawn from recorded journals; time stands still unless a test lets it go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from textual.pilot import Pilot

from pitr_tui.recovery.events import Stamped
from pitr_tui.tui.app import DARK
from pitr_tui.tui.replay import ReplayApp
from pitr_tui.tui.screens.replay import ReplayScreen
from tests.tui.scenes import until
from tests.unit.made_journals import DROPPED, recorded, taken_up

NAME = "20261123-063429-1b10c457"


@dataclass
class StillClock:
    """A clock that goes on when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class ReplayScene:
    """A replay after some keys and some seconds by the clock on the wall."""

    name: str
    events: Callable[[], list[Stamped]]
    keys: tuple[str, ...] = ()
    seconds: float = 0.0
    speed: float = 10.0
    clock: StillClock = field(default_factory=StillClock)

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        async with replaying(self.events(), self.speed, size, clock=self.clock) as pilot:
            pilot.app.theme = theme
            await pilot.press(*self.keys)
            await passed(pilot, self.clock, self.seconds)
            log = screen_of(pilot).panel.log_pane.view
            await until(pilot, lambda: not (log._bar_waits or log._catching_up))
            yield pilot


@asynccontextmanager
async def replaying(
    events: list[Stamped] | Iterator[Stamped],
    speed: float = 10.0,
    size: tuple[int, int] = (80, 24),
    clock: StillClock | None = None,
) -> AsyncIterator[Pilot[Any]]:
    """A replay whose journal was read; without a clock of its own it stands at the begin."""
    app = ReplayApp(NAME, lambda: iter(events), speed, clock or StillClock())
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: screen_of(pilot).playback.complete)
        yield pilot


def screen_of(pilot: Pilot[Any]) -> ReplayScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ReplayScreen)
    return screen


async def passed(pilot: Pilot[Any], clock: StillClock, seconds: float) -> None:
    """Let some seconds pass at once, and draw what is due then."""
    clock.now += seconds
    screen = screen_of(pilot)
    await until(pilot, lambda: not screen.skipping)
    screen.tick()
    await pilot.pause()


REPLAY_SCENES = (
    ReplayScene("replay", lambda: recorded(DROPPED), keys=(*["right"] * 6, "space")),
    ReplayScene("replay-taken-up", taken_up, keys=("end", "left", "left", "space")),
)
