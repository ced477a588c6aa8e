"""The checks before a recovery: each can pass, and each can refuse with its numbers."""

import os
import shutil
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import RefusedError
from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, Immediate, RecoveryTarget
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.preflight import preflight, require_passed
from pitr_tui.repositories.archive import WalArchive
from tests.local import on_disk
from tests.unit.made import (
    MEGABYTE,
    SYSTEM,
    backup_value,
    label_text,
    make_archive,
    make_plan,
    plain_backup,
    segment,
    segment_bytes,
)

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
BACKUP_ENDED = datetime(2026, 11, 22, 14, 43, 41, tzinfo=UTC)
USAGE = namedtuple("USAGE", "total used free")


@pytest.fixture
def archive(tmp_path: Path) -> WalArchive:
    return make_archive(tmp_path / "archive", segment(2), segment(3), segment(4))


def checked(plan: RecoveryPlan, name: str) -> CheckDone:
    (check,) = (one for one in preflight(plan, NOW) if one.name == name)
    return check


def test_a_good_plan_passes(tmp_path: Path, archive: WalArchive) -> None:
    checks = preflight(make_plan(tmp_path, target=Immediate(), archive=archive), NOW)
    assert {check.status for check in checks} == {Status.OK}
    assert [check.name for check in checks] == [
        *("destination", "space", "programs", "harms nobody", "timeline", "no gap"),
        *("end of backup", "target"),
    ]
    require_passed(checks)


def test_every_failure_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "secondary").write_text("occupied")
    checks = preflight(make_plan(tmp_path, version="18.6"), NOW)
    with pytest.raises(RefusedError, match="a check failed") as told:
        require_passed(checks)
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


def test_programs_of_another_major(tmp_path: Path, archive: WalArchive) -> None:
    backup = backup_value(tmp_path / "backup", "17.10")
    check = checked(make_plan(tmp_path, "18.6", archive=archive, backup=backup), "programs")
    assert check.status is Status.FAILURE
    assert "is of PostgreSQL 17, the programs are 18.6" in check.evidence


def branched(tmp_path: Path, fork: str) -> WalArchive:
    """Timeline 2 goes on from segment 4 to 7, its parent to 9."""
    archive = make_archive(
        tmp_path / "branched",
        *(segment(n) for n in (2, 3, 4, 5, 6, 7, 8, 9)),
        *(segment(n, timeline=2) for n in (4, 5, 6, 7)),
    )
    (tmp_path / "branched" / "00000002.history").write_text(f"1\t{fork}\tx\n")
    return archive


def test_an_archive_that_is_older_than_the_backup(tmp_path: Path) -> None:
    """Its end is no end to recover to; with another target it is told."""
    archive = make_archive(tmp_path / "old", segment(0), segment(1))
    brought = backup_value(plain_backup(tmp_path / "backup"))
    check = checked(make_plan(tmp_path, archive=archive, backup=brought), "wal")
    assert check.status is Status.FAILURE
    assert f"ends with {segment(1).name}, and the backup needs {segment(2).name}" in check.evidence
    there = make_plan(tmp_path, target=Immediate(), archive=archive, backup=brought)
    assert checked(there, "wal").status is Status.WARNING


def test_an_archive_of_another_cluster(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / segment(1).name).write_bytes(segment_bytes(segment(1), system=1))
    brought = backup_value(plain_backup(tmp_path / "backup"))
    there = make_plan(
        tmp_path, target=Immediate(), archive=WalArchive(tmp_path / "other"), backup=brought
    )
    check = checked(there, "wal")
    assert check.status is Status.FAILURE
    assert "is another cluster's" in check.evidence


def test_a_locale_that_is_missing_here(tmp_path: Path, archive: WalArchive) -> None:
    backup = backup_value(tmp_path / "backup", locales=("xx_XX.utf8",))
    checks = preflight(make_plan(tmp_path, archive=archive, backup=backup), NOW)
    (told,) = (check for check in checks if check.name == "locale")
    assert told.status is Status.FAILURE
    assert "no locale xx_XX.utf8 here" in told.evidence


