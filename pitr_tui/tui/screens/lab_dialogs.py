"""The dialogs of the lab: the hints, and the score."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from pitr_tui.lab.result import Score
from pitr_tui.tui.lab_session import OpenLab
from pitr_tui.tui.literal import literal
from pitr_tui.tui.screens.dialogs import TextDialog
from pitr_tui.tui.screens.lab_words import hints_content, score_content


class HintDialog(ModalScreen[bool]):
    """The story and the hints so far; True when the next one is wanted. Close has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "answer(False)", "Close"),
        Binding("left", "app.focus_previous", "Other button", show=False),
        Binding("right", "app.focus_next", "Other button", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]

    def __init__(self, open_lab: OpenLab) -> None:
        super().__init__()
        self._open_lab = open_lab

    def compose(self) -> ComposeResult:
        taken, of = len(self._open_lab.hints), len(self._open_lab.lab.hints)
        counted = "The score tells how many were taken; it takes no marks for them."
        if taken == of:
            counted = "These are all the hints that there are."
        with Vertical(classes="dialog"):
            yield Static(
                literal(f"{self._open_lab.lab.scenario.title}: {taken} of {of} hints"),
                classes="dialog-title",
            )
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(hints_content(self._open_lab))
                yield Static(literal(counted), classes="muted gap-above")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close", id="close", compact=True)
                if taken < of:
                    words = literal(f"Take hint {taken + 1} of {of}")
                    yield Button(words, id="take", variant="primary", compact=True)
                yield Static("←→ choose  enter", markup=False, classes="dialog-keys")

    def on_mount(self) -> None:
        self.query_one("#close").focus()
        self.query_one(".dialog-body").scroll_end(animate=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "take")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_scroll(self, rows: int) -> None:
        self.query_one(".dialog-body").scroll_relative(y=rows, animate=False)


class ScoreDialog(TextDialog):
    """How well it was done."""

    def __init__(self, title: str, score: Score) -> None:
        super().__init__(f"Score: {title}", score_content(score))
