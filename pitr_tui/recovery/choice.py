"""Which base backup a target needs: the newest that is over before it, on the right branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.moment import parse_moment
from pitr_tui.postgres.target import AtLsn, AtTime, RecoveryTarget
from pitr_tui.repositories.backup_marks import lies_on
from pitr_tui.repositories.backups import Backup, BrokenBackup
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.wal.aim import Aim
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.windows import BackupMark, Window


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backup, and why the target cannot be reached from it; "" when nothing speaks against it."""

    backup: Backup | BrokenBackup
    why_not: str = ""


def candidates(
    surveyed: Surveyed,
    aim: Aim,
    timeline: TimelineId | None = None,
    chronicle: Chronicle | None = None,
) -> tuple[Candidate, ...]:
    """Every backup with what speaks against it, in the order of `surveyed`.

    `timeline` is the one to follow; None means each backup's own.
    """
    return tuple(
        Candidate(one, _why_not(surveyed, one, aim, timeline, chronicle))
        for one in surveyed.backups
    )


def consistent_from(backup: Backup, chronicle: Chronicle | None) -> Lsn | None:
    """Where a backup ended, as it says itself, or as the WAL tells that was read."""
    if backup.stop_lsn is not None or chronicle is None:
        return backup.stop_lsn
    return chronicle.backup_end(backup.label.start_lsn)


def best(found: Sequence[Candidate]) -> Backup | None:
    """The newest backup from which the target can be reached: the shortest replay."""
    usable = [one.backup for one in found if isinstance(one.backup, Backup) and not one.why_not]
    return max(usable, key=lambda one: one.label.start_lsn, default=None)


def ended_at(backup: Backup) -> datetime | None:
    """When the backup ended (or began, where only that is told); None in an unknown zone."""
    try:
        return parse_moment(backup.stop_time or backup.label.start_time)
    except PitrError:
        return None


def unseen_candidates(backups: Sequence[Backup], asked: RecoveryTarget) -> tuple[Candidate, ...]:
    """The same by the backups alone, where the archive could not be looked at."""
    return tuple(
        Candidate(one, "" if _is_over(one, one.stop_lsn, asked) else "it ended after the target")
        for one in backups
    )


def _is_over(backup: Backup, stop: Lsn | None, asked: RecoveryTarget) -> bool:
    """Whether a backup was over before a target, as far as that can be told without WAL."""
    if isinstance(asked, AtTime):
        ended = ended_at(backup)
        return ended is None or ended <= asked.time
    return not isinstance(asked, AtLsn) or stop is None or stop <= asked.lsn


def _why_not(
    surveyed: Surveyed,
    backup: Backup | BrokenBackup,
    aim: Aim,
    timeline: TimelineId | None,
    chronicle: Chronicle | None,
) -> str:
    if isinstance(backup, BrokenBackup):
        return f"it cannot be used: {backup.problem.what}"
    system = surveyed.known.cluster.system_identifier
    if system not in (None, backup.system_identifier):
        return f"it is of another cluster (system identifier {backup.system_identifier})"
    mark = _mark(surveyed, backup)
    stop = (mark.stop_lsn if mark else None) or consistent_from(backup, chronicle)
    if aim.lsn is not None and aim.reached and stop is not None and aim.lsn < stop:
        return f"it ended at {stop}, behind the target at {aim.lsn}"
    if not _is_over(backup, stop, aim.asked):
        return "it ended after the target"
    followed = timeline or backup.label.timeline
    if not lies_on(surveyed.known.history(followed), backup, stop):
        return f"it is not on the way to timeline {followed}"
    for one in surveyed.coverage.stranded:
        if mark is not None and one.backup is mark:
            return one.why
    return _where_it_ends(surveyed, mark, aim, followed)


def _where_it_ends(
    surveyed: Surveyed, mark: BackupMark | None, aim: Aim, followed: TimelineId
) -> str:
    """Whether the WAL behind a backup leads to the target along a timeline."""
    windows = [one for one in surveyed.coverage.windows if one.backup is mark]
    if not windows or aim.lsn is None:
        return ""
    reach = [one for one in windows if _leads_along(surveyed, one, followed)]
    furthest = max((one.end_lsn for one in reach), default=Lsn(0))
    if aim.lsn <= furthest:
        return ""
    why = next((one.stopped_by for one in reach if one.stopped_by), "")
    return f"its WAL ends before the target: {why}" if why else "its WAL ends before the target"


def _leads_along(surveyed: Surveyed, window: Window, timeline: TimelineId) -> bool:
    """Whether a window is on the history of a timeline; one that goes beyond it is, too."""
    return window.timeline == timeline or (
        timeline in surveyed.known.history(window.timeline).lineage
    )


def _mark(surveyed: Surveyed, backup: Backup) -> BackupMark | None:
    known = (
        *(one.backup for one in surveyed.coverage.windows),
        *(one.backup for one in surveyed.coverage.stranded),
        *(one.backup for one in surveyed.coverage.unreachable),
    )
    return next(
        (
            mark
            for mark in known
            if mark.name == backup.name
            and (mark.timeline, mark.start_lsn) == (backup.label.timeline, backup.label.start_lsn)
        ),
        None,
    )
