"""Names from a backup's files and the WAL after it, held against what the server says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pitr_tui.recovery.backup import BackupOrder, Compression, take_backup
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backup_catalog import BackupCatalog, read_catalog
from pitr_tui.repositories.backups import BackupFormat, open_backup
from pitr_tui.servers.primary import Primary
from pitr_tui.wal.actions import decode_action
from pitr_tui.wal.catalog import SHARED, Catalog, ChangeKind, RowChange
from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, DatabaseRow, NamespaceRow
from pitr_tui.wal.catalogrows import SystemCatalog as Its
from pitr_tui.wal.names import NameBook, RelationName
from pitr_tui.wal.record import Locator, Manager, Record
from pitr_tui.wal.xact import Abort, Commit
from tests.integration.conftest import installed
from tests.wal.cluster import MEGABYTE, Cluster
from tests.wal.plain_reader import read_records

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

pytestmark = pytest.mark.integration

_RELATIONS = """
SELECT c.oid::int8, c.relname, n.nspname, pg_relation_filenode(c.oid)::int8, c.relkind,
       CASE WHEN c.relisshared THEN 0 ELSE d.oid::int8 END,
       coalesce(nullif(c.reltablespace::int8, 0), d.dattablespace::int8),
       c.relpages, c.reltuples::float8, c.reltoastrelid::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
     pg_database d
