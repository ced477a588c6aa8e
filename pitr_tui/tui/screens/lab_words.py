"""The lab in words: what the coach tells, hints, cards and scores as the screen shows them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from textual.content import Content

from pitr_tui.lab.coach import advice, in_short
from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import AroundRow, Score
from pitr_tui.lab.scenario import Answer, Difficulty, Scenario
from pitr_tui.lab.template import blanked
from pitr_tui.lab.tutorial import Phase
from pitr_tui.postgres.quote import one_line
from pitr_tui.tui.lab_session import OpenLab
from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.coach import Coached
from pitr_tui.tui.widgets.jobline import bar
from pitr_tui.wording import count_text, duration_text

SIGNS = {Difficulty.EASY: "▂  ", Difficulty.MEDIUM: "▂▄ ", Difficulty.HARD: "▂▄▆"}
_TITLE_CELLS = 45
_NAME_CELLS, _FACT_CELLS = 17, 54  # so they stand in the dialog of a small screen
_FULL = 100
_SHOWN_DIFFERENCES = 5


def coached(session: Session, open_lab: OpenLab, step: str) -> Coached:
    """What the coach has to tell at a step, now."""
    lab, score, run = open_lab.lab, open_lab.score, session.run
    reached = session.secondary is not None and run is not None and run.finished is not None
    return Coached(
        title=lab.scenario.title,
        story="" if step == "connect" else in_short(lab.story),  # there it is whole
        advice=advice(lab.scenario, lab.primary_state, step),
        minutes=minutes_of(lab, session.clock()),
        hints=len(open_lab.hints),
        of=len(lab.hints),
        hint=open_lab.hints[-1] if open_lab.hints else "",
        marks=score.marks if score is not None else None,
        can_score=reached,
    )


def what_now(open_lab: OpenLab) -> str:
    """What is to do once a recovery has reached its target."""
    score = open_lab.score
    if score is not None and score.perfect:
        return "full marks. L: another accident"
    if open_lab.lab.scenario.answer is Answer.PRIMARY:
        return "bring the rows back into the primary (pg_dump, psql), then S: score it"
    if score is not None:
        return "4: another target, then S: score that; or L: another accident"
    return "S: score it. The database is asked, and then the best answer is told"


def minutes_of(lab: Lab, now: datetime) -> int:
    """Whole minutes of the trainee's time."""
    return max(0, int((now - lab.ready).total_seconds() // 60))


# The cards.


def scenario_row(scenario: Scenario, marks: int | None) -> Content:
    """A scenario in one line of 74 cells."""
    title = _short(scenario.title, _TITLE_CELLS)
    best = "" if marks is None else f"best {marks:>3}"
    sign = SIGNS[scenario.difficulty]
    return assemble(
        f"  {title:<{_TITLE_CELLS}} ",
        (sign, "$text-accent"),
        f" {scenario.difficulty:<6} {scenario.minutes:>3} min ",
        (best, "$text-success" if marks == _FULL else ""),
    )


def running_row(lab: Lab, now: datetime) -> Content:
    """The lab that runs, in one line above the others."""
    minutes = minutes_of(lab, now)
    since = f"running since {count_text(minutes, 'minute')}" if minutes else "has just begun"
    return assemble(
        ("▸ ", "bold $text-success"), (lab.scenario.title, "bold"), (f"  {since}", "$text-muted")
    )


def card(scenario: Scenario, marks: int | None) -> Content:
    """A scenario that can be started."""
    tried = "not scored yet" if marks is None else f"best so far {marks} of {_FULL} marks"
    return lines(
        _card_head(scenario, tried),
        literal(blanked(scenario.story.strip())),
    )


def running_card(open_lab: OpenLab) -> Content:
    """The lab that runs, and how far its trainee is."""
    lab, score = open_lab.lab, open_lab.score
    scored = f", {score.marks} marks" if score is not None else ""
    told = f"hints {len(open_lab.hints)} of {len(lab.hints)}{scored}"
    return lines(
        _card_head(lab.scenario, told),
        literal(lab.story.strip()),
        literal(f"PostgreSQL {lab.version}, in {lab.directory}", "$text-muted"),
    )


def _card_head(scenario: Scenario, told: str) -> Content:
    effort = f"{scenario.difficulty}, about {scenario.minutes} min, {told}"
    return assemble((scenario.title, "bold"), (f"   {effort}", "$text-muted"))


def phases_content(scenario: Scenario, phases: Mapping[str, Phase]) -> Content:
    """How far a start is: every part with a sign, its time, or how much of it is done."""
    rows = [literal(f"Setting up: {scenario.title}", "bold")]
    rows += [literal(blanked(scenario.story.strip())), literal("")]
    for one in phases.values():
        if one.seconds is not None:
            rows.append(
                assemble(
                    ("✓ ", "bold $text-success"),
                    f"{one.name:<44}",
                    (duration_text(one.seconds), "$text-muted"),
                )
            )
        elif one.total:
            done = bar(one.done / one.total)
            rows.append(assemble(("▸ ", "bold $text-accent"), f"{one.name:<44}{done}"))
        else:
            rows.append(assemble(("▸ ", "bold $text-accent"), one.name))
    return lines(*rows)


# Hints.


def hints_content(open_lab: OpenLab) -> Content:
    """The story, and every hint that was taken."""
    rows = [literal(open_lab.lab.story.strip())]
    for number, hint in enumerate(open_lab.hints, 1):
        rows += [literal(""), assemble((f"hint {number}  ", "bold $text-accent"), hint)]
    return lines(*rows)


# The score.


def score_content(score: Score) -> Content:
    """The marks, what they come from, what an expert would have done, and where the cuts lie."""
    rows = [_marks(score), literal(score.sentence), literal("")]
    rows += _tables(score)
    rows += [literal(""), *_facts(score), literal("")]
    rows.append(literal("What an expert would have done", "bold"))
    rows.append(literal(score.expert.strip()))
    rows += _differences(score)
    if score.around:
        rows += [literal(""), literal("The transactions around the cut (UTC)", "bold")]
        rows += _around(score.around)
    return lines(*rows)


def _marks(score: Score) -> Content:
    style = "$text-success" if score.perfect else "$text-warning" if score.marks else "$text-error"
    sign = "✓" if score.perfect else "✗"
    return assemble(
        (f"{sign} {score.marks} of {_FULL} marks  ", f"bold {style}"),
        (bar(score.marks / _FULL), style),
    )


def _facts(score: Score) -> Iterator[Content]:
    effort = [duration_text(score.minutes * 60), count_text(score.hints, "hint")]
    if score.attempts:
        effort.append(f"{count_text(score.attempts, 'other attempt')} before")
    if score.after_answer:
        effort.append("the answer was seen before")
    told_of = {"the best answer": score.best, "yours": score.cut, "it took": ", ".join(effort)}
    if score.perfect:  # they are the same
        del told_of["yours"]
    for name, told in told_of.items():
        first, *more = textwrap.wrap(told, _FACT_CELLS) or [""]
        yield assemble((f"{name:<{_NAME_CELLS}}", "$text-muted"), first)
        yield from (literal(" " * _NAME_CELLS + row) for row in more)


def _tables(score: Score) -> Iterator[Content]:
    head = f"{'rows':<22}{'expected':>10}{'found':>10}{'lost':>8}{'wrong':>8}"
    yield literal(head, "$text-muted")
    for one in score.tables:
        found = "none" if one.found is None else f"{one.found:,}"
        yield assemble(
            f"{_short(one_line(one.table), 21):<22}{one.expected:>10,}{found:>10}",
            (f"{one.lost:>8,}", "bold $text-error" if one.lost else "$text-muted"),
            (f"{one.wrong:>8,}", "bold $text-error" if one.wrong else "$text-muted"),
        )
    if score.lost:
        yield literal("lost: the row is not there, or only in an older state", "$text-muted")
    if score.extra:
        newer = f"and {count_text(score.extra, 'good row')} newer than asked for: costs nothing"
        yield literal(newer, "$text-muted")


def _differences(score: Score) -> Iterator[Content]:
    for name, found in (("lost", score.lost), ("wrong", score.wrong)):
        if not found:
            continue
        yield literal("")
        yield literal(f"The first rows that are {name}", "bold")
        for one in found[:_SHOWN_DIFFERENCES]:
            key = f" {one.key}" if one.key else ""
            yield literal(f"  {one_line(one.table + key)}: {one_line(one.why)}")
        if len(found) > _SHOWN_DIFFERENCES:
            yield literal(f"  … and {len(found) - _SHOWN_DIFFERENCES:,} more", "$text-muted")


def _around(rows: tuple[AroundRow, ...]) -> Iterator[Content]:
    last = rows[0].number
    for row in rows:
        if row.number > last + 1:
            yield literal("    …", "$text-muted")
        last = row.number
        sign, style = (" ", "") if row.good else ("✗", "$text-error")
        xid = "" if row.xid is None else str(row.xid)
        yield assemble(
            (f"{sign} ", f"bold {style}".strip()),
            f"{row.at.astimezone(UTC):%H:%M:%S.%f}"[:12],
            (f"{xid:>9}  ", "$text-muted"),
            (_short(one_line(row.what), 48), style),
        )
        if row.marker:
            yield literal(f"{'':>25}^ {row.marker}", "bold $text-accent")


def _short(text: str, cells: int) -> str:
    return text if len(text) <= cells else text[: cells - 1] + "…"
