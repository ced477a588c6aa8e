"""`pitr archive receive start`, `status`, `stop`: archiving by a container of its own."""

from __future__ import annotations

import argparse
import threading
from contextlib import suppress

from pitr_tui.cli.confirm import can_ask, confirmed, require_yes
from pitr_tui.cli.connection import server_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import cancelling
from pitr_tui.containers.volumes import volume_exists
from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.recovery.access import AccessChange
from pitr_tui.recovery.receiver import (
    Receiver,
    default_volume,
    drop_slot,
    find_sidecar,
    has_slot,
    is_idle,
    owns_slot,
    require_receivable,
    stop_receiver,
)
from pitr_tui.recovery.receiver_access import (
    admit,
    prefer_known_subnets,
    propose_receiver_access,
    receiver_lines,
    shows_password,
)
from pitr_tui.recovery.receiver_start import ReceiverProof, start_again, start_receiver
from pitr_tui.recovery.receiver_status import ReceiverStatus, as_it_is, receiver_status
from pitr_tui.servers.image_tools import tool_environment
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.route import (
    NoReplicationLine,
    Route,
    close_route,
    open_route,
    own_network,
    route_on,
    route_to,
    try_replication,
)
from pitr_tui.storage.location import LocationKind, engine_location
from pitr_tui.wording import duration_text, size_text

_REFUSED = RefusedError.exit_code


def start(parsed: argparse.Namespace, output: Output) -> int:
    """Say what will be made and changed, and after a yes start the receiver and prove it."""
    receiver = _receiver(parsed)
    sidecar = find_sidecar(receiver)
    if sidecar is not None and is_idle(sidecar):
        return _start_again(as_it_is(receiver), sidecar.status, parsed, output)
    facts = receiver.primary.facts()
    for warning in require_receivable(receiver, facts):
        output.say(f"! {warning}")
    engine, container = receiver.server.engine, receiver.server.container
    route = prefer_known_subnets(receiver.server, route_to(engine, container))
    environment = tool_environment(receiver.server)
    line = None if route.new else _missing_line(receiver, facts, route, environment)
    _announce(receiver, route, output)
    if shows_password(receiver.server, environment):
        output.say("! The password is kept in its environment: who may inspect containers sees it.")
    _show(line, output)
    if not parsed.yes:
        require_yes("Start it?", output)
    opened = open_route(engine, container, route)
    try:
        if route.new:  # who comes from there could not be known before
            line = _missing_line(receiver, facts, opened, environment)
            _show(line, output)
            if line is not None and not parsed.yes:
                require_yes("Let it in?", output)
        cancel = threading.Event()
        with cancelling(cancel), admit(receiver.server, line):
            if line is not None:
                try_replication(receiver.server, opened, environment, facts.system_identifier)
            proof = start_receiver(receiver, facts, opened, environment, cancel)
    except BaseException:
        if route.new:
            close_route(engine, opened.network)
        raise
    _say_started(receiver, proof, opened.network, line, output)
    return 0


def _start_again(receiver: Receiver, state: str, parsed: argparse.Namespace, output: Output) -> int:
    """Start the receiver that is there, after a yes, with the volume and the slot that it has."""
    output.say(f"The receiver {receiver.name} is {state}. It is started again, and goes on in the")
    output.say(f"volume {receiver.volume}, through the replication slot {receiver.slot}.")
    if not parsed.yes:
        require_yes("Start it?", output)
    cancel = threading.Event()
    with cancelling(cancel):
        proof = start_again(receiver, cancel)
    _say_started(receiver, proof, None, None, output)
    return 0


def _say_started(
    receiver: Receiver,
    proof: ReceiverProof,
    network: str | None,
    line: AccessChange | None,
    output: Output,
) -> None:
    output.fact(
        {
            "event": "ReceiverStarted",
            **_names(receiver),
            "network": network,
            "pg_hba": line.rule if line else None,
            "lsn": str(proof.lsn),
            "seconds": proof.seconds,
        }
    )
    output.say(
        f"✓ the WAL up to {proof.lsn} is in the volume {receiver.volume}, "
        f"{duration_text(proof.seconds)} after the start"
    )


def status(parsed: argparse.Namespace, output: Output) -> int:
    """Show how the receiver does; exit code 3 when the archive does not follow the primary."""
    receiver = as_it_is(_receiver(parsed))
    found = receiver_status(receiver)
    output.fact({"event": "ReceiverStatus", **_facts(found)})
    output.say(f"{found.name}: {found.state}")
    slot = found.slot
    if slot is not None:
        output.say(
            f"  slot          {found.slot_name}, {'active' if slot.active else 'not active'}"
        )
    if found.lag is not None:
        output.say(f"  behind        {size_text(found.lag)}")
    if found.kept is not None:
        output.say(f"  kept for it   {size_text(found.kept)} of WAL on the primary")
    if found.listing is None:
        output.say(f"  archive       volume:{found.volume} cannot be read (see --to)")
    else:
        last = found.last_segment or "no whole segment yet"
        output.say(f"  archive       volume:{found.volume}, last {last}")
        output.say(f"  being written {found.partial or 'nothing'}")
    for problem in found.problems:
        output.say(f"  ! {problem}")
    for words in found.log[-3:] if found.problems else ():
        output.say(f"    {words}")
    if found.action:
        output.say(f"  try: pitr archive receive {found.action} --docker {receiver.server.name}")
    if not found.problems:
        output.say("  ✓ the archive follows the primary")
    return _REFUSED if found.problems else 0


