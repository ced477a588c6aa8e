"""What is known of a WAL archive, as a screen shows it: its directory, its runs, its settings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.recovery import archiving
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingStatus
from pitr_tui.recovery.events import Status
from pitr_tui.repositories.archive import ArchiveListing, WalArchive
from pitr_tui.servers.primary import Primary, Setting
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
class Look:
    """What a directory holds now, and the change that would make the primary archive there."""

    directory: Path
    listing: ArchiveListing | None
    change: ArchivingChange | None
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


def look_at(primary: Primary | None, status: ArchivingStatus | None, directory: Path) -> Look:
    """Read a directory's listing, and ask what would have to change for archiving into it."""
    listing = WalArchive(directory).listing() if directory.is_dir() else None
    if primary is None or status is None:
        return Look(directory, listing, None, None)
    try:
        return Look(directory, listing, archiving.propose(primary, status, directory), None)
    except PitrError as error:
        return Look(directory, listing, None, error)


def listing_facts(listing: ArchiveListing) -> list[Fact]:
    """What an archive holds, its unbroken runs and the gaps between them, in words."""
    ranges = listing.ranges
    if not ranges:
        return [Fact("in it", "no WAL segments yet")]
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
    return rows


def status_facts(status: ArchivingStatus) -> list[Fact]:
    """The settings that matter with their source, and what the archiver did last."""
    ordered = sorted(status.settings.values(), key=lambda one: _SETTINGS.index(one.name))
    rows = [_setting_fact(setting) for setting in ordered if _matters(setting)]
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
    source = setting.source if setting.source != "configuration file" else setting.source_file
    note = Path(source).name if source.startswith("/") else source
    if setting.pending_restart:
        note += ", waits for a restart"
    value = setting.value or "(empty)"
    unit = f" {setting.unit}" if setting.unit else ""
    return Fact(setting.name, f"{value}{unit}", note)
