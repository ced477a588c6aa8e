"""Perform a plan. One step after the other, one event for each thing that happened."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.conf import without_block
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import place
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
from pitr_tui.recovery.plan import OWN_DIRECTORY, PlannedFile, RecoveryPlan
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verdict import evidence, failure, is_over
from pitr_tui.recovery.verify import ServerState, server_state
from pitr_tui.servers.local import LocalServer
from pitr_tui.servers.logfile import LogFile

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
    server: LocalServer = field(init=False)
    destination_was_there: bool = field(init=False)
    made: list[Path] = field(default_factory=list, init=False)
    aimed: tuple[float, Lsn | None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.server = self.plan.server
        self.destination_was_there = self.plan.destination.exists()

    def perform(self) -> RunView:
        plan = self.plan
        self.emit(
            RunStarted(
                run=self.journal.run,
                version=str(plan.version),
                backup=str(plan.backup.path),
                archive=str(plan.archive.directory),
                destination=str(plan.destination),
                target=str(plan.target),
                action=plan.action,
                files_and_commands=plan.render(),
            )
        )
        try:
            with self.step(Step.PLACE):
                place.require_empty(plan.destination)
                place.require_apart(plan.destination, plan.backup.path, plan.archive.directory)
                self.make_place()
            with self.step(Step.COPY):
                copy = place.Copy(plan.backup, plan.destination, plan.user, self.check_cancel)
                self.emit_all(copy.run())
            with self.step(Step.SETTINGS):
                self.write_files()
            self.replay()
            with self.step(Step.LOOK):
                finished = self.look()
            self.check_cancel()
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

    def make_place(self) -> None:
        """The destination and our corner of it. Raises PitrError."""
        plan = self.plan
        try:
            if self.destination_was_there:
                plan.destination.chmod(0o700)
                plan.user.own(plan.destination)
            else:
                self.make(plan.destination)
            self.make(plan.destination / OWN_DIRECTORY)
            self.make(plan.socket_directory)
        except OSError as error:
            raise PitrError(
                "the destination cannot be prepared",
                f"{error.filename or plan.destination}: {error.strerror}",
                "choose a place that you may write to",
            ) from error

    def make(self, directory: Path) -> None:
        """A directory that was not there; only what we made is removed after a failure."""
        self.plan.user.make_directory(directory)
        self.made.append(directory)

    def write_files(self) -> None:
        try:
            for file in self.plan.files():
                self.write_file(file)
        except OSError as error:
            raise PitrError(
                "the settings could not be written", f"{error.filename}: {error.strerror}"
            ) from error

    def write_file(self, file: PlannedFile) -> None:
        path = self.plan.destination / file.path
        before = ""
        if file.append and path.exists():
            before = without_block(path.read_text(encoding="utf-8", errors="surrogateescape"))
        self.plan.user.write_file(path, before + file.text)

    def replay(self) -> None:
        plan = self.plan
        feeder = WalFeeder(plan.source, plan.destination / FEED_DIRECTORY, plan.user)
        with ExitStack() as stack:
            stack.callback(feeder.stop)
            with self.step(Step.START):
                feeder.prepare()
                self.server.start()
                log = self.server.follow_log()
                stack.callback(log.close)
            with self.step(Step.REPLAY):
                self.follow(feeder, log)
                self.close_feed(feeder)

    def follow(self, feeder: WalFeeder, log: LogFile) -> None:
        """Feed and listen until the log or the end of the server tells how it went."""
        asked = 0.0
        while True:
            self.check_cancel()
            running = self.server.is_running()
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
        problem = failure(self.plan, self.view, self.server.is_running())
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
                state = server_state(self.server.database, plan.version)
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
            connect=str(self.server.database) if self.server.is_running() else "",
            segments_restored=view.segments_restored,
            last_transaction=last,
            timeline=state.timeline if state else None,
        )

    def settled_state(self) -> ServerState:
        """The server's own view, once it takes connections. Raises PitrError when it never does."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            try:
                state = server_state(self.server.database, self.plan.version)
                if state.paused or not state.in_recovery or time.monotonic() > deadline:
                    return state
            except PitrError as error:
                refused = "does not exist" in error.why and "FATAL:  " in error.why
                if refused or time.monotonic() > deadline or not self.server.is_running():
                    raise
            time.sleep(_TICK)

    def give_up(self, error: BaseException) -> None:
        """Stop the secondary and take away what this run made, then tell."""
        left = f"nothing: {self.plan.destination} is as it was before"
        try:
            if self.made:
                self.server.stop()
                place.remove(self.plan.destination, keep_directory=self.destination_was_there)
            for directory in self.made:
                if directory.is_dir():  # the socket's, where it lies elsewhere
                    shutil.rmtree(directory)
        except (PitrError, OSError) as problem:
            left = str(problem)
        told = error if isinstance(error, PitrError) else PitrError(repr(error))
        with suppress(PitrError):  # the journal itself may be what failed
            cancelled = isinstance(error, CancelledError)
            self.emit(RunFailed(told.what, told.why, told.hint, left, cancelled))
