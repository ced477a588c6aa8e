"""Checks of what else is to be known of the state at the target: clocks, locks, prepared ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pitr_tui.postgres.target import AtTime, AtXid
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.wording import count_text


def clocks(case: Case) -> Iterator[CheckDone]:
    """Where the server's clock was put back, a time is met more than once."""
    chronicle, aim = case.chronicle, case.evidence.aim
    target = aim.asked if aim is not None else case.plan.target
    if chronicle is None or not isinstance(target, AtTime):
        return
    begun = chronicle.cut_at_lsn(case.start)
    back = int((chronicle.clock_back >= begun).sum())
    cut = case.stop.cut if case.stop else len(chronicle)
    wanted = from_moment(target.time)
    early = chronicle.times[cut:] <= wanted if target.inclusive else chronicle.times[cut:] < wanted
    count = int(np.count_nonzero(early & chronicle.committed[cut:]))
    if count:
        yield CheckDone(
            "clock",
            Status.WARNING,
            f"the server's clock was put back: replay stops at the first transaction after the "
            f"target, and {count_text(count, 'commit')} behind it have an earlier time",
            "choose the transaction, not the time",
        )
    elif back:
        there = f"{count_text(back, 'transaction')} ended before earlier ones by the clock"
        yield CheckDone("clock", Status.NOTE, f"{there}, none of them around the target")
    else:
        yield CheckDone("clock", Status.OK, "it never went back")


def locked(case: Case) -> Iterator[CheckDone]:
    """Up to the target replay takes the locks of the transaction before which it stops, too."""
    chronicle, stop, target = case.chronicle, case.stop, case.plan.target
    if chronicle is None or stop is None or not isinstance(target, AtXid) or target.inclusive:
        return
    lost = chronicle.first_lost(stop.cut)
    if lost is not None and chronicle.locks[lost]:
        yield CheckDone(
            "locked",
            Status.NOTE,
            f"what transaction {chronicle.xids[lost]} drops or alters cannot be read while the "
            "secondary is paused: replay has taken its locks. It is whole, and can be read once "
            "it is promoted",
        )


def prepared(case: Case) -> Iterator[CheckDone]:
    """Prepared transactions stand there with their locks, until somebody ends them."""
    if case.chronicle is None or case.stop is None:
        return
    found = [one for one in case.chronicle.cut_through(case.stop.cut).prepared]
    if found:
        names = ", ".join(repr(one.gid) for one in found[:3])
        yield CheckDone(
            "prepared",
            Status.NOTE,
            f"{count_text(len(found), 'prepared transaction')} will be there, neither committed "
            f"nor rolled back: {names}",
            "COMMIT PREPARED or ROLLBACK PREPARED them once the secondary is promoted",
        )
