"""A picture with every mark at its place: made once, so that a frame only has to look things up.

A place is a time in microseconds since 2000, or a position in the WAL where an archive tells no
time at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.repositories.backups import BrokenBackup
from pitr_tui.tui.widgets.timeline.picture import Picture
from pitr_tui.tui.widgets.timeline.positions import Positions
from pitr_tui.wal.axis import Longs
from pitr_tui.wal.chronicle import Chronicle, MarkKind
from pitr_tui.wal.coverage import TimelineCoverage
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.ranges import WalRange
from pitr_tui.wal.seam import Unread

_FREE = 40  # what part of the whole is left free at each end, so that a cut fits there
_LEAST = 1_000_000  # what is shown at least: a second, or a megabyte


class Spans(NamedTuple):
    """Stretches in order; both ends belong to them."""

    first: Longs
    last: Longs

    def touched(self, edges: Longs) -> NDArray[np.bool]:
        """Which columns between the edges any of them touches."""
        begun = np.searchsorted(self.first, edges[1:])
        touched: NDArray[np.bool] = begun > np.searchsorted(self.last, edges[:-1])
        return touched


class BackupKind(StrEnum):
    """What can be said of a backup in one sign."""

    CHOSEN = "chosen"
    GOOD = "good"
    STRANDED = "stranded"


class Place(NamedTuple):
    """A base backup, from its start to where it is consistent."""

    begin: int
    end: int
    kind: BackupKind


class PointKind(StrEnum):
    """Something other than a transaction that has a place."""

    RESTORE_POINT = "restore point"
    EVENT = "event"
    MOMENT = "moment"


KINDS = {
    MarkKind.RESTORE_POINT: PointKind.RESTORE_POINT,
    MarkKind.EVENT: PointKind.EVENT,
}


class Point(NamedTuple):
    """One such thing, and the cut at it where the WAL tells."""

    at: int
    kind: PointKind
    name: str
    cut: int | None


@dataclass(frozen=True, slots=True)
class Lane:
    """The WAL of one timeline. `fork` is where it left its parent, `left` where it is left."""

    timeline: TimelineId
    parent: TimelineId | None
    fork: int | None
    left: int | None
    followed: bool
    held: Spans
    gaps: Spans
    bad: Spans
    begun: Longs


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything at its place. `at` are the transactions, `rows` how many they changed so far.

    `read` is the stretch whose transactions are known, `wal` the one that there is WAL of.
    """

    timed: bool
    low: int
    high: int
    lanes: tuple[Lane, ...]
    places: tuple[Place, ...]
    broken: int
    at: Longs
    rows: Longs
    ended: NDArray[np.bool]
    xids: NDArray[np.uint32]
    suspects: Longs
    suspect_cuts: Longs
    points: tuple[Point, ...]
    read: tuple[int, int] | None
    wal: tuple[int, int] | None

    @property
    def gaps(self) -> list[int]:
        """Where the gaps and the unusable segments begin."""
        return sorted({int(at) for one in self.lanes for at in (*one.gaps.first, *one.bad.first)})


def plot(picture: Picture) -> Plot:
    """Find the place of everything in a picture."""
    chronicle, surveyed = picture.chronicle, picture.surveyed
    known = Positions(surveyed, chronicle)
    lanes = _lanes(picture, known) if surveyed is not None else ()
    places = _places(picture, known) if surveyed is not None else ()
    suspects, points = _marks(picture, known)
    read = None
    if chronicle is not None:
        ends = (chronicle.start, chronicle.end)
        owners = [known.owner(chronicle.timeline, lsn) for lsn in ends]
        begin, end = (known.at(who, [lsn])[0] for who, lsn in zip(owners, ends, strict=True))
        read = (int(begin), int(end))
    wal = [at for one in lanes for at in (*one.held.first[:1], *one.held.last[-1:])]
    gaps = [at for one in lanes for at in (*one.gaps.first[:1], *one.gaps.last[-1:])]
    low, high = _ends(
        [*wal, *gaps, *known.entries[:1], *known.entries[-1:]]
        + [at for one in places for at in one[:2]]
        + [one.at for one in points]
    )
    rows = [0] if chronicle is None else np.r_[0, np.cumsum(chronicle.rows * chronicle.committed)]
    return Plot(
        timed=known.timed,
        low=low,
        high=high,
        lanes=lanes,
        places=places,
        broken=sum(isinstance(one, BrokenBackup) for one in surveyed.backups) if surveyed else 0,
        at=known.entries,
        rows=np.asarray(rows, np.int64),
        ended=np.empty(0, bool) if chronicle is None else chronicle.committed,
        xids=np.empty(0, np.uint32) if chronicle is None else chronicle.xids,
        suspects=suspects[:, 0],
        suspect_cuts=suspects[:, 1],
        points=points,
        read=read,
        wal=(int(min(wal)), int(max(wal))) if wal else None,
    )


def _ends(places: Iterable[int]) -> tuple[int, int]:
    """The whole of what there is to show, with something free beside it."""
    found = [int(one) for one in places]
    if not found:
        return 0, _LEAST
    low, high = min(found), max(found)
    whole = max(high - low, _LEAST)
    return low - whole // _FREE, low + whole + whole // _FREE


