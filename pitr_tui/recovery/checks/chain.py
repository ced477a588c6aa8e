"""How far the WAL leads without a gap, from the first segment that a recovery needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.wal.holdings import Holdings

_IS_MISSING = " is missing"


@dataclass(frozen=True, slots=True)
class Chain:
    """Segments from `first` on; `missing` is the first one that is not there, or no good.

    `begun` tells that the last of them was never finished. `beyond` counts the files on the
    way behind `missing`, and `archived` those of all that the archive has. `brought` are those
    that the backup alone has.
    """

    first: WalSegment
    missing: WalSegment
    why: str
    begun: bool
    beyond: int
    archived: int
    brought: tuple[WalSegment, ...]

    @property
    def ends_badly(self) -> bool:
        """Whether there is a file behind it that does not serve, which no server may ask for."""
        return not self.why.endswith(_IS_MISSING)

    @property
    def count(self) -> int:
        return self.missing.number - self.first.number

    @property
    def end(self) -> Lsn:
        return self.missing.start


@dataclass(frozen=True, slots=True)
class Way:
    """What there is for a plan: files by their names, and what the backup brings along.

    `known` tells of the files what is in them, as it was when they were looked at; without it
    a segment counts by its name.
    """

    plan: RecoveryPlan
    known: Holdings | None
    held: Mapping[int, WalSegment]
    own: frozenset[WalSegment]

    def segment(self, number: int) -> WalSegment:
        """The one that is needed there."""
        history, size = self.plan.history, self.plan.backup.segment_size
        return WalSegment(history.owner(Lsn((number + 1) * size - 1)), number, size)

    def first_missing(self) -> tuple[int, tuple[WalSegment, ...]]:
        """The first number that neither archive nor backup has whole; what the backup alone has."""
        number, brought = self.plan.backup.start_segment.number, list[WalSegment]()
        while True:
            end = self._run_from(number)
            needed = self.segment(end)
            if needed in self.own and not self._is_in_the_way(needed):
                brought.append(needed)
                end += 1
            if end == number:
                return number, tuple(brought)
            number = end

    def is_begun(self, number: int) -> bool:
        """Whether there is a segment that was never finished."""
        mine = self.known.held.get(self.segment(number).timeline) if self.known else None
        return mine is not None and number in mine.begun

    def why_not(self, segment: WalSegment) -> str:
        """Why there is no such segment, as the end of a sentence."""
        return self.known.why_not(segment) if self.known else f"{segment.name}{_IS_MISSING}"

    def _run_from(self, number: int) -> int:
        """The end of the run of segments of one timeline that begins with this one."""
        if self.known is None:
            return number + (number in self.held)
        timeline = self.segment(number).timeline
        mine = self.known.held.get(timeline)
        end = mine.run_from(number) if mine is not None else number
        forks = (one for one in self.plan.history.forks if one.parent == timeline)
        end = min([end, *(self.known.number_at(fork.switch_lsn) for fork in forks)])
        return next((one for one in range(number, end) if one not in self.held), end)

    def _is_in_the_way(self, segment: WalSegment) -> bool:
        """Whether the archive, which is asked first, has a file of that name that is no good."""
        return not self.why_not(segment).endswith(_IS_MISSING)


def chain_of(way: Way) -> Chain:
    """Follow the plan's timelines. Raises PitrError when they are not known."""
    first, held = way.plan.backup.start_segment, way.held
    number, brought = way.first_missing()
    begun, missing = way.is_begun(number), way.segment(number)
    if begun:
        missing = missing.next()
    return Chain(
        first=first,
        missing=missing,
        why=f"{missing.name}{_IS_MISSING}" if begun else way.why_not(missing),
        begun=begun,
        beyond=sum(1 for one in held if one > number),
        archived=sum(1 for one in held if one >= first.number),
        brought=brought,
    )
