"""Where a server would stop, held against the WAL: seen, not seen, and never there."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.recovery.checks import Evidence, Light, judge
from pitr_tui.recovery.events import Status
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.record import Locator
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.transactions import Kind
from pitr_tui.wal.xlog import BackupEnd, RestorePoint
from tests.local import on_disk
from tests.unit.made import backup_value, label_text, make_plan, segment
from tests.unit.made_checks import (
    NOON,
    NOW,
    START,
    after_noon,
    at,
    check_of,
    chronicle_of,
    ended,
    good_plan,
    happened,
    judged,
    names_with,
    seen,
    surveyed,
    with_backup,
)

POINT = happened(3, RestorePoint("before the release", 0))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (AtXid(702, inclusive=False), "after xid 701 (0/300100) and before xid 702 (0/300200)"),
        (AtXid(704), "after xid 704 (0/300400)"),
        (after_noon(1), "after xid 701 (0/300100) and before xid 702 (0/300200)"),
        (after_noon(2, inclusive=False), "before xid 702 (0/300200)"),
        (AtLsn(at(2)), "before xid 704"),
        (AtName("before the release"), "at the restore point, 0/300300"),
    ],
)
def test_a_target_that_was_seen_is_green(
    tmp_path: Path, target: RecoveryTarget, words: str
) -> None:
    judgement = judged(good_plan(tmp_path, target), ended(1), ended(2), POINT, ended(4))
    assert judgement.light is Light.GREEN, names_with(judgement, Status.WARNING)
    assert words in judgement.sentence
    assert judgement.alternative is None


@pytest.mark.parametrize(
    "target",
    [
        *(AtXid(702), after_noon(1), AtLsn(at(2)), AtName("before the release")),
        *(Latest(), Immediate()),
    ],
)
def test_without_the_wal_no_target_is_green(tmp_path: Path, target: RecoveryTarget) -> None:
    plan = good_plan(tmp_path, target)
    for evidence in (Evidence(), Evidence(surveyed(plan))):
        judgement = judge(plan, NOW, evidence)
        assert judgement.light is Light.AMBER
        assert check_of(judgement, "target").status is Status.WARNING


@pytest.mark.parametrize("target", [Latest(), Immediate()])
def test_why_the_wal_was_not_read_is_told(tmp_path: Path, target: RecoveryTarget) -> None:
    plan = good_plan(tmp_path, target)
    judgement = judge(plan, NOW, Evidence(surveyed(plan), why_unread="it was too much"))
    assert judgement.sentence == (
        f"target: {target}: it was too much, so replay will show whether it can be"
    )


@pytest.mark.parametrize(
    ("target", "light"),
    [
        (at(2) - 8, Light.AMBER),  # nothing is known to begin before the commit of 702
        (at(2), Light.GREEN),
        (at(2) + 8, Light.GREEN),  # 703 has a record before it ends
        (at(3) - 0x80, Light.GREEN),
        (at(3) - 0x7F, Light.AMBER),
        (at(3) + 0x40, Light.GREEN),  # something else begins where 703 ends
        (at(4) - 8, Light.AMBER),
    ],
)
def test_a_position_at_which_no_record_begins(tmp_path: Path, target: int, light: Light) -> None:
    """An inclusive one keeps the next record, too, and that may be a commit."""
    items = (ended(1), ended(2, begun=0), ended(3), ended(4, begun=0))
    plan = good_plan(tmp_path, AtLsn(Lsn(target)))
    judgement = judged(plan, *items)
    assert judgement.light is light, judgement.sentence
    if light is Light.AMBER:
        assert f"no record is known to begin at {Lsn(target)}" in judgement.sentence
        assert "--exclusive" in check_of(judgement, "target").hint
    plan = dataclasses.replace(plan, target=AtLsn(Lsn(target), inclusive=False))
    assert judged(plan, *items).light is Light.GREEN


@pytest.mark.parametrize(("epoch", "light"), [(0, Light.GREEN), (1, Light.RED)])
def test_a_transaction_of_another_epoch(tmp_path: Path, epoch: int, light: Light) -> None:
    plan = good_plan(tmp_path, AtXid(701))
    evidence = dataclasses.replace(seen(plan, ended(1)), full_xid=(epoch << 32) + 701)
    judgement = judge(plan, NOW, evidence)
    assert judgement.light is light
    if light is Light.RED:
        assert "transaction 4294967997 is not in the WAL" in judgement.sentence


@pytest.mark.parametrize("target", [Immediate(), Latest()])
@pytest.mark.parametrize("kind", [Ending.UNWRITTEN, Ending.DAMAGED])
def test_wal_that_ends_before_the_backup_does(
    tmp_path: Path, target: RecoveryTarget, kind: Ending
) -> None:
    """The files go on, but what is written in them does not."""
    plan = good_plan(tmp_path, target)
    told = chronicle_of(Unread(Lsn(START + 0x40), None, kind, "no record was written here"))
    judgement = judge(plan, NOW, seen(plan, chronicle=told))
    check = check_of(judgement, "end of backup")
    assert check.status is Status.FAILURE
    assert "can be read to 0/200068 alone" in check.evidence
    assert "no record was written here" in check.evidence


def test_a_time_behind_the_last_transaction_is_amber_with_an_alternative(tmp_path: Path) -> None:
    judgement = judged(good_plan(tmp_path, after_noon(3.6)), ended(1), ended(2))
    assert judgement.light is Light.AMBER
    assert judgement.sentence == (
        "reachable up to 2026-11-22 14:50:02.000000+00 (commit of xid 702 at 0/300200); "
        "you asked for 1.6 s more"
    )
    assert judgement.alternative is not None
    assert judgement.alternative.target == AtXid(702)


def test_no_alternative_lies_before_the_end_of_the_backup(tmp_path: Path) -> None:
    early = ended(1, lsn=Lsn(START + 0x40))
    judgement = judged(good_plan(tmp_path, after_noon(9)), early, POINT)
    assert judgement.light is Light.AMBER
    assert judgement.alternative is None


@pytest.mark.parametrize(
    ("target", "light", "words"),
    [
        (AtName("never set"), Light.RED, "no restore point 'never set' is in the WAL"),
        (AtXid(703), Light.RED, "703 did not end in the WAL that is here, and later ones did"),
        (AtXid(699), Light.RED, "transaction 699 ended before this backup began, or never"),
        (AtXid(705), Light.AMBER, "transaction 705 is not in the WAL"),
        (AtXid(720), Light.AMBER, "transaction 720 has begun at 0/302F80 and not ended"),
        (AtXid(721), Light.RED, "transaction 721 never ended: the server that ran it went down"),
        (AtXid(790), Light.RED, "790 is a subtransaction"),
        (AtLsn(at(200)), Light.AMBER, "is not in the WAL"),
    ],
)
def test_a_record_that_is_not_there(
    tmp_path: Path, target: RecoveryTarget, light: Light, words: str
) -> None:
    items = (
        ended(1),
        ended(2, subxids=(790,)),
        ended(4),
        ended(48, xid=720, kind=Kind.IN_PROGRESS),
        ended(49, xid=721, kind=Kind.CUT_OFF),
    )
    judgement = judged(good_plan(tmp_path, target), *items)
    assert judgement.light is light
    assert words in check_of(judgement, "target").evidence
    assert (judgement.alternative is None) == (target == AtXid(699))


@pytest.mark.parametrize("target", [AtName("later"), Latest()])
def test_what_was_not_read_to_its_end_proves_nothing(
    tmp_path: Path, target: RecoveryTarget
) -> None:
    plan = good_plan(tmp_path, target)
    evidence = seen(plan, chronicle=chronicle_of(ended(1), finished=False))
    assert judge(plan, NOW, evidence).light is Light.AMBER


@pytest.mark.parametrize("chronicle", ["behind the start", "of another timeline"])
def test_wal_of_another_way_proves_nothing(tmp_path: Path, chronicle: str) -> None:
    plan = good_plan(tmp_path, AtXid(702))
    told = chronicle_of(ended(1), ended(2), start=START)
    if chronicle == "behind the start":
        told = dataclasses.replace(told, start=Lsn(START + 1))
    else:
        told = dataclasses.replace(told, timeline=type(told.timeline)(2))
    judgement = judge(plan, NOW, seen(plan, chronicle=told))
    assert judgement.light is Light.AMBER


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (AtXid(701, inclusive=False), Status.FAILURE),  # it ends before the backup does
        (AtXid(702, inclusive=False), Status.OK),
        (AtTime(NOON), Status.FAILURE),
        (AtLsn(Lsn.parse("0/200040")), Status.FAILURE),
        (AtLsn(Lsn.parse("0/20011F"), inclusive=False), Status.FAILURE),
        (AtLsn(Lsn.parse("0/2000E1")), Status.WARNING),  # perhaps behind its last record
        (AtLsn(Lsn.parse("0/200120"), inclusive=False), Status.OK),
        (AtName("early"), Status.FAILURE),
    ],
)
def test_a_stop_before_the_end_of_the_backup(
    tmp_path: Path, target: RecoveryTarget, status: Status
) -> None:
    early = happened(0, RestorePoint("early", 0))._replace(lsn=Lsn(START + 0x80))
    items = (ended(1, lsn=Lsn(START + 0x40)), early, ended(2), ended(3))
    judgement = judged(good_plan(tmp_path, target), *items)
    assert check_of(judgement, "end of backup").status is status


def test_a_quiet_time_within_the_backup_is_reached(tmp_path: Path) -> None:
    """Nothing ended between the target and the end of the backup: it stops behind that."""
    began = datetime(2026, 11, 22, 14, 43, 40, 500_000, tzinfo=UTC)
    judgement = judged(good_plan(tmp_path, AtTime(began)), ended(1), ended(2))
    assert judgement.light is Light.GREEN


@pytest.mark.parametrize(
    ("start", "lsn", "light"),
    [
        (START, START + 0x100000, Light.RED),  # what ended before the backup is not known
        (START - 0x80000, START - 0x1000, Light.RED),  # that transaction is in the backup
        (START - 0x80000, START + 0x100000, Light.GREEN),  # nothing ended between
    ],
)
def test_a_time_before_the_backup_began(tmp_path: Path, start: int, lsn: int, light: Light) -> None:
    """The backup has what was committed before it: only the WAL before it can tell otherwise."""
    target = AtTime(datetime(2026, 11, 22, 14, 43, 39, tzinfo=UTC))
    plan = good_plan(tmp_path, target)
    items = (ended(1, lsn=Lsn(lsn)), ended(2, lsn=Lsn(START + 0x110000)))
    told = chronicle_of(*items, start=Lsn(start))
    assert judge(plan, NOW, seen(plan, chronicle=told)).light is light


def test_the_wal_tells_where_a_backup_ended(tmp_path: Path) -> None:
    plan = with_backup(good_plan(tmp_path, AtXid(702)), stop_lsn=None)
    told = judge(plan, NOW, seen(plan, ended(1), ended(2)))
    assert check_of(told, "end of backup").status is Status.WARNING
    told = judged(plan, happened(0, BackupEnd(START)), ended(1), ended(2))
    assert check_of(told, "end of backup").evidence == "consistent from 0/300040 on"
    assert told.light is Light.GREEN


def test_the_clock_matters_for_times_alone(tmp_path: Path) -> None:
    items = (ended(1), ended(2, seconds=60), ended(3, seconds=10), ended(4, seconds=70))
    plan = good_plan(tmp_path, after_noon(20))
    judgement = judged(plan, *items)
    assert judgement.light is Light.AMBER
    assert "1 commit behind it have an earlier time" in check_of(judgement, "clock").evidence
    plan = dataclasses.replace(plan, target=after_noon(65))
    judgement = judged(plan, *items)
    assert check_of(judgement, "clock").status is Status.NOTE
    assert judgement.light is Light.GREEN
    plan = dataclasses.replace(plan, target=AtXid(701))
    assert not [one for one in judged(plan, *items).checks if one.name == "clock"]
    plan = dataclasses.replace(plan, target=after_noon(1))
    assert check_of(judged(plan, ended(1), ended(2)), "clock").status is Status.OK


@pytest.mark.parametrize(
    ("target", "told"),
    [(AtXid(702, inclusive=False), True), (AtXid(701), False), (AtXid(702), False)],
)
def test_the_locks_before_which_replay_stops_are_told(
    tmp_path: Path, target: RecoveryTarget, told: bool
) -> None:
    dropped = ended(2)._replace(dropped=(Locator(1663, 5, 16384),))
    judgement = judged(good_plan(tmp_path, target), ended(1), dropped, ended(3))
    assert judgement.light is Light.GREEN
    assert ("locked" in names_with(judgement, Status.NOTE)) == told


def test_prepared_transactions_are_told(tmp_path: Path) -> None:
    waiting = ended(1, kind=Kind.PREPARE, gid="order 1")
    plan = good_plan(tmp_path, AtXid(702))
    check = check_of(judged(plan, waiting, ended(2), ended(3)), "prepared")
    assert check.status is Status.NOTE
    assert "1 prepared transaction will be there" in check.evidence
    assert "'order 1'" in check.evidence


@pytest.mark.parametrize(
    ("time", "status", "words"),
    [
        (NOW + timedelta(minutes=6), Status.FAILURE, "lies in the future"),
        (NOW + timedelta(minutes=4), Status.WARNING, "needs a transaction after it"),
    ],
)
def test_a_time_in_the_future(tmp_path: Path, time: datetime, status: Status, words: str) -> None:
    plan = good_plan(tmp_path, AtTime(time))
    touch(on_disk(plan.archive.directory) / segment(4).name, NOW + timedelta(minutes=5))
    check = check_of(judge(plan, NOW), "target")
    assert check.status is status
    assert words in check.evidence


def touch(path: Path, time: datetime) -> None:
    os.utime(path, (time.timestamp(), time.timestamp()))


def test_a_time_behind_the_last_archived_segment(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, AtTime(NOON + timedelta(minutes=5)))
    touch(on_disk(plan.archive.directory) / segment(4).name, NOON)
    check = check_of(judge(plan, NOW), "target")
    assert check.status is Status.WARNING
    assert "was archived before it, at 2026-11-22 14:50:00.000000+00" in check.evidence


def test_a_backup_whose_clock_has_an_unknown_zone_is_not_guessed(tmp_path: Path) -> None:
    label = BackupLabel.parse(label_text().replace("UTC", "EST"))
    backup = backup_value(tmp_path / "backup", label=label, stop_time=None)
    early = AtTime(datetime(2026, 11, 22, 1, tzinfo=UTC))
    plan = dataclasses.replace(good_plan(tmp_path, early), backup=backup)
    assert check_of(judge(plan, NOW), "target").status is Status.WARNING


@pytest.mark.parametrize(
    ("lsn", "words"),
    [("0/500000", "the WAL was not read"), ("0/500001", "behind the end of the archive")],
)
def test_a_position_is_held_against_the_last_segment(tmp_path: Path, lsn: str, words: str) -> None:
    plan = make_plan(
        tmp_path, target=AtLsn(Lsn.parse(lsn)), archive=good_plan(tmp_path / "").archive
    )
    check = check_of(judge(plan, NOW), "target")
    assert check.status is Status.WARNING
    assert words in check.evidence
