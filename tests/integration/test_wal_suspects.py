"""Accidents on real servers, and whether the archive alone tells of each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import installed
from tests.wal.cluster import Cluster

pytestmark = pytest.mark.integration

MAJORS = ("11", "15", "18")
MORE_MAJORS = ("12", "13", "14", "16", "17")  # 10 lacks some of the statements

# What happened: the statements of one transaction, and what has to be said of it.
ACCIDENTS: dict[str, tuple[tuple[str, ...], str, dict[str, object]]] = {
    "drop": (
        ("DROP TABLE shop.orders",),
        "dropped shop.orders (about 2,100 rows) and 4 more relations",
        {"what": "drop table", "names": ["shop.orders"], "rows": 2100},
    ),
    "truncate": (
        ("TRUNCATE shop.customers",),
        "truncated shop.customers (about 500 rows)",
        {"what": "truncate", "names": ["shop.customers"], "rows": 500},
    ),
    "delete": (
        ("DELETE FROM shop.stock WHERE id <= 400",),
        "deleted 400 of about 800 rows of shop.stock",
        {"what": "mass delete", "names": ["shop.stock"], "rows": 400, "of": 800},
    ),
    "update": (
        ("UPDATE shop.audit SET note = 'oops'",),
        "updated 1,200 of about 1,200 rows of shop.audit",
        {"what": "mass update", "names": ["shop.audit"], "rows": 1200, "of": 1200},
    ),
    "insert": (
        ("INSERT INTO shop.fill SELECT n FROM generate_series(1, 5000) n",),
        "inserted 5,000 rows into shop.fill, which had about 3,000",
        {"what": "mass insert", "names": ["shop.fill"], "rows": 5000, "of": 3000},
    ),
    "drop column": (
        ("ALTER TABLE shop.priced DROP COLUMN price",),
        "dropped the column price of shop.priced",
        {"what": "drop column", "names": ["shop.priced"]},
    ),
    "alter type": (
        ("ALTER TABLE shop.typed ALTER COLUMN id TYPE bigint",),
        "changed the type of the column id of shop.typed",
        {"what": "alter column type", "names": ["shop.typed"]},
    ),
    "drop schema": (
        ("DROP SCHEMA old CASCADE",),
        "dropped the schema old with 3 tables (about 30 rows)",
        {"what": "drop schema", "names": ["old", "old.a", "old.b", "old.c"]},
    ),
    "deployment": (
        ("UPDATE shop.more SET n = 0", "ALTER TABLE shop.more DROP COLUMN m"),
        "updated 300 of about 300 rows of shop.more, dropped the column m of shop.more",
        {"what": "mass update", "names": ["shop.more"], "rows": 300, "of": 300},
    ),
    "new table": (
        ("DROP TABLE shop.young",),
        "dropped shop.young (about 70 rows)",
        {"what": "drop table", "names": ["shop.young"], "rows": 70},
    ),
    "new table truncated": (
        ("TRUNCATE shop.renamed",),
        "truncated shop.renamed (about 60 rows)",
        {"what": "truncate", "names": ["shop.renamed"], "rows": 60},
    ),
    "subtransaction": (
        ("SAVEPOINT a", "DELETE FROM shop.sub", "RELEASE a"),
        "deleted 40 of about 40 rows of shop.sub",
        {"what": "mass delete", "names": ["shop.sub"], "rows": 40, "of": 40},
    ),
    "delete after a rewrite": (
        ("DELETE FROM shop.typed WHERE id <= 10",),
        "deleted 10 of about 25 rows of shop.typed",
        {"what": "mass delete", "names": ["shop.typed"], "rows": 10, "of": 25},
    ),
    "update and rewrite": (
        ("UPDATE shop.deployed SET price = 2", "ALTER TABLE shop.deployed ALTER id TYPE bigint"),
        "updated 30 of about 30 rows of shop.deployed, "
        "changed the type of the column id of shop.deployed",
        {"what": "mass update", "names": ["shop.deployed"], "rows": 30, "of": 30},
    ),
    "delete after a move": (
        ("DELETE FROM shop.moved WHERE id <= 20",),
        "deleted 20 of about 35 rows of shop.moved",
        {"what": "mass delete", "names": ["shop.moved"], "rows": 20, "of": 35},
    ),
    "delete after repacking": (
        ("DELETE FROM shop.packed WHERE id <= 20",),
        "deleted 20 of about 45 rows of shop.packed",
        {"what": "mass delete", "names": ["shop.packed"], "rows": 20, "of": 45},
    ),
    "alter type with an index": (
        ("ALTER TABLE shop.steady ALTER COLUMN id TYPE bigint",),
        "changed the type of the column id of shop.steady",
        {"what": "alter column type", "names": ["shop.steady"]},
    ),
    "delete in partitions": (
        ("DELETE FROM shop.parted WHERE id % 2 = 0",),
        "deleted 50 of about 100 rows of shop.parted_0, shop.parted_1, shop.parted_2 and 2 more",
        {"what": "mass delete", "rows": 50, "of": 100},
    ),
    "drop column of partitions": (
        ("ALTER TABLE shop.parted DROP COLUMN m",),
        "dropped the column m of shop.parted, shop.parted_0, shop.parted_1 and 3 more",
        {"what": "drop column"},
    ),
    "drop partitions": (
        ("DROP TABLE shop.parted",),
        "dropped shop.parted, shop.parted_4, shop.parted_3 and 3 more (about 50 rows)",
        {"what": "drop table", "rows": 50},
    ),
    "reload": (
        ("TRUNCATE shop.loaded", "INSERT INTO shop.loaded SELECT generate_series(1, 65)"),
        "truncated shop.loaded (about 55 rows) and filled it with 65 again",
        {"what": "truncate", "names": ["shop.loaded"], "rows": 55},
    ),
    "delete after a reload": (
        ("DELETE FROM shop.loaded WHERE n <= 20",),
        "deleted 20 of about 65 rows of shop.loaded",
        {"what": "mass delete", "names": ["shop.loaded"], "rows": 20, "of": 65},
    ),
    "unlogged": (
        ("TRUNCATE shop.swift",),
        "truncated shop.swift; what is unlogged comes back empty",
        {"what": "truncate", "names": ["shop.swift"], "rows": None},
    ),
    "prepared": (
        ("DROP TABLE shop.doomed", "PREPARE TRANSACTION 'doom'"),
        "dropped shop.doomed (about 15 rows)",
        {"what": "drop table", "names": ["shop.doomed"], "rows": 15},
    ),
    "set aside": (
        (
            "CREATE TABLE shop.next AS SELECT * FROM shop.now",
            "DROP TABLE shop.now",
            "ALTER TABLE shop.next RENAME TO now",
        ),
        "dropped shop.now (about 33 rows)",
        {"what": "drop table", "names": ["shop.now"], "rows": 33},
    ),
}

# The way of pg_repack: two tables change places.
SWAP = """
WITH files AS (
    SELECT oid, relfilenode FROM pg_class
    WHERE oid IN ('shop.packed'::regclass, 'repack.table_1'::regclass)
)
UPDATE pg_class c SET relfilenode = other.relfilenode FROM files own, files other
WHERE c.oid = own.oid AND other.oid <> own.oid
"""
HARMLESS = (
    "VACUUM FULL shop.steady",
    "CLUSTER shop.steady USING steady_pkey",
    "CREATE INDEX steady_note ON shop.steady (note)",
    "INSERT INTO shop.steady SELECT n, 'x' FROM generate_series(9001, 9020) n",
    "UPDATE shop.steady SET note = 'y' WHERE id <= 5",
    "DELETE FROM shop.steady WHERE id = 1",
    "CREATE TABLE shop.copied AS SELECT * FROM shop.steady",
    "CREATE TEMP TABLE scratch AS SELECT * FROM shop.steady",
    "TRUNCATE scratch",
    "TRUNCATE shop.hollow",
    "BEGIN; INSERT INTO shop.hollow SELECT generate_series(1, 50); "
    "UPDATE shop.hollow SET id = id + 1; DELETE FROM shop.hollow; COMMIT",
    "DROP TABLE scratch",
    "REINDEX TABLE shop.steady",
    "ANALYZE shop.steady",
    "BEGIN; DROP TABLE shop.steady; ROLLBACK",
    "VACUUM FULL pg_class",
    "VACUUM FULL pg_attribute",
    "VACUUM FULL pg_namespace",
    "REFRESH MATERIALIZED VIEW shop.numbered",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY shop.numbered",
    "BEGIN; DROP VIEW shop.seen; CREATE VIEW shop.seen AS SELECT 2 AS b; COMMIT",
    "CREATE OR REPLACE VIEW shop.seen AS SELECT 2 AS b, 3 AS c",
    "ALTER TABLE shop.parted DETACH PARTITION shop.parted_4",
    "ALTER TABLE shop.parted ATTACH PARTITION shop.parted_4 FOR VALUES FROM (80) TO (100)",
    "ALTER TABLE shop.moved SET TABLESPACE elsewhere",
    "CREATE SCHEMA repack",
    "CREATE TABLE repack.table_1 AS SELECT * FROM shop.packed",
    SWAP,
    "DROP TABLE repack.table_1",
)
HARMLESS_SINCE_12 = ("REINDEX TABLE CONCURRENTLY shop.steady",)
BEFORE = (
    "CREATE SCHEMA shop",
    "CREATE SCHEMA old",
    "CREATE TABLE shop.orders (id serial PRIMARY KEY, note text)",
    "INSERT INTO shop.orders SELECT n, 'n' FROM generate_series(1, 2000) n",
    *(
        f"CREATE TABLE shop.{name} AS SELECT n AS id, 'note'::text AS note, 1 AS price "
        f"FROM generate_series(1, {rows}) n"
        for name, rows in (
            ("customers", 500),
            ("stock", 800),
            ("audit", 1200),
            ("priced", 20),
            ("typed", 25),
            ("sub", 40),
            ("deployed", 30),
            ("moved", 35),
            ("packed", 45),
        )
    ),
    "CREATE TABLE shop.fill AS SELECT n FROM generate_series(1, 3000) n",
    "CREATE TABLE shop.more AS SELECT n, n AS m FROM generate_series(1, 300) n",
    "CREATE TABLE shop.steady (id int PRIMARY KEY, note text)",
    "INSERT INTO shop.steady SELECT n, 'x' FROM generate_series(1, 2000) n",
    "CREATE TABLE shop.hollow (id int)",
    "CREATE MATERIALIZED VIEW shop.numbered AS "
    "SELECT id, txid_current() AS n FROM generate_series(1, 200) id",
    "CREATE UNIQUE INDEX ON shop.numbered (id)",
    "CREATE VIEW shop.seen AS SELECT 1 AS a",
    "CREATE TABLE shop.parted (id int, m int) PARTITION BY RANGE (id)",
    *(
        f"CREATE TABLE shop.parted_{n} PARTITION OF shop.parted "
        f"FOR VALUES FROM ({20 * n}) TO ({20 * n + 20})"
        for n in range(5)
    ),
    "INSERT INTO shop.parted SELECT n, n FROM generate_series(0, 99) n",
    *(
        f"CREATE TABLE shop.{name} AS SELECT generate_series(1, {rows}) AS n"
        for name, rows in (("loaded", 55), ("doomed", 15), ("now", 33))
    ),
    *(f"CREATE TABLE old.{name} AS SELECT n FROM generate_series(1, 10) n" for name in "abc"),
)
AFTER = (
    "INSERT INTO shop.orders SELECT n, 'n' FROM generate_series(2001, 2100) n",
    "CREATE TABLE shop.young AS SELECT n FROM generate_series(1, 70) n",
    "CREATE TABLE shop.named AS SELECT n FROM generate_series(1, 60) n",
    "ALTER TABLE shop.named RENAME TO renamed",
    "CREATE UNLOGGED TABLE shop.swift AS SELECT n FROM generate_series(1, 80) n",
)


@dataclass
class Scene:
    """What happened to a server, the transaction id of each accident, and what `pitr` says."""

    archive: Path
    backup: Path
    cache: Path
    xids: dict[str, int] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)

    def suspects(self) -> list[dict[str, Any]]:
        return [one for one in self.said if one["event"] == "Suspect"]

    def of(self, accident: str) -> dict[str, Any]:
        (one,) = (one for one in self.suspects() if one["xid"] == self.xids[accident])
        return one

    def pitr(self, *arguments: str) -> list[dict[str, Any]]:
        run = subprocess.run(
            [sys.executable, "-m", "pitr_tui", "wal", *arguments, "--json"],
            env={**os.environ, "PITR_CACHE_DIR": str(self.cache)},
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture(
    scope="module",
    params=[*MAJORS, *(pytest.param(one, marks=pytest.mark.matrix) for one in MORE_MAJORS)],
)
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    cluster = Cluster(installed(request.param))
    place = tmp_path_factory.mktemp(f"suspects-{request.param}")
    try:
        cluster.initialize()
        cluster.start()
        one = _live(cluster, place)
        one.said = one.pitr("suspects", str(one.archive), "--backup", str(one.backup))
        yield one
    finally:
        cluster.close()


def _live(cluster: Cluster, place: Path) -> Scene:
    """Everything that happens, in its order; the database is called shop too."""
    cluster.server.database.rows("CREATE DATABASE shop")
    elsewhere = cluster.directory / "elsewhere"
    cluster.user.make_directory(elsewhere)
    harmless = HARMLESS + (HARMLESS_SINCE_12 if cluster.major != "11" else ())
    xids: dict[str, int] = {}
    with cluster.connect("shop") as connection, connection.cursor() as cursor:
        for statement in (*BEFORE, "ANALYZE"):
            cursor.execute(statement)
        backup = cluster.take_backup()
        cursor.execute(f"CREATE TABLESPACE elsewhere LOCATION '{elsewhere}'")
        for statement in (*AFTER, *harmless):
            for part in statement.split("; "):
                cursor.execute(part)
        for name, (statements, _, _) in ACCIDENTS.items():
            cursor.execute("BEGIN")
            cursor.execute("SELECT txid_current()")
            xids[name] = int((cursor.fetchone() or (0,))[0])
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("COMMIT PREPARED 'doom'" if name == "prepared" else "COMMIT")
    cluster.server.database.rows("CREATE DATABASE scratch")
    cluster.server.database.rows("DROP DATABASE scratch")
    cluster.switch()
    return Scene(cluster.archive_to(place / "archive"), backup, place / "cache", xids)


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_accident_is_named(scene: Scene, accident: str) -> None:
    _, sentence, finding = ACCIDENTS[accident]
    suspect = scene.of(accident)
    assert suspect["sentence"] == sentence
    assert suspect["database"] == "shop"
    found = {**suspect["findings"][0], "names": sorted(suspect["findings"][0]["names"])}
    assert {**found, **finding} == found
    target = {"xid": scene.xids[accident], "inclusive": False, "timeline": 1}
    assert suspect["target"] == target


def test_nothing_else_is_suspected_but_the_dropped_database(scene: Scene) -> None:
    others = [one for one in scene.suspects() if one["xid"] not in scene.xids.values()]
    assert [one["sentence"] for one in others] == ["dropped the database scratch"]
    assert others[0]["rank"] == 1


def test_the_worst_comes_first(scene: Scene) -> None:
    order = [one["findings"][0]["what"] for one in scene.suspects()]
    assert order[:3] == ["drop database", "drop schema", "drop table"]
    scores = [one["score"] for one in scene.suspects()]
    assert scores == sorted(scores, reverse=True)


def test_what_harms_nobody_is_told_apart(scene: Scene) -> None:
    words = [one["words"] for one in scene.said if one["event"] == "Remark"]
    assert sum(one.startswith("rewrote shop.steady") for one in words) == 2
    assert "created the index shop.steady_note on shop.steady" in words
    assert "renamed shop.named to shop.renamed" in words
    assert "created the database scratch" in words


def test_without_a_backup_the_whole_archive_tells_the_same(scene: Scene) -> None:
    alone = scene.pitr("suspects", str(scene.archive))
    sentences = {one["xid"]: one["sentence"] for one in alone if one["event"] == "Suspect"}
    for accident, (_, sentence, _) in ACCIDENTS.items():
        assert sentences[scene.xids[accident]] == sentence


def test_transactions_are_found_by_table_rows_and_place(scene: Scene) -> None:
    places = [str(scene.archive), "--backup", str(scene.backup)]
    found = scene.pitr("transactions", *places, "--relation", "shop.stock")
    listed = [one for one in found if one["event"] == "Transaction"]
    assert [one["xid"] for one in listed] == [scene.xids["delete"]]
    (relation,) = (one for one in listed[0]["relations"] if one["name"] == "shop.stock")
    assert (relation["database"], relation["deleted"]) == ("shop", 400)
    many = scene.pitr("transactions", *places, "--min-rows", "5000")
    assert [one["xid"] for one in many if one["event"] == "Transaction"] == [scene.xids["insert"]]
    update = scene.of("update")
    for bound in (update["lsn"], update["time"]):
        some = scene.pitr("transactions", *places, "--from", bound, "--to", bound)
        assert [one["xid"] for one in some if one["event"] == "Transaction"] == [update["xid"]]


def test_dropped_files_have_their_names(scene: Scene) -> None:
    dropped = scene.of("drop")["transaction"]["dropped"]
    names = {one["name"] for one in dropped}
    assert {"shop.orders", "shop.orders_pkey", "shop.orders_id_seq"} <= names
    assert {one["of"] for one in dropped if one["kind"] in ("index", "toast")} == {"shop.orders"}
