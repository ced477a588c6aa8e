"""A recovery into a container that was cut off is opened in the wizard, and gone on with there."""

from __future__ import annotations

from contextlib import closing

import pytest
from docker import DockerClient

from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.runs import RunsDialog
from pitr_tui.tui.session import Session
from tests.docker.accident import play
from tests.docker.secondaries import assert_undisturbed, query
from tests.docker.test_taking_up import ROWS, killed
from tests.docker.world import Project, majors
from tests.tui.scenes import SMALL, screen_text, settled, until

pytestmark = pytest.mark.docker

_LONG = 60


@majors("18")
async def test_a_container_is_gone_on_with(
    engine: DockerClient, project: Project, secondary: str
) -> None:
    killed(play(project), secondary, "LogArrived")
    session = Session()
    app = PitrApp(session)
    with closing(session.reach):
        async with app.run_test(size=SMALL) as pilot:
            await until(pilot, lambda: "was cut off" in screen_text(app), _LONG)
            await pilot.press("R")
            assert isinstance(app.screen, RunsDialog)
            await pilot.press("enter")
            await until(pilot, lambda: "CUT OFF" in screen_text(app), _LONG)
            await pilot.press("enter")
            await until(pilot, lambda: "PAUSED AT TARGET" in screen_text(app), _LONG)
            await settled(pilot)
            assert query(engine.containers.get(secondary), ROWS) == "{1,2,3}"
            await pilot.press("enter", "s")
            await until(pilot, lambda: "● reachable" in screen_text(app), _LONG)
            await pilot.press("enter")
            await until(pilot, lambda: "go on with   " in screen_text(app), _LONG)
            await until(pilot, lambda: "replayed up to" in screen_text(app), _LONG)
    assert_undisturbed(engine.containers.get(secondary))
    assert_undisturbed(project.primary)
