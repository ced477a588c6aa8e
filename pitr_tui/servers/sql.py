"""Connections to PostgreSQL, with its errors told as ours.

Secrets are libpq's affair: PGPASSWORD, PGPASSFILE or the service file. A connection
string with a password in it is taken apart before anything is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import conninfo_value

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

Row = tuple[Any, ...]
_REFUSED_LOGIN = re.compile(r"password authentication failed|no password supplied")
_LOGIN_HINT = "give the password in PGPASSWORD; for a server without Docker ~/.pgpass will do"
_PLAIN = re.compile(r"[\w./:@%+-]+")


def connection_text(parameters: Mapping[str, str]) -> str:
    """A connection as it may be shown and given to psql: without its password."""
    shown = {key: value for key, value in parameters.items() if key != "password"}
    words = (
        f"{key}={value if _PLAIN.fullmatch(value) else conninfo_value(value)}"
        for key, value in shown.items()
    )
    return " ".join(words) or "libpq's defaults"


def parse_conninfo(conninfo: str) -> dict[str, str]:
    """The parameters of `key=value` or `postgresql://` text. Raises PitrError."""
    import psycopg2
    from psycopg2.extensions import parse_dsn

    try:
        return {str(key): str(value) for key, value in parse_dsn(conninfo).items()}
    except psycopg2.ProgrammingError as error:
        raise PitrError(
            "the connection string cannot be read",
            "it is not in one of libpq's two forms",
            "write it as host=... port=... dbname=... or as postgresql://...",
        ) from error


class Database:
    """How to reach one database; every use opens its own short connection."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.parameters: dict[str, Any] = {
            "dbname": "postgres",
            "connect_timeout": "10",
            "application_name": "pitr",
            **parameters,
        }

    def __str__(self) -> str:
        return connection_text(
            {k: v for k, v in self.parameters.items() if k in ("host", "port", "user", "dbname")}
        )

    def named(self, dbname: str) -> Database:
        """Another database of the same server."""
        return Database({**self.parameters, "dbname": dbname})

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An autocommit connection. Raises PitrError, with PostgreSQL's words as the reason."""
        import psycopg2

        try:
            connection = psycopg2.connect(**self.parameters)
        except psycopg2.Error as error:
            words = str(error).strip()
            hint = _LOGIN_HINT if _REFUSED_LOGIN.search(words) else "is the server running there?"
            raise PitrError(f"cannot connect to {self}", words, hint) from error
        try:
            connection.autocommit = True
            yield connection
        except psycopg2.Error as error:
            raise PitrError(
                f"the server did not accept a command ({self})", str(error).strip()
            ) from error
        finally:
            connection.close()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one statement and fetch what it gives. Raises PitrError."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return cursor.fetchall() if cursor.description else []

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row:
        """The one row of a statement that gives one. Raises PitrError."""
        return self.rows(sql, parameters)[0]


def query(name: str) -> str:
    """The text of `queries/<name>.sql`."""
    return (files("pitr_tui.servers") / "queries" / f"{name}.sql").read_text(encoding="utf-8")
