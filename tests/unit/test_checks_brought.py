"""The WAL that only the backup has: whole, cut off, and what merely has its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtXid, Immediate, Latest, RecoveryTarget
from pitr_tui.recovery.checks import Evidence, Judgement, Light, judge
from pitr_tui.recovery.events import Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.backup_marks import marks_of
from pitr_tui.repositories.backups import BackupFormat
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Unread
from tests.local import on_disk
from tests.unit.made import (
    MEGABYTE,
    SYSTEM,
    make_archive,
    segment,
    segment_bytes,
    tar_bytes,
)
from tests.unit.made_checks import (
    NOW,
    after_noon,
    check_of,
    chronicle_of,
    ended,
    good_plan,
    judged,
    own_segment,
    seen,
    surveyed,
    with_backup,
)

END = Lsn(0x300120)  # of a backup that goes over into its second segment
BEHIND = Lsn(0x400028)
HOLE = Unread(Lsn(0x300000), BEHIND, Ending.CUT, f"{segment(3).name} is missing")


def with_own(plan: RecoveryPlan, number: int, data: bytes) -> None:
    (on_disk(plan.backup.path) / "pg_wal" / segment(number).name).write_bytes(data)


def plan_with_gap(place: Path, target: RecoveryTarget | None = None) -> RecoveryPlan:
    """The archive lacks segment 3, in which the backup ends."""
    archive = make_archive(place / "archive", *map(segment, (2, 4, 5)))
    plan = good_plan(place, target or AtXid(701), archive=archive)
    return with_backup(plan, stop_lsn=END)


def with_hole(*times: int) -> Chronicle:
    """The WAL behind the gap."""
    return chronicle_of(
        HOLE, *(ended(one, lsn=Lsn(BEHIND + 0x100 * (1 + n))) for n, one in enumerate(times))
    )


def over_the_gap(plan: RecoveryPlan) -> Judgement:
    return judge(plan, NOW, seen(plan, chronicle=with_hole(1, 2)))


def test_what_the_backup_brings_along_closes_the_gap(tmp_path: Path) -> None:
    plan = plan_with_gap(tmp_path)
    assert over_the_gap(plan).light is Light.RED
    with_own(plan, 3, own_segment(3, *range(-9, 0)))
    judgement = over_the_gap(plan)
    assert judgement.light is Light.GREEN, judgement.sentence
    assert check_of(judgement, "no gap").evidence.endswith("without a gap")


@pytest.mark.parametrize(
    "data",
    [
        b"junk",
        bytes(MEGABYTE),
        segment_bytes(segment(3), page=0x100000),  # of old, to be used again
        segment_bytes(segment(3), system=SYSTEM + 1),
        own_segment(3, *range(-9, 0))[:-8],
    ],
    ids=["junk", "zeros", "recycled", "foreign", "cut off"],
)
def test_a_name_is_no_wal(tmp_path: Path, data: bytes) -> None:
    plan = plan_with_gap(tmp_path)
    with_own(plan, 3, data)
    assert check_of(over_the_gap(plan), "no gap").status is Status.FAILURE
    (mark,) = marks_of([plan.backup])
    assert mark.own == {2}


def test_what_lies_behind_the_end_of_the_backup_is_not_its(tmp_path: Path) -> None:
    plan = with_backup(plan_with_gap(tmp_path), stop_lsn=Lsn(0x200120))
    with_own(plan, 3, own_segment(3, *range(-9, 0)))
    assert check_of(over_the_gap(plan), "no gap").status is Status.FAILURE


def test_a_copy_of_a_segment_that_was_being_written(tmp_path: Path) -> None:
    """It begins as its name says, and does not lead to the next one."""
    plan = plan_with_gap(tmp_path)
    with_own(plan, 3, own_segment(3, *range(-9, 0), finished=False))
    check = check_of(over_the_gap(plan), "readable WAL")
    assert check.status is Status.FAILURE
    assert f"{segment(3).name} of the backup's own WAL ends there" in check.evidence


def test_a_bad_file_in_the_archive_is_delivered_before_the_backups_own(tmp_path: Path) -> None:
    plan = plan_with_gap(tmp_path)
    with_own(plan, 3, own_segment(3, *range(-9, 0)))
    bad = on_disk(plan.archive.directory) / segment(3).name
    bad.write_bytes(segment_bytes(segment(3), system=SYSTEM + 1))
    check = check_of(over_the_gap(plan), "no gap")
    assert check.status is Status.FAILURE
    assert f"{segment(3).name} is foreign" in check.evidence


@pytest.mark.parametrize(
    ("target", "light"),
    [
        (after_noon(-5), Light.RED),  # the server stops within the backup, and refuses to
        (after_noon(0), Light.GREEN),
        (after_noon(1), Light.GREEN),
        (AtXid(701), Light.GREEN),
    ],
)
def test_an_archive_that_begins_within_the_backup(
    tmp_path: Path, target: RecoveryTarget, light: Light
) -> None:
    """The first stop may lie in what the backup alone has."""
    archive = make_archive(tmp_path / "archive", *map(segment, (3, 4)))
    plan = good_plan(tmp_path, target, archive=archive)
    told = chronicle_of(ended(1), ended(2), start=segment(3).start)
    judgement = judge(plan, NOW, seen(plan, chronicle=told))
    assert judgement.light is light, judgement.sentence
    if light is Light.RED:
        assert "lies before the end of the backup" in check_of(judgement, "end of backup").evidence


def test_wal_that_begins_behind_what_the_backup_brings_proves_nothing(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, AtXid(701))
    told = chronicle_of(ended(1), start=Lsn(0x300000))
    assert judge(plan, NOW, seen(plan, chronicle=told)).light is Light.AMBER


def alone(place: Path, *own: int, finished: bool = True) -> RecoveryPlan:
    """The archive has nothing of the backup's, which ends in its second segment."""
    archive = make_archive(place / "old", segment(0), segment(1))
    plan = with_backup(good_plan(place, Immediate(), archive=archive), stop_lsn=END)
    for number in own:
        with_own(plan, number, own_segment(number, *range(-9, 0), finished=finished))
    return plan