def stop(parsed: argparse.Namespace, output: Output) -> int:
    """End the receiver. The archive stays; the slot goes only when that is asked for."""
    receiver = as_it_is(_receiver(parsed))
    slot = receiver.slot
    if not owns_slot(receiver):
        raise RefusedError(
            f"the slot {slot} is not pitr's",
            f"neither a receiver of {receiver.server.name} nor the volume {receiver.volume} "
            "names it",
            f"SELECT pg_drop_replication_slot('{slot}') drops what nobody needs any more",
        )
    lines = _end(receiver, parsed.drop_slot, output)
    dropped, why = False, None
    try:
        dropped = _end_slot(receiver, parsed.drop_slot, output)
    except PitrError as error:
        why = error
    output.fact(
        {"event": "ReceiverStopped", **_names(receiver), "slot_dropped": dropped, "pg_hba": lines}
    )
    if why is not None and parsed.drop_slot:
        raise PitrError(
            f"the slot {slot} was not dropped: if it is there, it stays",
            f"{why.what}: {why.why}" if why.why else why.what,
            "start the primary, then `pitr archive receive stop --drop-slot`",
        ) from why
    if why is not None:
        output.say(f"! whether the slot {slot} stays is not known: {why.what}")
    return 0


def _end(receiver: Receiver, slot_alone: bool, output: Output) -> tuple[str, ...]:
    """Remove the sidecar and a network of ours; the lines that pg_hba.conf has for it.

    Raises RefusedError when there is neither and `slot_alone` does not do, PitrError.
    """
    server = receiver.server
    network = stop_receiver(receiver)
    lines: tuple[str, ...] = ()
    if network is not None:
        output.say(f"✓ the receiver is gone; its archive stays in the volume {receiver.volume}")
        with suppress(PitrError):  # a primary that is down cannot say where its file is
            lines = receiver_lines(server, route_on(server.engine, server.container, network))
    for line in lines:
        output.say(f"  pg_hba.conf keeps the line that lets a receiver in: {line}")
    own = network or own_network(server.container)
    if close_route(server.engine, own):
        output.say(f"✓ the network {own} is gone")
    elif network is None and not slot_alone:
        raise RefusedError(
            f"{server.name} has no receiver", "", "--drop-slot drops the slot that one has left"
        )
    return lines


def _end_slot(receiver: Receiver, drop: bool, output: Output) -> bool:
    """Drop the slot if that is wanted, and say what becomes of it. Raises PitrError."""
    slot = receiver.slot
    if not has_slot(receiver):
        output.say(f"  there is no slot {slot}")
        return False
    if not drop and can_ask(output):
        output.say(f"The slot {slot} lets a later start go on without a gap; until then")
        output.say("the primary keeps all WAL for it, which fills its disk in the end.")
        drop = confirmed("Drop the slot too?")
    if drop and drop_slot(receiver):
        output.say(f"✓ the slot {slot} is dropped")
        return True
    output.say(f"! the slot {slot} stays, and with it all WAL from now on: start a")
    output.say("  receiver again, or `pitr archive receive stop --drop-slot`, before the")
    output.say("  primary's disk is full")
    return False


def _receiver(parsed: argparse.Namespace) -> Receiver:
    server = server_of(parsed)
    if server is None:
        raise UsageError(
            "a receiver runs beside a server in a container",
            "",
            "name that container with --docker, or its compose file with --compose",
        )
    return Receiver(server, _volume(parsed.to) or default_volume(server.name), parsed.slot)


def _volume(text: str | None) -> str:
    """A volume's name, also when it is written as elsewhere. Raises UsageError."""
    if not text:
        return ""
    location = engine_location(text if ":" in text else f"volume:{text}")
    if location is None or location.kind is not LocationKind.VOLUME or location.path.parts:
        raise UsageError(f"{text!r} is no volume", "a receiver writes into a volume of its own")
    return location.root


def _missing_line(
    receiver: Receiver, facts: PrimaryFacts, route: Route, environment: dict[str, str]
) -> AccessChange | None:
    """The line that pg_hba.conf lacks, found out by trying. Raises PitrError."""
    try:
        try_replication(receiver.server, route, environment, facts.system_identifier)
    except NoReplicationLine as refused:
        return propose_receiver_access(receiver.server, route, refused.address, environment)
    return None


def _announce(receiver: Receiver, route: Route, output: Output) -> None:
    server = receiver.server
    there = volume_exists(server.engine, receiver.volume)
    output.fact(
        {
            "event": "ReceiverPlan",
            **_names(receiver),
            "network": route.network,
            "new_network": route.new,
            "new_volume": not there,
        }
    )
    kind = "the" if there else "the new"
    output.say(f"The container {receiver.name} will write the WAL into {kind} volume")
    output.say(f"{receiver.volume}, through the replication slot {receiver.slot}.")
    if route.new:
        output.say(f"The network {route.network} will be made, and {server.name} joined to it:")
        output.say("on Docker's default network a server has no name that outlives a restart.")
    else:
        output.say(f"It reaches {server.name} on the network {route.network}.")


def _show(line: AccessChange | None, output: Output) -> None:
    if line is not None:
        output.fact({"event": "ReplicationLine", "rule": line.rule, "diff": line.diff})
        output.say(line.diff)


def _names(receiver: Receiver) -> dict[str, object]:
    return {"receiver": receiver.name, "volume": receiver.volume, "slot": receiver.slot}


def _facts(found: ReceiverStatus) -> dict[str, object]:
    return {
        "receiver": found.name,
        "state": found.state,
        "volume": found.volume,
        "slot": found.slot_name,
        "slot_active": found.slot.active if found.slot else None,
        "lag_bytes": found.lag,
        "kept_bytes": found.kept,
        "last_segment": found.last_segment,
        "partial": found.partial,
        "problems": found.problems,
        "action": found.action,
        "log": found.log,
    }
