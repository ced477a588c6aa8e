"""The lines of a server log on the screen: only the visible ones are ever drawn.

A log arrives faster than a screen can be laid out. So lines are kept as text, a row becomes a
strip when it is looked at, following the end needs no scrolling at all, and the scrollbar
learns of new lines twice a second (a change of the virtual size costs a whole layout).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pitr_tui.postgres.logline import ObservationKind as Kind
from pitr_tui.postgres.logline import observe, parse_line
from pitr_tui.tui.widgets.log_line import LONGEST, REMARKS, gravity_class, shown, split
from pitr_tui.tui.widgets.log_rows import LogRows

_BAR_EVERY = 0.5
_SIDEWAYS = 8
_CATCH_UP_EVERY = 0.005


class LogView(ScrollView, can_focus=True):
    """Rows of a log with a cursor. It follows the end until somebody looks back.

    `cursor` is the number of a line, or None while following.
    """

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False  # the pane around it is what fills the screen
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time",
        "log--bad",
        "log--warning",
        "log--plain",
        "log--noise",
        "log--cursor",
    }
    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        .log--time, .log--noise { color: $text-muted; }
        .log--bad { color: $text-error; }
        .log--warning { color: $text-warning; }
        .log--plain { color: $foreground; }
        .log--cursor { background: $boost; }
        &:focus .log--cursor { background: $primary-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Line up", show=False),
        Binding("down,j", "move(1)", "Line down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("home,g", "top", "First line", show=False),
        Binding("end,G", "follow", "Follow the end", show=False),
        Binding("left,h", "sideways(-1)", "Left", show=False),
        Binding("right,l", "sideways(1)", "Right", show=False),
        Binding("enter", "toggle_fold", "Unfold", show=False),
        Binding("space", "toggle_follow", "Hold or follow", show=False),
        Binding("t", "toggle_whole", "Whole lines", show=False, tooltip="Date, zone and process"),
    ]

    following = var(True)
    whole = var(False)

    @dataclass
    class Changed(Message):
        """What the view shows, or how, is different now."""

        view: LogView

    def __init__(self, limit: int = 200_000) -> None:
        super().__init__()
        self.rows = LogRows(limit)
        self.cursor: int | None = None
        self._left = 0
        self._bar_at = 0.0
        self._bar_waits = False
        self._catching_up = False
        self._placing = False
        self._strips: LRUCache[tuple[int, int], tuple[Strip, Strip]] = LRUCache(1_000)
        self._base: Style | None = None

    # What comes in.

    def write(self, lines: Sequence[str]) -> None:
        """Show more lines at the end."""
        lost = self.rows.add(lines)
        if self.cursor is not None:
            self.cursor = max(self.cursor, self.rows.skipped)
        behind = not self._catching_up and self.rows.arrange()
        if lost and not self.following:
            self._scroll_rows(self.scroll_offset.y - lost)
        self._refreshed()
        if behind:
            self._catch_up()

    def search(self, needle: str) -> None:
        """Show only the lines that have this text in them; "" shows all again."""
        self.rows.search(needle)
        self._strips.clear()
        if not self._catching_up:
            self._catch_up()

    def _catch_up(self) -> None:
        """Make rows in portions, so that keys are answered in between."""
        self._catching_up = self.rows.arrange()
        self._refreshed()
        if self._catching_up:
            self.set_timer(_CATCH_UP_EVERY, self._catch_up)
        elif not self.following:
            self._show_cursor()

    def _refreshed(self) -> None:
        now = time.monotonic()
        if now - self._bar_at >= _BAR_EVERY or len(self.rows) <= self.size.height:
            self._place_bar()
        elif not self._bar_waits:
            self._bar_waits = True
            self.set_timer(self._bar_at + _BAR_EVERY - now, self._place_bar)
        self.refresh()
        self.post_message(self.Changed(self))

    def _place_bar(self) -> None:
        """Tell the scrollbar how many rows there are, and where we are when following."""
        self._bar_waits = False
        self._bar_at = time.monotonic()
        self._placing = True
        self.virtual_size = Size(self.size.width, len(self.rows))
        if self.following:
            self.scroll_y = self.max_scroll_y
            self.scroll_target_y = self.scroll_y
        self._placing = False

    def clear(self) -> None:
        """Forget everything, for the log of another run."""
        self.rows = LogRows(self.rows.limit)
        self._strips.clear()
        self.following = True
        self.cursor = None
        self._place_bar()
        self.refresh()
        self.post_message(self.Changed(self))

    # Where one is.

    @property
    def top_row(self) -> int:
        """The first row on the screen; when following, counted from the end."""
        if self.following:
            return max(0, len(self.rows) - self.size.height)
        return self.scroll_offset.y

    @property
    def current_line(self) -> int | None:
        """The line of the cursor, or the last one shown; None when there is none."""
        if not len(self.rows):
            return None
        if self.cursor is not None:
            return self.rows.span(self.rows.row_of(self.cursor))[0]
        start, count = self.rows.span(len(self.rows) - 1)
        return start + count - 1

    @property
    def below(self) -> int:
        """How many rows lie below the screen."""
        return max(0, len(self.rows) - self.top_row - self.size.height)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """The wheel and the scrollbar hold the view, and let it go again at the end."""
        if not self._placing and round(old_value) != round(new_value):
            at_end = new_value >= self.max_scroll_y and len(self.rows) == self.virtual_size.height
            if not at_end:
                self.following = False
            elif self.cursor is None:
                self.following = True
        super().watch_scroll_y(old_value, new_value)

    def watch_following(self, following: bool) -> None:
        if following:
            self.cursor = None
        self._strips.clear()
        if self.is_mounted:
            self._place_bar()
            self.refresh()
            self.post_message(self.Changed(self))

    def watch_whole(self) -> None:
        self._strips.clear()
        self.refresh()

    def hold(self) -> None:
        """Stop following, without the screen moving."""
        if self.following:
            top = self.top_row
            self.following = False
            self._scroll_rows(top)

    def _scroll_rows(self, top: int) -> None:
        self._place_bar()
        self._placing = True
        self.scroll_y = min(max(0, top), self.max_scroll_y)
        self.scroll_target_y = self.scroll_y
        self._placing = False

    def _go_to(self, row: int) -> None:
        if not len(self.rows):
            return
        self.hold()
        self.cursor = self.rows.span(min(max(0, row), len(self.rows) - 1))[0]
        self._show_cursor()

    def _show_cursor(self) -> None:
        if self.cursor is not None and len(self.rows):
            row, height = self.rows.row_of(self.cursor), max(1, self.size.height)
            top = min(self.top_row, row)
            self._scroll_rows(max(top, row - height + 1))
        self.refresh()
        self.post_message(self.Changed(self))

    @property
    def _cursor_row(self) -> int:
        if self.cursor is None:
            return min(len(self.rows), self.top_row + self.size.height) - 1
        return self.rows.row_of(self.cursor)

    # Keys and the mouse.

    def action_move(self, rows: int) -> None:
        at_end = self.following and rows > 0
        if not at_end:
            self._go_to(self._cursor_row + rows)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - 1))

    def action_top(self) -> None:
        self._go_to(0)

    def action_follow(self) -> None:
        self.following = True

    def action_toggle_follow(self) -> None:
        if self.following:
            self.hold()
        else:
            self.following = True

    def action_sideways(self, steps: int) -> None:
        self._left = min(LONGEST, max(0, self._left + steps * _SIDEWAYS))
        self.refresh()

    def action_toggle_whole(self) -> None:
        self.whole = not self.whole

    def action_toggle_fold(self) -> None:
        row = self._cursor_row
        line = self.rows.span(row)[0]
        self.hold()
        self.rows.toggle(row)
        self.cursor = self.rows.span(self.rows.row_of(line))[0]
        self._strips.clear()
        self._show_cursor()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter belongs to the step unless the cursor is on something to unfold."""
        if action == "toggle_fold":
            return self.cursor is not None and self.rows.can_toggle(self._cursor_row)
        return True

    def on_click(self, event: events.Click) -> None:
        row = self.top_row + event.y
        if row < len(self.rows):
            self._go_to(row)
            if event.chain == 2 and self.rows.can_toggle(row):
                self.action_toggle_fold()

    # How it looks.

    def notify_style_update(self) -> None:
        self._strips.clear()
        self._base = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        row, width = self.top_row + y, self.scrollable_content_region.width
        base = self._base = self._base or self.rich_style  # working it out takes 0.1 ms
        if row >= len(self.rows):
            return Strip.blank(width, base)
        start, count = self.rows.span(row)
        pair = self._strips.get((start, count))
        if pair is None:
            pair = self._strips[start, count] = self._draw(row, start, base)
        text, remark = pair
        room = width - remark.cell_length
        if text.cell_length > self._left + room:  # say that the line goes on
            text = Strip.join([text.crop(0, self._left + room - 1), Strip([Segment("…", base)])])
        strip = Strip.join([text.crop_extend(self._left, self._left + room, base), remark])
        if self.cursor is not None and row == self._cursor_row:
            style = self.get_component_rich_style("log--cursor", partial=True)
            strip = Strip([Segment(s.text, (s.style or Style()) + style) for s in strip], width)
        return strip

    def _draw(self, row: int, start: int, base: Style) -> tuple[Strip, Strip]:
        """A row's text, and what is remarked on it at the right edge."""
        line = parse_line(self.rows.line(start)[: LONGEST + 1])
        fold = self.rows.fold(row)
        seen = None if fold else observe(line)
        when, said = split(line, self.whole)
        said_class = "log--plain" if fold else gravity_class(line, seen)
        remark = "  ⏎ unfold " if fold else REMARKS.get(seen.kind, "") if seen else ""
        early = seen is not None and seen.kind is Kind.READ_ONLY_OPEN
        return (
            self._strip(base, (when, "log--time"), (fold or said, said_class)),
            self._strip(base, (remark, "log--warning" if early else "log--time")),
        )

    def _strip(self, base: Style, *parts: tuple[str, str]) -> Strip:
        styled = [Segment(shown(t), self.get_component_rich_style(c)) for t, c in parts if t]
        return Strip(styled).apply_style(base)
