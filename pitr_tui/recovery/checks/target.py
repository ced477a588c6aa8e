"""Check of the target: whether there is something in the WAL to stop at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from pitr_tui.errors import RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import for_settings
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Immediate, Latest
from pitr_tui.postgres.timestamp import moment
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.checks.stop import Stop
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.transactions import Kind
from pitr_tui.wording import duration_text

_CLOCK_SLACK = timedelta(minutes=5)
_LATER_WAL = (
    "stop at the last transaction, or archive the WAL that follows: switch the WAL on the primary "
    "after one more transaction; collect it from a primary that is down (`pitr archive collect`)"
)


def target(case: Case) -> Iterator[CheckDone]:
    """What replay stops at is in the WAL, or how far one gets."""
    wanted = case.plan.target
    if isinstance(wanted, AtTime) and wanted.time > case.now + _CLOCK_SLACK:
        raise RefusedError(
            f"the target lies in the future: {_day(wanted.time)}",
            f"it is now {for_settings(case.now)}",
            "are day and month, or the time zone, as you mean them?",
        )
    match wanted:
        case Latest() if case.chronicle is not None and not case.chronicle.finished:
            yield _unreached(case, case.chronicle)
        case Latest() | Immediate() if not _is_proved(case):
            words = f"{wanted}: {case.why_unread}, so replay will show whether it can be"
            yield CheckDone("target", Status.WARNING, words)
        case Latest():
            yield CheckDone("target", Status.OK, f"{wanted}{_reach(case)}")
        case Immediate():
            yield CheckDone("target", Status.OK, str(wanted))
        case AtXid(xid) if case.stop is not None and _is_another(case, case.stop, xid):
            yield CheckDone(
                "target",
                Status.FAILURE,
                f"transaction {case.evidence.full_xid} is not in the WAL: the one there with the "
                "same last 32 bits is another",
                "is the number right?",
            )
        case AtLsn(lsn) if case.stop is not None and case.stop.perhaps is not None:
            yield _unsure(case, lsn, case.stop.perhaps)
        case _ if case.stop is not None:
            yield CheckDone("target", Status.OK, f"{_day_of(case)}replay stops {_where(case)}")
        case _ if case.chronicle is None:
            yield _unseen(case)
        case _:
            yield _unreached(case, case.chronicle)


def _is_proved(case: Case) -> bool:
    """Whether all WAL was read that a recovery to the end of the backup needs, and any other."""
    end, brought = case.consistent_from, case.brought
    if case.chronicle is not None:
        return True
    if not isinstance(case.plan.target, Immediate) or end is None or brought is None:
        return False
    return brought.covers(case.start, end)


def _is_another(case: Case, stop: Stop, xid: int) -> bool:
    """Whether the transaction with these 32 bits is of another epoch than the one asked for."""
    chronicle, full = case.chronicle, case.evidence.full_xid
    entry = chronicle.entry_of(xid, case.start) if chronicle else None
    if chronicle is None or entry is None or full is None:
        return False
    return int(chronicle.full_xids[entry]) not in (0, full)


def _unsure(case: Case, lsn: Lsn, entry: int) -> CheckDone:
    """An inclusive position at which no record begins, with the end of a transaction behind."""
    which = f", the end of {_entry(case.chronicle, entry)}" if case.chronicle else ""
    return CheckDone(
        "target",
        Status.WARNING,
        f"no record is known to begin at {lsn}: PostgreSQL replays the next one, too, and that "
        f"may be what is to be lost{which}",
        "use --exclusive to stop before it, or choose the transaction",
    )


def _day(time: datetime) -> str:
    return f"{time.astimezone(UTC):%A %d %B %Y}, {for_settings(time)}"


def _day_of(case: Case) -> str:
    target = case.plan.target
    return f"{_day(target.time)}; " if isinstance(target, AtTime) else ""


def _where(case: Case) -> str:
    """Between which transactions replay stops."""
    chronicle, stop, target = case.chronicle, case.stop, case.plan.target
    if chronicle is None or stop is None:
        return str(target)
    if isinstance(target, AtName):
        return f"at the restore point, {stop.lsn}"
    kept, lost = chronicle.last_kept(stop.cut), chronicle.first_lost(stop.cut)
    after = f"after {_entry(chronicle, kept)}" if kept is not None else ""
    before = f"before {_entry(chronicle, lost)}" if lost is not None else ""
    return " and ".join(filter(None, (after, before))) or f"at {stop.lsn}"


def entry_words(chronicle: Chronicle, entry: int) -> str:
    """An ended transaction, as in `14:35:02.100000+00 (commit of xid 727 at 0/3002448)`."""
    at = moment(int(chronicle.times[entry]))
    when = for_settings(at) if at else "a time not known"
    kind = "commit" if chronicle.committed[entry] else "abort"
    return f"{when} ({kind} of xid {chronicle.xids[entry]} at {Lsn(int(chronicle.lsns[entry]))})"


def _entry(chronicle: Chronicle, entry: int) -> str:
    return f"xid {chronicle.xids[entry]} ({Lsn(int(chronicle.lsns[entry]))})"


def _reach(case: Case) -> str:
    chronicle = case.chronicle
    last = chronicle.last_kept(len(chronicle)) if chronicle else None
    if chronicle is None or last is None:
        return ""
    return f": up to {entry_words(chronicle, last)}"


def _unseen(case: Case) -> CheckDone:
    """Without the WAL's own words nothing is proved, but a little can be told by the files."""
    plan = case.plan
    last = plan.source.last_reachable()
    if isinstance(plan.target, AtLsn) and last is not None and plan.target.lsn > last.end:
        return CheckDone(
            "target",
            Status.WARNING,
            f"{plan.target} lies behind the end of the archive: the last segment that can be "
            f"reached is {last.name}, which ends at {last.end}",
            _LATER_WAL,
        )
    path = plan.archive.find(last.name) if last else None
    if isinstance(plan.target, AtTime) and path is not None:
        archived = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if archived < plan.target.time:
            return CheckDone(
                "target",
                Status.WARNING,
                f"{_day_of(case)}the last segment was archived before it, at "
                f"{for_settings(archived)}",
                _LATER_WAL,
            )
        return CheckDone(
            "target", Status.WARNING, f"{_day_of(case)}needs a transaction after it to stop at"
        )
    return CheckDone(
        "target", Status.WARNING, f"{plan.target}: {case.why_unread}, so replay will show"
    )


