"""The one line of pg_hba.conf that lets a receiver in: proposed as a diff, applied, put back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import PurePosixPath

from pitr_tui.containers.engine import engine_errors
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.hba import host_lines, replication_rule, with_rule
from pitr_tui.recovery.access import AccessChange
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.route import Route, trusts

_METHODS = ("scram-sha-256", "md5", "trust")
_RELOAD_SECONDS = 20
_POLL = 0.05
_SIZES_OF_NETWORKS = range(16, 30)  # as engines cut them; a person's wider line is no network's
_LOADED = "SELECT pg_conf_load_time()"


def propose_receiver_access(
    server: ContainerServer, route: Route, address: str, environment: Mapping[str, str]
) -> AccessChange:
    """The narrowest line that lets the server's user in from `address`, also after a restart.

    Raises RefusedError when it would have to be wider than what is there, PitrError.
    """
    Primary(server.database).require_superuser("changing pg_hba.conf")
    user = str(server.database.parameters["user"])
    path, before = _read(server)
    network = ip_network(route.subnet_of(address), strict=False)
    rule = replication_rule(user, network, _method(server, route, environment))
    text = with_rule(before.decode("utf-8", "surrogateescape"), rule)
    return AccessChange(path, rule, before, text.encode("utf-8", "surrogateescape"))


def prefer_known_subnets(server: ContainerServer, route: Route) -> Route:
    """A route whose new network takes, where it can, a range that a line of ours lets in already.

    Otherwise each new network would want one line more. Raises PitrError.
    """
    primary = Primary(server.database)
    if not route.new or not primary.facts().superuser:  # others are not told where the file is
        return route
    text = _read(server)[1].decode("utf-8", "surrogateescape")
    return replace(route, subnets=_own_subnets(text, str(server.database.parameters["user"])))


def _own_subnets(text: str, user: str) -> tuple[str, ...]:
    """The ranges of an engine's networks in the lines that we have written for this user."""
    lines = text.split("\n")
    found = []
    for one in host_lines(text):
        try:
            network = ip_network(one.address)
        except ValueError:
            continue
        ours = lines[one.row] == replication_rule(user, network, one.method)
        if ours and network.is_private and network.prefixlen in _SIZES_OF_NETWORKS:
            found.append(str(network))
    return tuple(dict.fromkeys(found))


def shows_password(server: ContainerServer, environment: Mapping[str, str]) -> bool:
    """Whether a sidecar with this environment shows a password that the server's own does not.

    Whoever may inspect containers reads it there. Raises EngineError.
    """
    password = environment.get("PGPASSWORD")
    with engine_errors(f"the container {server.name} cannot be looked at"):
        facts = server.engine.client.api.inspect_container(server.container.id)
    shown = [one.partition("=")[2] for one in facts["Config"].get("Env") or ()]
    return password is not None and password not in shown


def receiver_lines(server: ContainerServer, route: Route) -> tuple[str, ...]:
    """The lines of pg_hba.conf that read as those proposed here. Raises PitrError."""
    user = str(server.database.parameters["user"])
    networks = [ip_network(one, strict=False) for one in route.subnets]
    rules = {replication_rule(user, net, method) for net in networks for method in _METHODS}
    _, data = _read(server)
    return tuple(line for line in data.decode("utf-8", "replace").splitlines() if line in rules)


@contextmanager
def admit(server: ContainerServer, change: AccessChange | None) -> Iterator[None]:
    """Write the line, which stays unless this block fails; the old file is kept beside it.

    Raises RefusedError when the file is no longer the one that was shown, PitrError.
    """
    if change is None:
        yield
        return
    if server.read(change.path) != change.before:
        raise RefusedError(f"{change.path} has changed since its diff was shown", "", "look again")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    copy = change.path.with_name(f"{change.path.name}.pitr-{stamp}")
    try:
        server.write(copy, change.before)
        _put(server, change.path, change.after)
        yield
    except BaseException:
        _put(server, change.path, change.before)
        server.run(["rm", "-f", str(copy)])
        raise


def _method(server: ContainerServer, route: Route, environment: Mapping[str, str]) -> str:
    """How the user proves who it is: by its stored password, in the form that is stored.

    Without a password only where this network is trusted with everything already.
    """
    stored = server.database.row(
        "SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = current_user"
    )[0]
    if stored and "PGPASSWORD" in environment:
        return "scram-sha-256" if stored.startswith("SCRAM-SHA-256$") else "md5"
    if trusts(server, route):
        return "trust"
    user = server.database.parameters["user"]
    raise RefusedError(
        f"{user} cannot be let in without a password",
        "the password is not known here" if stored else f"{user} has none",
        "set PGPASSWORD" if stored else f"give it one: ALTER ROLE {user} PASSWORD '...'",
    )


def _read(server: ContainerServer) -> tuple[PurePosixPath, bytes]:
    """Where pg_hba.conf is, and what is in it. Raises PitrError."""
    path = PurePosixPath(str(server.database.row("SELECT current_setting('hba_file')")[0]))
    try:
        return path, server.read(path)
    except FileNotFoundError as error:
        raise PitrError(f"there is no {path} in the container {server.name}") from error


def _put(server: ContainerServer, path: PurePosixPath, data: bytes) -> None:
    """Write the file and wait until the server has read it. Raises PitrError."""
    loaded = server.database.row(_LOADED)[0]
    server.write(path, data)
    server.database.row("SELECT pg_reload_conf()")
    deadline = time.monotonic() + _RELOAD_SECONDS
    while server.database.row(_LOADED)[0] == loaded:
        if time.monotonic() > deadline:
            raise PitrError(f"the server in {server.name} did not read {path.name} again")
        time.sleep(_POLL)
