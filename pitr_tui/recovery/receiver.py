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
from pitr_tui.containers.labels import LABEL, PRIMARY_LABEL, SLOT_LABEL, Role
from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.repositories.archive import ArchiveListing, WalArchive
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.image_tools import ImageTools
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.route import Route, replication_parameters
from pitr_tui.servers.sql import connection_text
from pitr_tui.storage.engine_place import open_place, require_apart
from pitr_tui.storage.location import EngineLocation, LocationKind

if TYPE_CHECKING:
    from docker.models.containers import Container

SLOT = "pitr_receiver"

_APPLICATION = "pitr_receiver"
ARCHIVE = PurePosixPath("/pitr/archive")
_SLOT_NAME = re.compile(r"[a-z0-9_]{1,63}")
IDLE = ("created", "exited", "paused")
_RECEIVING_WAL_LEVELS = ("replica", "logical")
STOP_SECONDS = 30
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

    @property
    def location(self) -> EngineLocation:
        """The archive, as other commands name it."""
        return EngineLocation(LocationKind.VOLUME, self.volume)

    @property
    def tags(self) -> dict[str, str]:
        """The labels by which sidecar and volume are known to belong to primary and slot."""
        return {PRIMARY_LABEL: self.server.name, SLOT_LABEL: self.slot}

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
    require_apart(receiver.server.container, receiver.location)
    if facts.in_recovery:
        raise RefusedError(
            f"{receiver.server.name} is a standby", "", "receive from the primary that it follows"
        )
    sidecar = find_sidecar(receiver)
    if sidecar is not None:
        idle = is_idle(sidecar)
        raise RefusedError(
            f"{receiver.server.name} has a receiver already: {receiver.name}",
            f"it is {sidecar.status}" if idle else "",
            f"`pitr archive receive start --docker {receiver.server.name}` starts it again"
            if idle
            else "`pitr archive receive status` tells how it does, `stop` ends it",
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
        elif not _may_adopt_slot(receiver):
            problems.append(
                f"there is a slot {receiver.slot} already, and nothing of pitr's names it: "
                "choose another name, or drop it"
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
        container.stop(timeout=STOP_SECONDS)
        container.remove(v=True, force=True)  # what has a name stays
    return str(container.attrs["HostConfig"].get("NetworkMode") or "")


def drop_slot(receiver: Receiver) -> bool:
    """Drop the slot, once nobody uses it; whether there was one. Raises PitrError."""
    database = receiver.server.database
    deadline = time.monotonic() + STOP_SECONDS
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


def is_idle(sidecar: Container) -> bool:
    """Whether a sidecar is there that can be started again, with its volume and its slot."""
    return sidecar.status in IDLE


def has_slot(receiver: Receiver) -> bool:
    """Whether the primary has the slot. Raises PitrError when it does not say."""
    return bool(receiver.server.database.rows(SLOT_FACTS, [receiver.slot]))


def owns_slot(receiver: Receiver) -> bool:
    """Whether the slot was made for a receiver: by its name, or by what names it. EngineError."""
    return receiver.slot == SLOT or _is_slot_named(receiver)


def find_sidecar(receiver: Receiver) -> Container | None:
    """The receiver's container, running or not.

    Raises RefusedError when another one has its name, EngineError.
    """
    from docker.errors import NotFound

    with engine_errors(f"the receiver {receiver.name} cannot be looked at"):
        try:
            found = receiver.server.engine.client.containers.get(receiver.name)
        except NotFound:
            return None
    ours = {LABEL: Role.RECEIVER, PRIMARY_LABEL: receiver.server.name}
    if not ours.items() <= found.labels.items():
        raise RefusedError(
            f"the container {receiver.name} is no receiver of {receiver.server.name}",
            "it has the name of one, but not the labels that pitr gives it",
            "it is left alone: give it another name ('docker rename')",
        )
    return found


def archive_listing(receiver: Receiver) -> ArchiveListing | None:
    """What the archive holds, or None when the volume is gone."""
    try:
        place = open_place(receiver.server.engine, receiver.server.image, receiver.location)
    except PitrError:
        return None
    with place.tree.helper:
        return WalArchive(place).listing()


def _may_adopt_slot(receiver: Receiver) -> bool:
    """Whether an idle slot goes on with the archive: another's would lose the WAL kept for it."""
    if _is_slot_named(receiver):
        return True
    listing = archive_listing(receiver) if receiver.slot == SLOT else None
    return listing is not None and bool(listing.segments or listing.partial)


def _is_slot_named(receiver: Receiver) -> bool:
    """Whether the labels of sidecar or volume name the slot. Raises EngineError."""
    from docker.errors import NotFound

    sidecar = find_sidecar(receiver)
    tags = [sidecar.labels] if sidecar else []
    with engine_errors(f"the volume {receiver.volume} cannot be looked at"):
        try:
            volume = receiver.server.engine.client.volumes.get(receiver.volume)
            tags.append(volume.attrs.get("Labels") or {})
        except NotFound:
            pass
    return any(receiver.tags.items() <= one.items() for one in tags)
