"""Base backups of containers: into volumes, onto the engine's machine, onto this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import NotFound

from pitr_tui.containers.engine import Engine
from pitr_tui.containers.found import postgres_container
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.recovery.backup import Compression
from pitr_tui.recovery.container_backup import (
    ContainerBackupOrder,
    Verified,
    finished_container_backup,
    take_container_backup,
)
from pitr_tui.repositories.backups import TABLESPACES, Backup, BackupFormat, open_backup
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.location import engine_location
from tests.docker import world
from tests.docker.world import PASSWORD, Project
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker

OLD_NEW_AND_BUSYBOX = pytest.mark.parametrize("project", ["11", "18", "15-busybox"], indirect=True)
TAR, PLAIN = BackupFormat.TAR, BackupFormat.PLAIN
Take = Callable[[ContainerBackupOrder], tuple[Backup, Verified]]


@pytest.fixture
def server(project: Project) -> Iterator[ContainerServer]:
    """The project's primary, with a table in it."""
    project.sql("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g")
    own = Engine.connect()
    found = ContainerServer(own, postgres_container(own, str(project.primary.name)))
    yield found
    found.close()
    own.close()


@pytest.fixture
def volume(engine: DockerClient, project: Project) -> Iterator[str]:
    """The name of a volume that is not there yet, and is gone after the test."""
    name = f"{project.name}-backups"
    yield name
    world.remove_volume(engine, name)


def has_volume(engine: DockerClient, name: str) -> bool:
    try:
        engine.volumes.get(name)
    except NotFound:
        return False
    return True


def order(
    server: ContainerServer,
    to: str | Path,
    format: BackupFormat = PLAIN,
    compression: Compression = Compression.NONE,
) -> ContainerBackupOrder:
    place = to if isinstance(to, Path) else engine_location(to) or Path(to)
    facts = Primary(server.database).facts()
    return ContainerBackupOrder(server, facts, place, format, compression)


@pytest.fixture
def taken(volume: str) -> Iterator[Take]:
    """Take a backup, and give it with what was verified; nothing holds it after the test."""
    with ExitStack() as held:

        def take(asked: ContainerBackupOrder) -> tuple[Backup, Verified]:
            *_, verified = take_container_backup(asked)
            assert isinstance(verified, Verified)
            backup = finished_container_backup(asked)
            if isinstance(backup.path, EnginePath):
                held.callback(backup.path.tree.helper.close)
            return backup, verified

        yield take


def in_volume(project: Project, volume: str, script: str) -> str:
    """What a script says that has the volume at /v."""
    image = project.primary.attrs["Config"]["Image"]
    said = world.run_once(
        project.client, image, ["-c", script], entrypoint="sh", volumes=[f"{volume}:/v"]
    )
    return said.decode().strip()


def pitr(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pitr_tui", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def facts_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@OLD_NEW_AND_BUSYBOX
def test_both_formats_into_a_new_volume(
    project: Project, server: ContainerServer, volume: str, taken: Take
) -> None:
    plain, verified = taken(order(server, f"volume:{volume}/plain"))
    packed, packed_verified = taken(
        order(server, f"volume:{volume}/deep/tar", TAR, Compression.GZIP)
    )
    major = plain.version.major
    system = Primary(server.database).facts().system_identifier
    assert (plain.format, plain.system_identifier) == (PLAIN, system)
    assert (packed.format, packed.system_identifier) == (TAR, system)
    assert packed.total_bytes < plain.total_bytes / 4
    assert plain.own_wal()
    assert [path.name for path in packed.tars()] == ["base.tar.gz", "pg_wal.tar.gz"]
    assert verified.done == (major != "11")
    assert packed_verified.done == (major == "18")
    assert ("no manifest" in verified.words) == (major == "11")
    assert in_volume(project, volume, "stat -c '%U %a' /v/plain /v/deep/tar/base.tar.gz") == (
        "postgres 700\npostgres 600"
    )
    labels = project.client.volumes.get(volume).attrs["Labels"]
    assert labels[LABEL] == Role.BACKUPS


@pytest.mark.parametrize("project", ["15-busybox"], indirect=True)
@pytest.mark.parametrize(
    ("compression", "ending"), [(Compression.LZ4, "lz4"), (Compression.ZSTD, "zst")]
)
def test_newer_compressions(
    server: ContainerServer, volume: str, compression: Compression, ending: str, taken: Take
) -> None:
    backup, _ = taken(order(server, f"volume:{volume}/b", TAR, compression))
    assert f"base.tar.{ending}" in [path.name for path in backup.tars()]


def test_a_build_without_a_compression_is_told(
    engine: DockerClient, server: ContainerServer, volume: str, taken: Take
) -> None:
    with pytest.raises(PitrError, match="pg_basebackup failed") as told:
        taken(order(server, f"volume:{volume}/b", TAR, Compression.ZSTD))
    assert "does not support compression with ZSTD" in told.value.why
    assert "gzip" in told.value.hint
    assert not has_volume(engine, volume)


def test_a_directory_of_this_machine_belongs_to_who_asked(
    project: Project, server: ContainerServer, tmp_path: Path, taken: Take
) -> None:
    project.run(["mkdir", "/var/lib/postgresql/space"], user="postgres")
    project.sql("CREATE TABLESPACE space LOCATION '/var/lib/postgresql/space'")
    project.sql("CREATE TABLE apart TABLESPACE space AS SELECT 1 AS a")
    to = tmp_path / "backup"
    backup, verified = taken(order(server, to))
    assert verified.done
    assert backup.path == to
    everything = [to, *to.rglob("*")]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in everything} == {
        (os.getuid(), os.getgid())
    }
    (link,) = (to / "pg_tblspc").iterdir()
    assert link.readlink() == Path("..", TABLESPACES, link.name)
    assert any(path.is_file() for path in link.resolve().rglob("*"))


