"""What a trainee did in a lab: hints taken and scores, one JSON line each."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab.record import Lab, all_labs, unwritable, write_private
from pitr_tui.lab.result import Score
from pitr_tui.recovery.events import utc_now

_FILE_NAME = "deeds.jsonl"
_HINT, _SCORE = "hint", "score"


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint of a scenario: its number, of how many, and what it says."""

    number: int
    of: int
    text: str


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that the trainee did; `told` is what was kept of it."""

    at: datetime
    what: str
    told: dict[str, Any]


def record_deed(lab: Lab, what: str, told: dict[str, Any], at: datetime | None = None) -> None:
    """Add a line to what the trainee did. Raises PitrError."""
    line = json.dumps({"at": (at or utc_now()).isoformat(), "deed": what, **told})
    path = lab.record_directory / _FILE_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = size and file.read(1) != b"\n"  # by a crash: it must not swallow this one
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
    except OSError as error:
        raise unwritable(path, error) from error


def deeds(lab: Lab) -> list[Deed]:
    """What the trainee did, in order; a line that a crash cut off is passed over."""
    try:
        text = (lab.record_directory / _FILE_NAME).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.split("\n"):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            told = json.loads(line)
            at, what = datetime.fromisoformat(told.pop("at")), str(told.pop("deed"))
            found.append(Deed(at, what, told))
    return found


def hints_taken(lab: Lab) -> int:
    """How many different hints were taken."""
    return len({one.told.get("number") for one in deeds(lab) if one.what == _HINT})


def take_hint(lab: Lab) -> Hint:
    """The next hint, written down; when all were taken, the last one again, not counted.

    Raises RefusedError for a scenario without hints, PitrError.
    """
    if not lab.hints:
        raise RefusedError("this scenario has no hints", "", "`pitr teach` explains each step")
    number, of = hints_taken(lab) + 1, len(lab.hints)
    if number <= of:
        record_deed(lab, _HINT, {"number": number})
    number = min(number, of)
    return Hint(number, of, lab.hints[number - 1])


def keep_score(lab: Lab, score: Score) -> None:
    """Write a score down, whole in a file of its own. Raises PitrError."""
    path = lab.record_directory / f"score-{sum(one.what == _SCORE for one in deeds(lab)) + 1}.json"
    try:
        write_private(path, json.dumps(score.to_json(), indent=1) + "\n")
    except OSError as error:
        raise unwritable(path, error) from error
    told = {"run": score.run, "marks": score.marks, "file": path.name}
    record_deed(lab, _SCORE, told, score.at)


def scores(lab: Lab) -> list[Score]:
    """The scores that this lab was given, in order, as far as they can be read."""
    found = []
    for one in deeds(lab):
        name = one.told.get("file")
        if one.what == _SCORE and isinstance(name, str) and "/" not in name:
            with suppress(OSError, ValueError, PitrError):
                text = (lab.record_directory / name).read_text(encoding="utf-8")
                found.append(Score.from_json(json.loads(text)))
    return found


def last_score(lab: Lab, run: str | None = None) -> Score | None:
    """The newest score, or that of one run."""
    found = [one for one in scores(lab) if run is None or one.run == run]
    return found[-1] if found else None


def best_marks() -> dict[str, int]:
    """The best marks of each scenario that was scored here, by its name."""
    best: dict[str, int] = {}
    for lab in all_labs():
        for one in deeds(lab):
            marks = one.told.get("marks")
            if one.what == _SCORE and isinstance(marks, int):
                best[lab.scenario.name] = max(marks, best.get(lab.scenario.name, 0))
    return best


def has_seen_answer(lab: Lab) -> bool:
    """Whether a score, which tells the answer, was given for this very accident before."""
    same = [one for one in all_labs() if one.scenario.name == lab.scenario.name]
    return any(deed.what == _SCORE for one in same if one.seed == lab.seed for deed in deeds(one))
