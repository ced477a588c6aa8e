"""Too late for archiving: take the WAL that still lies in a primary's own directory.

Nothing is changed there. Only what a file's own head confirms is taken: a server keeps old
segments under the names of future ones, and PostgreSQL up to 11 says nothing about them.
Beside an archive that exists, what is taken is what that one lacks, or has less of.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import IO

from pitr_tui.errors import PitrError
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import (
    WalSegment,
    history_timeline,
    is_backup_history,
    is_partial,
    is_segment,
)
from pitr_tui.recovery.collect_beside import (
    CHUNK,
    Beside,
    Difference,
    Reach,
    compare,
    first_bytes,
    reach_of,
)
from pitr_tui.recovery.collect_drafts import Drafts
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.archive_names import PARTIAL
from pitr_tui.storage.path import ReadPath, WritePath
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader
from pitr_tui.wal.ranges import WalRange

RECYCLED = "recycled or prepared: their names are not their contents"
FOREIGN = "of another cluster"
CUT_OFF = "not whole"
BEING_WRITTEN = "still being written"
CHANGED = "recycled while they were read"
GONE = "removed before they could be read"


@dataclass(frozen=True, slots=True)
class WalFile:
    """A file of a server's WAL directory, to be read before the next one is asked for.

    The size is -1 of one that was listed and is not there any more.
    """

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
    """What the new archive holds. `unfinished` is the newest segment of a server that no longer
    writes it, and `added` has the names of all segments that were taken from the server.

    `left_out` says why and how many; `gaps` are the ends of the runs around each. Beside an
    archive that exists, `linked` of its files appear in the new one, and `archived` segments of
    the server were there with the same bytes.
    """

    ranges: tuple[WalRange, ...]
    histories: int
    unfinished: str | None
    left_out: dict[str, int]
    total_bytes: int
    added: tuple[str, ...] = ()
    linked: int = 0
    archived: int = 0
    differences: tuple[Difference, ...] = ()

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
    beside: Beside | None = None,
) -> Collected:
    """Copy all that is usable into an empty directory, which becomes an archive.

    With `beside` that has the files of an existing archive as well, as links; both are
    directories of this machine. `progress` gets the bytes so far. Raises PitrError; then nothing
    is left there. Until all is there, the files have names that no archive has, or one such file
    is beside them: a run that was killed leaves what cannot be taken for an archive.
    """
    if beside is not None:
        beside.require_cluster(source.system_identifier)
    drafts = Drafts(target, progress, cancel or threading.Event())
    work = _Collection(source, drafts, beside)
    try:
        for file in source.files():
            work.take(file)
        work.leave_out_changed()
        work.settle()
        unfinished = work.mark_unfinished()
        drafts.publish(beside)
    except OSError as error:
        drafts.remove()
        raise PitrError(
            f"the WAL of {source.description} cannot be collected",
            f"{error.filename or target}: {error.strerror or error}",
            "nothing was kept; make room, or name another place",
        ) from error
    except BaseException:
        drafts.remove()
        raise
    listing = WalArchive(target).listing()
    if not listing.segments and not listing.partial:
        drafts.remove()
        raise PitrError(
            f"{source.description} has no WAL that can be used",
            "; ".join(f"{count} {why}" for why, count in work.left_out.items()) or "it has no WAL",
        )
    return Collected(
        listing.ranges,
        len(listing.histories),
        unfinished,
        dict(work.left_out),
        drafts.bytes,
        drafts.segments(),
        len(drafts.links),
        work.archived,
        tuple(work.differences),
    )


class _Collection:
    """What one run of `collect` has taken so far."""

    def __init__(self, source: WalSource, drafts: Drafts, beside: Beside | None) -> None:
        self.source = source
        self.left_out: Counter[str] = Counter()
        self.archived = 0
        self.differences: list[Difference] = []
        self._drafts = drafts
        self._beside = beside
        self._segments: list[WalSegment] = []
        self._newest: WalSegment | None = None  # of the server's, taken or not
        self._rivals: dict[str, tuple[WalSegment, ReadPath, bool]] = {}

    def take(self, file: WalFile) -> None:
        """Copy a file if it belongs into an archive."""
        if is_segment(file.name) or is_partial(file.name):
            self._take_segment(file)
        elif file.size < 0:
            return
        elif (timeline := history_timeline(file.name)) is not None:
            text = file.content.read()
            TimelineHistory.parse(timeline, text.decode("utf-8", "replace"))
            self._take_small(file.name, text)
        elif is_backup_history(file.name):
            self._take_small(file.name, file.content.read())

    def leave_out_changed(self) -> None:
        """Take back what a live server has reused since: it may have changed under our eyes."""
        if self.source.names is None:
            return
        gone = {one.name for one in self._segments} - self.source.names()
        for segment in [one for one in self._segments if one.name in gone]:
            self._give_back(segment.name, CHANGED)

    def settle(self) -> None:
        """Of a segment that both have, keep the one whose records go further; else theirs."""
        for name, (segment, theirs, equal) in self._rivals.items():
            if name not in self._drafts.names:
                continue
            own = self._reach_of(self._drafts.path(name), segment)
            other, begun = self._reach_of(theirs, segment), is_partial(theirs.name)
            taken = own > other or (own == other and own.finished and begun)
            if taken and not begun:  # a lesser one has the name of a whole one, and gives way
                self._drafts.names[name] = segment.name
            elif not taken:
                self._give_back(name)
            if not equal:
                words = f"the server's {own.words()}, the archive's {other.words()}"
                self.differences.append(Difference(name, taken, words))

    def mark_unfinished(self) -> str | None:
        """Give the newest segment of a server that has ended the name of one that was begun."""
        last = self._newest
        if self.source.current is not None or last is None or last not in self._segments:
            return None
        name = f"{last.name}{PARTIAL}"
        rival = self._rivals.get(last.name)
        if name in self._drafts.names or (rival is not None and not is_partial(rival[1].name)):
            return None
        if self._reach_of(self._drafts.path(last.name), last).finished:
            return None
        self._drafts.names[last.name] = name
        return last.name

    def _give_back(self, name: str, why: str = "") -> None:
        """Do not take what was copied already."""
        self._segments = [one for one in self._segments if one.name != name]
        self._drafts.give_back(name)
        if why:
            self.left_out[why] += 1

    def _reach_of(self, path: ReadPath, segment: WalSegment) -> Reach:
        return reach_of(path, segment, self.source.system_identifier, self.source.major)

    def _take_small(self, name: str, data: bytes) -> None:
        """A history: of two that differ, the archive's counts."""
        theirs = self._beside.find(name) if self._beside is not None else None
        if theirs is None:
            self._drafts.write(name, [data])
        elif not compare(theirs, data, BytesIO()).equal:
            self.differences.append(Difference(name, False, "two histories of one name"))

    def _take_segment(self, file: WalFile) -> None:
        if file.size < 0:
            self.left_out[GONE] += 1
            return
        head = file.content.read(HEADER_BYTES)
        why, segment = self._judged(file, head)
        if why:
            self.left_out[why] += 1
            return
        if is_segment(file.name):
            self._newest = max(self._newest or segment, segment)
            self._segments.append(segment)
        theirs = self._beside.find(file.name) if self._beside is not None else None
        if theirs is None:
            written = self._drafts.write(file.name, chain([head], _chunks(file.content)))
        else:
            found = compare(theirs, head, file.content)
            if found.equal and (is_partial(file.name) or not is_partial(theirs.name)):
                self._segments = [one for one in self._segments if one.name != file.name]
                self.archived += 1
                return
            self._rivals[file.name] = (segment, theirs, found.equal)
            same = first_bytes(theirs, found.same)
            written = self._drafts.write(
                file.name, chain(same, [found.rest], _chunks(file.content))
            )
        if written != segment.size:
            self._give_back(file.name, CHANGED)

    def _judged(self, file: WalFile, head: bytes) -> tuple[str, WalSegment]:
        """Why a segment cannot be used ("" if it can), and which one it is."""
        name = file.name.removesuffix(PARTIAL)
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


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(CHUNK):
        yield chunk
