"""Step 5: the plan with its checks, and the confirmation that starts it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery.checks import Light
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.location import engine_location
from pitr_tui.tui import way
from pitr_tui.tui.literal import Part, assemble, literal
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens.archive_change import prove
from pitr_tui.tui.screens.checked import (
    ORDER,
    THEN,
    Checked,
    check_plan,
    summary_of,
    verdict_content,
)
from pitr_tui.tui.screens.decision import aimed_again
from pitr_tui.tui.screens.dialogs import ConfirmDialog, TextDialog
from pitr_tui.tui.screens.minute_zero import switch_text
from pitr_tui.tui.screens.receiving import is_received
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.screens.wal_pane import WalPane
from pitr_tui.tui.screens.where import (
    Where,
    new_directory,
    new_volume,
    proposed_image,
    proposed_place,
    read_where,
)
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.choice import Choice
from pitr_tui.tui.widgets.facts import Facts, check_fact
from pitr_tui.wal.aim import Aim

_TYPING_PAUSE = 0.4
_ACTIONS = (
    (TargetAction.PAUSE.value, "pause there"),
    (TargetAction.PROMOTE.value, "promote"),
    (TargetAction.SHUTDOWN.value, "shut down"),
)
_ONLY_PROMOTE = ((TargetAction.PROMOTE.value, "promote (the end of the WAL always does)"),)


class PlanPane(WalPane):
    """The verdict, where to, every check with its evidence, the plan's text, and the yes."""

    step = WizardStep.PLAN
    first_focus = ".step-body"
    help_text = """
The recovery makes a secondary: a new PostgreSQL server in a new directory or, behind a
Docker engine, a new container with a new volume, from a copy of the backup. The primary,
the backup and the archive are only read.

"recover into" takes a directory of this machine, volume:NAME for a new volume, or
engine:/DIR for a directory of the engine's machine. The container gets the primary's own
image, or the one that you name: with another C library text may sort otherwise. "m"
changes between a container and this machine.

GREEN: nothing speaks against it, and the record at which it will stop was seen in the WAL.
AMBER: it may work, and something is not proven; "u" stops where it can be proven, at the
last transaction that is there. RED: it cannot succeed, and the first ✗ says why.

"then" is what the server does at the target (recovery_target_action): "pause" keeps it
readable and in recovery, so that you can look and, if it was too early, go on. "promote"
opens it for writing on a new timeline.

The secondary cannot harm anybody: archive_mode is off, no primary_conninfo, no logical
replication workers, its own socket, no network for a container, and a TCP port only if you
name one (on 127.0.0.1).

"s" finishes the segment that the primary is writing (it asks first, with the statements),
waits for it in the archive and looks again: do that when the target is younger than the
last archived segment.

"d" shows the plan: every file that will be written, with its text, and every command. What
it shows is what the run does. From version 12 on the settings go into
postgresql.auto.conf beside recovery.signal, before that into recovery.conf.

Without the screen: pitr restore … --dry-run
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d,f6", "details", "Plan", id="details", tooltip="every file and command"),
        Binding(
            "e,f2",
            "edit",
            "Where to",
            id="edit",
            show=False,
            tooltip="another destination or port",
        ),
        Binding(
            "s,f7",
            "switch",
            "Switch WAL",
            id="switch",
            tooltip="finish the primary's segment, wait until it is archived, check again",
        ),
        Binding(
            "u,f4",
            "stop_there",
            "Stop there",
            id="stop_there",
            tooltip="stop at the last transaction that can be reached",
        ),
        Binding(
            "m,f8",
            "other_place",
            "Elsewhere",
            id="other_place",
            show=False,
            tooltip="into a container, or onto this machine",
        ),
        Binding("f5,ctrl+r", "look", "Check again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._checked: Checked | None = None
        self._pause: Timer | None = None
        self._proposed = ""
        self._proposed_image = ""

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="verdict", id="verdict")
        yield Static("", markup=False, classes="ways-out", id="ways-out")
        yield Facts(id="summary")
        with Horizontal(classes="field"):
            yield Static("then", markup=False, classes="field-name")
            yield Choice(_ACTIONS, id="action")
        with Horizontal(classes="field"):
            yield Static("recover into", markup=False, classes="field-name")
            yield Input(placeholder="a new directory, or volume:NAME", id="destination")
        with Horizontal(classes="field", id="image-row"):
            yield Static("image", markup=False, classes="field-name")
            yield Input(placeholder="the primary's own", id="image")
        with Horizontal(classes="field"):
            yield Static("port", markup=False, classes="field-name")
            yield Input(placeholder="none: nobody else can reach it", id="port")
        yield Facts(id="checks")

    # What is.

    def enter(self) -> None:
        destination, image = self.query_one("#destination", Input), self.query_one("#image", Input)
        if destination.value == self._proposed:
            self._fill_in(self._proposal())
        if image.value == self._proposed_image:
            self._proposed_image = proposed_image(self.session)
            with self.prevent(Input.Changed):
                image.value = self._proposed_image
        origin = self.session.origin
        image.placeholder = f"the primary's own ({origin.image})" if origin else "postgres:MAJOR"
        if isinstance(self.session.target, Latest):
            self.query_one("#action", Choice).offer(_ONLY_PROMOTE, TargetAction.PROMOTE.value)
        else:
            self.query_one("#action", Choice).offer(_ACTIONS, self.session.action.value)
        self.action_look()

    def _proposal(self) -> Place:
        """A new place; what was proposed before is kept while nothing was recovered into it."""
        known = self.session.destination
        unused = not known.exists() if isinstance(known, Path) else self.session.run is None
        return known if known is not None and unused else proposed_place(self.session)

    def _fill_in(self, place: Place) -> None:
        self._proposed = str(place)
        with self.prevent(Input.Changed):
            self.query_one("#destination", Input).value = self._proposed

    def action_look(self) -> None:
        """Look at the archive, make the plan anew and check it."""
        self._to_verdict()
        if way.run_is_going(self.session):
            self._show_verdict()
        else:
            self._checked = None
            self.read_wal()

    def _to_verdict(self) -> None:
        """It is what changes, and may be out of sight."""
        self.query_one(".step-body").scroll_home(animate=False)

    def _check(self) -> None:
        """Make the plan anew and check it, by what was seen in the archive last."""
        session = self.session
        if way.run_is_going(session):
            self._show_verdict()
            return
        self._checked = None
        way.forget_plan(session)
        try:
            where = self._given()
        except PitrError as error:
            self._refuse(error)
            return
        now = session.clock()
        self.run_job(
            lambda emit, cancel: check_plan(session, where, now),
            on_done=self._take,
            on_failed=self._refuse,
            busy="checking",
        )

    def _given(self) -> Where:
        names = ("#destination", "#port", "#image")
        where = read_where(*(self.query_one(name, Input).value for name in names))
        self.query_one("#image-row").display = where.contained
        return where

    def _take(self, checked: Checked) -> None:
        self._checked = checked
        self.session.plan, self.session.checks = checked.plan, checked.checks
        self.session.destination = checked.where.place
        worst_first = sorted(checked.checks, key=lambda check: ORDER.index(check.status))
        self.query_one("#checks", Facts).show([check_fact(check) for check in worst_first])
        self._show_verdict()

    def _refuse(self, error: PitrError) -> None:
        self._checked = None
        self.query_one("#checks", Facts).show([])
        self._show_verdict()
        self.show_problem(error)
        self.changed()

    # What can be done.

    def ready(self) -> str | None:
        if way.run_is_going(self.session):
            return None
        if self._checked is None:
            return "there is no plan that could be carried out"
        if self._checked.refused:
            return "a check failed"
        return None

    def next_action(self) -> str:
        focused = self.screen.focused
        if focused is not None and focused.id in ("destination", "image", "port"):
            return "check this"
        if way.run_is_going(self.session):
            return "see the running recovery"
        return "start the recovery (asks first)" if self.ready() is None else "check again"

    def proceed(self) -> None:
        session, checked = self.session, self._checked
        if way.run_is_going(session):
            super().proceed()
            return
        if self.at_work:
            return
        if checked is None or checked.refused:
            self.action_look()
            return
        green = checked.judgement.light is Light.GREEN
        text = [
            *([f"Not everything is proven: {checked.judgement.sentence}", ""] * (not green)),
            "A secondary is made in a new place:",
            f"  {checked.plan.secondary.destination}",
            "",
            *(f"{fact.name:<12}{fact.value}" for fact in summary_of(checked.plan)),
            f"{'then':<12}{THEN[checked.plan.action]}",
            "",
            "The primary, the backup and the archive are only read.",
        ]
        if session.run is not None and session.run.finished is not None:
            text += ["", "The secondary of the recovery before this one is left as it is."]

        def decided(sure: bool | None) -> None:
            if sure and self._checked is checked:
                session.plan, session.checks = checked.plan, checked.checks
                session.run = session.secondary = None
                StepPane.proceed(self)

        self.app.push_screen(
            ConfirmDialog("Start the recovery?", "\n".join(text), "Start"), decided
        )

    def skip(self) -> None:
        self.proceed()  # nothing leads past the confirmation

    def action_edit(self) -> None:
        self.query_one("#destination").focus()

    def action_other_place(self) -> None:
        """Propose a container in place of a directory of this machine, or the other way round."""
        text = self.query_one("#destination", Input).value
        there = engine_location(text) is not None
        self._fill_in(new_directory(self.session) if there else new_volume(self.session))
        self._check()

    def action_details(self) -> None:
        """Show the plan as it will be done."""
        if self._checked is not None:
            self.app.push_screen(TextDialog("The plan", literal(self._checked.text)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switching the WAL needs the primary, and an archive that it still comes into."""
        if action == "stop_there":
            return self._alternative is not None
        if action != "switch":
            return True
        session = self.session
        place = session.archive_directory
        filled = place != session.other_archive or is_received(session, place)
        return filled and self._archiving_primary() is not None

    def action_switch(self) -> None:
        """Ask; then bring what the primary wrote last into the archive, read it, check again."""
        session = self.session
        if self._archiving_primary() is None or self.at_work or session.facts is None:
            return

        def decided(sure: bool | None) -> None:
            if sure:
                self._to_verdict()
                self.run_job(
                    lambda emit, cancel: prove(session, cancel),
                    on_done=lambda _: self.read_wal(),
                    busy="finishing a segment and waiting for it in the archive",
                )

        text = switch_text(session.facts.version)
        dialog = ConfirmDialog("Finish the primary's segment?", text, "Finish it")
        self.app.push_screen(dialog, decided)

    def wal_known(self) -> None:
        """More was read: what was asked for may be there now."""
        aimed_again(self.session)
        self._check()

    def wal_unreadable(self, error: PitrError) -> None:
        self._check()
        self.show_problem(error)

    def action_stop_there(self) -> None:
        """Be content with what can be reached."""
        session, alternative = self.session, self._alternative
        if alternative is not None and not way.run_is_going(session):
            session.aim, session.target = alternative, alternative.target
            self._to_verdict()
            self._check()

    @property
    def _alternative(self) -> Aim | None:
        return self._checked.judgement.alternative if self._checked is not None else None

    @on(Choice.Changed)
    def action_chosen(self, event: Choice.Changed) -> None:
        self.session.action = TargetAction(event.value)
        self._check()

    def _archiving_primary(self) -> Primary | None:
        session = self.session
        if session.database is None or session.primary_is_down or session.facts is None:
            return None
        return None if session.facts.in_recovery else Primary(session.database)

    @on(Input.Changed)
    def typed(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_TYPING_PAUSE, self._check)

    @on(Input.Submitted)
    def given(self) -> None:
        self._check()
        self.query_one(".step-body").focus()

    def on_descendant_focus(self) -> None:
        self.changed()

    # What is shown.

    def _show_verdict(self) -> None:
        verdict, ways = self.query_one("#verdict", Static), self.query_one("#ways-out", Static)
        summary, checked = self.query_one("#summary", Facts), self._checked
        ways.display = False
        self.refresh_bindings()
        if way.run_is_going(self.session):
            verdict.update(literal("● this recovery is running", "$text-accent"))
            return
        if checked is None:
            verdict.update(literal("● there is no plan yet", "$text-warning"))
            summary.show([])
            return
        verdict.update(verdict_content(checked.judgement))
        offered = [("u", "stop there")] if self._alternative is not None else []
        if checked.judgement.light is Light.AMBER and self.check_action("switch", ()):
            offered.append(("s", "switch the WAL on the primary and look again"))
        ways.update(assemble(*(part for key, words in offered for part in _way_out(key, words))))
        ways.display = bool(offered)
        summary.show(summary_of(checked.plan))


def _way_out(key: str, words: str) -> tuple[Part, ...]:
    return ((f" {key} ", "reverse"), (f" {words}", "bold"), "   ")