def _lanes(picture: Picture, known: Positions) -> tuple[Lane, ...]:
    surveyed = picture.surveyed
    assert surveyed is not None  # noqa: S101 - asked before
    chronicle = picture.chronicle
    goal = picture.timeline or (chronicle.timeline if chronicle is not None else None)
    lineage = surveyed.known.history(goal).lineage if goal else surveyed.known.timelines
    left: dict[TimelineId, int] = {}
    if goal:
        for fork in surveyed.known.history(goal).forks:
            left[fork.parent] = int(known.at(fork.parent, [fork.switch_lsn])[0])
    lanes: list[Lane] = []
    for one in surveyed.coverage.timelines:
        fork_at = None
        if one.fork is not None:
            fork_at = int(known.at(one.fork.parent, [one.fork.switch_lsn])[0])
        held = surveyed.known.held.get(one.timeline)
        size, none = surveyed.known.cluster.segment_size, np.empty(0, np.int64)
        firsts, lasts = (held.firsts, held.lasts) if held else (none, none)
        lanes.append(
            Lane(
                timeline=one.timeline,
                parent=one.fork.parent if one.fork else None,
                fork=fork_at,
                left=left.get(one.timeline),
                followed=one.timeline in lineage,
                held=_spans(known, one.timeline, firsts * size, (lasts + 1) * size),
                gaps=_runs(known, size, one.timeline, one.gaps),
                bad=_bad(picture, known, one),
                begun=known.at(one.timeline, [int(segment.start) for segment in one.begun]),
            )
        )
    return tuple(lanes)


def _spans(known: Positions, timeline: TimelineId, first: Longs, behind: Longs) -> Spans:
    begin = known.at(timeline, first)
    return Spans(begin, np.maximum(begin, known.at(timeline, behind) - 1))


def _runs(known: Positions, size: int, timeline: TimelineId, runs: Sequence[WalRange]) -> Spans:
    """Spans of runs of segments, of which an archive may lack very many."""
    first = np.fromiter((run.first.number for run in runs), np.int64, len(runs))
    last = np.fromiter((run.last.number for run in runs), np.int64, len(runs))
    return _spans(known, timeline, first * size, (last + 1) * size)


def _bad(picture: Picture, known: Positions, one: TimelineCoverage) -> Spans:
    """Files that are of no use, and damage within others that only the reading could find."""
    ends = [(int(u.range.first.start), int(u.range.last.end)) for u in one.unusable]
    for hole in damage(picture.chronicle):
        if picture.chronicle and known.owner(picture.chronicle.timeline, hole.lsn) == one.timeline:
            ends.append((int(hole.lsn), int(hole.until or hole.lsn) + 1))
    ends.sort()
    first = np.array([begin for begin, _ in ends], np.int64)
    last = np.maximum.accumulate(np.array([end for _, end in ends], np.int64))
    return _spans(known, one.timeline, first, last)


def damage(chronicle: Chronicle | None) -> list[Unread]:
    """Where the reading met WAL that makes no sense."""
    if chronicle is None:
        return []
    every = (*chronicle.holes, *([chronicle.ending] if chronicle.ending else []))
    return [one for one in every if one.kind is Ending.DAMAGED]


def _places(picture: Picture, known: Positions) -> tuple[Place, ...]:
    surveyed = picture.surveyed
    assert surveyed is not None  # noqa: S101 - asked before
    stranded = {(one.backup.timeline, one.backup.start_lsn) for one in surveyed.coverage.stranded}
    chosen = picture.backup.label if picture.backup is not None else None
    places: list[Place] = []
    for timeline in surveyed.coverage.timelines:
        for mark in timeline.backups:
            key = (mark.timeline, mark.start_lsn)
            kind = BackupKind.STRANDED if key in stranded else BackupKind.GOOD
            if chosen is not None and key == (chosen.timeline, chosen.start_lsn):
                kind = BackupKind.CHOSEN
            ends = known.at(mark.timeline, [mark.start_lsn, mark.stop_lsn or mark.start_lsn])
            places.append(Place(int(ends[0]), int(ends[1]), kind))
    return tuple(sorted(places))


def _marks(picture: Picture, known: Positions) -> tuple[Longs, tuple[Point, ...]]:
    """The suspects with the cuts before them, and the other marks of the lanes."""
    chronicle, entries = picture.chronicle, known.entries
    suspects: list[tuple[int, int]] = []
    points: list[Point] = []
    if known.timed:
        for time, words in picture.moments:
            cut = chronicle.cut_at_time(time, inclusive=True) if chronicle is not None else None
            points.append(Point(time, PointKind.MOMENT, words, cut))
    for mark in chronicle.marks if chronicle is not None else ():
        assert chronicle is not None  # noqa: S101 - it has the marks
        if mark.what is MarkKind.REMARK:
            continue
        cut = mark.index if mark.index >= 0 else chronicle.cut_at_lsn(mark.lsn)
        if mark.what is MarkKind.SUSPECT and mark.index >= 0:
            suspects.append((int(entries[cut]), cut))
            continue
        owner = known.owner(chronicle.timeline, mark.lsn)
        at = mark.time if mark.time is not None else int(known.at(owner, [mark.lsn])[0])
        if cut:  # it stands between the same transactions as in the WAL
            at = max(at, int(entries[cut - 1]))
        if cut < len(entries):
            at = min(at, int(entries[cut]))
        if mark.what is MarkKind.SUSPECT:  # whether it committed could not be read
            suspects.append((at, cut))
            continue
        event = mark.what is MarkKind.EVENT
        points.append(Point(at, KINDS[mark.what], "" if event else mark.name, cut))
    found = np.array(sorted(suspects), np.int64).reshape(-1, 2)
    return found, tuple(sorted(points, key=lambda one: one.at))
