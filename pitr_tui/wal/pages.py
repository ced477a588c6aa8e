"""The pages of a segment, checked as PostgreSQL checks them, with their headers cut out.

Source: src/include/access/xlog_internal.h (XLogPageHeaderData),
src/backend/access/transam/xlogreader.c (XLogReaderValidatePageHeader).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn

Words: TypeAlias = NDArray[np.uint64]
Numbers: TypeAlias = NDArray[np.int64]

WORD = 8
HEADER_WORDS = 3
LONG_HEADER_WORDS = 5
_CONTINUES, _LONG, _REMOVABLE, _OVERWRITTEN = 0x1, 0x2, 0x4, 0x8
_KNOWN_FLAGS = _CONTINUES | _LONG | _REMOVABLE | _OVERWRITTEN
_LOW_32 = np.uint64(0xFFFFFFFF)


class Ending(StrEnum):
    """What stands where a reading ended."""

    UNWRITTEN = "unwritten"  # zeros: the server has not got so far
    RECYCLED = "recycled"  # what an older segment left in a file used again
    DAMAGED = "damaged"
    CUT = "cut"  # the file ends, or a segment is missing
    LAST = "last"  # the last segment was read to its end


class Stop(NamedTuple):
    """Where the reading of a segment ended early, and why."""

    lsn: Lsn
    kind: Ending
    why: str


@dataclass(frozen=True, slots=True)
class PageRules:
    """What every page of a segment must agree with; sizes in bytes."""

    magic: int
    timeline: int
    page_size: int
    segment_start: Lsn

    @property
    def page_words(self) -> int:
        """The words of a page that are not its header."""
        return self.page_size // WORD - HEADER_WORDS


@dataclass(frozen=True, slots=True)
class Pages:
    """Valid pages that follow each other, a row each, and what the first bad one was."""

    rows: Words
    lsn: Lsn
    stop: Stop | None

    @property
    def continued(self) -> Numbers:
        """Of each page the bytes with which it goes on with a record, 0 where one begins."""
        going_on = (self.rows[:, 0] >> np.uint64(16)) & np.uint64(_CONTINUES)
        return ((self.rows[:, 2] & _LOW_32) * going_on).astype(np.int64)

    @property
    def overwritten(self) -> Numbers:
        """The pages before which a record was given up that a crash had cut off."""
        flags = (self.rows[:, 0] >> np.uint64(16)) & np.uint64(_OVERWRITTEN)
        return np.flatnonzero(flags)

    def part(self, first: int, last: int) -> Pages:
        """The pages from `first` up to `last`, without the reason why there are no more."""
        page_bytes = self.rows.shape[1] * WORD
        return Pages(self.rows[first:last], self.lsn + first * page_bytes, None)


def check_pages(window: bytes, lsn: Lsn, rules: PageRules) -> Pages:
    """The valid pages at the start of `window`, which begins with the page at `lsn`.

    A page counts when it has the segment's magic, its own address, and no younger timeline
    than the segment. Bytes behind the last whole page are left out.
    """
    whole = len(window) // rules.page_size
    words = np.frombuffer(window, "<u8", whole * rules.page_size // WORD)
    rows = words.reshape(whole, rules.page_size // WORD)
    step = np.uint64(rules.page_size)
    wanted = np.uint64(lsn) + np.arange(whole, dtype=np.uint64) * step
    heads = rows[:, 0]
    flags = (heads >> np.uint64(16)) & np.uint64(0xFFFF)
    timelines = heads >> np.uint64(32)
    good = (heads & np.uint64(0xFFFF)) == np.uint64(rules.magic)
    good &= rows[:, 1] == wanted
    good &= (timelines <= np.uint64(rules.timeline)) & (timelines > np.uint64(0))
    good &= (flags & np.uint64(0xFFFF ^ _KNOWN_FLAGS)) == np.uint64(0)
    is_long = (flags & np.uint64(_LONG)) != np.uint64(0)
    good &= is_long == (wanted == np.uint64(rules.segment_start))
    bad = np.flatnonzero(~good)
    if not bad.size:
        return Pages(rows, lsn, None)
    first = int(bad[0])
    at = lsn + first * rules.page_size
    return Pages(rows[:first], lsn, _why_not(rows[first], at, rules))


def _why_not(page: Words, lsn: Lsn, rules: PageRules) -> Stop:
    """What is wrong with a page that is none of this place."""
    head, address = int(page[0]), int(page[1])
    if not page.any():
        return Stop(lsn, Ending.UNWRITTEN, "from here on the segment holds zeros")
    if head & 0xFFFF == rules.magic and address < lsn and address % rules.page_size == 0:
        return Stop(
            lsn, Ending.RECYCLED, f"from here on it holds older WAL, that of {Lsn(address)}"
        )
    if head & 0xFFFF != rules.magic:
        why = f"the page begins with {head & 0xFFFF:04X}, not with {rules.magic:04X}"
    elif address != lsn:
        why = f"the page says that it is the one of {Lsn(address)}"
    elif not 0 < head >> 32 <= rules.timeline:
        why = f"the page says that it is of timeline {head >> 32}"
    else:
        why = f"the page's flags {head >> 16 & 0xFFFF:04X} make no sense here"
    return Stop(lsn, Ending.DAMAGED, why)
