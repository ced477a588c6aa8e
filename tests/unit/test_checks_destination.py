"""The place of the secondary: free, large enough, with the right programs."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from pitr_tui.errors import RefusedError
from pitr_tui.postgres.target import AtXid, Immediate
from pitr_tui.recovery.checks import Light, judge, require_passed
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from tests.unit.made import MEGABYTE, backup_value, make_archive, make_plan, segment
from tests.unit.made_checks import NOW, check_of, ended, good_plan, judged, names_with

USAGE = namedtuple("USAGE", "total used free")


@pytest.fixture
def archive(tmp_path: Path) -> WalArchive:
    return make_archive(tmp_path / "archive", segment(2), segment(3), segment(4))


def checked(plan: RecoveryPlan, name: str) -> CheckDone:
    return check_of(judge(plan, NOW), name)


def test_a_good_plan_is_green(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, Immediate())
    judgement = judged(plan, ended(1))
    assert judgement.light is Light.GREEN
    assert {check.status for check in judgement.checks} == {Status.OK}
    assert [check.name for check in judgement.checks] == [
        *("destination", "space", "programs", "backup complete", "harms nobody"),
        *("timeline", "no gap", "contents", "settings", "wal_level", "end of backup", "target"),
        "delivery",
    ]
    assert judgement.sentence == "the end of the backup"
    require_passed(judgement.checks)


def test_every_failure_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "secondary").write_text("occupied")
    judgement = judge(make_plan(tmp_path, version="18.6"), NOW)
    assert judgement.light is Light.RED
    assert judgement.sentence.startswith("destination: the destination")
    with pytest.raises(RefusedError, match="a check failed") as told:
        require_passed(judgement.checks)
    assert "destination: the destination" in told.value.why
    assert "wal: segment 000000010000000000000002 is neither" in told.value.why


@pytest.mark.parametrize(
    ("place", "words"),
    [("occupied", "is not empty"), ("no/such/parent", "does not exist"), ("new", None), ("", None)],
)
def test_the_destination(
    tmp_path: Path, archive: WalArchive, place: str, words: str | None
) -> None:
    (tmp_path / "d" / "occupied" / "x").mkdir(parents=True)
    (tmp_path / "d" / "empty").mkdir()
    destination = tmp_path / "d" / (place or "empty")
    check = checked(make_plan(tmp_path, archive=archive, destination=destination), "destination")
    assert (check.status is Status.FAILURE) == bool(words)
    assert (words or str(destination)) in check.evidence


@pytest.mark.parametrize(
    ("free", "restored", "status"),
    [
        (1000 + 8 * MEGABYTE, 1000, Status.FAILURE),
        (1001 + 8 * MEGABYTE, 1000, Status.OK),
        (10, None, Status.WARNING),
    ],
)
def test_the_room(
    tmp_path: Path,
    archive: WalArchive,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    restored: int | None,
    status: Status,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: USAGE(free * 2, free, free))
    backup = backup_value(tmp_path / "backup", restored_bytes=restored)
    check = checked(make_plan(tmp_path, archive=archive, backup=backup), "space")
    assert check.status is status


def test_the_growth_of_the_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = good_plan(tmp_path, AtXid(702))
    free = 1000 + 8 * MEGABYTE + MEGABYTE
    monkeypatch.setattr(shutil, "disk_usage", lambda path: USAGE(free * 2, free, free))
    check = check_of(judged(plan, ended(1), ended(2)), "space")
    assert check.status is Status.NOTE
    assert "1.0 MB of WAL are replayed" in check.evidence


def test_programs_of_another_major(tmp_path: Path, archive: WalArchive) -> None:
    backup = backup_value(tmp_path / "backup", "17.10")
    check = checked(make_plan(tmp_path, "18.6", archive=archive, backup=backup), "programs")
    assert check.status is Status.FAILURE
    assert "is of PostgreSQL 17, the programs are 18.6" in check.evidence


def test_a_locale_that_is_missing_here(tmp_path: Path, archive: WalArchive) -> None:
    backup = backup_value(tmp_path / "backup", locales=("xx_XX.utf8",))
    judgement = judge(make_plan(tmp_path, archive=archive, backup=backup), NOW)
    assert "locale" in names_with(judgement, Status.FAILURE)
    assert "no locale xx_XX.utf8 here" in check_of(judgement, "locale").evidence
