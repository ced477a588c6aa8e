"""The tutorial through the wizard, by keys, on the two containers of a compose project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import NotFound
from textual.pilot import Pilot

from pitr_tui.servers.container_secondary import ContainerSecondary
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.typed import TypedConfirmDialog
from pitr_tui.tui.session import Session
from tests.docker import world
from tests.docker.world import PASSWORD, Project, majors, remove_volume
from tests.tui.scenes import SMALL, opened, paste, screen_text, until

pytestmark = pytest.mark.docker

_LONG = 60


@pytest.fixture
def session(
    project: Project, engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """A session that knows the compose file; what it had made is gone afterwards."""
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", project.name)
    session = Session(compose=project.file)
    try:
        with closing(session.reach):
            yield session
            if session.secondary is not None:
                session.secondary.throw_away()
    finally:
        remove_volume(engine, f"{project.name}-backups")


async def see(pilot: Pilot[Any], words: str) -> None:
    """Wait until these words are on the screen."""
    await until(pilot, lambda: words in screen_text(pilot.app), _LONG)


async def idle(pilot: Pilot[Any]) -> None:
    """Wait until no step has a job going."""
    panes = pilot.app.wizard.panes  # type: ignore[attr-defined]
    await until(pilot, lambda: not any(pane._jobs for pane in panes.values()), _LONG)


async def say_yes(pilot: Pilot[Any]) -> None:
    """Confirm the dialog, which comes with Cancel focused."""
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog), _LONG)
    await pilot.pause()
    await pilot.press("right", "enter")


async def move_to(pilot: Pilot[Any], words: str) -> None:
    """Go down in a list until the line above the footer says these words."""
    for _ in range(40):
        await pilot.pause()
        if words in screen_text(pilot.app):
            return
        await pilot.press("down")
    raise AssertionError(f"{words!r} was not to be found:\n{screen_text(pilot.app)}")


@majors("11", "18", often=("18",))
async def test_the_tutorial(project: Project, session: Session) -> None:
    name = str(project.primary.name)
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await see(pilot, name)
        await move_to(pilot, f"enter: connect to the server in {name}")
        await pilot.press("enter")
        await see(pilot, f"the container {name}")
        await see(pilot, "enter: go on to archive")
        await pilot.press("enter")

        await see(pilot, "archive_mode is off")
        await see(pilot, f"volume:{project.volume('archive')}")
        await see(pilot, "needs a RESTART")
        assert session.archive_directory is None
        await pilot.press("enter")
        await say_yes(pilot)
        await see(pilot, "✓ archiving works")
        await see(pilot, "enter: go on to backups")
        await pilot.press("enter")

        await see(pilot, "take a base backup")
        project.sql("CREATE TABLE t (id int PRIMARY KEY)")
        await pilot.press("enter")
        await say_yes(pilot)
        await see(pilot, "1 of 1 backup usable")

        project.sql("INSERT INTO t SELECT generate_series(1, 1000)")
        noted = datetime.fromisoformat(project.sql("SELECT clock_timestamp()")).astimezone(UTC)
        project.sql("INSERT INTO t SELECT generate_series(1001, 1500)")
        await pilot.press("enter")
        await see(pilot, "Where do you want to stop?")
        await idle(pilot)
        await pilot.press("t")
        await paste(pilot, f"{noted:%Y-%m-%d %H:%M:%S.%f} UTC")
        await see(pilot, "check whether that can be reached")
        await pilot.press("enter")

        await see(pilot, "● AMBER")
        await pilot.press("s")
        await see(pilot, "Finish the primary's segment?")
        await pilot.press("right", "enter")
        await see(pilot, "● GREEN")
        await idle(pilot)
        assert session.plan is not None
        secondary = session.plan.secondary
        assert isinstance(secondary, ContainerSecondary)
        assert secondary.name.startswith(f"pitr-{project.name}-secondary-")
        await pilot.press("d")
        await see(pilot, "docker volume create")
        await pilot.press("escape")
        await see(pilot, "start the recovery (asks first)")
        await pilot.press("enter")
        await say_yes(pilot)

        await see(pilot, "PAUSED AT TARGET")
        await see(pilot, "redo starts at")
        await see(pilot, "verify what was recovered")
        await pilot.press("enter")
        await see(pilot, "500 fewer here")
        assert f"docker exec -it {secondary.name} psql" in screen_text(app).replace("\n ", " ")
        assert PASSWORD not in screen_text(app)
        assert project.sql("SELECT count(*) FROM t") == "1500"

        await pilot.press("w")
        await say_yes(pilot)
        file = project.file.parent / f"compose.{secondary.name}.yml"
        await until(pilot, file.exists)
        assert "  secondary:" in file.read_text()

        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, TypedConfirmDialog))
        await pilot.pause()
        await paste(pilot, secondary.name)
        await pilot.press("enter")
        await see(pilot, "The secondary was thrown away")
        assert not project.client.containers.list(all=True, filters={"name": secondary.name})


async def test_a_primary_that_is_stopped(project: Project, session: Session) -> None:
    name = str(project.primary.name)
    project.primary.stop()
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await see(pilot, name)
        await move_to(pilot, f"go on without the server: it was {name}")
        await pilot.press("enter")
        await see(pilot, f"container {name}: stopped")
        await see(pilot, "enter: go on to archive")
        await pilot.press("enter")
        await see(pilot, f"volume:{project.volume('archive')}")
        await see(pilot, "no WAL segments yet")


@pytest.fixture
def unmounted(engine: DockerClient, tmp_path: Path) -> Iterator[Project]:
    """A primary with nothing mounted that an archive could lie in."""
    world.image(engine, "postgres:18")
    with world.running(engine, tmp_path / "unmounted", world.tutorial("18", False)) as project:
        yield project


async def test_wal_is_received_and_collected(unmounted: Project, engine: DockerClient) -> None:
    name = str(unmounted.primary.name)
    session = Session(container=name)
    app = PitrApp(session)
    volumes = [f"pitr-archive-{name}"]
    try:
        async with app.run_test(size=SMALL) as pilot:
            await opened(pilot)
            await see(pilot, "enter: go on to archive")
            await pilot.press("enter")
            await see(pilot, "nothing is mounted in the container")
            await see(pilot, "enter: receive the WAL beside the primary")
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog), _LONG)
            await pilot.pause()
            assert "pg_receivewal" in screen_text(app)
            await say_yes(pilot)
            await see(pilot, "✓ The WAL is received beside the primary")
            await see(pilot, "✓ receiver          running")
            await see(pilot, "enter: prove that archiving works")
            await pilot.press("enter")
            await see(pilot, "arrived whole")
            assert session.archive_directory is not None
            assert str(session.archive_directory) == f"volume:{volumes[0]}"

            session.archive_directory = None  # as if nobody had received anything
            await pilot.press("c")
            await say_yes(pilot)
            await see(pilot, "✓ collected")
            await see(pilot, "This is the WAL that the primary still had")
            assert str(session.archive_directory).startswith(f"volume:pitr-collected-{name}-")
            volumes.append(str(session.archive_directory).removeprefix("volume:"))
    finally:
        session.reach.close()
        with suppress(NotFound):
            engine.containers.get(f"pitr-receiver-{name}").remove(force=True, v=True)
        for one in volumes:
            remove_volume(engine, one)
