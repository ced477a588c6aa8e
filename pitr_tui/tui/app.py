"""The application: theme, the keys that hold everywhere, the palette, and leaving in order.

Nothing of the engine is imported here at the top: the first paint must not wait for it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from pitr_tui.tui.messages import SessionOpened
from pitr_tui.tui.screens.wizard import WizardScreen
from pitr_tui.tui.widgets.stepper import NAMES

if TYPE_CHECKING:
    from pitr_tui.tui.session import Session

DARK, LIGHT = "textual-dark", "textual-light"
_INTERRUPTED = 130  # the exit code of a command that a signal ended
_TIDY_UP_SECONDS = 20.0
_POLL_SECONDS = 0.05


class PitrApp(App[int]):
    """The wizard over one session. `run()` gives the exit code, 0 when the person just left."""

    TITLE = "pitr"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    VERTICAL_BREAKPOINTS = [(34, "-high")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+q",
            "quit",
            "Quit",
            id="quit",
            priority=True,  # so that it holds in dialogs, too
            tooltip="leave; asks while a job is running",
        ),
        Binding(
            "ctrl+t",
            "toggle_theme",
            "Theme",
            id="theme",
            show=False,
            tooltip="light or dark colours",
        ),
        Binding(
            "ctrl+p,colon",
            "command_palette",
            "All",
            id="palette",
            key_display="^p",
            tooltip="every command by name",
        ),
    ]

    def __init__(self, session: Session, first: str = "") -> None:
        super().__init__()
        self.session = session
        self._first = first  # the pane that is shown first, when it is not the first step
        self._leaving = False
        self._asking = False  # whether to stop what is running

    def get_default_screen(self) -> Screen[None]:
        return WizardScreen(self.session, self._first or NAMES[0])

    @property
    def wizard(self) -> WizardScreen:
        """The one screen below the dialogs."""
        screen = self.screen_stack[0]
        assert isinstance(screen, WizardScreen)  # noqa: S101 - made above
        return screen

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self._leave, _INTERRUPTED)
            except (ValueError, RuntimeError, NotImplementedError):
                return  # not in the main thread, as in a test: whoever runs us handles signals

    def on_session_opened(self, message: SessionOpened) -> None:
        """The wizard goes over to it by itself."""
        self.session = message.session

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: the steps, and what every screen can do."""
        wizard = self.wizard
        for number, name, callback in wizard.step_commands():
            yield SystemCommand(f"{number} {name}", f"go to the step: {name}", callback)
        yield from wizard.lab_commands()
        yield SystemCommand("Help", "what this step does, and its keys", wizard.action_help)
        yield SystemCommand(
            "Light or dark colours", "switch between both", self.action_toggle_theme
        )
        yield SystemCommand("Quit", "leave pitr", self.action_quit)

    def action_toggle_theme(self) -> None:
        self.theme = LIGHT if self.theme == DARK else DARK

    async def action_quit(self) -> None:
        """Leave; while a job is running ask first, because it will be stopped."""
        from pitr_tui.tui.screens.dialogs import ConfirmDialog

        if self._leaving or self._asking:
            return
        at_work = self.wizard.at_work
        if not at_work:
            self._leave()
            return

        def decided(sure: bool | None) -> None:
            self._asking = False
            if sure:
                self._leave()

        self._asking = True
        self.push_screen(
            ConfirmDialog(
                "Stop and quit?",
                f"This is still running: {at_work}.\n{self.wizard.at_stake}",
                confirm="Stop it and quit",
            ),
            decided,
        )

    def _leave(self, code: int = 0) -> None:
        """Cancel every job, let them tidy up for a while, then exit with `code`."""
        if self._leaving:
            return
        self._leaving = True
        bridges = self.wizard.bridges()
        for bridge in bridges:
            bridge.cancel()
        if not any(bridge.running for bridge in bridges):
            self.exit(code)
            return
        self.wizard.say("stopping what is running, then leaving …")
        deadline = asyncio.get_running_loop().time() + _TIDY_UP_SECONDS

        def look() -> None:
            over = asyncio.get_running_loop().time() > deadline
            if over or not any(bridge.running for bridge in bridges):
                self.exit(code)

        self.set_interval(_POLL_SECONDS, look)
