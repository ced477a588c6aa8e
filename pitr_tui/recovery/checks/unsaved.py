"""Check of what a primary that is down still has: WAL that was never archived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import Immediate, Latest
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup
from pitr_tui.wording import count_text

_NAME = "not archived"


def unsaved(case: Case) -> Iterator[CheckDone]:
    """Nothing lies in the primary's own directory that this recovery would lose."""
    data = case.evidence.dead_data
    if data is None or isinstance(case.plan.target, Immediate):
        return
    would_lose = isinstance(case.plan.target, Latest) or case.stop is None
    try:
        lacking = _lacking(case, data)
    except PitrError as error:
        if would_lose:
            yield CheckDone(
                _NAME,
                Status.WARNING,
                f"whether {data} has WAL that the archive lacks could not be seen: {error.what}",
                "run pitr as the server's user, or as root",
            )
        return
    if lacking:
        yield CheckDone(
            _NAME,
            Status.WARNING if would_lose else Status.NOTE,
            f"{data} still has {count_text(len(lacking), 'segment')} that the archive lacks, from "
            f"{lacking[0].name} on",
            "collect the WAL first (`pitr archive collect`, c at the step archive)",
        )


def _lacking(case: Case, data: Path) -> list[WalSegment]:
    """The primary's segments from the backup's start on that are not archived, in order.

    A name alone is no proof: a server keeps old segments under the names of future ones.
    """
    plan, backup = case.plan, case.plan.backup
    own = WalArchive(data / plan.version.wal_directory)
    return [
        segment
        for segment in own.listing().segments
        if segment.number >= backup.start_segment.number
        and plan.archive.find(segment.name) is None
        and _is_what_it_says(own, segment, backup)
    ]


def _is_what_it_says(own: WalArchive, segment: WalSegment, backup: Backup) -> bool:
    try:
        header = own.header(segment)
    except PitrError:
        return False  # prepared and never written to
    return header.why_not(segment, backup.system_identifier, backup.version.major) is None
