"""Step 3: which base backup to start from, and taking a new one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.archive import ArchiveListing
from pitr_tui.repositories.backups import Backup, BrokenBackup
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.reach import Place, place_of
from pitr_tui.tui.screens.archive_look import listing_facts
from pitr_tui.tui.screens.catalogue import (
    Catalogue,
    doubt_about,
    facts_about,
    open_catalogue,
    row_of,
)
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.new_backup import Asked, Order, can_take, formats, order_of, take
from pitr_tui.tui.screens.proposals import backup_place
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.choice import Choice
from pitr_tui.tui.widgets.facts import Fact, Facts
from pitr_tui.tui.widgets.timeline import Picture, TimelineView
from pitr_tui.wording import count_text, size_text

if TYPE_CHECKING:
    from pitr_tui.recovery.teaching import Seen
    from pitr_tui.repositories.wal_story import Surveyed

_TYPING_PAUSE = 0.3
_COLUMNS = (("backup", 16), ("begun", 16), ("end LSN", 10), ("size", 8), ("kind", 5), ("state", 10))


class BackupsPane(StepPane):
    """The table of backups, the timeline of WAL below it, and a key for a new backup."""

    step = WizardStep.BACKUPS
    first_focus = "#backups"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t,f6", "take", "Take one", id="take", tooltip="take a new base backup"),
        Binding("e,f2", "edit", "Directory", id="edit", tooltip="type another place of backups"),
        Binding("f5,ctrl+r", "look", "Look again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._catalogue: Catalogue | None = None
        self._surveyed: Surveyed | None = None
        self._doubts: dict[str, str] = {}  # by what was seen in the archive's segments
        self._pause: Timer | None = None
        self._proposed = ""
        self._verified: dict[str, str] = {}  # what was verified of a backup taken here

    def body(self) -> ComposeResult:
        yield Static("Which base backup?", markup=False, classes="question", id="headline")
        with Horizontal(classes="field"):
            yield Static("backups in", markup=False, classes="field-name")
            yield Input(placeholder="a directory, volume:NAME or engine:/DIR", id="directory")
        with Horizontal(classes="field", id="format-row"):
            yield Static("new one as", markup=False, classes="field-name")
            yield Choice(formats(None), id="format")
        yield DataTable[Content](id="backups", cursor_type="row", zebra_stripes=False)
        yield Facts(id="about", classes="gap-above")
        yield TimelineView(plain=True, id="timeline")
        yield Facts(id="gaps")

    def on_mount(self) -> None:
        table = self._table()
        for name, width in _COLUMNS:
            table.add_column(name, width=width, key=name)

    # What is.

    def enter(self) -> None:
        session = self.session
        choice = self.query_one("#format", Choice)
        version = session.facts.version if session.facts is not None else None
        choice.offer(formats(version), choice.value)
        self.query_one("#format-row").display = session.facts is not None
        if session.backup_directory is not None:
            self._propose(session.backup_directory)
            return
        self.run_job(
            lambda emit, cancel: backup_place(session),
            on_done=self._propose,
            on_failed=self._cannot_look,
            busy="looking for base backups" if session.origin is not None else "",
            group="propose",
        )

    def for_lesson(self) -> Callable[[Seen], Seen]:
        session, chosen = self.session, self.query_one("#format", Choice).value

        def add(seen: Seen) -> Seen:
            with suppress(PitrError):  # it is told where a backup is to be taken
                return replace(seen, backup_command=order_of(session, chosen).command)
            return seen

        return add

    def _propose(self, place: Place | None) -> None:
        """Fill the field in unless the person has typed into it."""
        field = self.query_one("#directory", Input)
        if field.value == self._proposed and place is not None:
            self._proposed = str(place)
            with self.prevent(Input.Changed):
                field.value = self._proposed
        self.action_look()

    def action_look(self) -> None:
        """Read the places anew."""
        text = self.query_one("#directory", Input).value.strip()
        try:
            place = place_of(text, "the place of the backups")
        except PitrError as error:
            self._take(Catalogue((), None))
            if text:
                self.show_problem(error)
            return
        reach, archive = self.session.reach, self.session.archive_directory
        if place != self.session.backup_directory:
            self.session.backup_directory = place
            self._choose(None)
        self.run_job(
            lambda emit, cancel: open_catalogue(reach, place, archive),
            on_done=self._take,
            on_failed=self._cannot_look,
            group="look",
        )

    def _cannot_look(self, error: PitrError) -> None:
        self._take(Catalogue((), None))
        self.show_problem(error)

    def _take(self, catalogue: Catalogue) -> None:
        self._catalogue, self._surveyed, self._doubts = catalogue, None, {}
        self.show_problem(None)
        chosen = self.session.backup
        table = self._table()
        table.clear()
        for one in catalogue.found:
            table.add_row(*row_of(one, self._doubt(one)), key=str(one.path))
        paths = [one.path for one in catalogue.found]
        if chosen is None or chosen.path not in paths:
            self._choose(self._newest)
        elif isinstance(now := catalogue.found[paths.index(chosen.path)], Backup):
            self.session.backup = now
        else:
            self._choose(None)
        if self.session.backup is not None:
            table.move_cursor(row=paths.index(self.session.backup.path), animate=False)
        self._survey()
        self._show_about()
        if not self.query_one("#directory").has_focus and self.display:
            self.take_focus()
        self.changed()

    def _survey(self) -> None:
        """Look into the archive's segments, which takes longer than their names."""
        listing, session = self._listing, self.session
        self.query_one(TimelineView).display = listing is not None and bool(listing.segments)
        if not self.query_one(TimelineView).display:
            return

        def look(emit: Emit[Progress], cancel: threading.Event) -> tuple[Surveyed, dict[str, str]]:
            from pitr_tui.tui.screens import reading  # it loads numpy

            surveyed = reading.survey(session, cancel)
            return surveyed, reading.doubts(surveyed)

        self.run_job(
            look,
            on_done=self._take_survey,
            on_failed=self._cannot_survey,
            group="survey",
            awaited=False,
        )

    def _take_survey(self, found: tuple[Surveyed, dict[str, str]]) -> None:
        """What lies in the segments, and in the backups themselves, may tell otherwise."""
        self._surveyed, self._doubts = found
        catalogue, chosen, table = self._catalogue, self.session.backup, self._table()
        for one in catalogue.found if catalogue is not None else ():
            table.update_cell(str(one.path), "state", row_of(one, self._doubt(one))[-1])
        if (chosen is None or self._doubt(chosen)) and (newest := self._newest) is not None:
            self._choose(newest)
            table.move_cursor(row=table.get_row_index(str(newest.path)), animate=False)
        self._show_about()
        self.changed()

    def _cannot_survey(self, error: PitrError) -> None:
        self.query_one(TimelineView).display = False
        self.show_problem(error)

    def _choose(self, backup: Backup | None) -> None:
        if backup != self.session.backup:
            self.session.backup = backup
            way.forget_plan(self.session)

    # What can be done.

    def next_action(self) -> str:
        if self.query_one("#directory", Input).has_focus:
            return "look into this place"
        if self._catalogue is not None and not self._catalogue.found:
            if can_take(self.session):
                return "take a base backup (asks first)"
            return ""
        one = self._highlighted()
        if isinstance(one, Backup) and not self._doubt(one):
            if one == self._newest:
                return "choose the target; start from the newest backup before it"
            return f"start from {one_line(one.name)} and choose the target"
        return "choose another backup: this one cannot be used"

    def proceed(self) -> None:
        if self._catalogue is not None and not self._catalogue.found and can_take(self.session):
            self.action_take()
            return
        one = self._highlighted()
        if isinstance(one, BrokenBackup):
            self.show_problem(one.problem)
            return
        if one is not None and (doubt := self._doubt(one)):
            self.show_problem(PitrError(f"{one.name} cannot be used here", doubt))
            return
        if one is not None:
            self._choose(one)
            self._show_about()
        super().proceed()

    @on(DataTable.RowSelected)
    def row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.proceed()

    @on(DataTable.RowHighlighted)
    def row_highlighted(self) -> None:
        self._show_about()
        self.changed()

    @on(Input.Changed, "#directory")
    def directory_typed(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_TYPING_PAUSE, self.action_look)

    @on(Input.Submitted, "#directory")
    def directory_given(self) -> None:
        self._table().focus()
        self.action_look()

    def on_descendant_focus(self) -> None:
        self.changed()

    def take_focus(self) -> None:
        """To the table if it has rows: an empty one would swallow the enter key."""
        field = self.query_one("#directory", Input)
        if not field.value and "propose" not in self._jobs:
            field.focus()
        elif self._table().row_count:
            self._table().focus()
        else:
            self.query_one(".step-body").focus()

    def action_edit(self) -> None:
        self.query_one("#directory").focus()

    def action_take(self) -> None:
        """Ask, then take a base backup into a new directory."""
        session = self.session
        if self.at_work:
            return
        if not can_take(session):
            self.show_problem(
                PitrError(
                    "no backup can be taken",
                    "that needs a running primary, and this way goes without it"
                    if session.primary_is_down
                    else "there is no place for it",
                )
            )
            return
        chosen = self.query_one("#format", Choice).value
        self.run_job(
            lambda emit, cancel: order_of(session, chosen), on_done=self._ask, group="describe"
        )

    def _ask(self, asked: Asked) -> None:
        order = asked.order
        text = [
            f"A new directory is written, about {size_text(order.facts.total_bytes)}:",
            f"  {order.destination}",
            *(["", *asked.remarks] if asked.remarks else []),
            f"\nThe primary is only read. The command is:\n\n{asked.command}\n",
            "It protects what happens from now on; what was lost before needs an older backup.",
        ]

        def decided(sure: bool | None) -> None:
            if sure:
                self._carry_out(order)

        self.app.push_screen(
            ConfirmDialog("Take a base backup?", "\n".join(text), "Take it"), decided
        )

    def _carry_out(self, order: Order) -> None:
        def work(emit: Emit[Progress], cancel: threading.Event) -> str:
            return take(order, emit, cancel)

        def done(verified: str) -> None:
            self._verified = {str(order.destination): verified}
            self._choose(None)  # the newest one is
            self.action_look()

        name = str(order.destination).rpartition("/")[2]
        self.run_job(work, on_done=done, busy=f"taking {name}")

    # What is shown.

    def _table(self) -> DataTable[Content]:
        return self.query_one("#backups", DataTable)

    def _highlighted(self) -> Backup | BrokenBackup | None:
        if self._catalogue is None or not self._catalogue.found:
            return None
        row = self._table().cursor_row
        return self._catalogue.found[row] if row < len(self._catalogue.found) else None

    @property
    def _listing(self) -> ArchiveListing | None:
        return self._catalogue.listing if self._catalogue is not None else None

    def _doubt(self, one: Backup | BrokenBackup) -> str:
        if isinstance(one, BrokenBackup):
            return ""
        facts, seen = self.session.facts, self._doubts.get(str(one.path))
        system = facts.system_identifier if facts is not None else None
        doubt = doubt_about(one, self._listing if seen is None else None, system)
        return doubt or seen or ""

    @property
    def _newest(self) -> Backup | None:
        """The newest backup that can be used."""
        usable = self._catalogue.usable if self._catalogue is not None else ()
        return next((one for one in reversed(usable) if not self._doubt(one)), None)

    def _show_about(self) -> None:
        catalogue = self._catalogue
        if catalogue is None:
            return
        one = self._highlighted()
        headline = self.query_one("#headline", Static)
        usable = [backup for backup in catalogue.usable if not self._doubt(backup)]
        if not catalogue.found:
            headline.update(literal("! There is no base backup here: no recovery without one"))
        else:
            of_all = f"{len(usable)} of {count_text(len(catalogue.found), 'backup')} usable"
            headline.update(
                assemble("Which base backup? ", (f" {of_all}", "not bold $foreground-muted"))
            )
        listing, rows = catalogue.listing, list[Fact]()
        if one is not None:
            verified = self._verified.get(str(one.path), "")
            rows = facts_about(one, self._doubt(one), listing, verified)
        self.query_one("#about", Facts).show(rows)
        chosen = one if isinstance(one, Backup) else None
        self.query_one(TimelineView).show(Picture(self._surveyed, None, UTC, "UTC", chosen))
        gaps = [fact for fact in listing_facts(listing) if fact.name == "gap"] if listing else []
        self.query_one("#gaps", Facts).show(gaps)
