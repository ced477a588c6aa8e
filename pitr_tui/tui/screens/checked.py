"""A plan that was checked, and its summary."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from textual.content import Content

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery.checks import Evidence, Judgement, Light, fitted, judge
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.going_on import mended, reached, require_same_branch
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.tui.literal import assemble, lines
from pitr_tui.tui.screens.collecting import dead_data_of
from pitr_tui.tui.screens.where import Where, secondary_at
from pitr_tui.tui.session import Session, Standing
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wal.aim import aim_at

ORDER = (Status.FAILURE, Status.WARNING, Status.NOTE, Status.OK)
_COLOURS = {
    Light.GREEN: "$text-success",
    Light.AMBER: "$text-warning",
    Light.RED: "$text-error",
}
THEN = {
    TargetAction.PAUSE: "pause there, readable, until you decide",
    TargetAction.PROMOTE: "open for writing on a new timeline",
    TargetAction.SHUTDOWN: "shut down",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A plan with the verdict on it, and its text.

    `where` is None for a plan that goes on with a copy that stands, `reached` by replay.
    """

    plan: RecoveryPlan
    judgement: Judgement
    text: str
    where: Where | None
    reached: Lsn | None = None

    @property
    def refused(self) -> bool:
        return self.judgement.light is Light.RED

    @property
    def checks(self) -> tuple[CheckDone, ...]:
        return self.judgement.checks


def verdict_content(judgement: Judgement) -> Content:
    """The light with its name, what it says, how long it will take, and what else one can do."""
    light = judgement.light
    rows = [
        assemble("Can we get there?   ", (f"● {light.name}", f"bold {_COLOURS[light]}")),
        assemble((judgement.sentence, "not bold")),
    ]
    if judgement.estimate is not None and light is not Light.RED:
        rows[0] += assemble((f"   {judgement.estimate}", "not bold $foreground-muted"))
    return lines(*rows)


def check_plan(session: Session, where: Where, now: datetime) -> Checked:
    """Make the plan of a session and check it. Reads disks; raises PitrError without a plan."""
    backup, place = session.backup, session.archive_directory
    if backup is None or place is None:
        raise PitrError("there is no plan yet", "a backup and an archive have to be chosen first")
    latest = isinstance(session.target, Latest)
    archive = WalArchive(session.reach.path(place))
    story = session.story_of_wal
    evidence = Evidence(
        story.surveyed, story.chronicle, session.aim, dead_data=dead_data_of(session)
    )
    plan = RecoveryPlan(
        backup=backup,
        archive=archive,
        secondary=secondary_at(session, where, backup, archive),
        target=session.target,
        action=TargetAction.PROMOTE if latest else session.action,
        timeline=_followed(session),
    )
    with suppress(PitrError, OSError):  # the check of what could not be looked at says so
        plan = fitted(plan, evidence)
    judgement = judge(plan, now, evidence)
    return Checked(plan, judgement, plan.render(), where)


def check_onward(session: Session, standing: Standing, now: datetime) -> Checked:
    """Make the plan of a standing copy for the session's target. As `check_plan`."""
    story, place, before = session.story_of_wal, session.archive_directory, standing.plan
    aim, target, archive = session.aim, session.target, before.archive
    if story.chronicle is not None:  # the copy's backup may not be the one that fits best
        asked = aim.asked if aim is not None else target
        found = aim_at(story.chronicle, asked, before.backup.stop_lsn)
        target = found.target if aim is not None else target  # what was planned stays as it is
        aim = found
    if place is not None and str(place) != str(archive.directory):
        archive = WalArchive(session.reach.path(place))
    latest = isinstance(target, Latest)
    evidence = Evidence(story.surveyed, story.chronicle, aim, dead_data=dead_data_of(session))
    plan = replace(
        before,
        archive=archive,
        target=target,
        action=TargetAction.PROMOTE if latest else session.action,
        timeline=_followed(session) or before.timeline,
    )
    with suppress(PitrError, OSError):  # as above
        plan = fitted(plan, evidence)
    plan, far = mended(plan, standing.view), reached(before, standing.view)
    require_same_branch(before, plan, far)
    judgement = judge(plan, now, evidence, far)
    return Checked(plan, judgement, plan.render(), None, far)


def is_there_already(standing: Standing, plan: RecoveryPlan) -> bool:
    """Whether a secondary stands where this plan would lead it."""
    before = standing.plan
    if standing.view.finished is None:
        return False
    own = before.backup.label.timeline
    told = [(one.target, one.action, one.timeline or own) for one in (plan, before)]
    return told[0] == told[1]


def passed_by(checked: Checked) -> bool:
    """Whether replay of the standing copy is behind the target already."""
    return any(one.name == "later" and one.status is Status.FAILURE for one in checked.checks)


def _followed(session: Session) -> TimelineId | None:
    """The timeline that the person chose, or on which the target was seen; None: the backup's."""
    story = session.story_of_wal
    if session.aim is not None and story.chronicle is not None:
        return story.chronicle.timeline
    return story.branch


def summary_of(plan: RecoveryPlan) -> list[Fact]:
    """What goes in, where it stops and what comes then."""
    return [
        Fact("backup", plan.backup.name, f"PostgreSQL {plan.backup.version.major}"),
        Fact("WAL archive", str(plan.archive.directory)),
        Fact("stop", str(plan.target), f"timeline {int(plan.history.timeline)}"),
    ]
