"""The way through the archive: whose it is, without a gap, along the right branch, delivered."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtXid, Immediate, Latest, RecoveryTarget
from pitr_tui.recovery.checks import Evidence, Judgement, Light, fitted, judge
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Unread
from tests.local import on_disk
from tests.unit.made import (
    SYSTEM,
    backup_value,
    make_archive,
    make_plan,
    plain_backup,
    segment,
    segment_bytes,
)
from tests.unit.made_checks import (
    NOW,
    check_of,
    chronicle_of,
    ended,
    good_backup,
    good_plan,
    judged,
    seen,
    surveyed,
)


def checked(plan: RecoveryPlan, name: str) -> CheckDone:
    return check_of(judge(plan, NOW), name)


def branched(tmp_path: Path, fork: str) -> WalArchive:
    """Timeline 2 goes on from segment 4 to 7, its parent to 9."""
    archive = make_archive(
        tmp_path / "branched",
        *(segment(n) for n in (2, 3, 4, 5, 6, 7, 8, 9)),
        *(segment(n, timeline=2) for n in (4, 5, 6, 7)),
    )
    (tmp_path / "branched" / "00000002.history").write_text(f"1\t{fork}\tx\n")
    return archive


def on(plan: RecoveryPlan, timeline: int) -> RecoveryPlan:
    return dataclasses.replace(plan, timeline=TimelineId(timeline))


def quick(plan: RecoveryPlan) -> Judgement:
    """With the heads of the segments alone."""
    return judge(plan, NOW, Evidence(surveyed(plan)))


def test_an_archive_that_is_older_than_the_backup(tmp_path: Path) -> None:
    """Its end is no end to recover to; to the backup's own end nothing of it is needed."""
    archive = make_archive(tmp_path / "old", segment(0), segment(1))
    check = check_of(quick(good_plan(tmp_path, archive=archive)), "wal")
    assert check.status is Status.FAILURE
    assert f"ends with {segment(1).name}, and the backup needs {segment(2).name}" in check.evidence
    judgement = quick(good_plan(tmp_path, Immediate(), archive=archive))
    assert check_of(judgement, "wal").status is Status.NOTE
    assert judgement.light is Light.GREEN
    judgement = quick(good_plan(tmp_path, AtXid(700), archive=archive))
    assert check_of(judgement, "wal").status is Status.WARNING


@pytest.mark.parametrize("look", [quick, lambda plan: judge(plan, NOW)])
def test_an_archive_of_another_cluster(tmp_path: Path, look: object) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / segment(1).name).write_bytes(segment_bytes(segment(1), system=1))
    plan = good_plan(tmp_path, Immediate(), archive=WalArchive(tmp_path / "other"))
    check = check_of(look(plan), "wal")  # type: ignore[operator]
    assert check.status is Status.FAILURE
    assert "is another cluster's" in check.evidence


def test_two_clusters_in_one_archive(tmp_path: Path) -> None:
    """The strangers are passed over where they are in nobody's way."""
    plan = good_plan(tmp_path)
    archive = on_disk(plan.archive.directory)
    (archive / segment(1).name).write_bytes(segment_bytes(segment(1), system=1))
    judgement = judged(plan, ended(1))
    assert judgement.light is Light.GREEN
    check = check_of(judgement, "contents")
    assert check.status is Status.NOTE
    assert f"the first of them {segment(1).name} (foreign)" in check.evidence


def test_a_branch_that_left_before_the_backup(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, archive=branched(tmp_path, "0/100000"), timeline=2)
    check = checked(plan, "timeline")
    assert check.status is Status.FAILURE
    assert "does not contain the backup" in check.evidence


def test_a_branch_that_is_not_followed_is_told(tmp_path: Path) -> None:
    archive = branched(tmp_path, "0/480000")
    own, other = (make_plan(tmp_path, archive=archive, timeline=t) for t in (1, 2))
    assert checked(own, "timeline").status is Status.NOTE
    assert "the archive also has 2" in checked(own, "timeline").evidence
    assert checked(other, "timeline").status is Status.OK


@pytest.mark.parametrize(
    ("held", "status", "words"),
    [
        ((2, 3, 4), Status.OK, "3 segments from 000000010000000000000002 on, without a gap"),
        ((1, 2), Status.OK, "1 segment from"),
        (
            (2, 3, 6, 7),
            Status.FAILURE,
            "then 000000010000000000000004 is missing (from 0/400000 on), so that 2 later ones",
        ),
        ((3, 4), Status.FAILURE, "neither in the archive nor in the backup"),
        ((), Status.FAILURE, "neither in the archive nor in the backup"),
    ],
)
def test_the_chain(tmp_path: Path, held: tuple[int, ...], status: Status, words: str) -> None:
    archive = make_archive(tmp_path / "held", *map(segment, held))
    plan = make_plan(tmp_path, archive=archive)
    for judgement in (judge(plan, NOW), quick(plan)):
        (check,) = (one for one in judgement.checks if one.name in ("no gap", "wal"))
        assert check.status is status
        assert words in check.evidence


