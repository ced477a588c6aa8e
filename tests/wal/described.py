"""Actions in the words of pg_waldump, to be held against what it prints itself.

Its words are brought to one form for all majors first, and those parts are cut that are
not decoded: invalidation messages, dropped statistics, origins, most of a checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pitr_tui.postgres.timestamp import moment
from pitr_tui.wal.actions import (
    Action,
    DatabaseCreated,
    DatabaseDropped,
    HeapTruncate,
    RelationMapChanged,
    StorageCreated,
    StorageTruncated,
    TablespaceCreated,
    TablespaceDropped,
)
from pitr_tui.wal.record import Locator
from pitr_tui.wal.xact import Abort, Assignment, Commit, Prepare
from pitr_tui.wal.xlog import (
    BackupEnd,
    Checkpoint,
    CheckpointRedo,
    EndOfRecovery,
    FullPageWrites,
    OverwriteContrecord,
    ParameterChange,
    RestorePoint,
    Switch,
)
from tests.wal.waldump import Row

FORKS = ("", "_fsm", "_vm", "_init")
MANAGERS = ("XLOG", "Transaction", "Storage", "Database", "Tablespace", "RelMap")
NOT_DECODED = ("FPI", "FPI_FOR_HINT", "NEXTOID", "NOOP", "INVALIDATION")

_CUT = (
    re.compile(r"; (dropped |commit |abort )?(stats|dropped stats)(\(\w+\))?:[^;]*"),
    re.compile(r"; relcache init file inval dbid \d+ tsid \d+"),
    re.compile(r"; inval msgs:[^;]*"),
    re.compile(r"; sync\b"),
    re.compile(r"; origin: .*"),
    re.compile(r" flags \d+$"),
    re.compile(r"; wal_level \w+$"),
)
_CHECKPOINT = re.compile(
    r"redo ([0-9A-F]+)/([0-9A-F]+); tli (\d+); prev tli (\d+); fpw (\w+);(?: wal_level (\w+);)? "
    r"xid (\d+):(\d+); .*oldest running xid (\d+); (\w+)"
)
_OTHER_SPACE = re.compile(r"pg_tblspc/(\d+)/[^/ ]+/")
_NUMBER = re.compile(r"\d+")


def told(row: Row) -> str | None:
    """What pg_waldump says of a record, or None if that is none that is decoded."""
    if row.manager == "Heap" and row.operation == "TRUNCATE":
        return _told_truncate(row.rest)
    if row.manager not in MANAGERS or row.operation in NOT_DECODED:
        return None
    text = row.rest.strip()
    if row.operation.startswith("CHECKPOINT_") and row.operation != "CHECKPOINT_REDO":
        return _told_checkpoint(text)
    if row.operation in ("SWITCH", "CHECKPOINT_REDO"):
        return row.operation
    for pattern in _CUT:
        text = pattern.sub("", text)
    text = _OTHER_SPACE.sub(r"pg_tblspc/\1/", text).partition(", blkref")[0]
    if row.manager == "Database":
        numbers = sorted(map(int, _NUMBER.findall(text)))
        return f"{row.operation.partition('_')[0]} {numbers}"
    operation = row.operation.removesuffix("_PREPARED")
    return f"{operation} {text.strip()}".strip()


def _told_checkpoint(text: str) -> str:
    match = _CHECKPOINT.match(text)
    assert match, text
    high, low, timeline, previous, writes, level, epoch, xid, oldest, kind = match.groups()
    redo = int(high, 16) << 32 | int(low, 16)
    return (
        f"CHECKPOINT {redo} {timeline} {previous} {writes} {level} "
        f"{int(epoch) << 32 | int(xid)} {oldest} {kind}"
    )


def _told_truncate(text: str) -> str:
    words = text.lower()
    numbers = _NUMBER.findall(words.partition("relids:" if "relids:" in words else "relids ")[2])
    count = re.search(r"nrelids:? (\d+)", words)
    assert count, text
    relations = [int(number) for number in numbers[-int(count[1]) :]]
    return f"TRUNCATE {'cascade' in words} {'restart_seqs' in words} {relations}"


def described(action: Action) -> str:
    """What `told` gives for the record that this was decoded from."""
    match action:
        case Commit() | Abort():
            name = "COMMIT" if isinstance(action, Commit) else "ABORT"
            who = f"{action.xid}: " if action.prepared else ""
            return f"{name} {who}{_time(action.time)}" + _lists(action, "rels")
        case Prepare():
            text = f"PREPARE gid {action.gid}: {_time(action.time)}"
            text += _paths("rels(commit)", action.dropped_on_commit)
            text += _paths("rels(abort)", action.dropped_on_abort)
            return text + _numbers("subxacts", action.subxids)
        case Assignment():
            return f"ASSIGNMENT xtop {action.top}:" + _numbers("subxacts", action.subxids)[1:]
        case _:
            return _described_xlog(action) or _described_files(action)


def _described_xlog(action: Action) -> str | None:
    match action:
        case RestorePoint():
            return f"RESTORE_POINT {action.name}"
        case Checkpoint():
            kind = "shutdown" if action.shutdown else "online"
            return (
                f"CHECKPOINT {int(action.redo)} {action.timeline} {action.previous_timeline} "
                f"{_boolean(action.full_page_writes)} {action.wal_level} {action.next_xid} "
                f"{action.oldest_active_xid} {kind}"
            )
        case CheckpointRedo():
            return "CHECKPOINT_REDO"
        case Switch():
            return "SWITCH"
        case EndOfRecovery():
            return (
                f"END_OF_RECOVERY tli {action.timeline}; prev tli {action.previous_timeline}; "
                f"time {_time(action.time)}"
            )
        case ParameterChange():
            senders = "" if action.max_wal_senders is None else _senders(action.max_wal_senders)
            return (
                f"PARAMETER_CHANGE max_connections={action.max_connections} "
                f"max_worker_processes={action.max_worker_processes} {senders}"
                f"max_prepared_xacts={action.max_prepared_transactions} "
                f"max_locks_per_xact={action.max_locks_per_transaction} "
                f"wal_level={action.wal_level} wal_log_hints={_switch(action.wal_log_hints)} "
                f"track_commit_timestamp={_switch(action.track_commit_timestamp)}"
            )
        case FullPageWrites():
            return f"FPW_CHANGE {_boolean(action.on)}"
        case BackupEnd():
            return f"BACKUP_END {action.start_lsn}"
        case OverwriteContrecord():
            return f"OVERWRITE_CONTRECORD lsn {action.lsn}; time {_time(action.time)}"
    return None


def _described_files(action: Action) -> str:
    match action:
        case DatabaseCreated():
            numbers = [action.oid, action.tablespace]
            if action.source is not None and action.source_tablespace is not None:
                numbers += [action.source, action.source_tablespace]
            return f"CREATE {sorted(numbers)}"
        case DatabaseDropped():
            numbers = [number for space in action.tablespaces for number in (space, action.oid)]
            return f"DROP {sorted(numbers)}"
        case TablespaceCreated():
            return f'CREATE {action.oid} "{action.path}"'
        case TablespaceDropped():
            return f"DROP {action.oid}"
        case StorageCreated():
            return f"CREATE {_path(action.locator)}{FORKS[action.fork]}"
        case StorageTruncated():
            return f"TRUNCATE {_path(action.locator)} to {action.blocks} blocks"
        case RelationMapChanged():
            return (
                f"UPDATE database {action.database} tablespace {action.tablespace} "
                f"size {len(action.data)}"
            )
        case HeapTruncate():
            relations = list(action.relations)
            return f"TRUNCATE {action.cascade} {action.restart_sequences} {relations}"
    raise AssertionError(action)


def _time(time: int) -> str:
    when = moment(time)
    assert when
    return f"{when:%Y-%m-%d %H:%M:%S.%f} UTC"


def _lists(action: Commit | Abort, name: str) -> str:
    return _paths(name, action.dropped) + _numbers("subxacts", action.subxids)


def _numbers(name: str, numbers: Sequence[int]) -> str:
    return f"; {name}: " + " ".join(map(str, numbers)) if numbers else ""


def _paths(name: str, locators: Sequence[Locator]) -> str:
    return f"; {name}: " + " ".join(map(_path, locators)) if locators else ""


def _path(locator: Locator) -> str:
    if locator.tablespace == 1664:
        return f"global/{locator.number}"
    if locator.tablespace == 1663:
        return f"base/{locator.database}/{locator.number}"
    return f"pg_tblspc/{locator.tablespace}/{locator.database}/{locator.number}"


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _switch(value: bool) -> str:
    return "on" if value else "off"


def _senders(number: int) -> str:
    return f"max_wal_senders={number} "
