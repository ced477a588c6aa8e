"""Backups and WAL over the segment numbers, in a few rows: what lies where, and the gaps."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import ArchiveListing
from pitr_tui.repositories.backups import Backup
from pitr_tui.tui.literal import Part, assemble, lines, literal

_NAME_CELLS = 10
_WIDEST_SEGMENT = 4
_MOST_TIMELINES = 3


class WalTimeline(Widget):
    """One row of backups, one of WAL for each timeline, and the two ends named below.

    A column is one segment or more; where a column's segments are not all there it is a gap.
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, classes="wal-timeline")
        self._backups: Sequence[Backup] = ()
        self._listing: ArchiveListing | None = None
        self._chosen: Backup | None = None
        self._drawn: tuple[int, Content] | None = None

    def show(
        self,
        backups: Sequence[Backup],
        listing: ArchiveListing | None,
        chosen: Backup | None = None,
    ) -> None:
        """Draw these; `chosen` stands out."""
        self._backups, self._listing, self._chosen = backups, listing, chosen
        self._drawn = None
        self.display = listing is not None and bool(listing.segments)
        self.refresh(layout=True)

    def render(self) -> Content:
        listing = self._listing
        if listing is None or not listing.segments:
            return Content("")
        width = self.size.width
        if self._drawn is None or self._drawn[0] != width:
            cells = max(8, width - _NAME_CELLS)
            rows = rows_of(self._backups, listing.segments, cells, self._chosen)
            self._drawn = (width, lines(*rows))
        return self._drawn[1]

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        if self._listing is None:
            return 0
        timelines = {segment.timeline for segment in self._listing.segments}
        return 2 + min(len(timelines), _MOST_TIMELINES)


def rows_of(
    backups: Sequence[Backup],
    segments: Sequence[WalSegment],
    cells: int,
    chosen: Backup | None = None,
) -> list[Content]:
    """The rows as text, `cells` wide behind their names."""
    starts = [backup.start_segment.number for backup in backups]
    numbers = [segment.number for segment in segments]
    low, high = min([*numbers, *starts]), max([*numbers, *starts])
    scale = _Scale(low, high, cells)
    marks: list[Part] = [(" ", "")] * scale.cells
    for backup, number in zip(backups, starts, strict=True):
        style = "bold $text-accent" if chosen is not None and backup is chosen else "$text-primary"
        marks[scale.column(number)] = ("◆", style)
    rows = [assemble((f"{'backups':<{_NAME_CELLS}}", "$foreground-muted"), *marks)]
    timelines = sorted({segment.timeline for segment in segments})[-_MOST_TIMELINES:]
    for timeline in timelines:
        held = _Held({segment.number for segment in segments if segment.timeline == timeline})
        name = "WAL" if len(timelines) == 1 else f"WAL tl {int(timeline)}"
        rows.append(
            assemble(
                (f"{name:<{_NAME_CELLS}}", "$foreground-muted"),
                *(scale.cell(column, held) for column in range(scale.cells)),
            )
        )
    first = min(segments, key=lambda one: one.number)
    last = max(segments, key=lambda one: one.number)
    left, right = f"{first.start}", f"{last.end}"
    room = max(1, scale.cells - len(left) - len(right))
    rows.append(literal(f"{'':<{_NAME_CELLS}}{left}{' ' * room}{right}", "$foreground-muted"))
    return rows


class _Scale:
    """Segment numbers to columns."""

    def __init__(self, low: int, high: int, cells: int) -> None:
        self._low, self._count = low, high - low + 1
        wide = min(_WIDEST_SEGMENT, max(1, cells // self._count))
        self.cells = min(cells, self._count * wide)

    def column(self, number: int) -> int:
        return (number - self._low) * self.cells // self._count

    def cell(self, column: int, held: _Held) -> Part:
        """One column of a WAL row: whole, with a gap in it, at an end, or nothing."""
        wanted = self.numbers(column)
        missing = [number for number in wanted if number not in held.numbers]
        if not missing:
            return ("█", "$text-success")
        if any(held.first < number < held.last for number in missing):
            return ("░", "bold $text-error")
        return (" ", "") if len(missing) == len(wanted) else ("▌", "$text-success")

    def numbers(self, column: int) -> range:
        """The segment numbers that a column stands for, at least one."""
        first = self._low + column * self._count // self.cells
        behind = self._low + (column + 1) * self._count // self.cells
        return range(first, max(behind, first + 1))


class _Held:
    """The numbers that are there, and their ends."""

    def __init__(self, numbers: set[int]) -> None:
        self.numbers = numbers
        self.first, self.last = min(numbers), max(numbers)
