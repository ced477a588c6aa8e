"""What is in the secondary, table by table, and for comparison in the primary."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pitr_tui.errors import PitrError
from pitr_tui.recovery.verify import Table, databases, tables
from pitr_tui.servers.sql import Database
from pitr_tui.wording import size_text

_PRIMARY_SECONDS = 3  # 11 and older take whole numbers only


@dataclass(frozen=True, slots=True)
class Contents:
    """The tables of one database, once without and once with their rows.

    `primary` has the rows of the primary's tables by schema and name; None while it is `awaited`,
    or where the primary does not answer.
    """

    database: str
    tables: tuple[Table, ...]
    primary: dict[tuple[str, str], int | None] | None = None
    awaited: bool = False


class TableRow(NamedTuple):
    """A table in words; `there` is the primary's number of rows."""

    database: str
    name: str
    here: str
    there: str
    remark: str


def gather(
    secondary: Database,
    primary: Database | None,
    emit: Callable[[Contents], None],
    cancel: threading.Event,
) -> None:
    """Emit the tables of every database: at once, then counted, then beside the primary's.

    Raises PitrError when the secondary does not answer. The primary may be down or busy: what
    it does not tell within a few seconds a table stays unknown.
    """
    names, asked = databases(secondary), primary is not None
    for name in names:
        found = tuple(tables(secondary.named(name), count_rows=False))
        emit(Contents(name, found, awaited=asked))
    counted: dict[str, tuple[Table, ...]] = {}
    for name in names:
        if cancel.is_set():
            return
        counted[name] = tuple(tables(secondary.named(name)))
        emit(Contents(name, counted[name], awaited=asked))
    if primary is None:
        return
    for name in names:
        if cancel.is_set():
            return
        try:
            theirs = tables(primary.named(name), timeout_seconds=_PRIMARY_SECONDS)
        except PitrError:  # it is only for comparison, and the way says already that it is down
            emit(Contents(name, counted[name]))
            continue
        emit(Contents(name, counted[name], {(t.schema, t.name): t.rows for t in theirs}))


def table_rows(contents: Contents) -> list[TableRow]:
    """Each table with its rows here and in the primary; those that only the primary has last."""
    rows = []
    for table in contents.tables:
        here = "…" if table.rows is None else f"{table.rows:,}"
        if table.problem:
            here = "?"
        there = "none" if contents.primary is not None else "…" if contents.awaited else "?"
        remark = table.problem or size_text(table.total_bytes)
        if contents.primary is not None and (table.schema, table.name) in contents.primary:
            number = contents.primary[table.schema, table.name]
            there = "?" if number is None else f"{number:,}"
            if number is not None and table.rows is not None and number != table.rows:
                more = table.rows - number
                remark = f"{abs(more):,} {'more' if more > 0 else 'fewer'} here"
        if table.unlogged:
            remark = "unlogged, so empty here"
        name = _shown(table.schema, table.name)
        rows.append(TableRow(contents.database, name, here, there, remark))
    if contents.primary is not None:
        known = {(table.schema, table.name) for table in contents.tables}
        for schema, name in sorted(contents.primary.keys() - known):
            number = contents.primary[schema, name]
            there = "?" if number is None else f"{number:,}"
            shown = _shown(schema, name)
            remark = "not there at that moment"
            rows.append(TableRow(contents.database, shown, "none", there, remark))
    return rows


def _shown(schema: str, name: str) -> str:
    return name if schema == "public" else f"{schema}.{name}"
