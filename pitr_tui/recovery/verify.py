"""Look at a recovered secondary through SQL: what it says of itself, and its tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.sql import Database, Row, query


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server in or after recovery answers. `replayed` and `time` are None after it."""

    in_recovery: bool
    paused: bool
    replayed: Lsn | None
    time: datetime | None
    timeline: TimelineId


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
    """What a query of the person's gave."""

    columns: tuple[str, ...]
    rows: list[Row]
    more: bool


def server_state(database: Database, version: PostgresVersion) -> ServerState:
    """Ask the server how far it is. Raises PitrError while it takes no connections."""
    recovering = database.row("SELECT pg_is_in_recovery()")[0]
    if not recovering:
        timeline = database.row("SELECT timeline_id FROM pg_control_checkpoint()")[0]
        return ServerState(False, False, None, None, TimelineId(timeline))
    replay, paused = version.replay_lsn_function, version.replay_paused_function
    row = database.row(
        f"SELECT {replay}()::text, {paused}(), pg_last_xact_replay_timestamp(),"  # noqa: S608
        " (SELECT timeline_id FROM pg_control_checkpoint())"
    )
    return ServerState(
        True, row[1], Lsn.parse(row[0]) if row[0] else None, row[2], TimelineId(row[3])
    )


def databases(database: Database) -> list[str]:
    """The databases that can be connected to, templates left out."""
    rows = database.rows(
        "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
    )
    return [row[0] for row in rows]


def tables(database: Database, count_rows: bool = True, timeout_seconds: float = 10) -> list[Table]:
    """The tables of a database, largest first, each with its exact number of rows.

    A table that takes longer than `timeout_seconds` to count is given without.
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
            "SELECT set_config('statement_timeout', %s, false)", (f"{timeout_seconds}s",)
        )
        for table in found:
            rows, problem = None, ""
            try:
                cursor.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(
                        sql.Identifier(table.schema, table.name)
                    )
                )
                fetched = cursor.fetchone()
                rows = fetched[0] if fetched else None
            except Error as error:
                problem = str(error).strip().splitlines()[0]
            counted.append(
                Table(table.schema, table.name, table.unlogged, table.total_bytes, rows, problem)
            )
    return counted


def ask(database: Database, statement: str, limit: int = 200) -> Answer:
    """Run a person's query in a read-only transaction and give its first rows.

    Raises PitrError with PostgreSQL's words.
    """
    if not statement.strip():
        raise PitrError("there is no query", "", "type one, for example: SELECT count(*) FROM t")
    with database.connect() as connection, connection.cursor() as cursor:
        connection.set_session(readonly=True, autocommit=False)
        cursor.execute(statement)
        if cursor.description is None:
            return Answer((), [], False)
        columns = tuple(column.name for column in cursor.description)
        rows = cursor.fetchmany(limit + 1)
        return Answer(columns, rows[:limit], len(rows) > limit)
