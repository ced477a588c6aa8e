"""Base backups as marks on the WAL, from the backups themselves or from what the archive says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.repositories.backups import Backup
from pitr_tui.wal.windows import BackupMark


def marks_of(
    backups: Iterable[Backup], labels: Mapping[str, BackupLabel] | None = None
) -> list[BackupMark]:
    """A mark for each backup; `labels` are the archive's, which may know where it ended.

    Raises OSError when the backup's own WAL cannot be listed.
    """
    ends = {(one.timeline, one.start_lsn): one for one in (labels or {}).values()}
    return [_mark(one, ends.get((one.label.timeline, one.label.start_lsn))) for one in backups]


def _mark(backup: Backup, ended: BackupLabel | None) -> BackupMark:
    stop_lsn, stop_time = backup.stop_lsn, backup.stop_time
    if ended is not None:
        stop_lsn, stop_time = stop_lsn or ended.stop_lsn, stop_time or ended.stop_time
    return BackupMark(
        name=backup.name,
        timeline=backup.label.timeline,
        start_lsn=backup.label.start_lsn,
        checkpoint_lsn=backup.label.checkpoint_lsn,
        stop_lsn=stop_lsn,
        stop_time=stop_time,
        system_identifier=backup.system_identifier,
        own=_own_wal(backup, stop_lsn),
    )


def _own_wal(backup: Backup, stop_lsn: Lsn | None) -> frozenset[int]:
    """The segments that it brings along: those in its pg_wal, or what a pg_wal.tar has to hold."""
    if any(path.name.startswith("pg_wal.tar") for path in backup.tars()):
        first = backup.start_segment.number
        end = int(stop_lsn) - 1 if stop_lsn else int(backup.label.start_lsn)
        return frozenset(range(first, end // backup.segment_size + 1))
    return frozenset(segment.number for segment in backup.own_wal())


def marks_in(labels: Mapping[str, BackupLabel]) -> list[BackupMark]:
    """A mark for each backup that a history file in the archive tells of, wherever it is kept."""
    return [
        BackupMark(
            name=name.removesuffix(".backup"),
            timeline=one.timeline,
            start_lsn=one.start_lsn,
            checkpoint_lsn=one.checkpoint_lsn,
            stop_lsn=one.stop_lsn,
            stop_time=one.stop_time,
        )
        for name, one in labels.items()
    ]
