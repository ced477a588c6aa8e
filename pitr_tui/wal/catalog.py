"""The few system catalogs that names come from, replayed from a backup's files and the WAL.

Of each database pg_class, pg_namespace, pg_attribute and pg_index, and pg_database of all. It
is a recovery in small: pages, records and page images, for these files alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.actions import Action, DatabaseCreated, DatabaseDropped, RelationMapChanged
from pitr_tui.wal.catalogindex import undecided_xids
from pitr_tui.wal.catalogplaces import SHARED as SHARED
from pitr_tui.wal.catalogplaces import CatalogPlaces
from pitr_tui.wal.catalogredo import ChangeKind as ChangeKind
from pitr_tui.wal.catalogredo import TupleChange, redo
from pitr_tui.wal.catalogrows import (
    AttributeRow,
    ClassRow,
    DatabaseRow,
    Layout,
    Row,
    SystemCatalog,
)
from pitr_tui.wal.fates import Fates
from pitr_tui.wal.filenodemap import parse_map
from pitr_tui.wal.heappage import PAGE_SIZE, HeapTuple
from pitr_tui.wal.record import Body, DamagedRecord, Manager, Record

_HEAP_MANAGERS = (Manager.XLOG, Manager.HEAP, Manager.HEAP2)
_UNMAPPED = (SystemCatalog.PG_NAMESPACE, SystemCatalog.PG_INDEX)


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a record did to a row of a catalog, as its transaction sees it.

    `before` and `after` are None where there is no such row, or where neither the backup nor
    the WAL so far tell it. `xid` is that of the subtransaction; it is 0 for a change in place,
    which holds at once, whatever becomes of the transaction.
    """

    kind: ChangeKind
    catalog: SystemCatalog
    xid: int
    database: int
    before: Row | None
    after: Row | None


class Version(NamedTuple):
    """A version of a row, with the place where it lies."""

    place: tuple[int, int]
    tuple: HeapTuple
    row: Row


