"""A list of any length with a cursor: a row becomes a strip when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pitr_tui.postgres.quote import visible

Cell = tuple[str, str]  # a text, and which kind of text it is: plain, muted, strong, bad ...
_CURSOR = "▸"


class Rows(Protocol):
    """What a list shows: how many rows, and each one when it is asked for."""

    def __len__(self) -> int: ...

    def row(self, number: int, width: int) -> list[Cell]:
        """The texts of a row, which may be longer than the width."""


class NoRows:
    """A list of nothing."""

    def __len__(self) -> int:
        return 0

    def row(self, number: int, width: int) -> list[Cell]:
        return []


class VirtualList(ScrollView, can_focus=True):
    """Shows `Rows`. Enter is left to the step around it."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "list--plain",
        "list--muted",
        "list--strong",
        "list--bad",
        "list--warning",
        "list--good",
        "list--cursor",
    }
    DEFAULT_CSS = """
    VirtualList {
        height: 1fr;
        min-height: 2;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        .list--plain { color: $foreground; }
        .list--muted { color: $text-muted; }
        .list--strong { color: $text-primary; text-style: bold; }
        .list--bad { color: $text-error; text-style: bold; }
        .list--warning { color: $text-warning; }
        .list--good { color: $text-success; }
        .list--cursor { background: $boost; }
        &:focus .list--cursor { background: $primary-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Row up", show=False),
        Binding("down,j", "move(1)", "Row down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("home,g", "go(0)", "First row", show=False),
        Binding("end,G", "go(-1)", "Last row", show=False),
    ]

    @dataclass
    class Moved(Message):
        """The person has moved the cursor to a row."""

        list: VirtualList
        row: int

    @dataclass
    class Pressed(Message):
        """The person has clicked the row of the cursor again."""

        list: VirtualList
        row: int

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: Rows = NoRows()
        self.cursor: int | None = None
        self._strips: LRUCache[tuple[int, int], Strip] = LRUCache(500)
        self._base: Style | None = None

    def show(self, rows: Rows, cursor: int | None = None) -> None:
        """Show these rows with the cursor on one of them; posts nothing."""
        self.rows = rows
        self._strips.clear()
        self.virtual_size = Size(self.size.width, len(rows))
        self.put(cursor)

    def put(self, cursor: int | None) -> None:
        """Have the cursor on a row, or on none; posts nothing."""
        last = len(self.rows) - 1
        self.cursor = None if cursor is None or last < 0 else min(max(0, cursor), last)
        self._keep_in_sight()
        self.refresh()

    def _keep_in_sight(self) -> None:
        if self.cursor is None or not self.size.height:
            return
        top, height = self.scroll_offset.y, self.size.height
        if self.cursor < top:
            self._scroll_rows(self.cursor)
        elif self.cursor >= top + height:
            self._scroll_rows(self.cursor - height + 1)

    def _scroll_rows(self, top: int) -> None:
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.rows))
        self._strips.clear()
        self._keep_in_sight()

    # Keys and the mouse.

    def action_move(self, rows: int) -> None:
        if self.cursor is None:
            self._go(self.scroll_offset.y)
        else:
            self._go(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 1))

    def action_go(self, row: int) -> None:
        self._go(row if row >= 0 else len(self.rows) - 1)

    def _go(self, row: int) -> None:
        before = self.cursor
        self.put(row)
        if self.cursor is not None and self.cursor != before:
            self.post_message(self.Moved(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y
        if row >= len(self.rows):
            return
        if row == self.cursor and event.chain == 2:
            self.post_message(self.Pressed(self, row))
        else:
            self._go(row)

    # How it looks.

    def notify_style_update(self) -> None:
        self._strips.clear()
        self._base = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        row, width = self.scroll_offset.y + y, self.scrollable_content_region.width
        base = self._base = self._base or self.rich_style
        if row >= len(self.rows):
            return Strip.blank(width, base)
        strip = self._strips.get((row, width))
        if strip is None:
            strip = self._strips[row, width] = self._draw(row, width, base)
        if row != self.cursor:
            return strip
        style = self.get_component_rich_style("list--cursor", partial=True)
        marked = Strip.join([Strip([Segment(_CURSOR, base)]), strip.crop(len(_CURSOR), width)])
        return Strip([Segment(s.text, (s.style or Style()) + style) for s in marked], width)

    def _draw(self, row: int, width: int, base: Style) -> Strip:
        cells = [(" " * len(_CURSOR), "plain"), *self.rows.row(row, width - len(_CURSOR))]
        strip = Strip(
            Segment(visible(text), self.get_component_rich_style(f"list--{kind}"))
            for text, kind in cells
            if text
        ).apply_style(base)
        if strip.cell_length > width:
            strip = Strip.join([strip.crop(0, width - 1), Strip([Segment("…", base)])])
        return strip.crop_extend(0, width, base)
