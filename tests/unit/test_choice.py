"""The backup that a target needs, and what speaks against the others."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtTime, AtXid, Immediate, Latest
from pitr_tui.recovery.choice import best, candidates, ended_at
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backup_marks import marks_of
from pitr_tui.repositories.backups import Backup, BrokenBackup, open_backup
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import Surveyed, first_backup, main_timeline, survey_archive
from pitr_tui.wal.aim import Aim
from pitr_tui.wal.coverage import coverage
from tests.unit.made import DATA

PG96 = DATA / "pg96"
XID = AtXid(572, inclusive=False)


@pytest.fixture(scope="module")
def real() -> Backup:
    return open_backup(PG96, WalArchive(PG96 / "archive"))


def backup_at(real: Backup, start: int, stop: int, timeline: int = 1) -> Backup:
    """The real backup, as if it had been taken elsewhere in the WAL."""
    label = dataclasses.replace(
        real.label, start_lsn=Lsn(start), checkpoint_lsn=Lsn(start), timeline=TimelineId(timeline)
    )
    return dataclasses.replace(real, label=label, stop_lsn=Lsn(stop), stop_time=None)


def surveyed_with(archive: Path, *backups: Backup | BrokenBackup) -> Surveyed:
    """A survey of an archive as if these had been found beside it."""
    with IndexCache() as cache:
        found = survey_archive(WalArchive(archive), None, Means(cache, processes=1))
    usable = [one for one in backups if isinstance(one, Backup)]
    return dataclasses.replace(
        found, backups=backups, coverage=coverage(found.known, marks_of(usable))
    )


def seen(lsn: int) -> Aim:
    return Aim(XID, XID, 5, Lsn(lsn), reached=True)


def reasons(surveyed: Surveyed, aim: Aim, timeline: int | None = None) -> list[str]:
    followed = TimelineId(timeline) if timeline else None
    return [one.why_not for one in candidates(surveyed, aim, followed)]


def test_the_newest_backup_before_the_target_is_chosen(real: Backup) -> None:
    old = backup_at(real, 0x2000028, 0x20000F8)
    newer = backup_at(real, 0x3000028, 0x30000F8)
    late = backup_at(real, 0x4100028, 0x41000F8)
    surveyed = surveyed_with(PG96 / "archive", old, newer, late)
    aim = seen(0x40DBE00)
    assert reasons(surveyed, aim) == [
        "",
        "",
        "it ended at 0/41000F8, behind the target at 0/40DBE00",
    ]
    assert best(candidates(surveyed, aim)) is newer
    assert best(candidates(surveyed, seen(0x30000F8))) is newer  # it ends just there
    assert best(candidates(surveyed, seen(0x30000F7))) is old
    assert best(candidates(surveyed, seen(0x2000050))) is None
    assert best(candidates(surveyed, Aim(Latest(), Latest()))) is late


def test_broken_and_foreign_backups_say_so(real: Backup) -> None:
    foreign = dataclasses.replace(backup_at(real, 0x2000028, 0x20000F8), system_identifier=7)
    broken = BrokenBackup(PG96, PitrError("its label is gone"))
    surveyed = surveyed_with(PG96 / "archive", broken, foreign)
    assert reasons(surveyed, seen(0x40DBE00)) == [
        "it cannot be used: its label is gone",
        "it is of another cluster (system identifier 7)",
    ]
    assert first_backup(surveyed) is None


def test_a_gap_on_the_way_is_named(real: Backup, tmp_path: Path) -> None:
    shutil.copytree(PG96 / "archive", tmp_path / "archive")
    (tmp_path / "archive" / "000000010000000000000003.zst").unlink()
    old = backup_at(real, 0x2000028, 0x20000F8)
    behind = backup_at(real, 0x4000028, 0x40000F8)
    surveyed = surveyed_with(tmp_path / "archive", old, behind)
    assert reasons(surveyed, seen(0x40DBE00)) == [
        "its WAL ends before the target: 000000010000000000000003 is missing",
        "",
    ]
    assert reasons(surveyed, seen(0x2000200))[0] == ""


def test_a_backup_whose_own_wal_is_missing_serves_nothing(real: Backup, tmp_path: Path) -> None:
    shutil.copytree(PG96 / "archive", tmp_path / "archive")
    (tmp_path / "archive" / "000000010000000000000002.zst").unlink()
    surveyed = surveyed_with(tmp_path / "archive", backup_at(real, 0x2000028, 0x20000F8))
    assert (
        "000000010000000000000002 is missing" in reasons(surveyed, Aim(Immediate(), Immediate()))[0]
    )


def test_a_backup_of_another_branch_does_not_lead_there(real: Backup) -> None:
    surveyed = surveyed_with(PG96 / "archive", backup_at(real, 0x3000028, 0x30000F8, 2))
    assert reasons(surveyed, seen(0x40DBE00), timeline=1) == ["it is not on the way to timeline 1"]


def test_a_time_that_the_wal_does_not_tell_is_held_against_the_clock(real: Backup) -> None:
    surveyed = surveyed_with(PG96 / "archive", real)
    ended = ended_at(real)
    assert ended == datetime(2026, 11, 22, 15, 21, 2, tzinfo=UTC)
    early = AtTime(datetime(2026, 11, 22, 15, 21, 1, tzinfo=UTC))
    assert reasons(surveyed, Aim(early, early)) == ["it ended after the target"]
    late = AtTime(datetime(2026, 11, 22, 16, tzinfo=UTC))
    assert reasons(surveyed, Aim(late, late)) == [""]


def test_a_branch_that_was_left_behind_is_not_followed(real: Backup) -> None:
    surveyed = surveyed_with(PG96 / "archive", backup_at(real, 0x2000028, 0x20000F8))
    (window,) = surveyed.coverage.windows
    assert window.end_time is not None
    tried = dataclasses.replace(
        window, timeline=TimelineId(2), end_time=window.end_time - timedelta(minutes=5)
    )
    failed_over = dataclasses.replace(tried, end_time=window.end_time + timedelta(minutes=5))
    for other, followed in ((tried, 1), (failed_over, 2)):
        windows = dataclasses.replace(surveyed.coverage, windows=(window, other))
        assert main_timeline(dataclasses.replace(surveyed, coverage=windows)) == followed
