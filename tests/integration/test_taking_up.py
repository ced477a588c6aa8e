"""A run that was cut off, at whichever point, is taken up again by another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.target import AtName, AtXid, Latest, RecoveryTarget, TargetAction
from pitr_tui.recovery import archiving
from pitr_tui.recovery.aftercare import promote
from pitr_tui.recovery.events import RunTakenUp, Stamped, Step, StepDone, StepStarted
from pitr_tui.recovery.fate import discard_run, promote_run
from pitr_tui.recovery.going_on import mended
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_record import plan_from
from pitr_tui.recovery.run import recover, take_up
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.servers.process import running_pid
from pitr_tui.storage.path import ReadPath
from tests.integration.conftest import majors
from tests.integration.world import RESTORE_POINT, World, put_back, run
from tests.local import local

pytestmark = pytest.mark.integration

# Where the process is killed: just after this event was written, so before what it announces.
BOUNDARIES = [
    "RunStarted",
    "PlaceTaken",
    *(f"{what} {step}" for step in Step for what in ("StepStarted", "StepDone")),
    "LogArrived",
    "RunFinished",
]
KILLED = """
import os, pathlib, signal, sys
from pitr_tui.postgres.target import AtXid, TargetAction
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user

def told(stamped):
    event = stamped.event
    step = getattr(event, "step", "")
    if " ".join(filter(None, (type(event).__name__, str(step)))) == at:
        os.kill(os.getpid(), signal.SIGKILL)

