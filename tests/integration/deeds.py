"""Everything that the WAL tells besides rows, done once to a server of each major."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run as run_program
from typing import Any, TypeVar

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.wal.actions import Action, decode_action
from pitr_tui.wal.record import Locator, Record
from tests.integration.conftest import installed
from tests.wal.cluster import Cluster
from tests.wal.plain_reader import read_records
from tests.wal.waldump import waldump

WITH_ORACLE = {"15", "16", "17", "18"}
GIDS = ("shop: order 1; rels", "naïve", "left open")
POINT = "vor dem Löschen; rels: base/1/2"
SUBTRANSACTIONS = 70  # more than the 64 that a session keeps to itself
PAGE = 8192
Kind = TypeVar("Kind")

_LOCATOR = """
SELECT CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END,
       CASE WHEN c.relisshared THEN 0 ELSE d.oid END, pg_relation_filenode(c.oid)
FROM pg_class c, pg_database d
WHERE c.oid = %s::regclass AND d.datname = current_database()
"""


@dataclass
class Deeds:
    """What was done to a server, as it was seen from outside."""

    cluster: Cluster
    xids: dict[str, int] = field(default_factory=dict)
    clocks: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    files: dict[str, Locator] = field(default_factory=dict)
    oids: dict[str, int] = field(default_factory=dict)
    backup_start: Lsn = Lsn(0)
    cut_off: Lsn = Lsn(0)
    maps: dict[int, bytes] = field(default_factory=dict)
    waldump: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    actions: list[tuple[Record, Action]] = field(default_factory=list)

    def sql(self, *statements: str, dbname: str = "postgres") -> None:
        with self.cluster.connect(dbname) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def value(self, query: str, values: list[Any] | None = None) -> Any:
        return self.cluster.server.database.row(query, values or [])[0]

    def transaction(self, name: str, *statements: str, end: str = "COMMIT") -> None:
        """Do it all in one transaction, and note its number and the clock around its end."""
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("SELECT txid_current()")
            self.xids[name] = int((cursor.fetchone() or (0,))[0])
            before = self.clock()
            cursor.execute(end)
            self.clocks[name] = (before, self.clock())

    def clock(self) -> datetime:
        found = self.value("SELECT clock_timestamp()")
        assert isinstance(found, datetime)
        return found.astimezone(UTC)

    def note_file(self, name: str, relation: str) -> None:
        self.files[name] = Locator(*self.cluster.server.database.row(_LOCATOR, [relation]))

    def note_oid(self, name: str, query: str) -> None:
        self.oids[name] = int(self.value(query))

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [action for _, action in self.actions if isinstance(action, kind)]

    def segments(self) -> list[Path]:
        """The way to the end: of a segment that two timelines have, the younger one's."""
        newest = {path.name[8:]: path for path in self.cluster.segments()}
        return [newest[name] for name in sorted(newest)]

    def read(self) -> None:
        """Decode all the WAL."""
        self.records = list(read_records([path.read_bytes() for path in self.segments()]))
        for record in self.records:
            action = decode_action(record)
            if action is not None:
                self.actions.append((record, action))


def simple_endings(deeds: Deeds) -> None:
    deeds.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE child (id int REFERENCES t)")
    deeds.transaction("insert", "INSERT INTO t VALUES (1)")
    deeds.transaction("rolled back", "INSERT INTO t VALUES (2)", end="ROLLBACK")
    many = [f"SAVEPOINT s{n}; INSERT INTO t VALUES ({100 + n})" for n in range(SUBTRANSACTIONS)]
    back = "SAVEPOINT b; INSERT INTO t VALUES (99); ROLLBACK TO b"
    deeds.transaction("nested", "INSERT INTO t VALUES (3)", *many, back)


