"""Transactions that look harmful, each with a sentence that says what it did."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, DatabaseRow, NamespaceRow
from pitr_tui.wal.effects import Deed, Effect, effects_of
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.rowcounts import RowCounts
from pitr_tui.wal.transactions import Change, Transaction
from pitr_tui.wording import count_text

_LARGE_SHARE = 0.2
_FEW_ROWS = 10  # a large part of a table of so few is no storm
_MANY_ROWS = 1_000  # where nobody knows how many there were
_VERY_MANY_ROWS = 100_000  # whatever part of the table they are
_MASS_INSERT = 1_000
_NAMED = 3  # of how many tables a sentence has the names
_FIRST_NORMAL_OID = 16384
_TABLES = frozenset("rpmf")  # pg_class.relkind of what holds rows
_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
_TEMPORARY_SCHEMA = re.compile(r"pg_(toast_)?temp_\d+")
_TRANSIENT = re.compile(r"pg_temp_\d+")


class What(StrEnum):
    """What makes a transaction a suspect."""

    DROP_DATABASE = "drop database"
    DROP_SCHEMA = "drop schema"
    DROP_TABLE = "drop table"
    TRUNCATE = "truncate"
    DELETE = "mass delete"
    UPDATE = "mass update"
    DROP_COLUMN = "drop column"
    INSERT = "mass insert"
    ALTER_TYPE = "alter column type"
    DROP_OTHER = "drop"


# How bad each is, from 0 to 100; of those with a share, when all of a table is hit.
_SEVERITY = {
    What.DROP_DATABASE: 100.0,
    What.DROP_SCHEMA: 95.0,
    What.DROP_TABLE: 90.0,
    What.TRUNCATE: 88.0,
    What.DELETE: 85.0,
    What.UPDATE: 80.0,
    What.DROP_COLUMN: 75.0,
    What.INSERT: 50.0,
    What.ALTER_TYPE: 30.0,
    What.DROP_OTHER: 20.0,
}


class Finding(NamedTuple):
    """One thing that a suspect did.

    `rows` are those that it hit, and `of` those that the table had, where that is known.
    """

    what: What
    names: tuple[str, ...]
    rows: int | None
    of: int | None
    severity: float
    words: str


class Remark(NamedTuple):
    """Something that rewrites or makes files and harms nobody, which a reader wants to see."""

    names: tuple[str, ...]
    words: str


class Suspect(NamedTuple):
    """A transaction with what it did; `score` is that of the worst of it."""

    transaction: Transaction
    database: str | None
    findings: tuple[Finding, ...]
    score: float

    @property
    def sentence(self) -> str:
        """What it did, the worst first."""
        return ", ".join(one.words for one in self.findings)


@dataclass(slots=True)
class _Case:
    """A transaction that is looked at: its effects, and who its changes hit."""

    transaction: Transaction
    xids: frozenset[int]
    effects: list[Effect]
    hit: dict[tuple[int, int], tuple[RelationName, Change]] = field(default_factory=dict)

    def effects_of(self, *deeds: Deed) -> Iterator[Effect]:
        return (effect for effect in self.effects if effect.deed in deeds)


class SuspectFinder:
    """Looks at transactions in the order of the WAL, each when its turn comes."""

    def __init__(self, names: NameBook) -> None:
        self._names = names
        self._rows = RowCounts()

    def look(self, transaction: Transaction) -> Suspect | tuple[Remark, ...]:
        """A suspect, or what else is worth a word; nothing of what was rolled back."""
        if not transaction.is_committed:
            return ()
        case = self._case(transaction)
        findings = sorted(self._findings(case), key=lambda one: -one.severity)
        remarks = tuple(self._remarks(case))
        added = {table: change.inserted - change.deleted for table, (_, change) in case.hit.items()}
        self._rows.follow(transaction, case.effects, added)
        if not findings:
            return remarks
        database = self._database(case)
        return Suspect(transaction, database, tuple(findings), findings[0].severity)

    def _case(self, transaction: Transaction) -> _Case:
        xids = frozenset((transaction.xid, *transaction.subxids))
        case = _Case(transaction, xids, effects_of(transaction) if transaction.rows else [])
        for change in transaction.changes:
            locator = change.locator
            name = self._names.lookup(locator.database, locator.tablespace, locator.number, xids)
            if _is_users_table(name, locator.number):
                key = (locator.database, name.oid or -locator.number)
                known = case.hit.get(key)
                case.hit[key] = (name, _sum(known[1], change) if known else change)
        return case

    def _database(self, case: _Case) -> str | None:
        for oid in (*(one.database for one in case.effects), *(key[0] for key in case.hit)):
            if oid:
                return self._names.database(oid, case.xids)
        return None

    def _findings(self, case: _Case) -> Iterator[Finding]:
        yield from self._dropped_databases(case)
        yield from self._dropped_relations(case)
        yield from self._truncated(case)
        yield from self._changed_columns(case)
        gone = {
            (one.database, one.row.oid)
            for one in case.effects_of(Deed.DROP, Deed.CREATE, Deed.TRUNCATE, Deed.REWRITE)
            if isinstance(one.row, ClassRow)
        }
        for key, (name, change) in case.hit.items():
            if key not in gone:
                yield from self._storms(key[0], name, change)

    def _dropped_databases(self, case: _Case) -> Iterator[Finding]:
        for effect in case.effects_of(Deed.DROP_DATABASE):
            row = effect.before
            name = row.datname if isinstance(row, DatabaseRow) else "of an unknown name"
            severity = _SEVERITY[What.DROP_DATABASE]
            words = f"dropped the database {name}"
            yield Finding(What.DROP_DATABASE, (name,), None, None, severity, words)

    def _dropped_relations(self, case: _Case) -> Iterator[Finding]:
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
            name = self._names.describe(effect.database, row, case.xids)
            if row.relpersistence == "t" or _TRANSIENT.fullmatch(row.relname):
                continue
            if row.relkind in _TABLES:
                tables.append((name, self._rows.before(effect.database, name)))
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
            yield Finding(what, (*schemas, *names), rows, None, _SEVERITY[what], words)
        elif tables:
            beside = f" and {count_text(more, 'more relation')}" if more else ""
            words = f"dropped {_listed(names)}{_about(rows)}{beside}"
            what = What.DROP_TABLE
            yield Finding(what, tuple(names), rows, None, _SEVERITY[what] + _weight(rows), words)
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
            severity = _SEVERITY[What.DROP_OTHER]
            return Finding(
                What.DROP_OTHER,
                tuple(names),
                None,
                None,
                severity,
                f"dropped {kind}{_listed(names)}",
            )
        words = f"dropped {count_text(unknown or len(others), 'relation')} of unknown name"
        return Finding(What.DROP_TABLE, (), None, None, _SEVERITY[What.DROP_TABLE], words)

    def _truncated(self, case: _Case) -> Iterator[Finding]:
        names, total, any_known = [], 0, False
        for effect in case.effects_of(Deed.TRUNCATE):
            if not isinstance(effect.before, ClassRow) or effect.before.relpersistence == "t":
                continue
            name = self._names.describe(effect.database, effect.before, case.xids)
            if name.kind is RelationKind.MATERIALIZED_VIEW:
                continue
            rows = self._rows.before(effect.database, name)
            if rows == 0:
                continue  # nothing was lost
            names.append(str(name))
            total, any_known = total + (rows or 0), any_known or rows is not None
        if names:
            rows = total if any_known else None
            severity = _SEVERITY[What.TRUNCATE] + _weight(rows)
            words = f"truncated {_listed(names)}{_about(rows)}"
            yield Finding(What.TRUNCATE, tuple(names), rows, None, severity, words)

    def _changed_columns(self, case: _Case) -> Iterator[Finding]:
        for effect in case.effects_of(Deed.DROP_COLUMN, Deed.ALTER_TYPE):
            row, after = effect.before, effect.after
            if not isinstance(after, AttributeRow):
                continue
            name = self._names.relation(effect.database, after.attrelid, case.xids)
            if name is None or name.persistence == "t" or not _has_columns_of_note(name):
                continue
            column = row.attname if isinstance(row, AttributeRow) else f"number {after.attnum}"
            dropped = effect.deed is Deed.DROP_COLUMN
            what = What.DROP_COLUMN if dropped else What.ALTER_TYPE
            words = f"dropped the column {column} of {name}"
            if not dropped:
                words = f"changed the type of the column {column} of {name}"
            yield Finding(what, (str(name),), None, None, _SEVERITY[what], words)

    def _storms(self, database: int, name: RelationName, change: Change) -> Iterator[Finding]:
        """Deletes, updates and inserts that hit a large part of a table."""
        had = self._rows.before(database, name)
        for what, verb, rows in (
            (What.DELETE, "deleted", change.deleted),
            (What.UPDATE, "updated", change.updated),
        ):
            if _is_storm(rows, had):
                of = f" of about {had:,}" if had else ""
                words = f"{verb} {rows:,}{of} row{'s' * (rows != 1 or bool(had))} of {name}"
                severity = _SEVERITY[what] * (0.5 + 0.5 * _share(rows, had)) + _weight(rows)
                yield Finding(what, (str(name),), rows, had, severity, words)
        rows = change.inserted
        if had != 0 and rows >= _MASS_INSERT and _is_storm(rows, had):
            had_words = f", which had about {had:,}" if had is not None else ""
            words = f"inserted {rows:,} rows into {name}{had_words}"
            severity = _SEVERITY[What.INSERT] * (0.5 + 0.5 * _share(rows, had)) + _weight(rows)
            yield Finding(What.INSERT, (str(name),), rows, had, severity, words)

    def _remarks(self, case: _Case) -> Iterator[Remark]:
        """Rewritten tables, new indexes, new databases: told apart from harm, and told."""
        for (database, _), (name, change) in case.hit.items():
            if change.inserted >= _MASS_INSERT and self._rows.before(database, name) == 0:
                words = f"filled {name} with {count_text(change.inserted, 'row')}"
                yield Remark((str(name),), words)
        for effect in case.effects_of(Deed.REWRITE, Deed.CREATE, Deed.CREATE_DATABASE, Deed.RENAME):
            row, old = effect.after, effect.before
            if effect.deed is Deed.CREATE_DATABASE and isinstance(row, DatabaseRow):
                yield Remark((row.datname,), f"created the database {row.datname}")
            if not isinstance(row, ClassRow) or row.relpersistence == "t":
                continue
            name = self._names.describe(effect.database, row, case.xids)
            if effect.deed is Deed.REWRITE:
                words = f"wrote {name} anew (VACUUM FULL, CLUSTER, REFRESH or ALTER TABLE)"
                yield Remark((str(name),), words)
            elif effect.deed is Deed.RENAME and isinstance(old, ClassRow):
                before = self._names.describe(effect.database, old, case.xids)
                yield Remark((str(name),), f"renamed {before} to {name}")
            elif name.kind is RelationKind.INDEX and name.owner and name.schema != "pg_toast":
                yield Remark((str(name),), f"created the index {name} on {name.owner}")
            elif row.relkind in _TABLES:
                yield Remark((str(name),), f"created the {name.kind} {name}")


def _is_users_table(name: RelationName, number: int) -> bool:
    """Whether rows in a file are rows of somebody's, as far as that is known."""
    if name.kind is None:
        return number >= _FIRST_NORMAL_OID and name.schema is None
    kinds = (RelationKind.TABLE, RelationKind.MATERIALIZED_VIEW)
    return name.kind in kinds and name.schema not in _SYSTEM_SCHEMAS and name.persistence != "t"


def _has_columns_of_note(name: RelationName) -> bool:
    kinds = (RelationKind.TABLE, RelationKind.PARTITIONED_TABLE, RelationKind.FOREIGN_TABLE)
    return name.kind in kinds and not _TRANSIENT.fullmatch(name.name or "")


def _sum(one: Change, other: Change) -> Change:
    """The changes of a table that has had two files."""
    counts = (a + b for a, b in zip(one[2:], other[2:], strict=True))
    return Change(other.xid, other.place, *counts)


def _is_storm(rows: int, had: int | None) -> bool:
    if had is None:
        return rows >= _MANY_ROWS
    return rows >= _VERY_MANY_ROWS or (rows >= _FEW_ROWS and rows >= _LARGE_SHARE * had)


def _share(rows: int, had: int | None) -> float:
    """Which part of a table was hit; a half where nobody knows."""
    return 0.5 if had is None else min(1.0, rows / max(had, 1))


def _weight(rows: int | None) -> float:
    """A little more for many rows, so that of two alike the larger comes first."""
    return min(4.0, math.log10(rows + 1) / 2) if rows else 0.0


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
