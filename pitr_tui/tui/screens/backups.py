"""Step 3: which base backup to start from, and taking a new one."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.recovery.backup import BackupOrder, finished_backup, take_backup
from pitr_tui.recovery.events import Progress, Status
from pitr_tui.repositories.archive import ArchiveListing, WalArchive
from pitr_tui.repositories.backups import Backup, BrokenBackup, list_backups
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.screens.archive_look import listing_facts
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.facts import Fact, Facts
from pitr_tui.tui.widgets.timeline import WalTimeline
from pitr_tui.wording import count_text, size_text

_TYPING_PAUSE = 0.3
_COLUMNS = (("backup", 16), ("begun", 16), ("end LSN", 10), ("size", 8), ("kind", 5), ("state", 9))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was found: backups oldest first, and the archive beside them."""

    found: tuple[Backup | BrokenBackup, ...]
    listing: ArchiveListing | None
    problem: PitrError | None = None

    @property
    def usable(self) -> tuple[Backup, ...]:
        return tuple(one for one in self.found if isinstance(one, Backup))


def read_catalogue(directory: Path, archive_directory: Path | None) -> Catalogue:
    """List both places; a missing place of backups is an empty one."""
    archive = WalArchive(archive_directory) if archive_directory is not None else None
    listing = archive.listing() if archive is not None else None
    if not directory.exists():
        return Catalogue((), listing)
    return Catalogue(tuple(list_backups(directory, archive)), listing)


def doubt_about(backup: Backup, listing: ArchiveListing | None, system: int | None) -> str:
    """Why a readable backup cannot be the start of this recovery, or nothing."""
    if system is not None and backup.system_identifier != system:
        return f"of another cluster (system identifier {backup.system_identifier})"
    if listing is not None and listing.last_reachable(backup.start_segment) is None:
        return f"its first segment {backup.start_segment.name} is not in the archive"
    return ""


