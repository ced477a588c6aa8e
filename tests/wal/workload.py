"""A fixed history with every kind of change that the WAL reader has to tell."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pitr_tui.servers.osuser import OsUser
from tests.wal.cluster import Cluster
from tests.wal.truth import Truth
from tests.wal.waldump import Counts

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

RESTORE_POINT = "before the release"
MANY = 200  # subtransactions: far more than the 64 that a backend remembers


@dataclass
class Workload:
    """Runs on a started cluster; afterwards `truth` says what has to be found in the WAL."""

    cluster: Cluster
    truth: Truth = field(default_factory=Truth)

    def prepare(self) -> None:
        """What is there before the backup."""
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE orders (id int PRIMARY KEY, note text, flag int)")
            cursor.execute("INSERT INTO orders SELECT n, 'note', 0 FROM generate_series(1,2000) n")
            cursor.execute("CREATE TABLE fresh (id int, note text) WITH (fillfactor = 20)")
            cursor.execute("INSERT INTO fresh SELECT n, 'x' FROM generate_series(1, 300) n")
            cursor.execute("CREATE TABLE wide (id int, body text)")
            cursor.execute("CHECKPOINT")

    def run(self) -> None:
        """All of it, in one session."""
        with self.cluster.connect() as connection:
            self.rows(connection)
            self.subtransactions(connection)
            self.prepared(connection)
            self.rewrites(connection)
            self.drops(connection)
            self.large(connection)
        self.databases()
        self.tablespaces(self.cluster.user)

    def rows(self, connection: Connection) -> None:
        begin = self.truth.transaction
        with begin(connection, "insert 100") as do:
            do.insert(
                "orders", "INSERT INTO orders SELECT n, 'a', 1 FROM generate_series(3001,3100) n"
            )
        with begin(connection, "copy 1000") as do:
            text = "".join(f"{n}\tcopied\t2\n" for n in range(4001, 5001))
            do.cursor.copy_expert("COPY orders FROM STDIN", io.StringIO(text))
            do.counts("orders").inserted += 1000
        with begin(connection, "hot update 300") as do:
            do.update("fresh", "UPDATE fresh SET note = 'y'")
            do.deed.hot = True
        with begin(connection, "key update 400") as do:
            do.update("orders", "UPDATE orders SET id = -id WHERE id <= 400")
            do.deed.hot = False
        with begin(connection, "delete 250") as do:
            do.delete("orders", "DELETE FROM orders WHERE id BETWEEN 1001 AND 1250")
        with begin(connection, "upsert 50 and 25") as do:
            do.run(
                "INSERT INTO orders SELECT n, 'u', 3 FROM generate_series(1976, 2050) n "
                "ON CONFLICT (id) DO UPDATE SET note = excluded.note"
            )
            do.counts("orders").inserted += 50
            do.counts("orders").updated += 25
        with begin(connection, "ignore 10") as do:
            source = "SELECT n FROM generate_series(1976, 1985) n"
            do.run(f"INSERT INTO orders {source} ON CONFLICT DO NOTHING")
        with begin(connection, "rolled back 50", "ROLLBACK") as do:
            do.insert("orders", "INSERT INTO orders SELECT n FROM generate_series(9001, 9050) n")
            do.delete("fresh", "DELETE FROM fresh WHERE id <= 20")
        with begin(connection, "toast 30") as do:
            do.insert(
                "wide",
                "INSERT INTO wide SELECT n, (SELECT string_agg(md5((n * 1000 + m)::text), '') "
                "FROM generate_series(1, 200) m) FROM generate_series(1, 30) n",
            )
        with begin(connection, "lock only") as do:
            do.run("SELECT * FROM orders WHERE id BETWEEN 1300 AND 1310 FOR UPDATE")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_create_restore_point(%s)", [RESTORE_POINT])

    def subtransactions(self, connection: Connection) -> None:
        with self.truth.transaction(connection, "nested") as do:
            do.insert("orders", "INSERT INTO orders VALUES (10001)")
            do.run("SAVEPOINT a")
            do.run("INSERT INTO orders VALUES (10002)")
            do.run("SAVEPOINT b")
            do.run("DELETE FROM orders WHERE id = 1500")
            do.run("RELEASE b")
            do.run("ROLLBACK TO a")  # takes b with it
            do.insert("orders", "INSERT INTO orders VALUES (10003)")
            do.run("SAVEPOINT c")
            do.update("orders", "UPDATE orders SET flag = 9 WHERE id = 1501")
            do.run("RELEASE c")
            do.deed.subtransactions = 2
        with self.truth.transaction(connection, "many subtransactions") as do:
            for number in range(MANY):
                do.run(f"SAVEPOINT s{number}")
                do.insert("orders", f"INSERT INTO orders VALUES ({20000 + number})")
            do.deed.subtransactions = MANY

    def prepared(self, connection: Connection) -> None:
        begin = self.truth.transaction
        with begin(connection, "to be committed", "PREPARE TRANSACTION 'one: 1'") as do:
            do.insert("orders", "INSERT INTO orders SELECT n FROM generate_series(30001, 30020) n")
            do.run("SAVEPOINT a")
            do.insert("orders", "INSERT INTO orders VALUES (30021)")
            do.deed.subtransactions = 1
        with begin(connection, "to be rolled back", "PREPARE TRANSACTION 'two'") as do:
            do.insert("orders", "INSERT INTO orders SELECT n FROM generate_series(31001, 31030) n")
        with begin(connection, "left open", "PREPARE TRANSACTION 'three'") as do:
            do.delete("orders", "DELETE FROM orders WHERE id BETWEEN 1600 AND 1606")
        self.truth.finish(connection, self.truth["to be committed"], "COMMIT PREPARED")
        self.truth.finish(connection, self.truth["to be rolled back"], "ROLLBACK PREPARED")

    def rewrites(self, connection: Connection) -> None:
        begin = self.truth.transaction
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE audit (id int, note text)")
            cursor.execute("INSERT INTO audit SELECT n, 'audit' FROM generate_series(1, 500) n")
            cursor.execute("CREATE INDEX audit_id ON audit (id)")
        with begin(connection, "truncate") as do:
            do.will_drop("fresh")
            do.run("TRUNCATE fresh")
        with begin(connection, "truncate again and fill") as do:
            do.will_drop("fresh")
            do.run("TRUNCATE fresh")
            do.insert("fresh", "INSERT INTO fresh SELECT n FROM generate_series(1, 70) n")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM FULL audit")
            cursor.execute("CLUSTER audit USING audit_id")
            cursor.execute("CREATE INDEX audit_note ON audit (note)")
            cursor.execute("VACUUM orders")
        with begin(connection, "alter type") as do:
            do.will_drop("audit", "audit_id")
            do.run("ALTER TABLE audit ALTER COLUMN id TYPE bigint")
            do.counts("audit").inserted += 500
        with begin(connection, "drop column") as do:
            do.run("ALTER TABLE audit DROP COLUMN note")
        with begin(connection, "create table as") as do:
            number = do.run("CREATE TABLE copied AS SELECT * FROM audit WHERE id <= 123")
            do.counts("copied").inserted += number

    def drops(self, connection: Connection) -> None:
        begin = self.truth.transaction
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA shop")
            for number in range(3):
                cursor.execute(f"CREATE TABLE shop.t{number} (id int PRIMARY KEY)")
            cursor.execute("CREATE SEQUENCE shop.numbers")
            cursor.execute("SELECT count(nextval('shop.numbers')) FROM generate_series(1, 100)")
        with begin(connection, "drop table") as do:
            do.will_drop("copied")
            do.run("DROP TABLE copied")
        with begin(connection, "drop rolled back", "ROLLBACK") as do:
            do.run("DROP TABLE audit")
        with begin(connection, "drop schema") as do:
            do.will_drop("shop.t0", "shop.t1", "shop.t2", "shop.numbers", "shop.t0_pkey")
            do.run("DROP SCHEMA shop CASCADE")

    def large(self, connection: Connection) -> None:
        """Records over many pages, and over segments where those are small."""
        with self.truth.transaction(connection, "large messages") as do:
            do.insert("audit", "INSERT INTO audit VALUES (1)")
            for size in (100_000, 1_500_000):
                do.run(f"SELECT pg_logical_emit_message(true, 'p', repeat('m', {size}))")
            do.insert("audit", "INSERT INTO audit VALUES (2)")
        with self.truth.transaction(connection, "whole table") as do:
            do.run("SET LOCAL client_min_messages = warning")
            do.delete("orders", "DELETE FROM orders WHERE id NOT BETWEEN 1600 AND 1606")

    def databases(self) -> None:
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE scratch")
        with self.cluster.connect("scratch") as connection:
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE there (id int)")
            with self.truth.transaction(connection, "in another database") as do:
                do.insert("there", "INSERT INTO there SELECT generate_series(1, 40)")
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE scratch")

    def tablespaces(self, user: OsUser) -> None:
        place = self.cluster.directory / f"space-{time.monotonic_ns()}"
        user.make_directory(place)
        with self.cluster.connect() as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE TABLESPACE elsewhere LOCATION '{place}'")
                cursor.execute("CREATE TABLE far (id int) TABLESPACE elsewhere")
            with self.truth.transaction(connection, "in a tablespace") as do:
                do.insert("far", "INSERT INTO far SELECT generate_series(1, 60)")
            with self.truth.transaction(connection, "drop in a tablespace") as do:
                do.will_drop("far")
                do.run("DROP TABLE far")
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLESPACE elsewhere")

    def after_restart(self) -> None:
        """One more transaction, to be found behind whatever the restart wrote."""
        with (
            self.cluster.connect() as connection,
            self.truth.transaction(connection, "after the restart") as do,
        ):
            do.insert("audit", "INSERT INTO audit SELECT generate_series(101, 111)")


def same_rows(found: Counts, told: Counts, hot: bool | None) -> bool:
    """Whether rows are those that a deed tells, updates with or without HOT."""
    if hot is not None and (found.updated if hot else found.hot_updated):
        return False
    return (found.inserted, found.updated + found.hot_updated, found.deleted) == (
        told.inserted,
        told.updated + told.hot_updated,
        told.deleted,
    )
