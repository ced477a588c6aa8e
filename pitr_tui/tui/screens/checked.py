"""A plan that was checked, and its summary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.preflight import preflight
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.tui.screens.where import Where, secondary_at
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.facts import Fact

ORDER = (Status.FAILURE, Status.WARNING, Status.OK)
_THEN = {
    TargetAction.PAUSE: "pause there, readable, until you decide",
    TargetAction.PROMOTE: "open for writing on a new timeline",
    TargetAction.SHUTDOWN: "shut down",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A plan with what its checks found, and its text."""

    plan: RecoveryPlan
    checks: tuple[CheckDone, ...]
    text: str
    where: Where

    @property
    def worst(self) -> Status:
        found = {check.status for check in self.checks}
        return next(status for status in ORDER if status in found)


def check_plan(session: Session, where: Where, now: datetime) -> Checked:
    """Make the plan of a session and check it. Reads disks; raises PitrError without a plan."""
    backup, place = session.backup, session.archive_directory
    if backup is None or place is None:
        raise PitrError("there is no plan yet", "a backup and an archive have to be chosen first")
    latest = isinstance(session.target, Latest)
    archive = WalArchive(session.reach.path(place))
    plan = RecoveryPlan(
        backup=backup,
        archive=archive,
        secondary=secondary_at(session, where, backup, archive),
        target=session.target,
        action=TargetAction.PROMOTE if latest else session.action,
    )
    return Checked(plan, preflight(plan, now), plan.render(), where)


def summary_of(plan: RecoveryPlan) -> list[Fact]:
    """What goes in, where it stops and what comes then."""
    return [
        Fact("backup", plan.backup.name, f"PostgreSQL {plan.backup.version.major}"),
        Fact("WAL archive", str(plan.archive.directory)),
        Fact("stop", str(plan.target)),
        Fact("then", _THEN[plan.action]),
    ]
