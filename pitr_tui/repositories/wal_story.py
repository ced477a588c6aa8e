"""An archive with its backups: what is there, which takes moments, and what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backup_marks import lies_on, marks_in, marks_of
from pitr_tui.repositories.backups import Backup, BrokenBackup
from pitr_tui.repositories.collector import few_collections
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_index import Survey, Told, WalIndex
from pitr_tui.repositories.wal_reading import open_reading
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.chronicle_writer import ChronicleWriter
from pitr_tui.wal.coverage import Coverage, coverage
from pitr_tui.wal.holdings import Holdings
from pitr_tui.wal.suspects import SuspectFinder

_READ_AT_ONCE = 32 << 30  # bytes of WAL that are read without being asked for
_SHARE = 0.1  # of the time spent, how much may go into snapshots
_FIRST_SNAPSHOT = 0.25  # seconds

Emit = Callable[[Chronicle], None]


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What an archive holds by the heads of its segments, and what its backups make of it.

    `backups` are oldest first.
    """

    archive: WalArchive
    backups: tuple[Backup | BrokenBackup, ...]
    survey: Survey
    known: Holdings
    coverage: Coverage

    @property
    def usable(self) -> tuple[Backup, ...]:
        """Those of the archive's cluster that could be opened."""
        system = self.known.cluster.system_identifier
        return tuple(
            one
            for one in self.backups
            if isinstance(one, Backup) and system in (None, one.system_identifier)
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.survey.remarks


def survey_archive(
    archive: WalArchive,
    backups: Sequence[Backup | BrokenBackup] | None,
    means: Means,
    told: Told = lambda done, total: None,
) -> Surveyed:
    """Look at the first pages of every segment. None for `backups`: as the archive tells of them.

    The segments are held against the cluster of the backups, where these agree on one. Raises
    PitrError when the archive cannot be read.
    """
    if means.cache is None:
        raise ValueError("a survey needs a cache")
    survey = WalIndex(archive, means.cache, means.check, told).survey()
    known, marks = survey.holdings(), marks_in(survey.labels)
    if backups is not None:
        usable = [one for one in backups if isinstance(one, Backup)]
        try:
            marks = marks_of(usable, survey.labels)
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
            raise PitrError("a backup cannot be read", why) from error
        if len({one.system_identifier for one in usable}) == 1:
            theirs = survey.holdings(usable[0].system_identifier, usable[0].segment_size)
            # Of backups that are strangers here, the archive's own cluster says that they are.
            known = theirs if any(len(held.numbers) for held in theirs.held.values()) else known
    return Surveyed(archive, tuple(backups or ()), survey, known, coverage(known, marks))


def first_backup(surveyed: Surveyed, timeline: TimelineId | None = None) -> Backup | None:
    """Where to begin to read: the oldest backup with no more WAL behind it than is read at once.

    The newest one if even that has more; None when no backup leads onto the timeline.
    """
    fitting = [one for one in surveyed.usable if _leads_to(surveyed, one, timeline)]
    if not fitting:
        return None
    known = surveyed.known
    numbers = [int(held.numbers[-1]) for held in known.held.values() if len(held.numbers)]
    room = _READ_AT_ONCE // known.cluster.segment_size
    near = [one for one in fitting if max(numbers, default=0) - one.start_segment.number <= room]
    return near[0] if near else fitting[-1]


def main_timeline(surveyed: Surveyed, backup: Backup | None = None) -> TimelineId | None:
    """The timeline on which life went on: the one whose WAL tells of the latest time.

    The newest need not be it, because an earlier recovery may have left a branch behind. With
    `backup`, one that leads on from it; None where nothing can be recovered.
    """
    known = surveyed.known
    ends = [
        (window.end_time, window.end_lsn, window.timeline)
        for window in surveyed.coverage.windows
        if window.end_time is not None
        and (backup is None or window.backup.start_lsn == backup.label.start_lsn)
    ]
    if ends:
        return max(ends)[2]
    lines = [
        one
        for one in reversed(known.timelines)
        if backup is None or _leads_to(surveyed, backup, one)
    ]
    return lines[0] if lines else None


def _leads_to(surveyed: Surveyed, backup: Backup, timeline: TimelineId | None) -> bool:
    if timeline is None:
        return True
    return lies_on(surveyed.known.history(timeline), backup, backup.stop_lsn)


def read_chronicle(
    surveyed: Surveyed,
    means: Means,
    *,
    backup: Backup | None = None,
    timeline: TimelineId | None = None,
    told: Told = lambda done, total: None,
    emit: Emit | None = None,
) -> Chronicle:
    """Read what happened from a backup to the end of a timeline.

    That is its main timeline, where none is given. `emit` gets what there is so far, now and
    then. Raises PitrError when the archive or the backup cannot
    be read, RefusedError when the two do not fit.
    """
    timeline = timeline or main_timeline(surveyed, backup)
    reading = open_reading(surveyed.archive, means, backup, timeline, told, surveyed.survey)
    finder = SuspectFinder(reading.names, reading.counted)
    writer = ChronicleWriter(reading.history.timeline, reading.begin, reading.names, finder)
    begun = time.monotonic()
    due = begun + _FIRST_SNAPSHOT
    with few_collections():
        for item in reading.items():
            writer.add(item)
            if emit is not None and time.monotonic() >= due:
                before = time.monotonic()
                emit(writer.chronicle())
                now = time.monotonic()
                due = now + max(_FIRST_SNAPSHOT, (now - before) / _SHARE)
    return writer.chronicle(finished=True)