def test_the_backups_own_wal_fills_a_gap(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, archive=make_archive(tmp_path / "held", segment(3), segment(4)))
    for judgement in (judge(plan, NOW), quick(plan)):
        check = check_of(judgement, "no gap")
        assert check.evidence == "3 segments from 000000010000000000000002 on, without a gap"


def test_a_segment_that_was_only_begun_counts(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "held", segment(2))
    (tmp_path / "held" / f"{segment(3).name}.partial").write_bytes(segment_bytes(segment(3)))
    check = check_of(quick(make_plan(tmp_path, archive=archive)), "no gap")
    assert check.status is Status.OK
    assert check.evidence.endswith("without a gap, the last one not finished")


@pytest.mark.parametrize(
    ("target", "light"),
    [
        (AtXid(701), Light.GREEN),  # before the gap, which is in nobody's way
        (AtXid(703), Light.RED),
        (Latest(), Light.RED),
        (AtXid(709), Light.RED),  # nowhere before it
    ],
)
def test_a_gap_matters_for_what_lies_behind(
    tmp_path: Path, target: RecoveryTarget, light: Light
) -> None:
    archive = make_archive(tmp_path / "archive", segment(2), segment(3), segment(5))
    plan = good_plan(tmp_path, target, archive=archive)
    items = (
        ended(1),
        Unread(Lsn(0x400000), Lsn(0x500000), Ending.CUT, f"{segment(4).name} is missing"),
        ended(3, lsn=Lsn(0x500100)),
    )
    judgement = judged(plan, *items)
    assert judgement.light is light
    assert segment(4).name in check_of(judgement, "no gap").evidence
    if light is Light.RED:
        assert judgement.alternative is not None
        stop = judgement.alternative
        assert (stop.target, stop.cut, stop.lsn) == (AtXid(701), 1, Lsn(0x300140))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("foreign", "is foreign: system identifier"),
        ("misnamed", "is misnamed: it holds the WAL from 0/200000, its name says 0/300000"),
        ("cut off", "is damaged: it has 524,288 bytes instead of 1,048,576"),
        ("zeros", "is damaged: it begins with zeros"),
    ],
)
def test_a_segment_that_is_not_what_its_name_says(tmp_path: Path, spoil: str, words: str) -> None:
    plan = good_plan(tmp_path)
    path = on_disk(plan.archive.directory) / segment(3).name
    whole = path.read_bytes()
    path.write_bytes(
        {
            "foreign": segment_bytes(segment(3), system=SYSTEM + 1),
            "misnamed": segment_bytes(segment(3), page=0x200000),
            "cut off": whole[: len(whole) // 2],
            "zeros": bytes(len(whole)),
        }[spoil]
    )
    judgement = quick(plan)
    check = check_of(judgement, "no gap")
    assert judgement.light is Light.RED
    assert f"{segment(3).name} {words}" in check.evidence


def test_no_server_may_read_ahead_into_a_bad_segment(tmp_path: Path) -> None:
    """From 15 on it asks for what lies behind the target, and is stopped by what is no good."""
    plan = good_plan(tmp_path, AtXid(701))
    path = on_disk(plan.archive.directory) / segment(4).name
    path.write_bytes(segment_bytes(segment(4), system=SYSTEM + 1))
    evidence = seen(plan, ended(1), ended(2))
    assert judge(plan, NOW, evidence).light is Light.AMBER
    fit = fitted(plan, evidence)
    assert fit.safe_settings()["recovery_prefetch"] == "off"
    judgement = judge(fit, NOW, evidence)
    assert judgement.light is Light.GREEN
    assert check_of(judgement, "no gap").status is Status.NOTE
    path.unlink()
    evidence = seen(plan, ended(1), ended(2))
    assert "recovery_prefetch" not in fitted(fit, evidence).safe_settings()


def test_names_alone_are_no_proof(tmp_path: Path) -> None:
    judgement = judge(good_plan(tmp_path, Immediate()), NOW)
    assert judgement.light is Light.AMBER
    assert check_of(judgement, "contents").status is Status.WARNING


def test_the_backups_own_end_has_to_be_there(tmp_path: Path) -> None:
    stop = Lsn(0x300120)
    archive = make_archive(tmp_path / "archive", segment(2))
    backup = good_backup(tmp_path / "backup", stop_lsn=stop)
    plan = make_plan(tmp_path, target=Immediate(), archive=archive, backup=backup)
    check = check_of(quick(plan), "no gap")
    assert check.status is Status.FAILURE
    assert f"the backup is consistent from {stop} on" in check.evidence
    make_archive(tmp_path / "archive", segment(3))
    assert judged(plan, ended(2)).light is Light.GREEN


@pytest.mark.parametrize(
    ("target", "status"), [(Latest(), Status.FAILURE), (AtXid(701), Status.NOTE)]
)
def test_damage_at_the_end_matters_for_the_end(
    tmp_path: Path, target: RecoveryTarget, status: Status
) -> None:
    plan = good_plan(tmp_path, target)
    told = chronicle_of(ended(1), ended(2))
    damage = Unread(Lsn(0x300300), None, Ending.DAMAGED, "the record's checksum is wrong")
    told = dataclasses.replace(told, ending=damage)
    check = check_of(judge(plan, NOW, seen(plan, chronicle=told)), "readable WAL")
    assert check.status is status
    assert "0/300300: the record's checksum is wrong" in check.evidence


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


def test_the_first_segment_of_another_cluster(tmp_path: Path) -> None:
    plan = good_plan(tmp_path)
    path = on_disk(plan.archive.directory) / segment(2).name
    path.write_bytes(segment_bytes(segment(2), system=SYSTEM + 1))
    check = checked(plan, "wal")
    assert check.status is Status.FAILURE
    assert "belongs to another cluster" in check.evidence


def test_only_the_wal_on_the_way_counts(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, archive=branched(tmp_path, "0/480000"), timeline=2)
    assert checked(plan, "no gap").evidence.startswith("6 segments from")
    assert check_of(quick(plan), "no gap").evidence.startswith("6 segments from")


def test_the_childs_own_copy_of_the_segment_with_the_fork_is_needed(tmp_path: Path) -> None:
    archive = branched(tmp_path, "0/480000")
    plan = make_plan(tmp_path, archive=archive, timeline=2)
    (tmp_path / "branched" / segment(4, timeline=2).name).unlink()
    check = checked(plan, "wal")
    assert check.status is Status.FAILURE
    assert f"{segment(4, timeline=2).name} is not in the archive" in check.evidence
    assert f"{segment(4, timeline=2).name} is missing" in check_of(quick(plan), "no gap").evidence


def test_a_branch_may_go_on_where_its_parent_ended(tmp_path: Path) -> None:
    archive = make_archive(
        tmp_path / "held", segment(2), segment(3), *(segment(n, timeline=2) for n in (3, 4, 5))
    )
    (tmp_path / "held" / "00000002.history").write_text("1\t0/380000\tx\n")
    plan = on(good_plan(tmp_path, archive=archive), 2)
    assert check_of(quick(plan), "no gap").status is Status.OK


def test_an_archive_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, Immediate())
    on_disk(plan.archive.directory).rename(tmp_path / "elsewhere")
    for name in ("timeline", "wal", "delivery"):
        assert checked(plan, name).status is Status.FAILURE
        assert "archive cannot be read" in checked(plan, name).evidence


