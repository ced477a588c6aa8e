"""Where the positions of the WAL lie on the ruler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.wal.axis import Axis, Longs, apart, axes, fork_of
from pitr_tui.wal.chronicle import Chronicle

_DENSEST = 1 << 16  # so many transactions tell of the times of positions well enough


@dataclass(slots=True)
class Positions:
    """The places of positions, by the heads of the segments and by what was read.

    A place is a time in microseconds since 2000, or the position itself where nothing tells a
    time. `entries` are those of the transactions, no two of them at the same.
    """

    surveyed: Surveyed | None
    chronicle: Chronicle | None
    entries: Longs = field(init=False)
    axes: Mapping[TimelineId, Axis] = field(init=False)

    def __post_init__(self) -> None:
        self.axes = _axes_of(self.surveyed) if self.surveyed is not None else {}
        self.entries = np.empty(0, np.int64)
        if self.chronicle is not None:
            self.entries = apart(self.chronicle.at)
            self.axes = self._refined(self.chronicle)

    @property
    def timed(self) -> bool:
        return any(len(axis) for axis in self.axes.values())

    def at(self, timeline: TimelineId, lsns: Sequence[int] | Longs) -> Longs:
        """The places of positions of a timeline, as near as they are known."""
        if not self.timed:
            return np.asarray(lsns, np.int64)
        axis = self.axes.get(timeline)
        if axis is not None and len(axis):
            return axis.times_at(lsns)
        fork = fork_of(self.surveyed.known, timeline) if self.surveyed is not None else None
        if fork is not None:
            return np.repeat(self.at(fork.parent, [fork.switch_lsn]), len(lsns))
        earliest = min(int(axis.times[0]) for axis in self.axes.values() if len(axis))
        return np.full(len(lsns), earliest)

    def knows(self, timeline: TimelineId, lsn: int) -> bool:
        """Whether a time can be told of a position: not of one older than everything here."""
        if not self.timed:
            return False
        axis = self.axes.get(timeline)
        return axis is None or not len(axis) or lsn >= int(axis.lsns[0])

    def owner(self, timeline: TimelineId, lsn: int) -> TimelineId:
        """On which timeline a history passes a position."""
        if self.surveyed is None:
            return timeline
        return self.surveyed.known.history(timeline).owner(Lsn(lsn))

    def _refined(self, chronicle: Chronicle) -> Mapping[TimelineId, Axis]:
        found = dict(self.axes)
        changes = np.flatnonzero(np.diff(chronicle.timelines)) + 1
        for run in np.split(np.arange(len(chronicle)), changes) if len(chronicle) else ():
            timeline = TimelineId(int(chronicle.timelines[run[0]]))
            some = run[:: max(1, len(run) // _DENSEST)]
            some = some if some[-1] == run[-1] else np.r_[some, run[-1]]
            lsns = chronicle.lsns[some].astype(np.int64)
            axis = found.get(timeline, Axis())
            found[timeline] = axis.with_points(lsns, self.entries[some])
        return found


def _axes_of(surveyed: Surveyed) -> dict[TimelineId, Axis]:
    """The axis of each timeline, with the times of those ends that were read."""
    found = dict(axes(surveyed.known))
    for timeline in surveyed.coverage.timelines:
        axis = found.get(timeline.timeline, Axis())
        for stretch in timeline.stretches:
            last = from_moment(stretch.last_time) if stretch.last_time is not None else 0
            if len(axis) and last > axis.time_at(stretch.range.last.start):
                end = np.array([int(stretch.range.last.end)], np.int64)
                axis = axis.with_points(end, np.array([last], np.int64))
        found[timeline.timeline] = axis
    return found
