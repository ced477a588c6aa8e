"""WAL that a container's primary still has becomes an archive, whether it runs or is dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import NotFound

from pitr_tui.recovery.collect import RECYCLED
from pitr_tui.repositories.archive import WalArchive
from tests.docker import world
from tests.docker.world import Project, remove_volume
from tests.integration.test_cli import lines, pitr

pytestmark = pytest.mark.docker

OLD_NEW_AND_BUSYBOX = pytest.mark.parametrize("project", ["11", "18", "15-busybox"], indirect=True)


@pytest.fixture
def volume(engine: DockerClient, project: Project) -> Iterator[str]:
    """The name of a volume that is not there yet, and is gone after the test."""
    name = f"{project.name}-collected"
    yield name
    remove_volume(engine, name)


def fill(project: Project) -> None:
    """Segments that a checkpoint recycles for later, and some newer ones."""
    for turn in range(8):
        project.sql(f"CREATE TABLE t{turn} AS SELECT g FROM generate_series(1, 1000) g")
        project.sql("SELECT pg_switch_wal()")
        if turn == 5:
            project.sql("CHECKPOINT")


def beside(project: Project, script: str) -> None:
    """Run a script on the volumes of the primary, which does not run."""
    world.run_once(
        project.client,
        project.primary.attrs["Config"]["Image"],
        ["-c", script],
        entrypoint=["sh"],
        volumes_from=[str(project.primary.id)],
    )


def wal(project: Project) -> set[str]:
    return set(project.run(["sh", "-c", 'ls "$PGDATA/pg_wal"']).split())


@OLD_NEW_AND_BUSYBOX
def test_a_live_primary_finishes_its_segment_first(project: Project, tmp_path: Path) -> None:
    fill(project)
    project.sql("CREATE TABLE newest ()")
    newest = project.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    to = tmp_path / "collected"

    done = pitr("archive", "collect", "--docker", project.primary.name, "--to", to, "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = lines(done)
    assert told["switched"] is True
    assert told["unfinished"] is None
    assert (told["last"], told["gaps"]) == (newest, [])
    archive = WalArchive(to)
    held = archive.listing().segments
    assert (held[0].name, held[-1].name) == (told["first"], newest)
    system = int(project.sql("SELECT system_identifier FROM pg_control_system()"))
    for one in held:
        header = archive.header(one)
        assert header.why_not(one, system, header.major) is None
        assert (to / one.name).stat().st_mode & 0o077 == 0
    assert project.sql("SHOW archive_mode") == "off"
    segments = {name for name in wal(project) if len(name) == 24}
    left_out = sum(told["left_out"].values())
    assert told["left_out"][RECYCLED] >= 1, "a name says what a segment is to become"
    assert len(held) >= 2
    assert len(held) + left_out <= len(segments) + 1  # one more may have been made since
    again = pitr("archive", "collect", "--docker", project.primary.name, "--to", to)
    assert again.returncode == 3
    assert "not empty" in again.stderr


@OLD_NEW_AND_BUSYBOX
def test_a_dead_primary_gives_its_unfinished_segment_too(project: Project, volume: str) -> None:
    fill(project)
    project.sql("CREATE TABLE newest ()")
    newest = project.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    before = wal(project)
    project.primary.kill()
    project.primary.wait(timeout=30)

    done = pitr(
        "archive", "collect", "--docker", project.primary.name, "--to", f"volume:{volume}", "--json"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = lines(done)
    assert told["unfinished"] == newest
    assert told["switched"] is False
    project.primary.reload()
    assert project.primary.status == "exited"
    project.primary.start()
    project.wait_ready()
    assert before - wal(project) <= {name for name in before if name < newest}
    image = project.primary.attrs["Config"]["Image"]
    listed = world.run_once(
        project.client, image, ["-n", "/v"], entrypoint=["ls"], volumes=[f"{volume}:/v:ro"]
    )
    names = {line.split()[-1]: line.split()[2] for line in listed.decode().splitlines()[1:]}
    assert f"{newest}.partial" in names
    assert newest not in names
    assert len(names) == told["segments"] + 1
    assert set(names.values()) == {"999"}
    ages = "find /v -type f -mmin +60"
    old = world.run_once(
        project.client, image, ["-c", ages], entrypoint=["sh"], volumes=[f"{volume}:/v:ro"]
    )
    assert old == b"", "a new file is as old as its collecting"


@world.majors("11", "18", often=("18",))
def test_wal_in_a_directory_of_its_own_is_found(project: Project, tmp_path: Path) -> None:
    """As `initdb --waldir` makes it: pg_wal is a link."""
    fill(project)
    project.primary.stop()
    image = project.primary.attrs["Config"]["Image"]
    script = 'cd "$PGDATA" && mv pg_wal /archive/wal && ln -s /archive/wal pg_wal'
    world.run_once(
        project.client,
        image,
        ["-c", script],
        entrypoint=["sh"],
        volumes_from=[str(project.primary.id)],
    )
    to = tmp_path / "collected"

    dead = pitr("archive", "collect", "--docker", project.primary.name, "--to", to, "--json")
    assert dead.returncode == 0, dead.stdout
    project.primary.start()
    project.wait_ready()
    more = tmp_path / "more"
    live = pitr("archive", "collect", "--docker", project.primary.name, "--to", more, "--json")

    assert live.returncode == 0, live.stdout
    assert lines(live)[0]["last"] >= lines(dead)[0]["unfinished"]


def test_wal_that_no_recovery_can_use_is_refused(engine: DockerClient, tmp_path: Path) -> None:
    image = world.image(engine, "postgres:18")
    compose = world.tutorial("18", archive=False).replace(
        f"image: {image}",
        f"image: {image}\n    command: [-c, wal_level=minimal, -c, max_wal_senders=0]",
    )
    with world.running(engine, tmp_path / "compose", compose) as project:
        name, to = project.primary.name, tmp_path / "collected"
        done = pitr("archive", "collect", "--docker", name, "--to", to, "--json")
        assert done.returncode == 3
        assert "wal_level is minimal" in lines(done)[-1]["why"]
        assert "wal_level = replica" in lines(done)[-1]["hint"]
        assert not to.exists()


def test_what_to_do_with_a_server_that_does_not_run(project: Project) -> None:
    name = project.primary.name
    project.primary.pause()
    paused = lines(pitr("archive", "status", "--docker", name, "--json"))[-1]
    project.primary.unpause()
    project.primary.stop()
    stopped = lines(pitr("archive", "status", "--docker", name, "--json"))[-1]
    assert (paused["what"], paused["hint"]) == (
        f"the container {name} is paused",
        f"docker unpause {name}",
    )
    assert stopped["why"] == "it is exited"
    assert stopped["hint"].startswith(f"docker start {name}; ")
    assert stopped["hint"].endswith(f"pitr archive collect --docker {name}")


def test_a_volume_that_is_in_use_is_refused(project: Project) -> None:
    project.run(["touch", "/archive/something"])
    place = f"volume:{project.volume('archive')}"
    done = pitr("archive", "collect", "--docker", project.primary.name, "--to", place, "--json")
    assert done.returncode == 3
    assert "is not empty" in lines(done)[-1]["what"]
    assert project.run(["ls", "/archive"]) == "something"


def test_what_is_no_cluster_leaves_nothing_behind(project: Project, volume: str) -> None:
    project.primary.stop()
    beside(project, 'rm "$PGDATA/global/pg_control"')
    done = pitr(
        "archive", "collect", "--docker", project.primary.name, "--to", f"volume:{volume}", "--json"
    )
    assert done.returncode == 1
    assert "has no cluster" in lines(done)[-1]["what"]
    with pytest.raises(NotFound):
        project.client.volumes.get(volume)
