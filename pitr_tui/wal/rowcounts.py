"""How many rows tables have, as far as a backup and the WAL since tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pitr_tui.wal.catalogredo import ChangeKind
from pitr_tui.wal.catalogrows import ClassRow
from pitr_tui.wal.effects import Deed, Effect
from pitr_tui.wal.names import RelationName
from pitr_tui.wal.transactions import Transaction

_Table = tuple[int, int]  # database and oid


@dataclass(slots=True)
class RowCounts:
    """Follows the rows of tables from commit to commit.

    A table begins with what ANALYZE or VACUUM last counted, or with none when its creation
    is in the WAL; of others nothing is known, however many rows are added to them.
    """

    _rows: dict[_Table, float] = field(default_factory=dict)

    def before(self, database: int, name: RelationName) -> int | None:
        """The rows of a table before the transaction that is looked at; None if unknown."""
        if name.oid is None:
            return None
        rows = self._rows.get((database, name.oid))
        if rows is None and name.rows is not None and name.pages and name.rows >= 0:
            rows = self._rows[database, name.oid] = name.rows
        return None if rows is None else max(0, round(rows))

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
                self._rows[table] = 0
            elif effect.deed is Deed.DROP:
                self._rows.pop(table, None)
        for table, added in changed.items():
            if table in self._rows:
                self._rows[table] = max(0, self._rows[table] + added)
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
            self._rows[database, after.oid] = after.reltuples
