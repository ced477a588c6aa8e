"""Too late for archiving: take the WAL that still lies in a primary's own directory.

Nothing is changed there. Only what a file's own head confirms is taken: a server keeps old
segments under the names of future ones, and PostgreSQL up to 11 says nothing about them.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import (
    WalSegment,
    history_timeline,
    is_backup_history,
    is_partial,
    is_segment,
)
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.storage.path import WritePath
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader
from pitr_tui.wal.ranges import WalRange

_PARTIAL = ".partial"
_DRAFT = ".part"
_CHUNK = 1 << 20

RECYCLED = "recycled or prepared: their names are not their contents"
FOREIGN = "of another cluster"
CUT_OFF = "not whole"
BEING_WRITTEN = "still being written"
CHANGED = "recycled while they were read"


@dataclass(frozen=True, slots=True)
class WalFile:
    """A file of a server's WAL directory, to be read before the next one is asked for."""

    name: str
    size: int
    content: IO[bytes]


@dataclass(frozen=True, slots=True)
class WalSource:
    """A server's own WAL.

    `files` gives all of its files. Of a live server `current` is the segment that it writes,
    and `names` says what is there later; without them nobody writes any more.
    """

    description: str
    system_identifier: int
    major: str
    files: Callable[[], Iterator[WalFile]]
    current: WalSegment | None = None
    names: Callable[[], set[str]] | None = None
    switched: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken. `unfinished` is the newest segment of a server that no longer writes it.

    `left_out` says why and how many; `gaps` are the ends of the runs around each.
    """

    ranges: tuple[WalRange, ...]
    histories: int
    unfinished: str | None
    left_out: dict[str, int]
    total_bytes: int

    @property
    def segments(self) -> int:
        return sum(run.count for run in self.ranges)

    @property
    def gaps(self) -> tuple[tuple[WalSegment, WalSegment], ...]:
        """The last segment before and the first one after each gap, within a timeline."""
        pairs = zip(self.ranges, self.ranges[1:], strict=False)
        return tuple(
            (one.last, other.first)
            for one, other in pairs
            if one.last.timeline == other.first.timeline
        )


def collect(
    source: WalSource,
    target: WritePath,
    progress: Callable[[int], None],
    cancel: threading.Event | None = None,
) -> Collected:
    """Copy all that is usable into an empty directory, which becomes an archive.

    `progress` gets the bytes so far. Raises PitrError and OSError; then nothing is left there.
    Until all is there, the files have names that no archive has: a run that was killed leaves
    what cannot be taken for one.
    """
    work = _Collection(source, target, progress, cancel or threading.Event())
    try:
        for file in source.files():
            work.take(file)
        work.leave_out_changed()
        unfinished = work.mark_unfinished()
        work.publish()
    except BaseException:
        work.remove()
        raise
    listing = WalArchive(target).listing()
    if not listing.segments and not listing.partial:
        work.remove()
        raise PitrError(
            f"{source.description} has no WAL that can be used",
            "; ".join(f"{count} {why}" for why, count in work.left_out.items()) or "it has no WAL",
        )
    return Collected(
        listing.ranges, len(listing.histories), unfinished, dict(work.left_out), work.bytes
    )


def draft_name(name: str) -> str:
    """What a file is called until the collection is whole."""
    return f".{name}{_DRAFT}"


def is_draft(name: str) -> bool:
    """Whether a file is what an interrupted collection has left."""
    return name.startswith(".") and name.endswith(_DRAFT)


class _Collection:
    """What one run of `collect` has taken so far."""

    def __init__(
        self,
        source: WalSource,
        target: WritePath,
        progress: Callable[[int], None],
        cancel: threading.Event,
    ) -> None:
        self.source = source
        self.target = target
        self.left_out: Counter[str] = Counter()
        self.bytes = 0
        self._progress = progress
        self._cancel = cancel
        self._names: dict[str, str] = {}  # what was taken, and its name in the archive
        self._segments: list[WalSegment] = []

    def take(self, file: WalFile) -> None:
        """Copy a file if it belongs into an archive."""
        if is_segment(file.name) or is_partial(file.name):
            self._take_segment(file)
        elif (timeline := history_timeline(file.name)) is not None:
            text = file.content.read()
            TimelineHistory.parse(timeline, text.decode("utf-8", "replace"))
            self._write(file.name, text, file.content)
        elif is_backup_history(file.name):
            self._write(file.name, b"", file.content)

    def leave_out_changed(self) -> None:
        """Take back what a live server has reused since: it may have changed under our eyes."""
        if self.source.names is None:
            return
        gone = {one.name for one in self._segments} - self.source.names()
        for segment in [one for one in self._segments if one.name in gone]:
            self._segments.remove(segment)
            del self._names[segment.name]
            (self.target / draft_name(segment.name)).unlink()
            self.left_out[CHANGED] += 1

    def mark_unfinished(self) -> str | None:
        """Give the newest segment of a server that has ended the name of one that was begun."""
        if self.source.current is not None or not self._segments:
            return None
        last = max(self._segments)
        name = f"{last.name}{_PARTIAL}"
        if name in self._names:
            return None
        self._names[last.name] = name
        return last.name

    def publish(self) -> None:
        """Give all files their names, the oldest first."""
        self._sync()
        for name, final in sorted(self._names.items()):
            (self.target / draft_name(name)).rename(self.target / final)
        self._sync()

    def remove(self) -> None:
        for name, final in self._names.items():
            for one in (draft_name(name), final):
                (self.target / one).unlink(missing_ok=True)

    def _sync(self) -> None:
        if isinstance(self.target, Path):
            os.sync()

    def _take_segment(self, file: WalFile) -> None:
        head = file.content.read(HEADER_BYTES)
        why, segment = self._judged(file, head)
        if why:
            self.left_out[why] += 1
            return
        self._write(file.name, head, file.content)
        if is_segment(file.name):
            self._segments.append(segment)

    def _judged(self, file: WalFile, head: bytes) -> tuple[str, WalSegment]:
        """Why a segment cannot be used ("" if it can), and which one it is."""
        name = file.name.removesuffix(_PARTIAL)
        try:
            header = SegmentHeader.parse(head)
        except PitrError:
            return RECYCLED, WalSegment.parse(name)
        segment = WalSegment.parse(name, header.segment_size)
        source, current = self.source, self.source.current
        if header.system_identifier != source.system_identifier:
            return FOREIGN, segment
        if file.size != segment.size:
            return CUT_OFF, segment
        if header.why_not(segment, source.system_identifier, source.major):
            return RECYCLED, segment
        if current and (segment.timeline, segment.number) >= (current.timeline, current.number):
            return BEING_WRITTEN, segment
        return "", segment

    def _write(self, name: str, head: bytes, content: IO[bytes]) -> None:
        self._names[name] = name
        path = self.target / draft_name(name)
        if isinstance(path, Path):
            path.touch(0o600)  # it holds data that not everybody may read
        with path.open("wb") as file:
            self.bytes += file.write(head)
            while chunk := content.read(_CHUNK):
                if self._cancel.is_set():
                    raise CancelledError("collecting was cancelled", "nothing was kept")
                self.bytes += file.write(chunk)
        self._progress(self.bytes)
