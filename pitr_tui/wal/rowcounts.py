"""How many rows tables have, as far as a backup and the WAL since tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pitr_tui.wal.catalogredo import ChangeKind
from pitr_tui.wal.catalogrows import ClassRow
from pitr_tui.wal.effects import Deed, Effect
from pitr_tui.wal.names import RelationName
from pitr_tui.wal.transactions import Transaction

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

    def _of(self, database: int, name: RelationName, number: int) -> _Known | None:
        if name.oid is None:
            return None
        known = self._known.get((database, name.oid))
        if known is None:
            analysed = name.rows is not None and name.pages and name.rows >= 0
            known = _Known(name.rows if analysed else None, number=number)
            self._known[database, name.oid] = known
        return known

    def follow(
        self,
        transaction: Transaction,
        effects: list[Effect],
        changed: Mapping[_Table, int],
    ) -> None:
        """Take a commit: what it created, emptied or analysed, and rows added or removed."""
        for effect in effects:
            row = effect.after or effect.before
            if not isinstance(row, ClassRow):
                continue
            table = (effect.database, row.oid)
            if effect.deed in (Deed.CREATE, Deed.TRUNCATE):
                self._known[table] = _Known(0, sure=True)
            elif effect.deed is Deed.DROP:
                self._known.pop(table, None)
        for table, added in changed.items():
            if table in self._known:
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
