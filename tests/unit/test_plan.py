"""The plan of every version: what it prints is what it does, and it asks for what exists."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.postgres.conf import BEGIN, END, read_settings
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.recovery.feeder import RESTORE_COMMAND, restore_script
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.backups import BackupFormat
from tests.local import local
from tests.unit.made import backup_value, make_archive, make_plan, segment

MAJORS = ("9.6.24", "10.23", "11.22", "12.22", "13.23", "14.23", "15.18", "16.14", "17.10", "18.6")
OLD, NEW = MAJORS[:3], MAJORS[3:]
TARGETS: list[RecoveryTarget] = [
    Latest(),
    Immediate(),
    AtTime(datetime(2026, 11, 22, 12, tzinfo=UTC)),
    AtXid(728, inclusive=False),
    AtName("it's 100 %"),
]

# Settings that a version may lack, with the major that brought them to postgresql.conf.
SINCE = {
    "max_logical_replication_workers": 10,
    "primary_conninfo": 12,
    "primary_slot_name": 12,
    "restore_command": 12,
    "recovery_end_command": 12,
    "archive_cleanup_command": 12,
    "recovery_target": 12,
    "recovery_target_name": 12,
    "recovery_target_time": 12,
    "recovery_target_xid": 12,
    "recovery_target_lsn": 12,
    "recovery_target_inclusive": 12,
    "recovery_target_timeline": 12,
    "recovery_target_action": 12,
    "recovery_min_apply_delay": 12,
    "archive_library": 15,
    "log_startup_progress_interval": 15,
    "sync_replication_slots": 17,
    "synchronized_standby_slots": 17,
}
# Settings that came and went.
BETWEEN = {"promote_trigger_file": (12, 15)}
# Settings that a version took away.
UNTIL = {"stats_temp_directory": 14}
# Settings that every version from 9.6 to 18 has.
ALWAYS = {
    *("archive_mode", "archive_command", "synchronous_standby_names", "hot_standby"),
    *("cluster_name", "listen_addresses", "port", "unix_socket_directories"),
    *(
        "unix_socket_permissions",
        "unix_socket_group",
        "hba_file",
        "ident_file",
        "external_pid_file",
        "ssl",
        "bonjour",
    ),
    *("huge_pages", "logging_collector", "log_destination", "log_line_prefix", "log_timezone"),
    *("log_min_messages", "log_error_verbosity", "log_checkpoints", "lc_messages"),
}


def texts(plan: RecoveryPlan) -> dict[str, str]:
    return {str(file.path): file.text for file in plan.files()}


def configured(plan: RecoveryPlan) -> dict[str, str]:
    """The settings of the configuration."""
    return read_settings(texts(plan)["postgresql.auto.conf"])


def asked(plan: RecoveryPlan) -> dict[str, str]:
    """The settings of the recovery, wherever this version has them."""
    written = texts(plan)
    return read_settings(written.get("recovery.conf") or written["postgresql.auto.conf"])


@pytest.mark.parametrize("version", MAJORS)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_recovery_is_asked_for_as_the_version_has_it(
    tmp_path: Path, version: str, target: RecoveryTarget
) -> None:
    plan = make_plan(tmp_path, version, target)
    files = texts(plan)
    assert ("recovery.conf" in files) == (version in OLD)
    assert ("recovery.signal" in files) == (version in NEW)
    settings = asked(plan)
    assert settings["restore_command"] == RESTORE_COMMAND
    assert settings.items() >= target.settings().items()
    kinds = ("", "_time", "_xid", "_name", "_lsn")
    set_targets = [k for k in kinds if settings.get(f"recovery_target{k}")]
    assert len(set_targets) == (0 if isinstance(target, Latest) else 1)
    wanted = None if isinstance(target, Latest) else "pause"
    assert (settings.get("recovery_target_action") or None) == wanted


@pytest.mark.parametrize("version", MAJORS)
@pytest.mark.parametrize("port", [None, 5433])
def test_only_settings_that_exist_are_set(tmp_path: Path, version: str, port: int | None) -> None:
    major = int(version.split(".")[0])
    names = set(configured(make_plan(tmp_path, version, TARGETS[2], port=port)))
    known = {name for name, since in SINCE.items() if major >= since}
    known |= {name for name, until in UNTIL.items() if major <= until}
    known |= {name for name, (since, until) in BETWEEN.items() if since <= major <= until}
    assert names == ALWAYS | known


@pytest.mark.parametrize("version", OLD)
def test_recovery_conf_has_only_what_its_version_knows(tmp_path: Path, version: str) -> None:
    for target in TARGETS:
        names = set(asked(make_plan(tmp_path, version, target, timeline=None)))
        assert names <= {
            *("restore_command", "recovery_target", "recovery_target_name"),
            *("recovery_target_time", "recovery_target_xid", "recovery_target_inclusive"),
            "recovery_target_action",
        }


@pytest.mark.parametrize("version", MAJORS)
def test_a_position_can_be_a_target_from_10(tmp_path: Path, version: str) -> None:
    target = AtLsn(Lsn.parse("0/300000"))
    if version == "9.6.24":
        with pytest.raises(RefusedError, match="cannot stop at a WAL position"):
            make_plan(tmp_path, version, target)
    else:
        assert asked(make_plan(tmp_path, version, target))["recovery_target_lsn"] == "0/300000"


@pytest.mark.parametrize("version", MAJORS)
def test_the_secondary_harms_nobody(tmp_path: Path, version: str) -> None:
    plan = make_plan(tmp_path, version)
    settings = configured(plan)
    assert settings["archive_mode"] == "off"
    assert settings["archive_command"] == settings["listen_addresses"] == ""
    assert settings["hot_standby"] == "on"
    for name in ("primary_conninfo", "primary_slot_name", "archive_library"):
        assert settings.get(name, "") == ""
    assert settings.get("max_logical_replication_workers", "0") == "0"
    for name in ("hba_file", "ident_file", "external_pid_file"):
        assert str(local(plan).directory / "pitr") in settings[name]
    # Its place may be a short one in /tmp, where the path of the destination is too long.
    assert settings["unix_socket_directories"] == f'"{local(plan).socket_directory}"'


@pytest.mark.parametrize(
    ("version", "method"), [("9.6.24", "md5"), ("13.23", "md5"), ("14.23", "scram-sha-256")]
)
def test_a_port_is_opened_on_this_machine_with_a_password(
    tmp_path: Path, version: str, method: str
) -> None:
    plan = make_plan(tmp_path, version, port=5433)
    assert configured(plan)["listen_addresses"] == "127.0.0.1"
    assert configured(plan)["port"] == "5433"
    assert texts(plan)["pitr/pg_hba.conf"].splitlines() == [
        "local all all trust",
        f"host all all 127.0.0.1/32 {method}",
    ]
    assert texts(make_plan(tmp_path, version))["pitr/pg_hba.conf"] == "local all all trust\n"


@pytest.mark.parametrize("version", MAJORS)
@pytest.mark.parametrize(("timeline", "written"), [(None, None), (1, None), (2, "2")])
def test_the_timeline_is_the_backups_own_or_the_one_asked_for(
    tmp_path: Path, version: str, timeline: int | None, written: str | None
) -> None:
    archive = make_archive(tmp_path / "archive", segment(2))
    (tmp_path / "archive" / "00000002.history").write_text("1\t0/400100\tx\n")
    plan = make_plan(tmp_path, version, archive=archive, timeline=timeline)
    # Up to 11 the default is the backup's own, from 12 the latest in the archive.
    own = None if version in OLD else "current"
    assert asked(plan).get("recovery_target_timeline") == (written or own)
    assert plan.history.lineage == ((2, 1) if timeline == 2 else (1,))


def test_a_timeline_without_a_history_is_told(tmp_path: Path) -> None:
    with pytest.raises(PitrError, match="where timeline 3 comes from"):
        make_plan(tmp_path, timeline=3).render()


@pytest.mark.parametrize("action", list(TargetAction))
def test_the_action_is_always_written(tmp_path: Path, action: TargetAction) -> None:
    for version in MAJORS:
        plan = make_plan(tmp_path, version, Immediate(), action)
        assert asked(plan)["recovery_target_action"] == action


@pytest.mark.parametrize("action", [TargetAction.PAUSE, TargetAction.SHUTDOWN])
def test_at_the_end_of_the_wal_a_server_can_only_promote(
    tmp_path: Path, action: TargetAction
) -> None:
    with pytest.raises(UsageError, match=f"cannot {action}"):
        make_plan(tmp_path, action=action)


def test_a_destination_has_to_be_absolute(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absolute"):
        make_plan(tmp_path, destination=Path("secondary"))


HARD_NAMES = ["secondary", "it's 100 % $HOME `id` \"\\", "\u2028form\x0cfeed", "-n; *"]


def commands(plan: RecoveryPlan, number: int) -> str:
    """The commands of a step as `render` prints them."""
    text = plan.render()
    return text[text.index(f"\n# {number}. ") : text.index(f"\n# {number + 1}. ")]


@pytest.mark.parametrize("version", ["9.6.24", "11.22", "12.22", "18.6"])
@pytest.mark.parametrize("name", HARD_NAMES)
def test_the_printed_commands_write_the_files_of_the_run(
    tmp_path: Path, version: str, name: str
) -> None:
    """The text for people is run by a shell, and compared with what the run writes."""
    plan = make_plan(tmp_path, version, TARGETS[4], destination=tmp_path / name, port=5433)
    (local(plan).directory / "pitr").mkdir(parents=True)
    there = {"postgresql.conf": "port = 1\n", "postgresql.auto.conf": "# here\n"}
    for path, text in there.items():
        (local(plan).directory / path).write_text(text)
    subprocess.run(["sh", "-euc", commands(plan, 3)], check=True)
    written = {
        str(path.relative_to(local(plan).directory)): path.read_bytes().decode()
        for path in local(plan).directory.rglob("*")
        if path.is_file()
    }
    expected = {
        str(file.path): there.get(str(file.path), "") * file.append + file.text
        for file in plan.files()
    }
    assert written == expected
    assert written["pitr/restore-command"] == restore_script()


def test_what_is_appended_stands_in_a_block_of_its_own(tmp_path: Path) -> None:
    (block,) = (file for file in make_plan(tmp_path).files() if "auto" in file.path.name)
    assert block.append
    assert block.text.startswith(BEGIN + "\n")
    assert block.text.endswith(f"\n{END}\n")


@pytest.mark.parametrize(
    ("form", "command"), [(BackupFormat.PLAIN, "cp -R"), (BackupFormat.TAR, "tar -xf")]
)
def test_every_step_is_printed(tmp_path: Path, form: BackupFormat, command: str) -> None:
    backup = backup_value(tmp_path / "a b", format=form)
    plan = make_plan(tmp_path, target=TARGETS[2], backup=backup)
    text = plan.render()
    assert str(plan.target) in text
    assert f"{command} '{tmp_path}/a b'" in text
    assert f"install -d -m 0700 -o {local(plan).user.name} {local(plan).directory}" in text
    assert f"from {segment(2).name} on, timelines 1" in text
    assert text.endswith(f"{' '.join(local(plan).server.start_command())}\n")


def test_a_name_that_no_setting_can_carry_is_refused(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, destination=tmp_path / "two\nlines")
    with pytest.raises(UsageError, match="line break"):
        plan.files()
