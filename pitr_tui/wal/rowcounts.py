"""How many rows tables have, as far as a backup and the WAL since tell.

Of an unlogged table the WAL has no rows, so that only ANALYZE and VACUUM tell of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pitr_tui.wal.catalogredo import ChangeKind
from pitr_tui.wal.catalogrows import ClassRow
from pitr_tui.wal.effects import Deed, Effect
from pitr_tui.wal.names import RelationName
from pitr_tui.wal.transactions import Transaction

_UNLOGGED = "u"
_Table = tuple[int, int]  # database and oid
Counted = Callable[[int, int], int | None]  # rows of a file in the backup, by database and number


@dataclass(slots=True)
class _Known:
    """What a table is thought to have had at some point, and how many rows came since."""

    base: float | None = None
    since: int = 0
    sure: bool = False  # from the WAL, or counted
    number: int = 0  # of the file that it had then

    @property
    def rows(self) -> int | None:
        return None if self.base is None else max(0, round(self.base + self.since))


@dataclass(slots=True)
class RowCounts:
    """Follows the rows of tables from commit to commit.

    A table begins with what ANALYZE or VACUUM last counted, or with none when its creation
    is in the WAL. Where that would make a suspect of a transaction, the rows of its file in
    the backup are counted.
    """

    counted: Counted
    _known: dict[_Table, _Known] = field(default_factory=dict, init=False)

    def before(self, database: int, name: RelationName, number: int) -> int | None:
        """The rows of a table before the transaction that is looked at; None if unknown."""
        known = self._of(database, name, number)
        return None if known is None else known.rows

    def closely(self, database: int, name: RelationName, number: int) -> int | None:
        """The same, from a closer look."""
        known = self._of(database, name, number)
        if known is None:
            return None
        if not known.sure:
            rows = self.counted(database, known.number)
            known.base, known.sure = known.base if rows is None else rows, True
        return known.rows

    def add(self, database: int, name: RelationName, number: int, added: int) -> None:
        """Take a few rows that were added to a table, or removed."""
        known = self._of(database, name, number)
        if known is not None:
            known.since += added

    def _of(self, database: int, name: RelationName, number: int) -> _Known | None:
        if name.oid is None:
            return None
        table = (database, name.oid)
        return self._known.get(table) or self._begin(table, name.rows, name.pages, number)

    def _begin(self, table: _Table, rows: float | None, pages: int | None, number: int) -> _Known:
        analysed = rows is not None and pages and rows >= 0
        return self._known.setdefault(table, _Known(rows if analysed else None, number=number))

    def meet(self, effects: Iterable[Effect]) -> None:
        """See tables as they were before a transaction gave them other files.

        The new files have no rows in the backup, and their rows of pg_class no counts.
        """
        for effect in effects:
            row = effect.before
            if isinstance(row, ClassRow) and effect.deed in (Deed.REWRITE, Deed.TRUNCATE):
                table = (effect.database, row.oid)
                self._begin(table, row.reltuples, row.relpages, row.relfilenode)

    def follow(
        self,
        transaction: Transaction,
        effects: list[Effect],
        changed: Mapping[_Table, int],
    ) -> None:
        """Take a commit: what it created, emptied or analysed, and rows added or removed."""
        copied: set[_Table] = set()
        for effect in effects:
            row = effect.after or effect.before
            if not isinstance(row, ClassRow):
                continue
            table = (effect.database, row.oid)
            if effect.deed in (Deed.CREATE, Deed.TRUNCATE):
                unlogged = row.relpersistence == _UNLOGGED
                self._known[table] = _Known(None if unlogged else 0, sure=True)
            elif effect.deed is Deed.DROP:
                self._known.pop(table, None)
            elif effect.deed is Deed.REWRITE:
                rows = copied_rows(transaction, effect)
                if rows is not None:
                    self._known[table] = _Known(rows, sure=True)
                    copied.add(table)
        for table, added in changed.items():
            if table in self._known and table not in copied:
                self._known[table].since += added
        for change in transaction.rows:
            self._take_statistics(change.kind, change.database, change.before, change.after)

    def _take_statistics(
        self, kind: ChangeKind, database: int, before: object, after: object
    ) -> None:
        """VACUUM and ANALYZE write what they counted into the row of pg_class."""
        if not isinstance(before, ClassRow) or not isinstance(after, ClassRow):
            return
        counted = (before.reltuples, before.relpages) != (after.reltuples, after.relpages)
        if kind is ChangeKind.UPDATED and counted and after.relpages and after.reltuples >= 0:
            self._known[database, after.oid] = _Known(after.reltuples, sure=True)


def copied_rows(transaction: Transaction, effect: Effect) -> int | None:
    """With how many rows a table came out of being rewritten row by row, as ALTER TABLE does.

    None where it was written page by page, as by VACUUM FULL, or where the WAL has none of it.
    """
    row = effect.after
    if not isinstance(row, ClassRow):
        return None
    place = (effect.database, row.relfilenode)
    for change in transaction.changes:
        if change.place[1:] == place and change.inserted and not change.images:
            return change.inserted - change.deleted
    return None
