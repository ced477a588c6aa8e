"""The live log with what one needs around it: state, filter, and what a line means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from pitr_tui.postgres.logline import LogLine, Observation, Severity, explain, observe, parse_line
from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.tui.widgets.log_view import LogView
from pitr_tui.wording import count_text

_BELONGS_TO_BEFORE = (Severity.DETAIL, Severity.HINT, Severity.CONTEXT, Severity.STATEMENT)
_LOOK_BACK = 12


class LogPane(Vertical):
    """A log that is fed with `write`. What it cannot keep any more is still in the journal."""

    ALLOW_MAXIMIZE = True
    DEFAULT_CSS = """
    LogPane {
        height: 1fr;
        .log-rule { height: 1; color: $text-muted; }
        .log-filter { height: 1; border: none; padding: 0; background: $boost; }
        .log-meaning { height: auto; max-height: 6; padding: 0 1; background: $boost; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,ctrl+f", "filter", "Filter", tooltip="Show only lines with a text"),
        Binding("e,f5", "explain", "Explain", tooltip="What this line means"),
        Binding("f,f6", "zoom", "Full screen", show=False, tooltip="The log alone, and back"),
        Binding("c,f7", "copy_line", "Copy line", show=False),
        Binding("escape", "clear", "Clear", show=False),
    ]

    def __init__(self, limit: int = 200_000) -> None:
        super().__init__()
        self._view = LogView(limit)

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, classes="log-rule")
        yield self._view
        meaning = Static("", markup=False, classes="log-meaning")
        meaning.display = False
        yield meaning
        needle = Input(placeholder="only lines with…  esc shows all", classes="log-filter")
        needle.display = False
        yield needle

    @property
    def view(self) -> LogView:
        return self._view

    def write(self, new: Sequence[str]) -> None:
        """Add lines at the end."""
        self._view.write(new)

    def on_resize(self) -> None:
        self._draw_rule()

    @on(LogView.Changed)
    def _draw_rule(self) -> None:
        """The line above the log: a ruler that tells how one is looking at it."""
        view = self._view
        rows = view.rows
        state = "following · space holds" if view.following else "view held · end follows again"
        if not view.following and view.below:
            state = f"view held, {count_text(view.below, 'line')} below · end follows again"
        if rows.needle:
            state = f"{count_text(len(rows), 'line')} with “{rows.needle}” · {state}"
        if rows.skipped:
            state = f"… {count_text(rows.skipped, 'line')} skipped, the journal has them · {state}"
        room = max(0, self.size.width - len(state) - 8)
        rule = literal(f"── log {'─' * room} {state}")
        self.query_one(".log-rule", Static).update(rule, layout=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is ours only while there is something to clear."""
        if action == "clear":
            return self._has_something_open()
        return True

    def action_filter(self) -> None:
        needle = self.query_one(Input)
        needle.display = True
        needle.focus()

    def action_clear(self) -> None:
        """Close what is open: the explanation, the filter, the full screen; one at a time."""
        meaning, needle = self.query_one(".log-meaning", Static), self.query_one(Input)
        if meaning.display:
            meaning.display = False
        elif needle.display:
            needle.display = False
            needle.value = ""
            self._view.focus()
        elif self.screen.maximized is self:
            self.screen.minimize()

    def action_explain(self) -> None:
        """Say what the line of the cursor means, or the one that it belongs to."""
        number = self._view.current_line
        if number is None:
            return
        line, seen = self._meaning(number)
        said = explain(seen) if seen else "This line means nothing for the recovery."
        meaning = self.query_one(".log-meaning", Static)
        meaning.update(
            lines(literal(line.text, "$foreground-muted"), assemble(("? ", "bold"), said))
        )
        meaning.display = True

    def action_zoom(self) -> None:
        if self.screen.maximized is self:
            self.screen.minimize()
        else:
            self.screen.maximize(self, container=False)

    def action_copy_line(self) -> None:
        number = self._view.current_line
        if number is not None:
            self.app.copy_to_clipboard(self._view.rows.line(number))
            self.notify("The line is in the clipboard.", markup=False)

    @on(Input.Changed, ".log-filter")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self._view.search(event.value)

    @on(Input.Submitted, ".log-filter")
    def _keep_filter(self, event: Input.Submitted) -> None:
        event.stop()
        self._view.focus()

    def _has_something_open(self) -> bool:
        if not self.is_mounted:
            return False
        meaning, needle = self.query_one(".log-meaning"), self.query_one(Input)
        return meaning.display or needle.display or self.screen.maximized is self

    def _meaning(self, number: int) -> tuple[LogLine, Observation | None]:
        rows = self._view.rows
        line = parse_line(rows.line(number))
        seen = observe(line)
        first = max(rows.skipped, number - _LOOK_BACK)
        while (
            seen is None
            and number > first
            and (line.is_continuation or line.severity in _BELONGS_TO_BEFORE)
        ):
            number -= 1
            line = parse_line(rows.line(number))
            seen = observe(line)
        return line, seen
