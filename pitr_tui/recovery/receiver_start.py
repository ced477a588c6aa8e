"""Start a receiver: its volume, its slot, its container, and the proof that WAL arrives."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitr_tui.containers.engine import EngineError, engine_errors
from pitr_tui.containers.helper import Helper, HelperMount, image_missing
from pitr_tui.containers.labels import Role, labels
from pitr_tui.containers.volumes import remove_volume, volume_exists
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import visible
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.receiver import (
    ARCHIVE,
    SLOT_FACTS,
    STOP_SECONDS,
    Receiver,
    drop_slot,
    find_sidecar,
)
from pitr_tui.recovery.receiver_status import current_lsn, sidecar_log, slot_state
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.image_tools import image_tools
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.route import Route
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.engine_place import place_in

if TYPE_CHECKING:
    from docker.models.containers import Container

_PROOF_SECONDS = 60
_ANEW = "`pitr archive receive stop`, then `start`, makes it anew on the same volume and slot"
_POLL = 0.2

# What archives hold, with the endings of compressed and unfinished files, and what mkfs makes.
_OF_AN_ARCHIVE = re.compile(r"[0-9A-F]{8}(\.history|[0-9A-F]{16})(\..*)?|lost\+found")

# An empty volume belongs to root; one with an archive in it keeps its owner.
_TAKE_OVER = """
if [ -z "$(ls -A {place})" ]; then chown {owner} {place} && chmod 0750 {place}; fi
"""


@dataclass(frozen=True, slots=True)
class ReceiverProof:
    """The receiver has flushed the WAL up to `lsn`, which was written after it was started."""

    lsn: Lsn
    seconds: float


def start_receiver(
    receiver: Receiver,
    facts: PrimaryFacts,
    route: Route,
    environment: dict[str, str],
    cancel: threading.Event | None = None,
) -> ReceiverProof:
    """Make volume, slot and sidecar, and see the WAL of this moment arrive.

    `route` must be open. Raises PitrError; then what this made is gone again, and what was
    there before is as it was.
    """
    tools = image_tools(receiver.server.engine, receiver.server.image)
    command = receiver.command(tools, route, facts.version)
    with _volume(receiver, facts, tools.owner), _slot(receiver, command, route, environment):
        container = _create(receiver, command, route, environment, tools.owner)
        try:
            with engine_errors(f"the receiver {receiver.name} cannot be started"):
                container.start()
            return _prove(receiver, facts.version, container, cancel)
        except BaseException:
            with engine_errors(f"the receiver {receiver.name} cannot be removed"):
                container.remove(v=True, force=True)
            raise


def start_again(receiver: Receiver, cancel: threading.Event | None = None) -> ReceiverProof:
    """Start a sidecar that has ended, just as it is, and see the WAL of this moment arrive.

    `receiver` has the volume and the slot of that sidecar (`as_it_is`). Raises PitrError; then
    the sidecar is there as before, and does not run.
    """
    container = find_sidecar(receiver)
    if container is None:
        raise RefusedError(f"{receiver.server.name} has no receiver")
    version = receiver.primary.facts().version
    try:
        with engine_errors(f"the receiver {receiver.name} cannot be started again", _ANEW):
            if container.status == "paused":
                container.unpause()
            else:
                container.start()
        return _prove(receiver, version, container, cancel, _ANEW)
    except BaseException:
        with engine_errors(f"the receiver {receiver.name} cannot be stopped"):
            container.stop(timeout=STOP_SECONDS)
        raise


@contextmanager
def _volume(receiver: Receiver, facts: PrimaryFacts, owner: str) -> Iterator[None]:
    """The archive's volume, ready for that user; a new one goes again when the start fails.

    Raises RefusedError for one that holds another cluster's WAL or something else than WAL, or
    that the user cannot write.
    """
    engine, name = receiver.server.engine, receiver.volume
    new = not volume_exists(engine, name)
    if new:
        with engine_errors(f"the volume {name} cannot be made"):
            engine.client.volumes.create(name, labels=labels(Role.ARCHIVE) | receiver.tags)
    try:
        mount = HelperMount("volume", name, str(ARCHIVE), writable=True)
        with Helper.start(engine, receiver.server.image, mounts=[mount]) as helper:
            place = place_in(helper, receiver.location, ARCHIVE)
            _require_wal_alone(place)
            script = _TAKE_OVER.format(place=ARCHIVE, owner=owner)
            ran = helper.shell().run(script)
            if ran.code != 0:
                raise PitrError(f"the volume {name} cannot be used", visible(ran.stderr.strip()))
            if helper.run(["test", "-w", str(ARCHIVE)], user=owner).code != 0:
                raise RefusedError(
                    f"the receiver cannot write into the volume {name}",
                    f"it runs as {owner}, the image's user of the server",
                    "choose another volume, or chown this one",
                )
            _require_same_cluster(receiver, facts, WalArchive(place))
        yield
    except BaseException:
        if new:
            remove_volume(engine, name)
        raise


def _require_wal_alone(place: EnginePath) -> None:
    """Raises RefusedError for a volume that is used for something else already."""
    other = sorted(one.name for one in place.iterdir() if not _OF_AN_ARCHIVE.fullmatch(one.name))
    if other:
        raise RefusedError(
            f"{place} is no WAL archive",
            f"{visible(other[0])} is in it",
            "name an empty or a new volume: a receiver writes into one of its own",
        )


def _require_same_cluster(receiver: Receiver, facts: PrimaryFacts, archive: WalArchive) -> None:
    listing = archive.listing()
    for segment in (*listing.segments, *listing.partial)[:1]:
        found = archive.header(segment).system_identifier
        if found != facts.system_identifier:
            raise RefusedError(
                f"the volume {receiver.volume} holds the WAL of another cluster",
                f"system identifier {found}, the primary's is {facts.system_identifier}",
                "use a volume of its own for each cluster",
            )


@contextmanager
def _slot(
    receiver: Receiver, command: tuple[str, ...], route: Route, environment: dict[str, str]
) -> Iterator[None]:
    """The slot, made by the receiver's own tool; a new one goes again when the start fails."""
    server = receiver.server
    new = not server.database.rows(SLOT_FACTS, [receiver.slot])
    with Helper.start(server.engine, server.image, network=route.network) as helper:
        ran = helper.run([*command, "--create-slot", "--if-not-exists"], environment=environment)
    if ran.code != 0:
        raise PitrError(
            f"the slot {receiver.slot} cannot be made",
            visible(ran.stderr.strip()),
            "the user needs the right to replicate",
        )
    try:
        yield
    except BaseException:
        if new:
            drop_slot(receiver)
        raise


