"""What the checks look at: a plan, and what is known of the WAL on its way."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtName, AtTime, AtXid
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.checks.brought import Brought, read_brought
from pitr_tui.recovery.checks.chain import Chain, Way, chain_of
from pitr_tui.recovery.checks.stop import Stop, stop_in
from pitr_tui.recovery.choice import consistent_from
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.backup_marks import own_wal
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.wal.aim import Aim
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.transactions import Happening


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen in the archive: the heads of its segments, its WAL, where to stop in it.

    Without a chronicle `why_unread` tells why there is none. `full_xid` has all 64 bits of a
    transaction id that was asked for, of which a server takes the lower half. `dead_data` is the
    directory of a primary that is down, if it is on this machine.
    """

    surveyed: Surveyed | None = None
    chronicle: Chronicle | None = None
    aim: Aim | None = None
    why_unread: str = "the WAL was not read"
    full_xid: int | None = None
    dead_data: Path | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True)
class Case:
    """A plan on trial."""

    plan: RecoveryPlan
    now: datetime
    evidence: Evidence = NO_EVIDENCE

    @cached_property
    def surveyed(self) -> Surveyed | None:
        """What was seen of the plan's own archive."""
        found = self.evidence.surveyed
        if found is None or str(found.archive.directory) != str(self.plan.archive.directory):
            return None
        return found

    @cached_property
    def why_unread(self) -> str:
        """Why nothing can be said from the WAL, or "" when it was read."""
        chronicle, backup = self.evidence.chronicle, self.plan.backup
        if self.evidence.surveyed is not None and self.surveyed is None:
            return f"another archive was looked at, {self.evidence.surveyed.archive.directory}"
        if chronicle is None:
            return self.evidence.why_unread
        try:
            followed = self.plan.history.timeline
        except PitrError:
            return "the timeline to follow is not known"
        if chronicle.timeline != followed:
            return f"the WAL was read along timeline {chronicle.timeline}, not {followed}"
        before = chronicle.start > backup.label.start_lsn
        if before and not (self.brought and self.brought.covers(self.start, chronicle.start)):
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
        end = consistent_from(self.plan.backup, self.evidence.chronicle)
        known = self.surveyed.known if self.surveyed else None
        return chain_of(Way(self.plan, known, self.held, own_wal(self.plan.backup, end)))

    @cached_property
    def brought(self) -> Brought | None:
        """What the backup alone has on the way, where the archive was looked at."""
        if self.surveyed is None:
            return None
        with suppress(PitrError, OSError):  # the check of the way tells of it
            return read_brought(self.plan.backup, self.plan.history, self.chain.brought)
        return None

    @property
    def start(self) -> Lsn:
        return self.plan.backup.label.start_lsn

    @cached_property
    def consistent_from(self) -> Lsn | None:
        """Where the backup ended, as it tells itself, the archive does, or its WAL."""
        found = consistent_from(self.plan.backup, self.chronicle)
        if found is None and self.brought is not None:
            return consistent_from(self.plan.backup, self.brought.chronicle)
        return found

    @cached_property
    def stop(self) -> Stop | None:
        """Where a server stops that is given the plan's target; None where it was not seen.

        It begins at the start of the backup, and takes the first record that fits: `Aim` says
        what is meant, this what is done.
        """
        if self.chronicle is None:
            return None
        found = stop_in(self.chronicle, self.plan.target, self.start, self.consistent_from)
        early = self._early_stop
        if early is not None and (found is None or early < found.lsn):
            return Stop(early, self.chronicle.cut_at_lsn(early))
        return found

    @property
    def _early_stop(self) -> Lsn | None:
        """Where it stops in what the backup alone has, which is no part of the chronicle."""
        end = self.consistent_from
        if self.brought is None or not isinstance(self.plan.target, AtTime | AtXid | AtName):
            return None
        found = stop_in(self.brought.chronicle, self.plan.target, self.start, end)
        return found.lsn if found is not None and (end is None or found.lsn < end) else None

    @property
    def readable_to(self) -> Lsn | None:
        """Where the last record ends in the archive, or the backup's own WAL behind it."""
        chronicle, brought = self.chronicle, self.brought
        if chronicle is None or not chronicle.finished:
            return None
        end = max(chronicle.end, chronicle.ending.lsn if chronicle.ending else Lsn(0))
        if brought is not None and brought.segments[-1].end > end:
            end = brought.broken.lsn if brought.broken else brought.segments[-1].end
        return end

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
        brought = self.brought.chronicle.happenings if self.brought else ()
        every = sorted((*brought, *self.chronicle.happenings), key=lambda one: one.lsn)
        return [one for one in every if self.start <= one.lsn < self.end]
