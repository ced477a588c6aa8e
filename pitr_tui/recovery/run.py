"""Perform a plan. One step after the other, one event for each thing that happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.conf import without_block
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.events import (
    CheckDone,
    Event,
    LogArrived,
    ReplayAt,
    RunFailed,
    RunFinished,
    RunStarted,
    Status,
    Step,
    StepDone,
    StepStarted,
)
from pitr_tui.recovery.feeder import FEED_DIRECTORY, WalFeeder
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.place import Copy
from pitr_tui.recovery.plan import PlannedFile, RecoveryPlan
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verdict import evidence, failure, is_over
from pitr_tui.recovery.verify import ServerState, server_state
from pitr_tui.servers.secondary import LogSource, Secondary

_TICK = 0.02
_ASK_EVERY = 0.4
_AIM_SECONDS = 60
_SETTLE_SECONDS = 30


def recover(plan: RecoveryPlan, journal: Journal, cancel: threading.Event | None = None) -> RunView:
    """Do what the plan says and give the run as it ended; the secondary may be running.

    Raises PitrError when the target was not reached, CancelledError when `cancel` was set.
    Then the secondary is stopped, and the destination is as it was before.
    """
    return _Run(plan, journal, cancel or threading.Event()).perform()


@dataclass(slots=True)
class _Run:
    plan: RecoveryPlan
    journal: Journal
    cancel: threading.Event
    view: RunView = field(default_factory=RunView)
    secondary: Secondary = field(init=False)
    touched: bool = field(default=False, init=False)
    aimed: tuple[float, Lsn | None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.secondary = self.plan.secondary

    def perform(self) -> RunView:
        plan, secondary = self.plan, self.secondary
        self.emit(
            RunStarted(
                run=self.journal.run,
                version=str(plan.version),
                backup=str(plan.backup.path),
                archive=str(plan.archive.directory),
                destination=secondary.destination,
                target=str(plan.target),
                action=plan.action,
                files_and_commands=plan.render(),
            )
        )
        try:
            with self.step(Step.PLACE):
                secondary.require_apart(plan.backup.path, plan.archive.directory)
                secondary.state_of_place()
                self.touched = True
                secondary.make()
            with self.step(Step.COPY):
                self.emit_all(Copy(plan.backup, secondary.filler(), self.check_cancel).run())
            with self.step(Step.SETTINGS):
                self.write_files()
            self.replay()
            with self.step(Step.LOOK):
                finished = self.look()
            self.check_cancel()
            secondary.settle()
            self.emit(finished)
        except BaseException as error:
            self.give_up(error)
            raise
        return self.view

    def emit(self, event: Event) -> None:
        self.view.apply(self.journal.emit(event))

    def emit_all(self, events: Iterator[Event]) -> None:
        for event in events:
            self.emit(event)

    def check_cancel(self) -> None:
        if self.cancel.is_set():
            raise CancelledError("the recovery was cancelled")

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        self.check_cancel()
        self.emit(StepStarted(step))
        started = time.monotonic()
        yield
        self.emit(StepDone(step, time.monotonic() - started))

    def write_files(self) -> None:
        try:
            for file in self.plan.files():
                self.write_file(file)
        except OSError as error:
            raise PitrError(
                "the settings could not be written", f"{error.filename}: {error.strerror}"
            ) from error

    def write_file(self, file: PlannedFile) -> None:
        path = self.secondary.directory / str(file.path)
        before = ""
        if file.append and path.exists():
            before = without_block(path.read_bytes().decode("utf-8", "surrogateescape"))
        self.secondary.user.write_file(path, before + file.text)

    def replay(self) -> None:
        plan = self.plan
        meeting_place = self.secondary.directory / str(FEED_DIRECTORY)
        feeder = WalFeeder(plan.source, meeting_place, self.secondary.user)
        with ExitStack() as stack:
            stack.callback(feeder.stop)
            with self.step(Step.START):
                feeder.prepare()
                self.secondary.start()
                log = self.secondary.follow_log()
                stack.callback(log.close)
            with self.step(Step.REPLAY):
                self.follow(feeder, log)
                self.close_feed(feeder)

    def follow(self, feeder: WalFeeder, log: LogSource) -> None:
        """Feed and listen until the log or the end of the server tells how it went."""
        asked = 0.0
        while True:
            self.check_cancel()
            running = self.secondary.is_running()
            self.emit_all(feeder.tick())
            lines = log.lines()
            for line in lines:
                self.emit(LogArrived(line))
            if not lines and (not running or is_over(self.plan, self.view)):
                break
            if time.monotonic() - asked > _ASK_EVERY:
                asked = time.monotonic()
                self.tell_progress()
            if not lines:
                time.sleep(_TICK)
        problem = failure(self.plan, self.view, self.secondary.is_running())
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
                state = server_state(self.secondary.database, plan.version)
                lsn, at = state.replayed or lsn, state.time
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

    def look(self) -> RunFinished:
        """Ask the secondary itself, and tell the evidence. Raises PitrError against the plan."""
        plan, view = self.plan, self.view
        state = None
        if plan.action is not TargetAction.SHUTDOWN:
            try:
                state = self.settled_state()
            except PitrError as error:
                self.emit(CheckDone("look by SQL", Status.WARNING, error.why, error.hint))
        checks = evidence(plan, view, state)
        self.emit_all(iter(checks))
        bad = [check for check in checks if check.status is Status.FAILURE]
        if bad:
            raise PitrError(
                "the secondary is not in the state that was asked for",
                "; ".join(f"{check.name}: {check.evidence}" for check in bad),
            )
        stop = str(view.stop) if view.stop else f"at the end of the WAL, {view.redo_done}"
        last = view.last_transaction
        if not last and state and state.time:
            last = f"{state.time:%Y-%m-%d %H:%M:%S.%f%z}"
        return RunFinished(
            headline=f"recovered {plan.target}: it stopped {stop}",
            stop_reason=stop,
            state=view.state.value,
            connect=self.secondary.psql_command() if self.secondary.is_running() else "",
            segments_restored=view.segments_restored,
            last_transaction=last,
            timeline=state.timeline if state else None,
        )

    def settled_state(self) -> ServerState:
        """The server's own view, once it takes connections. Raises PitrError when it never does."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            try:
                state = server_state(self.secondary.database, self.plan.version)
                if state.paused or not state.in_recovery or time.monotonic() > deadline:
                    return state
            except PitrError as error:
                refused = "does not exist" in error.why and "FATAL:  " in error.why
                if refused or time.monotonic() > deadline or not self.secondary.is_running():
                    raise
            time.sleep(_TICK)

    def give_up(self, error: BaseException) -> None:
        """Stop the secondary and take away what this run made, then tell."""
        left = f"nothing: {self.secondary.destination} is as it was before"
        try:
            if self.touched:
                self.secondary.unmake()
        except (PitrError, OSError) as problem:
            left = str(problem)
        told = error if isinstance(error, PitrError) else PitrError(repr(error))
        with suppress(PitrError):  # the journal itself may be what failed
            cancelled = isinstance(error, CancelledError)
            self.emit(RunFailed(told.what, told.why, told.hint, left, cancelled))
