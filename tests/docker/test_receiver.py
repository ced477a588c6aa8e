"""A receiver beside a container: WAL arrives without a restart, and nothing of it is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.found import postgres_container
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.errors import RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.recovery import receiver_start
from pitr_tui.recovery.receiver import Receiver, require_receivable
from pitr_tui.recovery.receiver_access import admit, propose_receiver_access
from pitr_tui.recovery.receiver_start import start_receiver
from pitr_tui.repositories.archive import ArchiveListing, WalArchive
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.route import NoReplicationLine, open_route, route_to, try_replication
from pitr_tui.storage.engine_place import open_place
from pitr_tui.storage.location import EngineLocation, LocationKind
from tests.docker import world
from tests.docker.world import PASSWORD, Project
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker

OLD_NEW_AND_BUSYBOX = pytest.mark.parametrize("project", ["11", "18", "15-busybox"], indirect=True)
SLOTS = "SELECT count(*) FROM pg_replication_slots"
FOLLOWING = """
SELECT count(*) FROM pg_stat_replication
 WHERE application_name = 'pitr_receiver' AND flush_lsn >= pg_current_wal_lsn()
"""
HBA = ["sh", "-c", 'cat "$PGDATA/pg_hba.conf"']


class Beside:
    """What a test does with the receiver of one container, by the command line."""

    def __init__(self, client: DockerClient, primary: str) -> None:
        self.client = client
        self.primary = primary
        self.volume = f"{primary}-wal"
        self.sidecar = f"pitr-receiver-{primary}"

    def pitr(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pitr_tui", "archive", "receive", action]
        return subprocess.run(
            [*command, "--docker", self.primary, "--to", self.volume, *words],
            capture_output=True,
            text=True,
            timeout=180,
            stdin=subprocess.DEVNULL,
        )

    def start(self) -> dict[str, Any]:
        """Start it and give the facts of its last line."""
        done = self.pitr("start", "--yes", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return last(done)

    def follows(self) -> bool:
        """Whether the primary says that the receiver has flushed all that was written."""
        command = ["psql", "-X", "-At", "-U", world.USER, "-c", FOLLOWING]
        code, said = self.client.containers.get(self.primary).exec_run(command)
        return bool(code == 0 and said == b"1\n")

    def container(self) -> Container | None:
        try:
            return self.client.containers.get(self.sidecar)
        except NotFound:
            return None

    def has_volume(self) -> bool:
        return self.volume in [one.name for one in self.client.volumes.list()]

    def remove(self) -> None:
        """End what a failed test may have left."""
        if container := self.container():
            container.remove(force=True, v=True)
        world.remove_volume(self.client, self.volume)


def last(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


@pytest.fixture
def beside(engine: DockerClient, project: Project) -> Iterator[Beside]:
    found = Beside(engine, str(project.primary.name))
    yield found
    found.remove()


@pytest.fixture
def server(project: Project) -> Iterator[ContainerServer]:
    with closing(Engine.connect()) as own:
        found = ContainerServer(own, postgres_container(own, str(project.primary.name)))
        with closing(found):
            yield found


def listed(server: ContainerServer, volume: str) -> ArchiveListing:
    place = open_place(server.engine, server.image, EngineLocation(LocationKind.VOLUME, volume))
    with place.tree.helper:
        return WalArchive(place).listing()


def write_a_segment(project: Project) -> str:
    """Write something, finish the segment that has it, and give that one's name."""
    project.sql("CREATE TABLE IF NOT EXISTS t (g int)")
    project.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    return project.sql("SELECT pg_walfile_name(pg_switch_wal())")


@OLD_NEW_AND_BUSYBOX
def test_wal_arrives_without_a_restart(
    project: Project, beside: Beside, server: ContainerServer
) -> None:
    hba, started = project.run(HBA), project.sql("SELECT pg_postmaster_start_time()")
    refused = beside.pitr("start", "--json")
    assert (refused.returncode, last(refused)["what"]) == (3, "nothing was changed")
    assert (project.run(HBA), project.sql(SLOTS)) == (hba, "0")
    assert beside.container() is None
    assert not beside.has_volume()

    facts = beside.start()
    network = project.client.networks.get(project.network)
    subnet = network.attrs["IPAM"]["Config"][0]["Subnet"]
    method = "md5" if server.image == "postgres:11" else "scram-sha-256"
    assert facts["pg_hba"].split() == ["host", "replication", "postgres", subnet, method]
    assert set(project.run(HBA).splitlines()) - set(hba.splitlines()) == {facts["pg_hba"]}
    segment = write_a_segment(project)
    wait_until(beside.follows, 60)
    assert project.sql("SELECT pg_postmaster_start_time()") == started
    told = beside.pitr("status", "--json")
    assert (told.returncode, last(told)["slot_active"]) == (0, True)
    assert last(told)["lag_bytes"] < 1 << 20
    assert last(told)["problems"] == []

    found = listed(server, beside.volume)
    assert segment in [one.name for one in found.segments]
    assert len(found.ranges) == 1
    sidecar = beside.container()
    assert sidecar is not None
    assert sidecar.labels[LABEL] == Role.RECEIVER
    assert sidecar.attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert PASSWORD not in " ".join(sidecar.attrs["Config"]["Cmd"])
    again = beside.pitr("start", "--yes", "--json")
    assert (again.returncode, beside.sidecar in last(again)["what"]) == (3, True)

    anonymous = {one["Name"] for one in sidecar.attrs["Mounts"]} - {beside.volume}
    assert anonymous, "the image declares a volume"
    stopped = beside.pitr("stop", "--drop-slot", "--json")
    assert (stopped.returncode, last(stopped)["slot_dropped"]) == (0, True)
    assert last(stopped)["pg_hba"] == [facts["pg_hba"]]
    assert not anonymous.intersection(str(one.name) for one in project.client.volumes.list())
    assert project.sql(SLOTS) == "0"
    assert beside.container() is None
    assert beside.has_volume()


