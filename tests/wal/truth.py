"""What a test did to a server, recorded while it does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.wal.waldump import Counts, Place

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

FILE_OF = """
SELECT CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END,
       d.oid, pg_relation_filenode(c.oid)
FROM pg_class c, pg_database d
WHERE c.oid = %s::regclass AND d.datname = current_database()
"""


@dataclass
class Deed:
    """One transaction: what it did to which files, and how and when it ended.

    `rows` are those of the transaction and of its subtransactions that were not rolled back;
    the hot updates among `updated` are not told apart, except where `hot` says so.
    """

    label: str
    xid: int = 0
    kind: str = "commit"
    rows: dict[Place, Counts] = field(default_factory=dict)
    names: dict[Place, str] = field(default_factory=dict)
    dropped: set[Place] = field(default_factory=set)
    hot: bool | None = None
    gid: str | None = None
    subtransactions: int = 0
    before: datetime | None = None
    after: datetime | None = None


@dataclass
class Doing:
    """A transaction while it is open."""

    deed: Deed
    cursor: Cursor

    def run(self, sql: str, values: list[Any] | None = None) -> int:
        """Run a statement and give its number of rows."""
        self.cursor.execute(sql, values)
        return int(self.cursor.rowcount)

    def file(self, table: str) -> Place:
        """The file of a relation as it is now."""
        self.cursor.execute(FILE_OF, [table])
        place = Place(*map(int, self.cursor.fetchone() or ()))
        self.deed.names.setdefault(place, table)
        return place

    def counts(self, table: str) -> Counts:
        return self.deed.rows.setdefault(self.file(table), Counts())

    def insert(self, table: str, sql: str) -> None:
        number = self.run(sql)
        self.counts(table).inserted += number

    def update(self, table: str, sql: str) -> None:
        number = self.run(sql)
        self.counts(table).updated += number

    def delete(self, table: str, sql: str) -> None:
        number = self.run(sql)
        self.counts(table).deleted += number

    def will_drop(self, *relations: str) -> None:
        """Note the files of relations that a commit is about to remove, TOAST included."""
        for relation in relations:
            self.deed.dropped.add(self.file(relation))


@dataclass
class Truth:
    """Everything done over one connection after the other, in the order of its ending."""

    deeds: list[Deed] = field(default_factory=list)

    @contextmanager
    def transaction(
        self, connection: Connection, label: str, end: str = "COMMIT"
    ) -> Iterator[Doing]:
        """A transaction that ends with the statement `end`: COMMIT, ROLLBACK or PREPARE."""
        deed = Deed(label)
        with connection.cursor() as cursor:
            cursor.execute("BEGIN; SELECT txid_current()")
            deed.xid = (cursor.fetchone() or (0,))[0] & 0xFFFFFFFF
            yield Doing(deed, cursor)
            deed.before = _clock(cursor)
            cursor.execute(end)
            deed.after = _clock(cursor)
        if end == "ROLLBACK":
            deed.kind, deed.dropped = "abort", set()
        elif end.startswith("PREPARE"):
            deed.kind, deed.gid = "prepare", end.split("'")[1]
        self.deeds.append(deed)

    def finish(self, connection: Connection, prepared: Deed, statement: str) -> None:
        """End a prepared transaction with COMMIT PREPARED or ROLLBACK PREPARED."""
        committed = statement.startswith("COMMIT")
        with connection.cursor() as cursor:
            deed = Deed(
                f"{prepared.label}, finished",
                prepared.xid,
                "commit prepared" if committed else "abort prepared",
                prepared.rows,
                prepared.names,
                prepared.dropped if committed else set(),
                prepared.hot,
                prepared.gid,
                before=_clock(cursor),
            )
            cursor.execute(f"{statement} '{prepared.gid}'")
            deed.after = _clock(cursor)
        self.deeds.append(deed)

    def __getitem__(self, label: str) -> Deed:
        return next(deed for deed in self.deeds if deed.label == label)


def _clock(cursor: Cursor) -> datetime:
    cursor.execute("SELECT clock_timestamp()")
    moment = (cursor.fetchone() or (None,))[0]
    assert isinstance(moment, datetime)
    return moment