def drops(deeds: Deeds) -> None:
    deeds.sql("CREATE TABLE gone (id int PRIMARY KEY, body text)")
    for name, relation in (("table", "gone"), ("index", "gone_pkey")):
        deeds.note_file(name, relation)
    toast = deeds.value("SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = 'gone'")
    deeds.note_file("toast", toast)
    deeds.transaction("drop", "DROP TABLE gone")
    deeds.sql("CREATE TABLE shrunk AS SELECT generate_series(1, 5000) AS id")
    deeds.note_file("shrunk", "shrunk")
    deeds.sql("DELETE FROM shrunk WHERE id > 100", "VACUUM shrunk")
    deeds.oids["blocks"] = deeds.value("SELECT pg_relation_size('shrunk')") // PAGE


def prepared(deeds: Deeds) -> None:
    deeds.sql("CREATE TABLE old (id int)")
    deeds.note_file("old", "old")
    body = (
        "DROP TABLE old",
        "CREATE TABLE new (id int)",
        "SAVEPOINT a",
        "INSERT INTO t VALUES (4)",
    )
    deeds.transaction("prepared", *body, end=f"PREPARE TRANSACTION '{GIDS[0]}'")
    deeds.sql(f"COMMIT PREPARED '{GIDS[0]}'")
    deeds.note_file("new", "new")
    end = f"PREPARE TRANSACTION '{GIDS[1]}'"
    deeds.transaction("given up", "INSERT INTO t VALUES (5)", "CREATE TABLE x ()", end=end)
    deeds.sql(f"ROLLBACK PREPARED '{GIDS[1]}'")
    end = f"PREPARE TRANSACTION '{GIDS[2]}'"
    deeds.transaction("left open", "CREATE TABLE y ()", end=end)


def databases(deeds: Deeds) -> None:
    strategies = {"copied": ""}
    if deeds.cluster.installation.version.major_number >= 1500:
        strategies = {"copied": "STRATEGY file_copy", "logged": "STRATEGY wal_log"}
    place = deeds.cluster.directory / "place"
    deeds.cluster.user.make_directory(place)
    deeds.sql(f"CREATE TABLESPACE elsewhere LOCATION '{place}'")
    deeds.note_oid("tablespace", "SELECT oid FROM pg_tablespace WHERE spcname = 'elsewhere'")
    deeds.note_oid("template1", "SELECT oid FROM pg_database WHERE datname = 'template1'")
    for name, strategy in strategies.items():
        deeds.sql(f"CREATE DATABASE {name} {strategy}")
        deeds.note_oid(name, f"SELECT oid FROM pg_database WHERE datname = '{name}'")
        deeds.sql("CREATE TABLE far (id int) TABLESPACE elsewhere", dbname=name)
        deeds.sql(f"DROP DATABASE {name}")
    deeds.sql("CREATE TABLE far (id int) TABLESPACE elsewhere")
    deeds.note_file("far", "far")
    deeds.sql("DROP TABLE far", "DROP TABLESPACE elsewhere")


def catalogs(deeds: Deeds) -> None:
    deeds.sql("VACUUM FULL pg_class", "VACUUM FULL pg_database")
    data = deeds.cluster.server.data_directory
    deeds.note_oid("postgres", "SELECT oid FROM pg_database WHERE datname = 'postgres'")
    own = data / "base" / str(deeds.oids["postgres"]) / "pg_filenode.map"
    shared = data / "global" / "pg_filenode.map"
    deeds.maps = {deeds.oids["postgres"]: own.read_bytes(), 0: shared.read_bytes()}


