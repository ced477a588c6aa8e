"""What `pitr lab` says of scenarios and of the lab that runs, in 80 columns."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError
from pitr_tui.lab import diary
from pitr_tui.lab.diary import Hint
from pitr_tui.lab.record import Lab, runs_of
from pitr_tui.lab.scenario import SHOP, Answer, Scenario, TakeBackup
from pitr_tui.lab.template import blanked
from pitr_tui.postgres.quote import one_line, shell_word
from pitr_tui.recovery.events import utc_now
from pitr_tui.wording import count_text, duration_text

if TYPE_CHECKING:  # the list of scenarios needs no server
    from pitr_tui.lab.tutorial import Phase

_WIDTH = 80
_PRIMARY = {
    "runs": "runs, and the shop goes on in it",
    "away": "ran when the lab began, and does not answer now",
    "idle": "runs; nobody works in it just now",
    "stopped": "is shut down; its files are there",
    "killed": "crashed; its files are there",
    "lost": "is gone with its disk",
}
_ANSWER = {
    Answer.SECONDARY: "Recover a secondary that has every good row and no wrong one.",
    Answer.PRIMARY: (
        "Here the primary itself has to have every good row in the end, those of before the "
        "accident and those of after it."
    ),
}


def say_text(text: str, output: Output, indent: int = 0) -> None:
    """A paragraph of 80 columns, every line indented."""
    margin = " " * indent
    for line in textwrap.wrap(
        one_line(text),
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    ):
        output.say(line)


def say_scenarios(
    ours: Sequence[Scenario], own: Sequence[Scenario], best: Mapping[str, int], output: Output
) -> None:
    """Each scenario as it would reach the one who is on call."""
    for scenario in (*ours, *own):
        marks = best.get(scenario.name)
        output.fact(
            {
                "event": "Scenario",
                "name": scenario.name,
                "title": scenario.title,
                "story": blanked(scenario.story),
                "difficulty": scenario.difficulty,
                "minutes": scenario.minutes,
                "answer": scenario.answer,
                "since": scenario.since.major if scenario.since else None,
                "own": scenario not in ours,
                "best_marks": marks,
            }
        )
        effort = f"{scenario.difficulty}, {scenario.minutes} min"
        told = "" if marks is None else f"{marks} of 100"
        output.say(f"{scenario.name:<42}{effort:<16}{told:>20}".rstrip())
        say_text(blanked(scenario.story), output, 2)
        output.say()


def say_phase(one: Phase, output: Output) -> None:
    """A part of the start: begun, on its way, or over."""
    if one.seconds is not None:
        output.finished(one.name, one.seconds)
        output.fact({"event": "Phase", **dataclasses.asdict(one)})
    elif one.total:
        output.progress(one.name, one.done, one.total, "step")
    else:
        output.begin(one.name)


def lab_fact(lab: Lab) -> dict[str, object]:
    """What a trainee knows of a lab, for programs; the truth is not in it."""
    server = lab.server
    return {
        "lab": lab.name,
        "scenario": lab.scenario.name,
        "title": lab.scenario.title,
        "story": lab.story,
        "answer": lab.scenario.answer,
        "seed": lab.seed,
        "version": str(lab.version),
        "image": lab.image,
        "container": _container(lab) or None,
        "ready": lab.ready.isoformat(),
        "rate": lab.rate,
        "directory": str(lab.directory),
        "archive": str(lab.archive_directory),
        "backups": str(lab.backup_directory),
        "destination": destination(lab),
        "primary": {
            "state": lab.primary_state,
            "now": _state_now(lab),
            "dsn": str(lab.database) if lab.primary_state == "runs" else None,
            "data": str(server.data_directory) if lab.primary_state != "lost" else None,
        },
        "commands": {name: " ".join(_joined(words)) for name, words in commands(lab)},
    }


def _state_now(lab: Lab) -> str:
    """What the primary does now: it is asked where the scenario has left it running."""
    if lab.primary_state != "runs":
        return lab.primary_state
    try:
        running = lab.server.is_running()
    except PitrError:
        running = False
    if not running:
        return "away"
    return "runs" if lab.rate else "idle"


def say_lab(lab: Lab, output: Output) -> None:
    """The story, the places, and what one can do now."""
    output.say()
    say_text(lab.story, output)
    output.say()
    say_text(_ANSWER[lab.scenario.answer], output)
    output.say()
    state = _state_now(lab)
    output.say(f"  the primary      {_PRIMARY[state]}")
    if lab.image is not None:
        output.say(f"                   container {_container(lab)}, image {lab.image}")
    if lab.primary_state in ("stopped", "killed"):
        output.say(f"                   {lab.server.data_directory}")
    output.say(f"  the WAL archive  {lab.archive_directory}")
    output.say(f"  the backups      {lab.backup_directory}")
    output.say()
    for name, words in commands(lab):
        output.say(f"{name}:")
        for line in _lines(words):
            output.say(line)
    say_text(
        "In `pitr check` and `pitr restore` put the backup for BACKUP, and for X the transaction "
        "before which to stop (--help tells the other ways to say where).",
        output,
    )
    output.say()
    output.say("  pitr lab open    the wizard leads through all of this")
    output.say("  pitr lab hint    when you are stuck")
    output.say("  pitr lab score   when you think that it is right")


def say_status(lab: Lab, output: Output) -> None:
    """The lab that runs, what was done in it, and everything that was told at its start."""
    from pitr_tui.lab import worker

    seconds = (utc_now() - lab.ready).total_seconds()
    hints, scores, runs = diary.hints_taken(lab), diary.scores(lab), runs_of(lab)
    works = worker.alive(lab) is not None
    output.fact(
        {
            "event": "LabStatus",
            **lab_fact(lab),
            "seconds": round(seconds),
            "works": works,
            "hints": [lab.hints[number] for number in range(min(hints, len(lab.hints)))],
            "runs": [run.name for run in runs],
            "marks": [one.marks for one in scores],
        }
    )
    output.say(f"{lab.scenario.title}: PostgreSQL {lab.version}, seed {lab.seed}")
    output.say(f"  {lab.name}")
    since = (
        f"  yours since {duration_text(seconds)}; {count_text(len(runs), 'recovery', 'recoveries')}"
    )
    output.say(f"{since}, {count_text(hints, 'hint')} of {len(lab.hints)}")
    if scores:
        marks = ", ".join(str(one.marks) for one in scores)
        output.say(f"  marks so far: {marks} of 100")
    if lab.rate and not works:
        output.say("  ! nobody works in the shop any more: its process has ended")
    say_lab(lab, output)


def say_hint(hint: Hint, output: Output) -> None:
    output.fact({"event": "Hint", "number": hint.number, "of": hint.of, "text": hint.text})
    output.say(f"Hint {hint.number} of {hint.of}")
    say_text(hint.text, output, 2)
    if hint.number == hint.of:
        output.say("  There are no more.")


def destination(lab: Lab) -> str:
    """Where we propose to recover to."""
    if lab.image is None:
        return str(lab.destination)
    from pitr_tui.lab.container_ground import destination as volume

    return volume(lab)


def commands(lab: Lab) -> Iterator[tuple[str, list[str]]]:
    """What each command is for, and its words; BACKUP and X are left to the trainee."""
    archive, backups = str(lab.archive_directory), str(lab.backup_directory)
    if lab.primary_state == "runs":
        yield "look at the primary", [*_psql(lab), *_psql_options(lab)]
    yield "the backups", ["pitr", "backup", "list", backups, "--archive", archive]
    yield "how far the WAL leads", ["pitr", "wal", "coverage", archive, "--backups", backups]
    first = next((one.name for one in lab.scenario.steps if isinstance(one, TakeBackup)), "BACKUP")
    names = ["--backup", f"{backups}/{first}"]
    yield "what looks harmful", ["pitr", "wal", "suspects", archive, *names]
    yield "every transaction", ["pitr", "wal", "transactions", archive, *names]
    sources = ["--backup", f"{backups}/BACKUP", "--archive", archive, "--to", destination(lab)]
    if lab.image is not None:
        sources += ["--docker", _container(lab)]
    target = ["--target-xid", "X", "--exclusive"]
    yield "would it get there", ["pitr", "check", *sources, *target]
    yield "recover", ["pitr", "restore", *sources, *target]


def _container(lab: Lab) -> str:
    """What the primary is called by the Docker engine; "" where it is in none."""
    if lab.image is None:
        return ""
    from pitr_tui.lab.container_ground import container_name

    return container_name(lab.directory)


def _psql(lab: Lab) -> list[str]:
    """The primary's own in its container, else any that is here: each can talk to it."""
    if lab.image is not None:
        return ["docker", "exec", "-it", _container(lab), "psql"]
    if shutil.which("psql"):
        return ["psql"]
    from pitr_tui.servers.installation import tool_path

    try:
        return [str(tool_path("psql", lab.version))]
    except PitrError:
        return ["psql"]


def _psql_options(lab: Lab) -> list[str]:
    server = lab.server
    where = ["-h", str(server.socket_directory), "-p", str(server.port), "-U", server.role]
    return [*where, "-d", SHOP]


def _joined(words: Sequence[str]) -> list[str]:
    """The words of a command, each option in one piece with its value."""
    pieces: list[str] = []
    for word in map(shell_word, words):
        is_value = bool(pieces) and pieces[-1].startswith("-") and " " not in pieces[-1]
        if is_value and not word.startswith("-"):
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces


def _lines(words: Sequence[str]) -> Iterator[str]:
    """A command to be copied: where it is too long, the shell takes its lines for one."""
    line, indent = " ", "     "
    for piece in _joined(words):
        if len(line) + len(piece) + 3 > _WIDTH and line.strip():
            yield f"{line} \\"
            line = indent
        line += f" {piece}"
    yield line
