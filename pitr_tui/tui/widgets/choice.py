"""One of a few words in one row: left, right and space choose, a click too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from pitr_tui.tui.literal import Part, assemble, literal

_GAP = 2


class Choice(Static, can_focus=True):
    """The chosen word has a filled sign before it, so that no colour is needed to see it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Other", show=False),
        Binding("right,space", "move(1)", "Other", show=False),
        Binding("up", "app.focus_previous", "Field above", show=False),
        Binding("down", "app.focus_next", "Field below", show=False),
    ]

    @dataclass
    class Changed(Message):
        """Another word was chosen by the person."""

        choice: Choice
        value: str

    def __init__(self, options: Sequence[tuple[str, str]], id: str) -> None:
        super().__init__("", markup=False, id=id, classes="choice")
        self._options = list(options)
        self.value = options[0][0]

    def on_mount(self) -> None:
        self._draw()

    def offer(self, options: Sequence[tuple[str, str]], value: str) -> None:
        """Set the words (value and text of each) and which one is chosen; nothing is posted."""
        self._options = list(options)
        self.value = value if value in [key for key, _ in options] else options[0][0]
        self._draw()

    def choose(self, value: str) -> None:
        """What the person does: choose and tell."""
        if value != self.value:
            self.value = value
            self._draw()
            self.post_message(self.Changed(self, value))

    def action_move(self, by: int) -> None:
        keys = [key for key, _ in self._options]
        self.choose(keys[(keys.index(self.value) + by) % len(keys)])

    def on_click(self, event: events.Click) -> None:
        start = 0
        for key, text in self._options:
            end = start + 2 + len(text)
            if start <= event.x < end:
                self.choose(key)
            start = end + _GAP

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def _draw(self) -> None:
        parts: list[Part] = []
        for key, text in self._options:
            chosen = key == self.value
            style = "" if chosen else "$foreground-muted"
            if chosen and self.has_focus:
                style = "bold reverse"
            parts += [(("● " if chosen else "○ ") + text, style), " " * _GAP]
        self.update(assemble(*parts) if parts else literal(""))
