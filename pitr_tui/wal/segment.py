"""A segment read from its first byte to its last, or to where its WAL ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE, WalSegment
from pitr_tui.wal.chain import Found, Records, Stretch, follow
from pitr_tui.wal.columns import Counter
from pitr_tui.wal.facts import SegmentFacts
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader
from pitr_tui.wal.pages import (
    HEADER_WORDS,
    LONG_HEADER_WORDS,
    WORD,
    Ending,
    PageRules,
    Pages,
    Stop,
    Words,
    check_pages,
)

_PART_BYTES = DEFAULT_SEGMENT_SIZE  # a multiple of the window's
WINDOW_BYTES = 1 << 21  # what is worked on at a time fits into the caches of a processor
_NOTHING = np.empty(0, dtype=np.uint64)

Read = Callable[[int], bytes]


class Part(NamedTuple):
    """A part of a large segment, and that part as if it was a segment of its own size."""

    whole: WalSegment
    own: WalSegment

    @property
    def start(self) -> Lsn:
        return self.own.start

    @property
    def end(self) -> Lsn:
        return self.own.end


def parts_of(segment: WalSegment) -> list[Part]:
    """The parts of a segment, so small that what is said in one fits into memory."""
    count = segment.size // _PART_BYTES
    first = segment.start // _PART_BYTES
    return [
        Part(segment, WalSegment(segment.timeline, first + number, _PART_BYTES))
        for number in range(count)
    ]


def read_segment(
    read: Read, segment: WalSegment, watched: NDArray[np.uint64], head: bytes = b""
) -> SegmentFacts:
    """Count and keep what a segment says; `read(n)` gives its next bytes, b"" at the end.

    For `watched` see `Counter`. Of a part that is not the first `head` has the first bytes of
    the whole segment. Raises PitrError when it does not begin like a segment.
    """
    reader = SegmentReader(read, segment, head)
    counter = Counter(reader.version, watched)
    for stretch, records in reader.stretches():
        counter.add(stretch, records)
    return SegmentFacts(
        version=reader.version,
        system_identifier=reader.header.system_identifier,
        segment_size=segment.size,
        page_size=reader.header.page_size,
        is_begin=segment.start == reader.rules.segment_start,
        switched=reader.switched,
        start=segment.start,
        end=reader.end,
        head=reader.head,
        first_lsn=reader.first_lsn,
        first_previous=reader.first_previous,
        previous=reader.previous,
        tail_lsn=reader.tail_lsn,
        tail=reader.carried.tobytes(),
        stop=reader.stop,
        tally=counter.result(),
    )


@dataclass(slots=True)
class SegmentReader:
    """Goes through a segment window by window; afterwards its attributes tell the rest.

    `head` is what is left of a record begun earlier, `carried` the begin of one that goes on
    behind the segment, `end` the position behind the last whole record.
    """

    read: Read
    segment: WalSegment
    begin: bytes = b""
    version: PostgresVersion = field(init=False)
    header: SegmentHeader = field(init=False)
    rules: PageRules = field(init=False)
    head: bytes = field(default=b"", init=False)
    first_lsn: Lsn | None = field(default=None, init=False)
    first_previous: Lsn | None = field(default=None, init=False)
    previous: Lsn | None = field(default=None, init=False)
    end: Lsn = field(init=False)
    carried: Words = field(default_factory=lambda: _NOTHING, init=False)
    tail_lsn: Lsn | None = field(default=None, init=False)
    stop: Stop | None = field(default=None, init=False)
    _window: bytes = field(default=b"", init=False)
    _head_left: int = field(default=0, init=False)
    switched: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._window = self._fill()
        self.header = SegmentHeader.parse(self.begin or self._window[:HEADER_BYTES])
        self.version = PostgresVersion.parse(self.header.major)
        self.end = self.segment.start
        self.rules = PageRules(
            self.version.wal_magic,
            self.segment.timeline,
            self.header.page_size,
            Lsn(self.segment.start - self._before),
        )

    @property
    def _before(self) -> int:
        """How much of the segment lies before the part that is read."""
        return self.segment.start % self.header.segment_size if self.begin else 0

    def stretches(self) -> Iterator[tuple[Stretch, Records]]:
        """The stretches of the segment, each with the records that end in it."""
        lsn = self.segment.start
        while self._window and self.stop is None and not self.switched:
            pages = check_pages(self._window, lsn, self.rules)
            yield from self._pages(pages)
            self.stop = self.stop or (None if self.switched else pages.stop)
            lsn = lsn + len(self._window)
            whole = len(self._window) % self.rules.page_size == 0
            self._window = self._fill() if whole and lsn < self.segment.end else b""
        if self.stop is None and lsn < self.segment.end and not self.switched:
            at = Lsn(lsn - lsn % self.rules.page_size)
            size = self.header.segment_size if self.begin else self.segment.size
            found = lsn - self.rules.segment_start
            why = f"the file has {found:,} bytes instead of {size:,}"
            self.stop = Stop(at, Ending.CUT, why)
        if self.stop is not None:
            self.carried, self.tail_lsn = _NOTHING, None

    def _fill(self) -> bytes:
        """The next window, whole unless the file ends."""
        window = self.read(WINDOW_BYTES)
        while len(window) < WINDOW_BYTES and (more := self.read(WINDOW_BYTES - len(window))):
            window += more
        return window

    def _pages(self, pages: Pages) -> Iterator[tuple[Stretch, Records]]:
        """Valid pages, split where a crash left a record unfinished."""
        given_up = pages.overwritten.tolist()
        edges = [0, *(page for page in given_up if page), len(pages.rows)]
        for first, last in zip(edges, edges[1:], strict=False):
            part = pages.part(first, last)
            if first in given_up:
                self.carried, self.tail_lsn, self._head_left = _NOTHING, None, 0
            if len(part.rows) and self.stop is None and not self.switched:
                yield from self._part(part)

    def _part(self, pages: Pages) -> Iterator[tuple[Stretch, Records]]:
        stretch = self._stretch(pages)
        continued = pages.continued
        if pages.lsn == self.segment.start:
            self._head_left = int(continued[0])
        first = self._take_head(stretch)
        if first >= stretch.words.size:
            return
        found = follow(stretch, first, self.previous, continued)
        self._note(stretch, first, found)
        yield stretch, found.records

    def _stretch(self, pages: Pages) -> Stretch:
        """The words of pages, behind those carried over; the only copy that is made of them."""
        begins = pages.lsn == self.rules.segment_start
        skew = LONG_HEADER_WORDS - HEADER_WORDS if begins else 0
        carried, width = self.carried.size, self.rules.page_words
        words = np.empty(carried + len(pages.rows) * width, dtype=np.uint64)
        words[carried:].reshape(-1, width)[:] = pages.rows[:, HEADER_WORDS:]
        words[:carried] = self.carried
        lsn = self.tail_lsn or pages.lsn
        return Stretch(words[skew:], carried, lsn, pages.lsn, width, skew)

    def _take_head(self, stretch: Stretch) -> int:
        """Put aside the rest of a record begun earlier; the place of the first one after it."""
        count = min(-(-self._head_left // WORD), stretch.words.size)
        if count:
            taken = stretch.words[:count].tobytes()[: self._head_left]
            self.head += taken
            self._head_left -= len(taken)
        return count

    def _note(self, stretch: Stretch, first: int, found: Found) -> None:
        """Remember what the next stretch and the next segment need."""
        records = found.records
        if self.first_lsn is None and (records.places.size or found.rest is not None):
            self.first_lsn = Lsn(int(stretch.lsns(np.array([first]))[0]))
            if records.places.size:
                self.first_previous = Lsn(int(stretch.words[first + 1]))
        if records.places.size:
            self.end = Lsn(int(stretch.ends(np.array([records.end]))[0]))
            self.previous = Lsn(int(records.lsns[-1]))
        self.stop, self.switched = found.stop, found.switch
        if found.rest is None:
            self.carried, self.tail_lsn = _NOTHING, None
        else:
            self.tail_lsn = Lsn(int(stretch.lsns(np.array([found.rest]))[0]))
            self.carried = stretch.words[found.rest :].copy()
