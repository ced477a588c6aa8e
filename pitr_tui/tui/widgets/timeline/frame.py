"""One frame of the timeline as text: its rows, and what each cell stands for.

Nothing here depends on how much there is: all data was put in order before, so that a column
only costs a look into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.tui.widgets.timeline import ruler
from pitr_tui.tui.widgets.timeline.canvas import Kind, Line, Row, narrow
from pitr_tui.tui.widgets.timeline.picture import WAL_LANES
from pitr_tui.tui.widgets.timeline.plot import BackupKind, Lane, Plot, PointKind
from pitr_tui.wal.axis import Longs

_BLOCKS = " ▁▂▃▄▅▆▇█"
_LONGEST_ZONE = 20
_APART = 0.75  # what part of the transactions has a column of its own if each is drawn
_POINT_SIGNS = {PointKind.RESTORE_POINT: "◇", PointKind.EVENT: "▲", PointKind.MOMENT: "○"}


# What the line of the cut leaves in sight.
_UNCUT = {
    Kind.RULER,
    Kind.NAME,
    Kind.BACKUP,
    Kind.CHOSEN,
    Kind.BAD,
    Kind.GAP,
    Kind.SUSPECT,
    Kind.POINT,
    Kind.ACTIVITY,
}


@dataclass(frozen=True, slots=True)
class View:
    """What part of a plot is looked at: so many cells from `start` on."""

    start: int
    span: int
    width: int
    zone: tzinfo
    zone_name: str
    wide: bool

    @property
    def edges(self) -> Longs:
        """Where each column begins, and where the last one ends."""
        steps = np.arange(self.width + 1, dtype=np.int64)
        return self.start - (-steps * self.span) // self.width

    def column(self, at: int) -> int:
        return (at - self.start) * self.width // self.span

    def columns(self, places: Longs) -> list[int]:
        found: list[int] = ((places - self.start) * self.width // self.span).tolist()
        return found


class Frame(NamedTuple):
    """The rows, and the column of the cut; what stands from `lost` on would be lost."""

    rows: tuple[Row, ...]
    cut: int | None
    lost: int


def frame(plot: Plot, view: View, cut: int | None, activity: bool = True) -> Frame:
    """Draw a part of a plot with a cut through it; without `activity` only what there is."""
    rows = [_ruler(plot, view), _backups(plot, view), *_wal(plot, view)]
    if activity:
        rows += _activity(plot, view)
    column, lost = _cut_columns(plot, view, cut)
    if column is not None:
        rows = [_with_cut(row, column) for row in rows]
    return Frame(tuple(rows), column, lost)


def singles(plot: Plot, view: View) -> bool:
    """Whether transactions are so few that each is drawn by itself."""
    begin, end = np.searchsorted(plot.at, [view.start, view.start + view.span])
    if not 0 < end - begin <= view.width:
        return False
    columns = len(set(view.columns(plot.at[begin:end])))
    return bool(columns >= (end - begin) * _APART)


def _ruler(plot: Plot, view: View) -> Row:
    line = Line.of(view.width)
    room = view.width
    if plot.timed:
        name = ruler.day_text(view.start, view.zone)
        found = ruler.ticks(view.start, view.span, view.width, view.zone)
        zone = narrow(view.zone_name)[:_LONGEST_ZONE]
        room -= len(zone) + 1
        line.write(room + 1, zone, Kind.RULER)
    else:
        name = "position" if plot.lanes else ""
        found = ruler.positions(view.start, view.span, view.width) if plot.lanes else []
    for tick in found:
        column = view.column(tick.at)
        if column + 1 + len(tick.label) <= room:
            line.write(column, f"╷{tick.label}", Kind.RULER)
    return line.row(name)


def _backups(plot: Plot, view: View) -> Row:
    line = Line.of(view.width)
    for place in plot.places:
        end = view.column(place.end)
        for column in range(max(0, view.column(place.begin)), min(end, view.width)):
            line.put(column, "─", Kind.BACKUP)
    for place in sorted(plot.places, key=lambda one: one.kind is BackupKind.CHOSEN):
        column = view.column(place.end)
        if place.kind is BackupKind.STRANDED:
            line.put(column, "✗", Kind.BAD)
        else:
            chosen = place.kind is BackupKind.CHOSEN
            line.put(column, "◆", Kind.CHOSEN if chosen else Kind.BACKUP)
    return line.row(f"backups ✗{plot.broken}" if plot.broken else "backups")


def _wal(plot: Plot, view: View) -> Iterator[Row]:
    """A lane for each timeline, below the one that it left."""
    most = WAL_LANES[view.wide]
    shown, hidden = list(plot.lanes), 0
    if len(shown) > most:  # those that are followed, and of the others the newest
        first = sorted(shown, key=lambda one: (one.followed, one.timeline), reverse=True)
        shown = sorted(first[:most], key=lambda one: one.timeline)
        hidden = len(plot.lanes) - most
    if not shown:
        empty = Line.of(view.width)
        empty.write(0, "no WAL and no base backup" if not plot.broken else "no WAL", Kind.NAME)
        yield empty.row("wal")
    lines = [_lane(one, view) for one in shown]
    order = [one.timeline for one in shown]
    for below, lane in enumerate(shown):
        if lane.fork is None:
            continue
        column, sign = view.column(lane.fork), "└"
        parent = order.index(lane.parent) if lane.parent in order else below - 1
        for between in lines[parent + 1 : below]:
            if between.is_free(column, column + 1):
                between.put(column, "│", Kind.OTHER_WAL)
        line = lines[below]
        begin = view.column(int(lane.held.first[0])) if len(lane.held.first) else column
        for at in range(max(0, column + 1), min(begin, view.width)):
            if line.is_free(at, at + 1):
                line.put(at, "─", Kind.OTHER_WAL)
        if 0 <= column < view.width and line.kinds[column] not in (Kind.BAD, Kind.GAP):
            line.put(column, sign, Kind.OTHER_WAL)
    for lane, line in zip(shown, lines, strict=True):
        name = "wal" if len(plot.lanes) == 1 else f"wal tl {lane.timeline}"
        if hidden and lane is shown[-1]:
            name = f"tl {lane.timeline} (+{hidden})"
        yield line.row(name)


def _lane(lane: Lane, view: View) -> Line:
    line, edges = Line.of(view.width), view.edges
    held = lane.held.touched(edges)
    away = edges[:-1] > lane.left if lane.left is not None else np.zeros(view.width, bool)
    if not lane.followed:
        away[:] = True
    line.put_where(held & ~away, "█", Kind.WAL)
    line.put_where(held & away, "▄", Kind.OTHER_WAL)
    for column in view.columns(lane.begun):
        line.put(column, "▌", Kind.WAL)
    line.put_where(lane.gaps.touched(edges), "░", Kind.GAP)
    line.put_where(lane.bad.touched(edges), "✗", Kind.BAD)
    return line


def _activity(plot: Plot, view: View) -> Iterator[Row]:
    edges = view.edges
    bounds = np.searchsorted(plot.at, edges)
    unread = _unread(plot, edges)
    rows, single = plot.rows[bounds], singles(plot, view)
    counts = np.diff(bounds)
    levels = _levels(np.maximum(np.diff(rows), counts > 0), logarithmic=True)
    if view.wide:
        tall = _levels(counts, logarithmic=False)
        line = _single(plot, view, bounds) if single else _bars(tall, view.width)
        yield _unread_marked(line, unread).row("commits")
        yield _unread_marked(_bars(levels, view.width), unread).row("rows")
    else:
        line = _single(plot, view, bounds) if single else _bars(levels, view.width)
        yield _unread_marked(line, unread).row("xids" if single else "rows")
    marks, points = Line.of(view.width), Line.of(view.width)
    line = points if view.wide else marks
    _points(plot, view, line)
    marks.put_where(np.diff(np.searchsorted(plot.suspects, edges)) > 0, "▼", Kind.SUSPECT)
    yield _unread_marked(marks, unread).row("suspects")
    if view.wide:
        yield points.row("marks")


def _levels(values: NDArray[np.int64], logarithmic: bool) -> list[int]:
    """How high each column is, from 1 to 8; 0 for nothing."""
    if not len(values) or values.max() == 0:
        return [0] * len(values)
    high = np.log1p(values) if logarithmic else values.astype(np.float64)
    scaled = np.ceil(high / high.max() * 8)
    found: list[int] = scaled.astype(np.int64).tolist()
    return found


def _bars(levels: list[int], width: int) -> Line:
    line = Line.of(width)
    for column, level in enumerate(levels):
        if level:
            line.put(column, _BLOCKS[level], Kind.ACTIVITY)
    return line


def _single(plot: Plot, view: View, bounds: NDArray[np.intp]) -> Line:
    """A tick for each transaction, with its xid where there is room."""
    line = Line.of(view.width)
    begin, end = int(bounds[0]), int(bounds[-1])
    columns = view.columns(plot.at[begin:end])
    for entry, column in zip(range(begin, end), columns, strict=True):
        shared = 0 <= column < view.width and line.cells[column] != " "
        line.put(column, "║" if shared else "│" if plot.ended[entry] else "╵", Kind.ACTIVITY)
    for entry, column in zip(range(begin, end), columns, strict=True):
        if 0 <= column < view.width and line.cells[column] != "║":
            line.label(column, str(plot.xids[entry]), Kind.RULER)
    return line


def _points(plot: Plot, view: View, line: Line) -> None:
    placed: list[tuple[int, str]] = []
    order = (PointKind.EVENT, PointKind.MOMENT, PointKind.RESTORE_POINT)
    for point in sorted(plot.points, key=lambda one: order.index(one.kind)):
        column = view.column(point.at)
        line.put(column, _POINT_SIGNS[point.kind], Kind.POINT)
        placed.append((column, point.name))
    if view.wide:
        for column, name in placed:
            line.label(column, narrow(name), Kind.RULER)


def _unread(plot: Plot, edges: Longs) -> NDArray[np.bool]:
    """Columns with WAL in them whose transactions are not known, or not all."""
    if plot.wal is None:
        return np.zeros(len(edges) - 1, bool)
    low, high = plot.wal
    inside = (edges[1:] > low) & (edges[:-1] <= high)
    if plot.read is None:
        return inside
    begin, end = plot.read
    unread: NDArray[np.bool] = inside & ((edges[1:] <= begin) | (edges[:-1] > end))
    return unread


def _unread_marked(line: Line, unread: NDArray[np.bool]) -> Line:
    for column in np.flatnonzero(unread).tolist():
        if line.is_free(column, column + 1):
            line.put(column, "·", Kind.UNREAD)
    return line


def _cut_columns(plot: Plot, view: View, cut: int | None) -> tuple[int | None, int]:
    """The column of the cut, and the first one of what is lost."""
    count = len(plot.at)
    if cut is None or not 0 <= cut <= count or not count:
        return None, view.width
    if cut == count:
        column = view.column(int(plot.at[-1])) + 1
        return (column if 0 <= column < view.width else None), max(0, column + 1)
    lost = view.column(int(plot.at[cut]))
    kept = view.column(int(plot.at[cut - 1])) if cut else lost - 2
    column = lost - 1 if lost - kept > 1 else lost
    return (column if 0 <= column < view.width else None), max(0, column + 1)


def _with_cut(row: Row, column: int) -> Row:
    if Kind(row.kinds[column]) in _UNCUT:
        return row
    cells = f"{row.cells[:column]}┊{row.cells[column + 1 :]}"
    return Row(row.name, cells, f"{row.kinds[:column]}{Kind.CUT}{row.kinds[column + 1 :]}")
