"""What the rows of a database say, and what a transaction changed in them.

A row is known by its primary key and is compared as text: what `t::text` gives under settings
that are the same on every server that is asked. The shop's rows are known by the keys that the
shop gave them, so that they are the same rows in a table that was brought back without its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pitr_tui.lab.shop_schema import TABLES
from pitr_tui.lab.truth import Changes, Rows
from pitr_tui.servers.sql import Database

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from psycopg2.extensions import cursor as Cursor
    from psycopg2.sql import Composable

Tables = Mapping[str, tuple[str, ...]]
"""Table with its schema -> the columns of its rows' key."""

Touched = Mapping[str, Iterable[tuple[object, ...]]]
"""Table -> the values that the first columns of its primary key have in the rows that changed."""

_SETTINGS = """
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET extra_float_digits = 0;
SET bytea_output = 'hex';
SET lc_monetary = 'C';
SET quote_all_identifiers = off
"""
# Everything that a recovery has to bring back: not what is unlogged, temporary or another's.
_TABLES = """
SELECT n.nspname, c.relname,
       ARRAY(SELECT a.attname::text
               FROM pg_constraint k, unnest(k.conkey) WITH ORDINALITY AS u(number, place)
               JOIN pg_attribute a ON a.attnum = u.number
              WHERE k.conrelid = c.oid AND k.contype = 'p' AND a.attrelid = c.oid
              ORDER BY u.place),
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
 ORDER BY n.nspname, c.relname
"""


def settle_settings(cursor: Cursor) -> None:
    """Let this session write rows as text in the one way that is compared."""
    cursor.execute(_SETTINGS)


def tables_of(cursor: Cursor) -> dict[str, tuple[str, ...]]:
    """The tables that a recovery has to bring back, and the keys of their rows (or nothing)."""
    cursor.execute(_TABLES)
    found: dict[str, tuple[str, ...]] = {}
    for schema, name, key, columns in cursor.fetchall():
        table = f"{schema}.{name}"
        of_shop = TABLES.get(table, ())
        known = of_shop and set(of_shop) <= set(columns)
        found[table] = of_shop if known else tuple(key)
    return found


def rows_of(where: Database | Connection) -> Rows:
    """All rows of every table, as of one moment.

    A database that does not exist has none. Raises PitrError.
    """
    if not isinstance(where, Database):
        with where.cursor() as cursor:
            return _rows(cursor)
    if not _exists(where):
        return {}
    with where.connect() as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        with connection.cursor() as cursor:
            settle_settings(cursor)
            return _rows(cursor)


def touched_rows(cursor: Cursor, touched: Touched, tables: Tables) -> dict[str, dict[str, str]]:
    """The rows of these keys as they are now."""
    from psycopg2 import sql

    parts, values = [], []
    for table, keys in touched.items():
        wanted = tuple(dict.fromkeys(keys))
        if not wanted:
            continue
        names = tables[table][: len(wanted[0])]
        parts.append(
            sql.SQL("SELECT {}, {}, t::text FROM {} t WHERE ({}) IN %s").format(
                sql.Literal(table),
                _key(tables[table]),
                _identifier(table),
                sql.SQL(", ").join(sql.Identifier("t", name) for name in names),
            )
        )
        values.append(wanted)
    if not parts:
        return {}
    cursor.execute(sql.SQL(" UNION ALL ").join(parts), values)
    found: dict[str, dict[str, str]] = {}
    for table, key, text in cursor:
        found.setdefault(table, {})[key] = text
    return found


def difference(before: Rows, after: Rows) -> tuple[Changes, tuple[str, ...], tuple[str, ...]]:
    """What leads from one content to another: changed rows, tables dropped, tables created."""
    changes: dict[str, dict[str, str | None]] = {}
    for table, new in after.items():
        old = before.get(table, {})
        changed: dict[str, str | None] = {k: t for k, t in new.items() if old.get(k) != t}
        changed |= {key: None for key in old if key not in new}
        if changed:
            changes[table] = changed
    dropped = tuple(table for table in before if table not in after)
    created = tuple(table for table in after if table not in before)
    return changes, dropped, created


def _exists(database: Database) -> bool:
    name = database.parameters["dbname"]
    asked = database.named("postgres")
    return bool(asked.rows("SELECT 1 FROM pg_database WHERE datname = %s", [name]))


def _rows(cursor: Cursor) -> Rows:
    from psycopg2 import sql

    found: Rows = {}
    for table, key in tables_of(cursor).items():
        query = sql.SQL("SELECT {}, t::text FROM {} t ORDER BY 1, 2").format(
            _key(key), _identifier(table)
        )
        cursor.execute(query)
        found[table] = _by_key(cursor.fetchall())
    return found


def _by_key(rows: list[tuple[str, ...]]) -> dict[str, str]:
    """Where nothing keeps a key from being there twice, each row has a name of its own."""
    found: dict[str, str] = {}
    twins: dict[str, int] = {}
    for key, text in rows:
        if key in found:
            twins[key] = twins.get(key, 1) + 1
            key = f"{key}#{twins[key]}"
        found[key] = text
    return found


def _key(columns: tuple[str, ...]) -> Composable:
    """The key as text; a row that has none is known by the whole of it."""
    from psycopg2 import sql

    if not columns:
        return sql.SQL("t::text")
    parts = (sql.SQL("{}::text").format(sql.Identifier("t", name)) for name in columns)
    return sql.SQL("COALESCE({}, t::text)").format(sql.SQL(" || '|' || ").join(parts))


def _identifier(table: str) -> Composable:
    from psycopg2 import sql

    return sql.Identifier(*table.split(".", 1))
