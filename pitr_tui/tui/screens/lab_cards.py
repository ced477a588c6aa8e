"""The cards of the lab: which accident to practise on, and the one that runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab import record
from pitr_tui.lab.scenario import Scenario
from pitr_tui.lab.tutorial import Phase
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.lab_session import LabsSeen, look_at_labs, session_of
from pitr_tui.tui.literal import literal
from pitr_tui.tui.messages import SessionOpened
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.lab_scoring import score_on
from pitr_tui.tui.screens.lab_words import (
    card,
    phases_content,
    running_card,
    running_row,
    scenario_row,
)
from pitr_tui.tui.screens.pane import Pane
from pitr_tui.tui.session import Session

if TYPE_CHECKING:
    from pitr_tui.lab.play import StartOrder

_Order = Callable[[], "StartOrder"]

NAME = "lab"
_RUNNING = "running"  # the id of the row above the scenarios
_PREFIX = "scenario-"  # so that none of the others can have it
_START, _STOP = "start", "stop"
_ENDING = "end the lab of before"


class LabPane(Pane):
    """Arrows choose, enter starts; the lab that runs is the row above the others."""

    first_focus = "#scenarios"
    scrolls = False
    help_text = """
In the lab a PostgreSQL server of our own, with a small shop that keeps working, meets with an
accident on purpose. You recover it with the same wizard as in earnest. What a perfect recovery
holds is known: every commit was written down, so the score compares row by row.

Your own servers, backups and archives are not touched, and there is one lab at a time. The shop
goes on until the lab is stopped, also when pitr is closed; its record and your marks stay.

A hint is counted and told beside the marks; it takes none of them. A score can be asked for as
often as you like. "r" begins the same accident anew, with the same rows.

