"""How `pitr lab score` says a score."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC

from pitr_tui.cli.lab_words import say_text
from pitr_tui.cli.output import Output
from pitr_tui.lab.result import AroundRow, RowDifference, Score
from pitr_tui.lab.scenario import Scenario
from pitr_tui.postgres.quote import one_line
from pitr_tui.wording import count_text, duration_text

_WIDTH = 80
_SHOWN = 5


def say_score(score: Score, scenario: Scenario, output: Output) -> None:
    """The marks, what they come from, and how it is done best."""
    output.fact({"event": "Score", **score.to_json()})
    sign = "✓" if score.perfect else "✗"
    output.say(f"{sign} {score.marks} of 100: {scenario.title}")
    say_text(score.sentence, output, 2)
    output.say()
    for line in _facts(score):
        output.say(line)
    output.say()
    for line in _tables(score):
        output.say(line)
    _say_differences("lost: good rows that could have been had", score.lost, output)
    _say_differences("wrong: rows that must not be there", score.wrong, output)
    output.say()
    output.say("What an expert would have done")
    say_text(score.expert, output, 2)
    if score.around:
        output.say()
        output.say("The transactions around (UTC)")
        for line in _around(score.around):
            output.say(line)


def _facts(score: Score) -> Iterator[str]:
    yield from _fact("the best answer", score.best)
    yield from _fact("yours", score.cut)
    attempts = "at the first attempt"
    if score.attempts:
        attempts = f"after {count_text(score.attempts, 'other attempt')}"
    hints = f"with {count_text(score.hints, 'hint')}" if score.hints else "without a hint"
    yield from _fact("it took", f"{duration_text(score.minutes * 60)}, {hints}, {attempts}")
    if score.run:
        yield from _fact("the run", score.run)
    if score.after_answer:
        yield from _fact("", "an earlier score had told the answer already")


def _fact(name: str, words: str) -> Iterator[str]:
    return iter(
        textwrap.wrap(
            one_line(words),
            _WIDTH,
            initial_indent=f"  {name:<17}",
            subsequent_indent=" " * 19,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _tables(score: Score) -> Iterator[str]:
    width = max([len(one.table) for one in score.tables], default=5) + 2
    yield f"  {'':<{width}}{'expected':>10}{'found':>10}{'lost':>8}{'wrong':>8}"
    for one in score.tables:
        found = "none" if one.found is None else f"{one.found:,}"
        yield (
            f"  {one_line(one.table):<{width}}{one.expected:>10,}{found:>10}"
            f"{one.lost:>8,}{one.wrong:>8,}"
        )
    if score.extra:
        yield f"  and {count_text(score.extra, 'newer good row')}, which cost nothing"


def _say_differences(name: str, rows: Sequence[RowDifference], output: Output) -> None:
    if not rows:
        return
    output.say()
    output.say(f"{name} ({len(rows):,})")
    for row in rows[:_SHOWN]:
        key = f" {row.key}" if row.key else ""
        say_text(f"{row.table}{key}: {row.why}", output, 2)
        for word, text in (("expected", row.expected), ("found", row.found)):
            if text is not None:
                output.say(f"      {word:<9} {_short(text, 63)}")
    if len(rows) > _SHOWN:
        output.say(f"  … {len(rows) - _SHOWN:,} more, all of them with --json")


def _around(rows: Sequence[AroundRow]) -> Iterator[str]:
    last = rows[0].number
    for row in rows:
        if row.number > last + 1:
            yield "      …"
        last = row.number
        sign = " " if row.good else "✗"
        xid = "" if row.xid is None else str(row.xid)
        head = f"{sign} {row.at.astimezone(UTC):%H:%M:%S.%f}"[:14]
        yield f"{head} {xid:>8}  {_short(row.what, 53)}".rstrip()
        if row.marker:
            yield f"{'':>14} {'':>8}  ^ {row.marker}"


def _short(text: str, width: int) -> str:
    text = one_line(text)
    return text if len(text) <= width else text[: width - 1] + "…"
