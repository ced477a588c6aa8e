"""What the server notes about itself: checkpoints, settings, timelines, restore points.

These are the records of the resource manager XLOG. Source: src/include/catalog/pg_control.h,
src/include/access/xlog_internal.h, src/backend/access/rmgrdesc/xlogdesc.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timestamp import from_unix
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.cursor import Cursor
from pitr_tui.wal.record import DamagedRecord

_WAL_LEVELS = ("minimal", "replica", "logical")

# redo, timeline, previous timeline, full_page_writes; epoch or wal_level; next xid; time; xid
_CHECKPOINT_WITH_EPOCH = struct.Struct("<QII?3xII28xq8xI")
_CHECKPOINT = struct.Struct("<QII?3xiQ32xq8xI")
_END_OF_RECOVERY = struct.Struct("<qII")
_LSN = struct.Struct("<Q")
_LSN_AND_TIME = struct.Struct("<Qq")
_TIME = struct.Struct("<q")
_FLAG = struct.Struct("<?")
_PARAMETER = struct.Struct("<i")
_LEVEL_AND_FLAGS = struct.Struct("<i??")


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """`pg_create_restore_point`; all times here are microseconds since 2000."""

    name: str
    time: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint; its time has whole seconds.

    The wal_level is in it from 17 on. `oldest_active_xid` is 0 where it was not asked for.
    """

    shutdown: bool
    redo: Lsn
    timeline: TimelineId
    previous_timeline: TimelineId
    full_page_writes: bool
    next_xid: int
    time: int
    oldest_active_xid: int
    wal_level: str | None


@dataclass(frozen=True, slots=True)
class CheckpointRedo:
    """Where a replay from the coming checkpoint will begin (from 17 on)."""


@dataclass(frozen=True, slots=True)
class EndOfRecovery:
    """A promoted server began to write; this is where the timelines change."""

    time: int
    timeline: TimelineId
    previous_timeline: TimelineId


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """The server was started with other settings of those that a standby must match."""

    max_connections: int
    max_worker_processes: int
    max_wal_senders: int | None
    max_prepared_transactions: int
    max_locks_per_transaction: int
    wal_level: str
    wal_log_hints: bool
    track_commit_timestamp: bool


@dataclass(frozen=True, slots=True)
class FullPageWrites:
    """`full_page_writes` was turned on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class BackupEnd:
    """A base backup that began at `start_lsn` is consistent from here on."""

    start_lsn: Lsn


@dataclass(frozen=True, slots=True)
class Switch:
    """The rest of the segment is unused."""


@dataclass(frozen=True, slots=True)
class OverwriteContrecord:
    """The record at `lsn` was cut off by a crash and is void."""

    lsn: Lsn
    time: int


XlogAction: TypeAlias = (
    RestorePoint
    | Checkpoint
    | CheckpointRedo
    | EndOfRecovery
    | ParameterChange
    | FullPageWrites
    | BackupEnd
    | Switch
    | OverwriteContrecord
)


def _timeline(number: int) -> TimelineId:
    if not number:
        raise DamagedRecord("it names a timeline 0")
    return TimelineId(number)


def _wal_level(number: int) -> str:
    if not 0 <= number < len(_WAL_LEVELS):
        raise DamagedRecord(f"it names a wal_level {number}")
    return _WAL_LEVELS[number]


def _checkpoint(cursor: Cursor, version: PostgresVersion, shutdown: bool) -> Checkpoint:
    if version.checkpoint_has_epoch:
        fields = cursor.fields(_CHECKPOINT_WITH_EPOCH)
        redo, timeline, previous, full_page_writes, epoch, low, seconds, oldest = fields
        next_xid, level = epoch << 32 | low, 0
    else:
        fields = cursor.fields(_CHECKPOINT)
        redo, timeline, previous, full_page_writes, level, next_xid, seconds, oldest = fields
    return Checkpoint(
        shutdown,
        Lsn(redo),
        _timeline(timeline),
        _timeline(previous),
        full_page_writes,
        next_xid,
        from_unix(seconds),
        oldest,
        _wal_level(level) if version.checkpoint_tells_wal_level else None,
    )


def _end_of_recovery(cursor: Cursor, _: PostgresVersion) -> EndOfRecovery:
    time, timeline, previous = cursor.fields(_END_OF_RECOVERY)
    return EndOfRecovery(time, _timeline(timeline), _timeline(previous))


def _parameters(cursor: Cursor, version: PostgresVersion) -> ParameterChange:
    values: dict[str, int] = {}
    for name in version.standby_minimums:
        (values[name],) = cursor.fields(_PARAMETER)
        if values[name] < 0:
            raise DamagedRecord(f"it sets {name} to {values[name]}")
    level, hints, timestamps = cursor.fields(_LEVEL_AND_FLAGS)
    return ParameterChange(
        values["max_connections"],
        values["max_worker_processes"],
        values.get("max_wal_senders"),
        values["max_prepared_transactions"],
        values["max_locks_per_transaction"],
        _wal_level(level),
        hints,
        timestamps,
    )


def _restore_point(cursor: Cursor, _: PostgresVersion) -> RestorePoint:
    (time,) = cursor.fields(_TIME)
    return RestorePoint(cursor.text(), time)


def _overwrite(cursor: Cursor, _: PostgresVersion) -> OverwriteContrecord:
    lsn, time = cursor.fields(_LSN_AND_TIME)
    return OverwriteContrecord(Lsn(lsn), time)


def _shutdown_checkpoint(cursor: Cursor, version: PostgresVersion) -> Checkpoint:
    return _checkpoint(cursor, version, shutdown=True)


def _online_checkpoint(cursor: Cursor, version: PostgresVersion) -> Checkpoint:
    return _checkpoint(cursor, version, shutdown=False)


def _full_page_writes(cursor: Cursor, _: PostgresVersion) -> FullPageWrites:
    return FullPageWrites(*cursor.fields(_FLAG))


def _backup_end(cursor: Cursor, _: PostgresVersion) -> BackupEnd:
    return BackupEnd(Lsn(*cursor.fields(_LSN)))


_Decoder: TypeAlias = Callable[[Cursor, PostgresVersion], XlogAction]
XLOG_DECODERS: Mapping[int, _Decoder] = {
    0x00: _shutdown_checkpoint,
    0x10: _online_checkpoint,
    0x40: lambda _cursor, _version: Switch(),
    0x50: _backup_end,
    0x60: _parameters,
    0x70: _restore_point,
    0x80: _full_page_writes,
    0x90: _end_of_recovery,
    0xD0: _overwrite,
    0xE0: lambda _cursor, _version: CheckpointRedo(),
}
