"""The end of a network of ours, without harm to the containers that were joined to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.errors import RefusedError

_NOT_FOUND = 404


def remove_network(engine: Engine, name: str) -> None:
    """Take every container off a network, and remove it; one that is gone is no error.

    A stopped container counts: it would look for the network when it is started, and not
    start. Raises RefusedError when one was made on this network and could not be without it,
    EngineError.
    """
    api = engine.client.api
    with engine_errors(f"the network {name} cannot be removed"):
        joined = [one for one in api.containers(all=True) if name in networks_of(one)]
    held = [container_name(one) for one in joined if _was_made_on(one, name)]
    if held:
        raise RefusedError(
            f"the network {name} is not removed",
            f"{', '.join(held)} was made on it and cannot start without it",
            f"remove {', '.join(held)} first",
        )
    for one in joined:
        with _already_gone_is_well(f"{container_name(one)} cannot be taken off the network {name}"):
            api.disconnect_container_from_network(one["Id"], name, force=True)
    with _already_gone_is_well(f"the network {name} cannot be removed"):
        api.remove_network(name)


def networks_of(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """The networks of a listed container, running or not, by name."""
    return (container.get("NetworkSettings") or {}).get("Networks") or {}


def container_name(container: Mapping[str, Any]) -> str:
    """A listed container's own name; the others are links with a second slash."""
    names = [name.lstrip("/") for name in container.get("Names") or ()]
    own = next((name for name in names if "/" not in name), "")
    return own or str(container["Id"])[:12]


@contextmanager
def _already_gone_is_well(what: str) -> Iterator[None]:
    try:
        with engine_errors(what):
            yield
    except EngineError as error:
        if error.status != _NOT_FOUND:
            raise


def _was_made_on(container: Mapping[str, Any], network: str) -> bool:
    """Whether a network is a container's first one; helpers go, and never start again."""
    mode = (container.get("HostConfig") or {}).get("NetworkMode")
    return bool(mode == network) and (container.get("Labels") or {}).get(LABEL) != Role.HELPER