def _unreached(case: Case, chronicle: Chronicle) -> CheckDone:
    """The WAL was read, and what the target asks for was not in it."""
    target, so_far = case.plan.target, f"it ends at {chronicle.end}"
    if not chronicle.finished:
        return CheckDone("target", Status.WARNING, f"not seen yet: read up to {chronicle.end}")
    match target:
        case AtName(name):
            known = [mark.name for mark in chronicle.marks if mark.name]
            there = f"; there are {', '.join(map(repr, known[-5:]))}" if known else ""
            return CheckDone(
                "target",
                Status.FAILURE,
                f"no restore point {name!r} is in the WAL, and {so_far}{there}",
                "choose one of those, or a transaction",
            )
        case AtXid(xid):
            return _unended(chronicle, xid, so_far)
        case AtTime(time):
            last = moment(int(chronicle.at[-1])) if len(chronicle) else None
            short = f"{short_words(time - last)} before it, at " if last else ""
            known_end = f"the last transaction ended {short}" if last else "no transaction "
            shown = for_settings(last) if last else "is in the WAL"
            return CheckDone(
                "target",
                Status.WARNING,
                f"{_day(time)}: {known_end}{shown}, and there is none behind it to stop at",
                _LATER_WAL,
            )
    return CheckDone("target", Status.WARNING, f"{target} is not in the WAL: {so_far}", _LATER_WAL)


def short_words(gap: timedelta) -> str:
    return duration_text(max(gap.total_seconds(), 0.0))


def is_older_than_all(chronicle: Chronicle, xid: int) -> bool:
    """Whether every transaction that was read began after this one, as the server compares."""
    behind = (chronicle.xids - np.uint32(xid)).astype(np.int32)
    return len(behind) > 0 and int(behind.min()) > 0


def _unended(chronicle: Chronicle, xid: int, so_far: str) -> CheckDone:
    """A transaction without an end: it runs still, never will end, or is not there at all."""
    for one in chronicle.unended:
        if one.xid == xid and one.kind is Kind.CUT_OFF:
            words = f"transaction {xid} never ended: the server that ran it went down"
            return CheckDone("target", Status.FAILURE, words, "choose another transaction")
        if one.xid == xid:
            words = f"transaction {xid} has begun at {one.first} and not ended: {so_far}"
            return CheckDone("target", Status.WARNING, words, _LATER_WAL)
    if xid in chronicle.sub_xids:
        words = f"{xid} is a subtransaction, and replay stops at whole transactions alone"
        return CheckDone("target", Status.FAILURE, words, "choose the transaction that it is of")
    if not len(chronicle):
        return CheckDone("target", Status.WARNING, f"no transaction is in the WAL: {so_far}")
    behind = (chronicle.xids - np.uint32(xid)).astype(np.int32)  # as the server compares them
    newest = int(chronicle.xids[int(np.argmax(behind))])
    if is_older_than_all(chronicle, xid):
        words = f"transaction {xid} ended before this backup began, or never"
        return CheckDone("target", Status.FAILURE, words, "use an older backup")
    if int(behind.max()) > 0:
        words = f"transaction {xid} did not end in the WAL that is here, and later ones did"
        return CheckDone("target", Status.FAILURE, words, "is the number right?")
    words = f"transaction {xid} is not in the WAL: {so_far}, and the newest in it is {newest}"
    return CheckDone("target", Status.WARNING, words, _LATER_WAL)
