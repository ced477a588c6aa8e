"""From the words of a command line to a connection, or to a container and its server."""

from __future__ import annotations

import argparse
import atexit
import os
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.sql import Database, parse_conninfo

if TYPE_CHECKING:
    from pitr_tui.containers.container import PostgresContainer
    from pitr_tui.containers.engine import Engine
    from pitr_tui.containers.service import ComposeService
    from pitr_tui.servers.container_server import ContainerServer

_PLACE = ("host", "hostaddr", "port")


def container_of(parsed: argparse.Namespace) -> PostgresContainer | None:
    """The container that was named, or None for a server that is reached without an engine.

    Raises PitrError when there is no such container, no engine, or no choice between several.
    """
    server = server_of(parsed)
    return server.container if server else None


def server_of(parsed: argparse.Namespace) -> ContainerServer | None:
    """The server in the container that was named, the same one each time it is asked for.

    It is closed when the process ends. Raises PitrError as `container_of` does.
    """
    if getattr(parsed, "service", None) and not getattr(parsed, "compose", None):
        raise UsageError("--service names a service of a compose file", "", "say --compose FILE")
    if not (getattr(parsed, "docker", None) or getattr(parsed, "compose", None)):
        return None
    known: ContainerServer | None = getattr(parsed, "container_server", None)
    if known is not None:
        return known
    from pitr_tui.containers.engine import Engine
    from pitr_tui.containers.found import postgres_container
    from pitr_tui.servers.container_server import ContainerServer

    login = _said(parsed)
    if "PGPASSWORD" in os.environ:  # newer than what the container was made with
        login["password"] = os.environ["PGPASSWORD"]
    for place in _PLACE:
        if place in login:
            raise UsageError(
                f"{place} does not go with a container",
                "its server is reached through the engine",
                "with --docker or --compose, --dsn may name the user and the database",
            )
    engine = Engine.connect()
    atexit.register(engine.close)
    found = postgres_container(engine, parsed.docker) if parsed.docker else _of(parsed, engine)
    server = ContainerServer(engine, found, login)
    atexit.register(server.close)
    parsed.container_server = server
    return server


def database_of(parsed: argparse.Namespace) -> Database:
    """The database that was named; libpq's variables, or the container, fill in what was not.

    Raises PitrError for a connection string that cannot be read or has a password in it.
    """
    server = server_of(parsed)
    if server:
        return server.database
    parameters = _said(parsed)
    for key, variable in (("dbname", "PGDATABASE"), ("user", "PGUSER")):
        if key not in parameters and variable in os.environ:
            parameters[key] = os.environ[variable]
    return Database(parameters)


def primary_of(parsed: argparse.Namespace) -> Primary:
    """The primary that was named, wherever it runs. Raises PitrError."""
    return Primary(database_of(parsed))


def _said(parsed: argparse.Namespace) -> dict[str, str]:
    """The parameters in --dsn. Raises PitrError for one with a password."""
    parameters = parse_conninfo(parsed.dsn) if getattr(parsed, "dsn", "") else {}
    if "password" in parameters:
        raise UsageError(
            "a password has no place on a command line",
            "everybody on this machine can read it there",
            "put it into ~/.pgpass, or into PGPASSWORD",
        )
    return parameters


def compose_service(parsed: argparse.Namespace) -> ComposeService:
    """The service that was named, or the compose file's only PostgreSQL service.

    Raises PitrError, UsageError where there is a choice.
    """
    from pitr_tui.containers.compose import read_compose

    project = read_compose(parsed.compose, os.environ)
    if parsed.service:
        return project.service(parsed.service)
    if len(project.postgres) == 1:
        return project.postgres[0]
    if not project.postgres:
        raise PitrError(f"{project.path} has no PostgreSQL service")
    names = ", ".join(one.name for one in project.postgres)
    raise UsageError(
        f"{project.path} has several PostgreSQL services", names, "choose one with --service"
    )


def _of(parsed: argparse.Namespace, engine: Engine) -> PostgresContainer:
    """The container of the service that was named."""
    service = compose_service(parsed)
    container = service.container(engine)
    if container is None:
        raise RefusedError(
            f"the service {service.name} has no container yet",
            "it was never created",
            f"docker compose -f {parsed.compose} up -d {service.name}",
        )
    return container