WHERE d.datname = current_database()
"""
_COLUMNS = "SELECT attrelid::int8, attnum, attname FROM pg_attribute WHERE attnum > 0"
_OWNERS = """
SELECT i.indexrelid::int8, coalesce(t.oid, i.indrelid)::int8
FROM pg_index i LEFT JOIN pg_class t ON t.reltoastrelid = i.indrelid
UNION ALL SELECT reltoastrelid::int8, oid::int8 FROM pg_class WHERE reltoastrelid <> 0
"""

_BEFORE = (
    "CREATE SCHEMA app",
    "CREATE TABLE app.orders (id serial PRIMARY KEY, price numeric, note text)",
    "INSERT INTO app.orders (price, note)"
    " SELECT n, repeat('x', 20) FROM generate_series(1, 2000) n",
    "CREATE TABLE app.audit (id int, body text)",
    "INSERT INTO app.audit SELECT n, n::text FROM generate_series(1, 500) n",
    "CREATE MATERIALIZED VIEW app.sums AS SELECT count(id) FROM app.orders",
    "CREATE INDEX orders_price ON app.orders (price)",
    *(f"CREATE TABLE app.many_{n} (id int PRIMARY KEY, body text)" for n in range(1, 151)),
    "BEGIN; CREATE TABLE app.never (id int); ROLLBACK",
    "CREATE SCHEMA doomed; CREATE TABLE doomed.one (a int, b text); CREATE SEQUENCE doomed.two",
    "DROP TABLE app.many_150",
)

_AFTER = (
    "CREATE TABLE app.fresh (id int PRIMARY KEY, body text)",
    "TRUNCATE app.audit",
    "VACUUM FULL app.audit",
    "VACUUM FULL app.orders",
    "CLUSTER app.orders USING orders_price",
    "ALTER TABLE app.orders ALTER COLUMN price TYPE float8 USING price::float8",
    "ALTER TABLE app.orders RENAME TO bookings",
    "ALTER TABLE app.bookings ADD COLUMN extra text, DROP COLUMN note",
    "ALTER TABLE app.bookings RENAME COLUMN price TO amount",
    "REFRESH MATERIALIZED VIEW app.sums",
    "CREATE INDEX fresh_body ON app.fresh (body)",
    "REINDEX TABLE app.bookings",
    "BEGIN; CREATE TABLE app.undone (id int, body text); ROLLBACK",
    "BEGIN; SAVEPOINT s; CREATE TABLE app.half (a text); ROLLBACK TO s; SAVEPOINT r;"
    " CREATE TABLE app.whole (a text); RELEASE r; DROP TABLE app.many_1; COMMIT",
    "BEGIN; TRUNCATE app.many_2; ALTER TABLE app.many_2 RENAME TO renamed_2; COMMIT",
    "BEGIN; DROP TABLE app.many_3; ROLLBACK",
    "DROP TABLE app.many_4, app.many_5",
    "CREATE TEMPORARY TABLE passing (id int PRIMARY KEY, body text)",
    "DROP TABLE passing",
    "VACUUM ANALYZE",
    "VACUUM FULL pg_namespace",
    "CREATE SCHEMA later",
    "ALTER TABLE app.fresh SET SCHEMA later",
    "VACUUM FULL pg_class",
    "CREATE TABLE later.second (id int, body text)",
    "DROP TABLE app.many_6",
    "ALTER TABLE app.many_7 RENAME TO renamed_7",
    "VACUUM FULL pg_attribute",
    "VACUUM FULL pg_index",
    "VACUUM FULL pg_database",
    "ALTER TABLE app.many_8 DROP COLUMN body",
    "CREATE INDEX ON app.many_9 (body)",
    "CHECKPOINT",
    "DROP SCHEMA doomed CASCADE",
    "ALTER SCHEMA later RENAME TO latest",
    "VACUUM",
    *(f"ALTER TABLE app.many_{n} RENAME TO other_{n}" for n in range(10, 141)),
    "VACUUM FREEZE",
    "TRUNCATE latest.fresh",
)


@dataclass(frozen=True)
class Shape:
    major: str
    compression: str
    level: str = "replica"
    full_page_writes: str = "on"

    def __str__(self) -> str:
        return f"{self.major}-{self.compression}-{self.level}-{self.full_page_writes}"


SHAPES = (
    Shape("11", "on", "logical"),
    Shape("15", "lz4", "logical"),
    Shape("18", "pglz"),
)
MORE = (
    Shape("10", "on"),
    Shape("12", "off"),
    Shape("13", "on"),
    Shape("14", "on"),
    Shape("15", "zstd", full_page_writes="off"),
    Shape("16", "pglz", "logical"),
    Shape("17", "off", full_page_writes="off"),
    Shape("18", "off", "logical"),
)


@dataclass
class Past:
    """A server's history: a backup in both formats, its WAL, and what it said of itself."""

    shape: Shape
    cluster: Cluster
    held: dict[tuple[int, int], str] = field(default_factory=dict)  # who ever had a file
    tar: Path = field(init=False)
    template: int = 0

    def build(self) -> None:
        cluster = self.cluster
        cluster.initialize()
        cluster.start()
        self.tar = cluster.directory / "tar"
        self._tablespace()
        with cluster.connect() as connection:
            run(connection, "CREATE DATABASE shop")
            run(connection, "CREATE DATABASE apart TABLESPACE elsewhere")
        self._history()
        cluster.switch()

    def _tablespace(self) -> None:
        place = self.cluster.directory / "elsewhere"
        self.cluster.user.make_directory(place)
        with self.cluster.connect() as connection:
            run(connection, f"CREATE TABLESPACE elsewhere LOCATION '{place}'")

    def _history(self) -> None:
        cluster = self.cluster
        with cluster.connect("shop") as shop, cluster.connect("shop") as open_one:
            for statement in _BEFORE:
                run(shop, statement)
            run(open_one, "BEGIN")
            run(open_one, "CREATE TABLE app.begun_before (id int, body text)")
            run(open_one, "ALTER TABLE app.many_149 RENAME TO renamed_149")
            self._take_backups()
            run(open_one, "CREATE TABLE app.begun_before_2 (id int)")
            run(open_one, "COMMIT")
            for statement in _AFTER:
                self.hold(shop)
                run(shop, statement)
                self.hold(shop)
            run(shop, "CREATE TABLE app.placed (id int, body text) TABLESPACE elsewhere")
            run(shop, "ALTER TABLE app.many_141 SET TABLESPACE elsewhere")
            self.hold(shop)
        self._databases()

    def _take_backups(self) -> None:
        self.cluster.take_backup()
        database = self.cluster.server.database
        facts = Primary(database).facts()
        order = BackupOrder(database, facts, self.tar, BackupFormat.TAR, Compression.GZIP)
        list(take_backup(order))

    def _databases(self) -> None:
        """Make databases in every way, change them, and drop one."""
        ways = ("wal_log", "file_copy") if self.shape.major in ("15", "16", "17", "18") else ("",)
        with self.cluster.connect() as connection:
            run(connection, "CREATE DATABASE gone TEMPLATE shop")
            for way in ways:
                strategy = f" STRATEGY {way}" if way else ""
                run(connection, f"CREATE DATABASE copy{way} TEMPLATE shop{strategy}")
            run(connection, "DROP DATABASE gone")
            run(connection, "ALTER DATABASE apart RENAME TO moved")
            run(connection, "ALTER DATABASE moved SET TABLESPACE pg_default")
        for way in ways:
            with self.cluster.connect(f"copy{way}") as connection:
                run(connection, "DROP TABLE app.other_10; CREATE TABLE app.own (id int)")
                run(connection, "ALTER TABLE app.other_11 RENAME TO elevenths")
        with self.cluster.connect("moved") as connection:
            run(connection, "CREATE TABLE arrived (id int, body text)")
            self.hold(connection)

    def hold(self, connection: Connection) -> None:
        for relation in rows(connection, _RELATIONS):
            if relation[3]:
                self.held[relation[5], relation[3]] = f"{relation[2]}.{relation[1]}"

    def records(self, start: int) -> list[Record]:
        found = read_records([path.read_bytes() for path in self.cluster.segments()])
        return [record for record in found if record.lsn >= start]


