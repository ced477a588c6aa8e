"""The base backups of a place, with the archive beside them: read, doubted, put into words."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Status
from pitr_tui.repositories.archive import ArchiveListing, WalArchive
from pitr_tui.repositories.backups import Backup, BrokenBackup, list_backups
from pitr_tui.storage.path import ReadPath
from pitr_tui.tui.literal import literal
from pitr_tui.tui.reach import Place, Reach
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wording import size_text


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was found: backups oldest first, and the archive beside them."""

    found: tuple[Backup | BrokenBackup, ...]
    listing: ArchiveListing | None
    problem: PitrError | None = None

    @property
    def usable(self) -> tuple[Backup, ...]:
        return tuple(one for one in self.found if isinstance(one, Backup))


def read_catalogue(directory: ReadPath | None, archive_directory: ReadPath | None) -> Catalogue:
    """List both places; a missing place of backups is an empty one."""
    archive = WalArchive(archive_directory) if archive_directory is not None else None
    listing = archive.listing() if archive is not None else None
    if directory is None or not directory.exists():
        return Catalogue((), listing)
    return Catalogue(tuple(list_backups(directory, archive)), listing)


def open_catalogue(reach: Reach, directory: Place, archive: Place | None) -> Catalogue:
    """The same for places as the session has them. Raises PitrError."""
    return read_catalogue(
        reach.find(directory), reach.path(archive) if archive is not None else None
    )


def doubt_about(backup: Backup, listing: ArchiveListing | None, system: int | None) -> str:
    """Why a readable backup cannot be the start of this recovery, or nothing.

    That is what the names in the archive tell; `reading.doubts` knows better, a little later.
    """
    if system is not None and backup.system_identifier != system:
        return f"of another cluster (system identifier {backup.system_identifier})"
    if listing is not None and listing.last_reachable(backup.start_segment) is None:
        return f"its first segment {backup.start_segment.name} is not in the archive"
    return ""


def row_of(one: Backup | BrokenBackup, doubt: str) -> list[Content]:
    """A backup's cells in the table: name, begin, end, size, kind and state."""
    if isinstance(one, BrokenBackup):
        empty = literal("")
        state = literal("✗ broken", "$text-error")
        return [literal(one.path.name), empty, empty, empty, empty, state]
    state = literal("! not here", "$text-warning") if doubt else literal("✓ usable")
    return [
        literal(one.name),
        literal(one.label.start_time[:16]),
        literal(one.stop_lsn or "unknown"),
        literal(f"{size_text(one.total_bytes):>8}"),
        literal(one.format),
        state,
    ]


def facts_about(
    one: Backup | BrokenBackup, doubt: str, listing: ArchiveListing | None, verified: str
) -> list[Fact]:
    """What is to be said of one backup; `verified` is what its checksums said, if it is known."""
    if isinstance(one, BrokenBackup):
        why = f"{one.problem.what}: {one.problem.why}".rstrip(": ")
        return [Fact("cannot be used", why, one.problem.hint, Status.FAILURE)]
    version = f"PostgreSQL {one.version.major}, label {one.label.label!r}"
    rows = [Fact("begun", one.label.start_time, version)]
    if verified:
        rows.append(Fact("checksums", verified))
    if doubt:
        rows.append(Fact("cannot be used", doubt, status=Status.FAILURE))
    elif listing is not None:
        last = listing.last_reachable(one.start_segment)
        if last is not None:
            words = f"{one.label.start_lsn} to {last.end}, without a gap"
            rows.append(Fact("WAL from it on", words, status=Status.OK))
    return rows
