"""Journals for tests: recorded runs, and what follows from them when something else happens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pitr_tui.recovery.events import (
    Event,
    RunFailed,
    RunStarted,
    RunTakenUp,
    Stamped,
    Step,
    StepStarted,
    to_json,
)
from pitr_tui.recovery.journal import read_journal, runs_directory

JOURNALS = Path(__file__).parents[1] / "data" / "journals"
PAUSED, MISSING = "paused-at-time-18", "missing-segment-18"
SILENT, DROPPED = "silent-promotion-12", "dropped-table-15"
STEPPED = "stepped-forward-15"
PLAN = {"backup": "/srv/pg/backup-1"}


def recorded(name: str) -> list[Stamped]:
    """The events of a recorded run."""
    return list(read_journal(JOURNALS / f"{name}.jsonl"))


def planned(events: list[Stamped]) -> list[Stamped]:
    """The same as a pitr of today records it, with what is needed to take the run up again."""
    first = events[0]
    assert isinstance(first.event, RunStarted)
    return [Stamped(first.at, replace(first.event, plan=PLAN, schema=2)), *events[1:]]


def followed_by(events: list[Stamped], seconds: float, event: Event) -> list[Stamped]:
    """The same with one event more, so many seconds after the last one."""
    return [*events, Stamped(events[-1].at + timedelta(seconds=seconds), event)]


def kept() -> list[Stamped]:
    """A run that failed for want of a segment, and whose copy was kept."""
    *events, last = planned(recorded(MISSING))
    assert isinstance(last.event, RunFailed)
    left = "the copy in /srv/pg/secondary-2, stopped"
    failed = replace(last.event, left=left, failure="UNREACHED", kept=True)
    return [*events, Stamped(last.at, failed)]


def taken_up() -> list[Stamped]:
    """That run five minutes later: the segment was found, and it came to its target."""
    again = recorded(PAUSED)
    started = again[0].event
    assert isinstance(started, RunStarted)
    place = next(n for n, one in enumerate(again) if one.event == StepStarted(Step.START))
    event = RunTakenUp(Step.START, started.target, started.action, started.files_and_commands, PLAN)
    events = followed_by(kept(), 300, event)
    away = events[-1].at - again[place].at
    return [*events, *(Stamped(one.at + away, one.event) for one in again[place:])]


def cut_off() -> list[Stamped]:
    """A run whose pitr was killed while the WAL was replayed."""
    events = planned(recorded(PAUSED))
    place = next(n for n, one in enumerate(events) if one.event == StepStarted(Step.REPLAY))
    return events[: place + 9]


def lay_down(name: str, events: Iterable[Stamped]) -> Path:
    """Write a journal where the runs of the test's state directory are."""
    directory = runs_directory() / name
    directory.mkdir(parents=True)
    text = "".join(json.dumps(to_json(one)) + "\n" for one in events)
    (directory / "events.jsonl").write_text(text)
    return directory


def at(moment: str, event: Event) -> Stamped:
    return Stamped(datetime.fromisoformat(moment), event)
