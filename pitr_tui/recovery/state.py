"""A run as it stands: the sum of its events, and the only thing that a screen has to draw."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logline import Observation, observe, parse_line
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import Latest, Stop
from pitr_tui.postgres.walname import is_segment
from pitr_tui.recovery.events import (
    CheckDone,
    CutKnown,
    Event,
    FeedFailed,
    LogArrived,
    NameAbsent,
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
    PROMOTED = "promoted"
    SHUT_DOWN = "shut down at target"
    SUSPECT_OPEN = "open without a stop"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class RunView:
    """The fold of a run's events. `apply` them in their order; read the fields.

    `absent` is the last segment that the archive was proved not to have; `rate` is in bytes of
    WAL a second, over the last ten seconds.
    """

    started: RunStarted | None = None
    state: RunState = RunState.PREPARING
    step: Step | None = None
    done: dict[Step, float] = field(default_factory=dict)
    copied: Progress | None = None
    replay: ReplayAt | None = None
    rate: float = 0.0
    log_time: str = ""
    stop: Stop | None = None
    paused: bool = False
    opened: bool = False
    at_consistency: Lsn | None = None
    redo_done: Lsn | None = None
    last_transaction: str = ""
    new_timeline: TimelineId | None = None
    segments_restored: int = 0
    last_restored: str = ""
    failures: list[Observation] = field(default_factory=list)
    alarms: list[Observation] = field(default_factory=list)
    feed_failure: FeedFailed | None = None
    absent: str = ""
    checks: list[CheckDone] = field(default_factory=list)
    failed: RunFailed | None = None
    finished: RunFinished | None = None
    taken_up: RunTakenUp | None = None
    cut: CutKnown | None = None
    promoted: Promoted | None = None
    thrown_away: bool = False
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
            case LogArrived():
                observation = observe(parse_line(event.text))
                if observation is not None:
                    self.take(observation)
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
            case ThrownAway():
                self.thrown_away = True
            case _:
                pass

    def take(self, seen: Observation) -> None:
        """Take in what one line of the log means."""
        if seen.is_failure:
            self.failures.append(seen)
        elif seen.is_alarm:
            self.alarms.append(seen)
        match seen.kind:
            case Kind.FETCHED:
                if seen.name and not seen.name.endswith(".history"):
                    self.segments_restored += 1
                    self.last_restored = seen.name
            case Kind.REDO_START:
                self._advance(RunState.REPLAYING)
            case Kind.CONSISTENT:
                self.at_consistency = seen.lsn
            case Kind.READ_ONLY_OPEN:
                self._advance(RunState.READABLE)
            case Kind.STOPPING:
                self.stop = Stop(
                    seen.what or "", seen.before, seen.xid, seen.time, seen.lsn, seen.name
                )
                self._advance(RunState.STOPPED)
            case Kind.PAUSED:
                self.paused = True
                if self.stop is not None:
                    self._advance(RunState.PAUSED)
            case Kind.SHUTDOWN_AT_TARGET:
                self._advance(RunState.SHUT_DOWN)
            case Kind.REDO_DONE:
                self.redo_done = seen.lsn
            case Kind.LAST_TRANSACTION:
                self.last_transaction = seen.time or ""
            case Kind.NEW_TIMELINE:
                self.new_timeline = seen.timeline
            case Kind.OPEN:
                self.opened = True
                stopped_as_asked = self.stop is not None or not self.aims_at_stop
                self._advance(RunState.PROMOTED if stopped_as_asked else RunState.SUSPECT_OPEN)
            case _:
                pass

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

    def _begin_again(self, event: RunTakenUp) -> None:
        """What was said of the server before holds no more: it is started anew, or looked at."""
        fresh = RunView()
        for one in _OF_THE_SERVER:
            setattr(self, one, getattr(fresh, one))
        order = list(Step)
        self.done = {s: t for s, t in self.done.items() if order.index(s) < order.index(event.step)}
        self.taken_up = event
        self.step = event.step

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
        self._marks.append((at, event.lsn))
        while at - self._marks[0][0] > _RATE_WINDOW:
            self._marks.popleft()
        since, first = self._marks[0]
        seconds = (at - since).total_seconds()
        self.rate = (event.lsn - first) / seconds if seconds > 0 else self.rate


_ORDER = tuple(RunState)
# What the server told; the rest is the run's own.
_OF_THE_SERVER = (
    *("state", "replay", "rate", "log_time", "stop", "paused", "opened", "at_consistency"),
    *("redo_done", "last_transaction", "new_timeline", "segments_restored", "last_restored"),
    *("failures", "alarms", "feed_failure", "absent", "checks", "failed", "finished"),
    "_marks",
)
_AT_TARGET = (RunState.STOPPED, RunState.PAUSED, RunState.PROMOTED, RunState.SHUT_DOWN)
