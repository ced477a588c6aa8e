"""What a timeline is drawn from, and how much room it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these load numpy, and the first paint waits for this module
    from pitr_tui.postgres.lsn import TimelineId
    from pitr_tui.repositories.backups import Backup
    from pitr_tui.repositories.wal_story import Surveyed
    from pitr_tui.wal.chronicle import Chronicle

NAME_CELLS = 10
WIDE = 100  # columns from which on commits and marks have lanes of their own
WAL_LANES = {False: 4, True: 8}  # the most of them in a narrow and in a wide terminal


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of an archive so far, and how to show it.

    `surveyed` is None until the archive was looked at, `chronicle` until the first WAL was
    read. `backup` is the chosen one, `timeline` the one that is followed. `moments` are noted
    ones, in microseconds since 2000, with what was noted.
    """

    surveyed: Surveyed | None
    chronicle: Chronicle | None
    zone: tzinfo
    zone_name: str
    backup: Backup | None = None
    timeline: TimelineId | None = None
    moments: tuple[tuple[int, str], ...] = ()


def height(timelines: int, wide: bool, activity: bool) -> int:
    """How many rows so many timelines take, with or without what happened on them."""
    lanes = min(max(1, timelines), WAL_LANES[wide])
    return 2 + lanes + (0 if not activity else 4 if wide else 2)
