"""WAL that a primary that is down still has, and that no archive will ever get from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pitr_tui.postgres.target import AtXid, Immediate, Latest, RecoveryTarget
from pitr_tui.recovery.checks import Judgement, Light, judge
from pitr_tui.recovery.events import Status
from tests.unit.made import segment, segment_bytes
from tests.unit.made_checks import NOW, check_of, ended, good_plan, seen

NAME = "not archived"


def dead_primary(place: Path, *numbers: int) -> Path:
    """A data directory with these segments, a prepared one, and an old one under a new name."""
    wal = place / "dead" / "pg_wal"
    wal.mkdir(parents=True)
    for number in numbers:
        (wal / segment(number).name).write_bytes(segment_bytes(segment(number)))
    (wal / segment(8).name).write_bytes(bytes(1024 * 1024))
    (wal / segment(9).name).write_bytes(segment_bytes(segment(3)))
    return place / "dead"


def told(place: Path, target: RecoveryTarget, data: Path) -> Judgement:
    """The archive has the segments 2 to 4."""
    plan = good_plan(place, target)
    evidence = dataclasses.replace(seen(plan, ended(1), ended(2)), dead_data=data)
    return judge(plan, NOW, evidence)


def test_the_end_of_the_archive_is_not_green_while_more_lies_on_the_primary(
    tmp_path: Path,
) -> None:
    judgement = told(tmp_path, Latest(), dead_primary(tmp_path, 1, 4, 5, 6))
    check = check_of(judgement, NAME)
    assert judgement.light is Light.AMBER
    assert check.status is Status.WARNING
    assert f"2 segments that the archive lacks, from {segment(5).name} on" in check.evidence
    assert "pitr archive collect" in check.hint


@pytest.mark.parametrize(
    ("xid", "status"), [(701, Status.NOTE), (750, Status.WARNING)], ids=["found", "not found"]
)
def test_it_matters_where_the_target_lies(tmp_path: Path, xid: int, status: Status) -> None:
    judgement = told(tmp_path, AtXid(xid), dead_primary(tmp_path, 4, 5))
    assert check_of(judgement, NAME).status is status


@pytest.mark.parametrize(
    ("target", "numbers"), [(Latest(), (3, 4)), (Immediate(), (4, 5))], ids=["saved", "backup"]
)
def test_nothing_is_said_where_nothing_is_lost(
    tmp_path: Path, target: RecoveryTarget, numbers: tuple[int, ...]
) -> None:
    judgement = told(tmp_path, target, dead_primary(tmp_path, *numbers))
    assert judgement.light is Light.GREEN
    assert NAME not in [one.name for one in judgement.checks]


def test_a_directory_that_cannot_be_looked_at_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    judgement = told(tmp_path, Latest(), tmp_path / "empty")
    assert check_of(judgement, NAME).status is Status.WARNING
    assert "could not be seen" in check_of(judgement, NAME).evidence
