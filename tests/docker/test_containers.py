"""PostgreSQL containers are found whatever state they are in, and nothing else is taken for one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from docker import DockerClient
from docker.models.containers import Container

from pitr_tui.cli import main
from pitr_tui.containers.compose import read_compose
from pitr_tui.containers.container import Mount, PublishedPort
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.found import find_postgres, postgres_container, read_small_file
from pitr_tui.containers.labels import Role, labels
from pitr_tui.errors import RefusedError
from pitr_tui.postgres.version import PostgresVersion
from tests.docker import world
from tests.docker.world import MARK, PASSWORD, Project

pytestmark = pytest.mark.docker

IMAGE = "postgres:11"
OLD_PLACE = PurePosixPath("/var/lib/postgresql/data")
Create = Callable[..., Container]


@pytest.fixture
def found_in(engine: DockerClient) -> Iterator[Engine]:
    """The same engine as our code sees it."""
    with closing(Engine.connect()) as ours:
        yield ours


@pytest.fixture(scope="module")
def fork(engine: DockerClient) -> Iterator[str]:
    """A PostgreSQL image that neither its name nor its environment gives away."""
    world.image(engine, IMAGE)
    base = engine.containers.create(IMAGE)
    tag = f"pitr-test-{uuid.uuid4().hex[:8]}:1"
    nothing = ["ENV PG_MAJOR=", "ENV PG_VERSION=", "ENV PGDATA=", "ENTRYPOINT []", "CMD []"]
    try:
        base.commit(*tag.split(":"), changes=nothing)
    finally:
        base.remove(v=True)
    yield tag
    engine.images.remove(tag)


@pytest.fixture(scope="module")
def volume(engine: DockerClient) -> Iterator[str]:
    """A volume that holds the first file of a cluster of version 11."""
    name = f"pitr-test-{uuid.uuid4().hex[:8]}"
    engine.volumes.create(name, labels={MARK: "found"})
    world.run_once(
        engine,
        world.image(engine, IMAGE),
        ["sh", "-c", "echo 11 > /v/PG_VERSION"],
        entrypoint=[],
        volumes=[f"{name}:/v"],
    )
    yield name
    world.remove_volume(engine, name)


@pytest.fixture
def create(engine: DockerClient) -> Iterator[Create]:
    """Makes containers that are not started, and removes them with their volumes."""
    world.image(engine, IMAGE)
    made: list[Container] = []

    def one(image: str = IMAGE, command: Any = None, **options: Any) -> Container:
        options["labels"] = {MARK: "found", **options.get("labels", {})}
        name = f"pitr-test-{uuid.uuid4().hex[:8]}"
        made.append(engine.containers.create(image, command, name=name, **options))
        return made[-1]

    yield one
    for container in made:
        container.remove(force=True, v=True)


@world.majors("11", "18")
def test_a_project_that_runs(project: Project, found_in: Engine) -> None:
    major = project.sql("SHOW server_version").partition(".")[0]
    by_name = {one.name: one for one in find_postgres(found_in)}
    primary = by_name[f"{project.name}-primary-1"]
    asked = project.sql("SHOW server_version")
    assert primary.version == PostgresVersion.parse(asked)
    assert str(primary.data_directory) == project.sql("SHOW data_directory")
    assert primary.state == "running"
    assert primary.image == f"postgres:{major}"
    assert (primary.compose_project, primary.compose_service) == (project.name, "primary")
    volume = Mount(
        "volume",
        project.volume("primary-data"),
        PurePosixPath(world.data_volume(major)),
        writable=True,
    )
    assert volume in primary.mounts
    rest = primary.data_directory.relative_to(volume.target)
    assert primary.mount_of(primary.data_directory) == (volume, rest)
    address = project.run(["hostname", "-i"])
    assert primary.networks == {project.network: address}
    assert primary.ports == (PublishedPort(5432, "127.0.0.1", project.published_port()),)
    assert primary.password == PASSWORD
    assert PASSWORD not in repr(primary)
    compose = read_compose(project.file, {"COMPOSE_PROJECT_NAME": project.name})
    service = compose.service("primary")
    assert service.container(found_in) == primary
    assert service.data_directory == primary.data_directory
    assert set(service.mounts) == set(primary.mounts)
    assert set(service.networks) == set(primary.networks)


def test_every_state(create: Create, found_in: Engine) -> None:
    container = create(environment={"POSTGRES_PASSWORD": PASSWORD})
    name = container.name or ""
    assert postgres_container(found_in, name).state == "created"
    container.start()
    container.pause()
    assert postgres_container(found_in, name).state == "paused"
    container.unpause()
    assert postgres_container(found_in, name).state == "running"
    container.kill()
    container.wait()
    found = postgres_container(found_in, name)
    assert (found.state, found.networks) == ("exited", {"bridge": ""})
    assert postgres_container(found_in, str(container.id)[:12]) == found


def test_version_of_a_dead_fork(create: Create, fork: str, volume: str, found_in: Engine) -> None:
    """Only PG_VERSION in its volume tells what it is, and the volume is read without starting."""
    empty = create(fork, ["/start.sh"], volumes=["/srv/pgdata"])
    with pytest.raises(RefusedError, match="no PostgreSQL container"):
        postgres_container(found_in, empty.name or "")
    container = create(fork, ["/start.sh"], volumes=[f"{volume}:/srv/pgdata"])
    found = postgres_container(found_in, container.name or "")
    assert found.version == PostgresVersion.parse("11")
    assert found.data_directory == PurePosixPath("/srv/pgdata")
    assert found.mount_of(found.data_directory / "base") == (
        Mount("volume", volume, PurePosixPath("/srv/pgdata"), writable=True),
        PurePosixPath("base"),
    )


def test_configuration_beside_the_data(create: Create, volume: str, found_in: Engine) -> None:
    """`-D` may name the configuration only (as Supabase's image does): PG_VERSION decides."""
    command = ["postgres", "-D", "/etc/postgresql"]
    filled = create(command=command, volumes=[f"{volume}:{OLD_PLACE}"])
    assert postgres_container(found_in, filled.name or "").data_directory == OLD_PLACE
    empty = create(command=command)
    place = postgres_container(found_in, empty.name or "").data_directory
    assert place == PurePosixPath("/etc/postgresql")


@pytest.mark.parametrize(
    "command",
    [["-c", "wal_level=replica"], ["postgres", "--wal-level=replica"]],
)
def test_settings_of_the_command_line(create: Create, found_in: Engine, command: list[str]) -> None:
    found = postgres_container(found_in, create(command=command).name or "")
    assert found.fixed_settings() == {"wal_level": "replica"}
    assert found.data_directory == OLD_PLACE


def test_a_password_in_a_file(create: Create, found_in: Engine, tmp_path: Path) -> None:
    """As compose mounts a secret; the container runs or does not."""
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    container = create(
        environment={"POSTGRES_PASSWORD_FILE": "/run/secrets/db"},
        volumes=[f"{secret}:/run/secrets/db:ro"],
    )
    assert postgres_container(found_in, container.name or "").password == PASSWORD
    container.start()
    assert postgres_container(found_in, container.name or "").password == PASSWORD


@pytest.mark.parametrize("command", [["psql", "-h", "db"], ["sleep", "9"], ["sh", "-c", "true"]])
def test_a_client_of_the_same_image_is_no_server(
    create: Create, found_in: Engine, command: list[str]
) -> None:
    container = create(command=command)
    assert container.name not in {one.name for one in find_postgres(found_in)}


def test_other_images_are_no_servers(create: Create, fork: str, found_in: Engine) -> None:
    container = create(fork, ["sleep", "9"], environment={"POSTGRES_PASSWORD": "x", "PGHOST": "db"})
    assert container.name not in {one.name for one in find_postgres(found_in)}


def test_ours_are_told_apart(create: Create, found_in: Engine) -> None:
    """A helper of ours is no server, also when it has a server's image; a secondary is one."""
    helper = create(labels=labels(Role.HELPER))
    receiver = create(labels=labels(Role.RECEIVER))
    secondary = create(labels=labels(Role.SECONDARY))
    found = {one.name: one.role for one in find_postgres(found_in)}
    assert helper.name not in found
    assert receiver.name not in found
    assert found[secondary.name or ""] == "secondary"
    with pytest.raises(RefusedError):
        postgres_container(found_in, helper.name or "")


def test_who_is_there_instead(create: Create, found_in: Engine) -> None:
    container = create()
    with pytest.raises(RefusedError) as caught:
        postgres_container(found_in, "nobody")
    assert str(container.name) in caught.value.why
    with pytest.raises(RefusedError):
        postgres_container(found_in, "")


def test_small_files(create: Create, found_in: Engine) -> None:
    container = str(create().id)
    assert read_small_file(found_in, container, PurePosixPath("/etc/passwd"))
    assert read_small_file(found_in, container, PurePosixPath("/etc/none")) is None
    assert read_small_file(found_in, container, PurePosixPath("/etc")) is None
    bash = read_small_file(found_in, container, PurePosixPath("/bin/bash"))
    assert bash is not None
    assert len(bash) == 1 << 16
    assert bash.startswith(b"\x7fELF")


def test_the_command(create: Create, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows what there is and what the compose file wants, and never a password."""
    project = f"pitr-test-{uuid.uuid4().hex[:8]}"
    tags = {"com.docker.compose.project": project, "com.docker.compose.service": "primary"}
    container = create(environment={"POSTGRES_PASSWORD": PASSWORD}, labels=tags)
    file = tmp_path / "compose.yaml"
    file.write_text(f"name: {project}\n{world.tutorial('11')}")
    assert main(["containers", "--compose", str(file)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Docker ")
    assert f"{container.name}  [created]  {IMAGE}  (compose: {project}/primary)" in shown
    assert "secondary  [not created]  postgres:11" in shown
    assert "primary  [not created]" not in shown
    assert main(["containers", "--compose", str(tmp_path), "--json"]) == 0
    printed = capsys.readouterr().out
    facts = [json.loads(line) for line in printed.splitlines()]
    assert facts[0]["event"] == "Engine"
    (own,) = (one for one in facts if one.get("name") == container.name)
    assert own["version"].startswith("11")
    assert own["data_directory"] == str(OLD_PLACE)
    assert own["mounts"][0]["target"] == str(OLD_PLACE)
    (absent,) = (one for one in facts if one["event"] == "Service")
    assert (absent["name"], absent["state"]) == ("secondary", "not created")
    assert PASSWORD not in shown + printed
