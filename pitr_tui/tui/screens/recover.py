"""Step 6: the run. Everything on it is drawn from the events that the journal keeps, too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from pitr_tui.errors import PitrError
from pitr_tui.recovery.checks import Judgement
from pitr_tui.recovery.events import Stamped, Step
from pitr_tui.recovery.going_on import mended
from pitr_tui.recovery.journal import runs_directory
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.state import RunView
from pitr_tui.servers.secondary import Secondary
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Bridge, Emit
from pitr_tui.tui.messages import StepPassed, StepWanted
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.discarding import THROW_AWAY, Discarding
from pitr_tui.tui.screens.opening import OpenedRun, read_run, standing_of
from pitr_tui.tui.screens.standing_words import halted_words, onward_words
from pitr_tui.tui.session import Session, Standing, WizardStep
from pitr_tui.tui.widgets.run_panel import RunPanel

_GROUP = "run"

Work = Callable[[Emit[Stamped], threading.Event], RunView]


class RecoverPane(Discarding):
    """Runs the confirmed plan, once, and shows it. Leaving the step does not stop the run.

    A run that stands here and can go on is taken up again, with its own plan or with another.
    """

    step = WizardStep.RECOVER
    title = "Recover"
    scrolls = False
    first_focus = "LogView"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x,ctrl+c", "stop_run", "Stop", tooltip="stop the secondary"),
        Binding("r,ctrl+r", "try_again", "Retry", tooltip="the same plan once more"),
        Binding("r,ctrl+r", "go_on_here", "Go on", tooltip="go on with the copy that is there"),
        THROW_AWAY,
        Binding("T,f3", "go('target')", "Target", tooltip="choose another target"),
        Binding("P,f4", "go('plan')", "Plan", show=False, tooltip="back to the plan"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.panel = RunPanel()
        self._bridge: Bridge[Stamped, RunView] | None = None
        self._tried: RecoveryPlan | None = None
        self._heard = False  # whether the last attempt has told anything

    def body(self) -> ComposeResult:
        yield self.panel

    def enter(self) -> None:
        """A plan that was just confirmed starts, on a copy of its own or on the standing one."""
        session = self.session
        if session.onward is not None:
            plan, session.onward = session.onward, None
            self._take_up(plan, session.judgement)
        elif session.run is None and way.obstacle(session, self.step) is None:
            self.start()

    def show_run(self, run: OpenedRun) -> None:
        """A run of before, as its journal tells it."""
        self._tried = run.plan
        self.panel.show(run.view, run.log, halted_words(run))
        self.show_problem(None)

    @property
    def running(self) -> bool:
        """Whether the run has not come to its end, tidying up included."""
        return self._bridge is not None and self._bridge.running

    @property
    def _going(self) -> bool:
        return self.running or way.run_is_going(self.session)

    @property
    def at_work(self) -> str:
        return "the recovery" if self.running else super().at_work

    @property
    def at_stake(self) -> str:
        return self._when_stopped if self.running else super().at_stake

    # A run, or one more attempt of it.

    def start(self) -> None:
        """Carry out the session's plan; nothing happens while a run is going."""
        plan, seen = self.session.plan, self.session.judgement
        if plan is None or self.running or self._job_is_open():
            return
        way.begin_anew(self.session)
        self.panel.restart()
        self._perform(plan, None, lambda emit, cancel: _recover(plan, seen, emit, cancel))

    def action_go_on_here(self) -> None:
        """Go on with what stands, where it stands, as it was planned."""
        standing = self.session.standing
        if standing is not None:
            self._take_up(mended(standing.plan, self.panel.view), None)

    def _take_up(self, plan: RecoveryPlan, seen: Judgement | None) -> None:
        """Go on with the standing copy, by its own plan or by another."""
        standing = self.session.standing
        if standing is None or self.running or self._job_is_open():
            return
        record = standing.record
        self._perform(
            plan, standing, lambda emit, cancel: _take_up(record, plan, seen, emit, cancel)
        )

    def _perform(self, plan: RecoveryPlan, before: Standing | None, work: Work) -> None:
        session, server = self.session, self.session.secondary
        self._tried, self._heard = plan, False
        self.show_problem(None)
        session.run = self.panel.view
        session.secondary = session.standing = None

        def failed(error: PitrError) -> None:
            if not self._heard and before is not None:  # refused: all is as it was
                session.standing, session.secondary = before, server
                self.show_problem(error)
                self.refresh_bindings()
            else:
                self._failed(plan, error)

        self._bridge = self.run_job(
            work,
            on_events=self._take,
            on_done=lambda view: self._finished(plan),
            on_failed=failed,
            group=_GROUP,
        )

    def _job_is_open(self) -> bool:
        """Whether events of a run are still to be drawn."""
        return self._bridge is not None and not self._bridge.done

    def _take(self, events: list[Stamped]) -> None:
        self._heard = True
        self.panel.feed(events)
        session, started = self.session, self.panel.view.started
        if session.record is None and started is not None:
            session.record = RunRecord(runs_directory() / started.run)
            session.records.append(session.record)
        self.refresh_bindings()

    def _finished(self, plan: RecoveryPlan) -> None:
        self.session.secondary = plan.secondary
        self._keep_standing(plan)

    def _failed(self, plan: RecoveryPlan, error: PitrError) -> None:
        """The panel tells of a failed run by itself; here is what failed before there was one."""
        if self.panel.view.failed is None:
            self.show_problem(error)
        if self.panel.view.started is None:
            self.session.run = None
        self._keep_standing(plan)

    def _keep_standing(self, plan: RecoveryPlan) -> None:
        session = self.session
        if session.record is not None and session.run is not None:
            session.standing = standing_of(session.record, plan, session.run)
            session.plan = plan
        self.refresh_bindings()

    # Going on.

    def next_action(self) -> str:
        view, session = self.panel.view, self.session
        if self._going:
            return "nothing to do; it goes on by itself, also while you look elsewhere"
        if session.standing is not None and session.secondary is None:
            return onward_words(session.standing)
        if view.finished is not None:
            return "verify what was recovered"
        if view.failed is not None:
            return "try the same plan again"
        plan = session.plan
        return f"recover into {plan.secondary.destination}" if plan else ""

    def proceed(self) -> None:
        if self.running:
            self.show_problem(None)
        elif self.session.standing is not None and self.session.secondary is None:
            self.action_go_on_here()
        elif self.panel.view.finished is not None:
            self.post_message(StepPassed(self.step))
        else:
            self.start()

    def action_go(self, step: str) -> None:
        self.session.afresh = False
        self.post_message(StepWanted(WizardStep(step)))

    def action_try_again(self) -> None:
        self.start()

    def action_stop_run(self) -> None:
        """Ask, then cancel; the engine says what it has left."""
        plan = self._tried
        if plan is None:
            return

        def decided(sure: bool | None) -> None:
            if sure and self._bridge is not None and self.running:
                self._bridge.cancel()

        self.app.push_screen(
            ConfirmDialog(
                "Stop this recovery?",
                f"{plan.secondary.destination}\n\n{self._when_stopped}\n"
                "The backup, the WAL archive and the primary stay as they are.",
                confirm="Stop it" if self._is_kept else "Stop and remove",
            ),
            decided,
        )

    @property
    def _is_kept(self) -> bool:
        """Whether the copy outlives a stop: the engine removes none that was gone on with."""
        view = self.panel.view
        return view.taken_up is not None and Step.COPY in view.done

    @property
    def _when_stopped(self) -> str:
        if self._is_kept and self.session.record is not None:
            return (
                "The secondary is stopped, and its copy is kept: you can go on with it here, or "
                f"with `pitr resume {self.session.record.name}`."
            )
        return "The secondary is stopped, and what was copied is removed."

    # The end of it.

    @property
    def doomed(self) -> Secondary | None:
        standing = self.session.standing
        return standing.plan.secondary if standing is not None else None

    def thrown_away(self) -> None:
        self.panel.restart()
        self.post_message(StepWanted(way.nearest(self.session, WizardStep.TARGET)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only while they mean something."""
        if action == "stop_run":
            return self._going
        view, stands = self.panel.view, self.session.standing is not None
        waits = not self._going and self.session.secondary is None
        if action in ("go_on_here", "throw_away"):
            return waits and stands
        if action == "try_again":
            return waits and not stands and view.failed is not None
        if action == "go":
            return waits and (stands or view.failed is not None)
        return super().check_action(action, parameters)


def _recover(
    plan: RecoveryPlan, seen: Judgement | None, emit: Emit[Stamped], cancel: threading.Event
) -> RunView:
    """The run itself, in the bridge's thread."""
    from pitr_tui.recovery.journal import Journal
    from pitr_tui.recovery.run import recover

    journal = Journal.create(emit)
    try:
        return recover(plan, journal, cancel, seen)
    finally:
        journal.close()


def _take_up(
    record: RunRecord,
    plan: RecoveryPlan,
    seen: Judgement | None,
    emit: Emit[Stamped],
    cancel: threading.Event,
) -> RunView:
    """The same from where the run of a record stands; its journal may have grown since."""
    from pitr_tui.recovery.journal import Journal
    from pitr_tui.recovery.run import take_up

    journal = Journal.reopen(record.directory, emit)
    try:
        view, _ = read_run(record, cancel)
        return take_up(plan, journal, view, cancel, seen)
    finally:
        journal.close()
