"""The tutorial, line by line, by the commands: two services of a compose file, one accident."""

from __future__ import annotations

import subprocess

import pytest
from docker import DockerClient

from tests.docker.accident import events, pitr
from tests.docker.secondaries import assert_undisturbed, has, query
from tests.docker.world import Project, majors, remove_volume

pytestmark = pytest.mark.docker

ROWS = 20_000


def told(done: subprocess.CompletedProcess[str], kind: str) -> dict[str, object]:
    assert done.returncode == 0, done.stdout + done.stderr
    return events(done, kind)[-1]


@majors("11", "18", often=("18",))
def test_the_tutorial(engine: DockerClient, project: Project, secondary: str) -> None:
    primary = ("--compose", str(project.file), "--service", "primary", "--json")
    standby = ("--compose", str(project.file), "--service", "secondary", "--json")
    archive = f"volume:{project.volume('archive')}"
    backup = f"volume:{secondary}-backups/base"

    def insert(kind: str, rows: int) -> None:
        project.sql(f"INSERT INTO orders (kind) SELECT '{kind}' FROM generate_series(1, {rows})")

    assert pitr("archive", "status", *primary).returncode == 3
    told(pitr("archive", "enable", "--yes", *primary), "ArchivingProved")
    project.sql("CREATE TABLE orders (id bigserial PRIMARY KEY, kind text NOT NULL)")
    insert("good", ROWS)
    try:
        taken = told(pitr("backup", "take", "--to", backup, *primary), "BackupTaken")
        assert taken["path"] == backup
        insert("good", ROWS)
        noted = project.sql("SELECT clock_timestamp()")
        insert("wrong", ROWS // 2)
        told(pitr("archive", "enable", "--yes", *primary), "ArchivingProved")

        done = pitr(
            *("restore", "--backup", backup, "--archive", archive, "--to", f"volume:{secondary}"),
            *("--target-time", noted, *standby),
        )
        finished = told(done, "RunFinished")
    finally:
        remove_volume(engine, f"{secondary}-backups")
    assert finished["state"] == "paused at target"
    container = engine.containers.get(secondary)
    counted = "SELECT count(*), count(*) FILTER (WHERE kind = 'good'), sum(id) FROM orders"
    assert query(container, counted) == f"{2 * ROWS}|{2 * ROWS}|{ROWS * (2 * ROWS + 1)}"
    assert project.sql("SELECT count(*) FROM orders") == f"{2 * ROWS + ROWS // 2}"
    old = int(query(container, "SHOW server_version_num")) < 120000
    assert has(container, "recovery.conf" if old else "recovery.signal")
    log = [str(event["text"]) for event in events(done, "LogArrived")]
    assert any("recovery stopping before commit" in line for line in log)
    assert_undisturbed(project.primary)
