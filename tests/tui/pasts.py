"""Pasts made by hand for the timeline: segments with times, forks, backups and transactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import Fork, TimelineHistory
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BrokenBackup
from pitr_tui.repositories.wal_index import Survey
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.tui.widgets.timeline import Picture
from pitr_tui.wal.chronicle import Changes, Chronicle, Mark, MarkKind
from pitr_tui.wal.coverage import coverage
from pitr_tui.wal.first_time import NO_TIME
from pitr_tui.wal.heads import HEAD
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.windows import BackupMark
from tests.unit.made import MEGABYTE, SYSTEM, backup_value, header_bytes, segment

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = 60_000_000


def at(minutes: float) -> int:
    """So many minutes after noon, in microseconds since 2000."""
    return from_moment(NOON + timedelta(minutes=minutes))


@dataclass(frozen=True)
class File:
    """An archived segment of a megabyte; `minutes` after noon is what its head tells."""

    of: WalSegment
    minutes: float | None = None
    system: int = SYSTEM
    begun: bool = False


def files(
    numbers: Iterable[int], timeline: int = 1, start: float = 0, each: float = 1
) -> list[File]:
    """Segments of which each next number was begun `each` minutes later."""
    found = list(numbers)
    return [File(segment(number, timeline), start + (number - found[0]) * each) for number in found]


def branch(timeline: int, *forks: tuple[int, int, str]) -> TimelineHistory:
    """A history: of each fork the parent, the position and the reason."""
    known = (Fork(TimelineId(parent), Lsn(lsn), why) for parent, lsn, why in forks)
    return TimelineHistory(TimelineId(timeline), tuple(known))


def backup_at(number: int, timeline: int = 1, end: int | None = None) -> BackupMark:
    """A backup that begins and ends in a segment, or ends in another one."""
    start = segment(number, timeline).start + 0x28
    stop = segment(end or number, timeline).start + 0x120
    return BackupMark(f"base-{number}", TimelineId(timeline), start, start, stop)


def surveyed(
    archived: Sequence[File],
    backups: Sequence[BackupMark] = (),
    histories: Iterable[TimelineHistory] = (),
    place: Path = Path("/"),
    broken: Sequence[BrokenBackup] = (),
) -> Surveyed:
    """What a survey of these would have found."""
    rows = []
    for file in archived:
        names = tuple(int(file.of.name[begin : begin + 8], 16) for begin in (0, 8, 16))
        head = header_bytes(file.of, system=file.system)[:40]
        header = np.frombuffer(head, HEAD["header"])[0].item()
        time = NO_TIME if file.minutes is None else at(file.minutes)
        rows.append((*names, file.begun, False, MEGABYTE, 0, header, time))
    known = {one.timeline: one for one in histories}
    survey = Survey(np.array(rows, HEAD), known, {}, {})
    held = survey.holdings(SYSTEM, MEGABYTE)
    return Surveyed(WalArchive(place), tuple(broken), survey, held, coverage(held, backups))


def chronicle(
    minutes: Sequence[float] | NDArray[np.float64],
    *,
    rows: Sequence[int] | None = None,
    marks: Sequence[Mark] = (),
    first: int = 2,
    each: float = 1,
    timelines: Sequence[int] | None = None,
    timeline: int = 1,
    end: int | None = None,
    finished: bool = True,
    holes: Sequence[Unread] = (),
) -> Chronicle:
    """Transactions by their minutes after noon; segment `first` was begun at noon."""
    offsets = np.asarray(minutes, np.float64)
    times = at(0) + np.rint(offsets * MINUTE).astype(np.int64)
    count = len(times)
    lsns = ((first + offsets / each) * MEGABYTE).astype(np.uint64) + np.uint64(0x200)
    changed = np.ones(count, np.int64) if rows is None else np.asarray(rows, np.int64)
    empty = np.empty(0, np.int64)
    made = Changes((), np.zeros(count + 1, np.int64), empty.astype(np.int32), *[empty] * 3)
    last = Lsn(end * MEGABYTE) if end else Lsn(int(lsns[-1]) + 0x100 if count else MEGABYTE)
    return Chronicle(
        timeline=TimelineId(timeline),
        start=Lsn(first * MEGABYTE + 0x28),
        end=last,
        finished=finished,
        times=times,
        at=np.maximum.accumulate(times) if count else times,
        lsns=lsns,
        ends=lsns + np.uint64(0x40),
        firsts=lsns - np.uint64(0x40),
        xids=np.arange(700, 700 + count, dtype=np.uint32),
        full_xids=np.zeros(count, np.int64),
        committed=np.ones(count, bool),
        partial=np.zeros(count, bool),
        locks=np.zeros(count, bool),
        bytes=np.full(count, 64, np.int64),
        rows=changed,
        timelines=np.asarray(timelines or [timeline] * count, np.uint32),
        made=made,
        sub_xids=np.empty(0, np.uint32),
        sub_entries=empty,
        gids={},
        marks=tuple(marks),
        holes=tuple(holes),
    )


def suspect(index: int, lsn: int = 0) -> Mark:
    return Mark(MarkKind.SUSPECT, index, Lsn(lsn), None, "dropped public.orders")


def restore_point(index: int, minutes: float, name: str = "before_release") -> Mark:
    time = at(minutes)
    return Mark(MarkKind.RESTORE_POINT, index, Lsn(0x300000), time, f"{name!r}", name=name)


def picture(
    survey: Surveyed | None,
    story: Chronicle | None = None,
    *,
    zone: tzinfo = UTC,
    zone_name: str = "UTC",
    backup: Backup | None = None,
    timeline: int | None = None,
    moments: tuple[tuple[int, str], ...] = (),
) -> Picture:
    which = TimelineId(timeline) if timeline else None
    return Picture(survey, story, zone, zone_name, backup, which, moments)


def ordinary(count: int = 120) -> Chronicle:
    """Two transactions a minute for an hour, with an accident near the end."""
    minutes = [one / 2 for one in range(count)]
    rows = [1 + one * 7 % 5 for one in range(count)]
    rows[-20] = 50_000
    marks = [
        suspect(count - 20),
        suspect(count - 6),
        restore_point(60, 29.9),
        Mark(MarkKind.EVENT, 10, Lsn(0x300000), at(4.9), "started with max_connections 200"),
    ]
    return chronicle(minutes, rows=rows, marks=marks)


def with_gaps(place: Path) -> Picture:
    """An hour of WAL with a gap, a foreign segment, a begun one, and four backups."""
    numbers = [*range(2, 32), *range(36, 61)]
    archived = [one for one in files(numbers) if one.of.number != 45]
    archived += [File(segment(45), None, 4711), File(segment(61), 59, begun=True)]
    marks = [backup_at(4, end=6), backup_at(20), backup_at(33), backup_at(40)]
    broken = BrokenBackup(place / "half", PitrError("it is incomplete", "no backup_label"))
    found = surveyed(archived, marks, place=place, broken=[broken])
    hole = segment(32).start
    story = chronicle([one / 2 for one in range(60)], end=32, marks=[suspect(50)])
    assert hole == story.end
    return picture(found, story, backup=backup_value(place, stop_lsn=None))


def with_branches(place: Path) -> Picture:
    """Timeline 2 is a promotion; 3 and 4 are recoveries to earlier moments, an hour later."""
    archived = files(range(2, 22)) + files(range(22, 41), 2, 20) + files(range(12, 15), 3, 50)
    archived += files(range(32, 45), 4, 60)
    histories = [
        branch(2, (1, segment(22).start + 0x100, "no recovery target specified")),
        branch(3, (1, segment(12).start + 0x100, "before 2026-11-22 12:10:00+00")),
        branch(
            4,
            (1, segment(22).start + 0x100, "no recovery target specified"),
            (2, segment(32).start + 0x100, "before transaction 741"),
        ),
    ]
    found = surveyed(archived, [backup_at(3)], histories, place)
    minutes = [*range(30), *range(61, 72)]
    story = chronicle(minutes, timelines=[1] * 20 + [2] * 10 + [4] * 11, timeline=4, end=44)
    lsns = [(2 + n) * MEGABYTE + 0x200 for n in range(30)]
    lsns += [(32 + n) * MEGABYTE + 0x800 for n in range(11)]
    story.lsns[:] = lsns
    return picture(found, story, timeline=4)
