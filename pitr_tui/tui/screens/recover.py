"""Step 6: the run. Everything on it is drawn from the events that the journal keeps, too."""

from __future__ import annotations

import threading
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Stamped
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunView
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Bridge, Emit
from pitr_tui.tui.messages import StepPassed, StepWanted
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.run_panel import RunPanel

_GROUP = "run"


class RecoverPane(StepPane):
    """Runs the confirmed plan, once, and shows it. Leaving the step does not stop the run."""

    step = WizardStep.RECOVER
    title = "Recover"
    scrolls = False
    first_focus = "LogView"
    help_text = """\
The plan is carried out: the backup is copied to the destination, the settings are written, and
a secondary is started there. It replays the WAL that pitr hands to it, up to your target.

The badge says how it stands. "Readable" is not "at the target": only when the badge says so
have the data the state that you asked for. Below is the secondary's own log.

You may look at other steps meanwhile. Stopping the run takes away what it has made; your
backup, your archive and the primary are not touched by it in any case.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x,ctrl+c", "stop_run", "Stop", tooltip="stop the secondary, remove the copy"),
        Binding("r,ctrl+r", "try_again", "Retry", tooltip="the same plan once more"),
        Binding("T,f3", "go('target')", "Target", tooltip="choose another target"),
        Binding("P,f4", "go('plan')", "Plan", show=False, tooltip="back to the plan"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.panel = RunPanel()
        self._bridge: Bridge[Stamped, RunView] | None = None
        self._tried: RecoveryPlan | None = None

    def body(self) -> ComposeResult:
        yield self.panel

    def enter(self) -> None:
        """A plan that was just confirmed starts: confirming it takes the earlier run away."""
        if self.session.run is None and way.obstacle(self.session, self.step) is None:
            self.start()

    @property
    def running(self) -> bool:
        """Whether the run has not come to its end, tidying up included."""
        return self._bridge is not None and self._bridge.running

    @property
    def _going(self) -> bool:
        return self.running or way.run_is_going(self.session)

    @property
    def at_work(self) -> str:
        return "the recovery" if self.running else ""

    def start(self) -> None:
        """Carry out the session's plan; nothing happens while a run is going."""
        plan = self.session.plan
        if plan is None or self.running or self._job_is_open():
            return
        self._tried = plan
        self.show_problem(None)
        self.panel.restart()
        self.session.run = self.panel.view
        self.session.secondary = None
        self._bridge = self.run_job(
            lambda emit, cancel: _recover(plan, emit, cancel),
            on_events=self._take,
            on_done=lambda view: self._finished(plan),
            on_failed=self._failed,
            group=_GROUP,
        )

    def _job_is_open(self) -> bool:
        """Whether events of a run are still to be drawn."""
        return self._bridge is not None and not self._bridge.done

    def _take(self, events: list[Stamped]) -> None:
        self.panel.feed(events)
        self.refresh_bindings()

    def _finished(self, plan: RecoveryPlan) -> None:
        self.session.secondary = plan.secondary
        self.refresh_bindings()

    def _failed(self, error: PitrError) -> None:
        """The panel tells of a failed run by itself; here is what failed before there was one."""
        if self.panel.view.failed is None:
            self.session.run = None
            self.show_problem(error)
        self.refresh_bindings()

    # Going on.

    def next_action(self) -> str:
        view = self.panel.view
        if self._going:
            return "nothing to do; it goes on by itself, also while you look elsewhere"
        if view.finished is not None:
            return "verify what was recovered"
        if view.failed is not None:
            return "try the same plan again"
        plan = self.session.plan
        return f"recover into {plan.secondary.destination}" if plan else ""

    def proceed(self) -> None:
        view = self.panel.view
        if self.running:
            self.show_problem(None)
        elif view.finished is not None:
            self.post_message(StepPassed(self.step))
        else:
            self.start()

    def back(self) -> bool:
        """Escape leads to the step before; the run goes on."""
        return False

    def action_go(self, step: str) -> None:
        self.post_message(StepWanted(WizardStep(step)))

    def action_try_again(self) -> None:
        self.start()

    def action_stop_run(self) -> None:
        """Ask, then cancel; the engine takes away what it made and says so."""
        plan = self._tried
        if plan is None:
            return

        def decided(sure: bool | None) -> None:
            if sure and self._bridge is not None and self.running:
                self._bridge.cancel()

        self.app.push_screen(
            ConfirmDialog(
                "Stop this recovery?",
                f"{plan.secondary.destination}\n\n"
                "The secondary is stopped, and what was copied is removed.\n"
                "The backup, the WAL archive and the primary stay as they are.",
                confirm="Stop and remove",
            ),
            decided,
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only while they mean something."""
        failed = self.panel.view.failed is not None and not self.running
        if action == "stop_run":
            return self._going
        if action in ("try_again", "go"):
            return failed
        return True


def _recover(plan: RecoveryPlan, emit: Emit[Stamped], cancel: threading.Event) -> RunView:
    """The run itself, in the bridge's thread."""
    from pitr_tui.recovery.journal import Journal
    from pitr_tui.recovery.run import recover

    journal = Journal.create(emit)
    try:
        return recover(plan, journal, cancel)
    finally:
        journal.close()
