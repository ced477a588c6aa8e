"""A PostgreSQL container as a value, and what names and environments say about one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from pitr_tui.containers import command as commands
from pitr_tui.containers.labels import Role
from pitr_tui.errors import UsageError
from pitr_tui.postgres.version import PostgresVersion

_IMAGE = re.compile(r"(^|[-_])(postgres|postgresql|postgis|timescaledb|pgvector)([-_\d]|$)")
_NO_SERVER_IMAGE = re.compile(r"admin|backup|client|exporter|operator|pool|proxy|rest|wait")
_KEEPS_DATA = re.compile(r"postgres|pgsql|pg_?data", re.IGNORECASE)
_OFFICIAL = PurePosixPath("/var/lib/postgresql/data")
_NEW_OFFICIAL = "/var/lib/postgresql/{}/docker"
_NEW_OFFICIAL_SINCE = 1800
_BITNAMI = PurePosixPath("/bitnami/postgresql/data")


@dataclass(frozen=True, slots=True)
class Mount:
    """Something that lies under a path of a container: a volume, a host directory, memory."""

    kind: str  # volume, bind or tmpfs
    source: str  # the volume's name or the host's path
    target: PurePosixPath
    writable: bool


class PublishedPort(NamedTuple):
    """A port of a container that can be reached from outside; host port 0 is not chosen yet."""

    container_port: int
    host_ip: str
    host_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresContainer:
    """A container that is, was or will be a PostgreSQL server.

    `role` says what it is for us when we made it. The password is what the environment gives
    to the server's superuser; it is never shown.
    """

    id: str
    name: str
    image: str
    image_id: str
    state: str
    version: PostgresVersion | None
    data_directory: PurePosixPath
    mounts: tuple[Mount, ...]
    networks: Mapping[str, str]
    ports: tuple[PublishedPort, ...]
    compose_project: str
    compose_service: str
    user: str
    database: str
    command: tuple[str, ...]
    role: str = ""
    password: str = field(default="", repr=False)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def recovered(self) -> bool:
        """Whether a run of ours has made it: then it is nobody's primary."""
        return self.role == Role.SECONDARY

    def fixed_settings(self) -> dict[str, str]:
        """The settings of the command line, which no configuration file can override."""
        return commands.settings_of(self.command)

    def mount_of(self, path: PurePosixPath) -> tuple[Mount, PurePosixPath] | None:
        """The mount that holds a path of the container, and the path below it.

        None means that the path lies in the container's own layer and goes with it.
        """
        return mount_of(self.mounts, path)


def mount_of(mounts: Iterable[Mount], path: PurePosixPath) -> tuple[Mount, PurePosixPath] | None:
    """The mount with the longest target that `path` is at or below, and the rest of the path."""
    holding = [mount for mount in mounts if path.is_relative_to(mount.target)]
    if not holding:
        return None
    mount = max(holding, key=lambda one: len(one.target.parts))
    return mount, path.relative_to(mount.target)


def is_server_image(image: str) -> bool:
    """Whether an image's name says that it is a PostgreSQL server.

    >>> is_server_image("postgres:11"), is_server_image("docker.io/postgis/postgis:15-3.4")
    (True, True)
    >>> is_server_image("quay.io/prometheuscommunity/postgres-exporter")
    False
    """
    name = _image_name(image)
    return bool(_IMAGE.search(name)) and not _NO_SERVER_IMAGE.search(name)


def is_server(image: str, command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether image, command and environment alone make a PostgreSQL server certain.

    A client of the same image (psql, a shell, a sleeping one) is not.
    """
    if commands.program(command) in ("postgres", "postmaster"):
        return True
    known = is_server_image(image) or bool(
        environment.get("PGDATA") and (environment.get("PG_MAJOR") or environment.get("PG_VERSION"))
    )
    return known and commands.server_arguments(command) is not None


def keeps_data(target: PurePosixPath) -> bool:
    """Whether the path of a mount says that PostgreSQL's data are there."""
    return bool(_KEEPS_DATA.search(str(target)))


def version_said(image: str, environment: Mapping[str, str]) -> PostgresVersion | None:
    """The version that the environment or the image's tag names.

    >>> version_said("timescale/timescaledb:2.14.2-pg15", {})
    PostgresVersion('15.0')
    >>> version_said("db", {"PG_MAJOR": "11", "PG_VERSION": "11.22-1.pgdg120+1"})
    PostgresVersion('11.22')
    """
    texts = [environment.get("PG_VERSION", ""), environment.get("PG_MAJOR", "")]
    if is_server_image(image):
        tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        marked = re.search(r"pg(\d+(\.\d+)?)", tag)
        plain = re.match(r"v?\d", tag) and _IMAGE.search(_image_name(image))
        texts += [marked[1] if marked else tag if plain else ""]
    return next((version for text in texts if (version := version_of(text))), None)


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """User, database and password as the official image and Bitnami's take them."""
    user = environment.get("POSTGRES_USER") or environment.get("POSTGRESQL_USERNAME") or "postgres"
    return {
        "user": user,
        "database": environment.get("POSTGRES_DB")
        or environment.get("POSTGRESQL_DATABASE")
        or user,
        "password": environment.get("POSTGRES_PASSWORD")
        or environment.get("POSTGRESQL_PASSWORD")
        or "",
    }


def data_directory_said(
    command: Sequence[str], environment: Mapping[str, str], version: PostgresVersion | None
) -> tuple[PurePosixPath, ...]:
    """Where the data may be, best first: said by the command, the environment, or usual.

    One that is said alone needs no second look; otherwise the one with PG_VERSION in it is it.
    """
    said = list(commands.data_directories(command))
    if environment.get("PGDATA", "").startswith("/"):
        said.append(PurePosixPath(environment["PGDATA"]))
    return tuple(dict.fromkeys(said)) or usual_places(version)


def usual_places(version: PostgresVersion | None) -> tuple[PurePosixPath, ...]:
    """Where images keep the data when nothing says it; the official image of 18 moved it."""
    places = (_OFFICIAL, _BITNAMI)
    if version is None:
        return places
    moved = PurePosixPath(_NEW_OFFICIAL.format(version.major))
    new = version.major_number >= _NEW_OFFICIAL_SINCE
    return (moved, *places) if new else (*places, moved)


def version_of(text: str) -> PostgresVersion | None:
    """The version in a text, or None when no PostgreSQL ever had it."""
    try:
        version = PostgresVersion.parse(text)
    except UsageError:
        return None
    return version if 80000 <= version.number < 990000 else None


def _image_name(image: str) -> str:
    """The last part of an image's name, without registry, tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
