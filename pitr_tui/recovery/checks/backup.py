"""Checks of the backup itself: whole, of one piece, and by whom it was taken."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.postgres.control import ServerState
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.wholeness import Wholeness, look_whole
from pitr_tui.wording import count_text

_ANOTHER = "use another backup, or copy this one again from where it was taken"
_FEW = 3


def whole(case: Case) -> Iterator[CheckDone]:
    """The files of the manifest are there with their sizes, or the essential directories are."""
    found = look_whole(case.plan.backup)
    if found is None:
        words = "compressed: its files are counted when it is unpacked"
        yield CheckDone("backup complete", Status.NOTE, words)
        return
    yield wholeness_check(found)


def wholeness_check(found: Wholeness) -> CheckDone:
    """What was found wrong with the files of a backup, as a check."""
    problems = (*found.lost, *found.others)
    if problems:
        more = f" and {len(problems) - _FEW:,} more" if len(problems) > _FEW else ""
        return CheckDone(
            "backup complete",
            Status.FAILURE if found.lost else Status.WARNING,
            f"{', '.join(problems[:_FEW])}{more}",
            _ANOTHER,
        )
    if found.looked_at:
        words = f"{count_text(found.looked_at, 'file')} of the manifest are there, with their sizes"
        return CheckDone("backup complete", Status.OK, words)
    words = "it has the essential directories; there is no manifest to tell more"
    return CheckDone("backup complete", Status.OK, words)


def control(case: Case) -> Iterator[CheckDone]:
    """pg_control is whole, of the backup's version, and fits to the label."""
    backup = case.plan.backup
    if backup.control is None:
        return
    if backup.control_whole is False:
        yield CheckDone(
            "pg_control",
            Status.FAILURE,
            "its checksum is wrong, and no server starts with it",
            _ANOTHER,
        )
        return
    doubts = list(_doubts(backup))
    if doubts:
        yield CheckDone("pg_control", *doubts[0])
        return
    whole = "its checksum is right" if backup.control_whole else "it can be read"
    of = f"of cluster {backup.system_identifier}"
    yield CheckDone("pg_control", Status.OK, f"{whole}, {of}, and it fits to backup_label")


def _doubts(backup: Backup) -> Iterator[tuple[Status, str, str]]:
    """What does not fit between pg_control, the label and the version."""
    head, label = backup.control, backup.label
    if head is None:
        return
    if head.major not in (None, backup.version.major):
        words = f"it was written by PostgreSQL {head.major}, PG_VERSION says {backup.version.major}"
        yield Status.FAILURE, words, _ANOTHER
    in_recovery = (ServerState.IN_ARCHIVE_RECOVERY, ServerState.SHUT_DOWN_IN_RECOVERY)
    if label.from_standby and head.state not in in_recovery:
        state = head.state.words if head.state is not None else "unknown"
        words = f"the label tells of a standby, and the server's state is {state}"
        yield Status.FAILURE, words, _ANOTHER
    if head.checkpoint_lsn < label.checkpoint_lsn:
        words = (
            f"its checkpoint at {head.checkpoint_lsn} is older than the label's at "
            f"{label.checkpoint_lsn}: the files are of two backups"
        )
        yield Status.WARNING, words, _ANOTHER


def origin(case: Case) -> Iterator[CheckDone]:
    """A backup from a standby is fine, and its end is known less well."""
    if case.plan.backup.label.from_standby:
        yield CheckDone(
            "taken from", Status.NOTE, "a standby, so that its WAL does not tell where it ended"
        )
