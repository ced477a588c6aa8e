"""Where the WAL archive and the backups of a primary most likely are: looked up, not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pitr_tui.containers.found import read_small_file
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.errors import PitrError
from pitr_tui.postgres.conf import read_settings
from pitr_tui.repositories.backups import Backup, list_backups
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.reach import Place, Reach
from pitr_tui.tui.screens.archive_look import directory_of
from pitr_tui.tui.screens.connect_found import Origin
from pitr_tui.tui.screens.mounted import location_of, spare_places
from pitr_tui.tui.session import Session

_FILES = ("postgresql.conf", "postgresql.auto.conf")  # a later one wins
_ARCHIVE_WORDS = ("archive", "wal")
_BACKUP_WORDS = ("backup", "bak")


def archive_places(origin: Origin) -> list[EngineLocation]:
    """Where the archive may be, the likeliest first."""
    return spare_places(origin, _ARCHIVE_WORDS)


def command_in_files(reach: Reach, origin: Origin) -> str:
    """The archive_command of a server that does not answer, as its files say it; or nothing."""
    fixed = origin.fixed_settings()
    identifier = getattr(origin, "id", "")
    if "archive_command" in fixed or not identifier:
        return fixed.get("archive_command", "")
    command = ""
    for name in _FILES:
        text = read_small_file(reach.engine(), identifier, origin.data_directory / name)
        settings = read_settings((text or b"").decode("utf-8", "replace"))
        command = settings.get("archive_command", command)
    return command


def archive_place(session: Session) -> Place | None:
    """Where the primary archives, else where it could, as far as it tells. Raises PitrError."""
    status, origin = session.archiving, session.origin
    if status is not None:
        command = status.settings["archive_command"].value if status.on else ""
    else:
        command = command_in_files(session.reach, origin) if origin is not None else ""
    directory = directory_of(command)
    if origin is not None:
        found = location_of(origin, PurePosixPath(directory)) if directory is not None else None
        return found or next(iter(archive_places(origin)), None)
    data = status.facts.data_directory if status is not None else None
    return directory or (data.parent / "pitr-archive" if data is not None else None)


def backup_place(session: Session) -> Place | None:
    """Where backups are already, else where a new one would go well. Raises PitrError."""
    archive, origin = session.archive_directory, session.origin
    if origin is None:
        return archive.parent / "pitr-backups" if isinstance(archive, Path) else None
    system = session.facts.system_identifier if session.facts is not None else None
    for place in _candidates(session.reach, origin):
        try:
            directory = session.reach.find(place)
            found = list_backups(directory) if directory is not None else []
        except PitrError:
            continue  # one that cannot be read is no proposal
        if any(
            isinstance(one, Backup) and system in (None, one.system_identifier) for one in found
        ):
            return place
    return EngineLocation(LocationKind.VOLUME, f"{origin.compose_project or origin.name}-backups")


def _candidates(reach: Reach, origin: Origin) -> Iterator[EngineLocation]:
    """What the primary has mounted, then the volumes that a backup of ours was written into."""
    yield from spare_places(origin, _BACKUP_WORDS)
    ours = {"label": f"{LABEL}={Role.BACKUPS}"}
    for volume in reach.engine().client.volumes.list(filters=ours):
        yield EngineLocation(LocationKind.VOLUME, str(volume.name))
