"""Steps 1 to 5 as they look before a recovery, over the made world of `world.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from textual.pilot import Pilot

from pitr_tui.cli.wizard import demo_story
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtTime, RecoveryTarget, TargetAction
from pitr_tui.servers.sql import Database
from pitr_tui.tui.app import DARK, PitrApp
from pitr_tui.tui.session import Session, WizardStep
from tests.tui.scenes import opened, screen_text, settled, until
from tests.tui.world import (
    ARCHIVE,
    BACKUPS,
    FACTS,
    NOTED,
    NOW,
    SRV,
    MadePrimary,
    SilentPrimary,
    World,
)

_FULL_DISK = 40 << 20


def new(_: World) -> Session:
    """As `pitr demo --tui` opens the wizard."""
    return Session(
        clock=lambda: NOW,
        story=demo_story(NOTED, 600_000),
        database=Database({"host": f"{SRV}/socket", "port": "5432", "user": "postgres"}),
        archive_directory=ARCHIVE,
        backup_directory=BACKUPS,
        destination=SRV / "secondary",
    )


def connected(world: World) -> Session:
    session = new(world)
    session.facts = FACTS
    return session


def without_archive(world: World) -> Session:
    session = connected(world)
    session.archive_directory = session.backup_directory = None
    return session


def chosen(world: World) -> Session:
    """With the newest backup, which is the one after the gap."""
    session = connected(world)
    session.backup = world.backup(22)
    return session


def aimed(target: RecoveryTarget) -> Callable[[World], Session]:
    """With a target, for which a plan can be made."""

    def session_of(world: World) -> Session:
        session = chosen(world)
        session.target, session.action = target, TargetAction.PAUSE
        session.passed = {WizardStep.TARGET}
        return session

    return session_of


@dataclass(frozen=True)
class FirstScene:
    """A step before the recovery, once it shows what is waited for, and after some keys."""

    name: str
    step: str
    session: Callable[[World], Session]
    shows: str
    keys: tuple[str, ...] = ()
    then_shows: str = ""
    primary: type[MadePrimary] = MadePrimary
    free_bytes: int = World.free_bytes

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        async with AsyncExitStack() as stack:
            place = Path(stack.enter_context(TemporaryDirectory())).resolve()
            world = World(place, self.free_bytes)
            world.make()
            stack.enter_context(world.opened(self.primary))
            app = PitrApp(self.session(world))
            app.theme = theme
            pilot = await stack.enter_async_context(app.run_test(size=size))
            await opened(pilot)
            if self.step != "connect":
                await app.wizard.show(self.step)
            await until(pilot, lambda: self.shows in screen_text(app))
            if self.keys:
                await pilot.press(*self.keys)
                await until(pilot, lambda: self.then_shows in screen_text(app))
            await settled(pilot)
            yield pilot


_TO_NOTED = aimed(AtTime(NOTED))
FIRST_SCENES = (
    FirstScene("connect", "connect", new, shows="primary 15.14"),
    FirstScene(
        "archive-change",
        "archive",
        without_archive,
        shows="Proposed",
        primary=SilentPrimary,
    ),
    FirstScene(
        "archive-change-asked",
        "archive",
        without_archive,
        shows="Proposed",
        keys=("enter",),
        then_shows="THE PRIMARY WILL BE RESTARTED",
        primary=SilentPrimary,
    ),
    FirstScene(
        "archive-proved",
        "archive",
        connected,
        shows="Is it proved",
        keys=("p",),
        then_shows="archiving works",
    ),
    FirstScene("backups", "backups", connected, shows="usable"),
    FirstScene("target", "target", chosen, shows="before the target"),
    FirstScene("plan", "plan", _TO_NOTED, shows="go on, with 1 warning"),
    FirstScene(
        "plan-refused",
        "plan",
        aimed(AtLsn(Lsn.parse("0/12000060"), inclusive=False)),
        shows="refused",
        free_bytes=_FULL_DISK,
    ),
    FirstScene(
        "plan-asked",
        "plan",
        _TO_NOTED,
        shows="go on, with 1 warning",
        keys=("enter",),
        then_shows="Start the recovery?",
    ),
)
