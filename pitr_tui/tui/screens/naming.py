"""A dialog that asks for a name."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from pitr_tui.tui.literal import literal


class NameDialog(ModalScreen[str]):
    """Gives the name that was typed, or nothing: escape, Cancel and an empty name give ""."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("left", "app.focus_previous", "Other button", show=False),
        Binding("right", "app.focus_next", "Other button", show=False),
    ]
    DEFAULT_CSS = """
    NameDialog Input, NameDialog Input:focus {
        height: 1; border: none; padding: 0 1; background: $panel;
    }
    """

    def __init__(self, title: str, text: str, name: str, confirm: str) -> None:
        super().__init__()
        self._title, self._text, self._proposed, self._confirm = title, text, name, confirm

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(literal(self._title), classes="dialog-title")
            yield Static(literal(self._text))
            yield Static("\nname", markup=False)
            yield Input(self._proposed)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(literal(self._confirm), id="confirm", variant="primary", compact=True)
                yield Static("enter confirms   esc cancels", markup=False, classes="dialog-keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        self._give()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "confirm":
            self._give()
        else:
            self.dismiss("")

    def action_cancel(self) -> None:
        self.dismiss("")

    def _give(self) -> None:
        self.dismiss(self.query_one(Input).value.strip())