def after_a_restart(deeds: Deeds) -> None:
    """Other settings, logical decoding, and what is only written with it."""
    deeds.cluster.server.stop()
    settings = {"wal_level": "logical", "max_connections": "123", "wal_log_hints": "on"}
    settings.update(deeds.cluster.settings, max_wal_senders="7")
    deeds.cluster.configure(settings)
    deeds.cluster.start()
    deeds.cluster.configure({**settings, "full_page_writes": "off"})
    deeds.sql("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 60
    while deeds.value("SELECT full_page_writes FROM pg_control_checkpoint()"):
        assert time.monotonic() < deadline, "the checkpointer did not read its settings"
        deeds.sql("CHECKPOINT")
    deeds.sql("CREATE TABLE counted (id serial)")
    for name in ("t", "child", "counted", "counted_id_seq"):
        deeds.note_oid(name, f"SELECT '{name}'::regclass::oid")
    deeds.transaction("truncate", "TRUNCATE t CASCADE")
    deeds.transaction("restart", "TRUNCATE counted RESTART IDENTITY")
    deeds.transaction("logical", "INSERT INTO t VALUES (7)", end="PREPARE TRANSACTION 'logical'")
    deeds.sql("COMMIT PREPARED 'logical'")
    origin = (
        "SELECT pg_replication_origin_create('far')",
        "SELECT pg_replication_origin_session_setup('far')",
        "SELECT pg_replication_origin_xact_setup('0/123', now())",
    )
    deeds.transaction("replicated", *origin, "INSERT INTO t VALUES (11)")
    deeds.value("SELECT pg_create_restore_point(%s)::text", [POINT])
    deeds.cluster.switch()


def backup(deeds: Deeds) -> None:
    label = (deeds.cluster.take_backup() / "backup_label").read_text()
    deeds.backup_start = Lsn.parse(label.split()[3])


def promotion(deeds: Deeds) -> None:
    """A standby of itself, promoted to timeline 2."""
    cluster, server = deeds.cluster, deeds.cluster.server
    server.stop()
    if cluster.installation.version.uses_recovery_conf:
        text = "standby_mode = on\nrecovery_target_timeline = 'latest'\n"
        cluster.user.write_file(server.data_directory / "recovery.conf", text)
    else:
        cluster.user.write_file(server.data_directory / "standby.signal", "")
    server.start()
    server.wait_until_open()
    server.run_tool("pg_ctl", ["promote", "-D", str(server.data_directory)])
    server.wait_until_writable()
    deeds.transaction("on timeline 2", "INSERT INTO t VALUES (8)")


def cut_record(deeds: Deeds) -> None:
    """A crash that leaves a record without its end, so that the next start gives it up."""
    big = "SELECT pg_logical_emit_message(true, 'p', repeat('m', 100000))"
    deeds.transaction("lost", "INSERT INTO t VALUES (9)", big)
    deeds.cluster.crash()
    path = deeds.cluster.segments()[-1]
    record = next(one for one in read_records([path.read_bytes()]) if one.length > 100_000)
    start = record.lsn % (16 << 20)
    with path.open("r+b") as file:
        file.seek(start + PAGE - start % PAGE + PAGE)
        file.write(bytes(200_000))
    deeds.cut_off = record.lsn
    deeds.cluster.start()
    deeds.transaction("last", "INSERT INTO t VALUES (10)")


def waldump_text(deeds: Deeds) -> list[str]:
    """What pg_waldump prints of the same segments, one after the other."""
    program, lines = waldump(deeds.cluster.major).program, list[str]()
    for path in deeds.segments():
        argv = [program, path]
        done = run_program(argv, capture_output=True, check=False, env={**os.environ, "TZ": "UTC"})
        lines += done.stdout.decode("utf-8", "surrogateescape").splitlines()
    return lines


STEPS: tuple[Callable[[Deeds], None], ...] = (
    *(simple_endings, drops, prepared, databases, catalogs, after_a_restart, backup),
    *(promotion, cut_record),
)


@functools.cache
def history(major: str) -> Deeds:
    cluster = Cluster(installed(major), settings={"lock_timeout": "1min"})
    deeds = Deeds(cluster)
    try:
        cluster.initialize()
        cluster.start()
        for step in STEPS:
            step(deeds)
        cluster.server.stop()
        deeds.read()
        if major in WITH_ORACLE:
            deeds.waldump = waldump_text(deeds)
    finally:
        cluster.close()
    return deeds
