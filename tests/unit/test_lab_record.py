"""The record of a lab, and what its trainee did: written down, found again, one lab at a time."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab import diary, ending, record
from pitr_tui.lab.answer import candidate
from pitr_tui.lab.scenario import Answer
from pitr_tui.recovery.events import RunStarted, Stamped
from pitr_tui.storage.path import ReadPath
from tests.unit.made_journals import lay_down, recorded
from tests.unit.made_labs import HISTORY, READY, SYSTEM, made_lab, written_lab


class NoPlaces:
    def engine(self) -> object:
        raise AssertionError("no engine is needed")

    def path(self, place: str, image: str) -> ReadPath:
        return Path(place)


def run_of(system: int, name: str = "20261005-120100-aaaa") -> Path:
    """A recorded run of a cluster that was thrown away or never finished."""
    first = recorded("missing-segment-18")[0]
    event = first.event
    assert isinstance(event, RunStarted)
    plan = {"label": ["0/2000028", "2026-10-05", str(system)]}
    started = RunStarted(
        name, event.version, "/b", "/a", "/d", event.target, event.action, "", plan, 2
    )
    return lay_down(name, [Stamped(first.at, started), *recorded("missing-segment-18")[1:]])


def test_without_a_lab_it_is_said_how_to_begin_one() -> None:
    assert record.current() is None
    with pytest.raises(RefusedError, match="no lab is running") as refused:
        record.require_current()
    assert "pitr lab start" in refused.value.hint


def test_a_lab_is_found_again_as_it_was(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    assert record.current() == lab
    assert record.load(lab.name) == lab
    assert record.all_labs() == [lab]
    assert len(lab.truth().commits) == sum(type(one).__name__ == "Commit" for one in HISTORY)
    for path in (lab.facts_path, lab.scenario_path, lab.truth_path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert lab.record_directory.stat().st_mode & 0o777 == 0o700


def test_there_is_one_lab_at_a_time(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    with pytest.raises(RefusedError, match="is running"), record.reserved("other"):
        pass
    record.forget(lab.name)
    with (
        record.reserved("other"),
        pytest.raises(RefusedError, match="setting up"),
        record.reserved("third"),
    ):
        pass
    assert record.current() is None


def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    lab = made_lab(tmp_path)

    def interrupted() -> None:
        with record.reserved(lab.name):
            record.create(lab)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert record.current() is None
    assert not lab.record_directory.exists()


def test_a_damaged_record_is_told_and_passed_over_in_the_list(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    lab.facts_path.write_text("{}")
    assert record.all_labs() == []
    with pytest.raises(PitrError, match="cannot be read"):
        record.current()


@pytest.mark.parametrize("name", ["nothing", "../../etc", ""])
def test_a_lab_that_is_not_there(name: str) -> None:
    with pytest.raises(RefusedError, match="no lab is called"):
        record.load(name)


def test_hints_come_one_by_one_and_the_last_stays(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    assert diary.hints_taken(lab) == 0
    taken = [diary.take_hint(lab) for _ in range(5)]
    assert [one.number for one in taken] == [1, 2, 3, 3, 3]
    assert taken[-1].text == lab.hints[-1]
    assert diary.hints_taken(lab) == 3


def test_a_torn_line_of_the_diary_costs_only_itself(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    diary.take_hint(lab)
    with (lab.record_directory / "deeds.jsonl").open("a") as file:
        file.write('{"at": "2026-10')
    diary.take_hint(lab)
    assert diary.hints_taken(lab) == 2


def test_a_line_of_the_diary_ends_where_it_was_ended(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    line = '{"at": "2026-10-05T12:00:00+00:00", "deed": "hint", "number": 1, "why": "a\u2028b"}\n'
    (lab.record_directory / "deeds.jsonl").write_text(line, encoding="utf-8")
    assert diary.hints_taken(lab) == 1


def test_the_runs_of_a_lab_are_those_of_its_cluster(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    own = run_of(SYSTEM)
    run_of(SYSTEM + 1, "20261005-120200-bbbb")
    assert [one.name for one in record.runs_of(lab)] == [own.name]


def test_a_run_that_cannot_be_scored_says_why(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    with pytest.raises(RefusedError, match="nothing of this lab") as refused:
        candidate(lab, None, NoPlaces())  # type: ignore[arg-type]
    assert "pitr lab hint" in refused.value.hint
    run_of(SYSTEM)
    with pytest.raises(RefusedError, match="has recovered nothing"):
        candidate(lab, None, NoPlaces())  # type: ignore[arg-type]
    other = run_of(SYSTEM + 1, "20261005-120200-bbbb")
    with pytest.raises(RefusedError, match="is not of the lab"):
        candidate(lab, other.name, NoPlaces())  # type: ignore[arg-type]


def test_a_primary_that_is_down_cannot_be_scored(tmp_path: Path) -> None:
    lab = made_lab(tmp_path / "world", Answer.PRIMARY, os_user="nobody")
    with pytest.raises(RefusedError, match="the primary does not run"):
        candidate(lab, None, NoPlaces())  # type: ignore[arg-type]


def test_the_end_removes_the_world_and_keeps_the_record(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world", os_user="nobody" if os.geteuid() == 0 else _me())
    (lab.directory / "archive").mkdir()
    assert ending.stop(lab) == ()
    assert not lab.directory.exists()
    assert record.current() is None
    assert record.load(lab.name) == lab


def test_a_directory_that_is_not_the_labs_stays(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world")
    (lab.directory / record.MARK).write_text("another\n")
    with pytest.raises(RefusedError, match="is left alone"):
        ending.stop(lab)
    assert lab.directory.is_dir()
    assert record.current() == lab


def test_the_best_marks_are_those_of_all_labs(tmp_path: Path) -> None:
    from pitr_tui.lab.score import Effort, scored

    lab = written_lab(tmp_path / "world")
    effort = Effort("r1", READY + timedelta(minutes=1), 1.0, 0, 0, False)
    good = scored(lab, lab.truth(), lab.truth().best().rows, effort)
    diary.keep_score(lab, good)
    diary.keep_score(lab, scored(lab, lab.truth(), {}, Effort("r2", READY, 1.0, 0, 0, True)))
    assert diary.best_marks() == {lab.scenario.name: 100}
    assert [one.marks for one in diary.scores(lab)] == [100, 0]
    assert diary.last_score(lab, "r1") == good
    assert diary.last_score(lab, "r3") is None


def _me() -> str:
    from pitr_tui.servers.osuser import OsUser

    return OsUser.current().name
