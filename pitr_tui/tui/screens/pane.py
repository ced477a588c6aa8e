"""What fills the wizard's frame: a step, or what stands in the place of one.

A pane draws what the session says and writes what the person decides into it. It calls the
engine through `run_job` alone, which keeps the event loop free and shows what goes wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.css.query import NoMatches
from textual.timer import Timer
from textual.widget import Widget

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Progress
from pitr_tui.tui.bridge import TICK, Bridge, Crashed, Failed, Finished, Job
from pitr_tui.tui.messages import SessionChanged
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.jobline import JobLine
from pitr_tui.tui.widgets.problem import Problem

if TYPE_CHECKING:
    from pitr_tui.tui.screens.opening import OpenedRun

E = TypeVar("E")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Running:
    """A job with the timer that looks after it; `shown` when the job line tells of it."""

    bridge: Bridge[Any, Any]
    timer: Timer
    shown: bool
    cancellable: bool
    awaited: bool


class Pane(Vertical):
    """One of them. Subclasses give a name, `help_text` and `body()`, and mostly `enter()`.

    Below the body are two lines that appear when they have something to tell: the running job
    and the last problem. Bindings of a subclass hold while the focus is inside it; every
    letter key has an alias with ctrl or a function key, because inputs swallow letters.
    """

    help_text: ClassVar[str] = ""
    scrolls: ClassVar[bool] = True  # False: the body lays itself out in the given height
    first_focus: ClassVar[str] = ""  # a selector of what gets the focus on entering

    def __init__(self, session: Session, name: str) -> None:
        super().__init__(id=f"pane-{name}", classes="step-pane")
        self.session = session
        self._called = name
        self._jobs: dict[str, _Running] = {}

    # What a subclass gives.

    def body(self) -> ComposeResult:
        """The widgets of the pane."""
        yield from ()

    def enter(self) -> None:
        """The pane is shown, for the first time or again: refresh what it says."""

    def leave(self) -> None:
        """Another pane is shown: give up what only this one was waiting for."""

    def next_action(self) -> str:
        """What the enter key does now, as one short phrase for the line above the footer."""
        return ""

    def proceed(self) -> None:
        """The enter key: the one next action."""

    def skip(self) -> None:
        """Ctrl+n: on to what comes next, without what enter would do first."""

    def back(self) -> bool:
        """The escape key, before it leads back: True when the step used it up.

        It cancels the job that the job line shows. A pane whose job is too dear for one key
        overrides this.
        """
        for running in self._jobs.values():
            if running.shown and running.bridge.running:
                if running.cancellable:
                    running.bridge.cancel()
                    self.query_one(JobLine).stopping()
                return True
        return False

    # What a subclass uses.

    def compose(self) -> ComposeResult:
        if self.scrolls:
            with VerticalScroll(classes="step-body"):
                yield from self.body()
        else:
            with Vertical(classes="step-body"):
                yield from self.body()
        yield Problem()
        yield JobLine()

    def take_focus(self) -> None:
        """Put the focus where the person most likely wants it."""
        target: Widget | None = None
        if self.first_focus:
            try:
                target = self.query_one(self.first_focus)
            except NoMatches:
                target = None
        if target is None or not _can_be_seen(target):
            target = next((child for child in self.query("*") if _can_be_seen(child)), None)
        self.screen.set_focus(target, scroll_visible=False)

    def changed(self) -> None:
        """Tell the wizard that the session, or what can be done next, is different now."""
        self.post_message(SessionChanged())

    def show_problem(self, error: PitrError | None) -> None:
        """Show an error below the body, or take it away."""
        self.query_one(Problem).show(error)

    def run_job(
        self,
        job: Job[E, T],
        *,
        on_done: Callable[[T], None],
        on_events: Callable[[list[E]], None] | None = None,
        on_failed: Callable[[PitrError], None] | None = None,
        busy: str = "",
        cancel_hint: str = "esc cancels",
        group: str = "job",
        awaited: bool = True,
    ) -> Bridge[E, T]:
        """Run engine code beside the event loop; the callbacks come on it.

        `busy` says what is going on and shows the job line, which takes `Progress` events by
        itself; without a `cancel_hint` the escape key does not cancel the job. Starting one
        closes the earlier one of the same `group`: of what was asked twice only the last
        answer counts. Errors are shown below the body unless `on_failed` takes them; an
        unforeseen exception is shown in a dialog. Who quits waits for its end unless it is not
        `awaited`: a job that only looks, and may hang on a machine that does not answer.
        """
        if (earlier := self._jobs.get(group)) is not None and earlier.shown:
            self.query_one(JobLine).end()
        self._close(group)
        bridge = Bridge(job, f"{self._called}: {busy or group}")
        line = self.query_one(JobLine)
        if busy:
            self.show_problem(None)
            line.begin(busy, cancel_hint)

        def tick() -> None:
            if self._jobs.get(group) is None or self._jobs[group].bridge is not bridge:
                return
            events = bridge.drain()
            for event in reversed(events):
                if isinstance(event, Progress):
                    line.advance(event)
                    break
            if events and on_events is not None:
                began = time.monotonic()
                on_events(events)
                bridge.drawn(len(events), time.monotonic() - began)
            if busy:
                line.tick()
            if bridge.done:
                self._jobs.pop(group).timer.stop()
                if busy:
                    line.end()
                self._settle(bridge, on_done, on_failed or self.job_failed)
                self.changed()

        self._jobs[group] = _Running(
            bridge, self.set_interval(TICK, tick), bool(busy), bool(cancel_hint), awaited
        )
        bridge.start()
        self.changed()
        return bridge

    def job_failed(self, error: PitrError) -> None:
        """What happens to an error that a job has no handler for."""
        self.show_problem(error)

    @property
    def at_work(self) -> str:
        """The name of a shown job that has not ended, or nothing."""
        for running in self._jobs.values():
            if running.shown and running.bridge.running:
                return running.bridge.name
        return ""

    @property
    def at_stake(self) -> str:
        """What becomes of the shown job when it is stopped, in a sentence or two."""
        return "It will be stopped, and what it has made so far is taken away."

    def show_run(self, run: OpenedRun) -> None:
        """Take in a run that was opened from its journal."""

    def bridges(self) -> list[Bridge[Any, Any]]:
        """The jobs that have not ended; who quits cancels them and waits a little."""
        return [one.bridge for one in self._jobs.values() if one.awaited and one.bridge.running]

    def on_unmount(self) -> None:
        for group in list(self._jobs):
            self._close(group)

    def _close(self, group: str) -> None:
        running = self._jobs.pop(group, None)
        if running is not None:
            running.timer.stop()
            running.bridge.close()

    def _settle(
        self,
        bridge: Bridge[E, T],
        on_done: Callable[[T], None],
        on_failed: Callable[[PitrError], None],
    ) -> None:
        match bridge.outcome:
            case Finished(value):
                on_done(value)
            case Failed(error):
                on_failed(error)
            case Crashed(error):
                from pitr_tui.tui.screens.dialogs import CrashDialog

                self.app.push_screen(CrashDialog(bridge.name, error))
            case None:
                pass


def _can_be_seen(widget: Widget) -> bool:
    """Whether a widget can take keys: one that is hidden would swallow them."""
    shown = all(one.display for one in widget.ancestors_with_self if isinstance(one, Widget))
    return widget.focusable and shown
