"""Where a recovery goes: into a directory of this machine, or into a container of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.containers.service import ComposeService
from pitr_tui.errors import PitrError
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup
from pitr_tui.servers.container_secondary import ContainerSecondary
from pitr_tui.servers.installation import installation_for
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.secondary import Secondary
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.reach import Place, place_of
from pitr_tui.tui.session import Session

_HIGHEST_PORT = 65535
_SECONDARY_WORDS = ("second", "standby", "replica", "recover", "restore")
_SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class Where:
    """What the person says of it. `image` empty means the primary's own."""

    place: Place
    port: int | None = None
    image: str = ""

    @property
    def contained(self) -> bool:
        return isinstance(self.place, EngineLocation)


def read_where(place: str, port: str, image: str) -> Where:
    """What was typed into the three fields. Raises PitrError."""
    where = place_of(place, "the destination")
    number = port.strip()
    if not number:
        return Where(where, None, image.strip())
    if not number.isascii() or not number.isdigit() or not 0 < int(number) <= _HIGHEST_PORT:
        raise PitrError(
            f"{number!r} is not a port", "", f"1 to {_HIGHEST_PORT}, or nothing for no TCP at all"
        )
    return Where(where, int(number), image.strip())


def new_directory(session: Session) -> Path:
    """A directory of this machine that is not there yet, beside the backups."""
    near = session.backup_directory
    # PostgreSQL does not run as root, and nobody else may enter root's home.
    home = Path.home() if os.geteuid() else Path("/var/tmp")  # noqa: S108 - a new name below
    above = near.parent if isinstance(near, Path) else home
    return above / f"recovered-{session.clock():%Y%m%d-%H%M%S}"


def new_volume(session: Session) -> EngineLocation:
    """A volume named after the primary, or after the service that is to be the secondary."""
    service, origin = secondary_service(session), session.origin
    if service is not None:
        name = f"{service.compose_project}-{service.name}"
    else:
        name = origin.name if origin is not None else "secondary"
    return EngineLocation(LocationKind.VOLUME, f"pitr-{name}-{session.clock():%Y%m%d-%H%M%S}")


def proposed_place(session: Session) -> Place:
    """A container for a primary in one or a backup behind the engine, else a directory."""
    behind = isinstance(session.backup_directory, EngineLocation)
    return new_volume(session) if session.origin or behind else new_directory(session)


def proposed_image(session: Session) -> str:
    """The image of the compose file's secondary where it has another one than the primary."""
    service, origin = secondary_service(session), session.origin
    if service is None or origin is None or service.image == origin.image:
        return ""
    return service.image


def secondary_service(session: Session) -> ComposeService | None:
    """The compose file's service beside the primary's: the one that is named like a secondary."""
    if session.project is None or session.origin is None:
        return None
    origin = session.origin
    own = origin.compose_service if isinstance(origin, PostgresContainer) else origin.name
    if origin.compose_project != session.project.name:
        return None
    others = [one for one in session.project.postgres if one.name != own]
    return next(
        (one for one in others if any(word in one.name for word in _SECONDARY_WORDS)),
        others[0] if len(others) == 1 else None,
    )


def secondary_at(session: Session, where: Where, backup: Backup, archive: WalArchive) -> Secondary:
    """The place of a plan. Asks the engine for the primary's image; raises PitrError."""
    origin = session.origin
    role = origin.user if origin is not None else _SUPERUSER
    if isinstance(where.place, Path):
        programs = installation_for(backup.version)
        return LocalSecondary(where.place, programs, server_user(), where.port, role)
    reach = session.reach
    own = reach.server(origin).image if isinstance(origin, PostgresContainer) else ""
    own = own or (origin.image if origin is not None else "")
    return ContainerSecondary(
        engine=reach.engine(),
        image=where.image or own or f"postgres:{backup.version.major}",
        name=Path(where.place.root).name,
        place=where.place,
        reads=(archive.directory, backup.path),
        port=where.port,
        role=role,
        source_image=own,
    )


def name_of(secondary: Secondary) -> str:
    """What a person calls a secondary: its container's name, or its directory's."""
    if isinstance(secondary, ContainerSecondary):
        return secondary.name
    return Path(secondary.destination).name


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises PitrError."""
    try:
        with path.open("x") as file:
            file.write(text)
    except OSError as error:
        raise PitrError(f"{path} cannot be written", error.strerror or "") from error
