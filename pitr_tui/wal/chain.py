"""Where the records of a stretch of WAL begin, found for all of them at once.

Page headers cut out, records lie one behind the other, each on a multiple of eight bytes, and
each holds the position of the one before it. So a word that can be such a position marks a
candidate, and of all candidates those are records that lead to each other without a gap.
Source: src/backend/access/transam/xlogreader.c (ValidXLogRecordHeader).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.wal.checksum import first_damaged
from pitr_tui.wal.pages import HEADER_WORDS, WORD, Ending, Numbers, Stop, Words

_LOW_32 = np.uint64(0xFFFFFFFF)
_HEADER_BYTES = 24
_SWITCH_MANAGER, _SWITCH_INFO = 0, 0x40  # RM_XLOG_ID, XLOG_SWITCH


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words of WAL without page headers: `carried` ones of a record begun before, then pages.

    `skew` is how many words the header of the first page is longer than those of the others.
    """

    words: Words
    carried: int
    carried_lsn: Lsn
    lsn: Lsn
    page_words: int
    skew: int

    def lsns(self, places: Numbers) -> Words:
        """The positions in the WAL of words in ascending order; of carried ones only the first."""
        begin = self.carried - self.skew  # where the first page's words would begin
        last = max(int(places[-1]) - begin, 0) // self.page_words if places.size else 0
        pages = np.arange(last + 2)
        edges = np.searchsorted(places, pages * self.page_words + begin)
        edges[0], edges[-1] = 0, places.size
        headers = int(self.lsn) - begin * WORD + (pages[1:] * (HEADER_WORDS * WORD))
        found = (places << 3).view(np.uint64)
        found += np.repeat(headers.view(np.uint64), edges[1:] - edges[:-1])
        if self.carried and places.size and places[0] == 0:
            found[0] = self.carried_lsn
        return found

    def ends(self, places: Numbers) -> Words:
        """The positions just behind the words before these places."""
        return self.lsns(places - 1) + np.uint64(WORD)


class Records(NamedTuple):
    """Whole records: their places in the stretch, positions, first words, lengths in bytes."""

    places: Numbers
    lsns: Words
    heads: Words
    lengths: Numbers

    def at(self, which: slice | Numbers) -> Records:
        """Some of them."""
        return Records(self.places[which], self.lsns[which], self.heads[which], self.lengths[which])

    def first(self, count: int) -> Records:
        return self.at(slice(count))

    def after(self, which: slice | Numbers = slice(None)) -> Numbers:
        """The places behind them, where the next ones begin."""
        return self.places[which] + ((self.lengths[which] + (WORD - 1)) >> 3)

    @property
    def end(self) -> int:
        """The place behind the last of them, of which there is one."""
        return int(self.after(slice(-1, None))[0])


class Found(NamedTuple):
    """The records of a stretch, and how it ends.

    `rest` is the place of a record that goes on behind the stretch. After a `switch` the
    rest of the segment holds nothing.
    """

    records: Records
    rest: int | None = None
    stop: Stop | None = None
    switch: bool = False


def follow(stretch: Stretch, first: int, previous: Lsn | None, continued: Numbers) -> Found:
    """The records from the place `first` on, as far as PostgreSQL would read.

    `previous` is the position of the record before, None where it is not known; `continued`
    what the page headers say of records that go on behind them.
    """
    words = stretch.words
    places = _candidates(stretch, first)
    if not places.size:  # less than a header: the rest of it comes with the next pages
        stop = _stop_at(stretch, first, previous)
        return Found(_no_records(), first if first < words.size and stop is None else None, stop)
    heads = words[places]
    records = Records(places, stretch.lsns(places), heads, (heads & _LOW_32).astype(np.int64))
    records, where = _chain(records, words[places + 1], previous)
    stop = _stop_at(stretch, where, Lsn(int(records.lsns[-1])) if records.places.size else previous)
    switch = _is_switch(words, records)
    if switch:
        where, stop = words.size, None
    broken = _broken_page(stretch, records, continued)
    if broken is not None:
        count, stop = broken
        where, records, switch = words.size, records.first(count), False
    rest = where if stop is None and where < words.size else None
    if records.places.size and where > words.size:
        rest = int(records.places[-1]) if stop is None else None
        records = records.first(-1)
    bad = first_damaged(words, records.places, records.lengths)
    if bad is None:
        return Found(records, rest, stop, switch)
    stop = Stop(Lsn(int(records.lsns[bad])), Ending.DAMAGED, "the record's checksum is wrong")
    return Found(records.first(bad), None, stop)


