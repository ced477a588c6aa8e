"""The PostgreSQL containers of an engine, running or not."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from pitr_tui.containers.command import server_arguments
from pitr_tui.containers.container import (
    Mount,
    PostgresContainer,
    PublishedPort,
    credentials,
    data_directory_said,
    is_server,
    is_server_image,
    keeps_data,
    usual_places,
    version_of,
    version_said,
)
from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.errors import RefusedError
from pitr_tui.postgres.version import PostgresVersion

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"

_GOING = ("dead", "removing")
_AT_ONCE = 8
_SMALL_FILE = 1 << 16
_SERVER_PORT = "5432/tcp"


def find_postgres(engine: Engine) -> tuple[PostgresContainer, ...]:
    """Every PostgreSQL container, by name. Raises EngineError."""
    with engine_errors("the containers cannot be listed"):
        listed = engine.client.api.containers(all=True)
        ids = [one["Id"] for one in listed if not _is_helper(one.get("Labels") or {})]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(lambda one: _inspected(engine, one), ids))
    return tuple(sorted((one for one in found if one), key=lambda one: one.name))


def postgres_container(engine: Engine, name: str) -> PostgresContainer:
    """The PostgreSQL container of that name or id.

    Raises RefusedError with the names that there are, and EngineError.
    """
    with engine_errors(f"the container {name} cannot be looked at"):
        found = _inspected(engine, name) if name else None
    if found is not None:
        return found
    names = ", ".join(one.name for one in find_postgres(engine))
    raise RefusedError(
        f"there is no PostgreSQL container {name!r}",
        f"the PostgreSQL containers at {engine.address} are {names}"
        if names
        else f"there is no PostgreSQL container at all at {engine.address}",
        "'pitr containers' lists them",
    )


def read_small_file(engine: Engine, container: str, path: PurePosixPath) -> bytes | None:
    """The first 64 KiB of a file in a container, dead or alive; None when there is no such file.

    Raises EngineError.
    """
    from docker.errors import NotFound

    with engine_errors(f"{path} cannot be read in the container"):
        try:
            stream, _ = engine.client.api.get_archive(container, str(path))
        except NotFound:
            return None
        got = bytearray()
        with closing(stream):
            for chunk in stream:
                got += chunk
                if len(got) > 2 * _SMALL_FILE:
                    break
    with tarfile.open(fileobj=BytesIO(got), mode="r|") as archive:
        member = archive.next()
        file = archive.extractfile(member) if member and member.isfile() else None
        return file.read(_SMALL_FILE) if file else None


def _inspected(engine: Engine, name: str) -> PostgresContainer | None:
    """A container if it is there and is PostgreSQL."""
    from docker.errors import NotFound

    try:
        facts = engine.client.api.inspect_container(name)
    except NotFound:
        return None
    return _described(engine, facts)


def _described(engine: Engine, facts: Mapping[str, Any]) -> PostgresContainer | None:
    """What an inspected container is, or None when it is no PostgreSQL server."""
    config = facts["Config"]
    tags = config.get("Labels") or {}
    if _is_helper(tags) or facts["State"]["Status"] in _GOING:
        return None
    mounts = _mounts(facts)
    environment = _environment(engine, facts)
    place, version = _data(engine, facts, mounts, environment)
    if place is None:
        return None
    one_off = tags.get(ONE_OFF_LABEL) == "True"
    return PostgresContainer(
        id=facts["Id"],
        name=facts["Name"].lstrip("/"),
        image=config["Image"],
        image_id=facts["Image"],
        state=facts["State"]["Status"],
        version=version,
        data_directory=place,
        mounts=mounts,
        networks={
            name: one.get("IPAddress") or one.get("GlobalIPv6Address") or ""
            for name, one in (facts["NetworkSettings"].get("Networks") or {}).items()
        },
        ports=_ports(facts),
        compose_project="" if one_off else tags.get(PROJECT_LABEL, ""),
        compose_service="" if one_off else tags.get(SERVICE_LABEL, ""),
        command=_command(facts),
        role=tags.get(LABEL, ""),
        **credentials(environment),
    )


def _data(
    engine: Engine,
    facts: Mapping[str, Any],
    mounts: tuple[Mount, ...],
    environment: Mapping[str, str],
) -> tuple[PurePosixPath | None, PostgresVersion | None]:
    """The data directory and the version; no directory when this is no PostgreSQL server.

    The container's files are looked at only where its description leaves a doubt.
    """
    image, command = facts["Config"]["Image"], _command(facts)
    version = version_said(image, environment)
    said = data_directory_said(command, environment, version)
    certain = is_server(image, command, environment)
    if certain and version and len(said) == 1:
        return said[0], version
    kept = [mount.target for mount in mounts if keeps_data(mount.target)]
    hinted = (
        is_server_image(image)
        or "PGDATA" in environment
        or server_arguments(command) is not None
        or _SERVER_PORT in (facts["Config"].get("ExposedPorts") or {})
    )
    if not certain and not hinted and not kept:
        return None, None
    for place in dict.fromkeys((*said, *usual_places(version), *kept)):
        content = _readable(engine, facts["Id"], place / "PG_VERSION")
        if real := version_of(content):
            return place, version if version and version.same_major(real) else real
    return (said[0], version) if certain else (None, None)


def _readable(engine: Engine, container: str, path: PurePosixPath) -> str:
    """A file's text, empty when there is none or the engine cannot read this container's files.

    A volume that cannot be mounted must not hide every other container.
    """
    try:
        content = read_small_file(engine, container, path)
    except EngineError as error:
        if not error.status:
            raise
        content = None
    return (content or b"").decode("utf-8", "replace")


def _environment(engine: Engine, facts: Mapping[str, Any]) -> dict[str, str]:
    """The environment, with what the official image reads from files (POSTGRES_PASSWORD_FILE)."""
    given = facts["Config"].get("Env") or ()
    environment = dict(one.split("=", 1) for one in given if "=" in one)
    for name in ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"):
        path = environment.get(f"{name}_FILE")
        if path and not environment.get(name):
            text = _readable(engine, facts["Id"], PurePosixPath(path))
            environment[name] = text.rstrip("\n")
    return environment


def _command(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(word for word in (facts["Path"], *facts["Args"]) if word)


def _is_helper(tags: Mapping[str, str]) -> bool:
    """Whether we made it to work beside a server."""
    return LABEL in tags and tags[LABEL] not in (Role.SECONDARY, Role.LAB)


def _mounts(facts: Mapping[str, Any]) -> tuple[Mount, ...]:
    mounts = [
        Mount(
            kind=one["Type"],
            source=(one.get("Name") if one["Type"] == "volume" else one.get("Source")) or "",
            target=PurePosixPath(one["Destination"]),
            writable=bool(one.get("RW", True)),
        )
        for one in facts.get("Mounts") or ()
    ]
    memory = facts["HostConfig"].get("Tmpfs") or {}
    mounts += [Mount("tmpfs", "", PurePosixPath(path), True) for path in memory]
    return tuple(sorted(mounts, key=lambda mount: mount.target))


def _ports(facts: Mapping[str, Any]) -> tuple[PublishedPort, ...]:
    """The published TCP ports; of a container that does not run, those that it asks for."""
    live = facts["NetworkSettings"].get("Ports") or {}
    bound = live if any(live.values()) else facts["HostConfig"].get("PortBindings") or {}
    found = []
    for name, bindings in bound.items():
        port, _, protocol = name.partition("/")
        if protocol in ("", "tcp"):
            found += [
                PublishedPort(int(port), one.get("HostIp") or "", int(one.get("HostPort") or 0))
                for one in bindings or ()
            ]
    return tuple(sorted(found))
