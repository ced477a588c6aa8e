"""Step 2: does the primary archive its WAL, and if not, turn it on and prove it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.recovery import archiving
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingProof, ArchivingStatus
from pitr_tui.recovery.events import Status
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.sql import Database
from pitr_tui.tui import way
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.screens.archive_look import (
    Look,
    directory_of,
    listing_facts,
    look_at,
    status_facts,
)
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.diff import diff_content
from pitr_tui.tui.widgets.facts import Fact, Facts

_TYPING_PAUSE = 0.3


class ArchivePane(StepPane):
    """Facts, the proposed change as a diff, the change on confirmation, and the proof."""

    step = WizardStep.ARCHIVE
    first_focus = ".step-body"
    help_text = """
Point-in-time recovery replays WAL behind a base backup. The primary keeps its WAL only
for a short while; a WAL archive keeps all of it. archive_mode = on makes the primary
hand every finished segment (16 MB) to archive_command, which copies it away.

pitr proposes ALTER SYSTEM settings (wal_level, archive_mode, archive_command,
archive_timeout, max_wal_senders), shows them as a diff of postgresql.auto.conf and
changes nothing before you say yes. wal_level and archive_mode count from the next
restart only; the question says so.

The proof: pitr writes a restore point, finishes the current segment (pg_switch_wal) and
waits until that very segment lies in the archive, whole, with the system identifier of
this cluster. After an accident this also brings the last transactions into the archive.

