"""The way through the wizard in one row."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Static

from pitr_tui.tui.literal import literal
from pitr_tui.tui.messages import StepWanted

NAMES = ("connect", "archive", "backups", "target", "plan", "recover", "verify")
TITLES = {**{name: name for name in NAMES}, "plan": "check"}


class Stepper(Static):
    """The seven steps in one row; a click goes to one."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="stepper")
        self._spans: list[tuple[int, int, str]] = []

    def show(self, current: str, done: set[str], open_steps: set[str]) -> None:
        """Draw the row: the current step in bars, a tick behind the done ones."""
        row = Content("")
        self._spans = []
        behind_current = False
        for number, name in enumerate(NAMES, 1):
            here = name == current
            edge = "▐" if here else "▌" if behind_current else " "
            row += literal(edge, "$primary" if edge != " " else "")
            text = f"{number} {TITLES[name]}" + (" ✓" if name in done else "")
            style = (
                "bold reverse $primary"
                if here
                else ""
                if name in open_steps
                else "$foreground-muted"
            )
            self._spans.append((len(row.plain), len(row.plain) + len(text), name))
            row += literal(text, style)
            behind_current = here
        if behind_current:
            row += literal("▌", "$primary")
        self.update(row, layout=False)

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._spans:
            if start <= event.x < end:
                from pitr_tui.tui.session import WizardStep

                self.post_message(StepWanted(WizardStep(name)))
