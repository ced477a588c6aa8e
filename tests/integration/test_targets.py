"""Every kind of recovery target, on every major version that is found."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

import pytest

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
from pitr_tui.recovery.events import CheckDone, RunFinished, Status
from pitr_tui.recovery.state import RunState
from pitr_tui.recovery.verify import server_state
from tests.integration.conftest import majors
from tests.integration.world import RESTORE_POINT, Recovered, World, run
from tests.local import local

pytestmark = pytest.mark.integration

Target = Callable[[World], RecoveryTarget]
RUN_ON = ("11", "12", "13", "15", "18")

PAUSED: dict[str, tuple[Target, list[int]]] = {
    "time": (lambda w: AtTime(w.marks[2].time), [1, 2]),
    "xid": (lambda w: AtXid(w.marks[3].xid), [1, 2, 3]),
    "before xid": (lambda w: AtXid(w.marks[3].xid, inclusive=False), [1, 2]),
    "64-bit xid": (lambda w: AtXid((1 << 32) + w.marks[3].xid), [1, 2, 3]),
    "before lsn": (lambda w: AtLsn(w.marks[3].lsn, inclusive=False), [1, 2, 3]),
    "lsn": (lambda w: AtLsn(w.marks[2].lsn), [1, 2]),
    "name": (lambda w: AtName(RESTORE_POINT), [1, 2]),
    "immediate": (lambda w: Immediate(), [1]),
}


@pytest.fixture
def recovered(world: World) -> Iterator[Callable[..., Recovered]]:
    """Recover in a world; the secondary is stopped afterwards."""
    done: list[Recovered] = []

    def start(target: RecoveryTarget, action: TargetAction | None = None) -> Recovered:
        done.append(run(world.plan(target, action)))
        return done[-1]

    yield start
    for one in done:
        one.server.stop()


@majors(*RUN_ON)
@pytest.mark.parametrize("kind", PAUSED)
def test_pauses_with_exactly_the_rows_before_the_target(
    world: World, recovered: Callable[..., Recovered], kind: str
) -> None:
    make, rows = PAUSED[kind]
    result = recovered(make(world))

    assert result.rows == rows
    assert result.view.state is RunState.PAUSED
    state = server_state(result.server.database, world.installation.version)
    assert state.in_recovery
    assert state.paused
    checks = [one.event for one in result.events if isinstance(one.event, CheckDone)]
    assert {check.status for check in checks} == {Status.OK}
    assert isinstance(result.events[-1].event, RunFinished)


@majors(*RUN_ON)
def test_latest_promotes_with_everything(world: World, recovered: Callable[..., Recovered]) -> None:
    result = recovered(Latest())
    assert result.rows == [1, 2, 3, 4]
    assert result.view.state is RunState.PROMOTED
    assert not server_state(result.server.database, world.installation.version).in_recovery


@majors(*RUN_ON)
def test_promotes_at_its_target(world: World, recovered: Callable[..., Recovered]) -> None:
    result = recovered(AtXid(world.marks[3].xid), TargetAction.PROMOTE)
    assert result.rows == [1, 2, 3]
    assert result.view.state is RunState.PROMOTED
    result.server.database.rows("INSERT INTO t VALUES (100)")
    left = "recovery.done" if world.installation.version.uses_recovery_conf else None
    if left:
        assert (local(result.plan).directory / left).exists()
    assert not (local(result.plan).directory / "recovery.signal").exists()


@majors(*RUN_ON)
def test_shuts_down_at_its_target(world: World, recovered: Callable[..., Recovered]) -> None:
    result = recovered(AtXid(world.marks[3].xid), TargetAction.SHUTDOWN)
    assert result.view.state is RunState.SHUT_DOWN
    assert not result.server.is_running()
    marker = "recovery.conf" if world.installation.version.uses_recovery_conf else "recovery.signal"
    assert (local(result.plan).directory / marker).exists()


@majors(*RUN_ON)
def test_paused_secondary_can_be_promoted_when_pitr_is_gone(
    world: World, recovered: Callable[..., Recovered]
) -> None:
    result = recovered(AtXid(world.marks[3].xid))
    function = world.installation.version.replay_resume_function
    result.server.database.rows(f"SELECT {function}()")
    result.server.wait_until_writable()
    result.server.database.rows("INSERT INTO t VALUES (100)")
    assert result.rows == [1, 2, 3, 100]


@majors(*RUN_ON)
def test_paused_secondary_can_be_restarted_when_pitr_is_gone(
    world: World, recovered: Callable[..., Recovered]
) -> None:
    result = recovered(AtXid(world.marks[3].xid))
    server = result.server
    server.stop()
    server.start()
    server.wait_until_open()
    deadline = time.monotonic() + 30
    while not server_state(server.database, server.version).paused:
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.02)
    assert result.rows == [1, 2, 3]


@majors("11", "18")
def test_unknown_role_costs_no_recovery(world: World) -> None:
    plan = world.plan(AtXid(world.marks[3].xid))
    stranger = dataclasses.replace(local(plan), role="nobody_knows")
    result = run(dataclasses.replace(plan, secondary=stranger))
    try:
        assert result.view.state is RunState.PAUSED
        look = next(check for check in result.view.checks if check.name == "look by SQL")
        assert look.status is Status.WARNING
        assert "nobody_knows" in look.evidence
    finally:
        result.server.stop()


@majors("11", "18")
def test_secondary_harms_nobody(world: World, recovered: Callable[..., Recovered]) -> None:
    result = recovered(AtXid(world.marks[3].xid))
    settings: dict[str, str] = dict(
        result.server.database.rows(
            "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)",
            [
                [
                    "archive_mode",
                    "listen_addresses",
                    "synchronous_standby_names",
                    "cluster_name",
                    "max_logical_replication_workers",
                    "data_directory",
                ]
            ],
        )
    )
    assert settings == {
        "archive_mode": "off",
        "listen_addresses": "",
        "synchronous_standby_names": "",
        "cluster_name": "pitr_secondary",
        "max_logical_replication_workers": "0",
        "data_directory": str(local(result.plan).directory),
    }
