"""Minute zero: a mark on a primary that lives, and the WAL that a dead one still had."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.moment import parse_moment
from pitr_tui.postgres.target import AtName, AtTime, Latest
from pitr_tui.recovery import archiving
from pitr_tui.recovery.minute_zero import plan_mark
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.sql import Database
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.session import Session
from tests.integration.test_cli import lines, pitr
from tests.integration.world import RESTORE_POINT, World, run
from tests.tui.scenes import screen_text, settled
from tests.tui.scenes import until as until_drawn

pytestmark = pytest.mark.integration

MORE_MAJORS = ("10", "11", "12", "13", "14", "16", "17", "18")
own_worlds = pytest.mark.parametrize(
    "own_world", ["11", pytest.param("18", marks=pytest.mark.matrix)], indirect=True
)
every_world = pytest.mark.parametrize(
    "own_world",
    [one if one == "11" else pytest.param(one, marks=pytest.mark.matrix) for one in MORE_MAJORS],
    indirect=True,
)
old_world = pytest.mark.parametrize("own_world", ["11"], indirect=True)


def dsn(world: World, user: str = "postgres") -> str:
    return f"host={world.server.socket_directory} user={user} dbname=postgres"


def fingerprint(directory: Path) -> dict[str, str]:
    """Every file below a directory with its contents, its time and its kind."""
    found = {}
    for path in sorted(directory.rglob("*")):
        facts = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        what = f"{facts.st_mode:o} {facts.st_size} {facts.st_mtime_ns}"
        found[str(path.relative_to(directory))] = f"{what} {hashlib.sha256(data).hexdigest()}"
    return found


def until(happened: Callable[[], object], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


async def until_shown(pilot: Pilot[Any], words: str) -> None:
    await until_drawn(pilot, lambda: words in screen_text(pilot.app))


@every_world
def test_a_mark_makes_this_moment_a_target(own_world: World, state_dir: Path) -> None:
    world = own_world
    world.insert(5)
    done = pitr("mark", "-d", dsn(world), "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    position, marked, archived = lines(done)
    assert [one["event"] for one in lines(done)] == ["Position", "Marked", "Archived"]
    assert (world.archive_directory / marked["segment"]).is_file()
    assert position["time"] <= marked["time"]
    assert archived["segment"] == marked["segment"]
    journal = Path(marked["journal"])
    assert journal.parent == state_dir / "incidents"
    assert journal.stat().st_mode & 0o777 == 0o600
    noted = [json.loads(line) for line in journal.read_text().splitlines()]
    events = ["Position", "MarkWanted", "Marked", "Archived"]
    assert [one["event"] for one in noted] == events
    switch = world.server.version.switch_wal_function
    assert noted[1]["statements"][-1] == f"SELECT {switch}()"

    # Nothing is committed behind it by anybody else: both targets are reached all the same.
    by_name = run(world.plan(AtName(marked["name"])))
    assert by_name.rows == [1, 2, 3, 4, 5]
    by_name.server.stop()
    time_ = parse_moment(marked["time"])
    by_time = run(world.plan(AtTime(time_)))
    assert by_time.rows == [1, 2, 3, 4, 5]
    by_time.server.stop()


@old_world
def test_a_mark_without_archiving_says_what_that_means(own_world: World) -> None:
    world, database = own_world, own_world.server.database
    database.rows("ALTER SYSTEM SET archive_command = ''")
    database.rows("SELECT pg_reload_conf()")
    until(lambda: database.row("SHOW archive_command")[0] in ("", "(disabled)"))
    done = pitr("mark", "-d", dsn(world))
    assert done.returncode == 0, done.stderr
    assert "the WAL stays in pg_wal only" in done.stdout
    assert "--target-name incident_" in done.stdout

    database.rows("CREATE ROLE guest LOGIN")
    with pytest.raises(RefusedError) as refused:
        plan_mark(Primary(Database({**database.parameters, "user": "guest"})))
    assert "pg_create_restore_point(text)" in refused.value.why

    database.rows("GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO guest")
    database.rows("GRANT EXECUTE ON FUNCTION pg_switch_wal() TO guest")
    assert plan_mark(Primary(Database({**database.parameters, "user": "guest"}))).not_archived


@pytest.mark.matrix
@own_worlds
def test_a_mark_waits_for_no_standby_and_tells_of_an_archiver_that_fails(own_world: World) -> None:
    world, database = own_world, own_world.server.database
    database.rows("ALTER SYSTEM SET archive_command = 'exit 1'")
    database.rows("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
    database.rows("SELECT pg_reload_conf()")
    until(lambda: database.row("SHOW synchronous_standby_names")[0] == "gone")
    done = pitr("mark", "-d", dsn(world), "--timeout", "6", "--json")
    assert done.returncode == 1
    assert [one["event"] for one in lines(done)] == ["Position", "Marked", "Error"]
    assert "the mark is set, but" in lines(done)[-1]["what"]
    assert "the archiver fails: 0000000" in lines(done)[-1]["why"]
    noted = Path(lines(done)[1]["journal"]).read_text().splitlines()
    assert json.loads(noted[-1])["event"] == "NotArchived"


@pytest.mark.parametrize("world", ["11"], indirect=True)
def test_a_standby_is_not_marked(world: World, state_dir: Path) -> None:
    paused = run(world.plan(AtName(RESTORE_POINT)))
    try:
        with pytest.raises(RefusedError, match="this server is a standby"):
            plan_mark(Primary(paused.server.database))
    finally:
        paused.server.stop()
    assert not (state_dir / "incidents").exists()


class Load:
    """Sessions that insert rows one by one, and note each whose commit was acknowledged."""

    def __init__(self, database: Database, sessions: int) -> None:
        self.acknowledged: list[int] = []
        self._threads = [
            threading.Thread(target=self._insert, args=(database, number * 1_000_000))
            for number in range(1, sessions + 1)
        ]
        for thread in self._threads:
            thread.start()

    def _insert(self, database: Database, first: int) -> None:
        try:
            with database.connect() as connection, connection.cursor() as cursor:
                for number in range(first, first + 1_000_000):
                    cursor.execute("INSERT INTO t VALUES (%s)", [number])
                    self.acknowledged.append(number)
        except PitrError:
            return  # the server is gone

    def wait_for_more(self) -> None:
        wanted = len(self.acknowledged) + 50
        until(lambda: len(self.acknowledged) > wanted)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)


def processes_in(directory: Path) -> list[int]:
    """The processes of this machine that work in a directory."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cwd").resolve(strict=True) == directory.resolve():
                found.append(int(place.name))
        except OSError:
            continue
    return found