def test_a_directory_of_the_engines_machine(
    server: ContainerServer, tmp_path: Path, taken: Take
) -> None:
    to = tmp_path / "backup"
    backup, verified = taken(order(server, f"engine:{to}", TAR))
    assert str(backup.path) == f"engine:{to}"
    assert verified.done
    assert open_backup(to).system_identifier == backup.system_identifier
    with pytest.raises(PitrError, match="cannot be made"):
        taken(order(server, f"engine:{tmp_path}/nowhere/backup"))


@pytest.mark.parametrize("kind", ["volume", "engine", "here"])
def test_nothing_is_overwritten(
    project: Project, server: ContainerServer, volume: str, tmp_path: Path, kind: str, taken: Take
) -> None:
    (tmp_path / "kept").write_text("mine")
    in_volume(project, volume, "echo mine >/v/kept")
    places = {"volume": f"volume:{volume}", "engine": f"engine:{tmp_path}"}
    to = places.get(kind, tmp_path)
    with pytest.raises(RefusedError, match="is not empty"):
        taken(order(server, to))
    assert (tmp_path / "kept").read_text() == "mine"
    assert in_volume(project, volume, "ls -A /v") == "kept"


@pytest.mark.parametrize("new", [True, False])
def test_a_cancel_stops_the_tool_and_leaves_nothing(
    engine: DockerClient, project: Project, server: ContainerServer, volume: str, new: bool
) -> None:
    if not new:
        in_volume(project, volume, "echo mine >/v/kept")
    asked = order(server, f"volume:{volume}/b")
    # A backup begins with a checkpoint, which does not end while the checkpointer is held.
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    checkpointer = project.sql(query)
    project.run(["sh", "-c", f"kill -STOP {checkpointer}"])
    cancel = threading.Event()
    receiving = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pitr'"

    def cancel_once_it_waits() -> None:
        wait_until(lambda: project.sql(receiving) != "0", 60)
        cancel.set()

    waiting = threading.Thread(target=cancel_once_it_waits)
    waiting.start()
    try:
        with pytest.raises(CancelledError):
            list(take_container_backup(asked, cancel))
    finally:
        waiting.join()
        project.run(["sh", "-c", f"kill -CONT {checkpointer}"])
    wait_until(lambda: project.sql(receiving) == "0", 30)
    assert has_volume(engine, volume) == (not new)
    if not new:
        assert in_volume(project, volume, "ls -A /v") == "kept"


def test_a_missing_line_of_access_is_told_in_postgresqls_words(
    project: Project, server: ContainerServer, tmp_path: Path, taken: Take
) -> None:
    asked = order(server, tmp_path / "b")
    project.run(["sh", "-c", 'sed -i "/replication/d" "$PGDATA/pg_hba.conf"'])
    project.sql("SELECT pg_reload_conf()")
    with pytest.raises(PitrError, match="pg_basebackup failed") as told:
        taken(asked)
    assert "no pg_hba.conf entry for replication connection" in told.value.why
    assert not (tmp_path / "b").exists()


def test_the_password_is_used_and_never_shown(
    project: Project, server: ContainerServer, volume: str
) -> None:
    project.run(["sh", "-c", 'sed -i "s/trust$/scram-sha-256/" "$PGDATA/pg_hba.conf"'])
    project.sql("SELECT pg_reload_conf()")
    done = pitr("backup", "take", "--docker", server.name, "--to", f"volume:{volume}/b", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    last = facts_of(done)[-1]
    assert last["event"] == "BackupTaken"
    assert last["path"] == f"volume:{volume}/b"
    assert last["verified"] is True
    shown = pitr("backup", "take", "--docker", server.name, "--to", f"volume:{volume}/c")
    assert "pg_verifybackup" in shown.stdout
    assert PASSWORD not in done.stdout + done.stderr + shown.stdout + shown.stderr


def test_the_list_reads_volumes_with_an_image_that_is_there(
    project: Project, server: ContainerServer, volume: str, taken: Take
) -> None:
    taken(order(server, f"volume:{volume}/first"))
    taken(order(server, f"volume:{volume}/second", TAR))
    for words in ([], ["--docker", server.name], ["--image", server.image]):
        done = pitr("backup", "list", f"volume:{volume}", *words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [one["path"] for one in facts_of(done)] == [
            f"volume:{volume}/first",
            f"volume:{volume}/second",
        ]
    assert pitr("backup", "list", f"volume:{volume}-nowhere").returncode == 1


def test_a_place_behind_an_engine_needs_a_container() -> None:
    done = pitr("backup", "take", "--to", "volume:v/b")
    assert done.returncode == 2
    assert "--docker" in done.stderr


@pytest.mark.parametrize("tag", ["11", "18"])
def test_a_backup_does_not_wait_for_archiving_that_does_nothing(
    engine: DockerClient, tmp_path: Path, tag: str
) -> None:
    world.image(engine, f"postgres:{tag}")
    compose = world.tutorial(tag, archive=False).replace(
        f"image: postgres:{tag}", f"image: postgres:{tag}\n    command: [-c, archive_mode=on]"
    )
    with world.running(engine, tmp_path / "compose", compose) as project:
        assert project.sql("SHOW archive_mode") == "on"
        own = Engine.connect()
        server = ContainerServer(own, postgres_container(own, str(project.primary.name)))
        try:
            list(take_container_backup(order(server, tmp_path / "b")))
        finally:
            server.close()
            own.close()
    assert open_backup(tmp_path / "b").own_wal()
