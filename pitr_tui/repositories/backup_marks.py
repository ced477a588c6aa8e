"""Base backups as marks on the WAL, from the backups themselves or from what the archive says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pitr_tui.errors import PitrError
from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.backups import Backup
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader
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
        own=frozenset(
            one.number for one in own_wal(backup, stop_lsn) if one.timeline == backup.label.timeline
        ),
    )


def lies_on(history: TimelineHistory, backup: Backup, stop_lsn: Lsn | None) -> bool:
    """Whether a recovery from a backup can follow a history: it needs the backup's end, too.

    One from a standby may have ended on another timeline than it began on.
    """
    label, last = backup.label, backup.label.checkpoint_lsn
    if stop_lsn is not None and not label.from_standby:
        last = max(last, Lsn(stop_lsn - 1))
    return all(history.contains(label.timeline, lsn) for lsn in (label.checkpoint_lsn, last))


def own_wal(backup: Backup, stop_lsn: Lsn | None) -> frozenset[WalSegment]:
    """The segments that a backup brings along, from its start to its end where that is known.

    That is what a pg_wal.tar has to hold, or those in pg_wal that begin as their names say: a
    copy of files has segments there, too, that were made ready to be used again. Raises OSError.
    """
    first = backup.start_segment
    last = None if stop_lsn is None else (int(stop_lsn) - 1) // first.size
    if any(path.name.startswith("pg_wal.tar") for path in backup.tars()):
        numbers = range(first.number, (first.number if last is None else last) + 1)
        return frozenset(WalSegment(first.timeline, number, first.size) for number in numbers)
    return frozenset(
        one
        for one in backup.own_wal()
        if first.number <= one.number and (last is None or one.number <= last)
        if _begins_as_named(backup, one)
    )


def _begins_as_named(backup: Backup, segment: WalSegment) -> bool:
    """Whether a file of pg_wal has the size and the first page of this segment."""
    path = backup.path / backup.version.wal_directory / segment.name
    if path.stat().st_size != segment.size:
        return False
    with path.open("rb") as file:
        try:
            header = SegmentHeader.parse(file.read(HEADER_BYTES))
        except PitrError:
            return False
    return not header.why_not(segment, backup.system_identifier, backup.version.major)


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