class Catalog:
    """The catalogs of a cluster as they are after the last record that was applied.

    One that starts from nothing learns from page images, and from new rows.
    """

    def __init__(self, version: PostgresVersion) -> None:
        self.version = version
        self.fates = Fates()
        self.generation = 0  # rises with every change that can change a name
        self.newest_xid = 0
        self._places = CatalogPlaces(version)
        self._moving: set[int] = set()  # databases with a catalog that may get another file

    # What it is told.

    def load(self, database: int, number: int, content: bytes, block: int = 0) -> None:
        """Take pages of a catalog's file from a backup, the first of which has this number.

        Those of other files may be given too; `apply_map` may tell later that they count.
        """
        content = content[: len(content) // PAGE_SIZE * PAGE_SIZE]
        self._places.file(database, number).load(content, block)
        self.fates.pending |= undecided_xids(content)
        self._notice_files(database)
        self.generation += 1

    def judge(self, committed: Iterable[int], aborted: Iterable[int]) -> None:
        """Tell of the transactions of a backup's rows what its pg_xact says."""
        self.fates.committed(committed)
        self.fates.roll_back(aborted)
        for database in self._places.databases:
            self._notice_files(database)
        self.generation += 1

    def apply_map(self, database: int, content: bytes) -> None:
        """Take a map of mapped relations. Raises ValueError for what is none."""
        self._places.take_map(database, parse_map(content))
        self._notice_files(database)
        self.generation += 1

    def apply(self, record: Record) -> list[RowChange]:
        """Replay a record, and say what it meant. Raises DamagedRecord.

        Records of all the files in `watched` are wanted, in the order of the WAL. Those of
        another file are kept too, for the case that it turns out to be a catalog's.
        """
        if record.manager not in _HEAP_MANAGERS:
            return []
        body = record.body()
        changes: list[RowChange] = []
        for locator in dict.fromkeys(block.locator for block in body.blocks if block.fork == 0):
            file = self._places.file(locator.database, locator.number)
            done = redo(record, body, locator, file)
            if record.xid:
                self.newest_xid = record.xid
                self.fates.pending.add(record.xid)
            if file.layout is not None:
                own = [*self._row_changes(record, locator.database, file.layout, done)]
                self._take_note(file.layout.catalog, locator.database, own, body)
                changes += own
        return changes

    def apply_action(self, action: Action) -> None:
        """Take what records of other kinds did to catalogs. Raises DamagedRecord."""
        if isinstance(action, RelationMapChanged):
            try:
                self.apply_map(action.database, action.data)
            except ValueError as error:
                raise DamagedRecord(f"its map of relations cannot be used: {error}") from error
        elif isinstance(action, DatabaseCreated) and action.source is not None:
            self.copy_database(action.source, action.oid)
        elif isinstance(action, DatabaseDropped):
            homes = {row.dattablespace for row in self._database_rows(action.oid)}
            if not homes or homes.intersection(action.tablespaces):  # else it only moved
                self.drop_database(action.oid)

    def committed(self, xids: Iterable[int]) -> None:
        """These transactions, a top one with its subtransactions, are visible to all now.

        It is to be told of every one, because a backup has rows of some that ended later.
        """
        if self.fates.committed(xids):
            self.generation += 1
            for database in list(self._moving):
                self._notice_files(database)

    def aborted(self, xids: Iterable[int]) -> None:
        if self.fates.roll_back(xids):
            self.generation += 1

    def copy_database(self, source: int, target: int) -> None:
        """CREATE DATABASE copied the files of its template."""
        self._places.copy(source, target)
        self.generation += 1

    def drop_database(self, database: int) -> None:
        """Forget all that lay in a database; its row in pg_database is another matter."""
        self._places.drop(database)
        self.generation += 1

    # What it tells.

    @property
    def watched(self) -> frozenset[int]:
        """The file numbers, in whatever database, whose records are wanted.

        A new database has the numbers of its template, so only the numbers count. The set
        grows when a catalog has been written anew, as by VACUUM FULL. What went into the new
        file before that became known is wanted too: with the larger set the WAL is to be read
        again from the backup on. Without that, the file before is believed where the new one
        has nothing to say.
        """
        return self._places.watched

    @property
    def missing(self) -> frozenset[tuple[int, int]]:
        """Databases and file numbers of catalogs of which no page has been seen.

        The rows of the file before are believed until then.
        """
        return self._places.missing

    @property
    def databases(self) -> tuple[int, ...]:
        """The databases of which something is known, without the shared catalogs."""
        return self._places.databases

    def numbers(self, database: int) -> Mapping[SystemCatalog, int]:
        """The file numbers of a database's catalogs."""
        return self._places.numbers(database)

    def mapped_oid(self, database: int, number: int) -> int:
        """The oid of the mapped relation that has this file, or had it; 0 if none."""
        return self._places.mapped_oid(database, number)

    def find(self, catalog: SystemCatalog, database: int, key: str, value: int) -> list[Version]:
        """All versions of the rows of a catalog that have this value in a key column."""
        for file in self._places.files_of(catalog, database):
            found = [
                Version((block, one.offset), one, row) for block, one, row in file.find(key, value)
            ]
            if found:
                return found
        return []

    def rows(self, catalog: SystemCatalog, database: int) -> Iterator[Row]:
        """The rows that are visible to all."""
        return self._visible(catalog, database, b"", frozenset())

    def columns(
        self, database: int, relation: int, xids: frozenset[int] = frozenset()
    ) -> dict[int, str]:
        """The names of a relation's columns by their numbers, dropped ones among them."""
        key = relation.to_bytes(4, "little")
        found = self._visible(SystemCatalog.PG_ATTRIBUTE, database, key, xids)
        own = (row for row in found if isinstance(row, AttributeRow) and row.attnum > 0)
        return {row.attnum: row.attname for row in sorted(own, key=lambda row: row.attnum)}

    def _database_rows(self, oid: int) -> Iterator[DatabaseRow]:
        for one in self.find(SystemCatalog.PG_DATABASE, SHARED, "oid", oid):
            if isinstance(one.row, DatabaseRow) and self.fates.is_visible(one.tuple):
                yield one.row

    def _visible(
        self, catalog: SystemCatalog, database: int, begin: bytes, xids: frozenset[int]
    ) -> Iterator[Row]:
        told = False
        for file in self._places.files_of(catalog, database):
            if file.layout is None:
                continue
            for _, found in file.search(begin):
                row = file.layout.row(found) if self.fates.is_visible(found, xids) else None
                if row is not None:
                    told = True
                    yield row
            if told:
                return

    def _notice_files(self, database: int) -> None:
        """See in pg_class where the catalogs are that are not mapped."""
        self._moving.discard(database)
        for catalog in _UNMAPPED if database != SHARED else ():
            for version in self.find(SystemCatalog.PG_CLASS, database, "oid", catalog):
                row = version.row
                if not isinstance(row, ClassRow) or not row.relfilenode:
                    continue
                if self.fates.is_visible(version.tuple):
                    self._places.move(database, catalog, row.relfilenode)
                elif not self.fates.counts(version.tuple.xmin):
                    self._places.watch(row.relfilenode)
                    self._moving.add(database)

    def _row_changes(
        self, record: Record, database: int, layout: Layout, done: list[TupleChange]
    ) -> Iterator[RowChange]:
        for change in done:
            before = layout.row(change.before) if change.before else None
            after = layout.row(change.after) if change.after else None
            row = after or before
            if isinstance(row, AttributeRow) and row.attnum < 0:
                continue  # every relation has the same system columns
            if change.in_place and before == after:
                continue
            xid = 0 if change.in_place else record.xid
            yield RowChange(change.kind, layout.catalog, xid, database, before, after)

    def _take_note(
        self, catalog: SystemCatalog, database: int, changes: list[RowChange], body: Body
    ) -> None:
        """Think of names that may have changed, and of catalogs that may have moved."""
        if catalog is not SystemCatalog.PG_ATTRIBUTE:
            self.generation += 1
        if catalog is SystemCatalog.PG_CLASS:
            rows = [change.after for change in changes]
            told = any(isinstance(row, ClassRow) and row.oid in _UNMAPPED for row in rows)
            if told or any(block.image for block in body.blocks):
                self._notice_files(database)
