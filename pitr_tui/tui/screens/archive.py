"""Step 2: does the primary archive its WAL, and if not, turn it on and prove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.recovery.archiving import ArchivingProof, ArchivingStatus
from pitr_tui.recovery.events import Status
from pitr_tui.servers.primary import Primary
from pitr_tui.tui import way
from pitr_tui.tui.literal import literal
from pitr_tui.tui.reach import Place, place_of
from pitr_tui.tui.screens.archive_change import Proposal, carry_out, prove, question
from pitr_tui.tui.screens.archive_look import (
    Look,
    Told,
    archives_into,
    ask_primary,
    headline_of,
    is_filled,
    listing_facts,
    look_at,
    must_change,
    status_facts,
)
from pitr_tui.tui.screens.collecting import can_collect
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.other_archives import OtherArchives
from pitr_tui.tui.screens.proposals import archive_place, archive_places
from pitr_tui.tui.screens.receiving import is_received
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.diff import diff_content
from pitr_tui.tui.widgets.facts import Fact, Facts

if TYPE_CHECKING:
    from pitr_tui.recovery.teaching import Seen

_TYPING_PAUSE = 0.3


class ArchivePane(OtherArchives):
    """Facts, the proposed change as a diff, the change on confirmation, and the proof."""

    step = WizardStep.ARCHIVE
    first_focus = ".step-body"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "e,f2",
            "edit",
            "Place",
            id="edit",
            show=False,
            tooltip="type where the archive is, or shall be",
        ),
        Binding("p,f6", "prove", "Prove", id="prove", tooltip="finish a segment and see it arrive"),
        Binding("f5,ctrl+r", "look", "Look again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._told: Told | None = None
        self._look: Look | None = None
        self._proof: ArchivingProof | None = None
        self._pause: Timer | None = None
        self._proposed = ""

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="question", id="headline")
        with Horizontal(classes="field"):
            yield Static("archive", markup=False, classes="field-name")
            yield Input(placeholder="a directory, volume:NAME or engine:/DIR", id="directory")
        yield Facts(id="held")
        yield Facts(id="facts")
        yield Static("", markup=False, classes="muted gap-above", id="proposal-title")
        yield Static("", markup=False, id="proposal")

    # What is.

    def enter(self) -> None:
        self._say_headline()
        if self._primary() is None:
            self._propose()
            return
        self.action_look()

    def action_look(self) -> None:
        """Ask the primary anew."""
        primary = self._primary()
        if primary is None:
            self._look_later(0)
            return
        self.run_job(
            lambda emit, cancel: ask_primary(primary),
            on_done=self._take_told,
            busy="asking the primary how it archives",
            group="status",
        )

    def _take_told(self, told: Told) -> None:
        self._told, self.session.archiving = told, told.status
        self._show_facts()
        self._propose()
        self.look_at_receiver()

    def _propose(self) -> None:
        """Fill the field in, unless the person has typed into it, and look there."""
        session = self.session
        if session.archive_directory is not None or session.origin is None:
            self._fill_in(session.archive_directory or archive_place(session))
            return
        self.run_job(
            lambda emit, cancel: archive_place(session),
            on_done=self._fill_in,
            on_failed=self._cannot_look,
            group="propose",
        )

    def _fill_in(self, place: Place | None) -> None:
        field = self.query_one("#directory", Input)
        if place is not None and field.value == self._proposed:
            self._proposed = str(place)
            with self.prevent(Input.Changed):
                field.value = self._proposed
        elif place is None and self.display:
            self.take_focus()
        self._look_later(0)

    def use_place(self, place: Place) -> None:
        self.session.other_archive = place
        self._proof = None
        field = self.query_one("#directory", Input)
        with self.prevent(Input.Changed):
            field.value = self._proposed = str(place)
        self._look_later(0)

    def show_others(self) -> None:
        self._show_facts()
        self._say_headline()

    def _look_later(self, pause: float) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(max(pause, 0.001), self._look_now)

    def _look_now(self) -> None:
        text = self.query_one("#directory", Input).value.strip()
        if not text:
            self._take_look(None)
            return
        try:
            place = place_of(text, "the archive")
        except PitrError as error:
            self._take_look(None)
            self.show_problem(error)
            return
        session = self.session
        self.run_job(
            lambda emit, cancel: look_at(session, place),
            on_done=self._take_look,
            on_failed=self._cannot_look,
            group="look",
        )

    def _cannot_look(self, error: PitrError) -> None:
        self._take_look(None)
        self.show_problem(error)

    def _take_look(self, look: Look | None) -> None:
        session = self.session
        self._look = look
        self.show_problem(look.refusal if look is not None and self._must_change() else None)
        usable = look is not None and look.listing is not None
        in_use = session.archiving is None or (look is not None and is_filled(session, look.place))
        place = look.place if look is not None and usable and in_use else None
        way.use_archive(session, place)
        self._show_held()
        self._show_proposal()
        self._say_headline()
        self.changed()

    def _primary(self) -> Primary | None:
        database = self.session.database
        return Primary(database) if database and not self.session.primary_is_down else None

    def for_lesson(self) -> Callable[[Seen], Seen]:
        change = self._look.change if self._look is not None else None
        if change is None:
            return super().for_lesson()
        return lambda seen: replace(seen, change=change.settings)

    def _must_change(self) -> bool:
        return self._look is not None and must_change(self.session, self._look)

    # What can be done.

    def next_action(self) -> str:
        if self.query_one("#directory", Input).has_focus:
            return "look at this place"
        if self._primary() is None:
            return super().next_action() if self.ready() is None else "name the archive"
        look = self._look
        if look is None and self._no_place():
            return "receive the WAL beside the primary (asks first)"
        if look is None:
            return "name the archive" if not self.at_work else ""
        if self._must_change():
            if look.change is None:
                return ""
            if not look.change.settings.settings and not look.change.lets_in:
                return "make the archive directory (asks first)"
            return "change the settings as shown (asks first)"
        if self._proves():
            return "prove that archiving works      (ctrl+n goes on without)"
        return super().next_action() if self.ready() is None else "name the archive"

    def proceed(self) -> None:
        look = self._look
        if look is None and self._no_place():
            self.action_receive()
        elif self._primary() is None or look is None:
            super().proceed()
            if self.ready() is not None:
                self.action_edit()
        elif self._must_change():
            if look.refusal is not None:
                self.show_problem(look.refusal)
            elif look.change is not None:
                self._ask_change(look.change)
        elif self._proves():
            self.action_prove()
        else:
            super().proceed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be proved without the primary."""
        if action == "prove":
            return self._primary() is not None
        return super().check_action(action, parameters)

    def _proves(self) -> bool:
        """Whether the next thing is to see a segment arrive; what was collected gets no more."""
        look = self._look
        if look is None or self._proof is not None or self.ready() is not None:
            return False
        return archives_into(self.session, look.place) or is_received(self.session, look.place)

    def take_focus(self) -> None:
        field = self.query_one("#directory", Input)
        if self._primary() is None and not field.value and "propose" not in self._jobs:
            field.focus()
        else:
            super().take_focus()

    def action_edit(self) -> None:
        self.query_one("#directory").focus()

    def action_prove(self) -> None:
        """Finish a segment and watch it arrive."""
        session = self.session
        if self._primary() is None or session.archive_directory is None:
            self.show_problem(PitrError("nothing can be proved yet: archiving is not on"))
            return
        self._proof = None
        self.run_job(
            lambda emit, cancel: prove(session, cancel),
            on_done=self._proved,
            on_failed=self._not_proved,
            busy="finishing a segment and waiting for it in the archive",
        )

    @on(Input.Changed, "#directory")
    def directory_typed(self) -> None:
        self._proof = None
        self._look_later(_TYPING_PAUSE)

    @on(Input.Submitted, "#directory")
    def directory_given(self) -> None:
        self._look_later(0)
        self.query_one(".step-body").focus()

    def on_descendant_focus(self) -> None:
        self.changed()

    def _ask_change(self, change: Proposal) -> None:
        def decided(sure: bool | None) -> None:
            if sure:
                self._change(change)

        title, text, confirm = question(self.session, change)
        self.app.push_screen(ConfirmDialog(title, text, confirm, change.diff), decided)

    def _change(self, change: Proposal) -> None:
        session = self.session

        def done(now: ArchivingStatus) -> None:
            session.facts, session.archiving, self._told = now.facts, now, Told(now)
            way.use_archive(session, change.place)
            self._show_facts()
            self._look_later(0)
            self.action_prove()

        words = "changing the settings"
        if change.restart:
            words += " and restarting the primary"
        self.run_job(
            lambda emit, cancel: carry_out(session, change),
            on_done=done,
            busy=words,
            cancel_hint="",
        )

    def _proved(self, proof: ArchivingProof) -> None:
        self._proof = proof
        self.action_look()

    def _not_proved(self, error: PitrError) -> None:
        self.action_look_quietly()
        self.show_problem(error)

    def action_look_quietly(self) -> None:
        """Ask the primary anew without touching what is said below."""
        primary = self._primary()
        if primary is None:
            return

        def done(told: Told) -> None:
            self._told, self.session.archiving = told, told.status
            self._show_facts()

        self.run_job(lambda emit, cancel: ask_primary(primary), on_done=done, group="status")

    # What is shown.

    def _say_headline(self) -> None:
        words = headline_of(self.session, self._look, self._proof)
        self.query_one("#headline", Static).update(words)

    def _show_facts(self) -> None:
        told = self._told if self.session.archiving is not None else None
        rows = status_facts(told) if told is not None else []
        self.query_one("#facts", Facts).show([*self.other_facts(), *rows])

    def _show_held(self) -> None:
        look, down = self._look, self._primary() is None
        if look is None:
            rows = self._no_place()
        elif look.listing is None:
            status = Status.WARNING if down else None
            rows = [Fact("in it", "nothing yet: this place does not exist", status=status)]
        else:
            rows = listing_facts(look.listing)
        session = self.session
        saved = session.collected is not None and session.collected == session.archive_directory
        if down and not saved and can_collect(session):
            words = "what still lies in the primary's own directory can be collected (c)"
            rows.append(Fact("its own WAL", words))
        self.query_one("#held", Facts).show(rows)

    def _no_place(self) -> list[Fact]:
        """What to do where the primary's container has nothing that an archive could lie in."""
        origin = self.session.origin
        if origin is None or self._primary() is None or archive_places(origin):
            return []
        words = "nothing is mounted in the container that an archive could lie in"
        return [
            Fact("no place", words, status=Status.WARNING, hint="receive its WAL beside it (v)")
        ]

    def _show_proposal(self) -> None:
        title = self.query_one("#proposal-title", Static)
        proposal = self.query_one("#proposal", Static)
        change = self._look.change if self._look is not None else None
        told = change is not None and bool(change.diff or change.commands)
        shown = told and self._must_change()
        title.display = proposal.display = shown
        if change is None or not shown:
            return
        title.update(literal("\n".join([change.title, *(f"# {one}" for one in change.commands)])))
        proposal.update(diff_content(change.diff))
