"""Look at a recovered secondary through SQL: what it says of itself, and its tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.sqltext import require_look
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.sql import Database, query

_LOCKED = "55P03"
_LOCK_TIMEOUT = "2s"
_LOCK_HINT = (
    "the transaction just behind the target had locked it already; it can be read once the "
    "secondary is promoted"
)


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server in or after recovery answers. `replayed` and `time` are None after it.

    `locked` counts the relations that cannot be read while it is paused, because replay has
    passed the locks of a transaction (a DROP, TRUNCATE or ALTER) but not its commit.
    """

    in_recovery: bool
    paused: bool
    replayed: Lsn | None
    time: datetime | None
    timeline: TimelineId
    locked: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one database. `rows` is None where it was not counted, with the reason."""

    schema: str
    name: str
    unlogged: bool
    total_bytes: int
    rows: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query of the person's gave, as PostgreSQL prints it; None is NULL."""

    columns: tuple[str, ...]
    rows: list[tuple[str | None, ...]]
    more: bool


def server_state(database: Database, version: PostgresVersion) -> ServerState:
    """Ask the server how far it is. Raises PitrError while it takes no connections."""
    replay, paused = version.replay_lsn_function, version.replay_paused_function
    written = f"{version.segment_name_function}({version.current_lsn_function}())"
    row = database.row(
        "SELECT pg_is_in_recovery(),"  # noqa: S608 - fixed names
        f" CASE WHEN pg_is_in_recovery() THEN {paused}() ELSE false END,"
        f" CASE WHEN pg_is_in_recovery() THEN {replay}()::text END,"
        " CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END,"
        # The control file learns of a promotion with the next checkpoint alone.
        " CASE WHEN pg_is_in_recovery() THEN greatest("
        "   (SELECT timeline_id FROM pg_control_checkpoint()),"
        "   (SELECT min_recovery_end_timeline FROM pg_control_recovery()))"
        f" ELSE ('x' || substr({written}, 1, 8))::bit(32)::int END,"
        " (SELECT count(DISTINCT (database, relation)) FROM pg_locks"
        "   WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND granted)"
    )
    recovering, is_paused, lsn, time, timeline, locked = row
    return ServerState(
        recovering,
        is_paused,
        Lsn.parse(lsn) if lsn else None,
        time,
        TimelineId(timeline),
        locked if recovering else 0,
    )


def system_identifier(database: Database) -> int:
    """Of which cluster the server is; a copy has that of its origin. Raises PitrError."""
    return int(database.row("SELECT system_identifier FROM pg_control_system()")[0])


def databases(database: Database) -> list[str]:
    """The databases that can be connected to, templates left out."""
    rows = database.rows(
        "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
    )
    return [row[0] for row in rows]


def tables(database: Database, count_rows: bool = True, timeout_seconds: float = 10) -> list[Table]:
    """The tables of a database, largest first, each with its exact number of rows.

    A table that is locked, or takes longer than `timeout_seconds` to count, is given without.
    Raises PitrError when the server does not answer.
    """
    from psycopg2 import sql
    from psycopg2.errors import Error

    found = [Table(*row) for row in database.rows(query("tables"))]
    if not count_rows:
        return found
    counted: list[Table] = []
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false),"
            " set_config('lock_timeout', %s, false)",
            (f"{int(timeout_seconds * 1000)}ms", _LOCK_TIMEOUT),
        )
        for table in found:
            try:
                cursor.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(
                        sql.Identifier(table.schema, table.name)
                    )
                )
                fetched = cursor.fetchone()
                counted.append(replace(table, rows=fetched[0] if fetched else None))
            except Error as error:
                words = str(error).strip().splitlines()[0]
                problem = "locked until promoted" if error.pgcode == _LOCKED else words
                counted.append(replace(table, problem=problem))
    return counted


def ask(database: Database, statement: str, limit: int = 200, timeout_seconds: float = 0) -> Answer:
    """Run a person's query in a read-only transaction and give its first rows.

    Reading only keeps no superuser from promoting a server or writing files through it; so
    only one statement is taken that looks, see `require_look`, and where the role
    `pg_read_all_data` exists (14+) it runs with the rights of that. With `timeout_seconds` it
    may not take longer. Raises PitrError with PostgreSQL's words.
    """
    from psycopg2 import Error
    from psycopg2.extensions import new_type, register_type, string_types

    require_look(statement)
    with database.connect() as connection, connection.cursor() as cursor:
        connection.set_session(readonly=True, autocommit=False)
        try:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'pg_read_all_data'")
            if cursor.fetchone():
                cursor.execute("SET LOCAL ROLE pg_read_all_data")
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true),"
                " set_config('standard_conforming_strings', 'on', true),"
                " set_config('statement_timeout', %s, true)",
                (_LOCK_TIMEOUT, f"{int(timeout_seconds * 1000)}ms"),
            )
            as_printed = new_type(tuple(string_types), "TEXT", lambda value, cursor: value)
            register_type(as_printed, cursor)
            cursor.execute(statement)
            if cursor.description is None:
                return Answer((), [], False)
            rows = cursor.fetchmany(limit + 1)
        except Error as error:
            hint = _LOCK_HINT if error.pgcode == _LOCKED else ""
            raise PitrError("the query failed", str(error).strip(), hint) from error
        columns = tuple(column.name for column in cursor.description)
        return Answer(columns, rows[:limit], len(rows) > limit)
