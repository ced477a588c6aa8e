"""What part of a plot is looked at, and where the cut stands: moved by steps, never drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pitr_tui.tui.widgets.timeline.plot import Plot

_LEAST_CELLS = 8
_PAN = 4  # what part of the width one step pans by
_MARGIN = 20  # what part of the width nothing that was moved to comes nearer to the edge


@dataclass(slots=True)
class Lens:
    """A part of a plot in so many cells.

    `span` is the place at the left edge and how much is seen, None for all there is. `cut` is
    how many transactions are kept; `place` where the last step led, also where that was no
    transaction.
    """

    plot: Plot
    cells: int = _LEAST_CELLS
    span: tuple[int, int] | None = None
    cut: int | None = None
    place: int | None = None

    @property
    def count(self) -> int:
        return len(self.plot.at)

    @property
    def seen(self) -> tuple[int, int]:
        """The place at the left edge, and how much is seen."""
        return self.span or (self.plot.low, max(self.plot.high - self.plot.low, self.cells))

    def take(self, plot: Plot) -> None:
        """Another plot of the same past: what is looked at stays where it still is there."""
        if plot.timed != self.plot.timed:
            self.span = self.place = None
        self.plot = plot
        if self.cut is not None and self.cut > self.count:
            self.cut = None
        if self.span is not None:
            self.look_at(*self.span)

    def fit(self, cells: int) -> None:
        """The same in more or fewer cells."""
        self.cells = cells
        if self.span is not None:
            self.look_at(*self.span)

    # Looking.

    def look_at(self, start: int, span: int) -> None:
        """Show this part, as far as there is something to show."""
        low, high = self.plot.low, self.plot.high
        span = max(self.cells, span)  # no finer than a microsecond or a byte a column
        whole = span >= max(high - low, self.cells)
        self.span = None if whole else (max(low, min(start, high - span)), span)

    def zoom(self, factor: float, column: int | None = None) -> None:
        """Show more or less; what is in this column, or at the cut, or in the middle, stays."""
        start, span = self.seen
        place = self.place if self.cut is None else self.place_of(self.cut)
        if column is not None:
            place = start + span * column // self.cells
        elif place is None or not start <= place < start + span:
            place = start + span // 2
        new = max(self.cells, round(span / factor))
        left = (place - start) * new // span
        if column is None:
            margin = new // _MARGIN
            left = max(margin, min(left, new - margin))
        self.look_at(place - left, new)

    def pan(self, steps: int) -> None:
        start, span = self.seen
        self.look_at(start + steps * max(1, span // _PAN), span)

    def reveal(self, place: int) -> None:
        """Bring a place into view."""
        start, span = self.seen
        margin = span // _MARGIN
        if not start + margin <= place < start + span - margin:
            self.look_at(place - span // 2, span)

    # The cut.

    def place_of(self, cut: int) -> int:
        """Where the first transaction behind a cut stands; of the last cut that before it."""
        return int(self.plot.at[min(cut, self.count - 1)]) if self.count else self.plot.low

    def put(self, cut: int | None) -> None:
        """The cut there, and in view."""
        self.cut = self.place = None
        if cut is not None and self.count:
            self.cut = max(0, min(cut, self.count))
            self.place = self.place_of(self.cut)
            self.reveal(self.place)

    def cut_from(self, place: int) -> int:
        """The cut before the first transaction from a place on."""
        return int(np.searchsorted(self.plot.at, place))

    def cut_at(self, column: int) -> int:
        """The cut before the first transaction of a column."""
        start, span = self.seen
        return self.cut_from(start - (-column * span) // self.cells)

    def move(self, steps: int) -> None:
        """The cut by one transaction where each is seen by itself, else by a column."""
        if self.cut is None:
            self.put(self.count if steps < 0 else self.cut_at(0))
            return
        start, span = self.seen
        begin, end = np.searchsorted(self.plot.at, [start, start + span])
        if end - begin <= self.cells:
            self.put(self.cut + steps)
            return
        column = (self.place_of(self.cut) - start) * self.cells // span
        nearest = max if steps > 0 else min
        self.put(nearest(self.cut_at(column + steps), self.cut + steps))

    def jump(self, what: str, steps: int) -> None:
        """To the next or the previous suspect, point, gap or backup; not beyond the last."""
        found = sorted(self._marks(what), key=lambda mark: (mark[0], mark[1] or 0))[::steps]
        for place, cut in found:
            if self._is_ahead(place, cut, steps):
                if cut is not None:
                    self.put(cut)
                self.place = place
                self.reveal(place)
                return

    def _marks(self, what: str) -> Sequence[tuple[int, int | None]]:
        """The places of all marks of a kind, with their cuts where there are transactions."""
        plot = self.plot
        match what:
            case "suspect":
                return list(zip(plot.suspects.tolist(), plot.suspect_cuts.tolist(), strict=True))
            case "point":
                return [(one.at, one.cut) for one in plot.points]
            case "gap":
                places = plot.gaps
            case _:
                places = [one.end for one in plot.places]
        return [(place, self.cut_from(place) if self.count else None) for place in places]

    def _is_ahead(self, place: int, cut: int | None, steps: int) -> bool:
        if self.place is None:
            return True
        if place != self.place:
            return (place > self.place) == (steps > 0)
        return cut is not None and self.cut is not None and (cut - self.cut) * steps > 0

    def hit(self, column: int, kinds: Sequence[str]) -> int:
        """The cut for a column that was pointed at: before a mark there, or a transaction."""
        start, span = self.seen
        for kind in kinds:
            for place, cut in self._marks(kind):
                if cut is not None and (place - start) * self.cells // span == column:
                    return cut
        return self.cut_at(column)
