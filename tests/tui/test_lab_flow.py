"""A trainee's whole way by keys: a card, the wizard, the score; on a real lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.lab import record
from pitr_tui.lab.ending import stop
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.running import find_running
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.lab_dialogs import ScoreDialog
from pitr_tui.tui.session import Session
from tests.tui.scenes import SMALL, screen_text, until

pytestmark = pytest.mark.integration

_PATIENCE = 90  # seconds for a lab on a machine that has other things to do


@pytest.fixture
def _labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for records; the lab that a test leaves is ended."""
    try:
        embedded_installation(server_user())
    except PitrError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path))
    try:
        yield
    finally:
        lab = record.current()
        if lab is not None:
            stop(lab)


@pytest.mark.usefixtures("_labs")
async def test_from_the_card_to_full_marks_and_to_the_end_of_the_lab() -> None:
    app = PitrApp(Session(), first="lab")
    async with app.run_test(size=SMALL) as pilot:

        async def see(words: str) -> None:
            await until(pilot, lambda: words in screen_text(app), _PATIENCE)

        async def yes() -> None:
            await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.pause()
            await pilot.press("right", "enter")

        await see("Somebody dropped a table")
        await pilot.press("down")
        await see("relation shop.orders does not exist")
        await pilot.press("enter")
        await see("Setting up: Somebody dropped a table")
        await see("lab Somebody dropped a table")  # the coach
        await see("enter: go on to archive")
        session, lab = app.session, record.require_current()
        assert session.lab is not None
        assert session.lab.lab == lab
        assert "gone very quiet" in screen_text(app)
        await pilot.press("enter")
        await see("last archived")
        await pilot.press("ctrl+n")
        await see("nightly")
        await see("enter: choose the target")
        await pilot.press("enter")
        await see("dropped shop.orders")
        await see("● reachable")
        await see("enter: stop just before xid")
        await pilot.press("enter")
        await see("● GREEN")
        await see("enter: start the recovery")
        await pilot.press("enter")
        await yes()
        await see("PAUSED AT TARGET")
        await see("enter: verify what was recovered")
        await pilot.press("enter")
        await see("▸ S: score it")
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, ScoreDialog), _PATIENCE)
        await see("✓ 100 of 100 marks")
        await see("Everything good that could be reached is there")
        await pilot.press("escape")
        await see("· 100 marks")
        assert session.lab.score is not None
        assert session.lab.score.lost == session.lab.score.wrong == ()
        assert session.lab.score.hints == session.lab.score.attempts == 0

        await pilot.press("1", "L")
        await see("▸ Somebody dropped a table  ")
        await see("enter: go on with this lab")
        await see("best 100")
        await pilot.press("x")
        await yes()
        await until(pilot, lambda: app.session.lab is None, _PATIENCE)
        assert record.current() is None
        assert not lab.directory.exists()
        world = lab.directory.resolve()
        assert not any(one.data_directory.is_relative_to(world) for one in find_running())