@dataclass
class Replayed:
    """What a catalog made of the WAL."""

    read: BackupCatalog
    book: NameBook
    changes: list[RowChange] = field(default_factory=list)
    dropped: dict[Locator, RelationName] = field(default_factory=dict)

    @property
    def catalog(self) -> Catalog:
        return self.read.catalog

    def follow(self, records: list[Record], numbers: frozenset[int]) -> None:
        """Apply the records of files with these numbers, and all that say more."""
        for record in records:
            action = decode_action(record)
            if isinstance(action, Commit):
                self._commit(action)
            elif isinstance(action, Abort):
                self.catalog.aborted(frozenset((action.xid, *action.subxids)))
            elif action is not None:
                self.catalog.apply_action(action)
            elif record.manager in (Manager.HEAP, Manager.HEAP2, Manager.XLOG):
                blocks = record.body().blocks
                if blocks and blocks[0].locator.number in numbers:
                    self.changes += self.catalog.apply(record)

    def _commit(self, action: Commit) -> None:
        xids = frozenset((action.xid, *action.subxids))
        before = {place: self.book.lookup(*_key(place), xids) for place in action.dropped}
        self.catalog.committed(xids)
        for place in action.dropped:
            self.dropped[place] = self.book.lookup(*_key(place), xids)
            assert str(before[place]) == str(self.dropped[place])


def _key(place: Locator) -> tuple[int, int, int]:
    return place.database, place.tablespace, place.number


def replay(past: Past, backup: Path) -> Replayed:
    """Read a backup and the WAL after it: again with the files that turn out to be catalogs."""
    opened = open_backup(backup, WalArchive(past.cluster.wal_directory))
    records = past.records(opened.label.start_lsn)
    wanted = read_catalog(opened).catalog.watched
    while True:
        read = read_catalog(opened)
        replayed = Replayed(read, NameBook(read.catalog))
        replayed.follow(records, wanted)
        if read.catalog.watched <= wanted:
            return replayed
        wanted |= read.catalog.watched


def run(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        for part in statement.split(";"):
            cursor.execute(part)


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


_pasts: dict[Shape, Past] = {}


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(shape, id=str(shape)) for shape in SHAPES),
        *(pytest.param(shape, id=str(shape), marks=pytest.mark.matrix) for shape in MORE),
    ],
)
def past(request: pytest.FixtureRequest) -> Iterator[Past]:
    shape: Shape = request.param
    settings = {
        "wal_level": shape.level,
        "wal_compression": shape.compression,
        "full_page_writes": shape.full_page_writes,
    }
    cluster = Cluster(installed(shape.major), 16 * MEGABYTE, settings)
    past = Past(shape, cluster)
    try:
        past.build()
        yield past
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def replayed(past: Past) -> Replayed:
    return replay(past, past.cluster.directory / "backup")


