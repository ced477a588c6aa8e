"""The whole way by keys on a real server: connect, archive, backup, target, check, recover."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pitr_tui.errors import PitrError
from pitr_tui.postgres.conf import settings_block
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.local import LocalServer, socket_settings
from pitr_tui.servers.osuser import server_user
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.session import Moment, Session, Story
from tests.local import local

pytestmark = pytest.mark.integration

SMALL = (80, 24)


@pytest.fixture
def primary() -> Iterator[LocalServer]:
    """A new server of our own that does not archive."""
    user = server_user()
    try:
        installation = embedded_installation(user)
    except PitrError as error:
        pytest.skip(str(error))
    directory = Path(tempfile.mkdtemp(prefix="pitr-wizard-"))
    user.own(directory)
    server = LocalServer(
        installation=installation,
        data_directory=directory / "primary",
        user=user,
        socket_directory=directory / "s",
        port=5432,
        log_path=directory / "primary.log",
    )
    try:
        server.initialize()
        user.make_directory(server.socket_directory)
        settings = {**socket_settings(server.socket_directory, 5432), "fsync": "off"}
        with (server.data_directory / "postgresql.conf").open("a") as file:
            file.write(settings_block(settings))
        server.start()
        server.wait_until_open()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def screen_text(app: Any) -> str:
    rows = app.screen._compositor.render_strips()
    return "\n".join(strip.text[: app.size.width].rstrip() for strip in rows)


async def until(pilot: Pilot[Any], happened: Callable[[], object], seconds: float = 20) -> None:
    for _ in range(int(seconds / 0.05)):
        if happened():
            return
        await pilot.pause(0.05)
    raise AssertionError("it did not happen in time:\n" + screen_text(pilot.app))


async def see(pilot: Pilot[Any], words: str) -> None:
    """Wait until these words are on the screen."""
    await until(pilot, lambda: words in screen_text(pilot.app))


async def say_yes(pilot: Pilot[Any]) -> None:
    """Confirm the dialog, which comes with Cancel focused."""
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
    await pilot.pause()
    await pilot.press("right", "enter")


async def test_from_the_accident_to_the_recovered_rows(primary: LocalServer) -> None:
    database = primary.database
    database.row("CREATE TABLE t AS SELECT 1 AS id; SELECT 1")
    session = Session(database=database)
    app = PitrApp(session)
    root = primary.data_directory.parent
    async with app.run_test(size=SMALL) as pilot:
        await see(pilot, "enter: go on to archive")
        await pilot.press("enter")

        await see(pilot, "archive_mode is off")
        await see(pilot, "needs a RESTART")
        assert session.archive_directory is None
        await pilot.press("enter")
        await say_yes(pilot)
        await see(pilot, "✓ archiving works")
        assert session.archive_directory == root / "pitr-archive"
        await see(pilot, "enter: go on to backups")
        await pilot.press("enter")

        await see(pilot, "no base backup here")
        await see(pilot, "take a base backup")
        await pilot.press("enter")
        await say_yes(pilot)
        await see(pilot, "1 of 1 backup usable")

        database.row("INSERT INTO t VALUES (2); SELECT 1")
        noted = database.row("SELECT clock_timestamp()")[0].astimezone(UTC)
        database.row("DELETE FROM t; SELECT 1")
        await pilot.press("2")
        await see(pilot, "✓ archiving works: 000000010000000000000001")
        await pilot.press("p")
        await see(pilot, "✓ archiving works: 000000010000000000000003")
        await pilot.press("ctrl+n")
        await see(pilot, "start from")
        await pilot.press("enter")

        await see(pilot, "Where do you want to stop?")
        await see(pilot, "● reachable")
        await pilot.press("t", *f"{noted:%Y-%m-%d %H:%M:%S.%f} UTC")
        await see(pilot, "check whether that can be reached")
        await see(pilot, "t −2")
        await pilot.press("enter")

        await see(pilot, "start the recovery (asks first)")
        assert session.plan is not None
        destination = local(session.plan).directory
        assert not destination.exists()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.pause()
        assert str(destination) in screen_text(app)
        await pilot.press("enter")  # Cancel has the focus: nothing happens
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.wizard.current == "plan"
        assert session.run is None
        await pilot.press("enter")
        await say_yes(pilot)

        await until(pilot, lambda: session.run is not None and session.run.finished is not None)
        assert session.secondary is not None
        try:
            rows = session.secondary.database.rows("SELECT id FROM t ORDER BY id")
            assert rows == [(1,), (2,)]
            assert database.rows("SELECT id FROM t") == []
        finally:
            session.secondary.stop()


async def test_a_target_before_every_backup_and_a_destination_in_use(primary: LocalServer) -> None:
    database = primary.database
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    session = Session(database=database, story=Story("x", (Moment(long_ago, "before it all"),)))
    app = PitrApp(session)
    root = primary.data_directory.parent
    async with app.run_test(size=SMALL) as pilot:
        await see(pilot, "enter: go on to archive")
        await pilot.press("enter")
        await see(pilot, "needs a RESTART")
        await pilot.press("enter")
        await say_yes(pilot)
        await see(pilot, "go on to backups")
        await pilot.press("enter")
        await see(pilot, "take a base backup")
        await pilot.press("t")
        await say_yes(pilot)
        await see(pilot, "start from")
        await pilot.press("enter")

        await see(pilot, "before the end of every usable")
        await pilot.press("enter")
        await see(pilot, "choose a later target, or find an older backup")
        assert app.wizard.current == "target"
        await pilot.press("t", *"end of backup")
        await see(pilot, "● reachable")
        await pilot.press("enter")

        await see(pilot, "start the recovery (asks first)")
        await pilot.press("f2", "ctrl+a", "ctrl+k", *str(root), "enter")
        await see(pilot, "● RED")
        await see(pilot, "✗ destination")
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert app.wizard.current == "plan"
        assert session.run is None
