"""Between what is typed and what PostgreSQL is told; and the way through the steps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pitr_tui.errors import UsageError
from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.state import RunView
from pitr_tui.repositories.backups import Backup, BackupFormat
from pitr_tui.tui import way
from pitr_tui.tui.screens import aim
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.timeline import rows_of

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def backup(number: int, ended: str | None) -> Backup:
    """A backup that starts in the segment of this number."""
    segment = WalSegment(TimelineId(1), number)
    label = BackupLabel(
        start_lsn=segment.start + 40,
        start_file=segment.name,
        checkpoint_lsn=segment.start + 96,
        start_time="2026-11-22 10:00:00 UTC",
        label="pitr",
        timeline=TimelineId(1),
        from_standby=False,
        incremental=False,
    )
    return Backup(
        path=Path(f"/backups/{number}"),
        format=BackupFormat.PLAIN,
        version=PostgresVersion.parse("18"),
        system_identifier=7,
        label=label,
        total_bytes=1,
        restored_bytes=1,
        segment_size=segment.size,
        stop_lsn=segment.start + 300,
        stop_time=ended,
    )


OLD = backup(5, "2026-11-22 10:00:05 UTC")
NEW = backup(9, "2026-11-22 14:00:05 UTC")


@pytest.mark.parametrize(
    ("kind", "text", "inclusive", "target"),
    [
        ("time", "14:35", True, AtTime(datetime(2026, 11, 22, 13, 35, tzinfo=UTC))),
        ("time", "14:35 UTC", False, AtTime(datetime(2026, 11, 22, 14, 35, tzinfo=UTC), False)),
        ("time", "10 min ago", True, AtTime(NOW - timedelta(minutes=10))),
        ("xid", " 728 ", False, AtXid(728, False)),
        ("lsn", "0/3002448", True, AtLsn(Lsn.parse("0/3002448"))),
        ("name", "before [/release]", True, AtName("before [/release]")),
        ("immediate", "", True, Immediate()),
        ("latest", "", True, Latest()),
    ],
)
def test_what_is_typed_becomes_a_target(
    kind: str, text: str, inclusive: bool, target: RecoveryTarget
) -> None:
    assert aim.read_target(kind, text, inclusive, BERLIN, NOW) == target


@pytest.mark.parametrize(
    ("kind", "text"),
    [("time", "half past two"), ("xid", "0x12"), ("xid", "²"), ("xid", "1"), ("lsn", "12")],
)
def test_nonsense_is_refused_in_words(kind: str, text: str) -> None:
    with pytest.raises(UsageError):
        aim.read_target(kind, text, True, BERLIN, NOW)


@pytest.mark.parametrize(
    "target",
    [AtTime(NOW), AtTime(NOW, False), AtXid(9), AtLsn(Lsn(9)), AtName("x"), Immediate(), Latest()],
)
def test_every_target_says_what_is_kept_and_what_is_lost(target: RecoveryTarget) -> None:
    keep, lose = aim.keep_and_lose(target, BERLIN)
    assert keep
    assert lose
    assert keep != lose


def test_the_words_for_a_time_name_the_zone() -> None:
    keep, _ = aim.keep_and_lose(AtTime(NOW), BERLIN)
    assert keep == "everything committed up to 2026-11-22 16:00:00.000000+0100"


@pytest.mark.parametrize(
    ("target", "chosen"),
    [
        (AtTime(datetime(2026, 11, 22, 14, 30, tzinfo=UTC)), NEW),
        (AtTime(datetime(2026, 11, 22, 13, 30, tzinfo=UTC)), OLD),
        (AtTime(datetime(2026, 11, 22, 9, 30, tzinfo=UTC)), None),
        (AtLsn(WalSegment(TimelineId(1), 7).start), OLD),
        (AtLsn(Lsn(1)), None),
        (Latest(), NEW),
    ],
)
def test_the_newest_backup_before_the_target(target: RecoveryTarget, chosen: Backup | None) -> None:
    assert aim.newest_before([OLD, NEW], target) == chosen


def test_a_backup_whose_zone_nobody_knows_is_not_judged_by_time() -> None:
    vague = replace(OLD, stop_time="2026-11-22 10:00:05 CEST")
    assert aim.ended_at(vague) is None
    assert aim.reaches(vague, AtTime(datetime(2020, 1, 1, tzinfo=UTC)))


def test_an_untrusted_zone_of_the_server_falls_back_to_utc_and_says_so() -> None:
    zone, name = aim.server_zone("<+03>-03")
    assert zone is UTC
    assert "UTC" in name
    assert "<+03>-03" in name


def test_each_step_waits_for_the_one_before() -> None:
    session = Session()
    assert way.obstacle(session, WizardStep.CONNECT) is None
    assert way.obstacle(session, WizardStep.VERIFY) == "no primary is connected"
    session.primary_is_down = True
    session.archive_directory = Path("/archive")
    session.backup = OLD
    assert way.obstacle(session, WizardStep.TARGET) is None
    assert way.obstacle(session, WizardStep.PLAN) == "the target is not chosen"
    session.passed.add(WizardStep.TARGET)
    assert way.obstacle(session, WizardStep.PLAN) is None
    assert way.obstacle(session, WizardStep.RECOVER) == "there is no plan"


def test_a_plan_is_forgotten_but_not_while_it_runs() -> None:
    session = Session(passed={WizardStep.PLAN}, run=RunView())
    way.forget_plan(session)
    assert WizardStep.PLAN in session.passed
    session.run = None
    way.forget_plan(session)
    assert WizardStep.PLAN not in session.passed


def test_the_timeline_marks_backups_and_gaps() -> None:
    segments = [WalSegment(TimelineId(1), number) for number in (5, 6, 8, 9, 10)]
    marks, wal, ends = [row.plain for row in rows_of([OLD, NEW], segments, 24)]
    assert marks[10:] == "◆" + " " * 15 + "◆" + " " * 7
    assert wal[10:] == "████" * 2 + "░░░░" + "████" * 3
    assert "0/5000000" in ends
    assert "0/B000000" in ends


def test_a_small_gap_shows_even_where_a_column_is_many_segments() -> None:
    segments = [WalSegment(TimelineId(1), number) for number in range(1_000) if number != 500]
    _, wal, _ = [row.plain for row in rows_of([], segments, 60)]
    assert wal.count("░") == 1
    assert wal.count("█") == 59
