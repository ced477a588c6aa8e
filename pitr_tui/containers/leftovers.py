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
from pitr_tui.containers.labels import LABEL, RUN_LABEL, Role
from pitr_tui.errors import PitrError, RefusedError

_STOP_SECONDS = 60
_NOT_FOUND = 404
_KINDS = ("container", "volume", "network")
_OF_THE_PERSON = {Role.ARCHIVE, Role.BACKUPS}


@dataclass(frozen=True, slots=True)
class Leftover:
    """A container, volume or network with our label.

    `used_by` names the containers that hold a volume or a network, whosever they are.
    """

    kind: str
    id: str
    name: str
    role: str
    run: str
    created: datetime | None
    state: str
    used_by: tuple[str, ...]

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
        _leftover("container", one["Id"], _name(one), one, state=one["State"]) for one in containers
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


def plan_cleanup(
    leftovers: Sequence[Leftover], names: Sequence[str] = (), running: bool = False
) -> Cleanup:
    """Decide what goes: what `names` names, or without names what nobody needs any more.

    `running` lets secondaries go that still run. A receiver that runs is somebody's archiving,
    and a helper that runs belongs to a pitr that is at work: they go only when they are named.
    """
    if names:
        chosen = tuple(one for one in leftovers if one.name in names)
        return Cleanup(chosen, tuple((one, "not named") for one in leftovers if one not in chosen))
    removed: list[Leftover] = []
    kept: list[tuple[Leftover, str]] = []
    for one in leftovers:
        gone = {other.name for other in removed if other.kind == "container"}
        reason = _reason_to_keep(one, running, gone)
        if reason:
            kept.append((one, reason))
        else:
            removed.append(one)
    return Cleanup(tuple(removed), tuple(kept))


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
    EngineError in the engine's words.
    """
    api = engine.client.api
    try:
        with engine_errors(f"the {leftover.kind} {leftover.name} cannot be removed"):
            match leftover.kind:
                case "container":
                    if leftover.running and leftover.role in (Role.SECONDARY, Role.RECEIVER):
                        api.stop(leftover.id, timeout=_STOP_SECONDS)
                    api.remove_container(leftover.id, v=True, force=True)
                case "volume":
                    api.remove_volume(leftover.id)
                case _:
                    api.remove_network(leftover.id)
    except EngineError as error:
        if error.status != _NOT_FOUND:
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


def _reason_to_keep(one: Leftover, running: bool, gone: set[str]) -> str:
    if one.role in _OF_THE_PERSON:
        return f"it is your {one.role}: name it to remove it"
    if one.running and one.role == Role.RECEIVER:
        return "it runs, and is somebody's archiving: name it to remove it"
    if one.running and one.role == Role.HELPER:
        return "a pitr is at work with it, and it ends with that"
    if one.running and not running:
        return "it runs: name it, or say --yes"
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
    )


def _users(containers: Iterable[Mapping[str, Any]]) -> Mapping[tuple[str, str], list[str]]:
    """Which containers hold a volume or a network."""
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in containers:
        for mount in one.get("Mounts") or ():
            if mount.get("Type") == "volume":
                users["volume", mount.get("Name") or ""].append(_name(one))
        for network in (one.get("NetworkSettings") or {}).get("Networks") or ():
            users["network", network].append(_name(one))
    return users


def _name(container: Mapping[str, Any]) -> str:
    """The container's own name; the others are links with a second slash."""
    names = [name.lstrip("/") for name in container.get("Names") or ()]
    own = next((name for name in names if "/" not in name), "")
    return own or str(container["Id"])[:12]


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