def databases(past: Past) -> dict[str, int]:
    found = past.cluster.server.database.rows("SELECT datname, oid::int8 FROM pg_database")
    return {name: oid for name, oid in found if name != "template0"}


def test_the_backup_is_read_without_remarks(replayed: Replayed) -> None:
    assert replayed.read.remarks == ()
    assert replayed.catalog.missing == frozenset()


def test_databases_have_their_names(past: Past, replayed: Replayed) -> None:
    found = replayed.catalog.rows(Its.PG_DATABASE, SHARED)
    own = past.cluster.server.database.rows(
        "SELECT oid::int8, datname, dattablespace::int8 FROM pg_database"
    )
    assert sorted(found) == sorted(DatabaseRow(*row) for row in own)


def test_every_relation_has_the_name_that_the_server_says(past: Past, replayed: Replayed) -> None:
    for name, database in databases(past).items():
        with past.cluster.connect(name) as connection:
            told = rows(connection, _RELATIONS)
        known = [row for row in replayed.catalog.rows(Its.PG_CLASS, database)]
        assert len(known) == len(told) > 300
        for oid, relname, schema, number, kind, home, tablespace, pages, tuples, toast in told:
            own = replayed.book.relation(database, oid)
            assert own is not None, relname
            found = replayed.book.lookup(home, tablespace, number) if number else own
            assert (found.oid, found.schema, found.name) == (oid, schema, relname)
            if home:  # each database has counts of its own of the shared ones
                assert found.pages == pages, relname
                assert found.rows == pytest.approx(tuples), relname
            assert found.database == (name if home or not number else None)
            (row,) = [row for row in known if isinstance(row, ClassRow) and row.oid == oid]
            assert (row.relkind, row.reltoastrelid) == (kind, toast)


def test_every_column_has_the_name_that_the_server_says(past: Past, replayed: Replayed) -> None:
    told: dict[int, dict[int, str]] = {}
    with past.cluster.connect("shop") as connection:
        for relation, number, name in rows(connection, _COLUMNS):
            told.setdefault(relation, {})[number] = name
    found: dict[int, dict[int, str]] = {}
    shop = databases(past)["shop"]
    for row in replayed.catalog.rows(Its.PG_ATTRIBUTE, shop):
        assert isinstance(row, AttributeRow)
        if row.attnum > 0:
            found.setdefault(row.attrelid, {})[row.attnum] = row.attname
    assert found == told
    bookings = next(oid for oid, names in told.items() if "amount" in names.values())
    assert replayed.book.columns(shop, bookings) == told[bookings]


def test_indexes_and_toast_are_attributed_to_their_tables(past: Past, replayed: Replayed) -> None:
    shop = databases(past)["shop"]
    with past.cluster.connect("shop") as connection:
        owners = dict(rows(connection, _OWNERS))
    assert len(owners) > 300
    for one, owner in owners.items():
        name = replayed.book.relation(shop, one)
        assert name is not None
        assert name.table.oid == owner, name


def test_schemas_have_their_names(past: Past, replayed: Replayed) -> None:
    with past.cluster.connect("shop") as connection:
        told = rows(connection, "SELECT oid::int8, nspname FROM pg_namespace")
    shop = databases(past)["shop"]
    found = replayed.catalog.rows(Its.PG_NAMESPACE, shop)
    assert sorted(found) == sorted(NamespaceRow(*row) for row in told)


def test_dropped_and_rewritten_files_are_named_at_the_commit(
    past: Past, replayed: Replayed
) -> None:
    held = {place: past.held.get((place.database, place.number)) for place in replayed.dropped}
    assert sum(name is not None for name in held.values()) > 60
    for place, name in replayed.dropped.items():
        assert name.name is not None, place
    others = {
        (held[place], str(name))
        for place, name in replayed.dropped.items()
        if held[place] not in (None, str(name))
    }
    assert not others


def test_changes_tell_what_was_there_before(replayed: Replayed) -> None:
    for change in replayed.changes:
        assert (change.before is None) == (change.kind is ChangeKind.INSERTED), change
        assert (change.after is None) == (change.kind is ChangeKind.DELETED), change


