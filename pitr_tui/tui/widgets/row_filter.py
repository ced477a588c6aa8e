"""Which transactions one wants to see: by table, by time, by how many rows they changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from pitr_tui.errors import UsageError
from pitr_tui.postgres.moment import parse_moment
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.tui.widgets.moment_rows import Pick
from pitr_tui.wal.chronicle import Chronicle

EXAMPLES = "orders   >1000   14:30..14:40   (words, rows, times; all of them together)"

_ROWS = re.compile(r"(>=|<=|>|<)([\d,_]+)")


@dataclass(frozen=True, slots=True)
class RowFilter:
    """All of these have to hold. Times are in microseconds since 2000, both ends included."""

    words: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    first: int | None = None
    last: int | None = None

    def __bool__(self) -> bool:
        return bool(self.words) or any(
            one is not None for one in (self.least, self.most, self.first, self.last)
        )

    def entries(self, story: Chronicle) -> NDArray[np.int64] | None:
        """The entries that are wanted, in their order; None when that is all of them."""
        if not self:
            return None
        wanted = np.ones(len(story), bool)
        for word in self.words:
            wanted &= _with_word(story, word)
        if self.least is not None:
            wanted &= story.rows >= self.least
        if self.most is not None:
            wanted &= story.rows <= self.most
        if self.first is not None:
            wanted &= story.times >= self.first
        if self.last is not None:
            wanted &= story.times <= self.last
        return np.flatnonzero(wanted)

    def picks(self, found: Sequence[Pick], story: Chronicle | None) -> list[Pick]:
        """Those of the rows worth a look that are wanted."""
        return [one for one in found if self._has(one, story)] if self else list(found)

    def _has(self, one: Pick, story: Chronicle | None) -> bool:
        kind = str(one.mark.what) if one.mark is not None else ""
        text = f"{kind} {one.words} {one.xid or ''}".lower()
        if not all(word in text for word in self.words):
            return False
        if self.least is not None or self.most is not None:
            if one.mark is None or one.mark.suspect is None or story is None:
                return False
            most = max((finding.rows or 0 for finding in one.mark.suspect.findings), default=0)
            if one.mark.index < len(story):
                most = max(most, int(story.rows[one.mark.index]))
            if not (self.least or 0) <= most <= (most if self.most is None else self.most):
                return False
        if self.first is None and self.last is None:
            return True
        time = one.time
        return time is not None and (
            (self.first is None or time >= self.first) and (self.last is None or time <= self.last)
        )


def read_filter(text: str, zone: tzinfo, day: datetime) -> RowFilter:
    """Read what was typed. A clock time is one of `day`. Raises UsageError.

    >>> from datetime import UTC
    >>> read_filter("Orders >1,000", UTC, datetime(2026, 11, 22, tzinfo=UTC))
    RowFilter(words=('orders',), least=1001, most=None, first=None, last=None)
    """
    words: list[str] = []
    least = most = first = last = None
    for token in text.split():
        if rows := _ROWS.fullmatch(token):
            number = int(rows[2].replace(",", "").replace("_", "") or 0)
            if rows[1] in (">", ">="):
                least = number + (rows[1] == ">")
            else:
                most = number - (rows[1] == "<")
        elif ".." in token:
            begin, _, end = token.partition("..")
            first, last = (_time(one, zone, day) for one in (begin, end))
        else:
            words.append(token.lower())
    return RowFilter(tuple(words), least, most, first, last)


def _time(text: str, zone: tzinfo, day: datetime) -> int | None:
    if not text:
        return None
    try:
        return from_moment(parse_moment(text, zone, day))
    except UsageError as error:
        raise UsageError(f"{text!r} is not a time", error.why, EXAMPLES) from error


def _with_word(story: Chronicle, word: str) -> NDArray[np.bool]:
    """Entries that changed a table with this word in its name, or are suspects because of it."""
    found = np.zeros(len(story), bool)
    named = [at for at, table in enumerate(story.tables) if word in str(table).lower()]
    if named:
        hits = np.isin(story.made.table, named)
        owners = np.repeat(np.arange(len(story)), np.diff(story.made.begins))
        found[owners[hits]] = True
    for mark in story.suspects():
        if mark.index < len(story) and word in mark.words.lower():
            found[mark.index] = True
    if word.isascii() and word.isdigit():
        found |= story.xids == int(word) & 0xFFFFFFFF
    return found
