"""Named volumes: made only when asked for, removed only when they are ours."""

from __future__ import annotations

import time

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.labels import LABEL, Role, labels
from pitr_tui.errors import RefusedError
from pitr_tui.postgres.quote import visible

_IN_USE = 409
_RELEASE_SECONDS = 3  # the engine lets go of a volume a moment after its container is gone
_POLL = 0.05


def volume_exists(engine: Engine, name: str) -> bool:
    """Whether the engine has a volume of this name. Raises EngineError."""
    try:
        require_volume(engine, name)
    except EngineError as error:
        if error.status == 404:
            return False
        raise
    return True


def require_volume(engine: Engine, name: str) -> None:
    """Raises EngineError when there is no such volume: a mount would make an empty one."""
    with engine_errors(
        f"the volume {visible(name)} cannot be used", "'docker volume ls' shows those that exist"
    ):
        engine.client.volumes.get(name)


def create_volume(engine: Engine, name: str, role: Role, run: str = "") -> None:
    """Make an empty volume of ours. Raises RefusedError when it exists, EngineError."""
    if volume_exists(engine, name):
        raise RefusedError(
            f"there is a volume {visible(name)} already",
            "nothing that exists is overwritten",
            "choose another name",
        )
    with engine_errors(f"the volume {visible(name)} cannot be made"):
        engine.client.volumes.create(name, labels=labels(role, run))


def remove_volume(engine: Engine, name: str) -> None:
    """Remove a volume of ours; one that is gone is no error.

    Raises RefusedError for a volume without our label, EngineError when it is in use.
    """
    if not volume_exists(engine, name):
        return
    deadline = time.monotonic() + _RELEASE_SECONDS
    while True:
        try:
            with engine_errors(f"the volume {visible(name)} cannot be removed"):
                volume = engine.client.volumes.get(name)
                if LABEL not in (volume.attrs.get("Labels") or {}):
                    raise RefusedError(
                        f"the volume {visible(name)} is not removed",
                        "it does not carry our label, so it is not ours",
                    )
                volume.remove()
            return
        except EngineError as error:
            if error.status != _IN_USE or time.monotonic() > deadline:
                raise
        time.sleep(_POLL)
