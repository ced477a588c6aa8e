"""`pitr explain` on the logs of plain servers with a plain `cp`: nothing of ours is in them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import main
from pitr_tui.postgres.moment import for_settings
from pitr_tui.postgres.quote import conf_value
from pitr_tui.servers.local import LocalServer, socket_settings
from tests.integration.conftest import MAJORS, world_of
from tests.integration.world import RESTORE_POINT, World

pytestmark = pytest.mark.integration

OFTEN = ("time, paused", "a segment is missing, no target", "exit 103")
BEFORE_JSON = ("9.6", "10", "11", "12", "13", "14")
SEGMENT = 1 << 24
OPEN = "ready to accept connections"
PATIENCE_SECONDS = 60


@dataclass
class Told:
    """What is wrong or right with a recovery, and what must be said of its log."""

    settings: Callable[[World], dict[str, str]] = lambda world: {}
    harm: Callable[[World, Path, Path], None] = lambda world, archive, data: None
    command: str = "cp {archive}/%f %p"
    state: str = "failed"
    reached: bool | None = None
    failure: str | None = None
    restartable: bool | None = None
    until: tuple[str, ...] = ("database system is shut down",)
    # Until 12 a recovery that ends too early opens without a word.
    silent: str = ""
    other: dict[str, str] = field(default_factory=dict)
    until_13: str = ""
    own_wal: bool = False
    file: str = "log"


def time_of(world: World, number: int, **later: float) -> dict[str, str]:
    return {"recovery_target_time": for_settings(world.marks[number].time + timedelta(**later))}


def last_segment(world: World, archive: Path) -> Path:
    """The segment that holds all that was done after the backup."""
    number = int(world.marks[2].lsn) // SEGMENT
    assert number == int(world.marks[4].lsn) // SEGMENT
    (path,) = archive.glob(f"00000001????????000000{number:02X}")
    return path


def remove_last(world: World, archive: Path, data: Path) -> None:
    last_segment(world, archive).unlink()


def corrupt_last(world: World, archive: Path, data: Path) -> None:
    path = last_segment(world, archive)
    whole = bytearray(path.read_bytes())
    whole[60:64] = bytes(255 - byte for byte in whole[60:64])
    path.write_bytes(whole)


def zero_last(world: World, archive: Path, data: Path) -> None:
    last_segment(world, archive).write_bytes(bytes(SEGMENT))


def cut_last(world: World, archive: Path, data: Path) -> None:
    path = last_segment(world, archive)
    path.write_bytes(path.read_bytes()[:1_000_000])


def remove_all(world: World, archive: Path, data: Path) -> None:
    for path in archive.iterdir():
        path.unlink()


def remove_label(world: World, archive: Path, data: Path) -> None:
    (data / "backup_label").unlink()
    remove_all(world, archive, data)


def fork_before(world: World, archive: Path, data: Path) -> None:
    (archive / "00000002.history").write_text("1\t0/1000000\tno recovery target specified\n")


def open_to_others(world: World, archive: Path, data: Path) -> None:
    data.chmod(0o777)


def forget_recovery(world: World, archive: Path, data: Path) -> None:
    for name in ("recovery.signal", "recovery.conf"):
        (data / name).unlink(missing_ok=True)


CASES: dict[str, Told] = {
    "time, paused": Told(
        lambda world: time_of(world, 2, microseconds=1),
        until=("recovery has paused", "pausing at the end of recovery"),
        state="paused",
        reached=True,
    ),
    "xid, promoted": Told(
        lambda world: {
            "recovery_target_xid": str(world.marks[3].xid),
            "recovery_target_action": "promote",
        },
        until=(OPEN,),
        state="open",
        reached=True,
    ),
    "name, shut down": Told(
        lambda world: {
            "recovery_target_name": RESTORE_POINT,
            "recovery_target_action": "shutdown",
        },
        state="shut down",
        reached=True,
    ),
    "immediate": Told(
        lambda world: {"recovery_target": "immediate", "recovery_target_action": "promote"},
        until=(OPEN,),
        state="open",
        reached=True,
    ),
    "the end": Told(until=(OPEN,), state="open"),
    "time behind the end": Told(
        lambda world: time_of(world, 4, hours=1),
        failure="UNREACHED",
        restartable=True,
        reached=False,
        silent=OPEN,
    ),
    "a segment is missing": Told(
        lambda world: time_of(world, 2, microseconds=1),
        remove_last,
        failure="UNREACHED",
        restartable=True,
        reached=False,
        silent=OPEN,
    ),
    "a segment is missing, no target": Told(
        harm=remove_last,
        until=(OPEN,),
        state="suspect open",
        failure="ENDED_AT_BACKUP",
        restartable=False,
    ),
    "a record is corrupt": Told(
        lambda world: time_of(world, 2, microseconds=1),
        corrupt_last,
        failure="CRC",
        restartable=True,
        reached=False,
        silent=OPEN,
    ),
    "a segment is empty": Told(
        lambda world: time_of(world, 2, microseconds=1),
        zero_last,
        failure="PAGE",
        restartable=True,
        reached=False,
        silent=OPEN,
    ),
    "a segment is cut": Told(harm=cut_last, failure="SIZE", restartable=True),
    "the first segment is missing": Told(
        harm=remove_all, failure="NO_CHECKPOINT", restartable=True
    ),
    "no label": Told(harm=remove_label, failure="NO_LABEL", restartable=False),
    "a timeline from before": Told(
        lambda world: {"recovery_target_timeline": "2"},
        fork_before,
        failure="TIMELINE",
        restartable=True,
    ),
    "a timeline that is not": Told(
        lambda world: {"recovery_target_timeline": "7"}, failure="TIMELINE", restartable=True
    ),
    "a setting too low": Told(
        other={"max_connections": "10", "max_wal_senders": "2"},
        failure="PARAM",
        restartable=True,
    ),
    "exit 255": Told(command="exit 255", failure="FETCH_FATAL", restartable=True),
    "exit 103": Told(
        command="test %f = {first} && cp {archive}/%f %p || "
        "{{ echo cannot reach the repository for %f: connection refused >&2; exit 103; }}",
        until=(OPEN,),
        state="suspect open",
        failure="FETCH_FAILED",
        restartable=False,
    ),
    "others may look in": Told(
        harm=open_to_others, until=("Permissions should be",), failure="PERM", restartable=True
    ),
    "a time that is none": Told(
        lambda world: {"recovery_target_time": "yesterday noonish"},
        until=("contains errors", "database system is shut down"),
        failure="GUC",
        restartable=True,
    ),
    "restore_command is killed": Told(
        command="kill -TERM $$", failure="FETCH_KILLED", restartable=True
    ),
    "a command that is not there": Told(
        command="/no/such/program", failure="FETCH_FATAL", restartable=True
    ),
    "a command that does nothing": Told(
        command="true", failure="STAT", until_13="NO_CHECKPOINT", restartable=True
    ),
    "no recovery file, but WAL": Told(
        harm=forget_recovery,
        own_wal=True,
        until=(OPEN,),
        state="suspect open",
        failure="NO_RECOVERY_FILE",
        restartable=False,
    ),
    "csvlog": Told(
        lambda world: time_of(world, 4, hours=1),
        failure="UNREACHED",
        restartable=True,
        reached=False,
        silent=OPEN,
        other={"logging_collector": "on", "log_destination": "csvlog", "log_filename": "it.log"},
        file="data/log/it.csv",
    ),
    "jsonlog": Told(
        lambda world: time_of(world, 4, hours=1),
        failure="UNREACHED",
        restartable=True,
        reached=False,
        other={"logging_collector": "on", "log_destination": "jsonlog", "log_filename": "it.log"},
        file="data/log/it.json",
    ),
    "another prefix": Told(
        lambda world: {"recovery_target_xid": str(world.marks[3].xid)},
        until=("recovery has paused", "pausing at the end of recovery"),
        state="paused",
        reached=True,
        other={"log_line_prefix": "< %t:%r:%u@%d:[%p]: >"},
    ),
    "no recovery file": Told(harm=forget_recovery, failure="NO_CHECKPOINT", restartable=True),
}


def recovered_log(world: World, case: Told) -> Path:
    """The log of a plain server that recovered like that."""
    place = world.new_destination()
    place.mkdir()
    world.user.own(place)
    archive, data = world.copy_archive(f"{place.name}/archive"), place / "data"
    shutil.copytree(world.backup_path, data)
    for path in (data / world.installation.version.wal_directory).glob("0*"):
        if not case.own_wal:
            path.unlink()
    name = last_segment(world, archive).name
    first = f"{name[:-2]}{int(name[-2:], 16) - 1:02X}"
    command = case.command.format(archive=archive, first=first)
    wanted = {"restore_command": command, **case.settings(world)}
    write_settings(world, data, wanted, case.other)
    case.harm(world, archive, data)
    for path in (archive, data, *archive.rglob("*"), *data.rglob("*")):
        world.user.own(path)
    if case.harm is not open_to_others:
        data.chmod(0o700)
    server = LocalServer(
        world.installation, data, world.user, world.server.socket_directory, 5433, place / "log"
    )
    server.start()
    try:
        words = (*case.until, *([case.silent] if case.silent else []))
        text = wait_for(place / case.file, words)
    finally:
        server.stop()
    kept = place / "as-it-was.log"
    kept.write_text(text)
    return kept


def write_settings(world: World, data: Path, wanted: dict[str, str], other: dict[str, str]) -> None:
    base = {
        **socket_settings(world.server.socket_directory, 5433),
        "archive_mode": "off",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_directory": "log",
        "hot_standby": "on",
        "max_wal_senders": "4",
        **other,
    }
    conf, recovery = dict(base), dict(wanted)
    if world.installation.version.uses_recovery_conf:
        world.user.write_file(data / "recovery.conf", text_of(recovery))
    else:
        conf |= recovery
        world.user.write_file(data / "recovery.signal", "")
    (data / "postgresql.auto.conf").unlink()
    world.user.write_file(data / "postgresql.auto.conf", text_of(conf))


def text_of(settings: dict[str, str]) -> str:
    return "".join(f"{name} = {conf_value(value)}\n" for name, value in settings.items())


def wait_for(log: Path, words: tuple[str, ...]) -> str:
    """What the log says once it says one of these."""
    end, text = time.monotonic() + PATIENCE_SECONDS, ""
    while time.monotonic() < end:
        text = log.read_text() if log.exists() else ""
        if any(each in text for each in words):
            return text
        time.sleep(0.02)
    pytest.fail(f"the server never said {words}:\n{text}")


def every_case() -> list[Any]:
    """Each case on each major; of the newest a few always, the rest nightly."""
    return [
        pytest.param(major, name)
        if major == "18" and name in OFTEN
        else pytest.param(major, name, marks=pytest.mark.matrix)
        for major in MAJORS
        for name in CASES
        if not (name == "jsonlog" and major in BEFORE_JSON)
    ]


@pytest.mark.parametrize(("major", "name"), every_case())
def test_a_plain_recovery_is_explained(
    major: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, case = world_of(major), CASES[name]
    log = recovered_log(world, case)
    code = main(["explain", str(log), "--json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    silent = bool(case.silent) and not world.installation.version.fails_when_target_unreached
    state = "suspect open" if silent else case.state
    assert (told["state"], told["reached_target"]) == (state, case.reached), log.read_text()
    failure = told["failure"]
    early = case.until_13 if major in BEFORE_JSON[:-1] else ""
    assert (failure or {}).get("id") == (early or case.failure), log.read_text()
    if failure:
        assert failure["restartable"] is (False if silent else case.restartable)
    assert code == (1 if case.failure else 0)
