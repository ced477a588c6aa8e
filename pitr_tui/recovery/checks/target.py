"""Checks of the target: behind the backup's end, and where there is something to stop at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import for_settings, parse_moment
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Immediate, Latest
from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.transactions import Kind
from pitr_tui.wording import count_text, duration_text

_CLOCK_SLACK = timedelta(minutes=5)
_LAST_RECORD = 64  # bytes: a backup's end is its last record, and a stop just after that is one
_TOO_EARLY = "use an older backup, or a later target"
_LATER_WAL = (
    "stop at the last transaction, or archive the WAL that follows: switch the WAL on the primary "
    "after one more transaction"
)


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
    evidence = f"consistent from {end} on"
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
        case Latest():
            yield CheckDone("target", Status.OK, f"{wanted}{_reach(case)}")
        case Immediate():
            yield CheckDone("target", Status.OK, str(wanted))
        case _ if case.stop is not None:
            yield CheckDone("target", Status.OK, f"{_day_of(case)}replay stops {_where(case)}")
        case _ if case.chronicle is None:
            yield _unseen(case)
        case _:
            yield _unreached(case, case.chronicle)


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
    if int(behind.max()) > 0:
        words = f"transaction {xid} did not end in the WAL that is here, and later ones did"
        return CheckDone("target", Status.FAILURE, words, "is the number right?")
    words = f"transaction {xid} is not in the WAL: {so_far}, and the newest in it is {newest}"
    return CheckDone("target", Status.WARNING, words, _LATER_WAL)


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


def _time(text: str) -> datetime | None:
    """A time of the backup's by the primary's clock; None in an unknown zone."""
    try:
        return parse_moment(text)
    except PitrError:
        return None
