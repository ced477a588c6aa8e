"""Perform a plan. One step after the other, one event for each thing that happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pitr_tui
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.quote import without_secrets
from pitr_tui.recovery import merged
from pitr_tui.recovery.cancellation import Cancellation
from pitr_tui.recovery.checks import Judgement
from pitr_tui.recovery.copied import require_as_checked
from pitr_tui.recovery.events import (
    CheckedBefore,
    Event,
    GivenUp,
    Judged,
    LogArrived,
    PlaceTaken,
    RunFailed,
    RunStarted,
    RunTakenUp,
    Step,
    StepDone,
    StepStarted,
)
from pitr_tui.recovery.feeder import FEED_DIRECTORY, WalFeeder
from pitr_tui.recovery.following import Following, Unheard
from pitr_tui.recovery.going_on import require_recovering
from pitr_tui.recovery.journal import SCHEMA, Journal
from pitr_tui.recovery.outcome import look
from pitr_tui.recovery.place import Copy
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_commands import PlannedFile
from pitr_tui.recovery.plan_record import recorded
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verdict import RecoveryFailedError
from pitr_tui.servers.secondary import LogSource, Secondary

_TICK = 0.02
_SETTLE_SECONDS = 30


def recover(
    plan: RecoveryPlan,
    journal: Journal,
    cancel: threading.Event | None = None,
    judgement: Judgement | None = None,
) -> RunView:
    """Do what the plan says and give the run as it ended; the secondary may be running.

    `judgement` is what the person saw before, for the journal. Raises PitrError when the target was
    not reached, CancelledError when `cancel` was set. Then the secondary is stopped, and the
    destination is as it was before; but where the whole copy is there and a restart may be
    enough, it is kept for `take_up`, and the journal says so.
    """
    run = _Run(plan, journal, cancel or threading.Event(), RunView(), judgement)
    return run.perform()


def take_up(
    plan: RecoveryPlan,
    journal: Journal,
    view: RunView,
    cancel: threading.Event | None = None,
    judgement: Judgement | None = None,
) -> RunView:
    """Go on with a run that was cut off, failed with its copy kept, or stands at a target.

    `view` is the run as its journal tells it; `plan` is its own, or one with another target,
    timeline or settings. What is not whole is made again from the beginning; a server that
    went on alone is only looked at. Raises as `recover`, and RefusedError for a place that is
    not this run's any more.
    """
    run = _Run(plan, journal, cancel or threading.Event(), view, judgement)
    return run.go_on()


def _boot() -> str:
    """A name for the time since this machine was started; empty where it has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


