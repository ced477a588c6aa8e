"""What is in the secondary and, for comparison, in the primary: gathered beside the screen."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pitr_tui.errors import PitrError
from pitr_tui.recovery.verify import Table, databases, tables
from pitr_tui.servers.sql import Database
from pitr_tui.tui.bridge import Emit
from pitr_tui.wording import size_text

_PRIMARY_SECONDS = 3  # 11 and older take whole numbers only


@dataclass(frozen=True, slots=True)
class Contents:
    """The tables of one database, once without and once with their rows.

    `primary` has the rows of the primary's tables by schema and name; None while nobody has
    looked, or where the primary does not answer.
    """

    database: str
    tables: tuple[Table, ...]
    primary: dict[tuple[str, str], int | None] | None = None


def gather(
    secondary: Database,
    primary: Database | None,
    emit: Emit[Contents],
    cancel: threading.Event,
) -> None:
    """Emit the tables of every database: at once, then counted, then beside the primary's.

    Raises PitrError when the secondary does not answer. The primary may be down or busy: what
    it does not tell within a few seconds a table stays unknown.
    """
    names = databases(secondary)
    for name in names:
        emit(Contents(name, tuple(tables(secondary.named(name), count_rows=False))))
    counted: dict[str, tuple[Table, ...]] = {}
    for name in names:
        if cancel.is_set():
            return
        counted[name] = tuple(tables(secondary.named(name)))
        emit(Contents(name, counted[name]))
    if primary is None:
        return
    for name in names:
        if cancel.is_set():
            return
        try:
            found = tables(primary.named(name), timeout_seconds=_PRIMARY_SECONDS)
        except PitrError:
            continue  # it is only for comparison, and the way says already that it is down
        emit(Contents(name, counted[name], {(t.schema, t.name): t.rows for t in found}))


def table_rows(
    contents: Contents,
) -> list[tuple[str, str, str, str, str]]:
    """Database, table, rows here, rows in the primary, and a remark, for each table."""
    rows = []
    for table in contents.tables:
        here = "…" if table.rows is None else f"{table.rows:,}"
        if table.problem:
            here = "?"
        there = "…" if contents.primary is None else "none"
        remark = table.problem or size_text(table.total_bytes)
        if contents.primary is not None and (table.schema, table.name) in contents.primary:
            number = contents.primary[table.schema, table.name]
            there = "?" if number is None else f"{number:,}"
            if number is not None and table.rows is not None and number != table.rows:
                more = table.rows - number
                remark = f"{abs(more):,} {'more' if more > 0 else 'fewer'} here"
        if table.unlogged:
            remark = "unlogged, so empty here"
        name = table.name if table.schema == "public" else f"{table.schema}.{table.name}"
        rows.append((contents.database, name, here, there, remark))
    if contents.primary is not None:
        known = {(table.schema, table.name) for table in contents.tables}
        for schema, name in sorted(contents.primary.keys() - known):
            number = contents.primary[schema, name]
            shown = name if schema == "public" else f"{schema}.{name}"
            there = "?" if number is None else f"{number:,}"
            rows.append((contents.database, shown, "none", there, "not there at that moment"))
    return rows
