"""A past run in the screen of a live one, by the events of its journal. Nothing is done by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC
from threading import Event
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from pitr_tui.recovery.events import Stamped
from pitr_tui.recovery.report import outcome
from pitr_tui.tui.bridge import Bridge, Crashed, Failed
from pitr_tui.tui.literal import assemble
from pitr_tui.tui.playback import Playback
from pitr_tui.tui.screens.dialogs import CrashDialog, HelpDialog, keys_of
from pitr_tui.tui.widgets.problem import Problem
from pitr_tui.tui.widgets.run_panel import RunPanel
from pitr_tui.wording import count_text

Read = Callable[[], Iterator[Stamped]]

_TICK = 0.03
_BUSY_SECONDS = 0.02  # of a tick, so that keys are answered while it skips
_AT_ONCE = 1_000
_PORTION = 500  # events that are read at once
_BREATH = 0.001
_HELP = """\
This is a run that is over, drawn from its journal by the same screen that showed it live. The
clock above is the one of then. Waiting longer than two seconds is cut to two.

Nothing can be started or changed from here: neither a server nor a file is touched.
"""


class ReplayScreen(Screen[None]):
    """Plays the events that `read` gives, at `speed` times their own pace."""

    AUTO_FOCUS = "LogView"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "hold", "Pause", priority=True, tooltip="stand still, and go on"),
        Binding(
            "right,n",
            "step(1)",
            "Step",
            key_display="←→",
            priority=True,
            tooltip="on to where the next step begins",
        ),
        Binding(
            "left",
            "step(-1)",
            "Step back",
            show=False,
            priority=True,
            tooltip="back to where the step before began",
        ),
        Binding("plus,equals_sign", "pace(2)", "Faster", key_display="+", priority=True),
        Binding("minus", "pace(0.5)", "Slower", key_display="-", priority=True),
        Binding("end", "to_end", "End", priority=True, tooltip="everything that was recorded"),
        Binding(
            "home,0",
            "to_begin",
            "Begin",
            show=False,
            priority=True,
            tooltip="once more, from the beginning",
        ),
        Binding(
            "f1,question_mark", "help", "Help", show=False, tooltip="what this is, and its keys"
        ),
    ]

    def __init__(
        self, name: str, read: Read, speed: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.panel = RunPanel()
        self.playback = Playback(speed)
        self._name = name
        self._clock = clock
        self._ticked = clock()
        self._goal: int | None = None  # a place that is being skipped to
        self._to_end = False
        self._bridge: Bridge[list[Stamped], None] = Bridge(
            lambda emit, cancel: _read(read, emit, cancel), "replay"
        )

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="header-line")
        with Vertical(classes="step-body"):
            yield self.panel
        yield Problem()
        yield Static("", markup=False, id="next-line")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._bridge.start()
        self.set_interval(_TICK, self.tick)
        self._draw()

    def on_unmount(self) -> None:
        self._bridge.close()

    @property
    def skipping(self) -> bool:
        """Whether it is on its way to a place that a key has asked for."""
        return self._goal is not None or self._to_end

    def tick(self) -> None:
        """Take in what was read, and show what is due by now."""
        now = self._clock()
        passed, self._ticked = now - self._ticked, now
        self._take_in()
        if self.skipping:
            self._skip()
        else:
            self._show(self.playback.due(passed, _AT_ONCE))
        self._draw()

    def _take_in(self) -> None:
        playback = self.playback
        if playback.complete:
            return
        for portion in self._bridge.drain():
            playback.add(portion)
        if self._bridge.done:
            playback.complete = True
            match self._bridge.outcome:
                case Failed(error):
                    self.query_one(Problem).show(error)
                case Crashed(error):
                    self.app.push_screen(CrashDialog(self._bridge.name, error))
                case _:
                    pass

    def _skip(self) -> None:
        """Show events without waiting, for a part of a tick."""
        playback, until = self.playback, time.monotonic() + _BUSY_SECONDS
        while self.skipping:
            goal = len(playback.events) if self._goal is None else self._goal
            self._show(playback.skip_to(goal, _AT_ONCE))
            if playback.place >= goal:
                self._goal = None
                self._to_end = self._to_end and not playback.complete
                return
            if time.monotonic() > until:
                return

    def _show(self, events: list[Stamped]) -> None:
        if events:
            self.panel.feed(events)

    # Keys.

    def action_hold(self) -> None:
        self._to_end = False
        self.playback.paused = not self.playback.paused
        self._draw()

    def action_pace(self, factor: float) -> None:
        self.playback.faster(factor)
        self._draw()

    def action_step(self, direction: int) -> None:
        """To the next station, or to the one before: that is played anew up to there."""
        playback = self.playback
        if direction > 0:
            self._goal = playback.after()
        else:
            self._goal = playback.before()
            self._rewind()
        self._to_end = False
        self._skip()
        self._draw()

    def action_to_end(self) -> None:
        self._goal, self._to_end = None, True
        self.panel.log_pane.view.following = True
        self._skip()
        self._draw()

    def action_to_begin(self) -> None:
        self._goal, self._to_end = None, False
        self._rewind()
        self._draw()

    def action_help(self) -> None:
        keys = keys_of(self.active_bindings)[:-1]  # the last one tells of the wizard's steps
        self.app.push_screen(HelpDialog("replay", _HELP, keys))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a filter is typed, every key but the function keys belongs to it."""
        typing = isinstance(self.focused, Input)
        return not (typing and action in ("hold", "step", "pace", "to_end", "to_begin"))

    def _rewind(self) -> None:
        self.playback.rewind()
        self.panel.restart()

    # Around the run.

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        playback = self.playback
        at = playback.clock
        clock = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""
        pace = f"{clock}, {playback.speed:g}x {self._sign()}"
        name = f"replay of {self._name}"
        room = max(0, self.app.size.width - 2 - len("pitr  ") - len(pace) - 1)
        shown = name if len(name) <= room else name[: room - 1] + "…"
        self.query_one("#header-line", Static).update(
            assemble(("pitr  ", "bold $text-accent"), f"{shown:<{room}} ", (pace, "bold")),
            layout=False,
        )
        self.query_one("#next-line", Static).update(
            assemble(("▸ ", "$text-accent"), self._told()), layout=False
        )

    def _sign(self) -> str:
        if self.playback.over:
            return "■"
        return "⏸" if self.playback.paused and not self.skipping else "▶"

    def _told(self) -> str:
        playback = self.playback
        total = len(playback.events)
        if not playback.complete:
            return f"reading the journal: {count_text(total, 'event')} so far"
        place = f"event {playback.place:,} of {total:,}"
        if len(playback.attempts) > 1:
            place = f"attempt {playback.attempt} of {len(playback.attempts)}, {place}"
        if self.skipping:
            return f"skipping: {place}"
        if playback.over:
            return f"the record ends here: {outcome(self.panel.view)}"
        return place + ("; space goes on" if playback.paused else "")


def _read(read: Read, emit: Callable[[list[Stamped]], None], cancelled: Event) -> None:
    """Hand over every event, in the bridge's thread; the pauses leave the screen its time."""
    portion: list[Stamped] = []
    try:
        for stamped in read():
            portion.append(stamped)
            if len(portion) == _PORTION:
                emit(portion)
                portion = []
                if cancelled.wait(_BREATH):
                    return
    finally:
        emit(portion)  # of a journal that breaks off, what could be read
