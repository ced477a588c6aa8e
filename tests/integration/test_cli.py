"""The commands as a person types them: separate processes, exit codes, JSON lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.postgres.moment import for_settings
from pitr_tui.recovery import archiving
from pitr_tui.repositories.backups import BackupFormat
from pitr_tui.servers.local import LocalServer
from pitr_tui.servers.process import running_pid
from tests.integration.conftest import majors
from tests.integration.world import RESTORE_POINT, World

pytestmark = pytest.mark.integration


def pitr(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pitr_tui", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def restore(world: World, to: Path, *target: str) -> subprocess.CompletedProcess[str]:
    where = ["--backup", world.backup_path, "--archive", world.archive_directory, "--to", to]
    programs = ["--bindir", world.installation.bindir]
    return pitr("restore", *where, *programs, *target, "--json")


def secondary(world: World, destination: Path) -> LocalServer:
    """The server that a restore left running."""
    return LocalServer(
        world.installation,
        destination,
        world.user,
        destination / "pitr" / "socket",
        5432,
        destination / "pitr" / "postgresql.log",
    )


@majors("11", "18", often=("18",))
@pytest.mark.parametrize(
    ("kind", "rows"), [("xid", 3), ("time", 3), ("name", 2), ("immediate", 1), ("latest", 4)]
)
def test_restore_reaches_each_target(world: World, kind: str, rows: int) -> None:
    mark = world.marks[3]
    target = {
        "xid": ["--target-xid", str(mark.xid)],
        "time": ["--target-time", for_settings(mark.time)],
        "name": ["--target-name", RESTORE_POINT],
        "immediate": ["--immediate"],
        "latest": ["--latest"],
    }[kind]
    destination = world.new_destination()
    done = restore(world, destination, *target)
    server = secondary(world, destination)
    try:
        assert done.returncode == 0, done.stderr + done.stdout
        assert lines(done)[-1]["event"] == "RunFinished"
        assert server.database.row("SELECT count(*) FROM t") == (rows,)
    finally:
        server.stop()


@majors("18")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--target-time", "yesterday-ish"], 2, "is not a time"),
        (["--target-time", "2026-11-22 14:35"], 2, "does not say in which time zone"),
        (["--target-time", "2026-11-22 14:35 EST5"], 2, "not a time zone"),
        (["--target-lsn", "nonsense"], 2, "not a WAL position"),
        (["--target-xid", "1"], 2, "not a transaction id"),
        (["--latest", "--exclusive"], 2, "--exclusive makes no sense"),
        (["--latest", "--action", "pause"], 2, "cannot pause"),
        (["--timeline", "7"], 3, "00000007.history"),
        (["--target-time", "2001-01-01 00:00+00"], 3, "before the end of the backup"),
        (["--target-time", "2126-01-01 00:00+00"], 3, "future"),
        (["--target-xid", "4000000000"], 3, "ended before this backup began, or never"),
    ],
)
def test_bad_input_is_told_and_leaves_nothing(
    world: World, arguments: Sequence[str], code: int, words: str
) -> None:
    destination = world.new_destination()
    done = restore(world, destination, *arguments)
    error = lines(done)[-1]
    assert (done.returncode, error["exit_code"]) == (code, code)
    assert words in f"{error['what']} {error['why']}"
    assert "Traceback" not in done.stderr + done.stdout
    assert not destination.exists()


def test_dry_run_prints_the_plan_and_touches_nothing(world: World) -> None:
    destination = world.new_destination()
    where = ["--backup", world.backup_path, "--archive", world.archive_directory]
    done = pitr("restore", *where, "--to", destination, "--target-xid", "777", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "recovery_target_xid = '777'" in done.stdout
    assert "recovery_target_action = 'pause'" in done.stdout
    assert not destination.exists()


def test_backups_are_taken_and_listed(world: World) -> None:
    place = world.directory / "more"
    place.mkdir()
    world.user.own(place)
    dsn = f"host={world.server.socket_directory} user=postgres"
    for name, options in (("plain", []), ("tar", ["--format", "tar", "--gzip"])):
        done = pitr("backup", "take", "-d", dsn, "--to", place / name, *options, "--json")
        assert done.returncode == 0, done.stdout
        assert lines(done)[-1]["event"] == "BackupTaken"
    listed = pitr("backup", "list", place, "--archive", world.archive_directory, "--json")
    assert [(one["label"], one["format"]) for one in lines(listed)] == [
        ("pitr", "plain"),
        ("pitr", "tar"),
    ]
    again = pitr("backup", "take", "-d", dsn, "--to", place / "plain", "--json")
    assert again.returncode == 3
    assert (place / "plain" / "PG_VERSION").exists()


def test_tar_backup_is_recovered_too(own_world: World) -> None:
    backup = own_world.directory / "tarred"
    own_world.take_backup(backup, BackupFormat.TAR)
    own_world.insert(5)
    archiving.prove(own_world.primary, own_world.archive_directory)
    destination = own_world.new_destination()
    where = ["--backup", backup, "--archive", own_world.archive_directory, "--to", destination]
    done = pitr("restore", *where, "--target-xid", str(own_world.marks[5].xid), "--json")
    server = secondary(own_world, destination)
    try:
        assert done.returncode == 0, done.stdout
        assert server.database.row("SELECT max(id) FROM t") == (5,)
    finally:
        server.stop()


def test_dead_primary_is_told(tmp_path: Path) -> None:
    for command in (["archive", "status"], ["backup", "take", "--to", tmp_path / "b"]):
        done = pitr(*command, "-d", f"host={tmp_path} port=1", "--json")
        assert done.returncode == 1
        assert "cannot connect" in lines(done)[-1]["what"]
    assert not (tmp_path / "b").exists()


def test_archive_status_of_a_working_primary(world: World) -> None:
    done = pitr("archive", "status", "-d", f"host={world.server.socket_directory} user=postgres")
    assert done.returncode == 0, done.stdout
    assert "archiving is on" in done.stdout


@pytest.mark.parametrize("event", ["RunStarted", "Progress", "LogArrived", "SegmentStaged"])
def test_interrupt_leaves_nothing(world: World, event: str) -> None:
    destination = world.new_destination()
    target = for_settings(world.marks[3].time)
    command = ["restore", "--backup", world.backup_path, "--archive", world.archive_directory]
    process = subprocess.Popen(
        [sys.executable, "-m", "pitr_tui", *map(str, command)]
        + ["--to", str(destination), "--target-time", target, "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 130, rest
    assert running_pid(destination) is None
    assert not destination.exists()


def test_demo_recovers_exactly_the_good_rows(world: World) -> None:
    place = world.directory / "demo"
    done = pitr("demo", "--rows", "2000", "--dir", place, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    last = lines(done)[-1]
    assert last["expected_rows"] == last["recovered_rows"] == 4000
    assert last["wrong_rows"] == 0
    assert last["wrong_rows_on_primary"] == 1000
    assert last["segments_restored"] > 0
    assert last["stop_reason"].startswith("before the commit of transaction")
    assert "recover the secondary" in last["seconds"]
    assert not place.exists()


def test_interrupted_demo_leaves_no_server(world: World) -> None:
    place = world.directory / "interrupted"
    process = subprocess.Popen(
        [sys.executable, "-m", "pitr_tui", "demo", "--rows", "200000", "--dir", str(place)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (place / "backups").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = running_pid(place / "primary")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not place.exists()
