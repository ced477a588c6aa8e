"""What is known of a WAL archive, as a screen shows it: its directory, its runs, its settings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from textual.content import Content

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery import archiving
from pitr_tui.recovery.archiving import ArchivingProof, ArchivingStatus
from pitr_tui.recovery.events import Status
from pitr_tui.repositories.archive import ArchiveListing, WalArchive
from pitr_tui.servers.primary import Primary, Setting
from pitr_tui.storage.path import ReadPath
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens.archive_change import Proposal, access_alone, propose
from pitr_tui.tui.screens.mounted import inside_of
from pitr_tui.tui.screens.receiving import is_received
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wording import count_text

_SETTINGS = (
    "wal_level",
    "archive_mode",
    "archive_timeout",
    "max_wal_senders",
    "archive_library",
    "archive_command",
)
_MOST_ROWS = 9
_DIRECTORY_IN_COMMAND = re.compile(r"(/[^\s\"';]*)/%f")


@dataclass(frozen=True, slots=True)
class Told:
    """What the primary says; `kept` finished segments wait in its own WAL directory for ever."""

    status: ArchivingStatus
    kept: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a place holds now, and the change that would make the primary archive there."""

    place: Place
    listing: ArchiveListing | None
    change: Proposal | None
    refusal: PitrError | None


def directory_of(command: str) -> Path | None:
    """The directory that an archive_command writes to: surely for ours, by its look for others.

    >>> directory_of("test ! -f /wal/%f && cp %p /wal/%f")
    PosixPath('/wal')
    >>> directory_of(archiving.archive_command(Path("/a b%")))
    PosixPath('/a b%')
    """
    if command.startswith("d="):
        try:
            ours = Path(shlex.split(command)[0][2:].removesuffix(";").replace("%%", "%"))
        except (ValueError, IndexError):
            return None
        if archiving.archive_command(ours) == command:
            return ours
    found = _DIRECTORY_IN_COMMAND.search(command)
    return Path(found[1].replace("%%", "%")) if found else None


def ask_primary(primary: Primary) -> Told:
    """Raises PitrError when the primary does not answer."""
    status = archiving.archiving_status(primary)
    if not status.on or status.has_command:
        return Told(status)
    try:
        return Told(status, primary.kept_segments(status.facts))
    except PitrError:
        return Told(status)  # not everybody may look into its directory


def look_at(session: Session, place: Place) -> Look:
    """Read a place's listing, and ask what would have to change for archiving into it."""
    directory = session.reach.find(place)
    there = directory is not None and directory.is_dir()
    listing = WalArchive(directory).listing() if there and directory is not None else None
    try:
        _require_fitting(session, directory, listing)
        change = propose(session, place)
    except PitrError as error:
        return Look(place, listing, None, error)
    works = session.archiving is not None and not session.archiving.problems
    if change is not None and change.lets_in and works and archives_into(session, place):
        change = access_alone(change)
    return Look(place, listing, change, None)


def _require_fitting(
    session: Session, directory: ReadPath | None, listing: ArchiveListing | None
) -> None:
    """Raises RefusedError where the server that is connected must not archive into a place."""
    facts = session.facts
    if facts is None or session.primary_is_down:
        return
    if facts.in_recovery:
        raise RefusedError(
            "this server is a standby: its archiving is not changed",
            "its WAL comes from another server, and that one archives it",
            "connect to the primary, or go on without it (step 1)",
        )
    if directory is None or listing is None or not listing.segments:
        return
    newest = listing.segments[-1]
    try:
        owner = WalArchive(directory).header(newest).system_identifier
    except (PitrError, OSError):
        return  # a damaged one is named where it is read
    if owner != facts.system_identifier:
        raise RefusedError(
            f"the archive {directory} is another cluster's",
            f"{newest.name} has the system identifier {owner}, this server "
            f"{facts.system_identifier}",
            "name another archive, or connect to the server that this one belongs to",
        )


def archives_into(session: Session, place: Place) -> bool:
    """Whether the primary archives, and as far as can be seen into this place."""
    status, origin = session.archiving, session.origin
    if status is None or not status.on or not status.has_command:
        return False
    into = directory_of(status.settings["archive_command"].value)
    seen = inside_of(origin, place) if origin is not None else place
    return into is None or PurePosixPath(into) == seen


def is_filled(session: Session, place: Place) -> bool:
    """Whether WAL comes, or came, into this place."""
    return place == session.other_archive or archives_into(session, place)


