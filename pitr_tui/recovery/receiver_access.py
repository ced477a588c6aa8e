"""The one line of pg_hba.conf that lets a receiver in: proposed as a diff, applied, put back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import PurePosixPath

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.hba import replication_rule, with_rule
from pitr_tui.recovery.access import AccessChange
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.route import Route, trusts

_RELOAD_SECONDS = 20
_POLL = 0.05
_LOADED = "SELECT pg_conf_load_time()"


def propose_receiver_access(
    server: ContainerServer, route: Route, address: str, environment: Mapping[str, str]
) -> AccessChange:
    """The narrowest line that lets the server's user in from `address`, also after a restart.

    Raises RefusedError when it would have to be wider than what is there, PitrError.
    """
    Primary(server.database).require_superuser("changing pg_hba.conf")
    user = str(server.database.parameters["user"])
    path = PurePosixPath(str(server.database.row("SELECT current_setting('hba_file')")[0]))
    try:
        before = server.read(path)
    except FileNotFoundError as error:
        raise PitrError(f"there is no {path} in the container {server.name}") from error
    network = ip_network(route.subnet_of(address), strict=False)
    rule = replication_rule(user, network, _method(server, route, environment))
    text = with_rule(before.decode("utf-8", "surrogateescape"), rule)
    return AccessChange(path, rule, before, text.encode("utf-8", "surrogateescape"))


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
    server.write(change.path.with_name(f"{change.path.name}.pitr-{stamp}"), change.before)
    try:
        _put(server, change.path, change.after)
        yield
    except BaseException:
        _put(server, change.path, change.before)
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
