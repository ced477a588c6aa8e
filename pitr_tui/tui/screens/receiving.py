"""The receiver beside a primary's container: what starting it means, and how it does."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.containers.volumes import volume_exists
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.recovery.access import AccessChange
from pitr_tui.recovery.archiving import ArchivingProof
from pitr_tui.recovery.events import Status
from pitr_tui.recovery.receiver import Receiver, default_volume, require_receivable
from pitr_tui.recovery.receiver_access import admit, propose_receiver_access
from pitr_tui.recovery.receiver_start import start_receiver
from pitr_tui.recovery.receiver_status import ReceiverStatus, as_it_is, receiver_status
from pitr_tui.recovery.switching import switch_wal
from pitr_tui.servers.image_tools import tool_environment
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.route import (
    NoReplicationLine,
    Route,
    close_route,
    open_route,
    route_to,
    try_replication,
)
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.storage.path import ReadPath
from pitr_tui.tui.reach import Place
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wording import size_text

_PROOF_SECONDS = 60
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Start:
    """A receiver that could be started; `line` is what pg_hba.conf lacks for it."""

    receiver: Receiver
    facts: PrimaryFacts
    route: Route
    line: AccessChange | None
    warnings: tuple[str, ...]
    new_volume: bool

    @property
    def place(self) -> EngineLocation:
        return EngineLocation(LocationKind.VOLUME, self.receiver.volume)

    @property
    def asked_twice(self) -> bool:
        """Whether the line can be known only once the network is there."""
        return self.route.new

    def text(self) -> str:
        """What a person should read before saying yes."""
        server, receiver = self.receiver.server, self.receiver
        kind = "the new" if self.new_volume else "the"
        rows = [
            f"The container {receiver.name} runs pg_receivewal. It writes the WAL into {kind} "
            f"volume {receiver.volume}, through the replication slot {receiver.slot}.",
        ]
        if self.route.new:
            rows.append(
                f"The network {self.route.network} is made, and {server.name} joined to it: on "
                "Docker's default network a server has no name that outlives a restart."
            )
        else:
            rows.append(f"It reaches {server.name} on the network {self.route.network}.")
        if self.line is not None:
            rows.append(f"pg_hba.conf gets the line: {self.line.rule}")
        rows += [f"! {one}" for one in self.warnings]
        rows.append("\nNo restart. While nobody receives, the slot keeps all WAL on the primary.")
        return "\n".join(rows)


def receiver_of(session: Session) -> Receiver | None:
    """The receiver of the session's primary, running or not; None where there can be none."""
    origin = session.origin
    if not isinstance(origin, PostgresContainer) or session.facts is None:
        return None
    server = session.reach.server(origin)
    return as_it_is(Receiver(server, default_volume(server.name)))


def look_at_receiver(session: Session) -> ReceiverStatus | None:
    """How the receiver does; None when there is none. Raises PitrError."""
    receiver = receiver_of(session)
    if receiver is None:
        return None
    try:
        return receiver_status(receiver)
    except RefusedError:
        return None


def is_received(session: Session, place: Place | None) -> bool:
    """Whether a receiver of the primary writes into a place."""
    found = session.receiver
    return found is not None and place == EngineLocation(LocationKind.VOLUME, found.volume)


def plan_receiver(session: Session) -> Start:
    """What starting one would do. Changes nothing; raises PitrError."""
    receiver = receiver_of(session)
    if receiver is None:
        raise RefusedError(
            "nothing can receive the WAL of this primary",
            "a receiver runs beside a server in a container, and needs it running",
        )
    facts = receiver.primary.facts()
    warnings = require_receivable(receiver, facts)
    server = receiver.server
    route = route_to(server.engine, server.container)
    line = None if route.new else _missing_line(receiver, facts, route)
    new = not volume_exists(server.engine, receiver.volume)
    return Start(receiver, facts, route, line, warnings, new)


def open_network(start: Start) -> Start:
    """Make the new network, and find out whether pg_hba.conf lets the receiver in from there.

    Raises PitrError; then the network is gone again.
    """
    engine = start.receiver.server.engine
    opened = open_route(engine, start.receiver.server.container, start.route)
    try:
        line = _missing_line(start.receiver, start.facts, opened)
    except BaseException:
        close_route(engine, opened.network)
        raise
    return replace(start, route=opened, line=line)


def give_up(start: Start) -> None:
    """Take the network away that `open_network` has made. Raises PitrError."""
    close_route(start.receiver.server.engine, start.route.network)


def start(order: Start, made_network: bool, cancel: threading.Event) -> None:
    """Start it, and see the WAL of this moment arrive. Raises PitrError; then nothing is left."""
    server = order.receiver.server
    environment = tool_environment(server)
    try:
        with admit(server, order.line):
            if order.line is not None:
                system = order.facts.system_identifier
                try_replication(server, order.route, environment, system)
            start_receiver(order.receiver, order.facts, order.route, environment, cancel)
    except BaseException:
        if made_network:
            give_up(order)
        raise


def prove_received(primary: Primary, files: ReadPath, cancel: threading.Event) -> ArchivingProof:
    """Finish the current segment and wait until the receiver has it whole. Raises PitrError."""
    facts = primary.require_superuser("proving that the WAL is received")
    started = time.monotonic()
    segment = switch_wal(primary, facts)
    while not (files / segment.name).is_file():  # until then it is there as .partial
        if cancel.is_set():
            raise CancelledError("the proof of archiving was cancelled")
        if time.monotonic() - started > _PROOF_SECONDS:
            raise PitrError(
                f"segment {segment.name} did not arrive in {files}",
                f"the receiver has not finished it in {_PROOF_SECONDS} seconds",
                "its log has the reason: docker logs, or pitr archive receive status",
            )
        time.sleep(_POLL)
    return ArchivingProof(segment.name, files / segment.name, time.monotonic() - started)


def receiver_facts(found: ReceiverStatus) -> list[Fact]:
    """How a receiver does, in a line or two."""
    behind = f"{size_text(found.lag)} behind" if found.lag is not None else "how far is not known"
    last = found.partial or found.last_segment or "no segment yet"
    status = Status.WARNING if found.problems else Status.OK
    rows = [
        Fact("receiver", f"{found.state}, {behind}", f"{last} in volume:{found.volume}", status)
    ]
    rows += [Fact("", problem, status=Status.WARNING) for problem in found.problems]
    return rows


def _missing_line(receiver: Receiver, facts: PrimaryFacts, route: Route) -> AccessChange | None:
    """The line that pg_hba.conf lacks, found out by trying. Raises PitrError."""
    server = receiver.server
    environment = tool_environment(server)
    try:
        try_replication(server, route, environment, facts.system_identifier)
    except NoReplicationLine as refused:
        return propose_receiver_access(server, route, refused.address, environment)
    return None
