"""Between what is typed and what PostgreSQL is told; and the way through the steps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
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
from pitr_tui.recovery.choice import best, ended_at, unseen_candidates
from pitr_tui.recovery.state import RunView
from pitr_tui.repositories.backups import Backup, BackupFormat
from pitr_tui.tui import way
from pitr_tui.tui.screens import aim
from pitr_tui.tui.screens.decision import Ground, Sure, decide
from pitr_tui.tui.screens.zones import Zone, choices, server_zone
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.wal.aim import aim_at
from tests.tui import stories

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


HALF_PAST = datetime(2026, 11, 22, 13, 35, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("14:35", AtTime(HALF_PAST)),
        ("before 14:35", AtTime(HALF_PAST, False)),
        ("up to 14:35", AtTime(HALF_PAST)),
        ("yesterday 14:35", AtTime(HALF_PAST - timedelta(days=1))),
        ("  14:35   UTC ", AtTime(HALF_PAST + timedelta(hours=1))),
        ("2026-11-22 14:35:02.117+01", AtTime(HALF_PAST.replace(second=2, microsecond=117_000))),
        ("10 min ago", AtTime(NOW - timedelta(minutes=10))),
        (" 728 ", AtXid(728, False)),
        ("xid 728", AtXid(728, False)),
        ("just after 728", AtXid(728)),
        ("Transaction 728", AtXid(728, False)),
        (str((1 << 32) + 728), AtXid(728, False)),
        ("0/3002448", AtLsn(Lsn.parse("0/3002448"), False)),
        ("after lsn 0/3002448", AtLsn(Lsn.parse("0/3002448"))),
        ("before [/release]", AtName("before [/release]")),
        ("restore point not yet read", AtName("not yet read")),
        ("name '14:35'", AtName("14:35")),
        ("end of backup", Immediate()),
        ("Latest", Latest()),
    ],
)
def test_what_is_typed_becomes_a_target(text: str, target: RecoveryTarget) -> None:
    names = ["before [/release]", "728th"]
    assert aim.read_target(text, BERLIN, NOW, names).target == target


@pytest.mark.parametrize("text", ["", "half past two", "0x12", "²", "1", "12/", "-5", "xid", "\0"])
def test_nonsense_is_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError):
        aim.read_target(text, BERLIN, NOW)


def test_a_name_that_is_a_number_is_not_guessed_at() -> None:
    with pytest.raises(UsageError, match="too"):
        aim.read_target("728", UTC, NOW, ["728"])
    assert aim.read_target("restore point 728", UTC, NOW, ["728"]).target == AtName("728")
    assert aim.read_target("xid 728", UTC, NOW, ["728"]).target == AtXid(728, False)


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(UsageError) as caught:
        aim.read_target("release", UTC, NOW, ["before_release"])
    assert "before_release" in caught.value.hint


def test_of_64_bits_all_have_to_be_right() -> None:
    told = stories.accident()
    told.full_xids[:] = told.xids.astype(np.int64) + (3 << 32)
    good, other = (aim.read_target(str(728 + (epoch << 32)), UTC, NOW) for epoch in (3, 2))
    good.require_in(told)
    good.require_in(None)
    with pytest.raises(UsageError, match="not in the WAL"):
        other.require_in(told)


def test_a_time_is_echoed_in_every_zone() -> None:
    zones = choices("Europe/Berlin", Zone(ZoneInfo("Asia/Tokyo"), "Asia/Tokyo", "mine"), NOW)
    said = aim.echo(AtTime(HALF_PAST), zones, NOW)
    assert "13:35:00 UTC" in said
    assert "14:35:00+0100 the server's" in said
    assert "22:35:00+0900 mine" in said
    assert "1 h 25 min ago" in said


def test_zones_that_are_the_same_are_named_once() -> None:
    mine = Zone(ZoneInfo("Europe/Vienna"), "Europe/Vienna", "mine")
    found = choices("Europe/Berlin", mine, NOW)
    assert [one.whose for one in found] == ["the server's and mine", ""]
    assert [str(one) for one in choices(None, mine, NOW)] == ["UTC", "Europe/Vienna (mine)"]


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
    assert best(unseen_candidates([OLD, NEW], target)) == chosen


def test_a_backup_whose_zone_nobody_knows_is_not_judged_by_time() -> None:
    vague = replace(OLD, stop_time="2026-11-22 10:00:05 CEST")
    assert ended_at(vague) is None
    early = AtTime(datetime(2020, 1, 1, tzinfo=UTC))
    assert best(unseen_candidates([vague], early)) == vague


def test_only_while_a_job_reads_more_can_be_found() -> None:
    told, later = stories.accident(finished=False, seconds=600), AtTime(NOW + timedelta(days=1))
    ground = Ground(None, told, None, OLD, [OLD], reads=True)
    assert decide(ground, lambda since: aim_at(told, later, since)).sure is Sure.OPEN
    left = decide(replace(ground, reads=False), lambda since: aim_at(told, later, since))
    assert left.sure is Sure.UNPROVEN
    assert left.words == f"only read up to {told.end}: F5 reads on"


def test_an_untrusted_zone_of_the_server_falls_back_to_utc_and_says_so() -> None:
    zone, name = server_zone("<+03>-03")
    assert zone is UTC
    assert "UTC" in name
    assert "<+03>-03" in name


def test_each_step_waits_for_the_one_before() -> None:
    session = Session()
    assert way.obstacle(session, WizardStep.CONNECT) is None
    assert "no primary is connected" in (way.obstacle(session, WizardStep.VERIFY) or "")
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