at, bindir, backup, archive, to, xid, action = sys.argv[1:]
wal = WalArchive(pathlib.Path(archive))
secondary = LocalSecondary(
    pathlib.Path(to), Installation.at(pathlib.Path(bindir)), server_user(), None
)
plan = RecoveryPlan(
    open_backup(pathlib.Path(backup), wal), wal, secondary, AtXid(int(xid)), TargetAction(action)
)
recover(plan, Journal.create(told))
"""


class Here:
    """Places on this machine."""

    def engine(self) -> None:
        raise AssertionError("nothing here is behind an engine")

    def path(self, place: str, image: str) -> ReadPath:
        return Path(place)


def plan_of(record: RunRecord) -> RecoveryPlan:
    return plan_from(record.view().plan, Here())  # type: ignore[arg-type]


def go_on(record: RunRecord, plan: RecoveryPlan | None = None) -> RunView:
    """Take a run up in a process that knows nothing but its journal."""
    journal = Journal.reopen(record.directory, lambda _: None)
    try:
        return take_up(plan or plan_of(record), journal, record.view())
    finally:
        journal.close()


def rows(plan: RecoveryPlan) -> list[int]:
    found = plan.secondary.database.rows("SELECT id FROM t ORDER BY id")
    return [row[0] for row in found]


def killed_run(world: World, at: str, action: TargetAction = TargetAction.PAUSE) -> RunRecord:
    """The record of a run up to row 3, whose process was killed at an event."""
    argv = [sys.executable, "-c", KILLED, at, world.installation.bindir, world.backup_path]
    argv += [world.archive_directory, world.new_destination(), world.marks[3].xid, action]
    ended = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return run_named("last")


@pytest.fixture
def thrown_away() -> Iterator[list[RecoveryPlan]]:
    """Plans whose secondaries are removed at the end."""
    plans: list[RecoveryPlan] = []
    yield plans
    for plan in plans:
        plan.secondary.throw_away()


@pytest.mark.parametrize(
    "world", ["18", pytest.param("11", marks=pytest.mark.matrix)], indirect=True
)
@pytest.mark.parametrize("at", BOUNDARIES)
def test_a_killed_run_goes_on(world: World, at: str, thrown_away: list[RecoveryPlan]) -> None:
    record = killed_run(world, at)
    assert not record.is_live()
    plan = plan_of(record)
    thrown_away.append(plan)
    before = record.view()
    view = go_on(record)
    assert view.state is RunState.PAUSED
    assert view.finished is not None
    assert rows(plan) == [1, 2, 3]
    again = record.view()
    assert (again.state, again.stop, again.finished) == (view.state, view.stop, view.finished)
    if Step.COPY in before.done:
        steps = [one.event.step for one in record.events() if isinstance(one.event, StepStarted)]
        assert steps.count(Step.COPY) == 1
    assert sum(isinstance(one.event, RunTakenUp) for one in record.events()) == 1


@majors("11", "18", often=("18",))
def test_a_secondary_that_gave_up_waiting_goes_on(
    world: World, thrown_away: list[RecoveryPlan]
) -> None:
    """Nobody feeds it any more: it stops by itself, and is started where it was."""
    record = killed_run(world, "StepDone start")
    plan = plan_of(record)
    thrown_away.append(plan)
    pid = running_pid(local(plan).directory)
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    until_gone(local(plan).directory)
    assert go_on(record).state is RunState.PAUSED
    assert rows(plan) == [1, 2, 3]


def until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 30
    while running_pid(directory) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@majors("11", "12", "13", "18", often=("18",))
def test_a_paused_secondary_steps_on(world: World, thrown_away: list[RecoveryPlan]) -> None:
    first = run(world.plan(AtXid(world.marks[2].xid)))
    thrown_away.append(first.plan)
    assert first.rows == [1, 2]
    record = run_named("last")
    later = changed(plan_of(record), AtXid(world.marks[3].xid))
    view = go_on(record, later)
    assert (view.state, rows(later)) == (RunState.PAUSED, [1, 2, 3])
    assert view.stop is not None
    assert view.stop.xid == world.marks[3].xid
    assert record.view().target == str(later.target)
    to_the_end = changed(later, Latest(), TargetAction.PROMOTE)
    view = go_on(record, to_the_end)
    assert (view.state, rows(to_the_end)) == (RunState.PROMOTED, [1, 2, 3, 4])
    with pytest.raises(RefusedError, match="has opened for writing"):
        go_on(record)
    assert to_the_end.secondary.is_running()


@majors("11", "18", often=("18",))
def test_a_step_back_fails_and_harms_nothing(world: World, thrown_away: list[RecoveryPlan]) -> None:
    first = run(world.plan(AtXid(world.marks[3].xid)))
    thrown_away.append(first.plan)
    record = run_named("last")
    with pytest.raises(PitrError):
        go_on(record, changed(plan_of(record), AtName(RESTORE_POINT)))
    assert not first.plan.secondary.is_running()
    failed = record.view().failed
    assert failed is not None
    assert failed.kept
    assert go_on(record, changed(plan_of(record), first.plan.target)).state is RunState.PAUSED
    assert rows(first.plan) == [1, 2, 3]


@majors("13", "18")
def test_a_target_that_was_not_archived_yet(world: World, thrown_away: list[RecoveryPlan]) -> None:
    """The segment with the target arrives after the run has failed: it goes on without a copy."""
    archive = world.copy_archive("late")
    newest = sorted(path for path in archive.iterdir() if len(path.name) == 24)[-2:]
    kept_back = [path.rename(world.directory / path.name) for path in newest]
    plan = world.plan(AtXid(world.marks[4].xid), archive=archive)
    thrown_away.append(plan)
    with pytest.raises(PitrError) as raised:
        run(plan)
    record = run_named("last")
    failed = record.view().failed
    assert failed is not None
    assert (failed.kept, failed.failure) == (True, "UNREACHED")
    assert "resume" in failed.left
    assert "archive" in str(raised.value)
    for path in kept_back:
        path.rename(archive / path.name)
    assert go_on(record).state is RunState.PAUSED
    assert rows(plan) == [1, 2, 3, 4]


@pytest.mark.parametrize("own_world", ["11", "18"], indirect=True)
def test_a_setting_that_is_too_low(own_world: World, thrown_away: list[RecoveryPlan]) -> None:
    """The primary got more connections after the backup: the log tells how many it takes."""
    server = own_world.server
    server.database.rows("ALTER SYSTEM SET max_connections = 150")
    server.stop()
    server.start()
    server.wait_until_open()
    own_world.insert(5)
    archiving.prove(own_world.primary, own_world.archive_directory)
    plan = own_world.plan(AtXid(own_world.marks[5].xid))
    thrown_away.append(plan)
    with pytest.raises(PitrError, match="max_connections"):
        run(plan)
    record = run_named("last")
    failed = record.view().failed
    assert failed is not None
    assert (failed.kept, failed.failure) == (True, "PARAM")
    better = mended(plan_of(record), record.view())
    assert better.raised == {"max_connections": 150}
    assert go_on(record, better).state is RunState.PAUSED
    assert rows(plan) == [1, 2, 3, 4, 5]


@majors("11", "18", often=("18",))
def test_a_run_that_left_nothing_begins_anew(world: World, thrown_away: list[RecoveryPlan]) -> None:
    """Its log begins anew, too: nothing of the new server's is passed over."""
    cancel = threading.Event()
    plan = world.plan(AtXid(world.marks[3].xid))
    thrown_away.append(plan)

    def listen(stamped: Stamped) -> None:
        if isinstance(stamped.event, StepDone) and stamped.event.step is Step.REPLAY:
            cancel.set()

    journal = Journal.create(listen)
    with pytest.raises(CancelledError):
        recover(plan, journal, cancel)
    journal.close()
    record = run_named("last")
    assert record.view().lines_heard > 5
    assert not local(plan).directory.exists()
    view = go_on(record)
    assert (view.state, rows(plan)) == (RunState.PAUSED, [1, 2, 3])
    assert view.segments_restored > 0  # as its first lines tell


