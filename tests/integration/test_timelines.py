"""An archive with two branches in it: the one that was asked for, and nothing of the other."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import AtXid, Latest, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.checks import judge
from pitr_tui.recovery.events import Status, utc_now
from pitr_tui.recovery.plan import RecoveryPlan
from tests.integration.conftest import installed
from tests.integration.world import World, run
from tests.local import local

pytestmark = pytest.mark.integration


@pytest.fixture(params=["12", "18"])
def forked(request: pytest.FixtureRequest) -> Iterator[World]:
    """Timeline 2 left timeline 1 behind row 3 and has row 100; timeline 1 goes on with row 4."""
    world = World(installed(request.param))
    world.build()
    first = run(world.plan(AtXid(world.marks[3].xid), TargetAction.PROMOTE))
    server = first.server
    server.database.rows("INSERT INTO t VALUES (100)")
    server.database.rows("SELECT pg_switch_wal()")
    second = TimelineId(2)
    for name in (second.history_name, WalSegment.at(world.marks[3].lsn, second).name):
        shutil.copy(local(first.plan).directory / "pg_wal" / name, world.archive_directory / name)
    server.stop()
    yield world
    world.close()


def on_second(world: World) -> RecoveryPlan:
    return dataclasses.replace(world.plan(Latest()), timeline=TimelineId(2))


def test_the_branch_that_is_asked_for_is_followed(forked: World) -> None:
    for _ in range(3):  # the server asks for one history twice in a row
        result = run(on_second(forked))
        try:
            assert result.rows == [1, 2, 3, 100]
        finally:
            result.server.stop()
        assert result.view.new_timeline == 3


def test_the_backups_own_branch_is_followed_without_being_asked(forked: World) -> None:
    plan = forked.plan(Latest())
    warned = next(check for check in judge(plan, utc_now()).checks if check.name == "timeline")
    assert warned.status is Status.NOTE
    result = run(plan)
    assert result.rows == [1, 2, 3, 4]
    result.server.stop()


def test_the_parents_wal_behind_the_fork_is_no_substitute(forked: World) -> None:
    for path in forked.archive_directory.glob("00000002????????????????"):
        path.unlink()
    with pytest.raises(PitrError, match="delivered"):
        run(on_second(forked))
