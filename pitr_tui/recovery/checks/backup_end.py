"""Checks of the backup's end: replay has to go through it, and a server stops nowhere before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import for_settings, parse_moment
from pitr_tui.postgres.target import AtLsn, AtTime, AtXid, Immediate, Latest
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status

_LAST_RECORD = 64  # bytes: a backup's end is its last record, and a stop just after that is one
_TOO_EARLY = "use an older backup, or a later target"


def end_of_backup(case: Case) -> Iterator[CheckDone]:
    """A backup is consistent from its end on, and a server refuses to stop before."""
    end, target = case.consistent_from, case.plan.target
    if end is None:
        yield CheckDone(
            "end of backup",
            Status.WARNING,
            "neither manifest, archive nor WAL tell where it ended",
        )
        return
    evidence, readable = f"consistent from {end} on", case.readable_to
    if readable is not None and readable < end:
        raise RefusedError(
            f"the WAL can be read to {readable} alone, and the backup is {evidence}",
            _why_not_further(case),
            "look for a whole copy of that segment, or use another backup",
        )
    stop = case.stop
    at = stop.lsn if stop else target.lsn if isinstance(target, AtLsn) else None
    if isinstance(target, AtXid) and stop is None:
        at = _ended_before(case, target)
    if isinstance(target, AtTime):
        _require_late_enough(case, target)
    if at is None or at >= end or isinstance(target, Immediate | Latest):
        yield CheckDone("end of backup", Status.OK, evidence)
    elif isinstance(target, AtLsn) and target.inclusive and at > end - _LAST_RECORD:
        yield CheckDone("end of backup", Status.WARNING, f"{evidence}, and the target is at {at}")
    else:
        raise RefusedError(
            f"the target {_shown(case)} lies before the end of the backup",
            f"replay would stop at {at}, and the backup is {evidence}",
            _TOO_EARLY,
        )


def _why_not_further(case: Case) -> str:
    broken = case.brought.broken if case.brought else None
    ending = broken or (case.chronicle.ending if case.chronicle is not None else None)
    return ending.why if ending else ""


def _shown(case: Case) -> str:
    """What was asked for, without the words that say on which side of it."""
    target = case.plan.target
    match target:
        case AtTime(time):
            return for_settings(time)
        case AtXid(xid):
            return f"transaction {xid}"
        case AtLsn(lsn):
            return str(lsn)
    return str(target)


def _ended_before(case: Case, target: AtXid) -> Lsn | None:
    """Where a transaction ended that no server sees which begins with this backup."""
    chronicle = case.chronicle
    entry = chronicle.entry_of(target.xid) if chronicle else None
    if chronicle is None or entry is None or chronicle.lsns[entry] >= case.start:
        return None
    return Lsn(int(chronicle.lsns[entry]))


def _require_late_enough(case: Case, target: AtTime) -> None:
    """Raises RefusedError for a time before the backup began: it has what came later.

    Between its begin and its end the WAL decides.
    """
    began, ended = (_time(text) for text in (case.plan.backup.label.start_time, _end_text(case)))
    chronicle = case.chronicle
    if began is not None and target.time < began:
        seen = chronicle is not None and chronicle.start < case.start
        if not seen or _first_behind(case, target) < case.start:
            raise RefusedError(
                f"the target {for_settings(target.time)} lies before the end of the backup",
                f"the backup began at {for_settings(began)}"
                + (f" and ended at {for_settings(ended)}" if ended else ""),
                _TOO_EARLY,
            )


def _end_text(case: Case) -> str:
    return case.plan.backup.stop_time or ""


def _first_behind(case: Case, target: AtTime) -> Lsn:
    """The first end of a transaction behind a time, wherever the reading began."""
    chronicle = case.chronicle
    if chronicle is None:
        return Lsn(0)
    cut = chronicle.cut_at_time(from_moment(target.time), inclusive=target.inclusive)
    return chronicle.boundary(cut)


def _time(text: str) -> datetime | None:
    """A time of the backup's by the primary's clock; None in an unknown zone."""
    try:
        return parse_moment(text)
    except PitrError:
        return None
