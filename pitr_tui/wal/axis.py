"""From positions in the WAL to times, timeline by timeline.

The heads of the segments tell a time each, the transactions that were read many more. Between
two of these the WAL is taken to have been written evenly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.timeline import Fork
from pitr_tui.wal.first_time import NO_TIME
from pitr_tui.wal.holdings import Holdings

Longs = NDArray[np.int64]


def _none() -> Longs:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Axis:
    """Positions of one timeline with their times, both ascending.

    Times are in microseconds since 2000 and never go back: where the server's clock did, they
    stand still.
    """

    lsns: Longs = field(default_factory=_none)
    times: Longs = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.lsns)

    def times_at(self, lsns: Sequence[int] | NDArray[np.integer]) -> Longs:
        """The times of positions; of those outside the nearest that is known.

        Raises ValueError when no time is known at all.
        """
        found = np.interp(np.asarray(lsns, np.float64), self.lsns, self.times)
        return np.rint(found).astype(np.int64)

    def time_at(self, lsn: int) -> int:
        return int(self.times_at([lsn])[0])

    def with_points(self, lsns: Longs, times: Longs) -> Axis:
        """With what was read exactly in the place of what the heads tell of that stretch."""
        if not len(lsns):
            return self
        begin = int(np.searchsorted(self.lsns, lsns[0], "left"))
        end = int(np.searchsorted(self.lsns, lsns[-1], "right"))
        return _ascending(
            np.concatenate([self.lsns[:begin], lsns, self.lsns[end:]]),
            np.concatenate([self.times[:begin], times, self.times[end:]]),
        )


def axes(known: Holdings) -> Mapping[TimelineId, Axis]:
    """The axis of each timeline, of what was written on itself, by the heads of its segments.

    A child begins with a copy of what its parent wrote, which tells the parent's times; those
    are left out.
    """
    found: dict[TimelineId, Axis] = {}
    for timeline, held in known.held.items():
        times = held.heads["time"].astype(np.int64)
        lsns = held.numbers * known.cluster.segment_size
        told = times != NO_TIME
        if fork := fork_of(known, timeline):
            told &= lsns >= int(fork.switch_lsn)
        found[timeline] = _ascending(lsns[told], times[told])
    return found


def fork_of(known: Holdings, timeline: TimelineId) -> Fork | None:
    """Where a timeline left its parent, where that is known."""
    forks = known.history(timeline).forks
    return forks[-1] if forks else None


def apart(times: Longs) -> Longs:
    """The same times, each at least a microsecond behind the one before.

    So transactions of the same moment, or of a clock that was put back, still stand side by
    side.

    >>> apart(np.array([5, 5, 3, 9])).tolist()
    [5, 6, 7, 9]
    """
    steps = np.arange(len(times), dtype=np.int64)
    result: Longs = np.maximum.accumulate(times - steps) + steps
    return result


def _ascending(lsns: Longs, times: Longs) -> Axis:
    if not len(lsns):
        return Axis()
    new = np.r_[True, np.diff(lsns) > 0]
    return Axis(lsns[new], np.maximum.accumulate(times)[new])
