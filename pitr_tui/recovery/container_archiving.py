"""Turn archiving on at a primary in a container: its files, its archive's mount, its restart.

The settings are the same as everywhere (archiving.py). What differs is that the server sees
the archive under another path than we do, and that the directory may not be its user's yet.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pitr_tui.containers.container import Mount, PostgresContainer
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import shell_word, visible
from pitr_tui.recovery import archiving
from pitr_tui.recovery.access import (
    AccessChange,
    propose_access,
    replication_refusal,
    require_access,
)
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingStatus
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.engine_place import location_in, open_place

_AUTO_CONF = "postgresql.auto.conf"
_RECEIVE = "'pitr archive receive' needs none, and no restart"
_USABLE = 'test -d "$1" && test -w "$1" && test -x "$1"'


@dataclass(frozen=True, slots=True)
class ArchivePlace:
    """An archive by both of its names: as the server's command writes it, as we read it."""

    command_directory: PurePosixPath
    files: EnginePath


@dataclass(frozen=True, slots=True)
class ContainerChange:
    """All that will be done at the container: commands as root, settings, a line of access."""

    settings: ArchivingChange
    access: AccessChange | None
    commands: tuple[tuple[str, ...], ...]

    @property
    def needed(self) -> bool:
        return bool(self.settings.settings or self.access or self.commands)

    @property
    def diff(self) -> str:
        return self.settings.diff + (self.access.diff if self.access else "")

    @property
    def command_lines(self) -> tuple[str, ...]:
        return tuple(shlex.join(command) for command in self.commands)


def archive_directory(container: PostgresContainer, chosen: PurePosixPath | None) -> PurePosixPath:
    """Where the server is to archive: what was chosen, or its only mount that can be meant.

    Raises RefusedError when that is no place for an archive, or none or several can be meant.
    """
    if chosen is not None:
        _require_usable(container, chosen)
        return chosen
    candidates = [mount for mount in container.mounts if _may_hold_archive(container, mount)]
    if len(candidates) == 1:
        return candidates[0].target
    if candidates:
        raise RefusedError(
            f"the container {container.name} has several mounts that an archive could lie in",
            ", ".join(str(mount.target) for mount in candidates),
            "choose one, or a directory below it, with --to",
        )
    raise RefusedError(
        f"the container {container.name} has no mount for an archive",
        "an archive in the container itself would be lost with it",
        f"add a volume to the service, for example archive:/archive; {_RECEIVE}",
    )


def open_archive(server: ContainerServer, directory: PurePosixPath) -> ArchivePlace:
    """The archive as both see it. Close its helper after use. Raises PitrError."""
    location = location_in(server.container, directory)
    return ArchivePlace(directory, open_place(server.engine, server.image, location))


def propose(
    server: ContainerServer, status: ArchivingStatus, directory: PurePosixPath
) -> ContainerChange:
    """What has to be done so that this primary archives into `directory` and can be backed up.

    Raises RefusedError where a file cannot help, PitrError.
    """
    primary = Primary(server.database)
    settings = archiving.propose(primary, status, Path(directory), starter(server.container))
    access = propose_access(server, replication_refusal(server.database))
    return ContainerChange(settings, access, _directory_commands(server, directory))


def require_same_cluster(place: ArchivePlace, status: ArchivingStatus) -> None:
    """Raises RefusedError when the archive, if it is there, holds another cluster's WAL."""
    if place.files.is_dir():
        archiving.require_same_cluster(place.files, status)


def starter(container: PostgresContainer) -> str:
    """Where the server's command line can be changed."""
    if container.compose_service:
        return (
            f"`command:` of the service {container.compose_service} in the compose file of "
            f"{container.compose_project}, then 'docker compose up -d'"
        )
    word = shell_word(container.name)
    return f"the command of the container: 'docker rm' {word}, then run it without that -c"


