"""What the checks of a recovered server have in common: a connection, and how they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.verify import ServerState
from pitr_tui.servers.secondary import Secondary
from pitr_tui.servers.sql import Row

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

LOOK_LIMITS = "SET lock_timeout = '2s'; SET statement_timeout = '20s'"
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Look:
    """One connection, and what is known of the server before anything else is asked."""

    cursor: Cursor
    secondary: Secondary
    state: ServerState
    settings: dict[str, str]

    @property
    def version(self) -> PostgresVersion:
        return self.secondary.version

    def rows(self, sql: str, parameters: Sequence[Any] | None = None) -> list[Row]:
        self.cursor.execute(sql, parameters)
        return self.cursor.fetchall()

    def names(self, sql: str) -> list[str]:
        return [str(row[0]) for row in self.rows(sql)]


def asked(name: str, check: Callable[[], Iterator[CheckDone]]) -> Iterator[CheckDone]:
    """What a check found; what the server would not tell is no good sign, and no failure."""
    from psycopg2 import Error

    try:
        yield from check()
    except Error as error:
        words = str(error).strip().splitlines() or [repr(error)]
        yield CheckDone(name, Status.WARNING, f"this could not be asked: {words[0]}")


def some(names: Sequence[str], count: int | None = None) -> str:
    """The first names, and how many more there are.

    >>> some(["a", "b"]), some(["a", "b"], 4)
    ('a, b', 'a, b and 2 more')
    """
    shown = names[:_MOST_NAMES]
    more = (len(names) if count is None else count) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