def test_a_branch_that_left_before_the_backup(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, archive=branched(tmp_path, "0/100000"), timeline=2)
    check = checked(plan, "timeline")
    assert check.status is Status.FAILURE
    assert "does not contain the backup" in check.evidence


def test_a_branch_that_is_not_followed_is_told(tmp_path: Path) -> None:
    archive = branched(tmp_path, "0/480000")
    own, other = (make_plan(tmp_path, archive=archive, timeline=t) for t in (1, 2))
    assert checked(own, "timeline").status is Status.WARNING
    assert "the archive also has 2" in checked(own, "timeline").evidence
    assert checked(other, "timeline").status is Status.OK


@pytest.mark.parametrize(
    ("held", "status", "words"),
    [
        ((2, 3, 4), Status.OK, "3 segments from 000000010000000000000002 on, without a gap"),
        ((1, 2), Status.OK, "1 segment from"),
        (
            (2, 3, 6, 7),
            Status.WARNING,
            "then 000000010000000000000004 is missing (0/400000), so that 2 later ones",
        ),
        ((3, 4), Status.FAILURE, "neither in the archive nor in the backup"),
        ((), Status.FAILURE, "neither in the archive nor in the backup"),
    ],
)
def test_the_wal(tmp_path: Path, held: tuple[int, ...], status: Status, words: str) -> None:
    archive = make_archive(tmp_path / "held", *map(segment, held))
    checks = preflight(make_plan(tmp_path, archive=archive), NOW)
    (check,) = (one for one in checks if one.name in ("no gap", "wal"))
    assert check.status is status
    assert words in check.evidence


def test_the_backups_own_wal_fills_a_gap(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "held", segment(3), segment(4))
    make_archive(tmp_path / "backup")
    make_archive(tmp_path / "backup" / "pg_wal", segment(2))
    check = checked(make_plan(tmp_path, archive=archive), "no gap")
    assert check.evidence == "3 segments from 000000010000000000000002 on, without a gap"


def test_a_segment_that_was_only_begun_counts(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "held", segment(2))
    (tmp_path / "held" / f"{segment(3).name}.partial").write_bytes(segment_bytes(segment(3)))
    check = checked(make_plan(tmp_path, archive=archive), "no gap")
    assert check.evidence == "2 segments from 000000010000000000000002 on, without a gap"


def test_a_backup_whose_wal_cannot_be_listed_is_a_failure(closable: Path) -> None:
    archive = make_archive(closable / "held", segment(2))
    directory = closable / "backup" / "pg_wal"
    directory.mkdir(parents=True)
    plan = make_plan(closable, archive=archive)
    directory.chmod(0)
    try:
        check = checked(plan, "wal")
    finally:
        directory.chmod(0o700)
    assert check.status is Status.FAILURE
    assert f"{directory} cannot be read: Permission denied" in check.evidence


def test_the_first_segment_of_another_cluster(tmp_path: Path, archive: WalArchive) -> None:
    path = on_disk(archive.directory) / segment(2).name
    path.write_bytes(segment_bytes(segment(2), system=SYSTEM + 1))
    check = checked(make_plan(tmp_path, archive=archive), "wal")
    assert check.status is Status.FAILURE
    assert "belongs to another cluster" in check.evidence


def test_only_the_wal_on_the_way_counts(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, archive=branched(tmp_path, "0/480000"), timeline=2)
    assert checked(plan, "no gap").evidence.startswith("6 segments from")


def at(lsn: str) -> AtLsn:
    return AtLsn(Lsn.parse(lsn))


@pytest.mark.parametrize(
    ("timeline", "target", "status"),
    [
        (1, at("0/A00000"), Status.OK),
        (1, at("0/A00001"), Status.FAILURE),
        (2, at("0/780000"), Status.OK),
        (2, at("0/800001"), Status.FAILURE),
    ],
)
def test_a_position_is_looked_for_on_the_way(
    tmp_path: Path, timeline: int, target: RecoveryTarget, status: Status
) -> None:
    archive = branched(tmp_path, "0/480000")
    plan = make_plan(tmp_path, target=target, archive=archive, timeline=timeline)
    assert checked(plan, "target").status is status