def _candidates(stretch: Stretch, first: int) -> Numbers:
    """The place `first`, and those behind it that hold a length and a position within reach."""
    words = stretch.words
    if first + 1 >= words.size:
        return np.empty(0, dtype=np.int64)
    start = stretch.lsns(np.array([first]))[0]
    end = stretch.ends(np.array([words.size]))[0]
    near = (words[first + 1 :] - start) < (end - start)
    near[0] = True  # the word before: `first` itself counts whatever it holds
    found = np.flatnonzero(near)
    found += first
    return found


def _chain(candidates: Records, previous_lsns: Words, previous: Lsn | None) -> tuple[Records, int]:
    """Those candidates that are records, and the place behind the last of them."""
    places, lsns, after = candidates.places, candidates.lsns, candidates.after()
    long_enough = candidates.lengths >= _HEADER_BYTES
    fits = previous is None or int(previous_lsns[0]) == previous
    if not long_enough[0] or not fits or previous_lsns[0] >= lsns[0]:
        return candidates.first(0), int(places[0])
    linked = (after[:-1] == places[1:]) & (previous_lsns[1:] == lsns[:-1]) & long_enough[1:]
    breaks = np.flatnonzero(~linked)
    if not breaks.size:
        return candidates, int(after[-1])
    ends = [*breaks.tolist(), places.size - 1]
    following = np.searchsorted(places, after)
    parts: list[Numbers] = []
    at = 0
    while True:
        last = int(ends[np.searchsorted(breaks, at)])
        parts.append(np.arange(at, last + 1))
        at = int(following[last])
        if not (
            at < places.size
            and places[at] == after[last]
            and previous_lsns[at] == lsns[last]
            and long_enough[at]
        ):
            return candidates.at(np.concatenate(parts)), int(after[last])


def _stop_at(stretch: Stretch, where: int, previous: Lsn | None) -> Stop | None:
    """Why no record begins at a place where one should, None if too little of it is there."""
    words = stretch.words
    if where >= words.size:
        return None
    lsn = Lsn(int(stretch.lsns(np.array([where]))[0]))
    length = int(words[where] & _LOW_32)
    if length == 0:
        return Stop(lsn, Ending.UNWRITTEN, "no record was written here")
    if length < _HEADER_BYTES:
        return Stop(lsn, Ending.DAMAGED, f"a record cannot have {length} bytes")
    if where + 1 == words.size:
        return None
    why = f"the record says that {Lsn(int(words[where + 1]))} comes before it"
    return Stop(lsn, Ending.DAMAGED, why + (f", and {previous} does" if previous else ""))


def _is_switch(words: Words, records: Records) -> bool:
    """Whether the last record, if all of it is there, ends its segment."""
    if not records.places.size or records.end > words.size:
        return False
    kind = int(words[records.places[-1] + 2])
    return kind >> 8 & 0xFF == _SWITCH_MANAGER and kind & 0xF0 == _SWITCH_INFO


def _broken_page(stretch: Stretch, records: Records, continued: Numbers) -> tuple[int, Stop] | None:
    """How many records stand before a page header that contradicts them, and what it says."""
    places = records.places
    if not places.size or not continued.size:
        return None
    starts = np.arange(continued.size) * stretch.page_words + (stretch.carried - stretch.skew)
    starts[0] = stretch.carried
    over = np.searchsorted(places, starts, side="right") - 1
    known = (over >= 0) & (starts < records.end)
    over = np.maximum(over, 0)
    wanted = records.lengths[over] - (starts - places[over]) * WORD
    wanted[(starts == places[over]) | (wanted < 0)] = 0
    wrong = np.flatnonzero(known & (wanted != continued))
    if not wrong.size:
        return None
    page = int(wrong[0])
    lsn = Lsn(int(stretch.lsns(starts[page : page + 1])[0]))
    why = f"the page goes on with {continued[page]} bytes of a record, and {wanted[page]} are left"
    return int(over[page]), Stop(lsn, Ending.DAMAGED, why)


def _no_records() -> Records:
    nothing = np.empty(0, dtype=np.int64)
    return Records(nothing, nothing.astype(np.uint64), nothing.astype(np.uint64), nothing)
