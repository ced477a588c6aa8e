"""A run as it stands: the sum of its events, and the only thing that a screen has to draw."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logline import Observation, parse_line
from pitr_tui.postgres.logstory import ServerLog
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import Latest, Stop
from pitr_tui.postgres.walname import is_segment
from pitr_tui.recovery.events import (
    CheckDone,
    CutKnown,
    Event,
    FeedFailed,
    GivenUp,
    LogArrived,
    NameAbsent,
    PlaceTaken,
    Progress,
    Promoted,
    ReplayAt,
    RunFailed,
    RunFinished,
    RunStarted,
    RunTakenUp,
    Stamped,
    Step,
    StepDone,
    StepStarted,
    ThrownAway,
)

_RATE_WINDOW = timedelta(seconds=10)


class RunState(StrEnum):
    """Where a recovery is. Only STOPPED, PAUSED and what follows them are at the target."""

    PREPARING = "preparing"
    COPYING = "copying"
    FETCHING = "fetching"
    REPLAYING = "replaying"
    READABLE = "readable, not at target"
    STOPPED = "stopped at target"
    PAUSED = "paused at target"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    SHUT_DOWN = "shut down at target"
    SUSPECT_OPEN = "open without a stop"
    FAILED = "failed"
    CANCELLED = "cancelled"
    THROWN_AWAY = "thrown away"


@dataclass(slots=True)
class RunView:
    """The fold of a run's events. `apply` them in their order; read the fields.

    `log` is what the secondary itself said; `absent` the last segment that the archive was
    proved not to have; `rate` is in bytes of WAL a second, over the last ten seconds.
    """

    started: RunStarted | None = None
    state: RunState = RunState.PREPARING
    step: Step | None = None
    done: dict[Step, float] = field(default_factory=dict)
    copied: Progress | None = None
    replay: ReplayAt | None = None
    rate: float = 0.0
    log: ServerLog = field(default_factory=lambda: ServerLog(archive_is_known=True))
    feed_failure: FeedFailed | None = None
    absent: str = ""
    checks: list[CheckDone] = field(default_factory=list)
    failed: RunFailed | None = None
    finished: RunFinished | None = None
    taken_up: RunTakenUp | None = None
    cut: CutKnown | None = None
    promoted: Promoted | None = None
    thrown_away: bool = False
    place: PlaceTaken | None = None
    lines_heard: int = 0
    _marks: deque[tuple[datetime, Lsn]] = field(default_factory=deque)

    def apply(self, stamped: Stamped) -> None:
        """Take in one event."""
        event: Event = stamped.event
        match event:
            case RunStarted():
                self.started = event
            case StepStarted():
                self.step = event.step
                self._enter(event.step)
            case StepDone():
                self.done[event.step] = event.seconds
            case Progress():
                self.copied = event
            case PlaceTaken():
                self.place = event
                self.lines_heard = 0  # a new place has a new log
            case GivenUp():
                if not event.kept:
                    self.done.pop(Step.COPY, None)
            case LogArrived():
                self.lines_heard += 1
                line = parse_line(event.text)
                seen = self.log.add(line)
                if seen is not None and not self.log.life.is_hearsay(line, seen):
                    self._follow(seen)
            case ReplayAt():
                self._take_replay(stamped.at, event)
            case FeedFailed():
                self.feed_failure = event
            case NameAbsent() if is_segment(event.name):
                self.absent = event.name
            case CheckDone():
                self.checks.append(event)
            case RunFailed():
                self.failed = event
                self.state = RunState.CANCELLED if event.cancelled else RunState.FAILED
            case RunFinished():
                self.finished = event
            case RunTakenUp():
                self._begin_again(event)
            case CutKnown():
                self.cut = event
            case Promoted():
                self.promoted = event
                self.state = RunState.PROMOTED
            case ThrownAway():
                self.thrown_away = True
                self.state = RunState.THROWN_AWAY
            case _:
                pass

    def _follow(self, seen: Observation) -> None:
        """Go on to the state that a line of the log tells."""
        match seen.kind:
            case Kind.REDO_START:
                self._advance(RunState.REPLAYING)
            case Kind.READ_ONLY_OPEN:
                self._advance(RunState.READABLE)
            case Kind.STOPPING:
                self._advance(RunState.STOPPED)
            case Kind.PAUSED if self.stop is not None:
                self._advance(RunState.PAUSED)
            case Kind.REDO_DONE if self.stop is not None:
                self._advance(RunState.PROMOTING)
            case Kind.SHUTDOWN_AT_TARGET:
                self._advance(RunState.SHUT_DOWN)
            case Kind.OPEN:
                as_asked = self.stop is not None or not self.aims_at_stop
                suspect = not as_asked or self.log.is_suspect
                self._advance(RunState.SUSPECT_OPEN if suspect else RunState.PROMOTED)
            case _:
                pass

    @property
    def stop(self) -> Stop | None:
        """Where the server says that it stopped."""
        return self.log.stop

    @property
    def paused(self) -> bool:
        """Replay is held, at the target or elsewhere."""
        return self.log.life.paused

    @property
    def opened(self) -> bool:
        """The server is open for writing."""
        return self.log.life.opened

    @property
    def at_consistency(self) -> Lsn | None:
        return self.log.life.consistent

    @property
    def redo_done(self) -> Lsn | None:
        """The last record that was applied, once replay has ended."""
        return self.log.life.redo_done

    @property
    def last_transaction(self) -> str:
        """When the last transaction in the recovered data ended, as the server printed it."""
        return self.log.life.last_transaction

    @property
    def new_timeline(self) -> TimelineId | None:
        return self.log.life.new_timeline

    @property
    def segments_restored(self) -> int:
        return self.log.life.restored

    @property
    def last_restored(self) -> str:
        """The segment that was delivered last."""
        return self.log.life.last_restored

    @property
    def failures(self) -> list[Observation]:
        return self.log.failures

    @property
    def alarms(self) -> list[Observation]:
        return self.log.alarms

    @property
    def aims_at_stop(self) -> bool:
        """Whether the server was given a target at which it has to stop by itself."""
        return self.target != str(Latest())

    @property
    def fraction(self) -> float | None:
        """How much of the way through the WAL is done, or None where the end is not known."""
        if self.state in _AT_TARGET:
            return 1.0
        if self.replay is None or self.replay.end is None or self.replay.end <= self.replay.start:
            return None
        way = self.replay.end - self.replay.start
        return min(1.0, max(0.0, (self.replay.lsn - self.replay.start) / way))

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the measured rate, or None."""
        if self.replay is None or self.replay.end is None or self.rate <= 0:
            return None
        return max(0.0, (self.replay.end - self.replay.lsn) / self.rate)

    @property
    def target(self) -> str:
        """Where the run is to stop, as it was asked for last."""
        last = self.taken_up or self.started
        return last.target if last is not None else ""

    @property
    def plan(self) -> dict[str, Any]:
        """The plan that holds, as it was recorded; empty where none was."""
        last = self.taken_up or self.started
        return last.plan if last is not None else {}

    def _begin_again(self, event: RunTakenUp) -> None:
        """What the server said before holds no more, unless it is the same server still."""
        if event.target != self.target:
            self.cut = None  # it was told of another place
        self.taken_up, self.step = event, event.step
        self.failed = self.finished = None
        self.checks = []
        if event.step is Step.REPLAY:
            return
        fresh = RunView()
        for one in _OF_THE_SERVER:
            setattr(self, one, getattr(fresh, one))
        order = list(Step)
        self.done = {s: t for s, t in self.done.items() if order.index(s) < order.index(event.step)}

    def _enter(self, step: Step) -> None:
        if step is Step.COPY:
            self.state = RunState.COPYING
        elif step is Step.START:
            self.state = RunState.FETCHING

    def _advance(self, state: RunState) -> None:
        """Go forward only: processes of the server write their lines in no fixed order."""
        if _ORDER.index(state) > _ORDER.index(self.state):
            self.state = state

    def _take_replay(self, at: datetime, event: ReplayAt) -> None:
        self.replay = event
        if self._marks and at < self._marks[-1][0]:
            self._marks.clear()  # the clock was set back
        self._marks.append((at, event.lsn))
        while at - self._marks[0][0] > _RATE_WINDOW:
            self._marks.popleft()
        since, first = self._marks[0]
        seconds = (at - since).total_seconds()
        self.rate = (event.lsn - first) / seconds if seconds > 0 else self.rate


_ORDER = tuple(RunState)
# What the server told; the rest is the run's own.
_OF_THE_SERVER = (
    *("state", "replay", "rate", "log", "feed_failure", "absent", "checks", "failed", "finished"),
    "_marks",
)
_AT_TARGET = (RunState.STOPPED, RunState.PAUSED, RunState.PROMOTED, RunState.SHUT_DOWN)
