"""Earlier recoveries in the first step: whether one is not over yet, and the way back to it."""

from __future__ import annotations

import threading
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pitr_tui.recovery.glance import Glance, glances
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.messages import RunOpened
from pitr_tui.tui.screens.opening import OpenedRun, open_run, put_on_screen
from pitr_tui.tui.screens.runs import RunsDialog, standing_line
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session

_BREATH = 0.001


class PastRuns(StepPane):
    """The line about recoveries that can go on, and the key that lists them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R,f3", "runs", "Recoveries", id="runs", tooltip="go on with an earlier recovery"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._glances: list[Glance] = []

    def runs_line(self) -> ComposeResult:
        line = Static("", markup=False, id="runs-line")
        line.display = False
        yield line

    def look_at_runs(self) -> None:
        """Read the journals of the newest runs, beside everything else."""
        self.run_job(_look, on_done=self._take_glances, group="runs", awaited=False)

    def _take_glances(self, found: list[Glance]) -> None:
        self._glances = found
        line, told = self.query_one("#runs-line", Static), standing_line(found)
        line.display = told is not None
        if told is not None:
            line.update(told)
        self.refresh_bindings()

    def action_runs(self) -> None:
        """Choose one; it is read, and shown in the step that it has come to."""

        def chosen(record: RunRecord | None) -> None:
            if record is None:
                return
            if self.session.record == record:
                self.post_message(RunOpened(None))
                return
            reach = self.session.reach
            self.run_job(
                lambda emit, cancel: open_run(record, reach, cancel),
                on_done=self._open,
                busy="reading the journal of the run",
                group="open",
            )

        self.app.push_screen(RunsDialog(self._glances), chosen)

    def _open(self, run: OpenedRun) -> None:
        if not way.run_is_going(self.session):
            put_on_screen(self.session, run)
            self.post_message(RunOpened(run))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There has to be one, and none of our own that is going on."""
        if action == "runs":
            return bool(self._glances) and not way.run_is_going(self.session)
        return super().check_action(action, parameters)


def _look(emit: Emit[Glance], cancel: threading.Event) -> list[Glance]:
    found = []
    for one in glances():
        found.append(one)
        if cancel.wait(_BREATH):
            break
    return found
