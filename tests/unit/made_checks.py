"""What the tests of the checks need: plans that pass, and WAL that says what it is told to."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google_crc32c import extend, value

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtTime, RecoveryTarget
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.checks import Evidence, Judgement, judge
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import Surveyed, survey_archive
from pitr_tui.repositories.wholeness import essential_directories
from pitr_tui.wal.actions import Action
from pitr_tui.wal.aim import aim_at
from pitr_tui.wal.catalog import Catalog
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.chronicle_writer import ChronicleWriter
from pitr_tui.wal.names import NameBook
from pitr_tui.wal.suspects import SuspectFinder
from pitr_tui.wal.transactions import Happening, Item, Kind, Transaction
from pitr_tui.wal.xlog import ParameterChange
from tests.unit.made import backup_value, make_archive, make_plan, plain_backup, segment
from tests.unit.made_wal import wal_bytes

ONE = TimelineId(1)
START = Lsn(0x200028)  # where the backup that is made by hand begins; it ends at 0/200120
FIRST = 0x300000  # where the WAL of these tests begins to say something
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 14, 50, tzinfo=UTC)
SECOND = 1_000_000


def at(number: int) -> Lsn:
    """Where the `number`-th thing that happens lies."""
    return Lsn(FIRST + number * 0x100)


def after_noon(seconds: float, *, inclusive: bool = True) -> AtTime:
    return AtTime(NOON + timedelta(seconds=seconds), inclusive)


def ended(
    number: int,
    *,
    kind: Kind = Kind.COMMIT,
    seconds: int | None = None,
    xid: int | None = None,
    lsn: Lsn | None = None,
    subxids: tuple[int, ...] = (),
    actions: tuple[Action, ...] = (),
    begun: int = 0x80,
    gid: str | None = None,
) -> Transaction:
    """A transaction, with xid 700 + number and by default as many seconds after noon."""
    lsn = at(number) if lsn is None else lsn
    xid = 700 + number if xid is None else xid
    time = from_moment(NOON) + (number if seconds is None else seconds) * SECOND
    return Transaction(
        xid=xid,
        top_xid=xid,
        full_xid=xid,
        kind=kind,
        time=time,
        lsn=lsn,
        end=Lsn(lsn + 0x40),
        first=Lsn(lsn - begun),
        bytes=100,
        records=2,
        subxids=subxids,
        gid=gid,
        partial=False,
        changes=(),
        dropped=(),
        rows=(),
        actions=actions,
        timeline=ONE,
    )


def happened(number: int, action: Action) -> Happening:
    return Happening(at(number), Lsn(at(number) + 0x40), ONE, action)


def parameters(level: str = "replica", **changes: int) -> ParameterChange:
    """What a server notes when it starts with these settings."""
    values = {
        "max_connections": 100,
        "max_worker_processes": 8,
        "max_wal_senders": 10,
        "max_prepared_transactions": 0,
        "max_locks_per_transaction": 64,
    } | changes
    return ParameterChange(
        **values, wal_level=level, wal_log_hints=False, track_commit_timestamp=False
    )


def chronicle_of(*items: Item, start: Lsn = START, finished: bool = True) -> Chronicle:
    names = NameBook(Catalog(PostgresVersion.parse("18")))
    writer = ChronicleWriter(ONE, start, names, SuspectFinder(names))
    for item in items:
        writer.add(item)
    return writer.chronicle(finished=finished)


def own_segment(number: int, *times: int, finished: bool = True) -> bytes:
    """A segment with a commit for each time (seconds after noon), and a switch behind them.

    Unless it is `finished` it ends as one does that is being written. It follows on one that has
    nine commits.
    """
    mains = [(_COMMIT, struct.pack("<q", from_moment(NOON) + time * SECOND)) for time in times]
    lsn, records = segment(number).start + 40, list[bytes]()
    before = segment(number - 1).start + 40 + 9 * 40
    for (manager, info), main in [*mains, *([(_SWITCH, b"")] if finished else [])]:
        data = struct.pack("<BB", 255, len(main)) + main if main else b""
        head = struct.pack("<IIQBB2x", 24 + len(data), 650, before, info, manager)
        head += struct.pack("<I", extend(value(data), head))
        records.append((head + data).ljust((24 + len(data) + 7) & ~7, b"\0"))
        before, lsn = lsn, lsn + len(records[-1])
    return wal_bytes(segment(number), records)


_COMMIT, _SWITCH = (1, 0x00), (0, 0x40)  # manager and kind of a record


def good_backup(directory: Path, version: str = "18.6", **changes: object) -> Backup:
    """A backup whose directories are all there, and the WAL from its start to its end."""
    plain_backup(directory)
    (directory / "pg_wal" / segment(2).name).write_bytes(own_segment(2, *range(-9, 0)))
    backup = backup_value(directory, version, **changes)
    for name in essential_directories(backup.version):
        (directory / name).mkdir(exist_ok=True)
    return backup


def good_plan(
    place: Path, target: RecoveryTarget | None = None, *, archive: WalArchive | None = None
) -> RecoveryPlan:
    """A plan against which nothing speaks; the archive has segments 2 to 4."""
    held = archive or make_archive(place / "archive", *map(segment, (2, 3, 4)))
    return make_plan(place, target=target, archive=held, backup=good_backup(place / "backup"))


def surveyed(plan: RecoveryPlan) -> Surveyed:
    with IndexCache() as cache:
        return survey_archive(plan.archive, [plan.backup], Means(cache, processes=1))


def seen(plan: RecoveryPlan, *items: Item, chronicle: Chronicle | None = None) -> Evidence:
    """Everything that can be seen: the archive's segments, and WAL that has these things in it."""
    told = chronicle_of(*items) if chronicle is None else chronicle
    return Evidence(surveyed(plan), told, aim_at(told, plan.target, plan.backup.stop_lsn))


def judged(plan: RecoveryPlan, *items: Item) -> Judgement:
    return judge(plan, NOW, seen(plan, *items))


def check_of(judgement: Judgement, name: str) -> CheckDone:
    (check,) = (one for one in judgement.checks if one.name == name)
    return check


def names_with(judgement: Judgement, status: Status) -> Sequence[str]:
    return [one.name for one in judgement.checks if one.status is status]


def with_backup(plan: RecoveryPlan, **changes: object) -> RecoveryPlan:
    """The plan with another backup in the same place."""
    return dataclasses.replace(plan, backup=dataclasses.replace(plan.backup, **changes))  # type: ignore[arg-type]
