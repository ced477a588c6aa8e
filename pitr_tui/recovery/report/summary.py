"""The first page, for who has to decide: what happened, what is lost, what is back, what next."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.recovery.events import Status
from pitr_tui.recovery.report.markup import code, text
from pitr_tui.recovery.report.measures import believed_cut, lost, took
from pitr_tui.recovery.report.outcome import Ending
from pitr_tui.recovery.report.tale import Tale
from pitr_tui.recovery.report.words import (
    UNKNOWN,
    attempts_count,
    checks_count,
    last_transaction,
    locked,
    lost_count,
    moment,
    transaction,
    where_stopped,
)
from pitr_tui.recovery.state import RunState
from pitr_tui.wording import count_text, duration_text

_LONGEST = 300


def summary(tale: Tale) -> Iterator[str]:
    """The page as lines of Markdown."""
    yield f"# Recovery report: {text(tale.started.run)}"
    yield ""
    yield f"**{_verdict(tale)}{_but(tale)}**"
    if tale.damage is not None:
        why = _sentence(": ".join(filter(None, (tale.damage.what, tale.damage.why)))[:_LONGEST])
        yield ""
        yield f"**This is not all: behind event {tale.events:,} the journal cannot be read.** {why}"
    for name, told in (
        ("What happened", _happened(tale)),
        ("What was restored", _restored(tale)),
        ("To which transaction", _to_which(tale)),
        ("What was lost", _lost(tale)),
        ("The recovery itself took", _rto(tale)),
        ("RPO achieved", _rpo(tale)),
        ("Who decides what next", _next(tale)),
    ):
        yield ""
        yield f"**{name}.** {told}"


def _verdict(tale: Tale) -> str:
    last = tale.last
    match tale.outcome.ending:
        case Ending.REACHED if last.finished and last.finished[1].state == RunState.SHUT_DOWN:
            return "Recovered: the data are as asked for. The secondary is shut down."
        case Ending.REACHED if not_yet := locked(tale):
            cut = believed_cut(last)
            deed = f" (behind the target: {text(cut.first_lost_deed)})" if cut is not None else ""
            return (
                f"Recovered: the data are as asked for. {text(not_yet)} (each table and each index "
                f"counts) cannot be read before it is promoted{deed}, the rest can. Nobody can "
                "write yet."
            )
        case Ending.REACHED:
            return "Recovered: the data are as asked for, and can be read. Nobody can write yet."
        case Ending.PROMOTED:
            return "Recovered: the data are as asked for, and the secondary is open for writing."
        case Ending.FAILED:
            return f"Not recovered: {text(last.failed[1].what if last.failed else UNKNOWN)}"
        case Ending.CANCELLED:
            return "Not recovered: a person stopped it."
        case Ending.THROWN_AWAY if last.finished:
            return "Recovered as asked for, and thrown away since."
        case Ending.THROWN_AWAY:
            return "Not recovered, and what there was of it is thrown away."
        case _:
            return "Not ended: the record breaks off. pitr was cut off, or is still at work."


def _but(tale: Tale) -> str:
    """A check that failed later, when somebody verified a result that had been well."""
    checks = [check for _, check in tale.last.checks if check.status is Status.FAILURE]
    if tale.last.finished is None or not checks:
        return ""
    return f" But {count_text(len(checks), 'check')} of the result failed (see Evidence)."


def _happened(tale: Tale) -> str:
    cut, last = believed_cut(tale.last), tale.last
    told = []
    if cut is not None and cut.lost_transactions:
        deed = transaction(cut.first_lost_xid, cut.first_lost_time, cut.first_lost_deed)
        told.append(f"The first change that was to be left out is {deed}.")
    told.append(
        f"On {moment(tale.begun)} a recovery began; its target: {text(last.asked.target)}, "
        f"then {text(last.asked.action)}."
    )
    if len(tale.attempts) > 1:
        told.append(f"It took {attempts_count(tale)}; this is about the last one.")
    told += _went_past(tale)
    if last.failed is not None:
        at, failed = last.failed
        why = " ".join(failed.why.split())
        told.append(f"It ended on {moment(at)}: {text(failed.what)}. {_sentence(why)}".rstrip())
    elif last.finished is not None:
        told.append(f"It was at its target, and proved to be, on {moment(last.finished[0])}.")
    else:
        step = f" while it was to {last.view.step.words}" if last.view.step else ""
        told.append(f"The record breaks off on {moment(tale.ended)}{step}.")
    if tale.promoted is not None:
        told.append(f"A person opened it for writing on {moment(tale.promoted[0])}.")
    if tale.thrown_away is not None:
        told.append(f"A person threw it away on {moment(tale.thrown_away)}.")
    return " ".join(told)


def _went_past(tale: Tale) -> Iterator[str]:
    """What a target that was reached before had left out, and a later one has not."""
    if tale.last.finished is None:
        return
    after = believed_cut(tale.last)
    left_out = after.first_lost_xid if after is not None else None
    for attempt in tale.attempts[:-1]:
        cut, moved = believed_cut(attempt), attempt.asked.target != tale.last.asked.target
        if attempt.finished is None or cut is None or not cut.lost_transactions or not moved:
            continue
        if cut.first_lost_xid != left_out:
            deed = transaction(cut.first_lost_xid, cut.first_lost_time, cut.first_lost_deed)
            yield f"It had stopped before {deed}, and a person let it go on: that is in these data."


def _restored(tale: Tale) -> str:
    started = tale.started
    made = (
        f"the base backup {code(started.backup)} of PostgreSQL {text(started.version)}, "
        f"and WAL from {code(started.archive)}, in {code(started.destination)}"
    )
    if tale.last.finished is None:
        return f"Nothing that can be used. It was to be {made}."
    checks = [check for _, check in tale.last.checks]
    doubts = [check for check in checks if check.status in (Status.WARNING, Status.FAILURE)]
    well = f"{len(doubts)} of them not well (see Evidence)" if doubts else "all of them well"
    which = "In the last attempt: " if len(tale.attempts) > 1 else ""
    proof = f"{which}{checks_count(tale.last)}"
    return f"{_sentence(made, outside=False)} {proof}, {well}."


def _to_which(tale: Tale) -> str:
    last = tale.last
    if last.finished is None and last.view.stop is not None and last.failed is None:
        return (
            f"Not proved: PostgreSQL said that {where_stopped(last)}, "
            "but the result was not looked at."
        )
    if last.finished is None:
        return f"None: {where_stopped(last)}. Asked for: {text(last.asked.target)}."
    kept = last_transaction(last)
    return (
        f"Asked for: {text(last.asked.target)}. PostgreSQL says that {where_stopped(last)}. "
        f"The last transaction in the data: {kept}."
    )


def _lost(tale: Tale) -> str:
    found = lost(tale)
    if found is None:
        return (
            "Not known: the WAL behind the target was not read before the run, or it was not what "
            "was replayed, so this record cannot tell what it has."
        )
    if found.nothing:
        return "Nothing that is archived lies behind the target."
    if not found.cut.lost_transactions:
        return "Not known: the WAL behind the target was not read to its end."
    verb = "are" if tale.last.finished else "would have been"
    many = _sentence(lost_count(found.cut)).removesuffix(".")
    told = f"{many} behind the target {verb} not in the data"
    if found.cut.lost_rows:
        told += " (" + "; ".join(text(row) for row in found.cut.lost_rows) + ")"
    return f"{told}. The archive had them when it was read."


def _rto(tale: Tale) -> str:
    measured = took(tale)
    if measured is None:
        return "Nothing to count: the target was not reached."
    if tale.set_back:
        return "Not known: the clock was set back meanwhile. The steps below were timed by another."
    told = f"{duration_text(measured.seconds)}, from the begin of the run to the proof."
    if measured.attempts > 1:
        told += (
            f" That is {attempts_count(tale)}, "
            f"{duration_text(measured.at_work)} at work and the rest between them."
        )
    if tale.promoted is not None:
        until = (tale.promoted[0] - tale.begun).total_seconds()
        told += f" Open for writing after {duration_text(until)}."
    accident = measured.accident
    if accident is None or measured.since_accident is None:
        return f"{told} RTO: not known, because this record does not tell when the accident was."
    told += (
        f" RTO, from the first transaction left out ({moment(accident)}), which is taken for the "
        f"accident: {duration_text(measured.since_accident)} to the proof"
    )
    if tale.promoted is not None:
        until = (tale.promoted[0] - accident).total_seconds()
        return f"{told}, {duration_text(until)} until it was open for writing."
    return f"{told}."


def _rpo(tale: Tale) -> str:
    found = lost(tale)
    if tale.last.finished is None:
        return "None: no data were recovered."
    if found is None:
        return "Not known: see above."
    if found.nothing:
        return "Nothing archived is lost. What was not archived yet, this record cannot tell."
    if found.seconds is None:
        return f"Not known; {lost_count(found.cut)}, but not to which moment."
    return (
        f"{duration_text(found.seconds)} of work, {lost_count(found.cut)}: from the first one "
        f"left out, {moment(found.cut.first_lost_time)}, to the last one archived, "
        f"{moment(found.cut.archive_end)}."
    )


def _next(tale: Tale) -> str:
    """Who has to decide: people by what they are responsible for, commands by their names."""
    result, last = tale.outcome, tale.last
    commands = ", ".join(f"`pitr {one}`" for one in result.commands)
    how = f" With pitr: {commands}." if commands else ""
    match result.ending:
        case Ending.REACHED:
            told = (
                "Who owns the data has to say whether they are the right ones; only then should "
                "the secondary be promoted, or rows be brought back from it. Until then it waits."
            )
        case Ending.PROMOTED:
            told = (
                "Who runs the application has to say when it moves here, or which rows go back. "
                "The administrator owes it a new base backup and an archive of its own first."
            )
        case Ending.THROWN_AWAY:
            told = "Nobody: there is nothing left of it."
        case Ending.FAILED:
            advice = last.failed[1].hint if last.failed else ""
            hint = f" The advice was: {text(' '.join(advice.split()))}." if advice else ""
            again = "take it up again" if result.resumable else "recover anew"
            told = f"The administrator has to mend the cause, then {again}.{hint}"
        case Ending.CANCELLED:
            told = "Who stopped it has to say whether, and to which moment, it is to be recovered."
        case _:
            told = (
                "The administrator has to see whether pitr still runs, and else take it up again."
            )
    return told + how


def _sentence(words: str, outside: bool = True) -> str:
    """Words as a sentence, with its capital and its full stop."""
    shown = text(words) if outside else words
    return f"{shown[:1].upper()}{shown[1:]}" + ("" if not shown or shown.endswith(".") else ".")
