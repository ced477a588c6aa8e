"""Whether a backup client is let in to replicate, and the one line of pg_hba.conf that it lacks."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import PurePosixPath

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import diff
from pitr_tui.postgres.hba import replication_rule, trusts_loopback, with_rule
from pitr_tui.servers.container_files import require_replaceable, resolved
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.sql import Database

# Helpers share the network of the primary's container: this is where they come from.
LOOPBACK = ip_network("127.0.0.1/32")

_REFUSED_BY_HBA = re.compile(r"no pg_hba\.conf entry|pg_hba\.conf rejects")
_RELOAD_SECONDS = 15
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class AccessChange:
    """One line more in pg_hba.conf."""

    path: PurePosixPath
    rule: str
    before: bytes
    after: bytes

    @property
    def diff(self) -> str:
        return diff(_text(self.before), _text(self.after), self.path.name)


def replication_refusal(database: Database) -> str | None:
    """Try a real replication connection: None when it works, else PostgreSQL's own words."""
    import psycopg2
    from psycopg2.extras import PhysicalReplicationConnection

    with database.connect():
        pass  # a server that does not answer at all has not refused a replication connection
    try:
        connection = psycopg2.connect(
            connection_factory=PhysicalReplicationConnection, **database.parameters
        )
    except psycopg2.Error as error:
        return str(error).strip()
    try:
        with connection.cursor() as cursor:
            cursor.execute("IDENTIFY_SYSTEM")
    except psycopg2.Error as error:
        return str(error).strip()
    finally:
        connection.close()
    return None


def propose_access(server: ContainerServer, refusal: str | None) -> AccessChange | None:
    """The line that lets the container's user replicate from 127.0.0.1; None if none is missing.

    `refusal` is what `replication_refusal` said. Raises RefusedError when a line would have to
    be wider than those that are there, or the file cannot be replaced; PitrError.
    """
    if refusal is None or not _REFUSED_BY_HBA.search(refusal):
        return None
    database = server.database
    user = str(database.parameters["user"])
    path = PurePosixPath(str(database.row("SELECT current_setting('hba_file')")[0]))
    try:
        before = server.read(path)
    except FileNotFoundError as error:
        raise PitrError(f"there is no {path} in the container {server.name}") from error
    rule = replication_rule(user, LOOPBACK, _method(database, user, _text(before)))
    real, _ = resolved(server.engine, server.container, path)
    remedy = f"where it comes from, put this line before those that refuse, then reload: {rule}"
    require_replaceable(server.container, real, remedy)
    after = with_rule(_text(before), rule).encode("utf-8", "surrogateescape")
    return AccessChange(path, rule, before, after)


def require_access(database: Database) -> None:
    """Wait until the server has read pg_hba.conf again and lets us in. Raises PitrError."""
    deadline = time.monotonic() + _RELOAD_SECONDS
    while (refusal := replication_refusal(database)) is not None:
        if not _REFUSED_BY_HBA.search(refusal) or time.monotonic() > deadline:
            raise PitrError("a backup client is still not let in to replicate", refusal)
        time.sleep(_POLL)


def _method(database: Database, user: str, text: str) -> str:
    """How the user proves who it is: without a password only where it needs none already."""
    if trusts_loopback(text, user):
        return "trust"
    row = database.rows("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [user])
    stored = str(row[0][0] or "") if row else ""
    if not stored:
        raise RefusedError(
            f"{user} cannot be let in to replicate",
            f"{user} has no password, and from 127.0.0.1 pg_hba.conf asks for one",
            f"give it one: ALTER ROLE {user} PASSWORD '...'",
        )
    return "scram-sha-256" if stored.startswith("SCRAM-SHA-256$") else "md5"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