def apply(server: ContainerServer, change: ContainerChange, may_restart: bool) -> tuple[str, ...]:
    """Do what was proposed; the names of the copies that are kept of the files.

    Raises PitrError; then the files are as they were, and so is the server.
    """
    if change.settings.restart and may_restart:
        server.require_restartable()
    restart = server.restart if may_restart else None
    if change.settings.restart and restart is None:
        archiving.apply(Primary(server.database), change.settings, None)  # refuses, with words
    before = _files(server, change)
    for command in change.commands:
        ran = server.run(command)
        if ran.code != 0:
            raise PitrError(
                f"{shlex.join(command)} failed in the container {server.name}",
                visible(ran.stderr.strip()) or f"exit code {ran.code}",
            )
    copies = _keep_copies(server, before)
    try:
        if change.access:
            server.write(change.access.path, change.access.after)
        archiving.apply(Primary(server.database), change.settings, restart)
        if change.access:
            require_access(server.database)
    except BaseException:
        _put_back(server, before, restarted=bool(change.settings.restart))
        raise
    return copies


def _files(server: ContainerServer, change: ContainerChange) -> dict[PurePosixPath, bytes]:
    """The files that will change, as they are. Raises RefusedError when one is not as shown."""
    files: dict[PurePosixPath, bytes] = {}
    if change.settings.settings:
        path = server.container.data_directory / _AUTO_CONF
        files[path] = server.read(path)
    if change.access:
        path = change.access.path
        files[path] = server.read(path)
        if files[path] != change.access.before:
            raise RefusedError(
                f"{path} has changed since its diff was shown", "nothing was changed", "look again"
            )
    return files


def _keep_copies(server: ContainerServer, files: Mapping[PurePosixPath, bytes]) -> tuple[str, ...]:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    copies = {path.with_name(f"{path.name}.pitr-{stamp}"): data for path, data in files.items()}
    for path, data in copies.items():
        server.write(path, data)
    return tuple(str(path) for path in copies)


def _put_back(
    server: ContainerServer, files: Mapping[PurePosixPath, bytes], restarted: bool
) -> None:
    """The files as they were, and a server that runs with them, also when it had stopped."""
    for path, data in files.items():
        if server.read(path) != data:
            server.write(path, data)
    if restarted and server.is_running():
        server.restart()
    server.start()
    server.database.row("SELECT pg_reload_conf()")


def _directory_commands(
    server: ContainerServer, directory: PurePosixPath
) -> tuple[tuple[str, ...], ...]:
    """What root has to do inside so that the server's user can write there; mostly nothing."""
    path = str(directory)
    ran = server.run(["sh", "-c", _USABLE, "sh", path], user=server.owner)
    if ran.code == 0:
        return ()
    # Words that every userland has: BusyBox may come without `install`.
    make = ("mkdir", "-p", path)
    own = (("chown", server.owner, path), ("chmod", "0700", path))
    return own if server.run(["test", "-d", path]).code == 0 else (make, *own)


def _require_usable(container: PostgresContainer, directory: PurePosixPath) -> None:
    if not directory.is_absolute() or ".." in directory.parts:
        raise RefusedError(
            f"{directory} is no directory of the container",
            "",
            "name it with its whole path there, for example --to /archive",
        )
    location_in(container, directory)
    held = container.mount_of(directory)
    if held is not None and not held[0].writable:
        raise RefusedError(
            f"{directory} of the container {container.name} is mounted read-only",
            f"it is {held[0].source}",
            "mount it so that the server can write there",
        )
    data = container.data_directory
    if directory.is_relative_to(data):
        raise RefusedError(
            f"{directory} is inside of the data directory",
            f"the data are in {data}; an archive there would be in every backup and die with it",
            f"choose another mount; {_RECEIVE}",
        )


def _may_hold_archive(container: PostgresContainer, mount: Mount) -> bool:
    data = container.data_directory
    return (
        mount.kind in ("volume", "bind")
        and mount.writable
        and not data.is_relative_to(mount.target)
        and not mount.target.is_relative_to(data)
    )
