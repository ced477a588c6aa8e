"""A recorded run by the clock again: which of its events are due, without any screen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pitr_tui.recovery.events import (
    Promoted,
    RunFailed,
    RunFinished,
    RunStarted,
    RunTakenUp,
    Stamped,
    StepStarted,
    ThrownAway,
)

LONGEST_PAUSE = 2.0  # seconds, as they are waited
SLOWEST, FASTEST = 1 / 8, 100_000.0
_STATIONS = (StepStarted, RunTakenUp, RunFailed, RunFinished, Promoted, ThrownAway)


class Playback:
    """The events of a run and how many of them were shown: `place`.

    Events are added as they are read, so the end is known only when `complete` is set. Gaps of
    the original take as long as there, divided by `speed`, but never longer than LONGEST_PAUSE.
    """

    def __init__(self, speed: float) -> None:
        self.speed = min(max(speed, SLOWEST), FASTEST)
        self.events: list[Stamped] = []
        self.attempts: list[int] = []
        self.stations: list[int] = []
        self.place = 0
        self.paused = False
        self.complete = False
        self._waited = 0.0  # of the gap before the next event, in seconds of the original

    def add(self, events: Iterable[Stamped]) -> None:
        """More of the run was read."""
        for stamped in events:
            if isinstance(stamped.event, RunStarted | RunTakenUp):
                self.attempts.append(len(self.events))
            self.events.append(stamped)
            if isinstance(stamped.event, _STATIONS):
                self.stations.append(len(self.events))

    @property
    def over(self) -> bool:
        return self.complete and self.place == len(self.events)

    @property
    def clock(self) -> datetime | None:
        """What the clock showed in the original."""
        if not self.events:
            return None
        if self.place == 0:
            return self.events[0].at
        return self.events[self.place - 1].at + timedelta(seconds=self._waited)

    @property
    def attempt(self) -> int:
        """The number of the attempt that is shown, from 1."""
        return max(1, sum(start < self.place for start in self.attempts))

    def due(self, seconds: float, limit: int) -> list[Stamped]:
        """The events, at most `limit`, that happen within the next seconds before the screen."""
        if self.paused:
            return []
        first = self.place
        self._waited += seconds * self.speed
        while self.place < len(self.events) and self.place - first < limit:
            gap = self._gap()
            if gap > self._waited:
                return self.events[first : self.place]
            self._waited -= gap
            self.place += 1
        # Behind the last event nothing is waited for, and what was too much does not pile up.
        self._waited = 0.0
        return self.events[first : self.place]

    def skip_to(self, place: int, limit: int) -> list[Stamped]:
        """The next events, at most `limit`, on the way to a place further on."""
        first = self.place
        self.place = min(max(place, first), first + limit, len(self.events))
        self._waited = 0.0
        return self.events[first : self.place]

    def rewind(self) -> None:
        """Nothing was shown yet."""
        self.place, self._waited = 0, 0.0

    def after(self) -> int:
        """The place of the next station: a step that begins, or an end."""
        return next((one for one in self.stations if one > self.place), len(self.events))

    def before(self) -> int:
        """The place of the station before."""
        return next((one for one in reversed(self.stations) if one < self.place), 0)

    def faster(self, factor: float) -> None:
        self.speed = min(max(self.speed * factor, SLOWEST), FASTEST)
        self._waited = 0.0

    def _gap(self) -> float:
        if self.place == 0:
            return 0.0
        gap = (self.events[self.place].at - self.events[self.place - 1].at).total_seconds()
        return min(max(0.0, gap), LONGEST_PAUSE * self.speed)
