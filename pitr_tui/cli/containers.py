"""`pitr containers`: the PostgreSQL servers of a Docker engine and of a compose file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import closing

from pitr_tui.cli.output import Output
from pitr_tui.containers.compose import ComposeProject, read_compose
from pitr_tui.containers.container import Mount, PostgresContainer, PublishedPort
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.found import find_postgres
from pitr_tui.containers.service import ComposeService
from pitr_tui.wording import count_text

_NOT_CREATED = "not created"


def containers(parsed: argparse.Namespace, output: Output) -> int:
    """List what there is, with the services of the compose file that were not created."""
    project = read_compose(parsed.compose, os.environ) if parsed.compose else None
    with closing(Engine.connect()) as engine:
        found = find_postgres(engine)
        output.fact(
            {
                "event": "Engine",
                "address": engine.address,
                "version": engine.version,
                "api_version": engine.api_version,
                "rootless": engine.rootless,
                "containers": len(found),
            }
        )
        kind = "rootless Docker" if engine.rootless else "Docker"
        output.say(
            f"{kind} {engine.version} at {engine.address}: "
            f"{count_text(len(found), 'PostgreSQL container')}"
        )
    for container in found:
        output.fact({"event": "Container", **_container_facts(container)})
        _say(output, container, _title(container))
    for service in _missing(project, found):
        output.fact({"event": "Service", **_service_facts(service)})
        image = service.image or "built here"
        _say(output, service, f"{service.name}  [{_NOT_CREATED}]  {image}")
    return 0


def _missing(
    project: ComposeProject | None, found: Sequence[PostgresContainer]
) -> tuple[ComposeService, ...]:
    """The PostgreSQL services without a container."""
    services = project.postgres if project else ()
    return tuple(service for service in services if service.among(found) is None)


def _title(container: PostgresContainer) -> str:
    compose = f"  (compose: {container.compose_project}/{container.compose_service})"
    ours = f"  (pitr's {container.role})" if container.role else ""
    return (
        f"{container.name}  [{container.state}]  {container.image}"
        f"{compose if container.compose_service else ''}{ours}"
    )


def _say(output: Output, one: PostgresContainer | ComposeService, title: str) -> None:
    output.say()
    output.say(title)
    output.say(f"  version         {one.version or 'unknown'}")
    held = one.mount_of(one.data_directory)
    where = f" in {_mounted(held[0])}" if held else ", in the container's own layer"
    output.say(f"  data directory  {one.data_directory}{where}")
    for mount in one.mounts:
        access = "" if mount.writable else " (read-only)"
        output.say(f"  mount           {mount.target} = {_mounted(mount)}{access}")
    for name, address in one.networks.items():
        output.say(f"  network         {name} {address}".rstrip())
    for port in one.ports:
        output.say(f"  published       {_published(port)}")


def _mounted(mount: Mount) -> str:
    kind = {"bind": "host directory", "tmpfs": "memory"}.get(mount.kind, mount.kind)
    return f"{kind} {mount.source}" if mount.source else f"{kind} without a name"


def _published(port: PublishedPort) -> str:
    host = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip or "0.0.0.0"  # noqa: S104
    return f"{host}:{port.host_port or '(any)'} -> {port.container_port}"


def _container_facts(container: PostgresContainer) -> dict[str, object]:
    return {
        "name": container.name,
        "id": container.id,
        "state": container.state,
        "image": container.image,
        "image_id": container.image_id,
        "compose_project": container.compose_project,
        "compose_service": container.compose_service,
        "role": container.role,
        **_common_facts(container),
    }


def _service_facts(service: ComposeService) -> dict[str, object]:
    return {
        "name": service.name,
        "state": _NOT_CREATED,
        "image": service.image,
        "container_name": service.container_name,
        "compose_project": service.compose_project,
        "compose_service": service.name,
        **_common_facts(service),
    }


def _common_facts(one: PostgresContainer | ComposeService) -> dict[str, object]:
    """Named one by one, so that no password can be among them."""
    return {
        "version": str(one.version) if one.version else None,
        "data_directory": str(one.data_directory),
        "mounts": [
            {
                "kind": mount.kind,
                "source": mount.source,
                "target": str(mount.target),
                "writable": mount.writable,
            }
            for mount in one.mounts
        ],
        "networks": dict(one.networks),
        "ports": [port._asdict() for port in one.ports],
        "user": one.user,
        "database": one.database,
    }