class BackupsPane(StepPane):
    """The table of backups, the timeline of WAL below it, and a key for a new backup."""

    step = WizardStep.BACKUPS
    first_focus = "#backups"
    help_text = """
A recovery copies a base backup to a new place and replays archived WAL on top of it. So
the backup has to be older than the moment you want back, and every WAL segment between
the two has to be in the archive: a gap ends the way.

The table has what lies in the backup directory, newest last. The state says whether it
can be used for this cluster and with this archive. Below are the backups (◆) and the
archived segments over the WAL positions; ░ marks a gap.

A new backup is taken with pg_basebackup, from the running primary, into a new directory.
It protects what happens from now on. It does not bring back what was lost before it.

Without the screen: pitr backup list DIR --json,  pitr backup take
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t,f6", "take", "Take one", id="take", tooltip="take a new base backup"),
        Binding("e,f2", "edit", "Directory", id="edit", tooltip="type another place of backups"),
        Binding("f5,ctrl+r", "look", "Look again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._catalogue: Catalogue | None = None
        self._pause: Timer | None = None

    def body(self) -> ComposeResult:
        yield Static("Which base backup?", markup=False, classes="question", id="headline")
        with Horizontal(classes="field"):
            yield Static("backups in", markup=False, classes="field-name")
            yield Input(placeholder="the directory with the base backups", id="directory")
        yield DataTable[Content](id="backups", cursor_type="row", zebra_stripes=False)
        yield Facts(id="about", classes="gap-above")
        yield WalTimeline(id="timeline")
        yield Facts(id="gaps")

    def on_mount(self) -> None:
        table = self._table()
        for name, width in _COLUMNS:
            table.add_column(name, width=width, key=name)

    # What is.

    def enter(self) -> None:
        session = self.session
        field = self.query_one("#directory", Input)
        if not field.value:
            proposed = session.backup_directory
            if proposed is None and session.archive_directory is not None:
                proposed = session.archive_directory.parent / "pitr-backups"
            if proposed is not None:
                with self.prevent(Input.Changed):
                    field.value = str(proposed)
        self.action_look()

    def action_look(self) -> None:
        """Read the directories anew."""
        text = self.query_one("#directory", Input).value.strip()
        directory = Path(text).expanduser()
        if not text or not directory.is_absolute():
            self._take(Catalogue((), None))
            if text:
                self.show_problem(PitrError("the directory has to be an absolute path", text))
            return
        archive = self.session.archive_directory
        if directory != self.session.backup_directory:
            self.session.backup_directory = directory
            self._choose(None)
        self.run_job(
            lambda emit, cancel: read_catalogue(directory, archive),
            on_done=self._take,
            on_failed=self._cannot_look,
            group="look",
        )

    def _cannot_look(self, error: PitrError) -> None:
        self._take(Catalogue((), None))
        self.show_problem(error)

    def _take(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        chosen = self.session.backup
        table = self._table()
        table.clear()
        for one in catalogue.found:
            table.add_row(*self._row(one), key=str(one.path))
        paths = [one.path for one in catalogue.found]
        if chosen is None or chosen.path not in paths:
            good = [one for one in catalogue.usable if not self._doubt(one)]
            self._choose(good[-1] if good else None)
        elif isinstance(now := catalogue.found[paths.index(chosen.path)], Backup):
            self.session.backup = now
        else:
            self._choose(None)
        if self.session.backup is not None:
            table.move_cursor(row=paths.index(self.session.backup.path), animate=False)
        self._show_about()
        if not self.query_one("#directory").has_focus and self.display:
            self.take_focus()
        self.changed()

    def _choose(self, backup: Backup | None) -> None:
        if backup != self.session.backup:
            self.session.backup = backup
            way.forget_plan(self.session)

    # What can be done.

    def next_action(self) -> str:
        if self.query_one("#directory", Input).has_focus:
            return "look into this directory"
        if self._catalogue is not None and not self._catalogue.found:
            if self._can_take():
                return "take a base backup (asks first)"
            return ""
        one = self._highlighted()
        if isinstance(one, Backup) and not self._doubt(one):
            return f"start from {one.name} and choose the target"
        return "choose another backup: this one cannot be used"

    def proceed(self) -> None:
        if self._catalogue is not None and not self._catalogue.found and self._can_take():
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
        if not field.value:
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
        if not self._can_take() or session.database is None or session.facts is None:
            self.show_problem(
                PitrError(
                    "no backup can be taken",
                    "that needs a running primary, and this way goes without it"
                    if session.primary_is_down
                    else "there is no place for it",
                )
            )
            return
        assert session.backup_directory is not None  # noqa: S101 - seen by _can_take
        name = f"{session.clock():%Y%m%d-%H%M%S}"
        order = BackupOrder(session.database, session.facts, session.backup_directory / name)
        self.run_job(
            lambda emit, cancel: order.describe(),
            on_done=lambda command: self._ask_backup(order, command),
            group="describe",
        )

    def _ask_backup(self, order: BackupOrder, command: str) -> None:
        text = (
            f"A new directory is written, about {size_text(order.facts.total_bytes)}:\n"
            f"  {order.destination}\n\nThe primary is only read. The command is:\n\n{command}\n\n"
            "It protects what happens from now on; what was lost before needs an older backup."
        )

        def decided(sure: bool | None) -> None:
            if sure:
                self._take_backup(order)

        self.app.push_screen(ConfirmDialog("Take a base backup?", text, "Take it"), decided)

    def _take_backup(self, order: BackupOrder) -> None:
        def work(emit: Emit[Progress], cancel: threading.Event) -> Backup:
            order.destination.parent.mkdir(mode=0o755, exist_ok=True)
            for progress in take_backup(order, cancel):
                emit(progress)
            return finished_backup(order)

        def done(backup: Backup) -> None:
            self._choose(backup)
            self.action_look()

        self.run_job(work, on_done=done, busy=f"taking {order.destination.name}")

    def _can_take(self) -> bool:
        session = self.session
        return (
            not session.primary_is_down
            and session.database is not None
            and session.facts is not None
            and session.backup_directory is not None
        )

    # What is shown.

    def _table(self) -> DataTable[Content]:
        return self.query_one("#backups", DataTable)

    def _highlighted(self) -> Backup | BrokenBackup | None:
        if self._catalogue is None or not self._catalogue.found:
            return None
        row = self._table().cursor_row
        return self._catalogue.found[row] if row < len(self._catalogue.found) else None

    def _doubt(self, backup: Backup) -> str:
        listing = self._catalogue.listing if self._catalogue is not None else None
        facts = self.session.facts
        return doubt_about(backup, listing, facts.system_identifier if facts else None)

    def _row(self, one: Backup | BrokenBackup) -> list[Content]:
        if isinstance(one, BrokenBackup):
            empty = literal("")
            state = literal("✗ broken", "$text-error")
            return [literal(one.path.name), empty, empty, empty, empty, state]
        doubt = self._doubt(one)
        state = literal("! not here", "$text-warning") if doubt else literal("✓ usable")
        return [
            literal(one.name),
            literal(one.label.start_time[:16]),
            literal(one.stop_lsn or "unknown"),
            literal(f"{size_text(one.total_bytes):>8}"),
            literal(one.format),
            state,
        ]

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
        self.query_one("#about", Facts).show(self._about(one))
        listing = catalogue.listing
        chosen = one if isinstance(one, Backup) else None
        self.query_one("#timeline", WalTimeline).show(catalogue.usable, listing, chosen)
        gaps = [fact for fact in listing_facts(listing) if fact.name == "gap"] if listing else []
        self.query_one("#gaps", Facts).show(gaps)

    def _about(self, one: Backup | BrokenBackup | None) -> list[Fact]:
        if one is None:
            return []
        if isinstance(one, BrokenBackup):
            why = f"{one.problem.what}: {one.problem.why}".rstrip(": ")
            return [Fact("cannot be used", why, one.problem.hint, Status.FAILURE)]
        rows = [
            Fact(
                "begun",
                one.label.start_time,
                f"PostgreSQL {one.version.major}, label {one.label.label!r}",
            )
        ]
        if doubt := self._doubt(one):
            rows.append(Fact("cannot be used", doubt, status=Status.FAILURE))
        elif self._catalogue is not None and self._catalogue.listing is not None:
            last = self._catalogue.listing.last_reachable(one.start_segment)
            if last is not None:
                words = f"{one.label.start_lsn} to {last.end}, without a gap"
                rows.append(Fact("WAL from it on", words, status=Status.OK))
        return rows