@dataclass(slots=True)
class _Run:
    plan: RecoveryPlan
    journal: Journal
    cancel: threading.Event
    view: RunView
    judgement: Judgement | None
    secondary: Secondary = field(init=False)
    touched: bool = field(default=False, init=False)
    newest: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.secondary = self.plan.secondary

    def perform(self) -> RunView:
        plan = self.plan
        text = plan.render()  # a plan that cannot be told begins nothing
        self.emit(
            RunStarted(
                run=self.journal.run,
                version=str(plan.version),
                backup=str(plan.backup.path),
                archive=str(plan.archive.directory),
                destination=self.secondary.destination,
                target=str(plan.target),
                action=plan.action,
                files_and_commands=text,
                plan=recorded(plan),
                schema=SCHEMA,
                pitr=pitr_tui.__version__,
            )
        )
        self.tell_judgement()
        return self.guarded(self.from_the_place)

    def go_on(self) -> RunView:
        """Find out how far the run came, and begin behind that."""
        view, whole = self.view, False
        if view.thrown_away:
            raise RefusedError("the secondary of this run was thrown away", "", "recover once more")
        if view.place is not None and (view.failed is None or view.failed.kept):
            whole = self.secondary.take_over(self.journal.run, view.place.was_there)
            self.touched = whole
        if not (whole and Step.COPY in view.done) or self.may_be_lost():
            return self.guarded(self.from_the_place_again)
        running = self.secondary.is_running()
        same = view.plan == recorded(self.plan)
        at_it = same and running and view.failed is None
        if not (at_it and view.finished is None):  # one that opened meanwhile may be as planned
            self.require_open_end(running)
        if at_it:
            self.tell_taken_up(Step.REPLAY)
            return self.guarded(self.from_the_replay)
        return self.guarded(self.from_the_settings_again)

    def may_be_lost(self) -> bool:
        """Whether the machine was started anew before a server had synced the copy to its disk."""
        place = self.view.place
        synced = self.view.log.life.redo_start is not None or self.view.finished is not None
        return place is not None and bool(place.boot) and place.boot != _boot() and not synced

    def require_open_end(self, running: bool) -> None:
        """Raises RefusedError for a server that has left recovery, also when it ended since."""
        try:
            if not running and self.secondary.was_started():
                self.hear_the_rest()
            require_recovering(self.plan, self.view)
        except RefusedError:
            self.secondary.settle()
            raise

    def guarded(self, work: Callable[[], None]) -> RunView:
        try:
            self.newest = self.newest_archived()
            work()
        except BaseException as error:
            self.give_up(error)
            raise
        return self.view

    # The way, from wherever it begins.

    def from_the_place(self) -> None:
        plan, secondary = self.plan, self.secondary
        with self.step(Step.PLACE):
            secondary.require_apart(plan.backup.path, plan.archive.directory)
            self.emit(PlaceTaken(secondary.state_of_place() == "empty", _boot()))
            self.touched = True
            secondary.make(self.journal.run)
        with self.step(Step.COPY):
            for event in Copy(plan.backup, secondary.filler(), self.check_cancel).run():
                self.emit(event)
            require_as_checked(plan.backup, secondary.directory)
        self.from_the_settings()

    def from_the_place_again(self) -> None:
        """What an earlier life of this run left is not whole, so it goes."""
        if self.touched:
            self.secondary.unmake()
            self.touched = False
        self.tell_taken_up(Step.PLACE)
        self.from_the_place()

    def from_the_settings_again(self) -> None:
        """The copy is whole: stop what runs on it, hear its last words, and start anew."""
        if self.secondary.is_running():
            self.secondary.stop()
            self.hear_the_rest()
        self.tell_taken_up(Step.SETTINGS)
        self.from_the_settings()

    def from_the_settings(self) -> None:
        with self.step(Step.SETTINGS):
            self.write_files()
            for check in merged.examine(self.plan):
                self.emit(check)
        with self.feeding() as feeder:
            with self.step(Step.START):
                feeder.prepare()
                self.secondary.start()
                log = self.unheard_log()
            self.follow(feeder, log)
        self.finish()

    def from_the_replay(self) -> None:
        """The server is at it, or was when we looked: take its feed and its log up again."""
        with self.feeding() as feeder:
            feeder.take_over()
            self.follow(feeder, self.unheard_log())
        self.finish()

    def follow(self, feeder: WalFeeder, log: LogSource) -> None:
        following = Following(self.plan, self.view, self.emit, self.cancel)
        try:
            with self.step(Step.REPLAY):
                following.until_over(feeder, log)
                following.close_feed(feeder)
        finally:
            log.close()

    def finish(self) -> None:
        with self.step(Step.LOOK):
            finished = look(self.plan, self.view, self.emit)
        self.check_cancel()
        self.secondary.settle()
        self.emit(finished)

    # Its parts.

    def emit(self, event: Event) -> None:
        self.view.apply(self.journal.emit(event))

    def tell_taken_up(self, step: Step) -> None:
        plan = self.plan
        self.emit(RunTakenUp(step, str(plan.target), plan.action, plan.render(), recorded(plan)))
        self.tell_judgement()

    def tell_judgement(self) -> None:
        """What was known before, for whoever reads the journal."""
        if self.judgement is None:
            return
        for check in self.judgement.checks:
            self.emit(CheckedBefore(check.name, check.status, check.evidence, check.hint))
        self.emit(Judged(self.judgement.light, self.judgement.sentence))
        if self.judgement.cut is not None:
            self.emit(self.judgement.cut)

    def newest_archived(self) -> str:
        """What the archive has last now: while that is gone, nothing is proved to be absent."""
        with suppress(PitrError):  # an archive that is away for a moment is the feeder's affair
            held = self.plan.source.held()
            return held[max(held)].name if held else ""
        return ""

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

    @contextmanager
    def feeding(self) -> Iterator[WalFeeder]:
        place = self.secondary.directory / str(FEED_DIRECTORY)
        feeder = WalFeeder(self.plan.source, place, self.secondary.user, self.newest)
        try:
            yield feeder
        finally:
            feeder.stop()

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
            before = path.read_bytes().decode("utf-8", "surrogateescape")
        self.secondary.user.write_file(path, file.written(before))

    def unheard_log(self) -> LogSource:
        """The secondary's log behind what the journal has of it."""
        return Unheard(self.secondary.follow_log(), self.view.lines_heard)

    def hear_the_rest(self) -> None:
        """What a server said that has ended by now belongs to the attempt before."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        with closing(self.unheard_log()) as log:
            while (lines := log.lines()) or not (log.ended or time.monotonic() > deadline):
                for line in lines:
                    self.emit(LogArrived(without_secrets(line)))
                if not lines:
                    time.sleep(_TICK)

    def give_up(self, error: BaseException) -> None:
        """Stop the secondary; keep a copy that can go on, take away anything else, and tell."""
        kept = self.touched and self.can_go_on(error)
        with suppress(PitrError, OSError):  # whoever listened may be gone, with his terminal
            self.emit(GivenUp(kept))
        run, place = self.journal.run, self.secondary.destination
        left = f"nothing: {place} is as it was before"
        try:
            if kept:
                self.secondary.stop()
                self.secondary.settle()
                on = f"`pitr resume {run}` goes on with it"
                if self.view.opened:
                    on = "it has opened for writing, so it cannot go on"
                left = f"the copy in {place}, stopped: {on}, `pitr discard {run}` removes it"
            elif self.touched:
                self.secondary.unmake()
        except (PitrError, OSError) as problem:
            left = str(problem)
        told = error if isinstance(error, PitrError) else PitrError(repr(error))
        cancelled = isinstance(error, CancelledError)
        failure = error.failure if isinstance(error, RecoveryFailedError) else ""
        try:
            why = without_secrets(told.why)
            self.emit(RunFailed(told.what, why, told.hint, left, cancelled, failure, kept))
        except (PitrError, OSError):  # the journal itself may be what failed: so it is told here
            told.hint = "; ".join(filter(None, (told.hint, f"what is left: {left}")))

    def can_go_on(self, error: BaseException) -> bool:
        """Whether the copy is whole, and nothing said that it is no good.

        One that a person went on with is never removed unasked.
        """
        if Step.COPY not in self.view.done:
            return False
        if self.view.taken_up is not None:
            return True
        if isinstance(error, CancelledError):
            return isinstance(self.cancel, Cancellation) and self.cancel.keeps
        if isinstance(error, RefusedError):
            return False
        if isinstance(error, RecoveryFailedError):
            return error.restartable
        # An OSError comes from whoever listens: his terminal is gone, as with a hang-up.
        return isinstance(error, PitrError | OSError) and not self.view.opened
