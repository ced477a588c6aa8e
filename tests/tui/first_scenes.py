"""Steps 1 to 5 as they look before a recovery, over the made world of `world.py`."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from textual.pilot import Pilot

from pitr_tui.cli.wizard import demo_story
from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtTime, RecoveryTarget, TargetAction
from pitr_tui.recovery.glance import Glance
from pitr_tui.recovery.receiver_status import ReceiverStatus
from pitr_tui.servers.sql import Database
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.app import DARK, PitrApp
from pitr_tui.tui.screens.connect_found import Behind
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.wal.aim import aim_at
from pitr_tui.wal.chronicle import Chronicle
from tests.tui import containers, stories
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


def unnoted(world: World) -> Session:
    """The same where nobody has noted anything."""
    session = chosen(world)
    session.story = None
    return session


def in_berlin(world: World) -> Session:
    """With a server that has a zone of its own."""
    session = unnoted(world)
    session.facts = replace(FACTS, time_zone="Europe/Berlin")
    return session


def older(world: World) -> Session:
    """With the backup before the gap, chosen by hand."""
    session = unnoted(world)
    session.backup = world.backup(20)
    return session


def know(session: Session, world: World, target: RecoveryTarget) -> None:
    """Have the WAL read, and the target found in it."""
    story = session.story_of_wal
    story.surveyed = world.survey(session, threading.Event())
    story.chronicle = world.read(story.surveyed)
    assert session.backup is not None
    session.aim = aim_at(story.chronicle, target, session.backup.stop_lsn)
    session.target, session.action = session.aim.target, TargetAction.PAUSE
    session.passed = {WizardStep.TARGET}


def aimed(target: RecoveryTarget) -> Callable[[World], Session]:
    """With a target, for which a plan can be made."""

    def session_of(world: World) -> Session:
        session = chosen(world)
        know(session, world, target)
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
    know(session, world, AtTime(NOTED))
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
    told: Callable[[], Chronicle | PitrError] = stories.accident
    runs: tuple[Glance, ...] = ()

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        async with AsyncExitStack() as stack:
            place = Path(stack.enter_context(TemporaryDirectory())).resolve()
            world = World(place, self.free_bytes, self.behind, self.receiver, self.told, self.runs)
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
    FirstScene("target", "target", unnoted, shows="● reachable"),
    FirstScene("target-noted", "target", chosen, shows="● reachable", told=stories.prepared),
    FirstScene(
        "target-all",
        "target",
        unnoted,
        shows="● reachable",
        keys=("v", "pageup", "a"),
        then_shows="all 244 transactions",
    ),
    FirstScene(
        "target-filter",
        "target",
        unnoted,
        shows="● reachable",
        keys=("v", "f", *">=100", "enter"),
        then_shows="1 shown",
    ),
    FirstScene(
        "target-details",
        "target",
        unnoted,
        shows="● reachable",
        keys=("down", "i"),
        then_shows="Why it is a suspect",
    ),
    FirstScene(
        "target-backups",
        "target",
        unnoted,
        shows="● reachable",
        keys=("b",),
        then_shows="the newest that fits",
    ),
    FirstScene(
        "target-typed",
        "target",
        in_berlin,
        shows="● reachable",
        keys=("t", *"19:24:10"),
        then_shows="not reached",
    ),
    FirstScene(
        "target-future",
        "target",
        in_berlin,
        shows="● reachable",
        keys=("t", *"2026-12-11 19:00", "enter"),
        then_shows="lies in the future",
    ),
    FirstScene(
        "target-too-early",
        "target",
        unnoted,
        shows="● reachable",
        keys=("t", *"2026-11-19 10:00"),
        then_shows="before the end of every",
    ),
    FirstScene("target-quiet", "target", unnoted, shows="harmful", told=stories.quiet),
    FirstScene("target-empty", "target", unnoted, shows="0 transactions", told=stories.nothing),
    FirstScene("target-many", "target", unnoted, shows="3,000 suspects", told=stories.many),
    FirstScene("target-gap", "target", unnoted, shows="1 gap", told=stories.holed),
    FirstScene("target-older-backup", "target", older, shows="your choice"),
    FirstScene(
        "target-unread",
        "target",
        unnoted,
        shows="a process that was reading",
        told=lambda: PitrError("a process that was reading WAL has died", "its exit code was 1"),
    ),
    FirstScene("plan", "plan", _TO_NOTED, shows="● GREEN"),
    FirstScene("plan-amber", "plan", aimed(AtTime(NOW)), shows="AMBER"),
    FirstScene("plan-container", "plan", contained_and_aimed, shows="● GREEN"),
    FirstScene(
        "plan-container-commands",
        "plan",
        contained_and_aimed,
        shows="● GREEN",
        keys=("d",),
        then_shows="docker volume create",
        behind=containers.COMPOSE,
    ),
    FirstScene(
        "plan-refused",
        "plan",
        aimed(AtLsn(Lsn.parse("0/12000060"), inclusive=False)),
        shows="● RED",
        free_bytes=_FULL_DISK,
    ),
    FirstScene(
        "plan-asked",
        "plan",
        _TO_NOTED,
        shows="● GREEN",
        keys=("enter",),
        then_shows="Start the recovery?",
    ),
)