def test_the_segment_being_written_is_in_the_archive(
    project: Project, beside: Beside, server: ContainerServer
) -> None:
    beside.start()
    project.sql("CREATE TABLE t AS SELECT 1 AS a")
    wait_until(beside.follows, 60)
    now = project.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    place = EngineLocation(LocationKind.VOLUME, beside.volume)
    path = open_place(server.engine, server.image, place)
    with path.tree.helper:
        archive = WalArchive(path)
        assert now in [one.name for one in archive.listing().partial]
        found = archive.find(now)
        assert found is not None
        assert found.name == f"{now}.partial"
        assert archive.header(archive.listing().partial[-1]).segment_size == 16 << 20


@world.majors("11", "18", often=("18",))
def test_it_survives_a_restart_of_the_primarys_container(project: Project, beside: Beside) -> None:
    beside.start()
    project.primary.restart()
    project.wait_ready()
    project.sql("CREATE TABLE after_the_restart AS SELECT 1 AS a")
    wait_until(beside.follows, 90)


@world.majors("11", "18", often=("18",))
def test_nothing_is_lost_between_stop_and_start(
    project: Project, beside: Beside, server: ContainerServer
) -> None:
    beside.start()
    first = write_a_segment(project)
    wait_until(beside.follows, 60)
    stopped = beside.pitr("stop")
    assert stopped.returncode == 0
    assert "fills" in stopped.stdout or "disk is full" in stopped.stdout
    for _ in range(3):
        final = write_a_segment(project)
        project.sql("CHECKPOINT")
    alone = beside.pitr("status", "--json")
    assert alone.returncode == 3
    assert last(alone)["kept_bytes"] > 2 * (16 << 20)
    assert any("fills its disk" in one for one in last(alone)["problems"])
    beside.start()
    wait_until(beside.follows, 60)
    (run,) = listed(server, beside.volume).ranges
    assert run.first.name <= first
    assert run.last.name >= final


def test_a_slot_that_was_left_can_be_dropped_alone(project: Project, beside: Beside) -> None:
    beside.start()
    assert beside.pitr("stop").returncode == 0
    assert project.sql(SLOTS) == "1"
    assert beside.pitr("stop").returncode == 3
    assert beside.pitr("stop", "--drop-slot").returncode == 0
    assert project.sql(SLOTS) == "0"
    assert beside.pitr("status").returncode == 3


def test_a_receiver_that_has_ended_is_started_again(project: Project, beside: Beside) -> None:
    archive = [sys.executable, "-m", "pitr_tui", "archive", "status", "--docker", beside.primary]
    beside.start()
    follows = subprocess.run(archive, capture_output=True, text=True, timeout=180)
    assert follows.returncode == 0, follows.stdout
    assert f"archived by the receiver {beside.sidecar} (running)" in follows.stdout
    assert "archive_mode is off" not in follows.stdout

    sidecar = beside.container()
    assert sidecar is not None
    sidecar.stop()
    ended = subprocess.run([*archive, "--json"], capture_output=True, text=True, timeout=180)
    assert ended.returncode == 3
    assert last(ended)["receiver"]["state"] == "exited"
    told = beside.pitr("status")
    assert told.returncode == 3
    assert f"try: pitr archive receive start --docker {beside.primary}" in told.stdout

    write_a_segment(project)
    refused = beside.pitr("start")
    assert (refused.returncode, "nothing was changed" in refused.stderr) == (3, True)
    beside.start()
    wait_until(beside.follows, 60)
    again = beside.container()
    assert again is not None
    assert again.id == sidecar.id


