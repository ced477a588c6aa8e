"""A session of the lab's own in a database: its transactions, and where in the WAL they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pitr_tui.errors import PitrError
from pitr_tui.lab.capture import settle_settings
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.sql import Database

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_XID_BITS = 0xFFFFFFFF
_CUT_OFF = "57P"  # how the errors begin by which a server ends a session


class AwayError(PitrError):
    """The server does not answer, or is none that can be written to."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the WAL and the clock are."""

    lsn: Lsn
    at: datetime


class Session:
    """A connection that is open until `close`; its rows read as `capture` wants them."""

    def __init__(self, database: Database) -> None:
        """Raises AwayError where nobody can write."""
        import psycopg2

        self._database = database
        try:
            self.connection: Connection = psycopg2.connect(**database.parameters)
        except psycopg2.Error as error:
            raise AwayError(f"cannot connect to {database}", str(error).strip()) from error
        try:
            self.connection.autocommit = True
            self.cursor = self.connection.cursor()
            self.version = PostgresVersion(self.connection.server_version)
            settle_settings(self.cursor)
            # Both sessions of an overlap belong to one thread: a lock must not hold it for ever.
            self.cursor.execute("SET lock_timeout = '5s'")
            self.timeline = self._timeline()
        except psycopg2.Error as error:
            self.connection.close()
            raise AwayError(f"{database} cannot be written to", str(error).strip()) from error

    def begin(self) -> None:
        """Raises psycopg2.Error, as the others do."""
        self.cursor.execute("BEGIN")

    def position(self) -> Position:
        """Where the server is now; what was committed lies before it."""
        self.cursor.execute(self._position_query())
        return self._position()

    def xid(self) -> int:
        """This transaction's id, of 32 bits; from now on it has one."""
        self.cursor.execute("SELECT txid_current()")
        return int(self._row()[0]) & _XID_BITS

    def next_xid(self) -> int:
        """The id that the next transaction gets."""
        self.cursor.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())")
        return int(self._row()[0]) & _XID_BITS

    def commit(self) -> Position:
        """Commit, and see where that was."""
        self.cursor.execute(f"COMMIT; {self._position_query()}")
        return self._position()

    def rollback(self) -> None:
        """Take back what the transaction did."""
        self.cursor.execute("ROLLBACK")

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def told(self) -> Iterator[None]:
        """PostgreSQL's errors as ours: AwayError when the session is gone. Nothing stays open."""
        import psycopg2

        try:
            yield
        except psycopg2.Error as error:
            words = str(error).strip()
            if self.connection.closed or (error.pgcode or "").startswith(_CUT_OFF):
                self.close()
                raise AwayError(f"{self._database} is away", words) from error
            self.rollback()
            raise PitrError(
                f"the server did not accept a command ({self._database})", words
            ) from error
        except BaseException:
            if not self.connection.closed:
                self.rollback()
            raise

    def _timeline(self) -> TimelineId:
        version = self.version
        query = f"SELECT {version.segment_name_function}({version.current_lsn_function}())"  # noqa: S608
        self.cursor.execute(query)
        return TimelineId(int(self._row()[0][:8], 16))

    def _position_query(self) -> str:
        function = self.version.current_lsn_function
        return f"SELECT {function}()::text, clock_timestamp()"  # noqa: S608 - a fixed name

    def _position(self) -> Position:
        lsn, at = self._row()
        return Position(Lsn.parse(lsn), at)

    def _row(self) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self.cursor.fetchone()
        assert row is not None  # noqa: S101 - each query that is asked here gives one
        return row
