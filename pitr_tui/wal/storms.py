"""Deletes, updates and inserts that hit a large part of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pitr_tui.wal.catalogrows import ClassRow
from pitr_tui.wal.effects import Deed
from pitr_tui.wal.findings import SEVERITY, Case, Finding, What, listed, weight
from pitr_tui.wal.names import RelationKind, RelationName
from pitr_tui.wal.rowcounts import RowCounts
from pitr_tui.wal.transactions import Change

_LARGE_SHARE = 0.2
FEW_ROWS = 10  # a large part of a table of so few is no storm
_MANY_ROWS = 1_000  # where nobody knows how many there were
_VERY_MANY_ROWS = 100_000  # whatever part of the table they are
_MASS_INSERT = 1_000
_MOST_APART = 4  # tables that are told of one by one


class _Hit(NamedTuple):
    """A table with the rows of it that were hit, and how many it had."""

    name: RelationName
    rows: int
    had: int | None

    @property
    def share(self) -> float:
        """Which part of the table was hit; a half where nobody knows."""
        return 0.5 if self.had is None else min(1.0, self.rows / max(self.had, 1))


@dataclass(frozen=True, slots=True)
class Storms:
    """Finds what happened to very many rows of a table that is still there."""

    rows: RowCounts

    def of(self, case: Case) -> Iterator[Finding]:
        gone = {
            (one.database, one.row.oid)
            for one in case.effects_of(Deed.DROP, Deed.CREATE, Deed.TRUNCATE)
            if isinstance(one.row, ClassRow)
        }
        hits: dict[What, list[_Hit]] = {What.DELETE: [], What.UPDATE: [], What.INSERT: []}
        for key, (name, change) in case.hit.items():
            if key in gone or name.kind is RelationKind.MATERIALIZED_VIEW:
                continue  # nobody but REFRESH writes into a materialized view
            for what, hit in self._hits(key[0], name, change):
                hits[what].append(hit)
        for what, found in hits.items():
            parts = [found] if len(found) > _MOST_APART else [[one] for one in found]
            yield from (_finding(what, part) for part in parts)

    def is_filled(self, database: int, name: RelationName, change: Change) -> bool:
        """Whether very many rows went into a table that had none, which harms nobody."""
        had = self.rows.before(database, name, change.place[2])
        return change.inserted >= _MASS_INSERT and had == 0

    def _hits(
        self, database: int, name: RelationName, change: Change
    ) -> Iterator[tuple[What, _Hit]]:
        number = change.place[2]
        had = self.rows.before(database, name, number)
        most = max(change.deleted, change.updated, change.inserted)
        if most >= FEW_ROWS and (had is None or _is_storm(most, had)):
            had = self.rows.closely(database, name, number)
        if had == 0:
            return  # it hit nothing but what it brought along
        for what, rows in (
            (What.DELETE, change.deleted),
            (What.UPDATE, change.updated),
            (What.INSERT, change.inserted if change.inserted >= _MASS_INSERT else 0),
        ):
            if _is_storm(rows, had):
                yield what, _Hit(name, rows, had)


def _is_storm(rows: int, had: int | None) -> bool:
    if had is None:
        return rows >= _MANY_ROWS
    return rows >= _VERY_MANY_ROWS or (rows >= FEW_ROWS and rows >= _LARGE_SHARE * had)


def _finding(what: What, hits: list[_Hit]) -> Finding:
    """One for a table, or for many, such as the partitions of one, added up."""
    names = tuple(str(one.name) for one in hits)
    rows = sum(one.rows for one in hits)
    known = [one.had for one in hits if one.had is not None]
    had = sum(known) if len(known) == len(hits) else None
    where = listed(names)
    if what is What.INSERT:
        had_words = f", which had about {had:,}" if had is not None else ""
        words = f"inserted {rows:,} rows into {where}{had_words}"
    else:
        verb = "deleted" if what is What.DELETE else "updated"
        of = f" of about {had:,}" if had else ""
        words = f"{verb} {rows:,}{of} row{'s' * (rows != 1 or bool(had))} of {where}"
    severity = SEVERITY[what] * (0.75 + 0.25 * max(one.share for one in hits)) + weight(rows)
    return Finding(what, names, rows, had, severity, words)