def must_change(session: Session, look: Look) -> bool:
    """Whether the primary has to be changed before it archives into the place.

    A command of somebody else's that works is left alone. An archiver that fails with the
    right settings needs no change: its directory is looked at, or it is tried again.
    """
    status = session.archiving
    if status is None or look.place == session.other_archive:
        return False
    if not archives_into(session, look.place) or look.listing is None:
        return True
    if look.change is None:
        return False
    helps = look.change.settings.settings or look.change.commands
    return look.change.lets_in or bool(status.problems and helps)


def headline_of(session: Session, look: Look | None, proof: ArchivingProof | None) -> Content:
    """How it stands with the archive, in one line."""
    status = session.archiving
    if session.primary_is_down or session.database is None:
        return literal("Where is the WAL archive?")
    if status is None:
        return literal("Does the primary archive its WAL?")
    if proof is not None:
        words = f"{proof.segment} arrived whole in {proof.seconds:.1f} s"
        return assemble(("✓ archiving works: ", "$text-success"), words)
    if look is not None and look.place == session.other_archive:
        words = "This is the WAL that the primary still had"
        if is_received(session, look.place):
            words = "The WAL is received beside the primary"
        return assemble(("✓ ", "$text-success"), words)
    if status.problems:
        return assemble(("! ", "$text-warning"), f"Not yet: {'; '.join(status.problems)}")
    if look is not None and must_change(session, look):
        words = "The primary archives, but not into this place"
        if archives_into(session, look.place):
            words = "Archiving is on, but pg_hba.conf lets no backup client in"
        return literal(f"! {words}")
    return literal("Archiving is on. Is it proved that segments arrive?")


def listing_facts(listing: ArchiveListing) -> list[Fact]:
    """What an archive holds, its unbroken runs and the gaps between them, in words."""
    ranges = listing.ranges
    begun = [Fact("begun", f"{one.name}.partial") for one in listing.partial]
    if not ranges:
        return begun or [Fact("in it", "no WAL segments yet")]
    rows = []
    for index, run in enumerate(ranges):
        words = f"{count_text(run.count, 'segment')}  {run.first.name}"
        if run.count > 1:
            words += f" … {run.last.name[16:]}"
        rows.append(Fact(f"timeline {int(run.first.timeline)}", words))
        follower = ranges[index + 1] if index + 1 < len(ranges) else None
        if follower is not None and follower.first.timeline == run.first.timeline:
            lost = follower.first.number - run.last.number - 1
            words = f"{count_text(lost, 'segment')} missing after {run.last.name}"
            rows.append(Fact("gap", words, status=Status.FAILURE))
    if len(rows) > _MOST_ROWS:
        left_out = f"{len(rows) - _MOST_ROWS} more rows like these before the last ones"
        rows = [rows[0], Fact("…", left_out), *rows[2 - _MOST_ROWS :]]
    return [*rows, *begun[-1:]]


def status_facts(told: Told) -> list[Fact]:
    """The settings that matter with their source, and what the archiver did last."""
    status = told.status
    ordered = sorted(status.settings.values(), key=lambda one: _SETTINGS.index(one.name))
    rows = [_setting_fact(setting) for setting in ordered if _matters(setting)]
    rows += [_setting_fact(one) for one in status.retention.values() if one.source != "default"]
    if told.kept is not None:
        words = f"{count_text(told.kept, 'segment')} stay in {status.facts.version.wal_directory}"
        words += " and are never removed: archive them, or collect them (c)"
        rows.append(Fact("kept", words, status=Status.WARNING))
    seen = status.archiver
    if seen.failing:
        words = f"{seen.last_failed} failed {count_text(seen.failed_count, 'time')}"
        rows.append(Fact("archiver", words, status=Status.FAILURE))
    elif seen.last_archived:
        at = f"{seen.last_archived_time:%Y-%m-%d %H:%M:%S %z}"
        rows.append(Fact("archiver", f"last archived {seen.last_archived}", at))
    else:
        rows.append(Fact("archiver", "has archived nothing yet"))
    return rows


def _matters(setting: Setting) -> bool:
    return setting.name != "archive_library" or bool(setting.value)


def _setting_fact(setting: Setting) -> Fact:
    note = setting.where
    if note.startswith("/"):
        note = Path(note).name
    if setting.fixed_by_command_line:
        note += ", which no file can override"
    if setting.pending_restart:
        note += ", waits for a restart"
    value = setting.value or "(empty)"
    unit = f" {setting.unit}" if setting.unit else ""
    return Fact(setting.name, f"{value}{unit}", note)
