"""The made world in containers: what an engine and a compose file tell of it, as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from pitr_tui.containers.compose import ComposeProject
from pitr_tui.containers.container import Mount, PostgresContainer, PublishedPort
from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.images import ImageFacts
from pitr_tui.containers.service import ComposeService
from pitr_tui.postgres.hba import replication_rule, with_rule
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.access import LOOPBACK, AccessChange
from pitr_tui.recovery.archiving import ArchivingChange
from pitr_tui.recovery.container_archiving import ContainerChange
from pitr_tui.recovery.receiver_status import ReceiverStatus, SlotState
from pitr_tui.servers.container_secondary import ContainerSecondary
from pitr_tui.storage.engine_path import EnginePath, EngineTree
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.screens.connect_found import Behind

_DATA = PurePosixPath("/var/lib/postgresql")
_ARCHIVE = PurePosixPath("/archive")
_ENGINE = "Docker 29.1.3 at unix:///var/run/docker.sock"
_HBA = (
    "# TYPE  DATABASE        USER            ADDRESS                 METHOD\n"
    "local   all             all                                     trust\n"
    "host    all             all             127.0.0.1/32            trust\n"
    "#host    replication     all             127.0.0.1/32            trust\n"
    "host    all             all             all                     scram-sha-256\n"
)


def volume(name: str) -> EngineLocation:
    return EngineLocation(LocationKind.VOLUME, name)


def container(service: str, **different: Any) -> PostgresContainer:
    """A running container of the compose project `shop`, unless something is different."""
    made = PostgresContainer(
        id=f"id of {service}",
        name=f"shop-{service}-1",
        image="postgres:18",
        image_id="sha256:18",
        state="running",
        version=PostgresVersion.parse("18.6"),
        data_directory=_DATA / "18/docker",
        mounts=(
            Mount("volume", "shop_archive", _ARCHIVE, True),
            Mount("volume", f"shop_{service}-data", _DATA, True),
        ),
        networks={"shop_default": "172.18.0.2"},
        ports=(),
        compose_project="shop",
        compose_service=service,
        user="postgres",
        database="postgres",
        command=("docker-entrypoint.sh", "postgres"),
        password="correct horse",
    )
    return replace(made, **different)


PRIMARY = container("primary", ports=(PublishedPort(5432, "127.0.0.1", 5432),))
SECONDARY = ComposeService(
    name="secondary",
    image="postgres:18",
    is_postgres=True,
    version=PostgresVersion.parse("18"),
    data_directory=_DATA / "18/docker",
    mounts=(Mount("volume", "shop_secondary-data", _DATA, True),),
    networks={"shop_default": ""},
    ports=(PublishedPort(5432, "", 5433),),
    compose_project="shop",
    container_name="",
    user="postgres",
    database="postgres",
    command=("docker-entrypoint.sh",),
)
PROJECT = ComposeProject(Path("/srv/shop/docker-compose.yml"), "shop", (SECONDARY,))
OTHERS = (
    container(
        "wiki",
        name="wiki-db",
        image="postgis/postgis:13-3.4",
        version=PostgresVersion.parse("13.23"),
        state="exited",
        compose_project="",
        compose_service="",
    ),
    container("old", name="pitr-shop-secondary-20261120-091500", role="secondary"),
)
FOUND = Behind(_ENGINE, (PRIMARY, *OTHERS))
COMPOSE = Behind(_ENGINE, (PRIMARY, *OTHERS), project=PROJECT)
NO_ENGINE = Behind(
    "",
    refusal=EngineError(
        "the user dba may not use the Docker engine at unix:///var/run/docker.sock",
        "permission denied on its socket",
        "become a member of the group docker (sudo usermod -aG docker $USER, then log in "
        "again), use sudo, or set DOCKER_HOST to a rootless engine of your own",
    ),
)
RECEIVER = ReceiverStatus(
    name="pitr-receiver-shop-primary-1",
    state="running",
    volume="shop_archive",
    slot_name="pitr_receiver",
    slot=SlotState(True, Lsn(0x11000000), Lsn(0x11A3F000), False),
    lag=4096,
    kept=10 << 20,
    listing=None,
    log=(),
    problems=(),
)


def path_in(place: EngineLocation) -> EnginePath:
    """A path that has a name and nothing behind it."""
    tree = EngineTree(cast(Any, None), PurePosixPath("/pitr/place"), f"volume:{place.root}")
    return EnginePath(tree, place.path)


def change_inside(settings: ArchivingChange) -> ContainerChange:
    """The same settings for the container's server, with a directory and a line of access."""
    rule = replication_rule("postgres", LOOPBACK, "scram-sha-256")
    path = _DATA / "18/docker/pg_hba.conf"
    access = AccessChange(path, rule, _HBA.encode(), with_rule(_HBA, rule).encode())
    commands = (("chown", "999:999", str(_ARCHIVE)), ("chmod", "0700", str(_ARCHIVE)))
    return ContainerChange(settings, access, commands)


def secondary(location: EngineLocation) -> ContainerSecondary:
    """The secondary of a plan, whose image was looked into already."""
    made = ContainerSecondary(cast(Engine, None), "postgres:18", location.root, location)
    made.__dict__["facts"] = ImageFacts(
        id="sha256:18",
        postgres_uid=999,
        postgres_gid=999,
        program="/usr/lib/postgresql/18/bin/postgres",
        version="postgres (PostgreSQL) 18.6",
        libc="glibc 2.36",
        pgdata=str(_DATA / "18/docker"),
        user="",
    )
    return made
