"""How transactions end: records of the resource manager Transaction.

Source: src/include/access/xact.h, src/backend/access/rmgrdesc/xactdesc.c (ParseCommitRecord,
ParseAbortRecord, ParsePrepareRecord), src/backend/access/transam/twophase.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.cursor import Cursor
from pitr_tui.wal.record import DamagedRecord, Locator, Manager, Record

_OPERATION, _HAS_INFO = 0x70, 0x80
_COMMIT, _PREPARE, _ABORT = 0x00, 0x10, 0x20
_COMMIT_PREPARED, _ABORT_PREPARED, _ASSIGNMENT = 0x30, 0x40, 0x50

# The parts of a commit or abort, in the order of the record (XACT_XINFO_HAS_).
_DATABASE, _SUBXIDS, _DROPPED, _STATISTICS = 0x01, 0x02, 0x04, 0x100
_INVALIDATIONS, _TWO_PHASE, _GID = 0x08, 0x10, 0x80
_INVALIDATION_BYTES = 16  # a SharedInvalidationMessage
_TIME = struct.Struct("<q")
_DATABASE_PART = struct.Struct("<II")

# The state file of a prepared transaction: xid, database, time and three counts; then the
# length of the gid, behind a count and a flag.
_PREPARED = struct.Struct("<8xIIq4xiii")
_PREPARED_GID = struct.Struct("<6xH")
_PREPARED_STATISTICS_BYTES, _PREPARED_ORIGIN_BYTES = 8, 16
_ALIGNMENT = 8  # MAXALIGN of its lists

# A commit or abort with nothing but its time: the header, that of the main data, the time.
_PLAIN = struct.Struct("<4xI8xBB6xBBq")
_SHORT_DATA, _TRANSACTION = 255, int(Manager.TRANSACTION)


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction became permanent; `time` in microseconds since 2000.

    `xid` is the transaction's own, also where another session commits it after a PREPARE
    (`prepared`); then the gid is in the record with wal_level = logical from 11 on.
    `dropped` are the files that are removed by it.
    """

    xid: int
    time: int
    subxids: tuple[int, ...] = ()
    dropped: tuple[Locator, ...] = ()
    database: int | None = None
    gid: str | None = None
    prepared: bool = False


@dataclass(frozen=True, slots=True)
class Abort:
    """A transaction or subtransaction was rolled back; `time` in microseconds since 2000.

    `dropped` are the files that it had created.
    """

    xid: int
    time: int
    subxids: tuple[int, ...] = ()
    dropped: tuple[Locator, ...] = ()
    database: int | None = None
    gid: str | None = None
    prepared: bool = False


@dataclass(frozen=True, slots=True)
class Prepare:
    """PREPARE TRANSACTION; `time` in microseconds since 2000.

    Its files to be removed at a commit and at an abort are named in that record again.
    """

    xid: int
    time: int
    database: int
    gid: str
    subxids: tuple[int, ...]
    dropped_on_commit: tuple[Locator, ...]
    dropped_on_abort: tuple[Locator, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Subtransactions belong to `top`; written each time 64 more of them are not known yet."""

    top: int
    subxids: tuple[int, ...]


Ending: TypeAlias = Commit | Abort | Prepare | Assignment


def plain_ending(data: bytes) -> Commit | Abort | None:
    """A commit or abort that says nothing but its time, which most are, without detours."""
    if len(data) != _PLAIN.size:
        return None
    xid, info, manager, kind, length, time = _PLAIN.unpack(data)
    if manager != _TRANSACTION or kind != _SHORT_DATA or length != _TIME.size:
        return None
    if info == _COMMIT:
        return Commit(xid, time)
    return Abort(xid, time) if info == _ABORT else None


def decode_ending(record: Record) -> Ending | None:
    """What a record of the manager Transaction says; None for one that is none of these four."""
    operation = record.info & _OPERATION
    if operation in (_COMMIT, _COMMIT_PREPARED):
        return _completion(Commit, operation == _COMMIT_PREPARED, record)
    if operation in (_ABORT, _ABORT_PREPARED):
        return _completion(Abort, operation == _ABORT_PREPARED, record)
    if operation == _PREPARE:
        return _prepare(Cursor(record.body().main), record.version)
    if operation == _ASSIGNMENT:
        cursor = Cursor(record.body().main)
        return Assignment(cursor.number(), cursor.numbers(cursor.count()))
    return None


def _completion(kind: type[Commit] | type[Abort], prepared: bool, record: Record) -> Commit | Abort:
    """A commit or abort; its last part, the origin of what is replicated, is not read."""
    cursor = Cursor(record.body().main)
    (time,) = cursor.fields(_TIME)
    parts = cursor.number() if record.info & _HAS_INFO else 0
    database = cursor.fields(_DATABASE_PART)[0] if parts & _DATABASE else None
    subxids = cursor.numbers(cursor.count()) if parts & _SUBXIDS else ()
    dropped = cursor.locators(cursor.count()) if parts & _DROPPED else ()
    if parts & _STATISTICS:
        cursor.bytes(cursor.count() * record.version.dropped_statistics_bytes)
    if parts & _INVALIDATIONS:
        cursor.bytes(cursor.count() * _INVALIDATION_BYTES)
    xid = cursor.number() if parts & _TWO_PHASE else None
    gid = cursor.text() if parts & _GID else None
    if prepared and xid is None:
        raise DamagedRecord("it ends a prepared transaction and does not say which")
    return kind(record.xid if xid is None else xid, time, subxids, dropped, database, gid, prepared)


def _prepare(cursor: Cursor, version: PostgresVersion) -> Prepare:
    """A state file; what it tells about statistics, locks and the like is not read."""
    xid, database, time, subxids, on_commit, on_abort = cursor.fields(_PREPARED)
    if version.prepares_dropped_statistics:
        cursor.bytes(_PREPARED_STATISTICS_BYTES)
    (gid_length,) = cursor.fields(_PREPARED_GID)
    if version.prepares_origin:
        cursor.bytes(_PREPARED_ORIGIN_BYTES)
    gid = Cursor(cursor.bytes(gid_length)).text()
    cursor.align(_ALIGNMENT)
    subxid_list = cursor.numbers(subxids)
    cursor.align(_ALIGNMENT)
    commit_list = cursor.locators(on_commit)
    cursor.align(_ALIGNMENT)
    abort_list = cursor.locators(on_abort)
    return Prepare(xid, time, database, gid, subxid_list, commit_list, abort_list)
