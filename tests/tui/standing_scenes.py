"""Recoveries that are not over: in the first step, in the check, and after a failure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtTime, AtXid, RecoveryTarget, TargetAction
from pitr_tui.recovery.events import RunFailed
from pitr_tui.recovery.glance import Glance
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.report import Ending, Outcome
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.state import RunView
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.tui.app import DARK, PitrApp
from pitr_tui.tui.screens.opening import standing_of
from pitr_tui.tui.session import Session, Standing
from tests.tui.first_scenes import FirstScene, aimed, new
from tests.tui.scenes import PAUSED, Scene, journal, secondary, settled, until_event
from tests.tui.world import ARCHIVE, NOTED, World

KEPT = "kept-15"
RECORD = RunRecord(Path("/srv/pg/state/runs/20261122-182233-0c3bb86f"))


def at(hour: int, minute: int, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, minute, 7, tzinfo=UTC)


def record(name: str) -> RunRecord:
    return RunRecord(RECORD.directory.with_name(name))


RESUMABLE = ("resume", "discard")
RUNS = (
    Glance(
        record("20261122-182233-0c3bb86f"),
        at(18, 22),
        "/srv/pg/recovered-20261122-182230",
        "just before transaction 728",
        Outcome(Ending.CUT_OFF, "cut off, can be resumed", "", True, RESUMABLE),
    ),
    Glance(
        record("20261122-181501-77aa10e2"),
        at(18, 15),
        "/srv/pg/secondary",
        "up to 2026-11-22 18:10:00+00:00",
        Outcome(Ending.FAILED, "failed", "segment 9 is not in the archive"),
    ),
    Glance(
        record("20261122-090001-5f00aa12"),
        at(9, 0),
        "/srv/pg/morning",
        "restore point 'before_release'",
        Outcome(Ending.REACHED, "paused at target", "", True, ("verify", *RESUMABLE)),
    ),
    Glance(
        record("20261121-230000-12ab34cd"),
        at(23, 0, day=21),
        problem=PitrError("this is not a line of a journal", "[/] \x1b[31m"),
    ),
)


def paused_at(lsn: Lsn, xid: int, world: World) -> Standing:
    """A copy of the newest backup whose secondary is paused, as in the recorded run."""
    view = RunView()
    for stamped in journal(PAUSED):
        view.apply(stamped)
    assert view.replay is not None
    view.replay = replace(view.replay, lsn=lsn)
    archive = WalArchive(world.place / "archive")
    archive.directory = ARCHIVE
    plan = RecoveryPlan(
        backup=world.backup(22),
        archive=archive,
        secondary=secondary(),
        target=AtXid(xid),
        action=TargetAction.PAUSE,
    )
    return Standing(RECORD, plan, view)


def stepping_on(lsn: str, xid: int, then: RecoveryTarget) -> Callable[[World], Session]:
    """With a secondary that is paused there, and a target that was chosen after that."""

    def session_of(world: World) -> Session:
        session = aimed(then)(world)
        session.standing = paused_at(Lsn.parse(lsn), xid, world)
        session.run, session.record = session.standing.view, RECORD
        session.secondary = session.standing.plan.secondary
        return session

    return session_of


@dataclass(frozen=True)
class KeptScene:
    """The recover step after a failure that has kept the copy."""

    name: str = "recover-kept"

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        scene = Scene(self.name, lambda: until_event(journal(KEPT), RunFailed))
        async with scene.played(size, theme) as pilot:
            app = pilot.app
            assert isinstance(app, PitrApp)
            session = app.session
            assert session.plan is not None
            assert session.run is not None
            session.record = RECORD
            session.standing = standing_of(RECORD, session.plan, session.run)
            app.wizard.refresh_frame()
            app.wizard.panes["recover"].refresh_bindings()
            await settled(pilot)
            yield pilot


_LATER = AtTime(NOTED)
STANDING_SCENES = (
    FirstScene("connect-runs", "connect", new, shows="was cut off", runs=RUNS),
    FirstScene(
        "connect-runs-asked",
        "connect",
        new,
        shows="was cut off",
        keys=("R",),
        then_shows="The recoveries of this machine",
        runs=RUNS,
    ),
    FirstScene("plan-onward", "plan", stepping_on("0/9000300", 700, _LATER), shows="● GREEN"),
    FirstScene(
        "plan-onward-asked",
        "plan",
        stepping_on("0/9000300", 700, _LATER),
        shows="● GREEN",
        keys=("enter",),
        then_shows="Go on with this copy?",
    ),
    FirstScene(
        "plan-onward-earlier", "plan", stepping_on("0/F73BFD0", 1200, _LATER), shows="● RED"
    ),
    FirstScene(
        "plan-afresh",
        "plan",
        stepping_on("0/F73BFD0", 1200, _LATER),
        shows="● RED",
        keys=("enter",),
        then_shows="stays as it is",
    ),
    KeptScene(),
)
