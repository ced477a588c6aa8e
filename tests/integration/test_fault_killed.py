"""A server, a part of it, or pitr itself is killed while the WAL is replayed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pitr_tui.postgres.target import AtXid
from pitr_tui.recovery.events import LogArrived
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunState
from pitr_tui.servers.process import running_pid
from tests.integration.mishaps import (
    ALL_ROWS,
    LAST,
    Gate,
    alive,
    answers,
    begun,
    go_on,
    held,
    long_world_of,
    long_worlds,
    plan_of,
    postmaster,
    processes_in,
    restoring,
    rows,
    segment_of,
    startup_process,
    untouched,
)
from tests.integration.test_cli import pitr
from tests.integration.world import World
from tests.unit.made import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def long_world(request: pytest.FixtureRequest) -> World:
    return long_world_of(getattr(request, "param", "18"))


@long_worlds
@pytest.mark.parametrize(
    "whom", [postmaster, pytest.param(startup_process, marks=pytest.mark.matrix)]
)
def test_a_server_that_is_killed_while_it_replays(
    long_world: World, whom: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, segment_of(long_world, 6))
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid))
    with untouched(long_world), begun(plan) as run:
        gate.wait()
        run.until(LogArrived, segment_of(long_world, 5))
        os.kill(whom(run.place), signal.SIGKILL)
        failed = run.failed()
        assert failed.kept
        assert f"pitr resume {run.record.name}" in failed.left
        assert failed.failure == ("KILLED" if whom is startup_process else "UNKNOWN")
        gate.open()
        assert go_on(run.record, plan).state is RunState.PAUSED
        assert rows(plan) == ALL_ROWS


def orphaned(world: World, place: Path, marks: Path) -> RunRecord:
    """A run whose pitr was killed when the server had come to row 5, and needed more WAL."""
    name = segment_of(world, 6)
    with held(marks, [f"copy {name}"], *restoring(world, place)) as command:
        command.wait()
        asked = place / "pitr" / "wal" / "asked" / name
        wait_until(asked.exists, 60)
        command.signal(signal.SIGKILL)
        assert command.ended()[0] == -signal.SIGKILL
    record = run_named("last")
    assert not record.is_live()
    return record


def assert_resumes(record: RunRecord) -> None:
    done = pitr("resume", "last")
    assert done.returncode == 0, done.stdout + done.stderr
    plan = plan_of(record)
    assert record.view().state is RunState.PAUSED
    assert rows(plan) == ALL_ROWS
    plan.secondary.throw_away()


@long_worlds
def test_the_secondary_waits_for_another_pitr(long_world: World, tmp_path: Path) -> None:
    """It has what it was given, and opens with no less than it was asked for."""
    place = long_world.new_destination()
    with untouched(long_world):
        record = orphaned(long_world, place, tmp_path / "marks")
        server = postmaster(place)
        plan = plan_of(record)
        # How much it has replayed by now is its own affair: from 15 on it decodes far ahead.
        assert not answers(plan, ALL_ROWS)
        assert not any("ready to accept connections" in one for one in plan.secondary.log_tail())
        assert record.view().finished is None
        assert alive(server)
        assert_resumes(record)
        assert running_pid(place) is None
        assert processes_in(place) == []


@pytest.mark.matrix
@pytest.mark.parametrize("long_world", ["11", "18"], indirect=True)
def test_a_secondary_that_nobody_feeds_gives_up(long_world: World, tmp_path: Path) -> None:
    """After half a minute without a sign of life it stops; it never takes that for the end."""
    place = long_world.new_destination()
    with untouched(long_world):
        record = orphaned(long_world, place, tmp_path / "marks")
        wait_until(lambda: running_pid(place) is None, 90)
        log = plan_of(record).secondary.log_tail()
        assert any("FATAL" in line and segment_of(long_world, 6) in line for line in log), log
        assert not any("ready to accept connections" in line for line in log)
        assert processes_in(place) == []
        assert_resumes(record)