Without the screen: pitr archive status --json,  pitr archive enable
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e,f2", "edit", "Directory", id="edit", tooltip="type another archive directory"),
        Binding("p,f6", "prove", "Prove", id="prove", tooltip="finish a segment and see it arrive"),
        Binding("f5,ctrl+r", "look", "Look again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._look: Look | None = None
        self._proof: ArchivingProof | None = None
        self._pause: Timer | None = None

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="question", id="headline")
        with Horizontal(classes="field"):
            yield Static("archive", markup=False, classes="field-name")
            yield Input(placeholder="the directory with the archived WAL", id="directory")
        yield Facts(id="held")
        yield Facts(id="facts")
        yield Static("", markup=False, classes="muted gap-above", id="proposal-title")
        yield Static("", markup=False, id="proposal")

    # What is.

    def enter(self) -> None:
        self._say_headline()
        if self.session.primary_is_down or self.session.database is None:
            self._fill_in(self.session.archive_directory)
            self._look_later(0)
            return
        self.action_look()

    def action_look(self) -> None:
        """Ask the primary anew."""
        database = self.session.database
        if database is None or self.session.primary_is_down:
            self._look_later(0)
            return
        self.run_job(
            lambda emit, cancel: archiving.archiving_status(Primary(database)),
            on_done=self._take_status,
            busy="asking the primary how it archives",
            group="status",
        )

    def _take_status(self, status: ArchivingStatus) -> None:
        self.session.archiving = status
        command = status.settings["archive_command"].value
        given = self.session.archive_directory or (directory_of(command) if status.on else None)
        data = status.facts.data_directory
        proposed = data.parent / "pitr-archive" if data is not None else None
        self._fill_in(given or proposed)
        self._show_facts()
        self._look_later(0)

    def _fill_in(self, directory: Path | None) -> None:
        field = self.query_one("#directory", Input)
        if directory is not None and not field.value:
            with self.prevent(Input.Changed):
                field.value = str(directory)

    def _look_later(self, pause: float) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(max(pause, 0.001), self._look_now)

    def _look_now(self) -> None:
        text = self.query_one("#directory", Input).value.strip()
        if not text:
            self._take_look(None)
            return
        directory = Path(text).expanduser()
        if not directory.is_absolute():
            self._take_look(None)
            self.show_problem(PitrError("the archive has to be an absolute path", text))
            return
        status = self.session.archiving
        primary = self._primary() if status is not None else None
        self.run_job(
            lambda emit, cancel: look_at(primary, status, directory),
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
        in_use = session.archiving is None or self._archives_into(look)
        directory = look.directory if look is not None and usable and in_use else None
        if directory != session.archive_directory:
            session.archive_directory = directory
            session.backup = None
            way.forget_plan(session)
        self._show_held()
        self._show_proposal()
        self._say_headline()
        self.changed()

    def _primary(self) -> Primary | None:
        database = self.session.database
        return Primary(database) if database and not self.session.primary_is_down else None

    def _archives_into(self, look: Look | None) -> bool:
        """Whether the primary archives, and as far as can be seen into this directory."""
        status = self.session.archiving
        if status is None or look is None or not status.on or not status.has_command:
            return False
        into = directory_of(status.settings["archive_command"].value)
        return into is None or into == look.directory

    def _must_change(self) -> bool:
        """Whether the primary has to be changed before it archives into the directory.

        A command of somebody else's that works is left alone. An archiver that fails with
        the right settings needs no change: its directory is looked at, or it is tried again.
        """
        status, look = self.session.archiving, self._look
        if status is None or look is None:
            return False
        if not self._archives_into(look) or look.listing is None:
            return True
        return bool(status.problems) and look.change is not None and bool(look.change.settings)

    # What can be done.

    def next_action(self) -> str:
        if self.query_one("#directory", Input).has_focus:
            return "look at this directory"
        if self._primary() is None:
            return super().next_action() if self.ready() is None else "name the archive directory"
        look = self._look
        if look is None:
            return ""
        if self._must_change():
            if look.change is None:
                return ""
            if not look.change.settings:
                return "make the archive directory (asks first)"
            return "change the settings as shown (asks first)"
        if self._proof is None and self.ready() is None:
            return "prove that archiving works      (ctrl+n goes on without)"
        return super().next_action()

    def proceed(self) -> None:
        look = self._look
        if self._primary() is None or look is None:
            super().proceed()
            if self.ready() is not None:
                self.action_edit()
        elif self._must_change():
            if look.refusal is not None:
                self.show_problem(look.refusal)
            elif look.change is not None:
                self._ask_change(look.change)
        elif self._proof is None and self.ready() is None:
            self.action_prove()
        else:
            super().proceed()

    def take_focus(self) -> None:
        field = self.query_one("#directory", Input)
        if self._primary() is None and not field.value:
            field.focus()
        else:
            super().take_focus()

    def action_edit(self) -> None:
        self.query_one("#directory").focus()

    def action_prove(self) -> None:
        """Finish a segment and watch it arrive."""
        primary, directory = self._primary(), self.session.archive_directory
        if primary is None or directory is None:
            self.show_problem(PitrError("nothing can be proved yet: archiving is not on"))
            return
        self._proof = None
        self.run_job(
            lambda emit, cancel: archiving.prove(primary, directory, cancel),
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

    def _ask_change(self, change: ArchivingChange) -> None:
        status, database = self.session.archiving, self.session.database
        if status is None or database is None:
            return
        made = "" if change.archive_directory.is_dir() else "It will be created.\n"
        restart = (
            "\nTHE PRIMARY WILL BE RESTARTED: connections are cut for some seconds. "
            f"({', '.join(change.restart)} can only be set at a start.)"
            if change.restart
            else "\nNo restart: the settings count at once."
        )
        title, confirm = "Turn archiving on?", "Change"
        text = (
            f"On {database}, postgresql.auto.conf is changed by ALTER SYSTEM as shown below.\n"
            f"The archive is {change.archive_directory}. {made}{restart}"
        )
        if change.restart:
            confirm = "Change and restart"
        elif not change.settings:
            title, confirm = "Make the archive directory?", "Make it"
            text = f"{change.archive_directory} is made for the primary's user. No setting changes."

        def decided(sure: bool | None) -> None:
            if sure:
                self._change(status, database, change)

        self.app.push_screen(ConfirmDialog(title, text, confirm, change.diff), decided)

    def _change(self, status: ArchivingStatus, database: Database, change: ArchivingChange) -> None:
        directory = change.archive_directory

        def work(emit: object, cancel: threading.Event) -> tuple[PrimaryFacts, ArchivingStatus]:
            primary = Primary(database)
            restart = archiving.prepare_restart(status.facts, database) if change.restart else None
            archiving.prepare_archive_directory(status, directory)
            archiving.apply(primary, change, restart)
            now = archiving.archiving_status(primary)
            return now.facts, now

        def done(result: tuple[PrimaryFacts, ArchivingStatus]) -> None:
            self.session.facts, self.session.archiving = result
            self.session.archive_directory = directory
            self._show_facts()
            self._look_later(0)
            self.action_prove()

        words = "changing the settings"
        if change.restart:
            words += " and restarting the primary"
        self.run_job(work, on_done=done, busy=words, cancel_hint="")

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

        def done(status: ArchivingStatus) -> None:
            self.session.archiving = status
            self._show_facts()

        self.run_job(
            lambda emit, cancel: archiving.archiving_status(primary), on_done=done, group="status"
        )

    # What is shown.

    def _say_headline(self) -> None:
        headline = self.query_one("#headline", Static)
        status = self.session.archiving
        if self._primary() is None:
            headline.update("Where is the WAL archive?")
        elif status is None:
            headline.update("Does the primary archive its WAL?")
        elif self._proof is not None:
            proof = self._proof
            headline.update(
                assemble(
                    ("✓ archiving works: ", "$text-success"),
                    f"{proof.segment} arrived whole in {proof.seconds:.1f} s",
                )
            )
        elif status.problems:
            headline.update(
                assemble(("! ", "$text-warning"), f"Not yet: {'; '.join(status.problems)}")
            )
        elif self._must_change():
            headline.update(literal("! The primary archives, but not into this directory"))
        else:
            headline.update("Archiving is on. Is it proved that segments arrive?")

    def _show_facts(self) -> None:
        status = self.session.archiving
        if status is None:
            self.query_one("#facts", Facts).show([])
            return
        self.query_one("#facts", Facts).show(status_facts(status))

    def _show_held(self) -> None:
        look = self._look
        held = self.query_one("#held", Facts)
        if look is None:
            held.show([])
        elif look.listing is None:
            status = Status.WARNING if self._primary() is None else None
            held.show([Fact("in it", "nothing yet: this directory does not exist", status=status)])
        else:
            held.show(listing_facts(look.listing))

    def _show_proposal(self) -> None:
        title = self.query_one("#proposal-title", Static)
        proposal = self.query_one("#proposal", Static)
        change = self._look.change if self._look is not None else None
        shown = change is not None and bool(change.diff) and self._must_change()
        title.display = proposal.display = shown
        if change is None or not shown:
            return
        need = f"needs a RESTART ({', '.join(change.restart)})" if change.restart else "no restart"
        title.update(literal(f"Proposed for postgresql.auto.conf, {need}:"))
        proposal.update(diff_content(change.diff))
