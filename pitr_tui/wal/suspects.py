"""Transactions that look harmful, each with a sentence that says what it did."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.wal.catalogrows import ClassRow, DatabaseRow
from pitr_tui.wal.effects import Deed, effects_of
from pitr_tui.wal.findings import Case, Remark, Suspect
from pitr_tui.wal.losses import Losses
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.rowcounts import Counted, RowCounts, copied_rows
from pitr_tui.wal.storms import FEW_ROWS, Storms
from pitr_tui.wal.transactions import Change, Kind, Transaction
from pitr_tui.wording import count_text

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
        self._storms = Storms(self._rows)
        self._tables: dict[tuple[int, int, int], tuple[int, RelationName] | None] = {}
        self._generation = -1

    def look(self, transaction: Transaction) -> Suspect | tuple[Remark, ...]:
        """A suspect, or what else is worth a word; nothing of what was rolled back.

        One whose end was not read is judged as if it had committed.
        """
        if not transaction.is_committed and transaction.kind is not Kind.UNKNOWN:
            return ()
        if _is_ordinary(transaction):
            self._follow(transaction)
            return ()
        case = self._case(transaction)
        self._rows.meet(case.effects)
        found = (*self._losses.of(case), *self._storms.of(case))
        findings = sorted(found, key=lambda one: -one.severity)
        remarks = tuple(self._remarks(case))
        added = {table: change.inserted - change.deleted for table, (_, change) in case.hit.items()}
        self._rows.follow(transaction, case.effects, added)
        if not findings:
            return remarks
        database = self._database(case)
        return Suspect(transaction, database, tuple(findings), findings[0].severity)

    def _follow(self, transaction: Transaction) -> None:
        """Count the rows of an ordinary transaction, of which there may be millions."""
        if self._generation != self._names.generation:
            self._generation = self._names.generation
            self._tables.clear()
        for change in transaction.changes:
            added = change.inserted - change.deleted
            try:
                known = self._tables[change.place]
            except KeyError:
                known = self._tables[change.place] = self._table(change)
            if known is not None:
                self._rows.add(*known, change.place[2], added)

    def _table(self, change: Change) -> tuple[int, RelationName] | None:
        """The database and the name of the user's table that everybody knows a file of."""
        locator = change.locator
        name = self._names.lookup(locator.database, locator.tablespace, locator.number)
        return (locator.database, name) if is_users_table(name, locator.number) else None

    def _case(self, transaction: Transaction) -> Case:
        xids = frozenset((transaction.xid, *transaction.subxids))
        case = Case(transaction, xids, effects_of(transaction) if transaction.rows else [])
        copies = _copied_files(case)
        for change in transaction.changes:
            locator = change.locator
            name = self._names.lookup(locator.database, locator.tablespace, locator.number, xids)
            if is_users_table(name, locator.number):
                key = (locator.database, name.oid or -locator.number)
                if change.place[1:] != copies.get(key, change.place[1:]):
                    change = change._replace(inserted=0)
                known = case.hit.get(key)
                case.hit[key] = (name, _sum(known[1], change) if known else change)
        return case

    def _database(self, case: Case) -> str | None:
        for oid in (*(one.database for one in case.effects), *(key[0] for key in case.hit)):
            if oid:
                return self._names.database(oid, case.xids)
        return None

    def _remarks(self, case: Case) -> Iterator[Remark]:
        """Rewritten tables, new indexes, new databases: told apart from harm, and told."""
        for (database, _), (name, change) in case.hit.items():
            if self._storms.is_filled(database, name, change):
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
                view = name.kind is RelationKind.MATERIALIZED_VIEW
                how = "REFRESH does" if view else "VACUUM FULL, CLUSTER and ALTER TABLE do"
                words = f"rewrote {name}, as {how}"
                yield Remark((str(name),), words)
            elif effect.deed is Deed.RENAME and isinstance(old, ClassRow):
                before = self._names.describe(effect.database, old, case.xids)
                yield Remark((str(name),), f"renamed {before} to {name}")
            elif name.kind is RelationKind.INDEX and name.owner and name.schema != "pg_toast":
                yield Remark((str(name),), f"created the index {name} on {name.owner}")
            elif row.relkind in _TABLES:
                yield Remark((str(name),), f"created the {name.kind} {name}")


def _is_ordinary(transaction: Transaction) -> bool:
    """Whether it changed too few rows, and nothing else, to be worth a closer look."""
    if transaction.rows or transaction.dropped or transaction.actions:
        return False
    return sum([change.rows for change in transaction.changes]) < FEW_ROWS


def _copied_files(case: Case) -> dict[tuple[int, int], tuple[int, int]]:
    """Of tables whose rows were inserted into another file again, the database and file before.

    What went into later files are no new rows.
    """
    return {
        (one.database, one.before.oid): (one.database, one.before.relfilenode)
        for one in case.effects_of(Deed.REWRITE)
        if isinstance(one.before, ClassRow) and copied_rows(case.transaction, one) is not None
    }


def is_users_table(name: RelationName, number: int) -> bool:
    """Whether rows in a file are rows of somebody's, as far as that is known."""
    if name.kind is None:
        return number >= _FIRST_NORMAL_OID and name.schema is None
    kinds = (RelationKind.TABLE, RelationKind.MATERIALIZED_VIEW)
    return name.kind in kinds and name.schema not in _SYSTEM_SCHEMAS and name.persistence != "t"


def _sum(one: Change, other: Change) -> Change:
    """The changes of a table that has had two files."""
    counts = (a + b for a, b in zip(one[2:], other[2:], strict=True))
    return Change(other.xid, other.place, *counts)
