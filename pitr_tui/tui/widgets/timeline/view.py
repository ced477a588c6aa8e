"""The timeline on the screen: zoom, pan, and the cut that a person moves through it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from pitr_tui.tui.widgets.timeline.keys import KEYS
from pitr_tui.tui.widgets.timeline.picture import NAME_CELLS, WIDE, Picture, height

if TYPE_CHECKING:  # these load numpy
    from pitr_tui.tui.widgets.timeline.canvas import Row
    from pitr_tui.tui.widgets.timeline.frame import Frame
    from pitr_tui.tui.widgets.timeline.lens import Lens

_LEAST_CELLS = 8
_KEY_ZOOM, _WHEEL_ZOOM = 4, 2
_LOOKING = "looking at the archive"


class TimelineView(Widget, can_focus=True):
    """Backups, WAL and transactions from left to right.

    What stands left of the cut is kept, what stands right of it is lost; the cut always stands
    between two transactions. With `plain` there is nothing but the backups and the WAL, and
    nothing to be moved.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TimelineView {
        height: auto;
        .timeline--name, .timeline--ruler { color: $text-muted; }
        .timeline--backup { color: $text-primary; }
        .timeline--chosen { color: $text-accent; text-style: bold reverse; }
        .timeline--wal { color: $success-darken-2; }
        .timeline--other-wal { color: $text-muted; }
        .timeline--gap { color: $text-error; }
        .timeline--bad { color: $text-error; text-style: bold; }
        .timeline--activity { color: $primary; }
        .timeline--suspect { color: $text-warning; text-style: bold; }
        .timeline--point { color: $text-accent; }
        .timeline--unread { color: $text-disabled; }
        .timeline--cut { color: $foreground; text-style: bold; }
        .timeline--lost { color: $text-disabled; text-style: dim; }
        &:focus .timeline--name { color: $foreground; text-style: bold; }
        &:focus .timeline--cut { color: $text-accent; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "timeline--plain",
        "timeline--name",
        "timeline--ruler",
        "timeline--backup",
        "timeline--chosen",
        "timeline--bad",
        "timeline--wal",
        "timeline--other-wal",
        "timeline--gap",
        "timeline--activity",
        "timeline--suspect",
        "timeline--point",
        "timeline--unread",
        "timeline--cut",
        "timeline--lost",
    }
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    @dataclass
    class CutMoved(Message):
        """A person moved the cut: this many transactions are kept."""

        view: TimelineView
        cut: int

        @property
        def control(self) -> TimelineView:
            return self.view

    def __init__(self, *, plain: bool = False, id: str | None = None) -> None:
        super().__init__(id=id, classes="timeline -plain" if plain else "timeline")
        self._plain = plain
        self.can_focus = not plain
        self._picture: Picture | None = None
        self._lens: Lens | None = None
        self._frame: tuple[object, Frame] | None = None
        self._styles: dict[tuple[str, bool, bool], Style] = {}
        self._dragged: tuple[int, tuple[int, int]] | None = None
        self._moved = False

    # What comes in.

    def show(self, picture: Picture) -> None:
        """Draw this. What was looked at stays in view where it still is there."""
        rows = self._height(self.size.width)
        if self._picture is not None and _other_story(self._picture, picture):
            self._lens = None
        self._picture = picture
        if picture.surveyed is None and picture.chronicle is None:
            self._lens = None
        else:
            from pitr_tui.tui.widgets.timeline.lens import Lens
            from pitr_tui.tui.widgets.timeline.plot import plot

            if self._lens is None:
                self._lens = Lens(plot(picture))
                self._fit()
            else:
                self._lens.take(plot(picture))
        self._frame = None
        self.refresh(layout=rows != self._height(self.size.width))

    def show_cut(self, cut: int | None) -> None:
        """Put the cut there, and bring it into view."""
        if self._lens is not None:
            self._lens.put(cut)
            self.refresh()

    @property
    def cut(self) -> int | None:
        """How many transactions are kept; None as long as there is no cut."""
        return self._lens.cut if self._lens is not None else None

    @property
    def seen(self) -> tuple[int, int] | None:
        """The place at the left edge and how much is seen, in microseconds; None of nothing."""
        return self._lens.seen if self._lens is not None else None

    def on_resize(self) -> None:
        self._fit()
        self.refresh()

    def _fit(self) -> None:
        if self._lens is not None:
            self._lens.fit(max(_LEAST_CELLS, self.size.width - NAME_CELLS))

    # Keys.

    def action_zoom(self, steps: int) -> None:
        """Zoom at the cut if it is in view, and at the middle otherwise."""
        if self._lens is not None:
            self._lens.zoom(_KEY_ZOOM**steps)
            self.refresh()

    def action_whole(self) -> None:
        if self._lens is not None:
            self._lens.span = None
            self.refresh()

    def action_pan(self, steps: int) -> None:
        if self._lens is not None:
            self._lens.pan(steps)
            self.refresh()

    def action_move(self, steps: int) -> None:
        """The cut by one transaction where each is seen by itself, else by a column."""
        if self._lens is not None and self._lens.count:
            before = self._lens.cut
            self._lens.move(steps)
            self._told(before)

    def action_jump(self, what: str, steps: int) -> None:
        """To the next or the previous thing of a kind; nothing happens behind the last."""
        if self._lens is not None:
            before = self._lens.cut
            self._lens.jump(what, steps)
            self._told(before)

    def _told(self, before: int | None) -> None:
        """Tell of a cut that a person has moved."""
        self.refresh()
        if self.cut is not None and self.cut != before:
            self.post_message(self.CutMoved(self, self.cut))

    # The mouse.

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, _WHEEL_ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1 / _WHEEL_ZOOM)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        if self._plain or self._lens is None:
            return
        event.stop()
        event.prevent_default()
        self._lens.zoom(factor, max(0, event.x - NAME_CELLS))
        self.refresh()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if not self._plain and self._lens is not None:
            self._dragged, self._moved = (event.screen_x, self._lens.seen), False
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged is None or self._lens is None:
            return
        begin, (start, span) = self._dragged
        if event.screen_x != begin or self._moved:
            self._moved = True
            self._lens.look_at(start + (begin - event.screen_x) * span // self._lens.cells, span)
            self.refresh()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragged is None:
            return
        self._dragged = None
        self.release_mouse()
        if not self._moved:
            self._clicked(event.x - NAME_CELLS, event.y)

    def _clicked(self, column: int, row: int) -> None:
        """Cut before what is there: a suspect or a mark that was hit, or else a transaction."""
        lens, frame = self._lens, self._drawn()
        if lens is None or frame is None or not lens.count or not 0 <= column < lens.cells:
            return
        lane = frame.rows[row].name if 0 <= row < len(frame.rows) else ""
        before = lens.cut
        lens.put(lens.hit(column, _CLICKED.get(lane, ())))
        self._told(before)

    # How it looks.

    def _height(self, width: int) -> int:
        lanes = len(self._lens.plot.lanes) if self._lens is not None else 1
        return height(lanes, width >= WIDE, not self._plain)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._height(width)

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    def _drawn(self) -> Frame | None:
        """The frame of this moment."""
        lens, picture = self._lens, self._picture
        if lens is None or picture is None:
            return None
        wide = self.size.width >= WIDE
        key = (lens.seen, lens.cells, wide, lens.cut)
        if self._frame is None or self._frame[0] != key:
            from pitr_tui.tui.widgets.timeline.frame import View, frame

            view = View(*lens.seen, lens.cells, picture.zone, picture.zone_name, wide)
            self._frame = (key, frame(lens.plot, view, lens.cut, not self._plain))
        return self._frame[1]

    def render_line(self, y: int) -> Strip:
        frame = self._drawn()
        width = self.size.width
        if frame is None:
            text = f"{'wal':<{NAME_CELLS}}{_LOOKING}" if y == 2 and self._picture else ""
            return Strip([Segment(text, self._style("n"))]).adjust_cell_length(
                width, self._style(" ")
            )
        if y >= len(frame.rows):
            return Strip.blank(width, self._style(" "))
        return Strip(self._segments(frame.rows[y], frame)).adjust_cell_length(
            width, self._style(" ")
        )

    def _segments(self, row: Row, frame: Frame) -> list[Segment]:
        found = [Segment(f"{row.name:<{NAME_CELLS}}"[:NAME_CELLS], self._style("n"))]
        looks = [
            (kind, column >= frame.lost, column == frame.cut)
            for column, kind in enumerate(row.kinds)
        ]
        begin = 0
        for look, run in groupby(looks):
            end = begin + sum(1 for _ in run)
            found.append(Segment(row.cells[begin:end], self._style(*look)))
            begin = end
        return found

    def _style(self, kind: str, lost: bool = False, cut: bool = False) -> Style:
        """The style of a kind of cell; of what is lost, and of a mark on the cut."""
        look = (kind, lost, cut)
        if look not in self._styles:
            faded = lost and kind not in "rnxs"
            name = "lost" if faded else _NAMES[kind]
            style = self.rich_style + self.get_component_rich_style(f"timeline--{name}")
            if cut and kind == "a":
                style = self.rich_style + self.get_component_rich_style("timeline--cut")
            elif cut and kind not in "krn":
                style += Style(reverse=True)
            self._styles[look] = style
        return self._styles[look]


_NAMES = {
    " ": "plain",
    "n": "name",
    "r": "ruler",
    "b": "backup",
    "B": "chosen",
    "x": "bad",
    "w": "wal",
    "o": "other-wal",
    "g": "gap",
    "a": "activity",
    "s": "suspect",
    "p": "point",
    "u": "unread",
    "k": "cut",
}

# What a click on a lane looks for; elsewhere it cuts before the first transaction.
_CLICKED = {"suspects": ("suspect", "point"), "marks": ("point",), "backups": ("backup",)}


def _other_story(one: Picture, other: Picture) -> bool:
    """Whether the transactions of two pictures are counted from different places."""
    if one.chronicle is None or other.chronicle is None:
        return False
    return (one.chronicle.start, one.chronicle.timeline) != (
        other.chronicle.start,
        other.chronicle.timeline,
    )