def test_accidents_can_be_recognised(replayed: Replayed) -> None:
    changes = replayed.changes
    dropped_columns = {
        change.before.attname
        for change in changes
        if isinstance(change.before, AttributeRow)
        and isinstance(change.after, AttributeRow)
        and change.after.attname == f"........pg.dropped.{change.before.attnum}........"
    }
    assert {"note", "body"} <= dropped_columns
    assert any(
        isinstance(one.before, AttributeRow)
        and isinstance(one.after, AttributeRow)
        and one.before.attname == one.after.attname == "price"
        and one.before.atttypid != one.after.atttypid
        for one in changes
    )
    deleted = [one.before for one in changes if one.kind is ChangeKind.DELETED]
    assert "doomed" in {row.nspname for row in deleted if isinstance(row, NamespaceRow)}
    assert "gone" in {row.datname for row in deleted if isinstance(row, DatabaseRow)}
    tables = {row.relname for row in deleted if isinstance(row, ClassRow)}
    assert {"many_1", "many_4", "many_5", "many_6", "one", "two"} <= tables
    assert any(
        isinstance(one.before, ClassRow)
        and isinstance(one.after, ClassRow)
        and one.before.relname == one.after.relname == "many_2"
        and one.before.relfilenode != one.after.relfilenode
        for one in changes
    )


def test_a_backup_in_tar_format_says_the_same(past: Past, replayed: Replayed) -> None:
    plain, tar = replayed, replay(past, past.tar)
    assert tar.read.remarks == ()
    for database in databases(past).values():
        for catalog in (Its.PG_CLASS, Its.PG_NAMESPACE, Its.PG_INDEX, Its.PG_ATTRIBUTE):
            found = sorted(tar.catalog.rows(catalog, database))
            assert found == sorted(plain.catalog.rows(catalog, database)), catalog
    for database, sizes in plain.read.rows.files.sizes.items():
        for number, size in sizes.items():
            assert tar.read.rows.files.sizes[database].get(number, size) == size


def test_a_backup_tells_how_large_a_table_was(past: Past, replayed: Replayed) -> None:
    shop = databases(past)["shop"]
    sizes = replayed.read.rows.files.sizes[shop]
    start = open_backup(past.cluster.directory / "backup", None)
    fresh = read_catalog(start)
    book = NameBook(fresh.catalog)
    named = {str(book.lookup(shop, 1663, number)): number for number in sizes}
    number = named["app.orders"]
    path = past.cluster.directory / f"backup/base/{shop}/{number}"
    assert sizes[number] == path.stat().st_size > 0


def test_one_pass_believes_the_files_before(past: Past) -> None:
    """Where records of a catalog written anew are not read, names from before are kept."""
    opened = open_backup(past.cluster.directory / "backup", None)
    read = read_catalog(opened)
    replayed = Replayed(read, NameBook(read.catalog))
    wanted = read.catalog.watched
    replayed.follow(past.records(opened.label.start_lsn), wanted)
    shop = databases(past)["shop"]
    assert read.catalog.watched > wanted
    assert {database for database, _ in read.catalog.missing} >= {shop}
    numbers = [number for (place, number), name in past.held.items() if place == shop]
    names = [replayed.book.lookup(shop, 1663, number).name for number in numbers]
    assert sum(name is not None for name in names) > 0.8 * len(names)


def test_names_come_from_the_wal_alone(past: Past) -> None:
    """Without a backup, rows and page images teach what they hold."""
    records = past.records(0)
    wanted: frozenset[int] = frozenset()
    catalog = Catalog(past.cluster.installation.version)
    while not catalog.watched <= wanted:
        wanted |= catalog.watched
        catalog = Catalog(past.cluster.installation.version)
        rows_there = read_catalog(open_backup(past.cluster.directory / "backup")).rows
        told = Replayed(BackupCatalog(catalog, rows_there, ()), NameBook(catalog))
        told.follow(records, wanted)
    shop = databases(past)["shop"]
    with past.cluster.connect("shop") as connection:
        for oid, name, schema, number, *_, space, _, _, _ in rows(connection, _RELATIONS):
            if number and oid >= 16384 and schema in ("app", "latest"):
                found = told.book.lookup(shop, space, number)
                assert (found.oid, str(found)) == (oid, f"{schema}.{name}")
