"""What a journal tells, put in order: the attempts of a run, and what each of them did.

Everything is from the journal alone, so the same journal always gives the same tale.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.walname import is_segment
from pitr_tui.recovery.events import (
    CheckDone,
    CheckedBefore,
    CutKnown,
    FeedFailed,
    Judged,
    LogArrived,
    NameAbsent,
    Promoted,
    RunFailed,
    RunFinished,
    RunStarted,
    RunTakenUp,
    SegmentStaged,
    Stamped,
    Step,
    StepDone,
    StepStarted,
    ThrownAway,
)
from pitr_tui.recovery.report.outcome import Outcome, outcome
from pitr_tui.recovery.state import RunView

_SLACK = timedelta(seconds=1)


@dataclass(slots=True)
class StepTaken:
    """A step with its times; one that did not come to its end has no `seconds`."""

    step: Step
    begun: datetime
    ended: datetime | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Attempt:
    """A run from where it began, or was taken up, to where it ended or was left.

    `decisive` are the lines of `log`, by number, that told of the stop, an opening or a failure;
    `stopped` is when the journal got the first that told that the target was reached.
    """

    number: int
    begun: datetime
    asked: RunStarted | RunTakenUp
    view: RunView
    ended: datetime
    steps: list[StepTaken] = field(default_factory=list)
    checks: list[tuple[datetime, CheckDone]] = field(default_factory=list)
    checked_before: list[tuple[datetime, CheckedBefore]] = field(default_factory=list)
    judged: Judged | None = None
    feed_failures: list[FeedFailed] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    decisive: list[int] = field(default_factory=list)
    stopped: datetime | None = None
    failed: tuple[datetime, RunFailed] | None = None
    finished: tuple[datetime, RunFinished] | None = None
    cut: CutKnown | None = None


@dataclass(slots=True)
class Delivered:
    """The archived segments of one timeline that were read, checked and laid ready."""

    first: str
    last: str
    names: set[str] = field(default_factory=set)
    times: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Tale:
    """A whole run; `timelines` and `absent` (names proved to be missing) are of all attempts.

    `damage` is why the journal cannot be read to its end. `set_back` tells that the clock was
    set back meanwhile, so that no duration can be told.
    """

    started: RunStarted
    begun: datetime
    ended: datetime
    attempts: list[Attempt]
    events: int = 0
    timelines: dict[str, Delivered] = field(default_factory=dict)
    other_files: dict[str, int] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)
    promoted: tuple[datetime, Promoted] | None = None
    thrown_away: datetime | None = None
    damage: PitrError | None = None
    set_back: bool = False

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def outcome(self) -> Outcome:
        return outcome(self.last.view)


def tale_of(events: Iterable[Stamped]) -> Tale:
    """Put a journal in order, as far as it can be read.

    Raises RefusedError when there is no run in it, PitrError when nothing can be read.
    """
    tale = None
    try:
        for stamped in events:
            if tale is None:
                tale = _first(stamped)
            _add(tale, stamped)
    except PitrError as error:
        if tale is None:
            raise
        tale.damage = error
    if tale is None:
        raise RefusedError("this journal is empty", "its run ended before it began")
    return tale


def _first(stamped: Stamped) -> Tale:
    if not isinstance(stamped.event, RunStarted):
        raise RefusedError(
            "this journal does not begin with a run",
            f"its first event is {type(stamped.event).__name__}",
        )
    return Tale(stamped.event, stamped.at, stamped.at, [])


def _add(tale: Tale, stamped: Stamped) -> None:
    event = stamped.event
    if isinstance(event, RunStarted | RunTakenUp):
        # What was before stays with the attempt before, and what comes does not reach it.
        view = copy.deepcopy(tale.last.view) if tale.attempts else RunView()
        tale.attempts.append(_begun(tale, stamped.at, event, view))
    tale.events += 1
    tale.set_back = tale.set_back or tale.ended - stamped.at > _SLACK
    tale.ended = stamped.at
    _take(tale, tale.last, stamped)


def _begun(tale: Tale, at: datetime, asked: RunStarted | RunTakenUp, view: RunView) -> Attempt:
    attempt = Attempt(len(tale.attempts) + 1, at, asked, view, at)
    if tale.attempts and tale.last.asked.target == asked.target:
        attempt.cut = tale.last.cut
    return attempt


def _take(tale: Tale, attempt: Attempt, stamped: Stamped) -> None:
    """One more event of an attempt."""
    view, before = attempt.view, _decisions(attempt.view)
    view.apply(stamped)
    attempt.ended = stamped.at
    match stamped.event:
        case StepStarted(step):
            attempt.steps.append(StepTaken(step, stamped.at))
        case StepDone(step, seconds) if attempt.steps and attempt.steps[-1].step is step:
            attempt.steps[-1].ended, attempt.steps[-1].seconds = stamped.at, seconds
        case CheckDone() as check:
            attempt.checks.append((stamped.at, check))
        case CheckedBefore() as check:
            attempt.checked_before.append((stamped.at, check))
        case Judged() as judged:
            attempt.judged = judged
        case FeedFailed() as failure:
            attempt.feed_failures.append(failure)
        case SegmentStaged(name, size):
            _deliver(tale, name, size)
        case NameAbsent(name):
            tale.absent[name] = tale.absent.get(name, 0) + 1
        case LogArrived(text):
            attempt.log.append(text)
            if _decisions(view) != before:
                attempt.decisive.append(len(attempt.log) - 1)
                if attempt.stopped is None and _at_target(view):
                    attempt.stopped = stamped.at
        case CutKnown() as cut:
            attempt.cut = cut
        case RunFailed() as failed:
            attempt.failed = stamped.at, failed
        case RunFinished() as finished:
            attempt.finished = stamped.at, finished
        case Promoted() as promoted if tale.promoted is None:  # asked again, it is open already
            tale.promoted = stamped.at, promoted
        case ThrownAway():
            tale.thrown_away = stamped.at
        case _:
            pass


def _decisions(view: RunView) -> tuple[bool, bool, int]:
    return view.stop is not None, view.opened, len(view.failures)


def _at_target(view: RunView) -> bool:
    return view.stop is not None if view.aims_at_stop else view.opened


def _deliver(tale: Tale, name: str, size: int) -> None:
    if not is_segment(name):
        tale.other_files[name] = tale.other_files.get(name, 0) + 1
        return
    found = tale.timelines.setdefault(name[:8], Delivered(name, name))
    found.first, found.last = min(found.first, name), max(found.last, name)
    found.names.add(name)
    found.times += 1
    found.bytes += size