def test_a_branch_may_go_on_where_its_parent_ended(tmp_path: Path) -> None:
    archive = make_archive(
        tmp_path / "held", segment(2), segment(3), *(segment(n, timeline=2) for n in (3, 4, 5))
    )
    (tmp_path / "held" / "00000002.history").write_text("1\t0/380000\tx\n")
    plan = make_plan(tmp_path, target=at("0/580000"), archive=archive, timeline=2)
    assert checked(plan, "target").status is Status.OK


@pytest.mark.parametrize(
    ("target", "failed"), [(at("0/200119"), True), (at("0/200120"), False), (at("0/300000"), False)]
)
def test_a_position_before_the_end_of_the_backup(
    tmp_path: Path, archive: WalArchive, target: RecoveryTarget, failed: bool
) -> None:
    check = checked(make_plan(tmp_path, target=target, archive=archive), "end of backup")
    assert (check.status is Status.FAILURE) == failed


def test_a_backup_that_does_not_tell_its_end(tmp_path: Path, archive: WalArchive) -> None:
    backup = backup_value(tmp_path / "backup", stop_lsn=None)
    plan = make_plan(tmp_path, target=at("0/200119"), archive=archive, backup=backup)
    assert checked(plan, "end of backup").status is Status.WARNING


@pytest.mark.parametrize(
    ("time", "status", "words"),
    [
        (datetime(2026, 11, 22, 15, 6, tzinfo=UTC), Status.FAILURE, "lies in the future"),
        (datetime(2026, 11, 22, 15, 4, tzinfo=UTC), Status.WARNING, "needs a transaction after it"),
        (BACKUP_ENDED, Status.WARNING, "needs a transaction after it"),
        (datetime(2026, 11, 22, 14, 43, 40, tzinfo=UTC), Status.FAILURE, "before the end of the"),
    ],
)
def test_a_time(
    tmp_path: Path, archive: WalArchive, time: datetime, status: Status, words: str
) -> None:
    last = on_disk(archive.directory) / segment(4).name
    touch(last, datetime(2026, 11, 22, 15, 5, tzinfo=UTC))
    check = checked(make_plan(tmp_path, target=AtTime(time), archive=archive), "target")
    assert check.status is status
    assert words in check.evidence


def touch(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_a_time_behind_the_last_archived_segment(tmp_path: Path, archive: WalArchive) -> None:
    touch(on_disk(archive.directory) / segment(4).name, datetime(2026, 11, 22, 14, 50, tzinfo=UTC))
    time = datetime(2026, 11, 22, 14, 55, tzinfo=UTC)
    check = checked(make_plan(tmp_path, target=AtTime(time), archive=archive), "target")
    assert check.status is Status.WARNING
    assert "was archived before it, at 2026-11-22 14:50:00.000000+00" in check.evidence


def test_a_backup_whose_clock_has_an_unknown_zone_is_not_guessed(
    tmp_path: Path, archive: WalArchive
) -> None:
    label = BackupLabel.parse(label_text().replace("UTC", "EST"))
    backup = backup_value(tmp_path / "backup", label=label, stop_time=None)
    early = AtTime(datetime(2026, 11, 22, 1, tzinfo=UTC))
    plan = make_plan(tmp_path, target=early, archive=archive, backup=backup)
    assert checked(plan, "target").status is Status.WARNING


def test_a_name_is_known_only_when_it_is_reached(tmp_path: Path, archive: WalArchive) -> None:
    check = checked(make_plan(tmp_path, target=AtName("x"), archive=archive), "target")
    assert check.status is Status.WARNING


def test_an_archive_that_cannot_be_read_is_a_failure(tmp_path: Path, archive: WalArchive) -> None:
    on_disk(archive.directory).rename(tmp_path / "elsewhere")
    plan = make_plan(tmp_path, target=Immediate(), archive=archive)
    assert checked(plan, "wal").status is Status.FAILURE
    assert "archive cannot be read" in checked(plan, "wal").evidence
