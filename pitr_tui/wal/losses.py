"""Databases, schemas, tables and columns that a transaction removed, emptied or changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, DatabaseRow, NamespaceRow
from pitr_tui.wal.effects import Deed
from pitr_tui.wal.findings import SEVERITY, Case, Finding, What, listed, weight
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.rowcounts import RowCounts
from pitr_tui.wording import count_text

_TABLES = frozenset("rpmf")  # pg_class.relkind of what has rows
_LESS_WHEN_FILLED = 0.5  # how much less a TRUNCATE counts when as many rows came back
_OWN_ROWS = frozenset("rm")  # those of others lie in partitions, or on other servers
_TEMPORARY_SCHEMA = re.compile(r"pg_(toast_)?temp_\d+")
_TRANSIENT = re.compile(r"pg_temp_\d+")
_SPARE_INDEX = re.compile(r".*_cc(new|old)\d*")  # what REINDEX CONCURRENTLY leaves or gives up
_REPACKED = re.compile(r"(table|log)_\d+")  # in the schema of pg_repack: a table's rows before
_REPACK_SCHEMA = "repack"


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
        again = self._created(case)
        for effect in case.effects_of(Deed.DROP):
            row = effect.before
            if not isinstance(row, ClassRow):
                unknown += bool(case.transaction.dropped)  # else it had no file, or a temporary one
                continue
            name = self.names.describe(effect.database, row, case.xids)
            if row.relpersistence == "t" or _is_scaffold(row, name):
                continue
            if row.relkind in _TABLES:
                own = row.relkind in _OWN_ROWS
                rows = self.rows.closely(effect.database, name, row.relfilenode) if own else None
                tables.append((name, rows))
            elif name.schema == "pg_toast" and name.owner is not None:
                toast += 1
            elif str(name) not in again:
                others.append(name)
        tables.sort(key=lambda one: one[0].kind is not RelationKind.PARTITIONED_TABLE)
        names = [str(name) for name, _ in tables]
        counted = [rows for _, rows in tables if rows is not None]
        rows = sum(counted) if counted else None
        more = len(others) + unknown + toast
        if schemas:
            with_tables = f" with {count_text(len(tables), 'table')}" if tables else ""
            words = f"dropped the schema {listed(schemas)}{with_tables}{_about(rows)}"
            what = What.DROP_SCHEMA
            severity = SEVERITY[what] + weight(rows)
            yield Finding(what, (*schemas, *names), rows, None, severity, words)
        elif tables:
            beside = f" and {count_text(more, 'more relation')}" if more else ""
            lost = _unlogged(name for name, _ in tables)
            words = f"dropped {listed(names)}{_about(rows)}{beside}{lost}"
            what = What.DROP_TABLE
            yield Finding(what, tuple(names), rows, None, SEVERITY[what] + weight(rows), words)
        elif others or unknown:
            yield self._dropped_others(others, unknown)

    def _created(self, case: Case) -> frozenset[str]:
        """What is there again under its old name, as an index after ALTER TABLE, or a view."""
        return frozenset(
            str(self.names.describe(effect.database, effect.after, case.xids))
            for effect in case.effects_of(Deed.CREATE)
            if isinstance(effect.after, ClassRow)
        )

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
                f"dropped {kind}{listed(names)}",
            )
        words = f"dropped {count_text(unknown or len(others), 'relation')} of unknown name"
        return Finding(What.DROP_TABLE, (), None, None, SEVERITY[What.DROP_TABLE], words)

    def _truncated(self, case: Case) -> Iterator[Finding]:
        found: list[RelationName] = []
        total, any_known, filled = 0, False, 0
        for effect in case.effects_of(Deed.TRUNCATE):
            if not isinstance(effect.before, ClassRow) or effect.before.relpersistence == "t":
                continue
            name = self.names.describe(effect.database, effect.before, case.xids)
            if name.kind is RelationKind.MATERIALIZED_VIEW:
                continue
            rows = self.rows.closely(effect.database, name, effect.before.relfilenode)
            if rows == 0:
                continue  # nothing was lost
            found.append(name)
            total, any_known = total + (rows or 0), any_known or rows is not None
            hit = case.hit.get((effect.database, effect.before.oid))
            filled += hit[1].inserted if hit else 0
        if found:
            names = tuple(map(str, found))
            rows = total if any_known else None
            words = f"truncated {listed(names)}{_about(rows)}{_unlogged(found)}"
            severity = SEVERITY[What.TRUNCATE] + weight(rows)
            if filled:
                words += f" and filled {'it' if len(names) == 1 else 'them'} with {filled:,} again"
                severity *= 1 - _LESS_WHEN_FILLED * min(1, filled / max(rows or filled, 1))
            yield Finding(What.TRUNCATE, names, rows, None, severity, words)

    def _changed_columns(self, case: Case) -> Iterator[Finding]:
        """One for each column, which a table has in common with its partitions and heirs."""
        changed: dict[tuple[What, str], list[RelationName]] = {}
        for effect in case.effects_of(Deed.DROP_COLUMN, Deed.ALTER_TYPE):
            row, after = effect.before, effect.after
            if not isinstance(after, AttributeRow):
                continue
            name = self.names.relation(effect.database, after.attrelid, case.xids)
            if name is None or name.persistence == "t" or not _has_columns_of_note(name):
                continue
            column = row.attname if isinstance(row, AttributeRow) else f"number {after.attnum}"
            what = What.DROP_COLUMN if effect.deed is Deed.DROP_COLUMN else What.ALTER_TYPE
            changed.setdefault((what, column), []).append(name)
        for (what, column), found in changed.items():
            found.sort(key=lambda one: one.kind is not RelationKind.PARTITIONED_TABLE)
            names = tuple(map(str, found))
            did = "dropped" if what is What.DROP_COLUMN else "changed the type of"
            words = f"{did} the column {column} of {listed(names)}"
            yield Finding(what, names, None, None, SEVERITY[what], words)


def _is_scaffold(row: ClassRow, name: RelationName) -> bool:
    """Whether a relation served only to write another one anew."""
    pattern = _SPARE_INDEX if name.kind is RelationKind.INDEX else _TRANSIENT
    if name.schema == _REPACK_SCHEMA:
        pattern = _REPACKED
    return pattern.fullmatch(row.relname) is not None


def _has_columns_of_note(name: RelationName) -> bool:
    kinds = (RelationKind.TABLE, RelationKind.PARTITIONED_TABLE, RelationKind.FOREIGN_TABLE)
    return name.kind in kinds and not _TRANSIENT.fullmatch(name.name or "")


def _unlogged(names: Iterable[RelationName]) -> str:
    """What a recovery cannot do for some of them."""
    found = any(name.persistence == "u" for name in names)
    return "; what is unlogged comes back empty" if found else ""


def _about(rows: int | None) -> str:
    return "" if rows is None else f" (about {count_text(rows, 'row')})"
