"""Looking at an archive and reading its WAL, beside the screen."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import Immediate
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE
from pitr_tui.recovery.choice import candidates
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import (
    Surveyed,
    first_backup,
    read_chronicle,
    survey_archive,
)
from pitr_tui.repositories.window_ends import with_ends
from pitr_tui.tui.bridge import Emit
from pitr_tui.wal.aim import Aim
from pitr_tui.wal.chronicle import Chronicle

if TYPE_CHECKING:
    from pitr_tui.tui.session import Session

_SWITCH_SECONDS = 0.0005  # how long a key may wait for the reading to give way
_PROGRESS_STEPS = 200

News = Chronicle | Progress


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reading depends on: it is done again when one of these is different."""

    archive: str
    branch: TimelineId | None
    read_from: str
    backups: tuple[str, ...]
    segments: tuple[
        tuple[int, int, int, int], ...
    ]  # of each timeline: how many, the first, the last


def survey(session: Session, cancel: threading.Event) -> Surveyed:
    """See what lies in the session's archive, with its backups. Raises PitrError."""
    if session.archive_directory is None:
        raise PitrError("there is no WAL archive yet")
    archive = WalArchive(session.reach.path(session.archive_directory))
    place = session.backup_directory
    directory = session.reach.find(place) if place is not None else None
    there = directory is not None and directory.exists()
    backups = list_backups(directory, archive) if directory is not None and there else []
    with _means(cancel) as means:
        surveyed = survey_archive(archive, backups, means)
        return replace(surveyed, coverage=with_ends(surveyed.coverage, archive, means))


def doubts(surveyed: Surveyed) -> dict[str, str]:
    """Of each backup, by its path, why nothing can be recovered from it at all; "" if it can."""
    anywhere = Aim(Immediate(), Immediate())
    return {str(one.backup.path): one.why_not for one in candidates(surveyed, anywhere)}


def asked_of(session: Session, surveyed: Surveyed) -> Asked:
    """What a reading is for now."""
    story = session.story_of_wal
    held = surveyed.known.held
    return Asked(
        str(surveyed.archive.directory),
        story.branch,
        str(story.read_from.path) if story.read_from is not None else "",
        tuple(str(one.path) for one in surveyed.backups),
        tuple(
            (int(timeline), len(one.numbers), int(one.numbers[0]), int(one.numbers[-1]))
            for timeline, one in sorted(held.items())
            if len(one.numbers)
        ),
    )


def begin_of_reading(surveyed: Surveyed, session: Session) -> Backup | None:
    """The backup that the reading begins with: the person's, or the one that is near enough."""
    story = session.story_of_wal
    return story.read_from or first_backup(surveyed, story.branch)


def read(
    surveyed: Surveyed,
    backup: Backup | None,
    branch: TimelineId | None,
    emit: Emit[News],
    cancel: threading.Event,
) -> Chronicle:
    """Read what happened; emits what there is so far. Raises PitrError."""
    size = min(surveyed.known.cluster.segment_size, DEFAULT_SEGMENT_SIZE)  # or a part of one
    said = -1

    def told(done: int, total: int) -> None:
        nonlocal said
        step = done * _PROGRESS_STEPS // max(1, total)
        if step != said:
            said = step
            emit(Progress(done * size, total * size))

    with _means(cancel) as means, _giving_way():
        return read_chronicle(surveyed, means, backup=backup, timeline=branch, told=told, emit=emit)


def older_backup(surveyed: Surveyed, begun: Backup | None) -> Backup | None:
    """A backup before the one with which the reading began, the nearest; None if it has all."""
    if begun is None:
        return None
    before = [one for one in surveyed.usable if one.label.start_lsn < begun.label.start_lsn]
    return max(before, key=lambda one: one.label.start_lsn, default=None)


def branches(surveyed: Surveyed) -> list[TimelineId]:
    """The timelines that one can follow: those with WAL of their own."""
    known = surveyed.known
    return [one for one in known.timelines if (held := known.held.get(one)) and len(held.numbers)]


@contextmanager
def _means(cancel: threading.Event) -> Iterator[Means]:
    def check() -> None:
        if cancel.is_set():
            raise CancelledError

    with IndexCache() as cache:
        yield Means(cache, check=check)


@contextmanager
def _giving_way() -> Iterator[None]:
    """Let the screen have its turn at once when it wants one: this thread is never idle."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