@pytest.fixture
def dead(own_world: World) -> tuple[World, list[int]]:
    """A primary that was killed under load while its archiver was behind; what was committed."""
    world, server = own_world, own_world.server
    archiving.prove(world.primary, world.archive_directory)
    server.database.rows("ALTER SYSTEM SET archive_command = 'exit 1'")
    server.database.rows("SELECT pg_reload_conf()")
    load = Load(server.database, 2)
    switch = f"SELECT {server.version.switch_wal_function}()"
    while not world.primary.archiver().failing:
        server.database.rows(switch)
        load.wait_for_more()
    os.kill(int(server.pid_file.read_text().split()[0]), signal.SIGKILL)
    load.join()
    until(lambda: not server.is_running() and not processes_in(server.data_directory))
    return world, load.acknowledged


def not_archived(world: World, archive: Path) -> list[dict[str, Any]]:
    """What `pitr check` tells of the dead primary's own WAL."""
    places = ("--backup", world.backup_path, "--archive", archive, "--to", world.directory / "new")
    dead = ("--dead-primary", world.server.data_directory)
    told = lines(pitr("check", *places, *dead, "--latest", "--json"))
    return [one for one in told if one.get("name") == "not archived"]


@own_worlds
def test_what_only_a_dead_primary_had_is_recovered(dead: tuple[World, list[int]]) -> None:
    world, acknowledged = dead
    data, archive = world.server.data_directory, world.archive_directory
    wal = data / world.server.version.wal_directory
    moved = world.directory / "wal elsewhere"
    wal.rename(moved)
    wal.symlink_to(moved)
    before = fingerprint(data), fingerprint(moved), fingerprint(archive)
    known = {path.name for path in archive.iterdir()}
    joined = world.directory / "joined"
    (warned,) = not_archived(world, archive)
    assert warned["status"] == "warning"
    assert f"{data} still has " in warned["evidence"]

    told = pitr("archive", "collect", "--from", data, "--with", archive, "--to", joined, "--json")

    assert told.returncode == 0, told.stdout + told.stderr
    (facts,) = lines(told)
    assert (fingerprint(data), fingerprint(moved), fingerprint(archive)) == before
    assert facts["linked"] == len(known)
    assert facts["archived"] >= 1
    assert facts["differences"] == []
    assert len(facts["added"]) >= 2
    assert facts["added"][-1] == f"{facts['unfinished']}.partial"
    assert not known & set(facts["added"])
    for path in joined.iterdir():
        assert path.is_symlink() == (path.name in known), path.name
    listing = WalArchive(joined).listing()
    assert not Path(joined / ".links.part").exists()
    assert listing.ranges[0].first.name == min(name for name in known if len(name) == 24)

    assert not_archived(world, joined) == []

    recovered = run(world.plan(Latest(), archive=joined))
    rows = recovered.rows
    recovered.server.stop()
    assert set(acknowledged) | {1, 2, 3, 4} <= set(rows)
    assert len(rows) - 4 - len(acknowledged) <= 2  # at most one of each session was on its way


