"""A receiver takes nothing that is another's: no data, no volume, no container and no slot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from docker import DockerClient

from pitr_tui.containers.engine import Engine
from pitr_tui.containers.found import postgres_container
from pitr_tui.containers.labels import LABEL, PRIMARY_LABEL, Role
from pitr_tui.recovery.receiver_access import shows_password
from pitr_tui.servers.container_server import ContainerServer
from tests.docker.test_receiver import HBA, SLOTS, Beside, last
from tests.docker.world import PASSWORD, Project, majors

pytestmark = pytest.mark.docker


@pytest.fixture
def beside(engine: DockerClient, project: Project) -> Iterator[Beside]:
    found = Beside(engine, str(project.primary.name))
    yield found
    found.remove()


@majors("11", "18", often=("18",))
def test_nothing_is_written_into_the_primarys_own_data(project: Project, beside: Beside) -> None:
    data = project.volume("primary-data")
    hba = project.run(HBA)
    done = beside.pitr("start", "--to", data, "--yes", "--json")
    assert done.returncode == 3
    assert f"volume:{data}" in last(done)["what"]
    assert "the primary's own data directory" in last(done)["what"]
    assert (project.run(HBA), project.sql(SLOTS)) == (hba, "0")
    assert beside.container() is None


def test_a_volume_with_something_else_in_it_is_refused(project: Project, beside: Beside) -> None:
    project.run(["mkdir", "/archive/archive_status"])
    hba = project.run(HBA)
    done = beside.pitr("start", "--to", project.volume("archive"), "--yes", "--json")
    assert done.returncode == 3
    assert "archive_status is in it" in last(done)["why"]
    assert (project.run(HBA), project.sql(SLOTS)) == (hba, "0")
    assert project.run(["ls", "/archive"]) == "archive_status"


@pytest.mark.parametrize("tags", [{}, {LABEL: Role.RECEIVER.value, PRIMARY_LABEL: "another"}])
def test_the_container_of_another_is_left_alone(
    project: Project, beside: Beside, tags: dict[str, str]
) -> None:
    theirs = project.client.containers.run(
        project.primary.attrs["Config"]["Image"],
        ["sleep", "600"],
        name=beside.sidecar,
        labels=project.labels | tags,
        init=True,
        detach=True,
    )
    for words in (["start", "--yes"], ["stop"], ["stop", "--drop-slot"], ["status"]):
        done = beside.pitr(*words, "--json")
        assert done.returncode == 3, words
        assert "is no receiver of" in last(done)["what"]
    theirs.reload()
    assert theirs.status == "running"


def test_the_slot_of_another_is_left_alone(project: Project, beside: Beside) -> None:
    for name in ("theirs", "pitr_receiver"):
        project.sql(f"SELECT pg_create_physical_replication_slot('{name}')")
    started = beside.pitr("start", "--yes", "--json", "--slot", "theirs")
    assert started.returncode == 3
    assert "there is a slot theirs already" in last(started)["why"]
    without_wal = beside.pitr("start", "--yes", "--json")
    assert without_wal.returncode == 3
    assert "there is a slot pitr_receiver already" in last(without_wal)["why"]
    stopped = beside.pitr("stop", "--drop-slot", "--json", "--slot", "theirs")
    assert stopped.returncode == 3
    assert project.sql(SLOTS) == "2"


def test_a_slot_of_ours_is_taken_again(project: Project, beside: Beside) -> None:
    own = ["--slot", "shop"]
    for _ in range(2):
        started = beside.pitr("start", "--yes", "--json", *own)
        assert started.returncode == 0, started.stdout
        assert beside.pitr("stop", *own).returncode == 0
        assert project.sql(SLOTS) == "1"
    assert beside.pitr("stop", "--drop-slot", *own).returncode == 0
    assert project.sql(SLOTS) == "0"


def test_a_slot_stays_only_when_there_is_one(project: Project, beside: Beside) -> None:
    beside.start()
    sidecar = beside.container()
    assert sidecar is not None
    sidecar.stop()
    project.sql("SELECT pg_drop_replication_slot('pitr_receiver')")
    stopped = beside.pitr("stop")
    assert stopped.returncode == 0
    assert "slot pitr_receiver stays" not in stopped.stdout
    assert "there is no slot pitr_receiver" in stopped.stdout


def test_a_slot_that_cannot_be_dropped_now_is_told(project: Project, beside: Beside) -> None:
    beside.start()
    project.primary.stop()
    stopped = beside.pitr("stop", "--drop-slot", "--json")
    assert stopped.returncode == 1
    assert "it stays" in last(stopped)["what"]
    assert "--drop-slot" in last(stopped)["hint"]
    assert beside.container() is None
    project.primary.start()
    project.wait_ready()
    assert project.sql(SLOTS) == "1"
    assert beside.pitr("stop", "--drop-slot").returncode == 0
    assert project.sql(SLOTS) == "0"


def test_only_a_password_that_was_hidden_is_told(project: Project) -> None:
    with closing(Engine.connect()) as own:
        server = ContainerServer(own, postgres_container(own, str(project.primary.name)))
        assert shows_password(server, {"PGPASSWORD": "of another place"})
        assert not shows_password(server, {"PGPASSWORD": PASSWORD})
        assert not shows_password(server, {})
