"""`pitr lab validate`, `export` and `class`: what an instructor needs."""

from __future__ import annotations

import argparse
from pathlib import Path

from pitr_tui.cli.lab_words import say_text
from pitr_tui.cli.output import Output
from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.lab import record
from pitr_tui.lab.class_list import ClassRow, class_list
from pitr_tui.lab.scenario import Scenario
from pitr_tui.lab.scenario_file import ScenarioError, load
from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.wording import count_text, duration_text

_NAME, _SCENARIO, _WIDTH = 22, 24, 80
_FIELDS = (
    "file",
    "trainee",
    "scenario",
    "seed",
    "version",
    "marks",
    "minutes",
    "hints",
    "attempts",
    "after_answer",
    "run",
    "problem",
)


def validate(parsed: argparse.Namespace, output: Output) -> int:
    """Every mistake in a scenario's file at once; with --play it is also tried."""
    try:
        scenario = load(parsed.file)
    except ScenarioError as error:
        for one in error.mistakes:
            place = {"line": one.line, "column": one.column, "words": one.words}
            output.fact({"event": "Mistake", **place})
        raise
    told = {"event": "Valid", "name": scenario.name, "steps": len(scenario.steps)}
    output.say(f"✓ {parsed.file} is a scenario: {scenario.name}, {len(scenario.steps)} steps")
    if parsed.play:
        told["story"] = _played(scenario, output)
    output.fact(told)
    return 0


def _played(scenario: Scenario, output: Output) -> str:
    """Begin and end it, and give the story that a trainee would be told."""
    from pitr_tui.cli.lab import begin, end
    from pitr_tui.lab.order import Wanted, order_for

    lab = begin(order_for(scenario, Wanted(rate=0.0)), output)
    try:
        best = lab.truth().best()
    finally:
        end(lab)
    last = best.last.what if best.last is not None else "nothing"
    output.say("✓ it plays; the trainee is told:")
    say_text(lab.story, output, 2)
    say_text(f"The best answer begins with {best.backup.name}, and ends behind: {last}", output, 2)
    for number, hint in enumerate(lab.hints, 1):
        say_text(f"hint {number}: {hint}", output, 2)
    return lab.story


def export(parsed: argparse.Namespace, output: Output) -> int:
    """One file with all that an instructor wants to see of a run."""
    from pitr_tui.lab.export import export as pack

    lab, run = _scored(parsed.run)
    if not parsed.name:
        raise UsageError("an export has a name on it", "a class is listed by it", "say --name NAME")
    path = pack(lab, run, parsed.to or Path.cwd(), parsed.name)
    output.fact({"event": "Exported", "file": str(path), "lab": lab.name, "trainee": parsed.name})
    output.say(f"✓ {path}")
    return 0


def _scored(name: str) -> tuple[record.Lab, RunRecord | None]:
    """The lab of a run, or the newest lab with the run that was scored last in it."""
    if name:
        run = run_named(name)
        for lab in record.all_labs():
            if record.is_of(run, lab):
                return lab, run
        raise RefusedError(f"the run {run.name} is of no lab that was played here")
    from pitr_tui.lab.diary import last_score

    labs = record.all_labs()
    for lab in labs:
        score = last_score(lab)
        if score is not None:
            return lab, run_named(score.run) if score.run else None
    raise RefusedError("no lab was scored here yet", "", "`pitr lab score` asks the database")


def listing(parsed: argparse.Namespace, output: Output) -> int:
    """A class, trainee by trainee; exit 1 when one of the exports is not believed."""
    rows = class_list(parsed.exports)
    output.say(
        f"{'trainee':<{_NAME}}{'scenario':<{_SCENARIO}}{'marks':>6}{'time':>13}{'hints':>7}"
        f"{'tries':>7}"
    )
    for row in rows:
        output.fact({"event": "Trainee", **{name: getattr(row, name) for name in _FIELDS}})
        _say(row, output)
    bad = sum(1 for row in rows if row.problem)
    if bad:
        output.say(f"{count_text(bad, 'export')} of {len(rows)} cannot be believed.")
    return 1 if bad else 0


def _say(row: ClassRow, output: Output) -> None:
    if row.problem:
        output.say(f"! {_cut(row.trainee or row.file, _WIDTH - 2).rstrip()}")
        say_text(f"{row.file}: {row.problem}", output, 4)
        return
    time = duration_text((row.minutes or 0) * 60)
    output.say(
        f"{_cut(row.trainee, _NAME)}{_cut(row.scenario, _SCENARIO)}{row.marks:>6}{time:>13}"
        f"{row.hints:>7}{row.attempts + 1:>7}"
    )
    if row.after_answer:
        output.say("    an earlier score had told the answer already")


def _cut(text: str, width: int) -> str:
    text = one_line(text)
    shown = text if len(text) < width else text[: width - 2] + "…"
    return f"{shown:<{width}}"
