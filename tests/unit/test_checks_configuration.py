"""What the secondary's server will be told, against what the WAL and the programs ask for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pitr_tui.postgres.target import AtXid
from pitr_tui.recovery.checks import Light, fitted, judge
from pitr_tui.recovery.events import Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.identity import IncludedFile
from pitr_tui.servers.installation import KNOWN_LIBRARY
from pitr_tui.wal.actions import TablespaceCreated
from tests.local import local
from tests.unit.made import write_files
from tests.unit.made_checks import (
    NOW,
    START,
    check_of,
    ended,
    good_plan,
    happened,
    judged,
    parameters,
    seen,
    with_backup,
)

OWN = {"max_connections": 100, "max_worker_processes": 8, "max_wal_senders": 10}
OWN |= {"max_prepared_transactions": 0, "max_locks_per_transaction": 64}


@pytest.fixture
def plan(tmp_path: Path) -> RecoveryPlan:
    return with_backup(good_plan(tmp_path, AtXid(702)), parameters=OWN)


def test_more_than_the_backup_has_is_red_until_the_plan_raises_it(plan: RecoveryPlan) -> None:
    raised = happened(1, parameters(max_connections=300, max_prepared_transactions=5))
    evidence = seen(plan, raised, ended(2), ended(3))
    judgement = judge(plan, NOW, evidence)
    assert judgement.light is Light.RED
    assert "needs max_connections 300, max_prepared_transactions 5" in judgement.sentence
    fit = fitted(plan, evidence)
    assert fit.raised == {"max_connections": 300, "max_prepared_transactions": 5}
    assert fit.safe_settings()["max_connections"] == "300"
    judgement = judge(fit, NOW, evidence)
    assert judgement.light is Light.GREEN
    assert check_of(judgement, "settings").status is Status.NOTE


def test_what_comes_behind_the_target_asks_for_nothing(plan: RecoveryPlan) -> None:
    late = happened(3, parameters("minimal", max_connections=300))
    evidence = seen(plan, ended(2), late, ended(4))
    assert judge(plan, NOW, evidence).light is Light.GREEN
    assert fitted(plan, evidence).raised == {}


def test_what_pg_control_told_is_enough(plan: RecoveryPlan) -> None:
    plan = with_backup(plan, raised={"max_connections": 300})
    evidence = seen(plan, happened(1, parameters(max_connections=200)), ended(2), ended(3))
    assert fitted(plan, evidence).raised == {}
    judgement = judge(plan, NOW, evidence)
    assert judgement.light is Light.GREEN
    assert "max_connections 300: as the primary ran" in check_of(judgement, "settings").evidence
    assert plan.safe_settings()["max_connections"] == "300"


def test_minimal_wal_on_the_way_is_red(plan: RecoveryPlan) -> None:
    judgement = judged(plan, happened(1, parameters("minimal")), ended(2), ended(3))
    assert judgement.light is Light.RED
    assert "wal_level = minimal from 0/300100 on" in check_of(judgement, "wal_level").evidence
    judgement = judged(plan, happened(1, parameters("logical")), ended(2), ended(3))
    assert check_of(judgement, "wal_level").status is Status.OK


def installed_libraries(plan: RecoveryPlan, *names: str) -> None:
    place = local(plan).installation.bindir.parent / "lib" / "postgresql"
    write_files(place, {f"{name}.so": b"" for name in names} | {KNOWN_LIBRARY: b""})


def test_a_library_that_is_missing_is_left_out_and_named(plan: RecoveryPlan) -> None:
    wanted = {
        "shared_preload_libraries": ("auto_explain", "no_such", "$libdir/my lib"),
        "session_preload_libraries": ("auto_explain",),
    }
    plan = with_backup(plan, preload=wanted)
    installed_libraries(plan, "auto_explain", "my lib")
    evidence = seen(plan, ended(2), ended(3))
    judgement = judge(plan, NOW, evidence)
    assert judgement.light is Light.RED
    assert judgement.sentence.startswith("libraries: no_such cannot be loaded")
    fit = fitted(plan, evidence)
    settings = fit.safe_settings()
    assert settings["shared_preload_libraries"] == '"auto_explain", "$libdir/my lib"'
    assert "session_preload_libraries" not in settings
    judgement = judge(fit, NOW, evidence)
    assert judgement.light is Light.GREEN
    check = check_of(judgement, "libraries")
    assert check.status is Status.NOTE
    assert check.evidence.endswith(": no_such (shared_preload_libraries, not installed here)")


def test_a_library_that_acts_by_itself_is_left_out_and_its_deed_told(plan: RecoveryPlan) -> None:
    wanted = {"shared_preload_libraries": ("auto_explain", "pg_cron")}
    plan = with_backup(plan, preload=wanted)
    installed_libraries(plan, "auto_explain", "pg_cron")
    assert plan.safe_settings()["shared_preload_libraries"] == '"auto_explain"'
    check = check_of(judge(plan, NOW), "libraries")
    assert check.status is Status.NOTE
    assert "pg_cron (shared_preload_libraries, it runs its jobs)" in check.evidence


def test_libraries_that_are_there_stay(plan: RecoveryPlan) -> None:
    plan = with_backup(plan, preload={"shared_preload_libraries": ("auto_explain",)})
    installed_libraries(plan, "auto_explain")
    assert fitted(plan).preload == {}
    assert check_of(judge(plan, NOW), "libraries").status is Status.OK


def test_an_unknown_place_of_libraries_is_told(plan: RecoveryPlan) -> None:
    plan = with_backup(plan, preload={"shared_preload_libraries": ("auto_explain",)})
    assert check_of(judge(plan, NOW), "libraries").status is Status.WARNING
    assert fitted(plan).preload == {}


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("absent", Status.FAILURE, "which is not there, and stops"),
        ("empty", Status.NOTE, "outside of the secondary"),
        ("occupied", Status.FAILURE, "writes over the files that lie there"),
        ("a file", Status.FAILURE, "writes over the files that lie there"),
    ],
)
def test_a_tablespace_that_replay_makes(
    tmp_path: Path, plan: RecoveryPlan, state: str, status: Status, words: str
) -> None:
    place = tmp_path / "space"
    if state in ("empty", "occupied"):
        place.mkdir()
    if state == "occupied":
        (place / "PG_18_202506291").mkdir()
    if state == "a file":
        place.write_text("")
    made = ended(1, actions=(TablespaceCreated(16400, str(place)),))
    judgement = judged(plan, made, ended(2), ended(3))
    check = check_of(judgement, "new tablespace")
    assert check.status is status
    assert words in check.evidence
    assert (judgement.light is Light.RED) == (status is Status.FAILURE)


@pytest.mark.parametrize(("begun", "told"), [(0x80, True), (0, False)])
def test_its_record_comes_before_its_commit(plan: RecoveryPlan, begun: int, told: bool) -> None:
    """To stop before the commit does not help: the directory is made by then."""
    plan = dataclasses.replace(plan, target=AtXid(702, inclusive=False))
    made = ended(2, begun=begun, actions=(TablespaceCreated(16400, "/no/such/place"),))
    judgement = judged(plan, ended(1), made, ended(3))
    assert ("new tablespace" in [check.name for check in judgement.checks]) == told


def test_a_tablespace_made_before_the_backup_is_in_it(plan: RecoveryPlan) -> None:
    old = TablespaceCreated(16400, "/no/such/place")
    made = ended(0, lsn=type(START)(START - 0x100), actions=(old,))
    assert judged(plan, made, ended(2), ended(3)).light is Light.GREEN


def test_the_backups_own_tablespaces_are_rewritten(plan: RecoveryPlan, tmp_path: Path) -> None:
    links = tmp_path / "backup" / "pg_tblspc"
    (links / "16390").symlink_to(tmp_path)
    assert check_of(judge(plan, NOW), "tablespaces").status is Status.OK
    live = with_backup(plan, tablespaces={16390: str(tmp_path)})
    check = check_of(judge(live, NOW), "tablespaces")
    assert check.status is Status.WARNING
    assert "16390 lead to where the primary has them" in check.evidence


def test_what_the_copy_does_without_is_noted(plan: RecoveryPlan) -> None:
    lines = (
        IncludedFile("postgresql.conf", 3, "include_dir", "conf.d"),
        IncludedFile("conf.d/a.conf", 7, "include", "/etc/x\n.conf", "it leads out of the backup"),
    )
    check = check_of(judge(with_backup(plan, includes=lines), NOW), "configuration")
    assert check.status is Status.NOTE
    assert check.evidence == (
        "the copy does without include '/etc/x␊.conf' (conf.d/a.conf, line 7: "
        "it leads out of the backup)"
    )
    checks = judge(with_backup(plan, includes=lines[:1]), NOW).checks
    assert "configuration" not in [one.name for one in checks]


def test_leftovers_of_earlier_recoveries_are_noted(plan: RecoveryPlan) -> None:
    left = ("recovery.done", "recovery_target_name = x")
    judgement = judge(with_backup(plan, traces=left), NOW)
    check = check_of(judgement, "leftovers")
    assert check.status is Status.NOTE
    assert check.evidence.endswith("recovery.done, recovery_target_name = x")
