"""Turn archiving on at a primary in a container: its files, its archive's mount, its restart.

The settings are the same as everywhere (archiving.py). What differs is that the server sees
the archive under another path than we do, and that the directory may not be its user's yet.
"""

from __future__ import annotations

import re
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
from pitr_tui.recovery.container_directory import directory_commands
from pitr_tui.recovery.container_undo import Undo
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.engine_place import location_in, open_place

_AUTO_CONF = "postgresql.auto.conf"
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_NO_ARCHIVES = ("/docker-entrypoint-initdb.d", "/etc", "/run", "/var/run")
_OWN_SENDERS_SINCE = 1200


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
        f"{_receive(container)}; or give it a volume, for example archive:/archive",
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
    _require_senders_fit(primary, status, settings)
    access = propose_access(server, replication_refusal(server.database))
    return ContainerChange(settings, access, directory_commands(server, directory))


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
    name = container.name
    held = container.mount_of(container.data_directory)
    if held is None or held[0].kind not in ("volume", "bind"):
        return (
            "the command of the container; but never remove it, because its data lie in its own "
            f"layer and go with it: {_receive(container)}"
        )
    mounts = [one for one in container.mounts if one.kind in ("volume", "bind")]
    options = " ".join(f"-v {shell_word(f'{one.source}:{one.target}')}" for one in mounts)
    old = shell_word(f"{name}-old")
    text = (
        f"the command of the container: 'docker stop {shell_word(name)}', 'docker rename "
        f"{shell_word(name)} {old}', then run it anew without that -c and with its data: {options}"
    )
    if held[0].kind == "volume" and _ANONYMOUS.fullmatch(held[0].source):
        text += (
            f". Its data volume has no name of its own: without that -v the new container starts "
            f"empty, and 'docker rm -v {old}' deletes the data"
        )
    return text


def may_archive(container: PostgresContainer) -> bool:
    """Whether anything is mounted that an archive could lie in."""
    return any(_may_hold_archive(container, mount) for mount in container.mounts)


def apply(server: ContainerServer, change: ContainerChange, may_restart: bool) -> tuple[str, ...]:
    """Do what was proposed; the names of the copies that are kept of the files.

    Raises PitrError; then the files are as they were, and so is the server, and the error says
    what is not. An interrupt is undone in the same way. Only when a backup client is refused
    by the server as it is now, the change stays.
    """
    if change.settings.restart and may_restart:
        server.require_restartable()
    restart = server.restart if may_restart else None
    if change.settings.restart and restart is None:
        archiving.apply(Primary(server.database), change.settings, None)  # refuses, with words
    before = _files(server, change)
    copies = _copies(before)
    undo = Undo(server, before)
    try:
        for command in change.commands:
            _run_as_root(server, command)
            undo.commands.append(command)
        for path, data in copies.items():
            server.write(path, data)
            undo.copies.append(path)
        if change.access:
            server.write(change.access.path, change.access.after)
        archiving.apply(
            Primary(server.database), change.settings, restart and undo.watched(restart)
        )
        if change.access:
            require_access(server.database)
        refusal = replication_refusal(server.database)
    except BaseException as error:
        undo.after(error)
        raise
    if refusal is not None:
        raise PitrError(
            "the change is made, but a backup client is not let in to replicate",
            refusal,
            "if it is pg_hba.conf that refuses: do the same again, and its line is proposed",
        )
    return tuple(map(str, copies))


def _run_as_root(server: ContainerServer, command: tuple[str, ...]) -> None:
    ran = server.run(command)
    if ran.code != 0:
        raise PitrError(
            f"{shlex.join(command)} failed in the container {server.name}",
            visible(ran.stderr.strip()) or f"exit code {ran.code}",
        )


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


def _copies(files: Mapping[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    """The same under the names that are kept."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return {path.with_name(f"{path.name}.pitr-{stamp}"): data for path, data in files.items()}


def _require_senders_fit(
    primary: Primary, status: ArchivingStatus, settings: ArchivingChange
) -> None:
    """Raises RefusedError for a number of WAL senders with which the server would not start.

    Before version 12 they are a part of max_connections (PostgreSQL 12 release notes).
    """
    senders = settings.settings.get("max_wal_senders")
    if senders is None or status.facts.version.major_number >= _OWN_SENDERS_SINCE:
        return
    rows = primary.settings("max_connections", "superuser_reserved_connections")
    most, reserved = (int(row.value) for row in rows.values())
    if int(senders) + reserved >= most:
        raise RefusedError(
            f"max_wal_senders cannot be raised to {senders}",
            f"with {reserved} connections reserved, max_connections = {most} leaves too few",
            f"raise max_connections above {int(senders) + reserved} first",
        )


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
            f"choose another mount; or {_receive(container)}",
        )


def _receive(container: PostgresContainer) -> str:
    """What archives the WAL of a container that no archive is mounted in."""
    return (
        f"'pitr archive receive start --docker {shell_word(container.name)}' needs no mount and "
        "no restart"
    )


def _may_hold_archive(container: PostgresContainer, mount: Mount) -> bool:
    data = container.data_directory
    is_file = mount.kind == "bind" and mount.target.suffix
    return (
        not is_file
        and mount.kind in ("volume", "bind")
        and mount.writable
        and not data.is_relative_to(mount.target)
        and not mount.target.is_relative_to(data)
        and not any(mount.target.is_relative_to(one) for one in _NO_ARCHIVES)
    )
