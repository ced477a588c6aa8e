"""The application around a replay: theme, keys and leaving. It has no session, and no engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from pitr_tui.tui.app import DARK, LIGHT
from pitr_tui.tui.screens.replay import Read, ReplayScreen


class ReplayApp(App[int]):
    """Shows one recorded run; `read` gives its events."""

    TITLE = "pitr"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q,ctrl+c", "quit", "Quit", tooltip="leave; nothing is going on"),
        Binding("ctrl+t", "toggle_theme", "Theme", show=False, tooltip="light or dark colours"),
    ]

    def __init__(
        self, name: str, read: Read, speed: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.replayed = name
        self.speed = speed
        self._replay = ReplayScreen(name, read, speed, clock)

    def get_default_screen(self) -> Screen[None]:
        return self._replay

    def action_toggle_theme(self) -> None:
        self.theme = LIGHT if self.theme == DARK else DARK
