"""Which lines of a log a view shows, one row each: folded runs, a filter, a bounded memory."""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from pitr_tui.wording import count_text

_MARK = 'restored log file "'
_RESTORED = re.compile(r'restored log file "([0-9A-F]{24})" from archive')
_SLACK = 20  # a twentieth of the limit is thrown away at once: one move of the list, not many


def restored_segment(text: str) -> str | None:
    """The segment whose delivery a log line tells of, or None for any other line."""
    found = _RESTORED.search(text) if _MARK in text else None
    return found[1] if found else None


def fold_text(first: str, last: str, count: int) -> str:
    """What a run of delivered segments is called.

    >>> fold_text("000000010000000000000007", "00000001000000000000000F", 9)
    'restored … 07 to 0F (9 files)'
    """
    if first == last:
        return f"restored … {first[-2:]} ({count} times)"
    start = min(len(os.path.commonprefix([first, last])), len(first) - 2)
    return f"restored … {first[start:]} to {last[start:]} ({count_text(count, 'file')})"


class LogRows:
    """The newest `limit` lines and the rows they make. Lines are numbered from 0 for ever.

    Making rows costs time, so `arrange` does a bounded number of lines at once. Consecutive
    deliveries of segments share one row unless somebody has unfolded it; under a filter each
    line that has the needle is a row of its own.

    >>> rows = LogRows()
    >>> rows.add([f'LOG:  restored log file "{n:024X}" from archive' for n in range(3)] + ["end"])
    0
    >>> rows.arrange()
    False
    >>> len(rows), rows.span(0), rows.span(1)
    (2, (0, 3), (3, 1))
    """

    def __init__(self, limit: int = 200_000) -> None:
        self.limit = limit
        self.needle = ""
        self.skipped = 0
        self._lines: list[str] = []
        self._starts = array("q")
        self._next = 0
        self._run: int | None = None  # the run of deliveries that the last row belongs to
        self._opened: set[int] = set()

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def end(self) -> int:
        """The number that the next line will have."""
        return self.skipped + len(self._lines)

    def line(self, number: int) -> str:
        return self._lines[number - self.skipped]

    def add(self, lines: Sequence[str]) -> int:
        """Take in lines and give the number of rows that were lost to make room for them."""
        self._lines.extend(lines)
        if len(self._lines) <= self.limit + self.limit // _SLACK:
            return 0
        surplus = len(self._lines) - self.limit
        del self._lines[:surplus]
        self.skipped += surplus
        self._next = max(self._next, self.skipped)
        lost = bisect_left(self._starts, self.skipped)
        straddles = lost and not self.needle and self._row_end(lost - 1) > self.skipped
        if straddles:
            lost -= 1
            if self._run == self._starts[lost]:
                self._run = self.skipped
            self._starts[lost] = self.skipped
        del self._starts[:lost]
        if self._run is not None and self._run < self.skipped:
            self._run = None
        return lost

    def arrange(self, limit: int = 10_000) -> bool:
        """Make rows of at most `limit` lines; whether there are more to be done."""
        stop = min(self.end, self._next + limit)
        offset, needle = self.skipped, self.needle
        for number in range(self._next, stop):
            line = self._lines[number - offset]
            if needle:
                if needle in line.lower():
                    self._starts.append(number)
            elif _MARK not in line or restored_segment(line) is None:
                self._run = None
                self._starts.append(number)
            elif self._run is None:
                self._run = number
                self._starts.append(number)
            elif self._run in self._opened:
                self._starts.append(number)
        self._next = max(self._next, stop)
        return self._next < self.end

    def search(self, needle: str) -> None:
        """Show only the lines with this text in them, in any case of letters; "" shows all."""
        self.needle = needle.lower()
        self._starts = array("q")
        self._next = self.skipped
        self._run = None

    def span(self, row: int) -> tuple[int, int]:
        """The number of a row's first line, and how many lines it stands for."""
        start = self._starts[row]
        return start, 1 if self.needle else self._row_end(row) - start

    def row_of(self, number: int) -> int:
        """The row that shows this line, or the nearest one before it."""
        return max(0, bisect_right(self._starts, number) - 1)

    def fold(self, row: int) -> str:
        """What a folded row says, or nothing for a row that is one line."""
        start, count = self.span(row)
        if count == 1:
            return ""
        first, last = (restored_segment(self.line(n)) for n in (start, start + count - 1))
        return fold_text(first or "?", last or "?", count)

    def can_toggle(self, row: int) -> bool:
        start, count = self.span(row)
        return count > 1 or (not self.needle and self._opened_run(start) is not None)

    def toggle(self, row: int) -> None:
        """Unfold a folded row, or fold the run again that this row belongs to."""
        start, count = self.span(row)
        if count > 1:
            self._opened.add(start)
            self._starts[row + 1 : row + 1] = array("q", range(start + 1, start + count))
            return
        run = self._opened_run(start)
        if run is not None:
            self._opened.discard(run)
            first = self.row_of(run)
            last = first + 1
            while last < len(self) and restored_segment(self.line(self._starts[last])):
                last += 1
            del self._starts[first + 1 : last]

    def _opened_run(self, number: int) -> int | None:
        """The start of the unfolded run that a line lies in."""
        while number >= self.skipped and restored_segment(self.line(number)):
            if number in self._opened:
                return number
            number -= 1
        return None

    def _row_end(self, row: int) -> int:
        return self._starts[row + 1] if row + 1 < len(self) else max(self._next, self.skipped)
