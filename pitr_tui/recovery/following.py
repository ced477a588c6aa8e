"""Feed a secondary and listen to it, until its log tells how the replay ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import without_secrets
from pitr_tui.postgres.target import AtLsn
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.events import CheckDone, Event, LogArrived, ReplayAt, Status
from pitr_tui.recovery.feeder import WalFeeder
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verdict import failure, is_over
from pitr_tui.recovery.verify import server_state
from pitr_tui.servers.secondary import LogSource

_TICK = 0.02
_ASK_EVERY = 0.4
_AIM_SECONDS = 60


@dataclass(slots=True)
class Unheard:
    """A log from behind the lines that a journal has already."""

    log: LogSource
    heard: int

    @property
    def ended(self) -> bool:
        return self.log.ended

    def lines(self) -> list[str]:
        while lines := self.log.lines():
            passed = min(self.heard, len(lines))
            self.heard -= passed
            if lines[passed:]:
                return lines[passed:]
        return []

    def close(self) -> None:
        self.log.close()


@dataclass(slots=True)
class Following:
    """One life of the secondary's server, from its start to its stop at the target.

    `emit` records an event and lets `view` take it in.
    """

    plan: RecoveryPlan
    view: RunView
    emit: Callable[[Event], None]
    cancel: threading.Event
    aimed: tuple[float, Lsn | None] | None = field(default=None, init=False)

    def until_over(self, feeder: WalFeeder, log: LogSource) -> None:
        """Raises PitrError when the replay did not end at its target, CancelledError."""
        secondary = self.plan.secondary
        asked = 0.0
        while True:
            if self.cancel.is_set():
                raise CancelledError("the recovery was cancelled")
            running = secondary.is_running()
            for event in feeder.tick():
                self.emit(event)
            lines = log.lines()
            for line in lines:
                self.emit(LogArrived(without_secrets(line)))
            if not lines and (not running or is_over(self.plan, self.view)):
                break
            if time.monotonic() - asked > _ASK_EVERY:
                asked = time.monotonic()
                self.tell_progress()
            if not lines:
                time.sleep(_TICK)
        problem = failure(self.plan, self.view, secondary.is_running())
        if problem is not None:
            raise problem

    def close_feed(self, feeder: WalFeeder) -> None:
        """Let the secondary go on without us; what is reached already is kept in any case."""
        try:
            feeder.finish()
        except (PitrError, OSError) as error:
            self.emit(
                CheckDone(
                    "going on alone",
                    Status.WARNING,
                    f"the archive could not be read any more: {error}",
                    "do not restart or promote the secondary: it would stop",
                )
            )

    def tell_progress(self) -> None:
        """Where replay is: by SQL once the server can be read, else by what it fetched."""
        plan, view = self.plan, self.view
        start = plan.backup.label.start_lsn
        lsn, at = start, None
        if view.last_restored:
            segment = WalSegment.parse(view.last_restored, plan.backup.segment_size)
            lsn = max(lsn, segment.start)
        if view.at_consistency is not None and not view.opened:
            with suppress(PitrError):  # it may not take connections yet, or not any more
                state = server_state(plan.secondary.database, plan.version)
                lsn, at = state.replayed or lsn, state.time
        if view.replay is not None:  # a question without an answer takes nothing back
            lsn, at = max(lsn, view.replay.lsn), at or view.replay.time
        if view.replay is None or lsn > view.replay.lsn or at != view.replay.time:
            self.emit(ReplayAt(lsn, start, self.aim(), at))

    def aim(self) -> Lsn | None:
        """The end of the way as far as it can be known: the target, or what is archived."""
        if isinstance(self.plan.target, AtLsn):
            return self.plan.target.lsn
        if self.aimed is None or time.monotonic() - self.aimed[0] > _AIM_SECONDS:
            last = None
            with suppress(PitrError):  # an archive that is away for a moment is the feeder's affair
                last = self.plan.source.last_reachable()
            self.aimed = (time.monotonic(), last.end if last else None)
        return self.aimed[1]
