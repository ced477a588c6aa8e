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
    way behind `missing`, and `archived` those of all that the archive has.
    """

    first: WalSegment
    missing: WalSegment
    why: str
    begun: bool
    beyond: int
    archived: int

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


def chain_of(
    plan: RecoveryPlan, known: Holdings | None, held: Mapping[int, WalSegment] | None = None
) -> Chain:
    """Follow the plan's timelines. Without a survey a segment counts by its name alone.

    `held` is what `plan.source.held()` gives, where that was asked for already.

    Raises PitrError when the archive cannot be read, OSError when the backup cannot be.
    """
    first, held = plan.backup.start_segment, plan.source.held() if held is None else held
    number = _first_missing(plan, known, held)
    begun = known is not None and _is_begun(plan, known, number)
    needed = known.needed(plan.history, number) if known else plan.history.timeline
    missing = WalSegment(needed, number, first.size)
    return Chain(
        first=first,
        missing=missing.next() if begun else missing,
        why=known.why_not(missing) if known and not begun else f"{missing.name}{_IS_MISSING}",
        begun=begun,
        beyond=sum(1 for one in held if one > number),
        archived=sum(1 for one in held if one >= first.number),
    )


def ends_badly(plan: RecoveryPlan, known: Holdings) -> bool:
    """Whether the chain ends at a file that does not serve. Raises as `chain_of` does."""
    number = _first_missing(plan, known, {})
    missing = WalSegment(known.needed(plan.history, number), number, plan.backup.segment_size)
    begun = _is_begun(plan, known, number)
    return not begun and not known.why_not(missing).endswith(_IS_MISSING)


def _first_missing(
    plan: RecoveryPlan, known: Holdings | None, held: Mapping[int, WalSegment]
) -> int:
    """The number of the first segment that neither the archive nor the backup has whole."""
    own = {segment.number for segment in plan.backup.own_wal()} | _in_tar(plan)
    number = plan.backup.start_segment.number
    while True:
        end = _run_from(plan, known, number) if known else number + (number in held)
        end += end == number and number in own
        if end == number:
            return number
        number = end


def _run_from(plan: RecoveryPlan, known: Holdings, number: int) -> int:
    """The end of the run of segments of one timeline that begins with this one."""
    timeline = known.needed(plan.history, number)
    held = known.held.get(timeline)
    end = held.run_from(number) if held is not None else number
    forks = (one for one in plan.history.forks if one.parent == timeline)
    return min([end, *(known.number_at(fork.switch_lsn) for fork in forks)])


def _in_tar(plan: RecoveryPlan) -> set[int]:
    """What a pg_wal.tar has to hold: from the start of the backup to its end."""
    backup = plan.backup
    if not any(path.name.startswith("pg_wal.tar") for path in backup.tars()):
        return set()
    end = int(backup.stop_lsn or backup.label.start_lsn + 1) - 1
    return set(range(backup.start_segment.number, end // backup.segment_size + 1))


def _is_begun(plan: RecoveryPlan, known: Holdings, number: int) -> bool:
    held = known.held.get(known.needed(plan.history, number))
    return held is not None and number in held.begun