def test_a_promoted_secondary_is_not_taken_up(
    world: World, thrown_away: list[RecoveryPlan]
) -> None:
    done = run(world.plan(AtXid(world.marks[2].xid)))
    thrown_away.append(done.plan)
    record = run_named("last")
    promote(done.plan.secondary)
    with pytest.raises(RefusedError, match="opened for writing"):
        go_on(record)
    assert done.server.database.row("SELECT pg_is_in_recovery()") == (False,)


def test_what_somebody_else_put_there_is_left_alone(world: World) -> None:
    record = killed_run(world, "PlaceTaken")
    place = local(plan_of(record)).directory
    place.mkdir()
    (place / "precious").write_text("mine")
    with pytest.raises(RefusedError, match="is not what the run"):
        go_on(record)
    assert (place / "precious").read_text() == "mine"


def changed(
    plan: RecoveryPlan, target: RecoveryTarget, action: TargetAction | None = None
) -> RecoveryPlan:
    """The plan with another target."""
    return replace(plan, target=target, action=action or plan.action)


def test_another_runs_secondary_is_neither_verified_nor_opened(
    world: World, thrown_away: list[RecoveryPlan]
) -> None:
    first = run(world.plan(AtXid(world.marks[2].xid)))
    record = run_named("last")
    first.plan.secondary.throw_away()
    second = run(world.plan(AtXid(world.marks[4].xid), destination=local(first.plan).directory))
    thrown_away.append(second.plan)
    for decide in (promote_run, discard_run):
        with pytest.raises(RefusedError, match="is not what the run"):
            decide(record, plan_of(record).secondary)
    with pytest.raises(RefusedError, match="is not what the run"):
        go_on(record)
    assert second.rows == [1, 2, 3, 4]
    assert second.server.database.row("SELECT pg_is_in_recovery()") == (True,)


@majors("11", "18", often=("18",))
def test_an_open_server_is_never_taken_back(world: World, thrown_away: list[RecoveryPlan]) -> None:
    """It opened as planned while nobody was there: it may be looked at, and goes nowhere else."""
    record = killed_run(world, "StepStarted look", action=TargetAction.PROMOTE)
    plan = plan_of(record)
    thrown_away.append(plan)
    plan.secondary.database.rows("INSERT INTO t VALUES (777)")
    with pytest.raises(RefusedError, match="opened for writing"):
        go_on(record, changed(plan, AtXid(world.marks[4].xid), TargetAction.PAUSE))
    assert rows(plan) == [1, 2, 3, 777]
    assert go_on(record).state is RunState.PROMOTED
    assert rows(plan) == [1, 2, 3, 777]


def test_a_place_of_somebody_else_is_not_discarded(world: World) -> None:
    plan = world.plan(AtName("never set"))
    with pytest.raises(PitrError):
        run(plan)
    record = run_named("last")
    put_back(plan)
    place = local(plan).directory
    place.mkdir()
    with pytest.raises(RefusedError, match="thrown away before"):
        discard_run(record, plan.secondary)
    assert place.is_dir()
