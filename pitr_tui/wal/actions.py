"""What the records say that are looked at one by one: more than rows of one relation.

Source: src/include/commands/dbcommands_xlog.h, src/include/commands/tablespace.h,
src/include/catalog/storage_xlog.h, src/include/utils/relmapper.h,
src/include/access/heapam_xlog.h (XLOG_HEAP_TRUNCATE).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.cursor import Cursor
from pitr_tui.wal.record import HEADER, DamagedRecord, Locator, Manager, Record
from pitr_tui.wal.xact import Ending, decode_ending, plain_ending
from pitr_tui.wal.xlog import XLOG_DECODERS, XlogAction

_INFO = 0xF0  # the bits that are the resource manager's
_PAIR = struct.Struct("<II")
_LOCATOR = struct.Struct("<III")
_TRUNCATE = struct.Struct("<IiB3x")
_CASCADE, _RESTART_SEQUENCES = 0x01, 0x02


@dataclass(frozen=True, slots=True)
class DatabaseCreated:
    """CREATE DATABASE: a copy of the files of `source`, or row by row, where that is None.

    A copy has one such record for each tablespace.
    """

    oid: int
    tablespace: int
    source: int | None
    source_tablespace: int | None


@dataclass(frozen=True, slots=True)
class DatabaseDropped:
    """The files of a database in some tablespaces were removed.

    By DROP DATABASE, which has one such record for each tablespace up to 12; also by moving
    a database to another tablespace, and by a CREATE DATABASE that failed.
    """

    oid: int
    tablespaces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TablespaceCreated:
    oid: int
    path: str


@dataclass(frozen=True, slots=True)
class TablespaceDropped:
    oid: int


@dataclass(frozen=True, slots=True)
class StorageCreated:
    """An empty file for a relation, which an abort removes again."""

    locator: Locator
    fork: int


@dataclass(frozen=True, slots=True)
class StorageTruncated:
    """A relation's file was cut to `blocks`, by VACUUM or a TRUNCATE of a new table."""

    locator: Locator
    blocks: int


@dataclass(frozen=True, slots=True)
class RelationMapChanged:
    """Catalogs got other files; `data` is the new pg_filenode.map (database 0: the shared one)."""

    database: int
    tablespace: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HeapTruncate:
    """TRUNCATE, written for logical decoding from 11 on; `relations` are oids of tables.

    RESTART IDENTITY is told by its flag alone.
    """

    database: int
    relations: tuple[int, ...]
    cascade: bool
    restart_sequences: bool


Action: TypeAlias = (
    Ending
    | XlogAction
    | DatabaseCreated
    | DatabaseDropped
    | TablespaceCreated
    | TablespaceDropped
    | StorageCreated
    | StorageTruncated
    | RelationMapChanged
    | HeapTruncate
)


def decode_action(record: Record) -> Action | None:
    """What a record says, or None if it is of no kind named here. Raises DamagedRecord."""
    plain = plain_ending(record.data)
    if plain is not None:
        return plain
    if len(record.data) < HEADER.size:
        raise DamagedRecord(f"it has only {len(record.data)} bytes")
    if record.manager == Manager.TRANSACTION:
        return decode_ending(record)
    if record.manager == Manager.DATABASE:
        return _database(record)
    decode = _DECODERS.get((record.manager, record.info & _INFO))
    return decode(Cursor(record.body().main), record.version) if decode else None


def _database(record: Record) -> DatabaseCreated | DatabaseDropped | None:
    """CREATE and DROP DATABASE, whose numbers changed in 15."""
    info, version = record.info & _INFO, record.version
    if info > version.database_drop_info:
        return None
    cursor = Cursor(record.body().main)
    oid = cursor.number()
    if info == version.database_drop_info:
        count = cursor.count() if version.database_drop_counts_tablespaces else 1
        return DatabaseDropped(oid, cursor.numbers(count))
    tablespace = cursor.number()
    source = cursor.fields(_PAIR) if info == 0x00 else (None, None)
    return DatabaseCreated(oid, tablespace, *source)


def _tablespace_created(cursor: Cursor, _: PostgresVersion) -> TablespaceCreated:
    return TablespaceCreated(cursor.number(), cursor.text())


def _tablespace_dropped(cursor: Cursor, _: PostgresVersion) -> TablespaceDropped:
    return TablespaceDropped(cursor.number())


def _storage_created(cursor: Cursor, _: PostgresVersion) -> StorageCreated:
    return StorageCreated(Locator(*cursor.fields(_LOCATOR)), cursor.number())


def _storage_truncated(cursor: Cursor, _: PostgresVersion) -> StorageTruncated:
    blocks = cursor.number()
    return StorageTruncated(Locator(*cursor.fields(_LOCATOR)), blocks)


def _relation_map(cursor: Cursor, _: PostgresVersion) -> RelationMapChanged:
    database, tablespace = cursor.fields(_PAIR)
    return RelationMapChanged(database, tablespace, cursor.bytes(cursor.count()))


def _heap_truncate(cursor: Cursor, _: PostgresVersion) -> HeapTruncate:
    database, count, flags = cursor.fields(_TRUNCATE)
    relations = cursor.numbers(count)
    return HeapTruncate(
        database, relations, bool(flags & _CASCADE), bool(flags & _RESTART_SEQUENCES)
    )


_Decoder: TypeAlias = Callable[[Cursor, PostgresVersion], Action]
_DECODERS: dict[tuple[int, int], _Decoder] = {
    (Manager.STORAGE, 0x10): _storage_created,
    (Manager.STORAGE, 0x20): _storage_truncated,
    (Manager.TABLESPACE, 0x00): _tablespace_created,
    (Manager.TABLESPACE, 0x10): _tablespace_dropped,
    (Manager.RELMAP, 0x00): _relation_map,
    (Manager.HEAP, 0x30): _heap_truncate,
    **{(Manager.XLOG, info): decode for info, decode in XLOG_DECODERS.items()},
}