def quick(plan: RecoveryPlan) -> Judgement:
    return judge(plan, NOW, Evidence(surveyed(plan)))


def test_the_backup_alone_leads_to_its_own_end(tmp_path: Path) -> None:
    judgement = quick(alone(tmp_path, 2, 3))
    assert judgement.light is Light.GREEN, judgement.sentence
    assert check_of(judgement, "wal").status is Status.NOTE


def test_a_backup_that_brings_its_first_segment_alone(tmp_path: Path) -> None:
    judgement = quick(alone(tmp_path, 2))
    assert judgement.light is Light.RED
    check = check_of(judgement, "no gap")
    assert f"{segment(3).name} is missing, and the backup is consistent" in check.evidence


def test_own_wal_that_ends_before_the_backup_does(tmp_path: Path) -> None:
    plan = alone(tmp_path, 2)
    with_own(plan, 3, own_segment(3, -2, -1, finished=False))
    check = check_of(quick(plan), "readable WAL")
    assert check.status is Status.FAILURE
    assert "cannot be read at 0/300078" in check.evidence


@pytest.mark.parametrize("members", [(2, 3), (2,)])
def test_the_wal_of_a_backup_in_tar_format(tmp_path: Path, members: tuple[int, ...]) -> None:
    plan = alone(tmp_path)
    files = {segment(n).name: own_segment(n, *range(-9, 0)) for n in members}
    (tmp_path / "backup" / "pg_wal.tar").write_bytes(tar_bytes(files))
    plan = with_backup(plan, stop_lsn=END, format=BackupFormat.TAR)
    judgement = quick(plan)
    wanting = [one for one in judgement.checks if one.name == "readable WAL"]
    assert [one.evidence for one in wanting] == (
        []
        if 3 in members
        else [f"the WAL cannot be read at 0/300000: {segment(3).name}: the backup does not have it"]
    )


@pytest.mark.parametrize("target", [AtXid(702), Latest()])
def test_a_segment_that_went_away_since_it_was_seen(tmp_path: Path, target: RecoveryTarget) -> None:
    plan = good_plan(tmp_path, target)
    evidence = seen(plan, ended(1), ended(2))
    assert judge(plan, NOW, evidence).light is Light.GREEN
    (on_disk(plan.archive.directory) / segment(3).name).unlink()
    judgement = judge(plan, NOW, evidence)
    assert judgement.light is Light.RED
    assert f"{segment(3).name} is missing" in check_of(judgement, "no gap").evidence


def test_what_was_seen_in_another_archive_proves_nothing(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, AtXid(702))
    other = make_archive(tmp_path / "other", *map(segment, (2, 3, 4)))
    judgement = judge(dataclasses.replace(plan, archive=other), NOW, seen(plan, ended(1), ended(2)))
    assert judgement.light is Light.AMBER
    assert "another archive was looked at" in check_of(judgement, "target").evidence


def test_a_branch_that_left_within_the_backup(tmp_path: Path) -> None:
    """A backup needs its own end on the way, and not its begin alone."""
    archive = make_archive(
        tmp_path / "held", *map(segment, (2, 3)), *(segment(n, timeline=2) for n in (2, 3, 4))
    )
    (tmp_path / "held" / "00000002.history").write_text("1\t0/200100\tx\n")
    plan = dataclasses.replace(
        good_plan(tmp_path, Latest(), archive=archive), timeline=TimelineId(2)
    )
    check = check_of(judged(plan, ended(1)), "timeline")
    assert check.status is Status.FAILURE
    assert "timeline 1 from 0/200080 to 0/200120" in check.evidence
