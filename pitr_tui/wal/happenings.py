"""What else happened to a server, in words: restore points, settings, shutdowns, promotions."""

from __future__ import annotations

from typing import NamedTuple

from pitr_tui.wal.actions import TablespaceCreated, TablespaceDropped
from pitr_tui.wal.transactions import Happening
from pitr_tui.wal.xlog import (
    BackupEnd,
    Checkpoint,
    EndOfRecovery,
    FullPageWrites,
    OverwriteContrecord,
    ParameterChange,
    RestorePoint,
)


class Said(NamedTuple):
    """A happening in words, with its time where its record has one (microseconds since 2000)."""

    words: str
    time: int | None


def happening_words(item: Happening) -> Said | None:
    """None for what happens all the time, such as an ordinary checkpoint."""
    match item.action:
        case RestorePoint(name, time):
            return Said(f"restore point {name!r}", time)
        case Checkpoint(shutdown=True) as one if one.timeline != one.previous_timeline:
            words = f"timeline {one.timeline} begins: it leaves timeline {one.previous_timeline}"
            return Said(words, one.time)
        case Checkpoint(shutdown=True) as one:
            return Said("the server was shut down, or came back from a crash", one.time)
        case EndOfRecovery() as one:
            words = f"promoted: timeline {one.timeline} leaves timeline {one.previous_timeline}"
            return Said(words, one.time)
        case ParameterChange() as one:
            senders = (
                "" if one.max_wal_senders is None else f"max_wal_senders {one.max_wal_senders}, "
            )
            return Said(
                f"started with max_connections {one.max_connections}, "
                f"max_worker_processes {one.max_worker_processes}, {senders}"
                f"max_prepared_transactions {one.max_prepared_transactions}, "
                f"max_locks_per_transaction {one.max_locks_per_transaction}, "
                f"wal_level {one.wal_level}",
                None,
            )
        case FullPageWrites(on):
            return Said(f"full_page_writes was turned {'on' if on else 'off'}", None)
        case BackupEnd(start_lsn):
            return Said(f"the base backup that began at {start_lsn} is consistent from here", None)
        case OverwriteContrecord(lsn, time):
            return Said(f"a crash had cut off the record at {lsn}", time)
        case TablespaceCreated(oid, path):
            return Said(f"created the tablespace {oid} at {path}", None)
        case TablespaceDropped(oid):
            return Said(f"dropped the tablespace {oid}", None)
        case _:
            return None
