"""What of ours is in an engine, and how it goes away.

Whatever pitr makes carries its label. What lacks the label is never touched, and what a
person may still need (archives, backups, whatever runs) is kept unless it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.found import postgres_container, read_small_file
from pitr_tui.containers.labels import LABEL, PRIMARY_LABEL, RUN_LABEL, SLOT_LABEL, Role
from pitr_tui.containers.networks import container_name, networks_of, remove_network
from pitr_tui.errors import PitrError, RefusedError

_STOP_SECONDS = 60
_NOT_FOUND = 404
_IN_USE = 409
_KINDS = ("container", "volume", "network")
_YOUNG_SECONDS = 60
_SERVERS = (Role.SECONDARY, Role.RECEIVER, Role.LAB)
_OF_THE_PERSON = {
    str(Role.ARCHIVE): "it is your archive",
    str(Role.BACKUPS): "it is your backups",
    str(Role.DATA): "it has the data of a secondary",
    str(Role.LAB): "it is the primary of a lab until 'pitr lab stop'",
}
# While one of these is there, PostgreSQL is in recovery; promoting takes it away.
_IN_RECOVERY = ("recovery.signal", "standby.signal", "recovery.conf")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A container, volume or network with our label.

    `used_by` names the containers that hold a volume or a network, whosever they are; `slot`
    is the replication slot that a receiver uses on its `primary`.
    """

    kind: str
    id: str
    name: str
    role: str
    run: str
    created: datetime | None
    state: str
    used_by: tuple[str, ...]
    primary: str = ""
    slot: str = ""

    @property
    def stays(self) -> str:
        """What its removal leaves elsewhere, and how that goes too; "" when there is nothing."""
        if self.role != Role.RECEIVER or not self.slot:
            return ""
        return (
            f"its slot {self.slot} would stay on {self.primary} and keep all WAL there, which "
            f"fills its disk; 'pitr archive receive stop --docker {self.primary} --drop-slot' "
            "ends both"
        )

    @property
    def running(self) -> bool:
        return self.state in ("running", "paused", "restarting")

    def age(self, now: datetime) -> float | None:
        """Seconds since it was made."""
        return None if self.created is None else max(0.0, (now - self.created).total_seconds())


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What would be removed, in order, and why the rest stays."""

    removed: tuple[Leftover, ...]
    kept: tuple[tuple[Leftover, str], ...]


def find_leftovers(engine: Engine) -> tuple[Leftover, ...]:
    """Everything with our label: containers first, then volumes and networks. EngineError."""
    api = engine.client.api
    chosen = {"label": LABEL}
    with engine_errors("what pitr left cannot be listed"):
        everything = api.containers(all=True)
        containers = api.containers(all=True, filters=chosen)
        volumes = api.volumes(filters=chosen).get("Volumes") or ()
        networks = api.networks(filters=chosen)
    users = _users(everything)
    found = [
        _leftover("container", one["Id"], container_name(one), one, state=one["State"])
        for one in containers
    ]
    found += [
        _leftover("volume", one["Name"], one["Name"], one, used_by=users["volume", one["Name"]])
        for one in volumes
    ]
    found += [
        _leftover("network", one["Id"], one["Name"], one, used_by=users["network", one["Name"]])
        for one in networks
    ]
    return tuple(sorted(found, key=lambda one: (_KINDS.index(one.kind), one.name)))


def plan_cleanup(leftovers: Sequence[Leftover], names: Sequence[str] = ()) -> Cleanup:
    """Decide what goes: what `names` names, or without names what nobody needs any more.

    What runs, a receiver, and what a person's data are in go only when they are named.
    """
    if names:
        chosen = tuple(one for one in leftovers if one.name in names)
        return Cleanup(chosen, ())
    removed: list[Leftover] = []
    kept: list[tuple[Leftover, str]] = []
    for one in leftovers:
        gone = {other.name for other in removed if other.kind == "container"}
        reason = _reason_to_keep(one, gone)
        if reason:
            kept.append((one, reason))
        else:
            removed.append(one)
    return Cleanup(tuple(removed), tuple(kept))


def is_open_for_writing(engine: Engine, leftover: Leftover) -> bool:
    """Whether a secondary runs and has left recovery: what was written since is nowhere else.

    Raises EngineError.
    """
    if leftover.role != Role.SECONDARY or not leftover.running:
        return False
    try:
        data = postgres_container(engine, leftover.id).data_directory
    except RefusedError:
        return False  # no server is in it
    return all(read_small_file(engine, leftover.id, data / one) is None for one in _IN_RECOVERY)


def require_ours(engine: Engine, leftovers: Iterable[Leftover], names: Iterable[str]) -> None:
    """Raises RefusedError for a name that is nothing of ours, and EngineError."""
    ours = {one.name for one in leftovers}
    for name in names:
        if name in ours:
            continue
        kind = _kind_of(engine, name)
        if kind:
            raise RefusedError(
                f"the {kind} {name} is not removed",
                f"it does not carry the label {LABEL}, so pitr did not make it",
                f"'docker {kind} rm' removes what is not pitr's",
            )
        raise RefusedError(
            f"there is no container, volume or network {name!r}",
            hint="'pitr cleanup' without a name lists what is pitr's",
        )


def remove(engine: Engine, leftover: Leftover) -> None:
    """Remove one thing; that it is gone already is no failure.

    A server that runs is shut down first, so that its data are sound when they stay. Raises
    EngineError in the engine's words, RefusedError for a network that somebody cannot be without.
    """
    api = engine.client.api
    try:
        with engine_errors(f"the {leftover.kind} {leftover.name} cannot be removed"):
            match leftover.kind:
                case "container":
                    if leftover.running and leftover.role in _SERVERS:
                        api.stop(leftover.id, timeout=_STOP_SECONDS)
                    api.remove_container(leftover.id, v=True, force=True)
                case "volume":
                    api.remove_volume(leftover.id)
                case _:
                    remove_network(engine, leftover.name)
    except EngineError as error:
        if error.status == _NOT_FOUND:
            return
        if error.status == _IN_USE and leftover.kind == "volume":
            users = _holders(engine, leftover.name)
            raise EngineError(error.what, f"{users} uses it", error.hint, _IN_USE) from error
        raise


def remove_all(
    engine: Engine, leftovers: Iterable[Leftover]
) -> tuple[tuple[Leftover, PitrError | None], ...]:
    """Remove each, and tell of each how it ended: one that fails does not keep the others."""
    ended: list[tuple[Leftover, PitrError | None]] = []
    for one in leftovers:
        try:
            remove(engine, one)
        except PitrError as error:
            ended.append((one, error))
        else:
            ended.append((one, None))
    return tuple(ended)


def _reason_to_keep(one: Leftover, gone: set[str]) -> str:
    if reason := _OF_THE_PERSON.get(one.role):
        return f"{reason}: name it to remove it"
    if one.role == Role.RECEIVER:
        why = "it is somebody's archiving: name it to remove it"
        return f"{why}; {one.stays}" if one.stays else why
    if one.running and one.role == Role.HELPER:
        return "a pitr is at work with it, and it ends with that"
    if one.running:
        return "it runs: name it to remove it"
    age = one.age(datetime.now(UTC))
    if one.state in ("", "created") and age is not None and age < _YOUNG_SECONDS:
        return "it was made just now, perhaps by a pitr that is about to use it"
    holding = [name for name in one.used_by if name not in gone]
    return f"{', '.join(holding)} uses it" if holding else ""


def _leftover(
    kind: str,
    identity: str,
    name: str,
    facts: Mapping[str, Any],
    *,
    state: str = "",
    used_by: Sequence[str] = (),
) -> Leftover:
    tags = facts.get("Labels") or {}
    return Leftover(
        kind=kind,
        id=identity,
        name=name,
        role=tags.get(LABEL, ""),
        run=tags.get(RUN_LABEL, ""),
        created=_moment(facts.get("Created") or facts.get("CreatedAt")),
        state=state,
        used_by=tuple(used_by),
        primary=tags.get(PRIMARY_LABEL, ""),
        slot=tags.get(SLOT_LABEL, ""),
    )


def _users(containers: Iterable[Mapping[str, Any]]) -> Mapping[tuple[str, str], list[str]]:
    """Which containers hold a volume or a network."""
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in containers:
        for mount in one.get("Mounts") or ():
            if mount.get("Type") == "volume":
                users["volume", mount.get("Name") or ""].append(container_name(one))
        for network in networks_of(one):
            users["network", network].append(container_name(one))
    return users


def _holders(engine: Engine, volume: str) -> str:
    """The containers that hold a volume now, which the engine itself calls by their ids."""
    with engine_errors("the containers cannot be listed"):
        listed = engine.client.api.containers(all=True)
    return ", ".join(_users(listed)["volume", volume]) or "a container that is going just now"


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, or RFC 3339 with up to nine digits of a second's fraction."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return None


def _kind_of(engine: Engine, name: str) -> str:
    """What of the engine has that name, or nothing."""
    from docker.errors import NotFound

    api = engine.client.api
    looks: tuple[Callable[[str], Any], ...] = (
        api.inspect_container,
        api.inspect_volume,
        api.inspect_network,
    )
    for kind, look in zip(_KINDS, looks, strict=True):
        with engine_errors(f"{name} cannot be looked at"):
            try:
                look(name)
                return kind
            except NotFound:
                continue
    return ""
