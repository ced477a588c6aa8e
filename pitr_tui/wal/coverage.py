"""What an archive holds and how far it leads: timelines, gaps, strangers, recoverable windows.

The shape is that of `pg_probackup show --archive`, with the windows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.timeline import Fork
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.heads import Cluster
from pitr_tui.wal.holdings import Held, Holdings, Unusable, times_of
from pitr_tui.wal.ranges import WalRange
from pitr_tui.wal.windows import BackupMark, Stranded, Unreachable, Window, windows


@dataclass(frozen=True, slots=True)
class Stretch:
    """Usable segments without a gap; the first and the last time that their heads tell of."""

    range: WalRange
    bytes: int
    first_time: datetime | None
    last_time: datetime | None


@dataclass(frozen=True, slots=True)
class TimelineCoverage:
    """What there is of one timeline.

    `gaps` are what is lost on the way: missing or unusable between others, before the first
    segment that the timeline has of its own, or on the way to a child's fork. `begun` are
    segments that were never finished. `bytes` are those on disk, and `packed_ratio` how many
    there would be without compression for one that is there. `problem` tells why the ancestry
    is not known.
    """

    timeline: TimelineId
    fork: Fork | None
    problem: str
    stretches: tuple[Stretch, ...]
    gaps: tuple[WalRange, ...]
    unusable: tuple[Unusable, ...]
    begun: tuple[WalSegment, ...]
    bytes: int
    packed_ratio: float | None
    backups: tuple[BackupMark, ...]
    closest_backup: BackupMark | None

    @property
    def segments(self) -> int:
        return sum(stretch.range.count for stretch in self.stretches)

    @property
    def missing(self) -> tuple[WalRange, ...]:
        """What there is no file of, in the gaps."""
        pieces: list[WalRange] = []
        for gap in self.gaps:
            rest = gap
            for there in (one.range for one in self.unusable):
                if not rest.first <= there.first <= rest.last:
                    continue
                if rest.first < there.first:
                    pieces.append(
                        WalRange(rest.first, replace(there.first, number=there.first.number - 1))
                    )
                rest = WalRange(there.last.next(), rest.last)
            if rest.first <= rest.last:
                pieces.append(rest)
        return tuple(pieces)

    @property
    def degraded(self) -> bool:
        return bool(self.gaps or self.unusable or self.problem)


@dataclass(frozen=True, slots=True)
class Coverage:
    """An archive's answer to the question how far back, and how far on, one can go."""

    cluster: Cluster
    timelines: tuple[TimelineCoverage, ...]
    windows: tuple[Window, ...]
    unreachable: tuple[Unreachable, ...]
    stranded: tuple[Stranded, ...]


def coverage(known: Holdings, backups: Sequence[BackupMark] = ()) -> Coverage:
    """Put together what is held, and what can be recovered with it from these backups."""
    marks = sorted(backups, key=lambda mark: (mark.start_lsn, mark.name))
    reachable, unreachable, stranded = windows(known, marks)
    every = {*known.timelines, *(mark.timeline for mark in marks)}
    timelines = [_timeline(known, one, marks, reachable) for one in sorted(every)]
    return Coverage(known.cluster, tuple(timelines), reachable, unreachable, stranded)


def _timeline(
    known: Holdings, timeline: TimelineId, marks: Sequence[BackupMark], reachable: Sequence[Window]
) -> TimelineCoverage:
    held = known.held.get(timeline)
    forks = known.history(timeline).forks
    mine = tuple(mark for mark in marks if mark.timeline == timeline)
    others = [
        window.backup
        for window in reachable
        if window.backup.timeline != timeline
        and any(run.first.timeline == timeline for run in window.way)
    ]
    return TimelineCoverage(
        timeline=timeline,
        fork=forks[-1] if forks else None,
        problem=known.problems.get(timeline, ""),
        stretches=_stretches(known, timeline, held) if held else (),
        gaps=_gaps(known, timeline, held) if held else (),
        unusable=known.unusable.get(timeline, ()),
        begun=tuple(known.segment(timeline, one) for one in sorted(held.begun)) if held else (),
        bytes=int(held.heads["bytes"].sum()) if held else 0,
        packed_ratio=_packed_ratio(known, held) if held else None,
        backups=mine,
        closest_backup=max(others, key=lambda mark: mark.start_lsn, default=None),
    )


def _runs(known: Holdings, timeline: TimelineId, ends: Sequence[tuple[int, int]]) -> list[WalRange]:
    return [
        WalRange(known.segment(timeline, first), known.segment(timeline, last))
        for first, last in ends
    ]


def _stretches(known: Holdings, timeline: TimelineId, held: Held) -> tuple[Stretch, ...]:
    ends = list(zip(held.firsts.tolist(), held.lasts.tolist(), strict=True))
    result: list[Stretch] = []
    for run, (first, last) in zip(_runs(known, timeline, ends), ends, strict=True):
        heads = held.between(first, last)
        result.append(Stretch(run, int(heads["bytes"].sum()), *times_of(heads)))
    return tuple(result)


def _gaps(known: Holdings, timeline: TimelineId, held: Held) -> tuple[WalRange, ...]:
    """What is not held from the timeline's own first segment to the last fork away from it."""
    firsts, lasts = held.firsts.tolist(), held.lasts.tolist()
    if not firsts:
        return ()
    ends = [(last + 1, first - 1) for last, first in zip(lasts, firsts[1:], strict=False)]
    forks = known.history(timeline).forks
    if forks and (begin := known.number_at(forks[-1].switch_lsn)) < firsts[0]:
        ends.insert(0, (begin, firsts[0] - 1))
    left = [
        known.number_at(fork.switch_lsn)
        for history in known.histories.values()
        for fork in history.forks
        if fork.parent == timeline
    ]
    if left and max(left) - 1 > lasts[-1]:
        ends.append((lasts[-1] + 1, max(left) - 1))
    return tuple(_runs(known, timeline, ends))


def _packed_ratio(known: Holdings, held: Held) -> float | None:
    packed = held.heads[held.heads["packed"]]
    on_disk = int(packed["bytes"].sum())
    return len(packed) * known.cluster.segment_size / on_disk if on_disk else None
