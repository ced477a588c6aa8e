"""Transactions that look harmful, each with a sentence that says what it did."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.wal.catalogrows import ClassRow, DatabaseRow
from pitr_tui.wal.effects import Deed, effects_of
from pitr_tui.wal.findings import SEVERITY, Case, Finding, Remark, Suspect, What, weight
from pitr_tui.wal.losses import Losses
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.rowcounts import Counted, RowCounts
from pitr_tui.wal.transactions import Change, Transaction
from pitr_tui.wording import count_text

_LARGE_SHARE = 0.2
_FEW_ROWS = 10  # a large part of a table of so few is no storm
_MANY_ROWS = 1_000  # where nobody knows how many there were
_VERY_MANY_ROWS = 100_000  # whatever part of the table they are
_MASS_INSERT = 1_000
_FIRST_NORMAL_OID = 16384
_TABLES = frozenset("rpmf")  # pg_class.relkind of what holds rows
_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})


class SuspectFinder:
    """Looks at transactions in the order of the WAL, each when its turn comes."""

    def __init__(self, names: NameBook, counted: Counted = lambda database, number: None) -> None:
        """`counted` tells about how many rows a relation's file has in the backup."""
        self._names = names
        self._rows = RowCounts(counted)
        self._losses = Losses(names, self._rows)

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

    def _case(self, transaction: Transaction) -> Case:
        xids = frozenset((transaction.xid, *transaction.subxids))
        case = Case(transaction, xids, effects_of(transaction) if transaction.rows else [])
        for change in transaction.changes:
            locator = change.locator
            name = self._names.lookup(locator.database, locator.tablespace, locator.number, xids)
            if _is_users_table(name, locator.number):
                key = (locator.database, name.oid or -locator.number)
                known = case.hit.get(key)
                case.hit[key] = (name, _sum(known[1], change) if known else change)
        return case

    def _database(self, case: Case) -> str | None:
        for oid in (*(one.database for one in case.effects), *(key[0] for key in case.hit)):
            if oid:
                return self._names.database(oid, case.xids)
        return None

    def _findings(self, case: Case) -> Iterator[Finding]:
        yield from self._losses.of(case)
        gone = {
            (one.database, one.row.oid)
            for one in case.effects_of(Deed.DROP, Deed.CREATE, Deed.TRUNCATE, Deed.REWRITE)
            if isinstance(one.row, ClassRow)
        }
        for key, (name, change) in case.hit.items():
            if key not in gone:
                yield from self._storms(key[0], name, change)

    def _storms(self, database: int, name: RelationName, change: Change) -> Iterator[Finding]:
        """Deletes, updates and inserts that hit a large part of a table."""
        number = change.place[2]
        had = self._rows.before(database, name, number)
        most = max(change.deleted, change.updated, change.inserted)
        if most >= _FEW_ROWS and (had is None or _is_storm(most, had)):
            had = self._rows.closely(database, name, number)
        for what, verb, rows in (
            (What.DELETE, "deleted", change.deleted),
            (What.UPDATE, "updated", change.updated),
        ):
            if _is_storm(rows, had):
                of = f" of about {had:,}" if had else ""
                words = f"{verb} {rows:,}{of} row{'s' * (rows != 1 or bool(had))} of {name}"
                severity = SEVERITY[what] * (0.5 + 0.5 * _share(rows, had)) + weight(rows)
                yield Finding(what, (str(name),), rows, had, severity, words)
        rows = change.inserted
        if had != 0 and rows >= _MASS_INSERT and _is_storm(rows, had):
            had_words = f", which had about {had:,}" if had is not None else ""
            words = f"inserted {rows:,} rows into {name}{had_words}"
            severity = SEVERITY[What.INSERT] * (0.5 + 0.5 * _share(rows, had)) + weight(rows)
            yield Finding(What.INSERT, (str(name),), rows, had, severity, words)

    def _remarks(self, case: Case) -> Iterator[Remark]:
        """Rewritten tables, new indexes, new databases: told apart from harm, and told."""
        for (database, _), (name, change) in case.hit.items():
            had = self._rows.before(database, name, change.place[2])
            if change.inserted >= _MASS_INSERT and had == 0:
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
                words = f"rewrote {name}, as VACUUM FULL, CLUSTER and ALTER TABLE do"
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
