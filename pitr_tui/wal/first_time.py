"""The first moment that the head of a segment tells of, found without numpy.

Only what an index of thousands of segments needs; `actions` reads records in full. Sources:
src/include/access/xact.h (xl_xact_commit, xl_xact_abort), src/include/catalog/pg_control.h
(CheckPoint), src/include/access/xlog_internal.h (xl_restore_point, xl_end_of_recovery).
"""

from __future__ import annotations

import struct
from functools import cache

from pitr_tui.postgres.timestamp import from_unix, moment
from pitr_tui.postgres.version import PostgresVersion, version_of_magic
from pitr_tui.wal.header import HEADER_BYTES

FIRST_BYTES = 1 << 13  # what is read of a segment first
MOST_BYTES = 1 << 16  # and what is read at most

# In the place of what could not be read of a segment: of a time, and of an errno.
NO_TIME = -(1 << 63)
UNPACKABLE = 0xFFFF

_PAGE = struct.Struct("<HHIQI4x")  # XLogPageHeaderData
_PAGE_SIZE = struct.Struct("<I")
_PAGE_SIZE_AT = 36
_SMALLEST_PAGE = 1024
_RECORD = struct.Struct("<I12xBB")  # length, info, resource manager
_RECORD_BYTES = 24
_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")

_XLOG, _TRANSACTION = 0, 1
_SHORT_DATA, _LONG_DATA, _ORIGIN, _TOP_XID = 255, 254, 253, 252
# COMMIT, ABORT, COMMIT_PREPARED and ABORT_PREPARED begin with their time.
_TIMED_ENDS = frozenset((0x00, 0x20, 0x30, 0x40))
_RESTORE_POINT, _END_OF_RECOVERY = 0x70, 0x90
_CHECKPOINTS = frozenset((0x00, 0x10))


class NeedsMore(Exception):
    """The bytes given tell no time, and those that follow may."""


def first_time(data: bytes) -> int | None:
    """The first time in the first bytes of a segment, see `postgres.timestamp`.

    None when there is none before its WAL ends, or within MOST_BYTES. Raises NeedsMore where
    the bytes given end too early for either.
    """
    if len(data) < HEADER_BYTES:
        return None
    magic, _, _, address, rest = _PAGE.unpack_from(data)
    (page_size,) = _PAGE_SIZE.unpack_from(data, _PAGE_SIZE_AT)
    checkpoint_time = _checkpoint_time(magic)
    if checkpoint_time is None or page_size < _SMALLEST_PAGE:
        return None
    stream, ended = _joined(data, page_size, (magic, address))
    at = _aligned(rest)
    while at + _RECORD_BYTES <= len(stream):
        length, info, manager = _RECORD.unpack_from(stream, at)
        if length < _RECORD_BYTES:
            return None
        if manager <= _TRANSACTION:
            if at + length > len(stream):
                break
            time = _time_of(stream[at : at + length], info, manager, checkpoint_time)
            if time is not None:
                return time
        at += _aligned(length)
    if ended or at >= MOST_BYTES or len(data) >= MOST_BYTES:
        return None
    raise NeedsMore


@cache
def _checkpoint_time(magic: int) -> int | None:
    """Where a checkpoint of the version with this magic has its time, None for no version's."""
    major = version_of_magic(magic)
    return PostgresVersion.parse(major).checkpoint_time_offset if major else None


def _aligned(length: int) -> int:
    return (length + 7) & ~7


def _joined(data: bytes, page_size: int, first: tuple[int, int]) -> tuple[bytes, bool]:
    """The pages without their headers, and whether the WAL ends within them.

    Pages behind the end of the WAL are zeros, or what the file held in its earlier life.
    """
    magic, address = first
    pieces = [data[HEADER_BYTES:page_size]]
    for start in range(page_size, len(data) - _PAGE.size, page_size):
        page_magic, _, _, page_address, _ = _PAGE.unpack_from(data, start)
        if (page_magic, page_address) != (magic, address + start):
            return b"".join(pieces), True
        pieces.append(data[start + _PAGE.size : start + page_size])
    return b"".join(pieces), False


def _time_of(record: bytes, info: int, manager: int, checkpoint_time: int) -> int | None:
    """The time in one record of the transaction or the XLOG manager, if it has one."""
    checkpoint = manager == _XLOG and info & 0xF0 in _CHECKPOINTS
    if manager == _TRANSACTION:
        if info & 0x70 not in _TIMED_ENDS:
            return None
    elif not checkpoint and info & 0xF0 not in (_RESTORE_POINT, _END_OF_RECOVERY):
        return None
    start = _main_data(record)
    if start is None:
        return None
    start += checkpoint_time if checkpoint else 0
    if start + _I64.size > len(record):
        return None
    (time,) = _I64.unpack_from(record, start)
    if checkpoint:
        time = from_unix(time)
    return time if moment(time) else None


def _main_data(record: bytes) -> int | None:
    """Where the main data of a record without blocks begins."""
    at = _RECORD_BYTES
    while at + 2 <= len(record):
        kind = record[at]
        if kind == _SHORT_DATA:
            return at + 2
        if kind == _LONG_DATA:
            return at + 1 + _U32.size
        if kind == _ORIGIN:
            at += 3
        elif kind == _TOP_XID:
            at += 1 + _U32.size
        else:
            return None
    return None
