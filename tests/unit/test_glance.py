"""Runs at a glance: as the whole journal tells them, without reading what the server said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pitr_tui.recovery.events import (
    LogArrived,
    PlaceTaken,
    Progress,
    ReplayAt,
    RunStarted,
    Stamped,
    StepDone,
)
from pitr_tui.recovery.glance import glance, glances
from pitr_tui.recovery.journal import Journal, read_journal
from pitr_tui.recovery.report import Ending, outcome
from pitr_tui.recovery.runs import RunRecord
from tests.unit.made_journals import (
    MISSING,
    PAUSED,
    STEPPED,
    cut_off,
    kept,
    lay_down,
    recorded,
    taken_up,
)

NAME = "20261122-182233-0c3bb86f"


@pytest.mark.parametrize(
    "made",
    [
        lambda: recorded(PAUSED),
        lambda: recorded(MISSING),
        lambda: recorded(STEPPED),
        cut_off,
        kept,
        taken_up,
    ],
    ids=["paused", "missing", "stepped", "cut off", "kept", "taken up"],
)
def test_it_ends_as_the_whole_journal_tells(
    made: Callable[[], list[Stamped]], state_dir: Path
) -> None:
    record = RunRecord(lay_down(NAME, made()))
    seen = glance(record)
    assert seen.outcome == outcome(record.view())
    assert seen.target == record.view().target
    assert seen.begun == made()[0].at


def test_what_the_server_said_is_passed_over(state_dir: Path) -> None:
    directory = lay_down(NAME, recorded(STEPPED))
    whole, outline = list(read_journal(directory)), list(read_journal(directory, outline=True))
    assert any(isinstance(one.event, LogArrived) for one in whole)
    assert not any(isinstance(one.event, LogArrived | Progress | ReplayAt) for one in outline)
    assert [one for one in whole if one in outline] == outline


def test_a_place_that_somebody_removed(state_dir: Path, tmp_path: Path) -> None:
    there = tmp_path / "secondary"
    events = [_moved(one, there) for one in kept()]
    record = RunRecord(lay_down(NAME, events))
    seen = glance(record)
    assert (seen.can_go_on, seen.can_be_opened, seen.words) == (False, False, "its place is gone")
    there.mkdir()
    seen = glance(record)
    assert (seen.can_go_on, seen.can_be_opened, seen.words) == (
        True,
        True,
        "failed, can be resumed",
    )


def _moved(stamped: Stamped, place: Path) -> Stamped:
    match stamped.event:
        case RunStarted() as started:
            return Stamped(stamped.at, replace(started, destination=str(place)))
        case StepDone(step="place"):
            return Stamped(stamped.at, PlaceTaken(was_there=False))
    return stamped


def test_one_that_another_process_writes_is_told_as_that(state_dir: Path) -> None:
    directory = lay_down(NAME, cut_off())
    journal = Journal.reopen(directory, lambda _: None)
    try:
        seen = glance(RunRecord(directory))
        assert seen.outcome is not None
        assert seen.outcome.ending is Ending.GOING_ON
        assert not seen.can_be_opened
    finally:
        journal.close()
    assert glance(RunRecord(directory)).can_go_on


def test_broken_and_empty_journals_are_listed(state_dir: Path) -> None:
    lay_down("20261122-000001-aaaaaaaa", [])
    broken = lay_down("20261122-000002-bbbbbbbb", recorded(PAUSED))
    with (broken / "events.jsonl").open("a") as file:
        file.write("{broken\n")
    found = list(glances())
    assert [one.record.name[-8:] for one in found] == ["bbbbbbbb", "aaaaaaaa"]
    assert all(one.problem is not None and not one.can_be_opened for one in found)
    assert [one.words for one in found] == ["cannot be read"] * 2


def test_only_the_newest_are_read(state_dir: Path) -> None:
    for number in range(5):
        lay_down(f"20261122-00000{number}-aaaaaaaa", cut_off())
    assert [one.record.name[14:15] for one in glances(most=3)] == ["4", "3", "2"]
