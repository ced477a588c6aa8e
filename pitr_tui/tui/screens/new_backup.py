"""Taking a base backup of the primary, wherever it runs and wherever the backup goes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.backup import (
    BackupOrder,
    Compression,
    backup_remark,
    take_backup,
)
from pitr_tui.recovery.container_backup import (
    ContainerBackupOrder,
    Verified,
    take_container_backup,
)
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.backups import BackupFormat
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.reach import Place
from pitr_tui.tui.session import Session

Order = BackupOrder | ContainerBackupOrder

_PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Asked:
    """An order with what a person should read before it is carried out."""

    order: Order
    command: str
    remarks: tuple[str, ...]


def formats(version: PostgresVersion | None) -> Sequence[tuple[str, str]]:
    """What a new backup can be written as: a key and its words, for a choice."""
    known = version.backup_compressions if version is not None else ()
    offered = [(_PLAIN, "plain files"), (Compression.NONE.value, "tar")]
    return [*offered, *((one, f"tar, {one}") for one in known)]


def can_take(session: Session) -> bool:
    """Whether there is a primary to take one from, and a place for it."""
    known = session.database is not None and session.facts is not None
    return known and not session.primary_is_down and session.backup_directory is not None


def order_of(session: Session, chosen: str) -> Asked:
    """The order of a new backup in the session's place. Asks the engine; raises PitrError."""
    database, facts, place = session.database, session.facts, session.backup_directory
    if database is None or facts is None or place is None:
        raise PitrError("no backup can be taken", "that needs a running primary and a place")
    target = _below(place, f"{session.clock():%Y%m%d-%H%M%S}")
    form = BackupFormat.PLAIN if chosen == _PLAIN else BackupFormat.TAR
    compression = Compression.NONE if chosen == _PLAIN else Compression(chosen)
    origin = session.origin
    if isinstance(origin, PostgresContainer):
        server = session.reach.server(origin)
        there = ContainerBackupOrder(server, facts, target, form, compression)
        remarks = (backup_remark(there), there.remark())
        return Asked(there, there.describe(), tuple(filter(None, remarks)))
    if not isinstance(target, Path):
        raise PitrError(
            f"{target} is behind a Docker engine, and the primary is not",
            "a helper container of the server's own image would write there",
            "name a directory of this machine",
        )
    here = BackupOrder(database, facts, target, form, compression)
    return Asked(here, here.describe(), tuple(filter(None, (backup_remark(here),))))


def take(order: Order, emit: Emit[Progress], cancel: threading.Event) -> str:
    """Carry an order out, and say what was verified. Raises PitrError; then nothing is left."""
    if isinstance(order, BackupOrder):
        order.destination.parent.mkdir(mode=0o755, exist_ok=True)
        for progress in take_backup(order, cancel):
            emit(progress)
        return ""
    said = ""
    for one in take_container_backup(order, cancel):
        if isinstance(one, Verified):
            said = one.words if one.done else f"not verified: {one.words}"
        else:
            emit(one)
    return said


def _below(place: Place, name: str) -> Place:
    """A new directory in a place."""
    if isinstance(place, Path):
        return place / name
    if place.kind is LocationKind.VOLUME:
        return EngineLocation(place.kind, place.root, place.path / name)
    return EngineLocation(place.kind, f"{place.root.rstrip('/')}/{name}")
