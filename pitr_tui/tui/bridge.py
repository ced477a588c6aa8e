"""The only threads of the screen: an engine job beside the event loop.

A job runs in a daemon thread and hands over values: what it emits goes into a deque, its
result (or its failure, as a value) is kept when it ends. The screen fetches both on a timer,
a bounded number at a time, so that a thread never touches a widget and a flood of log lines
never holds up a key press.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pitr_tui.errors import PitrError

E = TypeVar("E")
T = TypeVar("T")

TICK = 0.05
DRAIN_LIMIT = 2_000
_DRAWING_SECONDS = 0.025  # of a tick; the rest of it is for keys
_FEWEST = 50

Emit = Callable[[E], None]
Job = Callable[[Emit[E], threading.Event], T]


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """The job came to its end with a value."""

    value: T


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ended with an error that it can explain; a cancelled one is a CancelledError."""

    error: PitrError


@dataclass(frozen=True, slots=True)
class Crashed:
    """The job ended with an exception nobody foresaw: a bug, to be shown as one."""

    error: BaseException


class Bridge(Generic[E, T]):
    """One engine job: `start` it, `drain` its events on a timer until it is `done`.

    `job(emit, cancel)` gets a sink for its events and the event that asks it to stop. A
    journal's sink is `emit` itself: `Journal.create(emit)`.

    >>> bridge: Bridge[str, int] = Bridge(lambda emit, cancel: emit("half way") or 42)
    >>> bridge.start()
    >>> bridge.join(5)
    True
    >>> bridge.drain(), bridge.done, bridge.outcome
    (['half way'], True, Finished(value=42))
    """

    def __init__(self, job: Job[E, T], name: str = "engine") -> None:
        self.name = name
        self.cancelled = threading.Event()
        self.outcome: Finished[T] | Failed | Crashed | None = None
        self._job = job
        self._events: deque[E] = deque()
        self._closed = False
        self._limit = DRAIN_LIMIT
        self._thread = threading.Thread(target=self._perform, name=f"pitr {name}", daemon=True)

    def start(self) -> None:
        """Begin. A bridge runs its job once."""
        self._thread.start()

    def drain(self) -> list[E]:
        """Take the waiting events in their order, as many as a tick has time for."""
        taken: list[E] = []
        while len(taken) < self._limit and self._events:
            taken.append(self._events.popleft())
        return taken

    def drawn(self, events: int, seconds: float) -> None:
        """Learn from how long it took to show so many: a next tick takes no more than it can."""
        fits = events * _DRAWING_SECONDS / max(seconds, 1e-6)
        self._limit = round(max(_FEWEST, min(DRAIN_LIMIT, 2 * self._limit, fits)))

    @property
    def running(self) -> bool:
        """Whether the job has not come to its end yet."""
        return self.outcome is None

    @property
    def done(self) -> bool:
        """Whether the job has ended and every event of it was drained."""
        return not self.running and not self._events

    def cancel(self) -> None:
        """Ask the job to stop. It tidies up first, so it may run on for a while."""
        self.cancelled.set()

    def close(self) -> None:
        """Ask the job to stop and throw away what it still says. Never waits."""
        self._closed = True
        self.cancelled.set()
        self._events.clear()

    def join(self, seconds: float) -> bool:
        """Wait for the end of the job, not on the event loop; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _perform(self) -> None:
        try:
            self.outcome = Finished(self._job(self._emit, self.cancelled))
        except PitrError as error:
            self.outcome = Failed(error)
        except BaseException as error:  # a thread has nobody to raise it to: the screen shows it
            self.outcome = Crashed(error)

    def _emit(self, event: E) -> None:
        if not self._closed:
            self._events.append(event)