def test_the_delivery_is_proved_by_the_script(tmp_path: Path) -> None:
    check = checked(good_plan(tmp_path), "delivery")
    assert check.status is Status.OK
    assert f"{segment(2).name} (1.0 MB in" in check.evidence
    assert "handed over by the restore command as" in check.evidence


@pytest.mark.parametrize(("code", "name"), [(255, segment(2).name), (1, segment(2).name)])
def test_a_delivery_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, name: str
) -> None:
    monkeypatch.setattr(LocalSecondary, "run_as_server", lambda *_: code)
    check = checked(good_plan(tmp_path), "delivery")
    assert check.status is Status.FAILURE
    assert f"for {name} it ended with {code}, and 0 was due" in check.evidence


def test_a_segment_that_cannot_be_delivered_is_told_by_the_delivery(tmp_path: Path) -> None:
    plan = good_plan(tmp_path)
    path = on_disk(plan.archive.directory) / segment(2).name
    path.write_bytes(path.read_bytes()[:-1])
    check = checked(plan, "delivery")
    assert check.status is Status.FAILURE
    assert "instead of 1,048,576" in check.evidence


def test_an_archive_without_a_segment_has_nothing_to_deliver(tmp_path: Path) -> None:
    plan = make_plan(
        tmp_path,
        target=Immediate(),
        archive=make_archive(tmp_path / "empty"),
        backup=backup_value(plain_backup(tmp_path / "backup")),
    )
    assert "delivery" not in [check.name for check in judge(plan, NOW).checks]
