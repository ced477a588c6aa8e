"""A question that a tired finger cannot answer: the answer has to be typed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from pitr_tui.tui.literal import assemble, literal


class TypedConfirmDialog(ModalScreen[bool]):
    """Gives True only when `word` was typed and confirmed; escape and Cancel give False."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Cancel"),
        Binding("left", "app.focus_previous", "Other button", show=False),
        Binding("right", "app.focus_next", "Other button", show=False),
    ]
    DEFAULT_CSS = """
    TypedConfirmDialog Input, TypedConfirmDialog Input:focus {
        height: 1; border: none; padding: 0 1; background: $panel;
    }
    """

    def __init__(self, title: str, text: str, word: str, confirm: str) -> None:
        super().__init__()
        self._title, self._text, self._word, self._confirm = title, text, word, confirm

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(literal(self._title), classes="dialog-title")
            yield Static(literal(self._text))
            yield Static(assemble("\nType ", (self._word, "bold $text-accent"), " to go on:"))
            yield Input(placeholder="…")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(literal(self._confirm), id="confirm", compact=True, disabled=True)
                yield Static("enter confirms   esc cancels", markup=False, classes="dialog-keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @property
    def _typed(self) -> bool:
        return self.query_one(Input).value.strip() == self._word

    def on_input_changed(self) -> None:
        button = self.query_one("#confirm", Button)
        button.disabled = not self._typed
        button.variant = "warning" if self._typed else "default"

    def on_input_submitted(self) -> None:
        if self._typed:
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "confirm" and self._typed)

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)
