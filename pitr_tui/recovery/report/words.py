"""Moments and sentences that both halves of a report use."""

from __future__ import annotations

from datetime import UTC, datetime

from pitr_tui.recovery.events import CutKnown, Status
from pitr_tui.recovery.postflight import LOCKED
from pitr_tui.recovery.report.markup import text
from pitr_tui.recovery.report.measures import believed_cut
from pitr_tui.recovery.report.tale import Attempt, Tale
from pitr_tui.wording import count_text

UNKNOWN = "not known"


def moment(at: datetime | None) -> str:
    """A time in UTC with its date, to the millisecond."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC" if at else UNKNOWN


def commit_time(at: datetime | None) -> str:
    """A transaction's time: its microseconds tell it from others."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC" if at else UNKNOWN


def transaction(xid: int | None, at: datetime | None, deed: str = "") -> str:
    """A transaction of the WAL in words.

    >>> transaction(759, None, "dropped orders")
    'transaction 759 (time not known): dropped orders'
    """
    if xid is None and at is None:
        return UNKNOWN
    name = "a transaction" if xid is None else f"transaction {xid}"
    told = f"{name} ({commit_time(at) if at else 'time not known'})"
    return f"{told}: {text(deed)}" if deed else told


def where_stopped(attempt: Attempt) -> str:
    """Where replay ended, in PostgreSQL's terms, as Markdown."""
    if attempt.view.stop is not None:
        return f"it stopped {text(attempt.view.stop)}"
    if attempt.finished is not None:
        return f"it stopped {text(attempt.finished[1].stop_reason)}"
    if attempt.view.redo_done is not None:
        return f"replay ended at {attempt.view.redo_done}, without a stop"
    return "PostgreSQL told of no stop"


def last_transaction(attempt: Attempt) -> str:
    """What the recovered data end with: by the WAL, or else by what PostgreSQL said."""
    cut, finished = believed_cut(attempt), attempt.finished
    if cut is not None and (cut.last_kept_xid is not None or cut.last_kept_time is not None):
        return transaction(cut.last_kept_xid, cut.last_kept_time)
    said = finished[1].last_transaction if finished else attempt.view.last_transaction
    return f"of {text(said)}" if said else UNKNOWN


def attempts_count(tale: Tale) -> str:
    """How many attempts a run took, and whether those before the last had come to a target.

    Those that had are steps on purpose, not failures.
    """
    before = tale.attempts[:-1]
    reached = sum(one.finished is not None for one in before)
    if before and reached == len(before):
        return f"{len(tale.attempts)} steps, each to a target of its own"
    told = count_text(len(tale.attempts), "attempt")
    return f"{told} ({reached} of them to targets before)" if reached else told


def checks_count(attempt: Attempt) -> str:
    """How many checks were made of the plan, and then of what came of it.

    Both are in the evidence, a row each.
    """
    made = count_text(len(attempt.checks), "check") + " of the run and its result"
    if not attempt.checked_before:
        return made
    return f"{count_text(len(attempt.checked_before), 'check')} of the plan before it, {made}"


def locked(tale: Tale) -> str:
    """What cannot be read while the secondary waits at its target, by the last look at it."""
    if tale.last.finished is None or tale.promoted is not None:
        return ""
    told = [check for _, check in tale.last.checks if check.name == LOCKED]
    if not told or told[-1].status is not Status.WARNING:
        return ""
    return told[-1].evidence.partition(" cannot be read")[0]


def lost_count(cut: CutKnown) -> str:
    """How many transactions lie behind the cut; without an end of the archive, at the least.

    >>> cut = CutKnown(1, None, 2, None, "", 5, 1, (), None)
    >>> lost_count(cut)
    'at least 1 transaction'
    """
    least = "at least " if cut.archive_end is None else ""
    return least + count_text(cut.lost_transactions, "transaction")
