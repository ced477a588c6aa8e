"""What the checks look at: a plan, and what is known of the WAL on its way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Immediate, Latest
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.checks.chain import Chain, chain_of
from pitr_tui.recovery.choice import consistent_from
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.wal.aim import Aim, restore_points
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.transactions import Happening


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen in the archive: the heads of its segments, its WAL, where to stop in it."""

    surveyed: Surveyed | None = None
    chronicle: Chronicle | None = None
    aim: Aim | None = None


NO_EVIDENCE = Evidence()


class Stop(NamedTuple):
    """Where a server with the plan's target stops: a position, and the entries before it."""

    lsn: Lsn
    cut: int


@dataclass(frozen=True)
class Case:
    """A plan on trial."""

    plan: RecoveryPlan
    now: datetime
    evidence: Evidence = NO_EVIDENCE

    @cached_property
    def why_unread(self) -> str:
        """Why nothing can be said from the WAL, or "" when it was read."""
        chronicle, backup = self.evidence.chronicle, self.plan.backup
        if chronicle is None:
            return "the WAL was not read"
        try:
            followed = self.plan.history.timeline
        except PitrError:
            return "the timeline to follow is not known"
        if chronicle.timeline != followed:
            return f"the WAL was read along timeline {chronicle.timeline}, not {followed}"
        if chronicle.start > backup.label.start_lsn:
            return f"the WAL was read from {chronicle.start} on alone"
        return ""

    @cached_property
    def chronicle(self) -> Chronicle | None:
        """What happened on the plan's own way, from its begin on."""
        return None if self.why_unread else self.evidence.chronicle

    @cached_property
    def held(self) -> dict[int, WalSegment]:
        """The archived segments on the way. Raises PitrError when the archive cannot be read."""
        return self.plan.source.held()

    @cached_property
    def chain(self) -> Chain:
        """How far they lead. Raises PitrError, and OSError when the backup cannot be read."""
        surveyed = self.evidence.surveyed
        return chain_of(self.plan, surveyed.known if surveyed else None, self.held)

    @property
    def start(self) -> Lsn:
        return self.plan.backup.label.start_lsn

    @cached_property
    def consistent_from(self) -> Lsn | None:
        """Where the backup ended, as it tells itself, the archive does, or its WAL."""
        return consistent_from(self.plan.backup, self.chronicle)

    @cached_property
    def stop(self) -> Stop | None:
        """Where a server stops that is given the plan's target; None where it was not seen.

        It begins at the start of the backup, and takes the first record that fits: `Aim` says
        what is meant, this what is done.
        """
        chronicle, target = self.chronicle, self.plan.target
        if chronicle is None:
            return None
        match target:
            case AtTime(time, inclusive):
                at = from_moment(time)
                cut = chronicle.cut_at_time(at, inclusive=inclusive, since=self.start)
                return self._before(chronicle, cut)
            case AtXid(xid, inclusive):
                entry = chronicle.entry_of(xid, self.start)
                if entry is None or int(chronicle.xids[entry]) != xid:
                    return None  # a server never stops at a subtransaction
                column = chronicle.ends if inclusive else chronicle.lsns
                return Stop(Lsn(int(column[entry])), entry + inclusive)
            case AtLsn(lsn, inclusive):
                if lsn > self._last_record(chronicle):
                    return None
                return Stop(lsn, chronicle.cut_at_lsn(lsn, inclusive=inclusive))
            case AtName(name):
                points = restore_points(chronicle, name, self.start)
                return Stop(points[0].lsn, points[0].index) if points else None
            case Immediate():
                end = self.consistent_from
                return None if end is None else Stop(end, chronicle.cut_at_lsn(end))
            case Latest():
                return Stop(chronicle.end, len(chronicle)) if chronicle.finished else None

    @property
    def end(self) -> Lsn | None:
        """How far the replay goes: to the stop, or to the end of what was read."""
        if self.stop is not None:
            return self.stop.lsn
        return self.chronicle.end if self.chronicle is not None else None

    def happenings(self) -> list[Happening]:
        """What the server goes through on the way, that no transaction did."""
        if self.chronicle is None or self.end is None:
            return []
        return [one for one in self.chronicle.happenings if self.start <= one.lsn < self.end]

    @staticmethod
    def _before(chronicle: Chronicle, cut: int) -> Stop | None:
        return Stop(Lsn(int(chronicle.lsns[cut])), cut) if cut < len(chronicle) else None

    @staticmethod
    def _last_record(chronicle: Chronicle) -> Lsn:
        """The begin of the last record that is known of."""
        last = int(chronicle.lsns[-1]) if len(chronicle) else 0
        return Lsn(max(last, *(int(one.lsn) for one in chronicle.happenings[-1:]), 0))
