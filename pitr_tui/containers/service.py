"""One service of a compose file as a value."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pitr_tui.containers import command as commands
from pitr_tui.containers.container import (
    Mount,
    PostgresContainer,
    PublishedPort,
    credentials,
    data_directory_said,
    is_server_image,
    keeps_data,
    mount_of,
    version_said,
)
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.found import find_postgres
from pitr_tui.containers.interpolation import read_variables
from pitr_tui.errors import PitrError
from pitr_tui.postgres.version import PostgresVersion

_ENTRYPOINT = "docker-entrypoint.sh"  # what an image starts with unless the file says otherwise
_CLIENT = re.compile(r"pg_\w+|psql|sleep|tail|true|(ba|da|a)?sh")
_PATH = re.compile(r"[./~]")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service's description refers to: the project around it.

    `environment` is never shown: it may hold passwords.
    """

    project: str
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    volumes: Mapping[str, Any]
    networks: Mapping[str, Any]

    def volume_name(self, key: str) -> str:
        """The name that the engine has for a volume of the file."""
        return self._engine_name(key, self.volumes.get(key))

    def network_name(self, key: str) -> str:
        return self._engine_name(key, self.networks.get(key))

    def _engine_name(self, key: str, entry: object) -> str:
        if isinstance(entry, Mapping):
            external = entry.get("external")
            if entry.get("name"):
                return str(entry["name"])
            if isinstance(external, Mapping):
                return str(external.get("name", key))
            if truth(external):
                return key
        return f"{self.project}_{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeService:
    """A service as the file describes it; a container of it may exist or not.

    Volumes and networks have the engine's names. A host port of 0 is chosen by the engine.
    """

    name: str
    image: str  # empty when the service is built from a directory
    is_postgres: bool
    version: PostgresVersion | None
    data_directory: PurePosixPath
    mounts: tuple[Mount, ...]
    networks: Mapping[str, str]
    ports: tuple[PublishedPort, ...]
    compose_project: str
    container_name: str
    user: str
    database: str
    command: tuple[str, ...]
    password: str = field(default="", repr=False)

    def fixed_settings(self) -> dict[str, str]:
        """The settings of the command line, which no configuration file can override."""
        return commands.settings_of(self.command)

    def mount_of(self, path: PurePosixPath) -> tuple[Mount, PurePosixPath] | None:
        """The mount that holds a path of the service's container, and the path below it."""
        return mount_of(self.mounts, path)

    def among(self, containers: Iterable[PostgresContainer]) -> PostgresContainer | None:
        """The container of this service, a running one before others."""
        own = [
            one
            for one in containers
            if (one.compose_project, one.compose_service) == (self.compose_project, self.name)
            or (self.container_name and one.name == self.container_name)
        ]
        return min(own, key=lambda one: (not one.running, one.name), default=None)

    def container(self, engine: Engine) -> PostgresContainer | None:
        """The container of this service, or None when it was not created. Raises EngineError."""
        return self.among(find_postgres(engine))


def service_of(name: str, entry: Mapping[str, Any], around: Surroundings) -> ComposeService:
    """Read one service's description. Raises PitrError, or ValueError and the like when odd."""
    image = entry.get("image") or ""
    environment = _environment(entry, around)
    mounts = tuple(_mounts(entry, around))
    given = entry.get("entrypoint")
    entrypoint = (_ENTRYPOINT,) if given is None else _argv(given)
    command = (*entrypoint, *_argv(entry.get("command")))
    version = version_said(image, environment)
    return ComposeService(
        name=name,
        image=image,
        is_postgres=_is_postgres(image, command, environment, mounts),
        version=version,
        data_directory=data_directory_said(command, environment, version)[0],
        mounts=mounts,
        networks=_networks(entry, around),
        ports=tuple(sorted(_ports(entry.get("ports") or ()))),
        compose_project=around.project,
        container_name=entry.get("container_name") or "",
        command=command,
        **credentials(environment),
    )


def truth(value: object) -> bool:
    """A truth value as YAML writes it; every scalar of the file is text."""
    return str(value).lower() in ("true", "yes", "on", "y")


def _is_postgres(
    image: str,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    mounts: tuple[Mount, ...],
) -> bool:
    program = commands.program(command)
    if program in ("postgres", "postmaster"):
        return True
    keeps = any(mount.writable and keeps_data(mount.target) for mount in mounts)
    if commands.server_arguments(command) is not None:
        return is_server_image(image) or keeps or "PGDATA" in environment
    return keeps and not _CLIENT.fullmatch(program)


