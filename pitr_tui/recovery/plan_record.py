"""A plan as JSON values, so that a run can be taken up again by another process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, open_backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.secondary import Secondary
from pitr_tui.storage.location import engine_location
from pitr_tui.storage.path import ReadPath

if TYPE_CHECKING:
    from pitr_tui.containers.engine import Engine

_LOCAL, _CONTAINER = "local", "container"


class Places(Protocol):
    """How the caller reaches what a plan names. Both raise PitrError."""

    def engine(self) -> Engine: ...
    def path(self, place: str, image: str) -> ReadPath:
        """A directory of this machine, or one behind the engine, read with that image."""


def recorded(plan: RecoveryPlan) -> dict[str, Any]:
    """Everything that `plan_from` needs, as JSON values."""
    return {
        "backup": str(plan.backup.path),
        "label": _mark_of(plan.backup),
        "archive": str(plan.archive.directory.absolute()),
        "secondary": _recorded_secondary(plan.secondary),
        "target": _recorded_target(plan.target),
        "action": str(plan.action),
        "timeline": None if plan.timeline is None else int(plan.timeline),
        "raised": dict(plan.raised),
        "preload": {name: list(libraries) for name, libraries in plan.preload.items()},
        "read_ahead": plan.read_ahead,
    }


def plan_from(data: Mapping[str, Any], places: Places) -> RecoveryPlan:
    """The plan that was recorded; its backup and archive are opened anew.

    Raises PitrError when one of them is not there any more, RefusedError for a record that
    tells no plan.
    """
    try:
        image = str(data["secondary"].get("image", ""))
        archive = WalArchive(places.path(data["archive"], image))
        backup = open_backup(places.path(data["backup"], image), archive)
        if data["label"] != _mark_of(backup):
            raise RefusedError(
                f"{backup.path} is not the backup that this run began with",
                f"now it is one that began at {backup.label.start_lsn}, {backup.label.start_time}",
                "put the first one back where it was, or recover once more",
            )
        return RecoveryPlan(
            backup=backup,
            archive=archive,
            secondary=_secondary(data["secondary"], (archive.directory, backup.path), places),
            target=_target(data["target"]),
            action=TargetAction(data["action"]),
            timeline=None if data["timeline"] is None else TimelineId(data["timeline"]),
            raised={str(name): int(value) for name, value in data["raised"].items()},
            preload={name: tuple(libraries) for name, libraries in data["preload"].items()},
            read_ahead=bool(data["read_ahead"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(
            "the journal does not tell the plan of this run",
            f"{error!r}",
            "it was made by an older pitr, or changed; recover once more",
        ) from error


def secondary_from(data: Mapping[str, Any], places: Places) -> Secondary:
    """The secondary of a recorded plan alone, where backup and archive are not needed."""
    try:
        return _secondary(data["secondary"], (), places)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedError(
            "the journal does not tell the plan of this run",
            f"{error!r}",
            "it was made by an older pitr, or changed",
        ) from error


def _mark_of(backup: Backup) -> list[str]:
    """What tells one backup from another one at the same path."""
    label = backup.label
    return [str(label.start_lsn), str(label.start_time), str(backup.system_identifier)]


def _recorded_secondary(secondary: Secondary) -> dict[str, Any]:
    if isinstance(secondary, LocalSecondary):
        return {
            "kind": _LOCAL,
            "directory": str(secondary.directory),
            "bindir": str(secondary.installation.bindir),
            "user": secondary.user.name,
            "port": secondary.port,
            "role": secondary.role,
        }
    from pitr_tui.servers.container_secondary import ContainerSecondary

    if not isinstance(secondary, ContainerSecondary):
        raise PitrError("this kind of secondary cannot be recorded", type(secondary).__name__)
    return {
        "kind": _CONTAINER,
        "engine": secondary.engine.address,
        "image": secondary.image,
        "name": secondary.name,
        "place": str(secondary.place),
        "network": secondary.network,
        "port": secondary.port,
        "role": secondary.role,
        "source_image": secondary.source_image,
    }


def _secondary(data: Mapping[str, Any], reads: tuple[ReadPath, ...], places: Places) -> Secondary:
    if data["kind"] == _LOCAL:
        return LocalSecondary(
            Path(data["directory"]),
            Installation.at(Path(data["bindir"])),
            server_user(data["user"]),
            data["port"],
            data["role"],
        )
    if data["kind"] != _CONTAINER:
        raise ValueError(data["kind"])
    from pitr_tui.servers.container_secondary import ContainerSecondary

    engine, place = places.engine(), engine_location(data["place"])
    if engine.address != data["engine"]:
        raise RefusedError(
            "the run belongs to another Docker engine",
            f"it was made at {data['engine']}, and this one is {engine.address}",
            "set DOCKER_HOST, or the context, as it was then",
        )
    if place is None:
        raise ValueError(data["place"])
    return ContainerSecondary(
        engine=engine,
        image=data["image"],
        name=data["name"],
        place=place,
        reads=reads,
        network=data["network"],
        port=data["port"],
        role=data["role"],
        source_image=data["source_image"],
    )


def _recorded_target(target: RecoveryTarget) -> dict[str, Any]:
    match target:
        case AtTime(time, inclusive):
            return {"kind": target.kind, "value": time.isoformat(), "inclusive": inclusive}
        case AtXid(xid, inclusive):
            return {"kind": target.kind, "value": xid, "inclusive": inclusive}
        case AtLsn(lsn, inclusive):
            return {"kind": target.kind, "value": str(lsn), "inclusive": inclusive}
        case AtName(name):
            return {"kind": target.kind, "value": name}
    return {"kind": target.kind}


def target_from(data: Mapping[str, Any]) -> RecoveryTarget | None:
    """The target of a recorded plan; None where the record tells none."""
    try:
        return _target(data["target"])
    except (KeyError, TypeError, ValueError, AttributeError, PitrError):
        return None


def _target(data: Mapping[str, Any]) -> RecoveryTarget:
    match data["kind"]:
        case AtTime.kind:
            return AtTime(datetime.fromisoformat(data["value"]), data["inclusive"])
        case AtXid.kind:
            return AtXid(data["value"], data["inclusive"])
        case AtLsn.kind:
            return AtLsn(Lsn.parse(data["value"]), data["inclusive"])
        case AtName.kind:
            return AtName(data["value"])
        case Immediate.kind:
            return Immediate()
        case Latest.kind:
            return Latest()
    raise ValueError(data["kind"])
