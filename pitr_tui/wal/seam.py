"""Where one segment ends and the next begins: the record between them, and whether they fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.wal.chain import Stretch, follow
from pitr_tui.wal.columns import Counter
from pitr_tui.wal.facts import SegmentFacts, Tally
from pitr_tui.wal.pages import HEADER_WORDS, LONG_HEADER_WORDS, WORD, Ending, Stop

_NO_PAGES = np.empty(0, dtype=np.int64)


class Unread(NamedTuple):
    """WAL that could not be read, from `lsn` to where the reading went on, or to its end."""

    lsn: Lsn
    until: Lsn | None
    kind: Ending
    why: str


@dataclass(slots=True)
class Seam:
    """Follows the records from segment to segment.

    `previous` is the last whole record so far, None after a break; `begun` the part of one
    that goes on in the next segment.
    """

    watched: NDArray[np.uint64]
    previous: Lsn | None = None
    expected: Lsn | None = None  # where the next segment begins
    begun: bytes = b""
    begun_lsn: Lsn | None = None
    _switched: bool = field(default=False)
    lost: str = ""  # why the segments before the next one are not given
    _stop: Stop | None = field(default=None)

    def passes_over(self, facts: SegmentFacts) -> bool:
        """Whether a part of a segment lies behind the end of what was written to it."""
        over = self._switched or (self._stop is not None and self._stop.kind is not Ending.DAMAGED)
        if facts.is_begin or facts.start != self.expected or not over:
            return False
        self.expected = facts.start + facts.segment_size
        return True

    def join(self, facts: SegmentFacts) -> tuple[Unread | None, Tally | None]:
        """What was not read before this segment, and the record that goes over into it."""
        unread, joined = self._missing(facts), None
        if unread is None and self.begun_lsn is not None:
            unread, joined = self._completed(facts)
        if unread is None and self._contradicts(facts):
            lsn = facts.first_lsn or facts.start
            why = f"the record at {lsn} follows {facts.first_previous}, and {self.previous} is last"
            unread = Unread(facts.start, lsn, Ending.DAMAGED, why)
        self._go_on(facts)
        return unread, joined

    def end(self) -> Unread | None:
        """Why there is no more, once all segments were read."""
        if self._stop is not None:
            return Unread(self._stop.lsn, None, self._stop.kind, self._stop.why)
        if self.lost and self.expected is not None:
            return Unread(self.begun_lsn or self.expected, None, Ending.CUT, self.lost)
        if self.begun_lsn is not None:
            why = "the record that begins here ends in a segment that is not there"
            return Unread(self.begun_lsn, None, Ending.CUT, why)
        return None

    def _missing(self, facts: SegmentFacts) -> Unread | None:
        """Whether anything is missing between the last segment and this one."""
        where = facts.first_lsn or facts.start
        if self._stop is not None:
            unread = Unread(self._stop.lsn, where, self._stop.kind, self._stop.why)
        elif self.expected not in (None, facts.start):
            begin = self.begun_lsn or self.expected or facts.start
            unread = Unread(begin, where, Ending.CUT, self.lost or "there are segments missing")
        else:
            return None
        self.previous, self.begun, self.begun_lsn = None, b"", None
        return unread

    def _completed(self, facts: SegmentFacts) -> tuple[Unread | None, Tally | None]:
        """The record begun before, now that its rest is there."""
        begun_lsn = self.begun_lsn or facts.start
        if facts.first_previous == self.previous and not facts.head:
            self.begun, self.begun_lsn = b"", None  # a crash cut it off, and it was given up
            return None, None
        whole = self.begun + facts.head
        length = int.from_bytes(whole[:4], "little")
        if facts.first_lsn is None and facts.stop is None and len(whole) < length:
            return None, None  # it goes on behind this segment too
        padded = whole + bytes(-len(whole) % WORD)
        stretch = Stretch(
            words=np.frombuffer(padded, "<u8"),
            carried=len(self.begun) // WORD,
            carried_lsn=begun_lsn,
            lsn=facts.start,
            page_words=facts.page_size // WORD - HEADER_WORDS,
            skew=LONG_HEADER_WORDS - HEADER_WORDS if facts.is_begin else 0,
        )
        found = follow(stretch, 0, self.previous, _NO_PAGES)
        self.begun, self.begun_lsn = b"", None
        if len(whole) != length or found.records.places.size != 1:
            why = found.stop.why if found.stop else "the next segment does not go on with it"
            return Unread(begun_lsn, facts.first_lsn, Ending.DAMAGED, why), None
        self.previous = begun_lsn
        counter = Counter(facts.version, self.watched)
        counter.add(stretch, found.records)
        return None, counter.result()

    def _contradicts(self, facts: SegmentFacts) -> bool:
        known = self.previous is not None and facts.first_previous is not None
        return known and facts.first_previous != self.previous

    def _go_on(self, facts: SegmentFacts) -> None:
        """Remember how this segment ends."""
        self.lost = ""
        self.expected = facts.start + facts.segment_size
        self._stop, self._switched = facts.stop, facts.switched
        if facts.tail_lsn is not None:
            self.begun, self.begun_lsn = facts.tail, facts.tail_lsn
        elif self.begun_lsn is not None:
            self.begun += facts.head
        self.previous = facts.previous or self.previous
