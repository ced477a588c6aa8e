"""Secrets, file modes, open ports, and names that bite: with the real programs."""

from __future__ import annotations

import itertools
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from pitr_tui.postgres.conf import BEGIN
from pitr_tui.postgres.target import AtName
from pitr_tui.recovery import archiving
from pitr_tui.recovery.aftercare import aftercare, promote
from pitr_tui.recovery.verify import tables
from pitr_tui.servers.local import LocalServer
from pitr_tui.servers.sql import Database
from tests.integration.conftest import installed
from tests.integration.listening import listening
from tests.integration.world import World, run

pytestmark = pytest.mark.integration

SECRET = "hunter2-Zq8"
ROLE = "keeper"
_LOOK_EVERY = 0.005


@dataclass
class Watch:
    """Looks at every process of the machine as often as it can, as anybody may.

    Environments are nobody's but their user's, so those of our own user do not count.
    """

    allowed: set[int] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        secret = SECRET.encode()
        while not self._stop.wait(_LOOK_EVERY):
            for process in Path("/proc").iterdir():
                if not process.name.isdecimal() or int(process.name) in self.allowed:
                    continue
                with suppress(OSError):
                    argv = (process / "cmdline").read_bytes()
                    self.seen.add(Path(os.fsdecode(argv.split(b"\0")[0])).name)
                    if secret in argv:
                        self.found.append(os.fsdecode(argv))
                    environment = process / "environ"  # its owner is who may read it
                    foreign = environment.stat().st_uid != os.geteuid()
                    if foreign and secret in environment.read_bytes():
                        self.found.append(f"environment of {os.fsdecode(argv)}")


@pytest.fixture
def guarded(own_world: World) -> World:
    """A cluster that asks a superuser for a password, and has one in its own configuration."""
    server = own_world.server
    server.database.rows(f"CREATE ROLE {ROLE} SUPERUSER LOGIN REPLICATION PASSWORD '{SECRET}'")
    if server.version.has_wal_receiver_settings:
        server.database.rows(
            f"ALTER SYSTEM SET primary_conninfo = 'host=/none password={SECRET} user=x'"
        )
    hba = server.data_directory / "pg_hba.conf"
    method = server.version.password_method
    lines = f"local all {ROLE} {method}\nlocal replication {ROLE} {method}\n"
    own_world.user.write_file(hba, lines + hba.read_text())
    server.database.rows("SELECT pg_reload_conf()")
    return own_world


class Pitr:
    """Runs commands as a person does, and keeps what they say."""

    def __init__(self, watch: Watch, environment: Mapping[str, str]) -> None:
        self.watch = watch
        self.environment = {**os.environ, **environment}
        self.said = ""

    def __call__(self, *arguments: object, code: int = 0, own_words: bool = False) -> str:
        """`own_words`: the person writes the password on the command line of pitr itself."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pitr_tui", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )
        if own_words:
            self.watch.allowed.add(process.pid)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == code, said
        self.said += said
        return said


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def files_below(*places: Path) -> Iterator[Path]:
    for place in places:
        yield from (path for path in [place, *place.rglob("*")] if not path.is_symlink())


@pytest.mark.parametrize(
    "own_world", ["18", pytest.param("11", marks=pytest.mark.matrix)], indirect=True
)
def test_a_password_is_nowhere_and_what_we_make_is_ours_alone(
    guarded: World, tmp_path: Path, state_dir: Path, cache_dir: Path
) -> None:
    world, port = guarded, free_port()
    address = f"host={world.server.socket_directory} port={world.server.port}"
    dsn = f"{address} user={ROLE} dbname=postgres"
    passfile = tmp_path / "passfile"
    passfile.write_text(f"*:*:*:{ROLE}:{SECRET}\n")
    passfile.chmod(0o600)
    backup, archive = world.directory / "by-pitr", world.directory / "archive"
    collected = world.directory / "collected"
    destination = world.directory / "recovered"
    umask = os.umask(0)
    try:
        with Watch() as watch:
            by_variable = Pitr(watch, {"PGPASSWORD": SECRET})
            by_file = Pitr(watch, {"PGPASSFILE": str(passfile)})
            by_variable("archive", "status", "-d", dsn, "--json")
            by_file("archive", "enable", "-d", dsn, "--to", archive, "--yes", "--json")
            by_variable("backup", "take", "-d", dsn, "--to", backup, "--json")
            words = f"{dsn} password={SECRET}"
            by_file("backup", "take", "-d", words, "--to", backup, code=2, own_words=True)
            world.server.database.rows("SELECT pg_switch_wal()")
            by_file("archive", "collect", "-d", dsn, "--to", collected, "--json")
            where = ["--backup", backup, "--archive", archive, "--to", destination]
            where += ["--bindir", world.installation.bindir, "--immediate", "--port", port]
            by_variable("restore", *where, "--dry-run")
            by_variable("restore", *where, "--json")
            wrong = Pitr(watch, {"PGPASSWORD": f"{SECRET}-wrong"})
            wrong("backup", "take", "-d", dsn, "--to", world.directory / "none", code=1)
            server = LocalServer(
                world.installation,
                destination,
                world.user,
                destination / "pitr" / "socket",
                port,
                destination / "pitr" / "postgresql.log",
            )
            pid = int(server.pid_file.read_text().split("\n", 1)[0])
            heard = listening(pid)
            server.stop()
    finally:
        os.umask(umask)
    assert watch.found == []
    assert {"pg_basebackup", "postgres"} <= watch.seen, "it looked often enough"
    for said in (by_variable.said, by_file.said, wrong.said):
        assert SECRET not in said

    assert heard == [f"0100007F:{port:04X}", f"{destination}/pitr/socket/.s.PGSQL.{port}"]

    made = [state_dir, cache_dir, backup, collected, destination]
    modes = {path: path.stat().st_mode for path in files_below(*made)}
    assert [
        f"{stat.filemode(mode)} {path}"
        for path, mode in modes.items()
        if stat.S_IMODE(mode) & 0o077 and not stat.S_ISSOCK(mode)
    ] == []
    told = [path for path in modes if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert {path.name for path in told} == {"postgresql.auto.conf"}, "as the primary has it"
    assert list((state_dir / "runs").iterdir())


class Biting(World):
    """A cluster whose backup and archive lie at paths that a shell would take apart."""

    @property
    def archive_directory(self) -> Path:
        return self.directory / "the archive's $(touch pwned) %p %f \"\\ `id`"

    @property
    def backup_path(self) -> Path:
        return self.directory / "-rf * 'b' %r"


@pytest.fixture
def biting() -> Iterator[Biting]:
    world = Biting(installed("18"))
    world.build()
    yield world
    world.close()


CHARACTERS = "'\"\\`$()%;&|*?[]{}<>~#!-=:@ \t\u00e9\u2028,\x01\n"


def names(limit: int) -> st.SearchStrategy[str]:
    """Names within PostgreSQL's length in bytes."""
    text = st.text(CHARACTERS + "ab", min_size=1, max_size=24)
    return text.filter(lambda name: len(name.encode()) <= limit)


