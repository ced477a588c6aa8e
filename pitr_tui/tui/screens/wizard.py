"""The frame around the steps: where one is on the way, the step itself, what enter does.

Steps are made on their first visit and kept, so going back costs nothing. Their modules are
imported then too: the first paint shows the frame alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import ContentSwitcher, Static

from pitr_tui.errors import PitrError
from pitr_tui.tui.literal import assemble
from pitr_tui.tui.messages import (
    RunOpened,
    SessionChanged,
    SessionOpened,
    StepPassed,
    StepWanted,
)
from pitr_tui.tui.screens.lab_keys import CARDS, LabKeys
from pitr_tui.tui.widgets.coach import CoachPanel
from pitr_tui.tui.widgets.stepper import NAMES, TITLES, Stepper

if TYPE_CHECKING:
    from pitr_tui.tui.bridge import Bridge
    from pitr_tui.tui.screens.pane import Pane
    from pitr_tui.tui.session import Session, WizardStep

_SCREENS = "pitr_tui.tui.screens"
PANES = {
    "connect": (f"{_SCREENS}.connect", "ConnectPane"),
    "archive": (f"{_SCREENS}.archive", "ArchivePane"),
    "backups": (f"{_SCREENS}.backups", "BackupsPane"),
    "target": (f"{_SCREENS}.target", "TargetPane"),
    "plan": (f"{_SCREENS}.plan", "PlanPane"),
    "recover": (f"{_SCREENS}.recover", "RecoverPane"),
    "verify": (f"{_SCREENS}.verify", "VerifyPane"),
    CARDS: (f"{_SCREENS}.lab_cards", "LabPane"),
}


class NextLine(Static):
    """What enter does now; a click does it as well."""

    def on_click(self) -> None:
        screen = self.screen
        if isinstance(screen, WizardScreen):
            screen.action_go_on()


class WizardScreen(LabKeys):
    """The one screen of the wizard. It owns the moves between steps, and nothing else."""

    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "go_on",
            "Go on",
            id="go_on",
            show=False,  # the line above the footer says what it does
            tooltip="do what the line above the footer says",
        ),
        Binding("escape", "back", "Back", id="back", tooltip="cancel the job, or one step back"),
        Binding("f1", "help", "Help", id="help", tooltip="what this step does, and its keys"),
        Binding("question_mark", "help", "Help", id="help_sign", show=False),
        Binding(
            "ctrl+n", "next", "Next step", id="next", show=False, tooltip="go on to the next step"
        ),
        Binding("ctrl+b", "previous", "Step back", id="previous", show=False),
        *(
            Binding(str(number), f"step('{name}')", f"Step {name}", id=f"step_{name}", show=False)
            for number, name in enumerate(NAMES, 1)
        ),
        Binding("pagedown", "scroll_pane(1)", "Scroll down", id="page_down", show=False),
        Binding("pageup", "scroll_pane(-1)", "Scroll up", id="page_up", show=False),
    ]

    def __init__(self, session: Session, first: str = NAMES[0]) -> None:
        super().__init__(id="wizard")
        self.session = session
        self.panes: dict[str, Pane] = {}
        self.current = first
        self._last_step = NAMES[0]

    # Painting: the frame first, the rest after it.

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="header-line")
        yield Stepper()
        yield Vertical(id="stage")
        yield CoachPanel()
        yield NextLine("", markup=False, id="next-line")

    def on_mount(self) -> None:
        self.refresh_frame(bare=True)
        self.call_after_refresh(self._fill)

    async def _fill(self) -> None:
        from textual.widgets import Footer

        await self.query_one("#stage").mount(ContentSwitcher(id="steps"))
        await self.mount(Footer(compact=True, show_command_palette=False))
        await self.show(self.current)
        self.set_interval(1.0, self.refresh_frame)
        threading.Thread(target=_import_panes, name="pitr imports", daemon=True).start()

    def refresh_frame(self, bare: bool = False) -> None:
        """Draw header, stepper and hint anew. `bare` is the first paint, without the engine."""
        self._header_line()
        stepper = self.query_one(Stepper)
        if bare:
            stepper.show(self.current, set(), {self.current})
            return
        from pitr_tui.tui import way

        open_steps = {str(s) for s in way.STEPS if way.obstacle(self.session, s) is None}
        done = {
            str(s)
            for s in way.STEPS[:-1]
            if str(s) in open_steps and way.missing_in(self.session, s) is None
        }
        stepper.show(self.current, done, open_steps)
        self.show_coach()
        pane = self.panes.get(self.current)
        if pane is not None:
            action = pane.next_action()
            self.say(self.lab_says() or (f"enter: {action}" if action else ""))
            if self.focused is None or pane not in self.focused.ancestors:
                pane.take_focus()

    def say(self, text: str) -> None:
        """Fill the line above the footer."""
        sign = "▸ " if text else ""
        self.query_one(NextLine).update(assemble((sign, "$text-accent"), text), layout=False)

    def _header_line(self) -> None:
        session = self.session
        state = "primary: down" if session.primary_is_down else "no primary yet"
        parts = ["pitr "]
        if session.primary_is_down and session.origin is not None:
            parts.append(session.origin.name)
        if session.facts is not None and session.database is not None:
            name = session.origin.name if session.origin is not None else ""
            parts.append(name or _name_of(session.database.parameters))
            parts.append(str(session.facts.version))
            seen = f"{session.facts.clock.astimezone(UTC):%H:%M}"
            state = f"{'standby' if session.facts.in_recovery else 'primary'}: seen {seen}"
        elif session.opened and session.record is not None and session.origin is None:
            state = f"run {session.record.name}, without the primary"
        clock = f"{session.clock().astimezone(UTC):%H:%M:%S} UTC"
        left = " ▸ ".join([*parts[1:], state])
        room = max(0, self.app.size.width - 2 - len(clock) - 7)
        shown = left if len(left) <= room else left[: room - 1] + "…"
        self.query_one("#header-line", Static).update(
            assemble(
                ("pitr  ", "bold $text-accent"), f"{shown:<{room}} ", (clock, "$foreground-muted")
            ),
            layout=False,
        )

    def on_resize(self) -> None:
        self._header_line()
        self.show_coach()

    # Moving.

    async def _pane(self, name: str) -> Pane:
        """A step or the cards, made now if it never was."""
        pane = self.panes.get(name)
        if pane is None:
            module, class_name = PANES[name]
            made: Pane = getattr(import_module(module), class_name)(self.session)
            pane = self.panes[name] = made
            await self.query_one("#steps", ContentSwitcher).add_content(pane)
        return pane

    async def show(self, name: str) -> None:
        """Show a step and let it look at what is."""
        pane = await self._pane(name)
        switcher = self.query_one("#steps", ContentSwitcher)
        if name != self.current and (before := self.panes.get(self.current)) is not None:
            before.leave()
        self.current = name
        if name in NAMES:
            self._last_step = name
        switcher.current = pane.id
        pane.show_problem(None)
        pane.enter()
        pane.take_focus()
        self.refresh_frame()

    async def go_to(self, name: str) -> None:
        """Show a step if it can be entered; otherwise say why not."""
        from pitr_tui.tui import way

        reason = way.obstacle(self.session, _step(name))
        if reason is None:
            if name != self.current:
                await self.show(name)
        elif pane := self.panes.get(self.current):
            pane.show_problem(PitrError(f"{NAMES.index(name) + 1} {TITLES[name]}: not yet", reason))

    async def action_step(self, name: str) -> None:
        await self.go_to(name)

    def action_go_on(self) -> None:
        pane = self.panes.get(self.current)
        if pane is not None:
            pane.proceed()

    def action_next(self) -> None:
        """The next step, without doing what enter would do first."""
        pane = self.panes.get(self.current)
        if pane is not None:
            pane.skip()

    async def action_back(self) -> None:
        pane = self.panes.get(self.current)
        if pane is not None and not pane.back():
            await self.action_previous()

    async def action_previous(self) -> None:
        if self.current not in NAMES:
            await self.show(self._last_step)
            return
        place = NAMES.index(self.current)
        if place:
            await self.show(NAMES[place - 1])

    def action_scroll_pane(self, direction: int) -> None:
        pane = self.panes.get(self.current)
        if pane is not None:
            for body in pane.query(".step-body"):
                body.scroll_relative(y=direction * max(1, body.size.height - 2), animate=False)

    def action_help(self) -> None:
        """The lesson of the step, or what stands in the place of one."""
        from pitr_tui.tui.screens.dialogs import HelpDialog, keys_of
        from pitr_tui.tui.screens.lesson import open_lesson
        from pitr_tui.tui.screens.step import StepPane

        pane = self.panes.get(self.current)
        if pane is None or not self.is_current:
            return
        keys = keys_of(self.active_bindings)
        if isinstance(pane, StepPane):
            steps = [one for one in self.panes.values() if isinstance(one, StepPane)]
            open_lesson(pane, steps, keys)
        else:
            self.app.push_screen(HelpDialog(self.current, pane.help_text, keys))

    async def on_step_passed(self, message: StepPassed) -> None:
        self.session.passed.add(message.step)
        place = NAMES.index(message.step.value) + 1
        if place < len(NAMES) and message.step.value == self.current:
            await self.go_to(NAMES[place])
        self.refresh_frame()

    async def on_run_opened(self, message: RunOpened) -> None:
        """A run of before is on the screen now, in the step that it has come to."""
        if message.run is not None:
            (await self._pane("recover")).show_run(message.run)
        await self.show("recover" if self.session.secondary is None else "verify")

    async def on_session_opened(self, message: SessionOpened) -> None:
        """Another way begins: nothing that the panes know belongs to it."""
        self.query_one("#steps", ContentSwitcher).current = None
        for pane in self.panes.values():
            await pane.remove()
        self.panes.clear()
        self.session, self._last_step = message.session, NAMES[0]
        await self.show(message.pane)

    async def on_step_wanted(self, message: StepWanted) -> None:
        await self.go_to(message.step.value)

    def on_session_changed(self, message: SessionChanged) -> None:
        self.refresh_frame()

    # For the application.

    @property
    def at_work(self) -> str:
        """What is running and would be stopped by leaving; empty when nothing is."""
        return next((pane.at_work for pane in self.panes.values() if pane.at_work), "")

    @property
    def at_stake(self) -> str:
        """What becomes of it when it is stopped."""
        return next((pane.at_stake for pane in self.panes.values() if pane.at_work), "")

    def bridges(self) -> list[Bridge[Any, Any]]:
        """Every job of every step that has not ended."""
        return [bridge for pane in self.panes.values() for bridge in pane.bridges()]

    def step_commands(self) -> Iterator[tuple[int, str, Callable[[], Any]]]:
        """The steps for the palette."""
        for number, name in enumerate(NAMES, 1):

            def go(name: str = name) -> None:
                self.post_message(StepWanted(_step(name)))

            yield number, TITLES[name], go


def _step(name: str) -> WizardStep:
    from pitr_tui.tui.session import WizardStep

    return WizardStep(name)


def _name_of(parameters: dict[str, Any]) -> str:
    """A server in few letters: its host and port, or the port alone behind a socket."""
    host, port = str(parameters.get("host", "")), parameters.get("port", "5432")
    return f"local:{port}" if host.startswith("/") or not host else f"{host}:{port}"


def _import_panes() -> None:
    """Load the steps before they are wanted; one that fails fails again when it is wanted."""
    for module, _ in PANES.values():
        try:
            import_module(module)
        except ImportError:
            return