def test_a_primary_that_is_down_is_told(project: Project, beside: Beside) -> None:
    beside.start()
    project.primary.stop()
    done = beside.pitr("status", "--json")
    assert done.returncode == 3
    assert last(done)["state"] == "running"
    assert last(done)["partial"]
    assert "the primary does not answer" in last(done)["problems"][0]


def test_a_start_that_fails_leaves_nothing(
    project: Project, beside: Beside, server: ContainerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_start, "_PROOF_SECONDS", 2)
    monkeypatch.setattr(receiver_start, "current_lsn", lambda *_: Lsn.parse("FFFF/0"))
    hba = project.run(HBA)
    receiver = Receiver(server, beside.volume)
    facts = receiver.primary.facts()
    route = route_to(server.engine, server.container)
    environment = {"LC_ALL": "C", "PGPASSWORD": PASSWORD}
    with pytest.raises(NoReplicationLine) as refused:
        try_replication(server, route, environment, facts.system_identifier)
    line = propose_receiver_access(server, route, refused.value.address, environment)
    with (
        pytest.raises(EngineError, match="did not arrive within 2 seconds"),
        admit(server, line),
    ):
        start_receiver(receiver, facts, route, environment)
    assert project.run(HBA) == hba
    assert project.sql(SLOTS) == "0"
    assert beside.container() is None
    assert not beside.has_volume()


def test_the_archive_of_another_cluster_is_refused(
    project: Project, beside: Beside, server: ContainerServer
) -> None:
    project.client.volumes.create(beside.volume, labels=project.labels)
    world.run_once(
        project.client,
        server.image,
        [
            "-c",
            'd=$(mktemp -d) && chown postgres "$d" && gosu postgres initdb -D "$d" >/dev/null && '
            "cp $d/pg_wal/0* /v/ && chown -R postgres /v",
        ],
        entrypoint="sh",
        volumes=[f"{beside.volume}:/v"],
    )
    hba = project.run(HBA)
    done = beside.pitr("start", "--yes", "--json")
    assert done.returncode == 3
    assert "the WAL of another cluster" in last(done)["what"]
    assert (project.run(HBA), project.sql(SLOTS)) == (hba, "0")
    assert beside.has_volume()


def test_missing_room_is_told_before_anything_is_done(engine: DockerClient, tmp_path: Path) -> None:
    image = world.image(engine, "postgres:18")
    compose = world.tutorial("18", archive=False).replace(
        f"image: {image}",
        f"image: {image}\n    command: [-c, wal_level=minimal, -c, max_wal_senders=0]",
    )
    with (
        world.running(engine, tmp_path / "compose", compose) as project,
        closing(Engine.connect()) as own,
    ):
        server = ContainerServer(own, postgres_container(own, str(project.primary.name)))
        with closing(server):
            receiver = Receiver(server, "v")
            with pytest.raises(RefusedError) as told:
                require_receivable(receiver, receiver.primary.facts())
    assert "wal_level is minimal" in told.value.why
    assert "max_wal_senders" in told.value.why


def test_a_container_on_the_default_network_gets_one_with_names(
    engine: DockerClient, project: Project
) -> None:
    image = world.image(engine, "postgres:18")
    primary = engine.containers.run(
        image,
        name=f"{project.name}-alone",
        environment={"POSTGRES_PASSWORD": PASSWORD},
        labels=project.labels,
        detach=True,
    )
    beside = Beside(engine, str(primary.name))
    network = f"pitr-{primary.name}"
    ready = ["pg_isready", "-q", "-h", "127.0.0.1"]
    try:
        wait_until(lambda: primary.exec_run(ready)[0] == 0, 60)
        assert beside.start()["network"] == network
        primary.restart()
        wait_until(beside.follows, 90)
        assert beside.pitr("stop", "--drop-slot").returncode == 0
        primary.reload()
        assert list(primary.attrs["NetworkSettings"]["Networks"]) == ["bridge"]
        assert engine.networks.list(names=[network]) == []

        again = beside.start()
        assert (again["network"], again["pg_hba"]) == (network, None), "the line that is there does"
        primary.stop()
        assert beside.pitr("stop").returncode == 0
        primary.start()  # it looks for every network that it is joined to
        primary.reload()
        assert list(primary.attrs["NetworkSettings"]["Networks"]) == ["bridge"]

        with closing(Engine.connect()) as own:  # as a start that was killed leaves it
            found = postgres_container(own, str(primary.name))
            open_route(own, found, route_to(own, found))
        assert beside.pitr("stop").returncode == 0
        primary.reload()
        assert list(primary.attrs["NetworkSettings"]["Networks"]) == ["bridge"]
        assert beside.pitr("stop").returncode == 3
    finally:
        beside.remove()
        primary.remove(force=True, v=True)
        for left in engine.networks.list(names=[network]):
            left.remove()
