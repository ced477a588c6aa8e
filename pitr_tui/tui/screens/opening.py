"""A run of before, read from its journal beside the screen, and put into the session."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pitr_tui.errors import CancelledError, RefusedError
from pitr_tui.recovery.events import LogArrived
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_record import plan_from
from pitr_tui.recovery.report import outcome
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.state import RunView
from pitr_tui.storage.location import EngineLocation, LocationKind, engine_location
from pitr_tui.storage.path import ReadPath
from pitr_tui.tui import way
from pitr_tui.tui.reach import Place, Reach
from pitr_tui.tui.session import Session, Standing, WizardStep

if TYPE_CHECKING:
    from pitr_tui.containers.engine import Engine

_PORTION = 500  # events that are read at once
_BREATH = 0.001


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run with its plan, what its server said, and whether that runs now."""

    record: RunRecord
    view: RunView
    log: tuple[str, ...]
    plan: RecoveryPlan
    runs: bool


@dataclass(frozen=True, slots=True)
class ReachPlaces:
    """The places of a recorded run, as the session reaches them."""

    reach: Reach

    def engine(self) -> Engine:
        return self.reach.engine()

    def path(self, place: str, image: str) -> ReadPath:
        if image:
            self.reach.use_image(image)
        return self.reach.path(_place(place))


def open_run(record: RunRecord, reach: Reach, cancel: threading.Event) -> OpenedRun:
    """Read a run. Raises RefusedError for one that one cannot do anything with, PitrError."""
    if record.is_live():
        raise RefusedError(
            f"the run {record.name} is going on", "another pitr is at it", "end that one first"
        )
    view, log = read_run(record, cancel)
    if not outcome(view).commands:
        raise RefusedError(f"nothing is left of the run {record.name}", str(outcome(view)))
    plan = plan_from(view.plan, ReachPlaces(reach))
    return OpenedRun(record, view, log, plan, plan.secondary.is_running())


def read_run(record: RunRecord, cancel: threading.Event) -> tuple[RunView, tuple[str, ...]]:
    """A run as it stands, and its log; the pauses leave the screen its time."""
    view, log = RunView(), []
    for number, stamped in enumerate(record.events()):
        view.apply(stamped)
        if isinstance(stamped.event, LogArrived):
            log.append(stamped.event.text)
        if number % _PORTION == 0 and cancel.wait(_BREATH):
            raise CancelledError
    return view, tuple(log)


def standing_of(record: RunRecord, plan: RecoveryPlan, view: RunView) -> Standing | None:
    """What stands of a run, if it can go on."""
    return Standing(record, plan, view) if outcome(view).resumable else None


def put_on_screen(session: Session, run: OpenedRun) -> None:
    """Let the session stand where it would after this run, had it been started here."""
    plan, view = run.plan, run.view
    way.begin_anew(session)
    _require_primary_of(session, plan)
    session.afresh = False
    archive, backups = _place(str(plan.archive.directory)), _place(str(plan.backup.path))
    way.use_archive(session, archive)
    session.backup_directory = _above(backups)
    session.backup, session.target, session.action = plan.backup, plan.target, plan.action
    session.story_of_wal.branch = plan.timeline
    session.aim = session.own_backup = None
    session.plan, session.checks, session.judgement = plan, (), None
    session.passed |= {WizardStep.TARGET, WizardStep.PLAN}
    session.run, session.record, session.opened = view, run.record, True
    session.standing = standing_of(run.record, plan, view)
    if view.finished is not None and (run.runs or session.standing is None):
        session.secondary = plan.secondary
    if run.record not in session.records:
        session.records.append(run.record)


def _require_primary_of(session: Session, plan: RecoveryPlan) -> None:
    """A primary of another cluster has nothing to do with this run; without one it goes, too."""
    facts, own = session.facts, plan.backup.system_identifier
    if facts is not None and facts.system_identifier != own:
        way.forget_primary(session)
        session.facts = session.database = session.origin = None
    if session.facts is None:
        session.primary_is_down = True


def _above(place: Place) -> Place:
    """Where the other backups are; a volume that is one itself has no others."""
    if isinstance(place, Path):
        return place.parent
    if place.kind is LocationKind.ENGINE:
        return EngineLocation(place.kind, str(PurePosixPath(place.root).parent))
    return EngineLocation(place.kind, place.root, place.path.parent)


def _place(text: str) -> Place:
    return engine_location(text) or Path(text).absolute()
