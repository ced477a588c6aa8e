"""Commits to a database and writes the truth about it.

The truth learns of a commit before it is made and after it (`truth.Intent`, `truth.Done`), both
under one lock. Whoever is killed between the two leaves a transaction that is made or not;
`lab.settling` asks the database which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError
from pitr_tui.lab.capture import difference, rows_of, touched_rows
from pitr_tui.lab.session import AwayError, Position, Session
from pitr_tui.lab.shop import TABLES, ShopTransaction, opening, schema_statements
from pitr_tui.lab.shop_deeds import Till
from pitr_tui.lab.truth import (
    Changes,
    Commit,
    Done,
    Intent,
    Noted,
    Refused,
    Rows,
    TruthWriter,
    Undone,
)
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.servers.sql import Database

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor


@dataclass(frozen=True, slots=True)
class Label:
    """What a commit is called.

    What is not `good` should not be there after the recovery; `deed` names the step of the
    scenario, `item` the shop's transaction that it is.
    """

    what: str
    good: bool = True
    deed: str = ""
    item: int | None = None


@dataclass(frozen=True, slots=True)
class _Effect:
    changes: Changes
    dropped: tuple[str, ...] = ()
    created: tuple[str, ...] = ()


class Recorder:
    """Makes transactions in one database, and writes each down.

    Its sessions open when they are needed. A server that is on another `timeline` than the given
    one counts as away: it is not the primary that the truth is about.
    """

    def __init__(
        self, database: Database, writer: TruthWriter, timeline: TimelineId | None = None
    ) -> None:
        self.database = database
        self.writer = writer
        self.timeline = timeline
        self._sessions: dict[int, Session] = {}

    def open_shop(self, seed: int, customers: int, tablespace: str | None = None) -> Commit:
        """The shop's tables and first rows, as one transaction. Raises PitrError."""
        from psycopg2 import sql
        from psycopg2.extras import execute_values

        def run(cursor: Cursor) -> None:
            for statement in schema_statements(tablespace):
                cursor.execute(statement)
            for first in opening(seed, customers):
                insert = sql.SQL("INSERT INTO {} ({}) VALUES %s").format(
                    sql.Identifier(*first.table.split(".")),
                    sql.SQL(", ").join(map(sql.Identifier, first.columns)),
                )
                execute_values(cursor, insert, first.rows, page_size=1000)

        return self._compared(run, Label("the shop opens"))

    def shop(
        self, item: int, transaction: ShopTransaction, *, good: bool = True
    ) -> tuple[Commit, ...]:
        """The shop's transaction of this number, and what it tells of others: commits, in order.

        What the database does not take is written as refused, and nothing is left of it. Raises
        AwayError when the server is away; then it is to be tried again, after settling.
        """
        commits: list[Commit] = []
        self._serve(transaction, Label(transaction.what, good=good, item=item), 0, commits)
        return tuple(commits)

    def statements(
        self, statements: Sequence[str], what: str, *, good: bool = True, deed: str = ""
    ) -> Commit:
        """One transaction of these statements. Raises PitrError, with nothing changed."""

        def run(cursor: Cursor) -> None:
            for statement in statements:
                cursor.execute(statement)

        return self._compared(run, Label(what, good, deed))

    def outside(self, statement: str, what: str, *, good: bool = False, deed: str = "") -> Commit:
        """A statement that no transaction may hold, given from the database `postgres`.

        Raises PitrError.
        """
        with self.writer.locked():
            before = rows_of(self.database)
            self.close()  # nobody may be in a database that is dropped
            session = Session(self.database.named("postgres"))
            try:
                with session.told():
                    xid = session.next_xid()
                    session.cursor.execute(statement)
                    alone = session.next_xid() == (xid + 1) & 0xFFFFFFFF
                    position = session.position()
            finally:
                session.close()
            changes, dropped, created = difference(before, rows_of(self.database))
            commit = Commit(
                number=self.writer.next_number(),
                xid=xid if alone else None,
                lsn=position.lsn,
                timeline=session.timeline,
                at=position.at,
                good=good,
                what=what,
                changes=changes,
                deed=deed,
                dropped=dropped,
                created=created,
            )
            self.writer.write(commit)
        return commit

    def here(self) -> Position:
        """Where the WAL and the clock are now. Raises PitrError."""
        session = self._session(0)
        with session.told():
            return session.position()

    def note(self, name: str) -> Noted:
        """Write down the clock, the position and the next transaction id. Raises PitrError."""
        session = self._session(0)
        with session.told():
            position = session.position()
            noted = Noted(name, position.at, position.lsn, session.next_xid())
        self.writer.write(noted)
        return noted

    def close(self) -> None:
        """End the sessions; the next transaction opens new ones."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _session(self, number: int) -> Session:
        session = self._sessions.get(number)
        if session is None or session.connection.closed:
            session = self._sessions[number] = Session(self.database)
            if self.timeline not in (None, session.timeline):
                session.close()
                raise AwayError(
                    f"{self.database} is not the lab's primary",
                    f"it is on timeline {session.timeline}, the primary on {self.timeline}",
                )
        return session

    def _serve(
        self, transaction: ShopTransaction, label: Label, depth: int, commits: list[Commit]
    ) -> None:
        session = self._session(depth)
        try:
            with session.told():
                till = Till(session.cursor)
                session.begin()
                transaction.run(till)
                other = transaction.meanwhile
                if other is not None:
                    self._serve(other, replace(label, what=other.what), depth + 1, commits)
                if transaction.rolls_back:
                    session.rollback()
                    at = session.position().at
                    self.writer.write(Refused(label.what, at, label.item, meant=True))
                    return
                changes = touched_rows(session.cursor, till.touched, TABLES)
                commits.append(self._commit(session, label, _Effect(changes)))
        except AwayError:
            raise
        except PitrError:
            with session.told():
                at = session.position().at
            self.writer.write(Refused(label.what, at, label.item))

    def _compared(self, run: Callable[[Cursor], None], label: Label) -> Commit:
        """A transaction whose changes are found by comparing all rows before and after it."""
        session = self._session(0)
        with self.writer.locked(), session.told():
            session.begin()
            xid, before = session.xid(), rows_of(session.connection)
            run(session.cursor)
            if session.xid() != xid:
                raise PitrError(
                    "a statement ended the transaction",
                    "the statements of a list are one transaction, which the lab itself commits",
                    "take COMMIT, ROLLBACK and the like out of them",
                )
            return self._commit(session, label, _effect(before, rows_of(session.connection)))

    def _commit(self, session: Session, label: Label, effect: _Effect) -> Commit:
        import psycopg2

        with self.writer.locked():
            xid = session.xid()
            position = session.position()
            commit = Commit(
                number=self.writer.next_number(),
                xid=xid,
                lsn=position.lsn,
                timeline=session.timeline,
                at=position.at,
                good=label.good,
                what=label.what,
                deed=label.deed,
                item=label.item,
                changes=effect.changes,
                dropped=effect.dropped,
                created=effect.created,
            )
            self.writer.write(Intent(commit))
            try:
                position = session.commit()
            except psycopg2.Error:
                if not session.connection.closed:
                    self.writer.write(Undone(commit.number))
                raise
            self.writer.write(Done(commit.number, position.lsn, position.at))
        return replace(commit, lsn=position.lsn, at=position.at)


def _effect(before: Rows, after: Rows) -> _Effect:
    return _Effect(*difference(before, after))
