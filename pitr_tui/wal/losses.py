"""Databases, schemas, tables and columns that a transaction removed, emptied or changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, DatabaseRow, NamespaceRow
from pitr_tui.wal.effects import Deed
from pitr_tui.wal.findings import SEVERITY, Case, Finding, What, weight
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.rowcounts import RowCounts
from pitr_tui.wording import count_text

_NAMED = 3  # of how many tables a sentence has the names
_TABLES = frozenset("rpmf")  # pg_class.relkind of what holds rows
_TEMPORARY_SCHEMA = re.compile(r"pg_(toast_)?temp_\d+")
_TRANSIENT = re.compile(r"pg_temp_\d+")


@dataclass(frozen=True, slots=True)
class Losses:
    """Finds what is gone as a whole."""

    names: NameBook
    rows: RowCounts

    def of(self, case: Case) -> Iterator[Finding]:
        yield from self._dropped_databases(case)
        yield from self._dropped_relations(case)
        yield from self._truncated(case)
        yield from self._changed_columns(case)

    def _dropped_databases(self, case: Case) -> Iterator[Finding]:
        for effect in case.effects_of(Deed.DROP_DATABASE):
            row = effect.before
            name = row.datname if isinstance(row, DatabaseRow) else "of an unknown name"
            severity = SEVERITY[What.DROP_DATABASE]
            words = f"dropped the database {name}"
            yield Finding(What.DROP_DATABASE, (name,), None, None, severity, words)

    def _dropped_relations(self, case: Case) -> Iterator[Finding]:
        """Schemas and tables by name; views, indexes and the like are only counted beside them."""
        schemas = [
            effect.before.nspname
            for effect in case.effects_of(Deed.DROP_SCHEMA)
            if isinstance(effect.before, NamespaceRow)
            and not _TEMPORARY_SCHEMA.fullmatch(effect.before.nspname)
        ]
        tables: list[tuple[RelationName, int | None]] = []
        others: list[RelationName] = []
        unknown = toast = 0
        for effect in case.effects_of(Deed.DROP):
            row = effect.before
            if not isinstance(row, ClassRow):
                unknown += 1
                continue
            name = self.names.describe(effect.database, row, case.xids)
            if row.relpersistence == "t" or _TRANSIENT.fullmatch(row.relname):
                continue
            if row.relkind in _TABLES:
                rows = self.rows.closely(effect.database, name, row.relfilenode)
                tables.append((name, rows))
            elif name.schema != "pg_toast" or name.owner is None:
                others.append(name)
            else:
                toast += 1
        names = [str(name) for name, _ in tables]
        counted = [rows for _, rows in tables if rows is not None]
        rows = sum(counted) if counted else None
        more = len(others) + unknown + toast
        if schemas:
            with_tables = f" with {count_text(len(tables), 'table')}" if tables else ""
            words = f"dropped the schema {_listed(schemas)}{with_tables}{_about(rows)}"
            what = What.DROP_SCHEMA
            yield Finding(what, (*schemas, *names), rows, None, SEVERITY[what], words)
        elif tables:
            beside = f" and {count_text(more, 'more relation')}" if more else ""
            words = f"dropped {_listed(names)}{_about(rows)}{beside}"
            what = What.DROP_TABLE
            yield Finding(what, tuple(names), rows, None, SEVERITY[what] + weight(rows), words)
        elif others or unknown:
            yield self._dropped_others(others, unknown)

    @staticmethod
    def _dropped_others(others: list[RelationName], unknown: int) -> Finding:
        """Without a table: an index with its own name, or relations that nothing names."""
        main = [one for one in others if one.kind is not RelationKind.TOAST]
        if main:
            names = [str(one) for one in main]
            kinds = {str(one.kind) for one in main}
            kind = f"the {kinds.pop()} " if len(kinds) == 1 and len(main) == 1 else ""
            severity = SEVERITY[What.DROP_OTHER]
            return Finding(
                What.DROP_OTHER,
                tuple(names),
                None,
                None,
                severity,
                f"dropped {kind}{_listed(names)}",
            )
        words = f"dropped {count_text(unknown or len(others), 'relation')} of unknown name"
        return Finding(What.DROP_TABLE, (), None, None, SEVERITY[What.DROP_TABLE], words)

    def _truncated(self, case: Case) -> Iterator[Finding]:
        names, total, any_known = [], 0, False
        for effect in case.effects_of(Deed.TRUNCATE):
            if not isinstance(effect.before, ClassRow) or effect.before.relpersistence == "t":
                continue
            name = self.names.describe(effect.database, effect.before, case.xids)
            if name.kind is RelationKind.MATERIALIZED_VIEW:
                continue
            rows = self.rows.closely(effect.database, name, effect.before.relfilenode)
            if rows == 0:
                continue  # nothing was lost
            names.append(str(name))
            total, any_known = total + (rows or 0), any_known or rows is not None
        if names:
            rows = total if any_known else None
            severity = SEVERITY[What.TRUNCATE] + weight(rows)
            words = f"truncated {_listed(names)}{_about(rows)}"
            yield Finding(What.TRUNCATE, tuple(names), rows, None, severity, words)

    def _changed_columns(self, case: Case) -> Iterator[Finding]:
        for effect in case.effects_of(Deed.DROP_COLUMN, Deed.ALTER_TYPE):
            row, after = effect.before, effect.after
            if not isinstance(after, AttributeRow):
                continue
            name = self.names.relation(effect.database, after.attrelid, case.xids)
            if name is None or name.persistence == "t" or not _has_columns_of_note(name):
                continue
            column = row.attname if isinstance(row, AttributeRow) else f"number {after.attnum}"
            dropped = effect.deed is Deed.DROP_COLUMN
            what = What.DROP_COLUMN if dropped else What.ALTER_TYPE
            words = f"dropped the column {column} of {name}"
            if not dropped:
                words = f"changed the type of the column {column} of {name}"
            yield Finding(what, (str(name),), None, None, SEVERITY[what], words)


def _has_columns_of_note(name: RelationName) -> bool:
    kinds = (RelationKind.TABLE, RelationKind.PARTITIONED_TABLE, RelationKind.FOREIGN_TABLE)
    return name.kind in kinds and not _TRANSIENT.fullmatch(name.name or "")


def _about(rows: int | None) -> str:
    return "" if rows is None else f" (about {count_text(rows, 'row')})"


def _listed(names: list[str]) -> str:
    """Names in a row, the last of many only counted.

    >>> _listed(["a", "b"]), _listed(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
