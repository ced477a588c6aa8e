"""Archive a primary's WAL without touching its settings: a receiver in a container beside it.

`pg_receivewal` runs in a container of the primary's image and writes into a volume. A
replication slot keeps what it has not flushed, so that nothing is lost while it is away, and
the engine starts it again with the machine. The primary is not restarted and mounts nothing.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pitr_tui.containers.engine import engine_errors
from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.image_tools import ImageTools
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.route import Route, replication_parameters
from pitr_tui.servers.sql import connection_text

if TYPE_CHECKING:
    from docker.models.containers import Container

SLOT = "pitr_receiver"
PRIMARY_LABEL = "io.pitr-tui.primary"
SLOT_LABEL = "io.pitr-tui.slot"

_APPLICATION = "pitr_receiver"
ARCHIVE = PurePosixPath("/pitr/archive")
_SLOT_NAME = re.compile(r"[a-z0-9_]{1,63}")
_RECEIVING_WAL_LEVELS = ("replica", "logical")
_STOP_SECONDS = 30
_POLL = 0.2

_ROOM = """
SELECT current_setting('wal_level'),
       current_setting('max_wal_senders')::int,
       (SELECT count(*) FROM pg_stat_replication)::int,
       current_setting('max_replication_slots')::int,
       (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> %s)::int,
       current_setting('synchronous_standby_names')
"""
SLOT_FACTS = "SELECT slot_type, active FROM pg_replication_slots WHERE slot_name = %s"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver, running or not: of which primary, into which volume, through which slot."""

    server: ContainerServer
    volume: str
    slot: str = SLOT

    def __post_init__(self) -> None:
        if not _SLOT_NAME.fullmatch(self.slot):
            raise UsageError(
                f"{self.slot!r} cannot be the name of a replication slot",
                "it may have lower-case letters, digits and underscores only",
            )

    @property
    def name(self) -> str:
        """The sidecar's name: a primary has one receiver."""
        return receiver_name(self.server.name)

    @property
    def primary(self) -> Primary:
        return Primary(self.server.database)

    def command(self, tools: ImageTools, route: Route, version: PostgresVersion) -> tuple[str, ...]:
        """The receiver's argument list. Raises RefusedError when the image has no such tool.

        It flushes each message (`--synchronous`): the lag that the primary shows is then what
        a lost disk would cost, and a primary that takes any standby for a synchronous one is
        not held up until a segment is full. Nothing is compressed, so that the segment which
        is being written can be read as it is. At a segment's end only the status tells the primary.
        """
        tool = tools.find("pg_receivewal") or tools.require(version.wal_receiver_tool)
        parameters = replication_parameters(self.server, route)
        return (
            tool.path,
            "--directory",
            str(ARCHIVE),
            "--slot",
            self.slot,
            "--synchronous",
            "--status-interval",
            "1",
            "--no-password",
            "--dbname",
            connection_text({**parameters, "application_name": _APPLICATION}),
        )


def receiver_name(primary: str) -> str:
    """The container that receives the WAL of a primary's container."""
    return f"pitr-receiver-{primary}"


def default_volume(primary: str) -> str:
    """The volume that the archive of a primary's container goes to."""
    return f"pitr-archive-{primary}"


def require_receivable(receiver: Receiver, facts: PrimaryFacts) -> tuple[str, ...]:
    """See that the primary has room for a receiver, and give what a person should know first.

    Raises RefusedError, which names every reason, and PitrError.
    """
    if facts.in_recovery:
        raise RefusedError(
            f"{receiver.server.name} is a standby", "", "receive from the primary that it follows"
        )
    if find_sidecar(receiver) is not None:
        raise RefusedError(
            f"{receiver.server.name} has a receiver already: {receiver.name}",
            "",
            "`pitr archive receive status` tells how it does, `stop` ends it",
        )
    database = receiver.server.database
    level, most_senders, senders, most_slots, slots, synchronous = database.row(
        _ROOM, [receiver.slot]
    )
    problems = []
    if level not in _RECEIVING_WAL_LEVELS:
        problems.append(f"wal_level is {level}; it must be replica or logical")
    if senders >= most_senders:
        problems.append(f"all {most_senders} of max_wal_senders are taken")
    if slots >= most_slots:
        problems.append(f"all {most_slots} of max_replication_slots are taken")
    for kind, active in database.rows(SLOT_FACTS, [receiver.slot]):
        if kind != "physical" or active:
            problems.append(
                f"the slot {receiver.slot} is used by somebody else: choose another name"
            )
    if problems:
        raise RefusedError(
            f"nothing can receive the WAL of {receiver.server.name}",
            "; ".join(problems),
            "these settings need a restart: choose a quiet moment, or free a sender or a slot",
        )
    if "*" in synchronous:
        return (
            f"synchronous_standby_names is {synchronous!r}: commits may wait for this receiver",
        )
    return ()


def stop_receiver(receiver: Receiver) -> str | None:
    """End the receiver and remove its container; archive and slot stay.

    Gives the network that it was on, None when there was no receiver. Raises EngineError.
    """
    container = find_sidecar(receiver)
    if container is None:
        return None
    with engine_errors(f"the receiver {receiver.name} cannot be stopped"):
        container.stop(timeout=_STOP_SECONDS)
        container.remove(v=False, force=True)
    return str(container.attrs["HostConfig"].get("NetworkMode") or "")


def drop_slot(receiver: Receiver) -> bool:
    """Drop the slot, once nobody uses it; whether there was one. Raises PitrError."""
    database = receiver.server.database
    deadline = time.monotonic() + _STOP_SECONDS
    while rows := database.rows(SLOT_FACTS, [receiver.slot]):
        if not rows[0][1]:
            database.row("SELECT pg_drop_replication_slot(%s)", [receiver.slot])
            return True
        if time.monotonic() > deadline:
            raise RefusedError(
                f"the slot {receiver.slot} is in use", "somebody else receives through it"
            )
        time.sleep(_POLL)
    return False


def find_sidecar(receiver: Receiver) -> Container | None:
    """The receiver's container, running or not. Raises EngineError."""
    from docker.errors import NotFound

    with engine_errors(f"the receiver {receiver.name} cannot be looked at"):
        try:
            return receiver.server.engine.client.containers.get(receiver.name)
        except NotFound:
            return None
