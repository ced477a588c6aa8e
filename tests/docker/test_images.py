"""The images keep the promises of the official ones that the product relies on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from docker import DockerClient
from docker.models.containers import Container

from tests.docker.world import MAJORS, MARK, OLD_AND_NEW, PASSWORD, Project, executed, image, majors
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker

Run = Callable[..., Container]


@pytest.fixture
def run(engine: DockerClient) -> Iterator[Run]:
    """A function that starts a container, which is removed after the test."""
    started: list[Container] = []

    def start(tag: str, *command: str, **options: Any) -> Container:
        container = engine.containers.create(
            image(engine, tag), list(command), labels={MARK: "images"}, **options
        )
        started.append(container)
        container.start()
        return container

    yield start
    for container in started:
        container.remove(force=True, v=True)


def refusal(container: Container) -> str:
    """What a container says that has to refuse to start."""
    assert container.wait(timeout=30)["StatusCode"] == 1
    return container.logs().decode()


@majors(*MAJORS, "15-busybox")
def test_it_is_the_server_it_claims_to_be(project: Project, request: pytest.FixtureRequest) -> None:
    major = request.node.callspec.params["project"].partition("-")[0]
    environment = dict(line.split("=", 1) for line in project.run(["env"]).splitlines())
    data = environment["PGDATA"]

    assert int(project.sql("SHOW server_version_num")) // 10000 == int(major)
    assert environment["PG_MAJOR"] == major
    assert environment["PG_VERSION"].startswith(project.sql("SHOW server_version").split()[0])
    expected = (
        "/var/lib/postgresql/data" if int(major) < 18 else f"/var/lib/postgresql/{major}/docker"
    )
    assert data == expected == project.sql("SHOW data_directory")
    assert project.run(["stat", "-c", "%u:%g %a", data]) == "999:999 700"
    assert project.run(["id", "postgres"]).startswith("uid=999(postgres) gid=999(postgres)")
    assert project.run(["stat", "-c", "%u", "/proc/1"]) == "999"
    assert project.run(["pg_basebackup", "--version"], user="postgres")


@majors(*OLD_AND_NEW, "15-busybox")
def test_it_stops_at_once_and_keeps_its_data(project: Project) -> None:
    project.sql("CREATE TABLE kept AS SELECT 42 AS answer")

    before = time.monotonic()
    project.primary.stop(timeout=60)
    took = time.monotonic() - before
    project.primary.reload()

    assert took < 20, "SIGINT has to be a fast shutdown"
    assert project.primary.attrs["State"]["ExitCode"] == 0
    project.primary.start()
    project.wait_ready()
    assert project.sql("SELECT answer FROM kept") == "42"
    assert b"Skipping initialization" in project.primary.logs()


@majors(*OLD_AND_NEW, often=("18",))
def test_it_asks_everyone_on_the_network_for_the_password(project: Project) -> None:
    def enter(password: str) -> None:
        port = project.published_port()
        psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=password).close()

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        enter("wrong")
    enter(PASSWORD)
    beside = ["psql", "-Atc", "SELECT 1", f"host=primary user=postgres password='{PASSWORD}'"]
    # A loaded engine may end the stream of a quick command before its output is through.
    wait_until(lambda: project.run(beside, "secondary") == "1", 60)


def test_it_makes_no_cluster_without_a_password(run: Run) -> None:
    assert "superuser password is not specified" in refusal(run("postgres:18"))


def test_18_refuses_a_volume_at_the_old_place(run: Run) -> None:
    container = run(
        "postgres:18",
        environment={"POSTGRES_PASSWORD": PASSWORD},
        volumes=["/var/lib/postgresql/data"],
    )

    assert "mount the volume at /var/lib/postgresql," in refusal(container)


def test_it_makes_the_database_that_the_environment_describes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_text("CREATE TABLE made (by_sql int);")
    (tmp_path / "2.sh").write_text('psql -U ann -d shop -c "CREATE TABLE made_by_shell ()"')
    tmp_path.chmod(0o755)
    container = run(
        "postgres:11",
        "-c",
        "archive_mode=on",
        environment={
            "POSTGRES_HOST_AUTH_METHOD": "trust",
            "POSTGRES_USER": "ann",
            "POSTGRES_DB": "shop",
            "POSTGRES_INITDB_ARGS": "--data-checksums",
        },
        volumes=[f"{tmp_path}:/docker-entrypoint-initdb.d:ro"],
    )

    def psql(query: str) -> str:
        command = ["psql", "-h", "127.0.0.1", "-U", "ann", "-d", "shop", "-Atc", query]
        return executed(container, command)[1]

    wait_until(lambda: psql("SELECT 'there'") == "there", 60)
    assert psql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'made%'") == "2"
    assert psql("SHOW data_checksums") == psql("SHOW archive_mode") == "on"


def test_it_runs_another_program_as_it_is_told(engine: DockerClient, run: Run) -> None:
    container = run("postgres:11", "sh", "-c", "echo $0 is not a server; exit 3")

    assert container.wait(timeout=30)["StatusCode"] == 3
    assert container.logs() == b"sh is not a server\n"


def test_busybox_is_all_that_its_image_has(run: Run) -> None:
    tools = ["sh", "cp", "mv", "cmp", "sync", "stat", "find", "tar", "gzip", "head", "cat", "ls"]
    script = 'for tool; do readlink -f "$(which "$tool")"; done'
    container = run("postgres:15-busybox", "sh", "-c", script, "sh", *tools)

    assert container.wait(timeout=30)["StatusCode"] == 0
    assert container.logs().decode().splitlines() == ["/usr/bin/busybox"] * len(tools)


def test_one_image_has_no_postgresql(run: Run) -> None:
    container = run("nginx:test", "sh", "-c", "find / -xdev -iname '*postgres*'; ls /bin")

    assert container.wait(timeout=30)["StatusCode"] == 0
    assert container.logs() == b"busybox\nsh\n"
