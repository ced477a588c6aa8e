"""Questions and texts over the wizard. A dialog is a typed function: shown, it gives a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, ScrollableContainer, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.tui.widgets.diff import diff_content

if TYPE_CHECKING:
    from textual.binding import ActiveBinding

_SCROLL: list[BindingType] = [
    Binding("up,k", "scroll(-1)", "Up", show=False),
    Binding("down,j", "scroll(1)", "Down", show=False),
    Binding("pageup", "scroll(-10)", "Page up", show=False),
    Binding("pagedown", "scroll(10)", "Page down", show=False),
]


class ConfirmDialog(ModalScreen[bool]):
    """Names what will be changed and waits for a yes. Cancel has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "Cancel"),
        Binding("left", "app.focus_previous", "Other button", show=False),
        Binding("right", "app.focus_next", "Other button", show=False),
        *_SCROLL,
    ]

    def __init__(self, title: str, text: str, confirm: str, diff: str = "") -> None:
        super().__init__()
        self._title, self._text, self._confirm, self._diff = title, text, confirm, diff

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(literal(self._title), classes="dialog-title")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(literal(self._text))
                if self._diff:
                    yield Static(diff_content(self._diff), classes="dialog-diff")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(literal(self._confirm), id="confirm", variant="primary", compact=True)
                yield Static("←→ choose  enter", markup=False, classes="dialog-keys")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "confirm")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_scroll(self, rows: int) -> None:
        self.query_one(".dialog-body").scroll_relative(y=rows, animate=False)


class TextDialog(ModalScreen[None]):
    """A text to be read, scrolled by key; escape, enter and q close it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,f1", "close", "Close"),
        *_SCROLL,
    ]

    def __init__(self, title: str, content: Content) -> None:
        super().__init__()
        self._title, self._content = title, content

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static(literal(self._title), classes="dialog-title")
            with VerticalScroll(classes="dialog-body"):
                yield Static(self._content)
            yield Static("↑↓ scroll   esc close", markup=False, classes="dialog-keys")

    def on_mount(self) -> None:
        self.query_one(".dialog-body").focus()

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, rows: int) -> None:
        self.query_one(".dialog-body").scroll_relative(y=rows, animate=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with what is below it; each block has the class that says how it is set."""

    heading: str
    blocks: tuple[tuple[str, Content], ...]


class PartsDialog(ModalScreen[None]):
    """A text in parts, read from the top or from part to part."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,f1,question_mark", "close", "Close"),
        Binding("tab,n", "part(1)", "Next part", show=False),
        Binding("shift+tab,p", "part(-1)", "Part before", show=False),
        Binding("home", "end(False)", "Begin", show=False),
        Binding("end", "end(True)", "End", show=False),
        *_SCROLL,
    ]
    keys_line = "↑↓ scroll   tab next part   esc close"

    def __init__(self, title: str, parts: Sequence[Part]) -> None:
        super().__init__()
        self._title, self._parts = title, tuple(parts)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            yield Static(literal(self._title), classes="dialog-title")
            with VerticalScroll(classes="dialog-body"):
                yield from self.widgets()
            yield Static(self.keys_line, markup=False, classes="dialog-keys")

    def widgets(self) -> Iterator[Static]:
        """The parts, below one another."""
        for part in self._parts:
            yield Static(literal(part.heading), classes="part-heading")
            for kind, content in part.blocks:
                yield Static(content, classes=kind)

    def on_mount(self) -> None:
        self._body.focus()

    @property
    def _body(self) -> VerticalScroll:
        return self.query_one(".dialog-body", VerticalScroll)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, rows: int) -> None:
        self._body.scroll_relative(y=rows, animate=False)

    def action_end(self, last: bool) -> None:
        body = self._body
        body.scroll_to(y=body.max_scroll_y if last else 0, animate=False)

    def action_part(self, direction: int) -> None:
        """Have the next heading at the top, or the one before."""
        body = self._body
        rows = [one.virtual_region.y for one in self.query(".part-heading")]
        here = round(body.scroll_y)
        if direction > 0:
            goal = next((row for row in rows if row > here), None)
        else:
            goal = next((row for row in reversed(rows) if row < here), 0)
        if goal is not None:
            body.scroll_to(y=goal, animate=False)


class HelpDialog(PartsDialog):
    """What a screen shows, and the keys that hold right now."""

    def __init__(self, title: str, text: str, keys: list[tuple[str, str]]) -> None:
        paragraphs = [" ".join(one.split()) for one in text.strip().split("\n\n")]
        super().__init__(
            f"Help: {title}", (Part("What this is", prose(paragraphs)), keys_part(keys))
        )


def prose(paragraphs: Iterable[str]) -> tuple[tuple[str, Content], ...]:
    """Paragraphs as blocks of a part."""
    return tuple(("part-prose", literal(one)) for one in paragraphs)


def keys_part(keys: list[tuple[str, str]]) -> Part:
    """The keys with what they do."""
    width = max((len(key) for key, _ in keys), default=0) + 2
    rows = (assemble((f"{key:<{width}}", "$text-accent"), words) for key, words in keys)
    return Part("Keys", (("part-prose", lines(*rows)),))


class CrashDialog(TextDialog):
    """An exception nobody foresaw: told as it is, so that it can be reported."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__(
            "Something unforeseen happened",
            lines(
                assemble(("✗ ", "bold $text-error"), (type(error).__name__, "bold $text-error")),
                literal(str(error)),
                literal(""),
                literal(f"It happened in: {where}."),
                literal("This is a mistake in pitr, not in your data. Nothing else was stopped;"),
                literal("you can go on, or try the same again. Please report it."),
            ),
        )


def keys_of(active: Mapping[str, ActiveBinding]) -> list[tuple[str, str]]:
    """The keys that hold right now with what they do, steps summed up in one line."""
    rows: dict[tuple[str, str], list[str]] = {}
    for key, bound in active.items():
        binding = bound.binding
        if binding.action.startswith("step(") or binding.system or not binding.description:
            continue
        if binding in ScrollableContainer.BINDINGS:
            continue  # everybody's
        words = binding.description
        if binding.tooltip:
            words += f": {binding.tooltip}"
        rows.setdefault((binding.action, words), []).append(_shown(key))
    found = [(", ".join(keys), words) for (_, words), keys in rows.items()]
    return [*found, ("1 … 7", "Go to a step that can be entered")]


def _shown(key: str) -> str:
    return {"question_mark": "?", "colon": ":", "escape": "esc"}.get(key, key)
