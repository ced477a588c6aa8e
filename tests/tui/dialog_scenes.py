"""Questions that the wizard asks, and states that need more than a made world."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from textual.pilot import Pilot

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtTime
from pitr_tui.recovery.backup import BackupOrder, backup_arguments
from pitr_tui.recovery.minute_zero import MarkOrder, Position
from pitr_tui.recovery.verify import Answer, ServerState
from pitr_tui.servers.primary import ArchiverStatus
from pitr_tui.tui.app import DARK
from pitr_tui.tui.session import Session
from tests.tui.first_scenes import FirstScene, aimed, connected, new, unnoted, without_archive
from tests.tui.pasts import with_branches
from tests.tui.scenes import PAUSED, Scene, journal, settled
from tests.tui.world import FACTS, NOTED, NOW, SilentPrimary, segment

_SEEN = ArchiverStatus(14, segment(0x10).name, NOW, 0, None, None)
_POSITION = Position(NOW, Lsn(0x11000060), segment(0x11), "731:733:731", _SEEN)
_MARK = MarkOrder(FACTS, _POSITION, "incident_20261122T182430Z", "")
_ANSWER = Answer(
    ("day", "orders", "total"),
    [("2026-11-22", "398214", "11946420.00"), ("2026-11-21", "401893", "12056790.00")],
    False,
)


@dataclass(frozen=True)
class Patched:
    """A scene in which some functions of the program are others."""

    scene: FirstScene | Scene
    instead: tuple[tuple[str, object], ...]

    @property
    def name(self) -> str:
        return self.scene.name

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        async with AsyncExitStack() as stack:
            for name, made in self.instead:
                stack.enter_context(patch(name, made))
            yield await stack.enter_async_context(self.scene.played(size, theme))


@dataclass(frozen=True)
class BranchesScene:
    """The target step over an archive with timelines that left one another."""

    name: str = "target-branches"

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        with TemporaryDirectory() as place:
            past = with_branches(Path(place))
            scene = FirstScene(self.name, "target", unnoted, shows="● reachable")
            async with scene.played(size, theme) as pilot:
                with (
                    patch("pitr_tui.tui.screens.reading.survey", lambda *_: past.surveyed),
                    patch("pitr_tui.tui.screens.reading.read", lambda *_: past.chronicle),
                ):
                    await pilot.press("f5")
                    await settled(pilot)
                yield pilot


def _command(order: BackupOrder) -> tuple[str, ...]:
    words = backup_arguments(order, order.destination, order.database.parameters)
    return ("/usr/lib/postgresql/18/bin/pg_basebackup", *words)


def _promoted(_: object) -> ServerState:
    return ServerState(False, False, None, None, TimelineId(2))


def paused(name: str, *keys: str, step: str = "verify") -> Scene:
    """Of the recorded run that is paused at its target."""
    return Scene(name, lambda: journal(PAUSED), step=step, keys=keys)


DIALOG_SCENES = (
    Patched(
        FirstScene(
            "connect-mark-asked",
            "connect",
            new,
            shows="go on to archive",
            keys=("m",),
            then_shows="Mark this moment on the primary?",
        ),
        (("pitr_tui.recovery.minute_zero.plan_mark", lambda _: _MARK),),
    ),
    FirstScene(
        "archive-primary-down",
        "connect",
        lambda _: Session(clock=lambda: NOW),
        shows="primary 15.14",
        keys=("end", "enter"),
        then_shows="primary: down",
    ),
    Patched(
        FirstScene(
            "backups-new-asked",
            "backups",
            connected,
            shows="usable",
            keys=("t",),
            then_shows="Take a base backup?",
        ),
        (("pitr_tui.recovery.backup.BackupOrder.command", _command),),
    ),
    FirstScene(
        "lesson-archive",
        "archive",
        without_archive,
        shows="Proposed",
        keys=("f1",),
        then_shows="another step",
        primary=SilentPrimary,
    ),
    FirstScene(
        "lesson-target",
        "target",
        unnoted,
        shows="● reachable",
        keys=("f1",),
        then_shows="another step",
    ),
    FirstScene(
        "lesson-plan",
        "plan",
        aimed(AtTime(NOTED)),
        shows="● GREEN",
        keys=("f1", "tab", "tab"),
        then_shows="another step",
    ),
    BranchesScene(),
    paused("recover-filter", "slash", *"restored", "enter", step="recover"),
    Patched(
        paused("verify-query", "slash", *"TABLE orders_by_day", "enter"),
        (("pitr_tui.tui.screens.verify.ask", lambda *_: _ANSWER),),
    ),
    paused("verify-discard", "D"),
    Patched(
        paused("verify-promoted", "p", *"secondary", "enter"),
        (("pitr_tui.tui.screens.verify_fate.promote", _promoted),),
    ),
)
