"""Which of an archive's segments can be used, timeline by timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.timestamp import moment
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE, WalSegment
from pitr_tui.wal.first_time import NO_TIME
from pitr_tui.wal.heads import (
    Cluster,
    Fault,
    Heads,
    cluster_of,
    faults,
    numbers,
    why,
)
from pitr_tui.wal.ranges import WalRange

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Unusable:
    """Files that do not serve as the segments that their names promise, with the first's reason."""

    range: WalRange
    fault: Fault
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """The usable segments of one timeline, in order; those of `begun` are unfinished.

    `firsts` and `lasts` are the ends of the runs without a gap.
    """

    numbers: Numbers
    heads: Heads
    begun: frozenset[int]
    firsts: Numbers
    lasts: Numbers

    @classmethod
    def of(cls, found: Numbers, heads: Heads, begun: frozenset[int] = frozenset()) -> Held:
        breaks = np.flatnonzero(np.diff(found) != 1)
        firsts = found[np.r_[0, breaks + 1]] if len(found) else found
        lasts = found[np.r_[breaks, len(found) - 1]] if len(found) else found
        return cls(found, heads, begun, firsts, lasts)

    def run_from(self, number: int) -> int:
        """The first number from `number` on that is not held."""
        at = int(np.searchsorted(self.lasts, number))
        if at < len(self.lasts) and self.firsts[at] <= number:
            return int(self.lasts[at]) + 1
        return number

    def between(self, first: int, last: int) -> Heads:
        """The heads of the segments from one number to another, both included."""
        begin, end = np.searchsorted(self.numbers, [first, last + 1])
        return self.heads[begin:end]


def times_of(heads: Heads) -> tuple[datetime | None, datetime | None]:
    """The first and the last time that these segments tell of."""
    times = heads["time"]
    known = np.flatnonzero(times != NO_TIME)
    if not len(known):
        return None, None
    return moment(int(times[known[0]])), moment(int(times[known[-1]]))


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is usable and what is not; `problems` has the histories that cannot be read."""

    cluster: Cluster
    held: Mapping[TimelineId, Held]
    unusable: Mapping[TimelineId, tuple[Unusable, ...]]
    histories: Mapping[TimelineId, TimelineHistory]
    problems: Mapping[TimelineId, str] = field(default_factory=dict)

    @property
    def timelines(self) -> list[TimelineId]:
        return sorted({*self.held, *self.unusable, *self.histories, *self.problems})

    def history(self, timeline: TimelineId) -> TimelineHistory:
        """Its history; without ancestors where they are not known."""
        return self.histories.get(timeline) or TimelineHistory(timeline)

    def number_at(self, lsn: int) -> int:
        return lsn // self.cluster.segment_size

    def segment(self, timeline: TimelineId, number: int) -> WalSegment:
        return WalSegment(timeline, number, self.cluster.segment_size)

    def needed(self, history: TimelineHistory, number: int) -> TimelineId:
        """On which timeline's copy of a segment a history relies.

        Of one with a fork in it that is the child's, which begins with what the parent wrote.
        """
        return history.owner(Lsn((number + 1) * self.cluster.segment_size - 1))

    def why_not(self, segment: WalSegment) -> str:
        """Why there is no such segment, as the end of a sentence."""
        for one in self.unusable.get(segment.timeline, ()):
            if one.range.first <= segment <= one.range.last:
                return f"{segment.name} is {one.fault.kind}: {one.why}"
        return f"{segment.name} is missing"


def holdings(
    heads: Heads,
    histories: Mapping[TimelineId, TimelineHistory],
    problems: Mapping[TimelineId, str] | None = None,
    system_identifier: int | None = None,
    segment_size: int = DEFAULT_SEGMENT_SIZE,
) -> Holdings:
    """Tell the usable segments from the others, by their heads.

    They are held against the cluster of `system_identifier`, or that of most of them;
    `segment_size` counts where none of them tells another.
    """
    cluster = cluster_of(heads, system_identifier, segment_size)
    found = numbers(heads, cluster.segment_size)
    order = np.lexsort((found, heads["timeline"]))
    if (np.diff(order) != 1).any():  # to copy them takes longer than all the rest
        heads, found = heads[order], found[order]
    fault = faults(heads, cluster)
    held: dict[TimelineId, Held] = {}
    unusable: dict[TimelineId, tuple[Unusable, ...]] = {}
    for one in sorted(set(heads["timeline"].tolist())):
        begin, end = np.searchsorted(heads["timeline"], [one, one + 1])
        mine, kinds, their_numbers = heads[begin:end], fault[begin:end], found[begin:end]
        good = kinds == Fault.NONE
        whole, begun = good & ~mine["begun"], their_numbers[good & mine["begun"]]
        if whole.all():
            held[TimelineId(one)] = Held.of(their_numbers, mine)
            continue
        held[TimelineId(one)] = Held.of(
            their_numbers[whole], mine[whole], frozenset(begun.tolist())
        )
        if not good.all():
            unusable[TimelineId(one)] = _unusable(
                their_numbers[~good], mine[~good], kinds[~good], cluster
            )
    return Holdings(cluster, held, unusable, histories, problems or {})


def _unusable(
    found: Numbers, heads: Heads, kinds: NDArray[np.uint8], cluster: Cluster
) -> tuple[Unusable, ...]:
    """Neighbours with the same fault are told of once."""
    systems = heads["header"]["system"]
    alike = (np.diff(found) == 1) & (kinds[1:] == kinds[:-1]) & (systems[1:] == systems[:-1])
    alike &= heads["error"][1:] == heads["error"][:-1]
    breaks = (np.flatnonzero(~alike) + 1).tolist()
    timeline = TimelineId(int(heads["timeline"][0]))
    result: list[Unusable] = []
    for begin, end in zip([0, *breaks], [*breaks, len(heads)], strict=True):
        ends = (int(found[begin]), int(found[end - 1]))
        first, last = (WalSegment(timeline, one, cluster.segment_size) for one in ends)
        kind = Fault(int(kinds[begin]))
        result.append(Unusable(WalRange(first, last), kind, why(heads[begin], kind, cluster)))
    return tuple(result)