@pytest.mark.matrix
@own_worlds
async def test_both_keys_of_the_first_screen(own_world: World) -> None:
    """The mark while it lives; then it dies, and what only it has is collected beside."""
    world, server = own_world, own_world.server
    database = server.database
    session = Session(database=database, archive_directory=world.archive_directory)
    app = PitrApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "connected to")
        await until_shown(pilot, "m Mark now")
        await pilot.press("f4")
        await until_shown(pilot, "Mark this moment on the primary?")
        await until_shown(pilot, "SELECT pg_create_restore_point('incident_")
        await pilot.press("escape")
        await settled(pilot)
        assert session.marks == []
        await pilot.press("m")
        await until_shown(pilot, "Mark this moment on the primary?")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until_shown(pilot, "is archived, says the primary")
        (mark,) = session.marks
        assert "incident_" in mark.what

        database.rows("ALTER SYSTEM SET archive_command = 'exit 1'")
        database.rows("SELECT pg_reload_conf()")
        world.insert(5)
        os.kill(int(server.pid_file.read_text().split()[0]), signal.SIGKILL)
        until(lambda: not server.is_running() and not processes_in(server.data_directory))
        before = fingerprint(server.data_directory), fingerprint(world.archive_directory)
        await pilot.press("end")
        await until_shown(pilot, "c Collect")
        await pilot.press("c")
        await until_shown(pilot, "nothing in that archive")
        await pilot.pause()
        await pilot.press("right", "enter")
        await until_shown(pilot, "as far as it was written")
        assert session.primary_is_down
        assert session.marks == [mark]
        joined = session.archive_directory
        assert isinstance(joined, Path)
        assert joined.parent == world.directory
        assert (fingerprint(server.data_directory), fingerprint(world.archive_directory)) == before
    recovered = run(world.plan(Latest(), archive=joined))
    assert recovered.rows == [1, 2, 3, 4, 5]
    recovered.server.stop()
