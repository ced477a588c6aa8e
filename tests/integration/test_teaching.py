"""What the lessons name exists in that version: the servers themselves are asked."""

from __future__ import annotations

import re
import subprocess

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.teaching import Kind, Seen, lessons
from pitr_tui.servers.installation import Installation
from tests.integration.conftest import MAJORS, installed, majors
from tests.integration.world import World

pytestmark = pytest.mark.integration

OFTEN = ("11", "15", "18")
SERVED = MAJORS[1:]  # there is no 9.6 that runs here
TARGETS: tuple[RecoveryTarget, ...] = (
    Latest(),
    Immediate(),
    AtXid(728),
    AtLsn(Lsn(0x3002448)),
    AtName("x"),
)
FEW = {"archive_mode", "hot_standby", "restore_command", "recovery_target_xid"}


def named(version: PostgresVersion, kind: Kind) -> set[str]:
    """Everything of a kind that any lesson names, whatever the target is."""
    return {
        one.name
        for target in TARGETS
        for told in lessons(version, seen=Seen(target=target)).values()
        for one in told.behind
        if one.kind is kind
    }


def known(installation: Installation) -> set[str]:
    """The settings of a server, of its recovery.conf too where it has one."""
    said = subprocess.run(
        [installation.bindir / "postgres", "--describe-config"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {line.partition("\t")[0] for line in said.splitlines()}
    if installation.version.uses_recovery_conf:
        (sample,) = installation.bindir.parent.glob("share/**/recovery.conf.sample")
        found |= set(re.findall(r"^#(\w+) = ", sample.read_text(encoding="utf-8"), re.MULTILINE))
    return found


@pytest.mark.parametrize(
    "major",
    [one if one in OFTEN else pytest.param(one, marks=pytest.mark.matrix) for one in SERVED],
)
def test_every_setting_named_exists(major: str) -> None:
    installation = installed(major)
    told = named(installation.version, Kind.SETTING)
    assert told >= FEW
    assert told - known(installation) == set()


@majors("11", "18", "10", "12", "13", "14", "15", "16", "17")
def test_every_function_and_view_named_exists(world: World) -> None:
    database, version = world.server.database, world.installation.version
    functions, views = named(version, Kind.FUNCTION), named(version, Kind.VIEW)
    assert {"pg_create_restore_point", version.replay_resume_function} <= functions
    rows = database.rows("SELECT proname FROM pg_proc WHERE proname = ANY (%s)", [[*functions]])
    assert {row[0] for row in rows} == functions
    rows = database.rows("SELECT relname FROM pg_class WHERE relname = ANY (%s)", [[*views]])
    assert {row[0] for row in rows} == views != set()