@dataclass(frozen=True)
class Names:
    database: str
    table: str
    point: str
    place: str


WORST = Names("a=b 'x'", '"; DROP TABLE t; --\n', "'; touch pwned; $(id) \\", "-n %p '$(id)' \"")


def execute(database: Database, statement: sql.Composed) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("examples", [0, pytest.param(12, marks=pytest.mark.matrix)])
def test_names_that_bite_go_through_a_server_unharmed(biting: Biting, examples: int) -> None:
    server, numbers = biting.server, itertools.count()

    def recovered(named: Names, point: str) -> None:
        """One more recovery, to the moment before the table of such a name was dropped."""
        archiving.prove(biting.primary, biting.archive_directory)
        destination = biting.directory / f"to {named.place}"
        plan = biting.plan(AtName(point), destination=destination)
        result = run(plan)
        try:
            (found,) = tables(result.server.database.named(named.database))
            assert (found.name, found.rows) == (named.table, 1)
            promote(plan.secondary)
            asked = f"{plan.secondary.psql_command(named.database)} -XAtc"
            script = f"{asked} 'SELECT current_database()'"
            said = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, cwd="/")
            assert said.stdout == f"{named.database}\n", said.stderr
            (way_out,) = (one for one in aftercare(plan.secondary) if one.name == "settings")
            subprocess.run(["sh", "-euc", way_out.hint], check=True, cwd="/")
            configuration = (destination / "postgresql.auto.conf").read_bytes().decode()
            assert BEGIN not in configuration
        finally:
            result.server.stop()
            plan.secondary.throw_away()

    def check(named: Names) -> None:
        database, table = sql.Identifier(named.database), sql.Identifier(named.table)
        execute(server.database, sql.SQL("CREATE DATABASE {}").format(database))
        try:
            inside = server.database.named(named.database)
            execute(inside, sql.SQL("CREATE TABLE {} (id int)").format(table))
            execute(inside, sql.SQL("INSERT INTO {} VALUES (1)").format(table))
            point = f"{named.point}{next(numbers)}"  # a server stops at the first of a name
            inside.rows("SELECT pg_create_restore_point(%s)", [point])
            execute(inside, sql.SQL("DROP TABLE {}").format(table))
            recovered(named, point)
        finally:
            execute(server.database, sql.SQL("DROP DATABASE {}").format(database))
        assert not list(biting.directory.rglob("pwned*"))

    built = st.builds(
        Names,
        database=names(63).filter(lambda name: "\n" not in name and name != "postgres"),
        table=names(63),
        point=names(60).filter(lambda name: "\n" not in name),
        place=names(80).filter(lambda name: "\n" not in name),
    )
    phases = [Phase.explicit, *([Phase.generate] if examples else [])]
    bounded = settings(max_examples=examples or 1, deadline=None, database=None, phases=phases)
    bounded(given(built)(example(WORST)(check)))()
