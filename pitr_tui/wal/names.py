"""What is known of a relation whose file number stands in the WAL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pitr_tui.wal.catalog import SHARED, Catalog, Version
from pitr_tui.wal.catalogrows import (
    ClassRow,
    DatabaseRow,
    IndexRow,
    NamespaceRow,
    SystemCatalog,
)

_NOBODY: frozenset[int] = frozenset()
_XIDS = 1 << 32

# A table that is written anew gets its new file from a table of this name, which has the old
# file for a moment before it is dropped (make_new_heap in src/backend/commands/cluster.c).
_TRANSIENT = re.compile(r"pg_temp_(\d+)(?:_index)?")
_TOAST = re.compile(r"pg_toast_(\d+)(?:_index)?")


class RelationKind(StrEnum):
    """pg_class.relkind in words."""

    TABLE = "table"
    INDEX = "index"
    SEQUENCE = "sequence"
    TOAST = "toast"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    COMPOSITE_TYPE = "composite type"
    FOREIGN_TABLE = "foreign table"
    PARTITIONED_TABLE = "partitioned table"
    PARTITIONED_INDEX = "partitioned index"


_KINDS = dict(zip("riStvmcfpI", RelationKind, strict=True))


@dataclass(frozen=True, slots=True)
class RelationName:
    """A relation by its names; what is not known is None.

    `owner` is the table that an index or a TOAST table belongs to, also by way of its TOAST
    table. `pages` and `rows` are what pg_class says, as VACUUM or ANALYZE last counted.
    """

    database: str | None = None
    schema: str | None = None
    name: str | None = None
    kind: RelationKind | None = None
    owner: RelationName | None = None
    oid: int | None = None
    pages: int | None = None
    rows: float | None = None
    persistence: str | None = None  # p, u(nlogged), t(emporary)

    @property
    def table(self) -> RelationName:
        """The table that it is or belongs to."""
        return self.owner or self

    def __str__(self) -> str:
        name = self.name or "?"
        return f"{self.schema}.{name}" if self.schema else name


class NameBook:
    """Names as they are after the last record that the catalog took.

    What a transaction did to them is visible to itself, and to others once it has committed.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._cache: dict[tuple[int, int, int], RelationName] = {}
        self._generation = -1

    @property
    def generation(self) -> int:
        """It changes when anything does that all can see."""
        return self._catalog.generation

    def concern(self, xids: frozenset[int]) -> bool:
        """Whether these transactions see other names than all others."""
        return self._catalog.fates.concern(xids)

    def lookup(
        self, database: int, tablespace: int, number: int, xids: frozenset[int] = _NOBODY
    ) -> RelationName:
        """Who has a file, as the transactions `xids` see it; if nobody has, who had it last.

        Ask with the ids of a transaction that was rolled back for the names it gave.
        """
        if self._catalog.fates.concern(xids):
            return self._looked_up(database, tablespace, number, xids)
        if self._generation != self._catalog.generation:
            self._generation = self._catalog.generation
            self._cache.clear()
        key = (database, tablespace, number)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._looked_up(*key, _NOBODY)
        return found

    def relation(
        self, database: int, oid: int, xids: frozenset[int] = _NOBODY
    ) -> RelationName | None:
        """The relation with an oid; None if none is known."""
        row = self._class_row(database, "oid", oid, xids)
        return self.describe(database, row, xids) if row else None

    def describe(
        self, database: int, row: ClassRow, xids: frozenset[int] = _NOBODY
    ) -> RelationName:
        """The names of what a row of pg_class stands for."""
        transient = _TRANSIENT.fullmatch(row.relname)
        if transient:
            real = self._class_row(database, "oid", int(transient[1]), xids)
            if real and real.relkind == row.relkind and not _TRANSIENT.fullmatch(real.relname):
                row = real
        owner = self._owner(database, row, xids)
        return RelationName(
            database=self.database(database, xids),
            schema=self.schema(database, row.relnamespace, xids),
            name=row.relname,
            kind=_KINDS.get(row.relkind),
            owner=self.describe(database, owner, xids) if owner else None,
            oid=row.oid,
            pages=row.relpages,
            rows=row.reltuples,
            persistence=row.relpersistence,
        )

    def database(self, oid: int, xids: frozenset[int] = _NOBODY) -> str | None:
        row = self._database_row(oid, xids)
        return row.datname if row else None

    def schema(self, database: int, oid: int, xids: frozenset[int] = _NOBODY) -> str | None:
        found = self._catalog.find(SystemCatalog.PG_NAMESPACE, database, "oid", oid)
        best = self._best(found, xids)
        return best.row.nspname if best and isinstance(best.row, NamespaceRow) else None

    def columns(
        self, database: int, relation: int, xids: frozenset[int] = _NOBODY
    ) -> dict[int, str]:
        """The columns of the relation with this oid by their numbers, dropped ones too."""
        return self._catalog.columns(database, relation, xids)

    def _looked_up(
        self, database: int, tablespace: int, number: int, xids: frozenset[int]
    ) -> RelationName:
        row = self._by_number(database, tablespace, number, xids)
        if row is not None:
            return self.describe(database, row, xids)
        oid = self._catalog.mapped_oid(database, number)
        places = self._catalog.databases if database == SHARED else (database,)
        for place in places if oid else ():
            row = self._class_row(place, "oid", oid, xids)
            if row is not None:
                return self._mapped(database, place, row, xids)
        known = {int(number): name for name, number in self._catalog.numbers(database).items()}
        if number in known:
            catalog = known[number]
            return RelationName(
                self.database(database, xids),
                "pg_catalog",
                catalog.name.lower(),
                RelationKind.TABLE,
                oid=int(catalog),
            )
        return RelationName(database=self.database(database, xids))

    def _mapped(
        self, database: int, place: int, row: ClassRow, xids: frozenset[int]
    ) -> RelationName:
        """A mapped relation; each database has its own pg_class rows of the shared ones."""
        name = self.describe(place, row, xids)
        if database != SHARED:
            return name
        owner = name.owner and _without_database(name.owner)
        return _without_database(name, owner)

    def _by_number(
        self, database: int, tablespace: int, number: int, xids: frozenset[int]
    ) -> ClassRow | None:
        """A file number counts within a tablespace; those of the default one say 0 instead."""
        found = self._catalog.find(SystemCatalog.PG_CLASS, database, "relfilenode", number)
        rows = [one for one in found if isinstance(one.row, ClassRow)]
        home = self._database_row(database, xids)
        default = home.dattablespace if home else None
        for spaces in ({tablespace, 0} if default in (tablespace, None) else {tablespace}, {0}):
            best = self._best(
                [
                    one
                    for one in rows
                    if isinstance(one.row, ClassRow) and one.row.reltablespace in spaces
                ],
                xids,
            )
            if best is not None and isinstance(best.row, ClassRow):
                return best.row
        return None

    def _class_row(
        self, database: int, key: str, value: int, xids: frozenset[int]
    ) -> ClassRow | None:
        best = self._best(self._catalog.find(SystemCatalog.PG_CLASS, database, key, value), xids)
        return best.row if best and isinstance(best.row, ClassRow) else None

    def _database_row(self, oid: int, xids: frozenset[int]) -> DatabaseRow | None:
        found = self._catalog.find(SystemCatalog.PG_DATABASE, SHARED, "oid", oid)
        best = self._best(found, xids)
        return best.row if best and isinstance(best.row, DatabaseRow) else None

    def _owner(self, database: int, row: ClassRow, xids: frozenset[int]) -> ClassRow | None:
        """The table that an index or a TOAST table belongs to."""
        if _KINDS.get(row.relkind) is RelationKind.TOAST:
            return self._owner_of_toast(database, row, xids)
        if _KINDS.get(row.relkind) not in (RelationKind.INDEX, RelationKind.PARTITIONED_INDEX):
            return None
        found = self._catalog.find(SystemCatalog.PG_INDEX, database, "indexrelid", row.oid)
        best = self._best(found, xids)
        if best is None or not isinstance(best.row, IndexRow):
            return self._by_name_of_toast(database, row, xids)
        table = self._class_row(database, "oid", best.row.indrelid, xids)
        if table is not None and _KINDS.get(table.relkind) is RelationKind.TOAST:
            return self._owner_of_toast(database, table, xids)
        return table

    def _owner_of_toast(
        self, database: int, row: ClassRow, xids: frozenset[int]
    ) -> ClassRow | None:
        owner = self._class_row(database, "reltoastrelid", row.oid, xids)
        if owner is None or _TRANSIENT.fullmatch(owner.relname):
            return self._by_name_of_toast(database, row, xids) or owner
        return owner

    def _by_name_of_toast(
        self, database: int, row: ClassRow, xids: frozenset[int]
    ) -> ClassRow | None:
        match = _TOAST.fullmatch(row.relname)
        return self._class_row(database, "oid", int(match[1]), xids) if match else None

    def _best(self, versions: list[Version], xids: frozenset[int]) -> Version | None:
        """The version that is visible; otherwise the last one that was."""
        fates = self._catalog.fates
        there = [one for one in versions if fates.is_inserted(one.tuple, xids)]
        if len(there) < 2:
            return there[0] if there else None
        places = {one.place for one in there}
        newest = self._catalog.newest_xid

        def order(one: Version) -> tuple[bool, bool, bool, int, tuple[int, int]]:
            found = one.tuple
            superseded = found.ctid != one.place and found.ctid in places
            age = (newest - found.xmin) % _XIDS
            return fates.is_deleted(found, xids), superseded, _fleeting(one, xids), age, one.place

        return min(there, key=order)


def _fleeting(one: Version, xids: frozenset[int]) -> bool:
    """Whether one transaction made a row version and put an end to it.

    Such are those of the table that lends its file to another one, and of its TOAST table.
    """
    if isinstance(one.row, ClassRow) and _TRANSIENT.fullmatch(one.row.relname):
        return True
    begun, ended = one.tuple.xmin, one.tuple.deleter
    return begun == ended or (begun in xids and ended in xids)


def _without_database(name: RelationName, owner: RelationName | None = None) -> RelationName:
    return RelationName(
        None,
        name.schema,
        name.name,
        name.kind,
        owner,
        name.oid,
        name.pages,
        name.rows,
        name.persistence,
    )
