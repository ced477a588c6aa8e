"""The pages below, for who has to check: times, failures, evidence, WAL, the log, the commands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pitr_tui.postgres.logline import explain, observe, parse_line
from pitr_tui.recovery.events import CheckDone, CheckedBefore, RunTakenUp, Status
from pitr_tui.recovery.report.delivery import log, shortened, wal
from pitr_tui.recovery.report.markup import code, fence, table, text
from pitr_tui.recovery.report.measures import lost
from pitr_tui.recovery.report.tale import Attempt, Tale
from pitr_tui.recovery.report.words import (
    UNKNOWN,
    checks_count,
    commit_time,
    lost_count,
    moment,
    transaction,
    where_stopped,
)
from pitr_tui.wording import count_text, duration_text

_FIRST_LINES = 50
_MOST_FAILURES = 20


def audit(tale: Tale) -> Iterator[str]:
    """The pages as lines of Markdown."""
    for name, lines in (
        ("The run", _facts(tale)),
        ("Timeline", _timeline(tale)),
        ("The cut", _cut(tale)),
        ("Failures", _failures(tale)),
        ("Evidence", _evidence(tale)),
        ("WAL", wal(tale)),
        ("The log around the stop", log(tale)),
        ("What is left", _left(tale)),
        ("How this was measured", _method(tale)),
        ("Commands and files, as planned", _plans(tale)),
    ):
        yield ""
        yield f"## {name}"
        yield ""
        yield from _without_end(list(lines))


def _without_end(lines: list[str]) -> list[str]:
    """Lines without the empty ones behind them."""
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _facts(tale: Tale) -> Iterator[str]:
    started = tale.started
    software = (_server_version(one) for one in tale.attempts)
    rows = [
        ("run", code(started.run)),
        ("state at the end of the record", text(tale.outcome)),
        ("base backup", code(started.backup)),
        ("WAL archive", code(started.archive)),
        ("destination", code(started.destination)),
        ("target, first", f"{text(started.target)}, then {text(started.action)}"),
        ("target, last", f"{text(tale.last.asked.target)}, then {text(tale.last.asked.action)}"),
        ("PostgreSQL, of the plan", text(started.version)),
        ("PostgreSQL, by its log", text(next(filter(None, software), UNKNOWN))),
        ("pitr", text(started.pitr or "not in the journal")),
        ("the journal", f"{tale.events:,} events, schema {started.schema}"),
        ("its first event", moment(tale.begun)),
        ("its last event", moment(tale.ended)),
    ]
    yield from table(("what", "value"), rows)


def _server_version(attempt: Attempt) -> str:
    mark = "starting PostgreSQL "
    line = next((one for one in attempt.log[:_FIRST_LINES] if mark in one), "")
    return shortened(line.partition(mark)[2])


def _timeline(tale: Tale) -> Iterator[str]:
    rows: list[tuple[datetime, tuple[str, ...]]] = []
    for attempt in tale.attempts:
        number = str(attempt.number)
        if isinstance(attempt.asked, RunTakenUp):
            asked = f"taken up again, from: {attempt.asked.step.words}; "
        else:
            asked = "the run begins; "
        begun = (number, moment(attempt.begun), "", "", asked + text(attempt.asked.target))
        rows.append((attempt.begun, begun))
        for step in attempt.steps:
            ended = moment(step.ended) if step.ended else "not ended"
            spent = "" if step.seconds is None else f"{step.seconds:.3f} s"
            cells = (number, moment(step.begun), ended, spent, step.step.words)
            rows.append((step.begun, cells))
        if attempt.stopped is not None:
            told = where_stopped(attempt)
            rows.append((attempt.stopped, (number, moment(attempt.stopped), "", "", told)))
        for ending in (attempt.finished, attempt.failed):
            if ending is not None:
                event = ending[1]
                what = getattr(event, "headline", "") or f"failed: {getattr(event, 'what', '')}"
                rows.append((ending[0], (number, moment(ending[0]), "", "", text(what))))
    if tale.promoted is not None:
        at, promoted = tale.promoted
        told = f"promoted by a person, timeline {promoted.timeline}"
        rows.append((at, ("", moment(at), "", "", told)))
    if tale.thrown_away is not None:
        rows.append((tale.thrown_away, ("", moment(tale.thrown_away), "", "", "thrown away")))
    rows.sort(key=lambda row: row[0])
    yield from table(("attempt", "begin", "end", "took", "what"), [row for _, row in rows])


def _cut(tale: Tale) -> Iterator[str]:
    found = lost(tale)
    if found is None:
        yield (
            "The WAL around the target was not read before the run, or the server stopped "
            "elsewhere than that WAL tells; this record has none of it."
        )
        return
    cut = found.cut
    rows = [
        ("last transaction kept", transaction(cut.last_kept_xid, cut.last_kept_time)),
        (
            "first transaction lost",
            transaction(cut.first_lost_xid, cut.first_lost_time, cut.first_lost_deed)
            if cut.lost_transactions
            else "none in what was read",
        ),
        ("kept, from the backup on", count_text(cut.kept_transactions, "transaction")),
        ("lost", lost_count(cut)),
        *(("lost of a table", text(row)) for row in cut.lost_rows),
        ("last transaction archived", commit_time(cut.archive_end)),
        ("from the first lost to it", UNKNOWN if found.seconds is None else _exact(found.seconds)),
    ]
    yield from table(("what", "value"), rows)


def _failures(tale: Tale) -> Iterator[str]:
    none = True
    for attempt in tale.attempts:
        for fed in attempt.feed_failures:
            none = False
            yield f"- Attempt {attempt.number}: {code(fed.name)} not delivered: {text(fed.why)}"
        if attempt.failed is None:
            continue
        none = False
        at, failed = attempt.failed
        yield f"- Attempt {attempt.number}, {moment(at)}: {text(failed.what)}"
        for name, words in (
            ("why", failed.why),
            ("advice", failed.hint),
            ("diagnosis", failed.failure),
            ("left", failed.left),
        ):
            if words:
                yield f"    - {name}: {text(' '.join(words.split()))}"
        for line, meaning in _said(attempt):
            yield f"    - PostgreSQL said: {code(line)}"
            yield f"      {text(meaning)}"
    if none:
        yield "None is recorded."


def _said(attempt: Attempt) -> Iterator[tuple[str, str]]:
    """The lines of the log that tell of a failure, each with its meaning."""
    shown = 0
    for number in attempt.decisive:
        line = attempt.log[number]
        seen = observe(parse_line(line))
        if seen is not None and seen.is_failure:
            yield shortened(line), explain(seen)
            shown += 1
            if shown == _MOST_FAILURES:
                return


def _evidence(tale: Tale) -> Iterator[str]:
    rows = []
    for attempt in tale.attempts:
        if attempt.judged is not None:
            light, sentence = attempt.judged.light.upper(), text(attempt.judged.sentence)
            yield f"Attempt {attempt.number} was begun on the verdict **{light}**: {sentence}"
            yield ""
        checks: list[tuple[datetime, CheckDone | CheckedBefore]] = [
            *attempt.checked_before,
            *attempt.checks,
        ]
        if checks:
            yield f"Attempt {attempt.number}: {checks_count(attempt)}."
            yield ""
        for at, check in checks:
            of = "plan" if isinstance(check, CheckedBefore) else "run"
            doubtful = check.status in (Status.WARNING, Status.FAILURE)
            hint = f" (try: {text(check.hint)})" if check.hint and doubtful else ""
            evidence = text(" ".join(check.evidence.split())) + hint
            cells = (str(attempt.number), moment(at), of, text(check.name), check.status, evidence)
            rows.append(cells)
    if not rows:
        yield "No check is recorded: the run did not come to look at its result."
        return
    yield from table(("attempt", "when", "of the", "check", "result", "what was seen"), rows)


def _left(tale: Tale) -> Iterator[str]:
    if tale.thrown_away is not None:
        yield f"Nothing: the secondary was removed on {moment(tale.thrown_away)}."
        return
    last = tale.last
    place = code(tale.started.destination)
    if last.failed is not None:
        yield f"{text(last.failed[1].left or UNKNOWN)}"
        if last.failed[1].kept:
            yield ""
            yield f"The copy in {place} was kept, stopped."
    elif last.finished is not None:
        connect = last.finished[1].connect
        yield f"The secondary in {place}, when the record ends: {text(tale.outcome)}."
        if connect:
            yield ""
            yield from fence(connect)
    else:
        yield f"Not known: the record breaks off. Look at {place}, and for a server on it."


def _method(tale: Tale) -> Iterator[str]:
    yield (
        "- Every time is by the clock of the machine that ran pitr, unless it is a "
        "transaction's: those are by the primary's clock. All are in UTC."
    )
    yield (
        "- The recovery itself: from the first event of this journal to the event that says that "
        "the result was looked at and is as asked for. The checks of the plan before that are "
        "not in it."
    )
    yield (
        "- RTO: from the commit of the first transaction behind the target, which is taken for "
        "the accident, to the same event; at that nobody could write yet. Two clocks are "
        "compared, the primary's and that of the machine that ran pitr."
    )
    last = tale.last
    if last.finished is not None and last.stopped is not None and not tale.set_back:
        told = (last.stopped - tale.begun).total_seconds()
        proved = (last.finished[0] - tale.begun).total_seconds()
        yield f"- PostgreSQL told of the stop after {_exact(told)}; proved after {_exact(proved)}."
    yield (
        "- RPO: from the first transaction behind the target to the last one in the archive, by "
        "their commit times in the WAL. What the primary did after that is not counted."
    )
    yield "- All of this is from the journal of the run; nothing was asked or measured later."


def _plans(tale: Tale) -> Iterator[str]:
    before = ""
    for attempt in tale.attempts:
        planned = attempt.asked.files_and_commands
        if planned == before:
            yield f"Attempt {attempt.number}: the same."
        else:
            yield f"Attempt {attempt.number}:"
            yield ""
            yield from fence(planned)
        yield ""
        before = planned


def _exact(seconds: float) -> str:
    shown = duration_text(seconds)
    return f"{seconds:.3f} s" if seconds < 60 else f"{seconds:.3f} s ({shown})"
