"""The system catalogs that names come from, and what is read of their rows.

Which columns lead up to those that are read, in every major version: src/include/catalog/pg_*.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.heappage import HeapTuple


class SystemCatalog(IntEnum):
    """The catalogs by their oids, which are their file numbers too in a new cluster."""

    PG_ATTRIBUTE = 1249
    PG_CLASS = 1259
    PG_DATABASE = 1262
    PG_INDEX = 2610
    PG_NAMESPACE = 2615


class ClassRow(NamedTuple):
    """A table, index, sequence or the like."""

    oid: int
    relname: str
    relnamespace: int
    relfilenode: int  # 0: the map of mapped relations tells, or it has no file
    reltablespace: int  # 0: that of the database
    relpages: int
    reltuples: float
    reltoastrelid: int
    relisshared: bool
    relpersistence: str
    relkind: str


class NamespaceRow(NamedTuple):
    """A schema."""

    oid: int
    nspname: str


class DatabaseRow(NamedTuple):
    oid: int
    datname: str
    dattablespace: int


class AttributeRow(NamedTuple):
    """A column of a relation; system columns have negative numbers."""

    attrelid: int
    attname: str
    atttypid: int  # 0: dropped
    attnum: int


class IndexRow(NamedTuple):
    """Which index belongs to which table."""

    indexrelid: int
    indrelid: int


Row = ClassRow | NamespaceRow | DatabaseRow | AttributeRow | IndexRow


class _Type(NamedTuple):
    code: str
    size: int
    alignment: int


_OID, _INT, _FLOAT = _Type("I", 4, 4), _Type("i", 4, 4), _Type("f", 4, 4)
_SHORT, _CHAR, _BOOL = _Type("h", 2, 2), _Type("c", 1, 1), _Type("?", 1, 1)
_NAME = _Type("64s", 64, 1)


class _Column(NamedTuple):
    """A column with the majors that have it, as `PostgresVersion.major_number`s."""

    name: str
    type: _Type
    since: int = 0
    before: int = 9999


def _all(type: _Type, names: str, since: int = 0, before: int = 9999) -> Iterator[_Column]:
    return (_Column(name, type, since, before) for name in names.split())


_COLUMNS: dict[SystemCatalog, tuple[_Column, ...]] = {
    SystemCatalog.PG_CLASS: (
        _Column("oid", _OID, since=1200),
        _Column("relname", _NAME),
        *_all(_OID, "relnamespace reltype reloftype relowner relam relfilenode reltablespace"),
        _Column("relpages", _INT),
        _Column("reltuples", _FLOAT),
        _Column("relallvisible", _INT),
        _Column("relallfrozen", _INT, since=1800),
        _Column("reltoastrelid", _OID),
        *_all(_BOOL, "relhasindex relisshared"),
        *_all(_CHAR, "relpersistence relkind"),
    ),
    SystemCatalog.PG_NAMESPACE: (_Column("oid", _OID, since=1200), _Column("nspname", _NAME)),
    SystemCatalog.PG_DATABASE: (
        _Column("oid", _OID, since=1200),
        _Column("datname", _NAME),
        _Column("datdba", _OID),
        _Column("encoding", _INT),
        *_all(_NAME, "datcollate datctype", before=1500),
        _Column("datlocprovider", _CHAR, since=1500),
        *_all(_BOOL, "datistemplate datallowconn"),
        _Column("dathasloginevt", _BOOL, since=1700),
        _Column("datconnlimit", _INT),
        _Column("datlastsysoid", _OID, before=1500),
        *_all(_OID, "datfrozenxid datminmxid dattablespace"),
    ),
    SystemCatalog.PG_ATTRIBUTE: (
        _Column("attrelid", _OID),
        _Column("attname", _NAME),
        _Column("atttypid", _OID),
        _Column("attstattarget", _INT, before=1600),
        *_all(_SHORT, "attlen attnum"),
    ),
    SystemCatalog.PG_INDEX: tuple(_all(_OID, "indexrelid indrelid")),
}

_ROWS: dict[SystemCatalog, type[Row]] = {
    SystemCatalog.PG_CLASS: ClassRow,
    SystemCatalog.PG_NAMESPACE: NamespaceRow,
    SystemCatalog.PG_DATABASE: DatabaseRow,
    SystemCatalog.PG_ATTRIBUTE: AttributeRow,
    SystemCatalog.PG_INDEX: IndexRow,
}

# The columns by which rows are looked up. Those of pg_attribute are so many, and so seldom
# asked for, that they are searched.
_KEYS: dict[SystemCatalog, tuple[str, ...]] = {
    SystemCatalog.PG_CLASS: ("oid", "relfilenode", "reltoastrelid"),
    SystemCatalog.PG_NAMESPACE: ("oid",),
    SystemCatalog.PG_DATABASE: ("oid",),
    SystemCatalog.PG_ATTRIBUTE: (),
    SystemCatalog.PG_INDEX: ("indexrelid",),
}

HIDDEN_OID = -4  # where an oid lies, seen from the columns, that is no column


class Layout:
    """How the rows of one catalog lie in the bytes of one major version."""

    def __init__(self, catalog: SystemCatalog, version: PostgresVersion) -> None:
        self.catalog = catalog
        self._type = _ROWS[catalog]
        self.offsets = _offsets(_COLUMNS[catalog], version.major_number)
        wanted = self._type._fields
        self._hidden = wanted[0] == "oid" and "oid" not in self.offsets
        if self._hidden:
            self.offsets["oid"] = HIDDEN_OID
        self._struct = _struct(_COLUMNS[catalog], self.offsets, wanted)
        self._texts = [k for k, name in enumerate(wanted) if _is_text(catalog, name)]
        self.keys = _KEYS[catalog]

    def keys_of(self, found: HeapTuple) -> dict[str, int]:
        """The values of the columns by which rows are looked up."""
        keys = {}
        for name in self.keys:
            offset = self.offsets[name]
            if offset == HIDDEN_OID:
                keys[name] = found.oid
            else:
                keys[name] = int.from_bytes(found.data[offset : offset + 4], "little")
        return keys

    def row(self, found: HeapTuple) -> Row | None:
        """The row of a tuple; None where it is too short to be one."""
        if len(found.data) < self._struct.size:
            return None
        values = [*self._struct.unpack_from(found.data)]
        if self._hidden:
            values.insert(0, found.oid)
        for k in self._texts:
            values[k] = values[k].partition(b"\0")[0].decode("utf-8", "backslashreplace")
        return self._type._make(values)


@lru_cache(maxsize=64)
def layout_of(catalog: SystemCatalog, version: PostgresVersion) -> Layout:
    return Layout(catalog, version)


def _offsets(columns: tuple[_Column, ...], major: int) -> dict[str, int]:
    """Where each column lies behind the row's header, in bytes."""
    offsets: dict[str, int] = {}
    at = 0
    for column in columns:
        if column.since <= major < column.before:
            at += -at % column.type.alignment
            offsets[column.name] = at
            at += column.type.size
    return offsets


def _struct(
    columns: tuple[_Column, ...], offsets: dict[str, int], wanted: tuple[str, ...]
) -> struct.Struct:
    """What unpacks the wanted columns and passes over the others."""
    form, at = "<", 0
    for column in columns:
        offset = offsets.get(column.name, HIDDEN_OID)
        if column.name in wanted and offset != HIDDEN_OID:
            form += "x" * (offset - at) + column.type.code
            at = offset + column.type.size
    return struct.Struct(form)


def _is_text(catalog: SystemCatalog, name: str) -> bool:
    column = next(one for one in _COLUMNS[catalog] if one.name == name)
    return column.type in (_NAME, _CHAR)
