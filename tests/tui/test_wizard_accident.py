"""Only an archive and a backup, and a new user: to the moment before the accident, by few keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import AtXid
from pitr_tui.recovery import archiving
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.osuser import server_user
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.session import Session
from tests.integration.world import World
from tests.tui.scenes import SMALL, opened, screen_text, settled, until

pytestmark = pytest.mark.integration

_MOST_KEYS = 12
_LONG = 30


@pytest.fixture
def world() -> Iterator[World]:
    """Rows 1 to 4, then an accident, then row 5; the server is gone, its archive is not."""
    try:
        world = World(embedded_installation(server_user()))
    except PitrError as error:
        pytest.skip(str(error))
    try:
        world.build()
        database = world.server.database
        database.rows("CREATE TABLE bystander AS SELECT 1 AS id; SELECT 1")
        database.rows("DROP TABLE t; SELECT 1")
        database.rows("INSERT INTO bystander VALUES (2); SELECT 1")
        archiving.prove(world.primary, world.archive_directory)
        world.server.stop()
        yield world
    finally:
        world.close()


class Person:
    """Presses keys, and is counted."""

    def __init__(self, pilot: Pilot[Any]) -> None:
        self.pilot = pilot
        self.keys = 0

    async def press(self, key: str, then: str) -> None:
        self.keys += 1
        await self.pilot.press(key)
        await until(self.pilot, lambda: then in screen_text(self.pilot.app), _LONG)


async def test_the_accident_is_found_and_undone_without_typing_a_time(world: World) -> None:
    session = Session(
        archive_directory=world.archive_directory,
        backup_directory=world.backup_path,
        destination=world.new_destination(),
    )
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await settled(pilot)
        person = Person(pilot)
        await person.press("end", "enter: go on without the primary")
        await person.press("enter", "enter: go on to backups")
        await person.press("enter", "choose the target")
        await person.press("enter", "● reachable")
        await settled(pilot)
        shown = screen_text(app)
        assert "dropped public.t" in shown
        assert "Lose from" in shown
        await person.press("enter", "● GREEN")
        assert person.keys <= _MOST_KEYS
        assert isinstance(session.target, AtXid)

        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, lambda: session.run and session.run.finished, _LONG)
        assert session.secondary is not None
        try:
            rows = session.secondary.database.rows("SELECT id FROM t ORDER BY id")
            assert rows == [(1,), (2,), (3,), (4,)]
            assert session.secondary.database.rows("SELECT id FROM bystander") == [(1,)]
        finally:
            session.secondary.stop()


async def test_the_wal_is_read_once_and_again_when_there_is_more(world: World) -> None:
    session = Session(
        archive_directory=world.archive_directory,
        backup_directory=world.backup_path,
        primary_is_down=True,
        backup=world.backup,
    )
    app = PitrApp(session)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await app.wizard.show("target")
        await settled(pilot)
        first = session.story_of_wal.chronicle
        assert first is not None
        await pilot.press("escape", "4")
        await settled(pilot)
        assert session.story_of_wal.chronicle is first
        await pilot.press("f5")
        await settled(pilot)
        again = session.story_of_wal.chronicle
        assert again is not first
        assert again is not None
        assert len(again) == len(first)
        newest = max(one for one in world.archive_directory.iterdir() if len(one.name) == 24)
        newest.rename(world.directory / "kept")
        await pilot.press("escape", "4")
        await settled(pilot)
        less = session.story_of_wal.chronicle
        assert less is not None
        assert less is not again
        assert less.end < first.end