def _create(
    receiver: Receiver,
    command: tuple[str, ...],
    route: Route,
    environment: dict[str, str],
    owner: str,
) -> Container:
    """The sidecar, not started. Raises EngineError."""
    from docker.errors import ImageNotFound

    engine, image = receiver.server.engine, receiver.server.image
    mount = HelperMount("volume", receiver.volume, str(ARCHIVE), writable=True)
    with engine_errors(f"the receiver {receiver.name} cannot be made"):
        try:
            return engine.client.containers.create(
                image,
                command=list(command[1:]),
                entrypoint=[command[0]],
                name=receiver.name,
                user=owner,
                working_dir="/",
                labels=labels(Role.RECEIVER) | receiver.tags,
                environment=environment,
                mounts=[mount.checked(engine)],
                network_mode=route.network,
                restart_policy={"Name": "unless-stopped"},  # type: ignore[arg-type]
                stop_signal="SIGINT",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges", "label=disable"],
                healthcheck={"test": ["NONE"]},
            )
        except ImageNotFound as error:
            raise image_missing(image) from error


def _prove(
    receiver: Receiver,
    version: PostgresVersion,
    container: Container,
    cancel: threading.Event | None,
    left: str = "nothing of it was left",
) -> ReceiverProof:
    """Wait until the receiver has flushed what the primary had written by now."""
    started = time.monotonic()
    wanted = current_lsn(receiver, version)
    while True:
        slot = slot_state(receiver, version)
        if slot is not None and slot.flushed is not None and slot.flushed >= wanted:
            return ReceiverProof(slot.flushed, time.monotonic() - started)
        if cancel is not None and cancel.is_set():
            raise CancelledError("the start of the receiver was cancelled")
        if time.monotonic() - started > _PROOF_SECONDS:
            words = "\n".join(sidecar_log(container))
            raise EngineError(
                f"the WAL of {receiver.server.name} did not arrive within {_PROOF_SECONDS} seconds",
                words or "the receiver says nothing",
                f"its words tell what is missing; {left}",
            )
        time.sleep(_POLL)
