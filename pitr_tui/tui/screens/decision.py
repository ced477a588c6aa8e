"""From what the person picks to an aim with its backup, and how sure both are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtTime, Immediate, Latest
from pitr_tui.recovery.choice import (
    Candidate,
    best,
    candidates,
    consistent_from,
    ended_at,
    unseen_candidates,
)
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.tui.session import Session
from pitr_tui.wal.aim import Aim, aim_at
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wording import duration_text

MakeAim = Callable[[Lsn | None], Aim]  # given the position at which the backup is consistent


class Sure(StrEnum):
    """How sure it is that a recovery gets there."""

    REACHED = "reached"
    OPEN = "open"  # the reading goes on
    UNPROVEN = "unproven"
    NO_BACKUP = "no backup"


@dataclass(frozen=True, slots=True)
class Decision:
    """An aim, the backup to begin with, and what was to choose from."""

    aim: Aim
    backup: Backup | None
    candidates: tuple[Candidate, ...]
    sure: Sure
    words: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known when one decides.

    `own` is the backup that the person insists on; `reads` says that more is being read.
    """

    surveyed: Surveyed | None
    chronicle: Chronicle | None
    timeline: TimelineId | None
    own: Backup | None
    usable: Sequence[Backup] = ()  # where the archive could not be looked at
    reads: bool = False

    @property
    def followed(self) -> TimelineId | None:
        """The timeline that is followed; None where each backup's own one is."""
        return self.chronicle.timeline if self.chronicle is not None else self.timeline


def decide(ground: Ground, make: MakeAim) -> Decision:
    """The aim, and the newest backup from which it can be reached unless one is insisted on."""
    aim = make(None)
    found = _found(ground, aim)
    backup = ground.own or best(found)
    if backup is not None:
        aim = make(consistent_from(backup, ground.chronicle))
        if _is_before_what_was_read(ground.chronicle, aim, backup):
            aim = Aim(aim.asked, aim.asked)
        found = _found(ground, aim)
    against = next((one.why_not for one in found if one.backup == backup), "")
    sure, words = _sure(ground, aim, backup, against)
    return Decision(aim, backup, found, sure, words)


def _found(ground: Ground, aim: Aim) -> tuple[Candidate, ...]:
    if ground.surveyed is None:
        return unseen_candidates(ground.usable, aim.asked)
    return candidates(ground.surveyed, aim, ground.followed, ground.chronicle)


def _is_before_what_was_read(story: Chronicle | None, aim: Aim, backup: Backup) -> bool:
    """Whether the cut may lie in WAL before that of which the chronicle tells."""
    if story is None or isinstance(aim.asked, Immediate | Latest):
        return False
    return not aim.cut and backup.label.start_lsn < story.start


def _sure(ground: Ground, aim: Aim, backup: Backup | None, against: str) -> tuple[Sure, str]:
    if backup is None:
        return Sure.NO_BACKUP, _no_backup(ground, aim)
    if against:
        return Sure.NO_BACKUP, f"not from this backup: {against}"
    story = ground.chronicle
    if story is not None and aim.lsn is not None:
        holes = [one.lsn for one in story.holes if backup.label.start_lsn <= one.lsn < aim.lsn]
        if holes:
            return Sure.UNPROVEN, f"the WAL at {holes[0]}, on the way there, could not be read"
    if aim.reached:
        return Sure.REACHED, "reachable"
    if ground.reads and (story is None or not story.finished):
        return Sure.OPEN, "the WAL is still being read"
    if story is None:
        return Sure.UNPROVEN, "not proven: the WAL was not read"
    if not story.finished:
        return Sure.UNPROVEN, f"only read up to {story.end}: F5 reads on"
    if aim.short_by is not None:
        behind = duration_text(aim.short_by.total_seconds())
        return Sure.UNPROVEN, f"not reached: the last transaction is {behind} before it"
    if isinstance(aim.asked, Latest):
        return Sure.REACHED, "reachable"
    return Sure.UNPROVEN, "not found in the WAL that was read"


def _no_backup(ground: Ground, aim: Aim) -> str:
    if isinstance(aim.asked, AtTime):
        usable = ground.surveyed.usable if ground.surveyed is not None else ground.usable
        ends = [end for end in map(ended_at, usable) if end is not None]
        if ends and min(ends) > aim.asked.time:
            return "the target lies before the end of every usable backup"
    if ground.surveyed is None or not ground.surveyed.backups:
        return "there is no base backup that it could start from"
    return "no backup leads there (b tells why)"


def ground_of(session: Session, usable: Sequence[Backup] = ()) -> Ground:
    """What a session knows; `usable` are the backups where the archive could not be looked at."""
    story, known = session.story_of_wal, list(usable)
    if not known and session.backup is not None:
        known = [session.backup]
    own = session.own_backup
    return Ground(story.surveyed, story.chronicle, story.branch, own, known, story.reads)


def aimed_again(session: Session) -> None:
    """Find in the WAL what was asked for, after more of it was read."""
    story, aim = session.story_of_wal.chronicle, session.aim
    if story is None or aim is None:
        return
    asked = aim.asked
    decision = decide(ground_of(session), lambda since: aim_at(story, asked, since))
    session.aim, session.target = decision.aim, decision.aim.target
    session.backup = decision.backup or session.backup
