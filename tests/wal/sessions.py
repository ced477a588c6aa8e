"""Several sessions that take turns, doing what they are told, and the truth about it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.wal.truth import FILE_OF
from tests.wal.waldump import Counts, Place

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor

SESSIONS = 3
SHARED = "shared"


class Turn(NamedTuple):
    """What one session does next; `number` is of rows, or of kilobytes."""

    session: int
    verb: str
    number: int


VERBS = (
    "insert",
    "insert",
    "copy",
    "share",
    "update",
    "touch",
    "delete",
    "toast",
    "message",
    "truncate",
    "recreate",
    "savepoint",
    "savepoint",
    "rollback to",
    "release",
    "commit",
    "rollback",
    "prepare",
)

Rows = dict[Place, Counts]


class Outcome(NamedTuple):
    """How a transaction ended, and what of it was not rolled back before."""

    xid: int
    kind: str
    rows: Rows


@dataclass
class Session:
    """A connection with a table of its own, and what its open transaction did so far.

    `levels` has the transaction's rows and, above, those of each open savepoint.
    """

    connection: Connection
    table: str
    next_id: int = 1
    xid: int = 0
    levels: list[Rows] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def cursor(self) -> Cursor:
        return self.connection.cursor()

    def take(self, turn: Turn) -> None:
        """Do one thing, in a transaction that is begun if none is open."""
        verb = turn.verb
        if verb in ("commit", "rollback", "prepare"):
            if self.levels:
                self.end(verb)
            return
        if not self.levels:
            self.begin()
        if verb == "savepoint":
            self.run(f"SAVEPOINT s{len(self.levels)}")
            self.levels.append({})
        elif verb in ("rollback to", "release"):
            self.leave(verb, turn.number)
        elif verb == "message":
            text = f"repeat('m', {turn.number * 1024})"
            self.run(f"SELECT pg_logical_emit_message({turn.number % 2 == 0}, 'p', {text})")
        else:
            self.change(verb, turn.number)

    def begin(self) -> None:
        cursor = self.cursor
        cursor.execute("BEGIN; SELECT txid_current()")
        self.xid = (cursor.fetchone() or (0,))[0] & 0xFFFFFFFF
        self.levels = [{}]

    def run(self, sql: str) -> int:
        cursor = self.cursor
        cursor.execute(sql)
        return int(cursor.rowcount)

    def leave(self, verb: str, number: int) -> None:
        """Give up or keep a savepoint, with those above it."""
        if len(self.levels) == 1:
            return
        at = 1 + number % (len(self.levels) - 1)
        gone, self.levels = self.levels[at:], self.levels[:at]
        self.run(f"{verb} s{at}")
        if verb == "release":
            for rows in gone:
                add(self.levels[-1], rows)
        else:  # the savepoint itself stays
            self.levels.append({})

    def change(self, verb: str, number: int) -> None:
        """Change rows; the file is asked for when they are in it."""
        table, ids = self.table, range(self.next_id, self.next_id + number)
        changed = Counts()
        if verb in ("insert", "share", "toast"):
            table = SHARED if verb == "share" else table
            body = "md5(n::text)" if verb != "toast" else _WIDE
            source = f"generate_series({ids.start}, {ids.stop - 1}) n"
            changed.inserted = self.run(f"INSERT INTO {table} SELECT n, {body} FROM {source}")
        elif verb == "copy":
            lines = "".join(f"{n}\tcopied\n" for n in ids)
            self.cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(lines))
            changed.inserted = number
        elif verb == "update":
            changed.updated = self.run(f"UPDATE {table} SET id = id + 1000000 WHERE id <= {number}")
        elif verb == "touch":
            changed.updated = self.run(f"UPDATE {table} SET note = 't' WHERE id % 7 = {number % 7}")
        elif verb == "delete":
            changed.deleted = self.run(f"DELETE FROM {table} WHERE id % 5 = {number % 5}")
        elif verb == "truncate":
            self.run(f"TRUNCATE {table}")
        elif verb == "recreate":
            self.run(f"DROP TABLE {table}; {create(table)}")
        self.next_id = ids.stop
        cursor = self.cursor
        cursor.execute(FILE_OF, [table])
        place = Place(*map(int, cursor.fetchone() or ()))
        add(self.levels[-1], {place: changed})

    def end(self, verb: str) -> None:
        rows: Rows = {}
        for level in self.levels[:1] if verb == "rollback" else self.levels:
            add(rows, level)  # an open subtransaction is aborted by itself
        self.levels = []
        if verb == "prepare":
            self.run(f"PREPARE TRANSACTION 'g{self.xid}'")
            self.outcomes.append(Outcome(self.xid, "prepare", rows))
            verb = "commit" if self.xid % 2 else "rollback"
            self.run(f"{verb} PREPARED 'g{self.xid}'")
            kind = "commit prepared" if verb == "commit" else "abort prepared"
        else:
            self.run(verb)
            kind = "commit" if verb == "commit" else "abort"
        self.outcomes.append(Outcome(self.xid, kind, rows))


_WIDE = "(SELECT string_agg(md5((n * 1000 + m)::text), '') FROM generate_series(1, 150) m)"


def create(table: str) -> str:
    key = "" if table == SHARED else ", PRIMARY KEY (id)"
    return f"CREATE TABLE {table} (id bigint, note text{key}) WITH (fillfactor = 60)"


def add(rows: Rows, more: Rows) -> None:
    for place, counts in more.items():
        rows.setdefault(place, Counts()).add(counts)
