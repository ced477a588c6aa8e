"""On real servers: on to a later target with the same copy, and on with a run that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import RunTakenUp, Step, StepStarted
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.osuser import server_user
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.runs import RunsDialog
from pitr_tui.tui.session import Session
from tests.integration.test_taking_up import killed_run, plan_of
from tests.integration.world import RESTORE_POINT, World
from tests.tui.scenes import SMALL, opened, paste, screen_text, settled, until

pytestmark = pytest.mark.integration

_LONG = 30


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    try:
        world = World(embedded_installation(server_user()))
    except PitrError as error:
        pytest.skip(str(error))
    try:
        world.build()
        yield world
    finally:
        world.close()


async def sees(pilot: Pilot[Any], words: str) -> None:
    await until(pilot, lambda: words in " ".join(screen_text(pilot.app).split()), _LONG)


async def say_yes(pilot: Pilot[Any], title: str) -> None:
    """Confirm the question, and wait for the end of the run."""
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
    assert title in screen_text(pilot.app)
    await pilot.press("right", "enter")
    await sees(pilot, "enter: verify what was recovered")


async def aim_at(pilot: Pilot[Any], text: str) -> None:
    """Type a target at step 4, and let it be checked; of an xid it is just before that one."""
    await sees(pilot, "● reachable")
    await pilot.press("t", "ctrl+u")
    await paste(pilot, text)
    await sees(pilot, "check whether that can be reached")
    await pilot.press("enter")


def rows_of(session: Session) -> list[int]:
    assert session.secondary is not None
    return [row[0] for row in session.secondary.database.rows("SELECT id FROM t ORDER BY id")]


async def test_stepping_on_with_the_keys(world: World) -> None:
    session = Session(
        archive_directory=world.archive_directory,
        backup_directory=world.backup_path,
        primary_is_down=True,
        backup=world.backup,
        destination=world.new_destination(),
    )
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await app.wizard.show("target")
        await aim_at(pilot, f"xid {world.marks[3].xid}")
        await sees(pilot, "enter: start the recovery")
        await say_yes(pilot, "Start the recovery?")
        assert session.secondary is not None
        try:
            assert rows_of(session) == [1, 2]
            await pilot.press("enter", "s")
            await aim_at(pilot, f"xid {world.marks[4].xid}")
            await sees(pilot, "enter: go on with this copy")
            await say_yes(pilot, "Go on with this copy?")
            assert rows_of(session) == [1, 2, 3]
            assert len(session.records) == 1
            events = list(session.records[0].events())
            steps = [one.event.step for one in events if isinstance(one.event, StepStarted)]
            assert (steps.count(Step.COPY), steps.count(Step.SETTINGS)) == (1, 2)

            await pilot.press("enter", "s")
            await aim_at(pilot, RESTORE_POINT)
            await sees(pilot, "● RED")
            assert "it never goes back" in " ".join(screen_text(app).split())
            await pilot.press("enter")
            await sees(pilot, "stays as it is")
            await sees(pilot, "● GREEN")
            assert session.plan is not None
            assert session.standing is not None
            assert session.plan.secondary.destination != session.secondary.destination
            assert session.standing.plan.secondary.is_running()
            assert rows_of(session) == [1, 2, 3]
        finally:
            assert session.standing is not None
            session.standing.plan.secondary.throw_away()


async def test_a_killed_run_is_gone_on_with(world: World) -> None:
    record = killed_run(world, "StepDone copy")
    plan = plan_of(record)
    session = Session()
    app = PitrApp(session)
    try:
        async with app.run_test(size=SMALL) as pilot:
            await sees(pilot, "was cut off: ")
            await pilot.press("R")
            await until(pilot, lambda: isinstance(app.screen, RunsDialog))
            await pilot.press("enter")
            await sees(pilot, "CUT OFF just after the step copy")
            assert "enter: go on with the copy that is there" in screen_text(app)
            await pilot.press("enter")
            await sees(pilot, "PAUSED AT TARGET")
            await settled(pilot)
            assert rows_of(session) == [1, 2, 3]
            assert sum(isinstance(one.event, RunTakenUp) for one in record.events()) == 1
            await pilot.press("enter")
            await sees(pilot, "postgres t 3")
            await pilot.press("4")
            await sees(pilot, "● reachable")
    finally:
        plan.secondary.throw_away()