Without the screen: pitr lab, pitr lab start NAME, pitr lab status, pitr lab hint,
pitr lab score, pitr lab reset, pitr lab stop
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,f2", "score", "Score", tooltip="score the lab that runs"),
        Binding("r,f6", "reset", "Reset", tooltip="the same accident anew (asks first)"),
        Binding("x,f8", "stop", "Stop", tooltip="end the lab, remove its servers (asks first)"),
        Binding("f5,ctrl+r", "look", "Look again", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session, NAME)
        self._seen = LabsSeen()
        self._phases: dict[str, Phase] = {}
        self._starting: Scenario | None = None

    def body(self) -> ComposeResult:
        yield Static(
            literal("Practise: which accident do you want to recover from?"), classes="question"
        )
        yield OptionList(id="scenarios")
        yield Static("", markup=False, id="card")

    # What is.

    def enter(self) -> None:
        self.action_look()

    def action_look(self) -> None:
        """Read the scenarios and what was done in them."""
        self.run_job(lambda emit, cancel: look_at_labs(), on_done=self._take, group="look")

    def _take(self, seen: LabsSeen) -> None:
        self._seen, mine = seen, self.session.lab
        if mine is not None:
            if seen.running is None or seen.running.lab.name != mine.lab.name:
                self._leave_lab()
                return
            self._seen = replace(seen, running=mine)
        self._show_rows()
        for path in seen.broken:
            hint = f"`pitr lab validate {path}` tells every mistake"
            self.show_problem(PitrError(f"your scenario {path.name} is not right", "", hint))

    def _show_rows(self) -> None:
        listing, running = self.query_one(OptionList), self._seen.running
        wanted = listing.highlighted_option.id if listing.highlighted_option is not None else None
        options = [
            Option(scenario_row(one, self._seen.marks.get(one.name)), id=f"{_PREFIX}{one.name}")
            for one in self._seen.scenarios
        ]
        if running is not None:
            row = running_row(running.lab, self.session.clock())
            options.insert(0, Option(row, id=_RUNNING))
        ids = [option.id for option in options]
        with self.prevent(OptionList.OptionHighlighted):
            listing.clear_options()
            listing.add_options(options)
            listing.highlighted = ids.index(wanted) if wanted in ids else 0 if ids else None
        self._show_card()

    def _show_card(self) -> None:
        shown, running = self.query_one("#card", Static), self._seen.running
        listing = self.query_one(OptionList)
        listing.display = self._starting is None
        chosen = self._chosen()
        if self._starting is not None:
            shown.update(phases_content(self._starting, self._phases))
        elif chosen is not None:
            shown.update(card(chosen, self._seen.marks.get(chosen.name)))
        elif running is not None:
            shown.update(running_card(running))
        self.refresh_bindings()
        self.changed()

    def _chosen(self) -> Scenario | None:
        """The highlighted scenario; None when the row of the lab that runs is."""
        option = self.query_one(OptionList).highlighted_option
        name = (option.id or "").removeprefix(_PREFIX) if option is not None else ""
        return next((one for one in self._seen.scenarios if one.name == name), None)

    # What the person does.

    @on(OptionList.OptionHighlighted)
    def highlighted(self) -> None:
        self._show_card()

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.proceed()

    def next_action(self) -> str:
        if self._starting is not None:
            return ""
        if self._chosen() is None:
            return "go on with this lab" if self._seen.running is not None else ""
        return "begin it (takes a few seconds)"

    def proceed(self) -> None:
        running, chosen = self._seen.running, self._chosen()
        if self.at_work or self._starting is not None or self._refuses():
            return
        if chosen is not None:
            self._begin(chosen)
        elif running is not None and running is self.session.lab:
            self.call_later(self.run_action, "screen.previous")
        elif running is not None:
            self.run_job(
                lambda emit, cancel: session_of(running.lab), on_done=self._open, group="open"
            )

    def action_score(self) -> None:
        """Of the run on the screen, or of the newest one."""
        running = self._seen.running
        if running is not None and not self.at_work:
            score_on(self, running, self._show_card)

    def action_reset(self) -> None:
        running = self._seen.running
        if running is None or self.at_work or self._refuses():
            return
        words = (
            f"{running.lab.scenario.title}\n\nIts servers are stopped and its files are removed, "
            "with what was recovered in there. Then the same accident happens again, to the same "
            "rows. The record and the marks so far stay."
        )

        def decided(sure: bool | None) -> None:
            if sure:
                from pitr_tui.lab.order import order_again

                self._play(running.lab.scenario, running.lab, lambda: order_again(running.lab))

        self.app.push_screen(ConfirmDialog("Begin the lab anew?", words, "Begin anew"), decided)

    def action_stop(self) -> None:
        running = self._seen.running
        if running is None or self.at_work or self._refuses():
            return
        words = (
            f"{running.lab.scenario.title}\n{running.lab.directory}\n\nIts servers are stopped and "
            "this directory is removed, with what was recovered in there. The record and the "
            "marks so far stay."
        )

        def decided(sure: bool | None) -> None:
            if sure:
                from pitr_tui.lab.ending import stop

                self.run_job(
                    lambda emit, cancel: stop(running.lab),
                    on_done=self._stopped,
                    busy="stopping the lab",
                    cancel_hint="",
                    group=_STOP,
                )

        self.app.push_screen(ConfirmDialog("Stop the lab?", words, "Stop it"), decided)

    def _refuses(self) -> bool:
        """A recovery that goes on is not given up for another session."""
        if way.run_is_going(self.session):
            hint = "wait for its end, or cancel it at the step recover"
            self.show_problem(RefusedError("a recovery is going on", "", hint))
            return True
        return False

    def _begin(self, scenario: Scenario) -> None:
        from pitr_tui.lab.order import Wanted, order_for

        def order() -> StartOrder:
            return order_for(scenario, Wanted())

        running = self._seen.running
        if running is None:
            self._play(scenario, None, order)
            return
        words = (
            f"{running.lab.scenario.title} is running, and there is one lab at a time. Its servers "
            "are stopped and its files removed, with what was recovered in there; the record and "
            f"the marks stay.\n\nThen this begins: {scenario.title}"
        )

        def decided(sure: bool | None) -> None:
            if sure:
                self._play(scenario, running.lab, order)

        self.app.push_screen(ConfirmDialog("End the other lab?", words, "End it, begin"), decided)

    def _play(self, scenario: Scenario, before: record.Lab | None, order: _Order) -> None:
        """End the lab that runs, then play the scenario; the wizard opens on it."""
        self._starting, self._phases = scenario, {}

        def done(session: Session) -> None:
            self._starting = None
            self._open(session)

        def failed(error: PitrError) -> None:
            self._starting = None
            self._phases = {}
            self.show_problem(error)
            if self.session.lab is not None:  # which may be gone, and this pane with it
                self.notify(f"{error.what}\n{error.why}".strip(), severity="error", markup=False)
            self.action_look()

        self.run_job(
            lambda emit, cancel: _played(before, order, emit, cancel),
            on_events=self._advance,
            on_done=done,
            on_failed=failed,
            busy="setting up the lab",
            group=_START,
        )
        self._show_card()

    def _advance(self, phases: list[Phase]) -> None:
        self._phases |= {one.name: one for one in phases}
        self._show_card()

    def _open(self, session: Session) -> None:
        """Go on in that session, with what this one has open."""
        session.reach, session.records = self.session.reach, self.session.records
        session.clock = self.session.clock
        self.post_message(SessionOpened(session, "connect"))

    def _stopped(self, left: tuple[str, ...]) -> None:
        for sentence in left:
            self.notify(sentence, markup=False, timeout=20)
        self.action_look()

    def _leave_lab(self) -> None:
        """The lab that the wizard is open on is gone: nothing on the screen is there any more."""
        old = self.session
        fresh = Session(clock=old.clock, reach=old.reach, records=old.records)
        self.post_message(SessionOpened(fresh, NAME))

    @property
    def at_stake(self) -> str:
        return "It will be stopped, and what it has made of the lab so far is taken away."

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The lab that runs has keys of its own."""
        if action in ("score", "reset", "stop"):
            return self._seen.running is not None and self._starting is None
        return super().check_action(action, parameters)


def _played(
    before: record.Lab | None,
    order: _Order,
    emit: Emit[Phase],
    cancel: threading.Event,
) -> Session:
    """The session of a new lab. Raises PitrError; then nothing is left of it."""
    from pitr_tui.lab.ending import stop
    from pitr_tui.lab.play import start

    made = order()
    if before is not None:
        began = time.monotonic()
        emit(Phase(_ENDING))
        stop(before)
        emit(Phase(_ENDING, seconds=round(time.monotonic() - began, 3)))
    return session_of(start(made, emit, cancel))
