"""Steps 1 to 5 as they look before a recovery, over the made world of `world.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from textual.pilot import Pilot

from pitr_tui.cli.wizard import demo_story
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtTime, RecoveryTarget, TargetAction
from pitr_tui.recovery.receiver_status import ReceiverStatus
from pitr_tui.servers.sql import Database
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.app import DARK, PitrApp
from pitr_tui.tui.screens.connect_found import Behind
from pitr_tui.tui.session import Session, WizardStep
from tests.tui import containers
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


def contained(world: World) -> Session:
    """With the primary in a container, and a backup and an archive in volumes."""
    session = without_archive(world)
    session.story = session.destination = None
    session.origin, session.project = containers.PRIMARY, containers.PROJECT
    return session


def contained_and_aimed(world: World) -> Session:
    session = contained(world)
    session.archive_directory = containers.volume("shop_archive")
    session.backup_directory = containers.volume("shop_backups")
    backups = EngineLocation(LocationKind.VOLUME, "shop_backups", PurePosixPath("2026-11-22"))
    session.backup = replace(world.backup(22), path=containers.path_in(backups))
    session.target, session.passed = AtTime(NOTED), {WizardStep.TARGET}
    return session


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
    behind: Behind = World.behind
    receiver: ReceiverStatus | None = None

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        async with AsyncExitStack() as stack:
            place = Path(stack.enter_context(TemporaryDirectory())).resolve()
            world = World(place, self.free_bytes, self.behind, self.receiver)
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
        "connect-compose",
        "connect",
        lambda world: Session(clock=lambda: NOW),
        shows="not created",
        keys=("down",),
        then_shows="it was secondary",
        behind=containers.COMPOSE,
    ),
    FirstScene(
        "connect-stopped",
        "connect",
        lambda world: Session(clock=lambda: NOW),
        shows="wiki-db",
        keys=("down", "down", "down", "enter"),
        then_shows="container wiki-db: stopped",
    ),
    FirstScene(
        "connect-no-engine",
        "connect",
        lambda world: Session(clock=lambda: NOW),
        shows="permission denied",
        behind=containers.NO_ENGINE,
    ),
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
    FirstScene(
        "archive-container",
        "archive",
        contained,
        shows="Proposed",
        primary=SilentPrimary,
    ),
    FirstScene(
        "archive-receiver",
        "archive",
        contained,
        shows="2 segments missing",
        primary=SilentPrimary,
        receiver=containers.RECEIVER,
    ),
    FirstScene(
        "archive-container-asked",
        "archive",
        contained,
        shows="Proposed",
        keys=("enter",),
        then_shows="In the container root will run",
        primary=SilentPrimary,
    ),
    FirstScene("backups", "backups", connected, shows="usable"),
    FirstScene("target", "target", chosen, shows="before the target"),
    FirstScene("plan", "plan", _TO_NOTED, shows="go on, with 1 warning"),
    FirstScene("plan-container", "plan", contained_and_aimed, shows="go on, with 1 warning"),
    FirstScene(
        "plan-container-commands",
        "plan",
        contained_and_aimed,
        shows="go on, with 1 warning",
        keys=("d",),
        then_shows="docker volume create",
        behind=containers.COMPOSE,
    ),
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
