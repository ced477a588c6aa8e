"""Checks inside of one database of a recovered server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.look import LOOK_LIMITS, asked, some
from pitr_tui.recovery.server_looks import stale_collations
from pitr_tui.recovery.verify import ServerState
from pitr_tui.servers.sql import Database, query
from pitr_tui.wording import count_text

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_Found = dict[str, tuple[int, list[str]]]


def database_checks(
    database: Database, version: PostgresVersion, state: ServerState, shown: str = ""
) -> Iterator[CheckDone]:
    """What a recovery leaves there that a person should know; nothing where there is nothing.

    `shown` is the database's name, where the evidence has to tell it. Raises PitrError when the
    database cannot be entered.
    """
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(LOOK_LIMITS)
        where = f"in {shown}: " if shown else ""
        yield from asked("contents", partial(_inside, cursor, version, state, where))
        if version.tells_collation_versions:
            yield from asked("collations", partial(_collations, cursor, where))


def _inside(
    cursor: Cursor, version: PostgresVersion, state: ServerState, where: str
) -> Iterator[CheckDone]:
    cursor.execute(query("inside"))
    found: _Found = {kind: (count, names) for kind, count, names in cursor.fetchall()}
    for kind, tell in _TOLD.items():
        if kind in found:
            count, names = found[kind]
            yield from tell(where + some(names, count), count)
    if not version.logs_hash_indexes and "hash index" in found:
        count, names = found["hash index"]
        yield CheckDone(
            "hash indexes",
            Status.WARNING,
            f"{where}{some(names, count)}: WAL has no changes of them, so they give wrong answers",
            "REINDEX each once it is promoted",
        )
    if not state.in_recovery and "not analyzed" in found:
        count, _ = found["not analyzed"]
        yield CheckDone(
            "statistics",
            Status.NOTE,
            f"{where}{count_text(count, 'table')} not analyzed since the recovery: what autovacuum "
            "counted is gone",
            "ANALYZE",
        )


def _collations(cursor: Cursor, where: str) -> Iterator[CheckDone]:
    cursor.execute(query("collations"))
    count, names = cursor.fetchone() or (0, [])
    if count:
        yield stale_collations("collations", f"{where}collations", names, count)


def _unlogged(names: str, count: int) -> Iterator[CheckDone]:
    yield CheckDone("unlogged tables", Status.NOTE, f"{names}: empty after every recovery")


def _sequences(names: str, count: int) -> Iterator[CheckDone]:
    yield CheckDone(
        "sequences", Status.NOTE, f"{names}: each may be up to 32 numbers ahead of its last value"
    )


def _invalid(names: str, count: int) -> Iterator[CheckDone]:
    yield CheckDone(
        "invalid indexes",
        Status.WARNING,
        f"{names}: not used by queries",
        "REINDEX or DROP INDEX each once it is promoted",
    )


def _foreign(names: str, count: int) -> Iterator[CheckDone]:
    yield CheckDone(
        "foreign servers",
        Status.WARNING,
        f"{names}: queries on foreign tables reach those servers, and change them, too",
        "do not write to foreign tables here",
    )


def _event_triggers(names: str, count: int) -> Iterator[CheckDone]:
    yield CheckDone("event triggers", Status.NOTE, f"{names}: they act once it is promoted")


def _cron(names: str, count: int) -> Iterator[CheckDone]:
    yield CheckDone(
        "cron jobs",
        Status.WARNING,
        f"{names} has the primary's jobs: they run here once it is promoted, if it is preloaded",
        "UPDATE cron.job SET active = false, before anything else",
    )


_TOLD: dict[str, Callable[[str, int], Iterator[CheckDone]]] = {
    "invalid index": _invalid,
    "foreign server": _foreign,
    "cron": _cron,
    "event trigger": _event_triggers,
    "unlogged": _unlogged,
    "sequence": _sequences,
}