def _argv(value: object) -> tuple[str, ...]:
    """A command as Docker takes it: a list, or a line that is split like a shell's."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(shlex.split(value))
    if isinstance(value, list):
        return tuple(str(word) for word in value)
    raise TypeError("a command is a text or a list")


def _environment(entry: Mapping[str, Any], around: Surroundings) -> dict[str, str]:
    """What the service's process gets from the file; a name alone takes the value from outside."""
    found: dict[str, str] = {}
    for file in _listed(entry.get("env_file")):
        described = file if isinstance(file, Mapping) else {"path": file}
        path = around.directory / os.path.expanduser(described["path"])
        try:
            if path.exists() and not path.is_file():
                raise PitrError(f"{path} cannot be read", "it is no regular file")
            text = path.read_text("utf-8", "replace")
        except OSError as error:
            if truth(described.get("required", "true")):
                raise PitrError(f"{path} cannot be read", error.strerror or "") from error
            continue
        found |= read_variables(text, around.environment)
    given = entry.get("environment") or {}
    if isinstance(given, Mapping):
        pairs = [(name, value) for name, value in given.items()]
    else:
        split = (one.partition("=") for one in given)
        pairs = [(name, value if separator else None) for name, separator, value in split]
    for name, value in pairs:
        if isinstance(value, str):
            found[name] = value
        elif value is not None:
            raise TypeError("a variable has one value")
        elif name in around.environment:
            found[name] = around.environment[name]
    return found


def _mounts(entry: Mapping[str, Any], around: Surroundings) -> Iterable[Mount]:
    for one in _listed(entry.get("volumes")):
        yield _long_mount(one, around) if isinstance(one, Mapping) else _short_mount(one, around)
    for one in _listed(entry.get("tmpfs")):
        yield Mount("tmpfs", "", PurePosixPath(one.partition(":")[0]), True)


def _short_mount(text: str, around: Surroundings) -> Mount:
    source, separator, rest = text.partition(":")
    if not separator:
        return Mount("volume", "", PurePosixPath(text), True)
    target, _, mode = rest.partition(":")
    writable = "ro" not in mode.split(",")
    if _PATH.match(source):
        return Mount("bind", _host_path(source, around), PurePosixPath(target), writable)
    return Mount("volume", around.volume_name(source), PurePosixPath(target), writable)


def _long_mount(entry: Mapping[str, Any], around: Surroundings) -> Mount:
    kind, source = entry["type"], entry.get("source") or ""
    if kind == "bind":
        source = _host_path(source, around)
    elif kind == "volume" and source:
        source = around.volume_name(source)
    return Mount(kind, source, PurePosixPath(entry["target"]), not truth(entry.get("read_only")))


def _host_path(text: str, around: Surroundings) -> str:
    return os.path.normpath(around.directory / os.path.expanduser(text))


def _networks(entry: Mapping[str, Any], around: Surroundings) -> dict[str, str]:
    """The engine's names of the networks, and the fixed addresses there."""
    mode = entry.get("network_mode")
    if mode:
        return {} if mode == "none" else {str(mode): ""}
    given = entry.get("networks") or {"default": None}
    named = given if isinstance(given, Mapping) else dict.fromkeys(given)
    return {
        around.network_name(key): (settings or {}).get("ipv4_address", "")
        for key, settings in named.items()
    }


def _ports(entries: Iterable[Any]) -> Iterable[PublishedPort]:
    for entry in entries:
        if isinstance(entry, Mapping):
            address, protocol = entry.get("host_ip") or "", entry.get("protocol") or "tcp"
            host, inside = entry.get("published") or "", entry["target"]
        else:
            text, _, protocol = str(entry).partition("/")
            *before, inside = text.rsplit(":", 2)
            host = before.pop() if before else ""
            address = before.pop().strip("[]") if before else ""
        if protocol not in ("", "tcp"):
            continue
        numbers = _range(inside)
        chosen = _range(host) if host else [0] * len(numbers)
        for index, number in enumerate(numbers):
            yield PublishedPort(number, address, chosen[index] if index < len(chosen) else 0)


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    if not 0 <= int(first) <= int(last or first) < 1 << 16:
        raise ValueError(f"{text} are no ports")
    return list(range(int(first), int(last or first) + 1))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
