"""Terminal screens as SVG: small, the same on every machine, and on an exact grid of cells.

Textual's own export repeats its styles, a clip path and a frame for each row; these pictures are
a third of that, take no font from the network, and several screens can share one file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, TypeAlias

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from textual._context import visible_screen_stack
from textual.app import App
from textual.pilot import Pilot

CELL_WIDTH, CELL_HEIGHT, FONT_SIZE, BASELINE = 8.4, 17, 14, 13
MARGIN, CAPTION_HEIGHT = 8, 36
_ANIMATED = ".f{visibility:hidden}#f0{visibility:visible}.said{fill:#fff;font-weight:bold}"
_FONTS = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
# Words with single spaces between them; what lies between two of these is background only.
_WORDS = re.compile(r"[^ \x20]+(?: [^ ]+)*")
# Letters keep together; signs from other fonts are placed one by one, cell by cell.
_RUN = re.compile(r"[\x20-\u024f]+|[^\x20-\u024f]+")

Row: TypeAlias = tuple[Segment, ...]


@dataclass(frozen=True)
class Screen:
    """What a terminal shows: rows of styled text."""

    columns: int
    rows: tuple[Row, ...]
    background: str

    @property
    def width(self) -> float:
        return self.columns * CELL_WIDTH + 2 * MARGIN

    @property
    def height(self) -> float:
        return len(self.rows) * CELL_HEIGHT + 2 * MARGIN


async def still(pilot: Pilot[Any]) -> Screen:
    """What the application shows when every widget was drawn anew.

    A table of Textual's that became wider keeps the width of its rows until then.
    """
    for screen in pilot.app.screen_stack:
        for widget in screen.walk_children(with_self=True):
            widget.refresh()
    await pilot.pause()
    return _screen_of(pilot.app)


def _screen_of(app: App[Any]) -> Screen:
    """What the application shows now, with what lies below a dialog."""
    visible_screen_stack.set(app._background_screens)
    strips = app.screen._compositor.render_strips()
    rows = tuple(tuple(strip.crop(0, app.size.width).simplify()) for strip in strips)
    background = app.screen_stack[0].background_colors[1].rgb
    return Screen(app.size.width, rows, "#{:02x}{:02x}{:02x}".format(*background))


@dataclass
class Styles:
    """The classes of a picture: one for each way in which text looks, named as they come."""

    names: dict[str, str] = field(default_factory=dict)

    def name(self, rule: str) -> str:
        return self.names.setdefault(rule, f"s{len(self.names)}")

    def sheet(self) -> str:
        return "\n".join(f".{name}{{{rule}}}" for rule, name in self.names.items())


@dataclass(frozen=True)
class Frame:
    """A screen of an animated picture, what is said of it, and how long it is shown.

    With a `name` it is a picture of its own as well.
    """

    screen: Screen
    caption: str
    seconds: float
    name: str = ""


def number(value: float, digits: int = 1) -> str:
    """A number without what nobody sees."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".")


def picture(screen: Screen) -> str:
    """One screen as an SVG."""
    styles = Styles()
    drawn = "\n".join(
        f'<g transform="translate(0 {number(place * CELL_HEIGHT)})">{text}</g>'
        for place, row in enumerate(screen.rows)
        if (text := row_text(row, styles, screen.background))
    )
    return document(screen.width, screen.height, styles.sheet(), framed(screen, drawn))


def animated(frames: Sequence[Frame]) -> str:
    """Screens of one size, one after the other and again from the begin, as an SVG.

    A row that is the same in several screens is there once. What cannot play it, or must not
    because the person wants no motion, shows the first screen.
    """
    first, styles, rows = frames[0].screen, Styles(), dict[str, str]()
    drawn = [_frame(frame, place, len(frames), styles, rows) for place, frame in enumerate(frames)]
    total = sum(frame.seconds for frame in frames)
    rules, begin = [styles.sheet(), _ANIMATED], 0.0
    rules.append("@media (prefers-reduced-motion:no-preference){")
    for place, frame in enumerate(frames):
        end = begin + frame.seconds
        hidden = "0%{visibility:hidden}" if begin else ""
        seen, gone = (number(100 * at / total, 3) for at in (begin, end))
        steps = f"{hidden}{seen}%{{visibility:visible}}{gone}%{{visibility:hidden}}"
        rules.append(f"@keyframes k{place}{{{steps}}}")
        rules.append(f"#f{place}{{animation:k{place} {number(total)}s step-end infinite}}")
        begin = end
    rules.append("}")
    kept = "\n".join(f'<g id="{name}">{text}</g>' for text, name in rows.items())
    width, height = first.width, first.height + CAPTION_HEIGHT
    card = _card(width, height, "#2b2b2b")
    body = "\n".join((f"<defs>\n{kept}\n</defs>", card, *drawn))
    return document(width, height, "\n".join(rules), body)


def _frame(frame: Frame, place: int, count: int, styles: Styles, rows: dict[str, str]) -> str:
    """A screen with its caption, and a mark for each screen of which this one's is bright."""
    screen, uses = frame.screen, list[str]()
    for line, row in enumerate(screen.rows):
        if text := row_text(row, styles, screen.background):
            name = rows.setdefault(text, f"r{len(rows)}")
            uses.append(f'<use href="#{name}" y="{number(line * CELL_HEIGHT)}"/>')
    y, step = screen.height + CAPTION_HEIGHT - 10, (screen.width - 2 * MARGIN) / count
    marks = "".join(
        f'<rect x="{number(MARGIN + one * step)}" y="{number(y)}" width="{number(step - 4)}"'
        f' height="3" fill="{"#0178d4" if one <= place else "#666"}"/>'
        for one in range(count)
    )
    said = escape(frame.caption, quote=False)
    words = f'<text class="said" x="{2 * MARGIN}" y="{number(screen.height + 19)}">{said}</text>'
    return f'<g id="f{place}" class="f">\n{framed(screen, "".join(uses))}\n{words}{marks}\n</g>'


def framed(screen: Screen, drawn: str) -> str:
    """The rows of a screen on its background."""
    card = _card(screen.width, screen.height, screen.background)
    return f'{card}\n<g transform="translate({MARGIN} {MARGIN})">\n{drawn}\n</g>'


def _card(width: float, height: float, colour: str) -> str:
    return f'<rect width="{number(width)}" height="{number(height)}" rx="6" fill="{colour}"/>'


def document(width: float, height: float, sheet: str, body: str) -> str:
    """An SVG file of this size."""
    box = f"{number(width)} {number(height)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {box}">\n<style>\n'
        f"text{{font:{FONT_SIZE}px {_FONTS};font-variant-ligatures:none;white-space:pre}}\n"
        f"{sheet}\n</style>\n{body}\n</svg>\n"
    )


def row_text(row: Row, styles: Styles, background: str) -> str:
    """The backgrounds of a row, then its texts."""
    return "".join((*_backgrounds(row, background), *_texts(row, styles)))


def _backgrounds(row: Row, background: str) -> Iterator[str]:
    cell, runs = 0, list[tuple[str, int, int]]()
    for text, style, _ in row:
        width, colour = cell_len(text), _colours(style)[1]
        if runs and runs[-1][0] == colour:
            runs[-1] = (colour, runs[-1][1], runs[-1][2] + width)
        else:
            runs.append((colour, cell, width))
        cell += width
    for colour, start, width in runs:
        if colour and colour != background:
            x, wide = number(start * CELL_WIDTH), number(width * CELL_WIDTH)
            # A little higher than a row, so that no seam is seen between two of them.
            yield f'<rect x="{x}" width="{wide}" height="{CELL_HEIGHT + 0.3}" fill="{colour}"/>'


def _texts(row: Row, styles: Styles) -> Iterator[str]:
    cell = 0
    for text, style, _ in row:
        name = styles.name(_rule(style)) if text.strip() else ""
        for words in _WORDS.finditer(text):
            for run in _RUN.finditer(words[0]):
                before = cell_len(text[: words.start() + run.start()])
                yield _text(run[0], cell + before, name)
        cell += cell_len(text)


def _text(text: str, cell: int, name: str) -> str:
    bare = text.strip()
    start = (cell + len(text) - len(text.lstrip())) * CELL_WIDTH
    width = cell_len(bare)
    at = f'x="{number(start)}" y="{BASELINE}"'
    if width > 1 and ord(bare[0]) > 0x24F:  # each sign stands in its own cell
        places = " ".join(number(start + place * CELL_WIDTH) for place in _cells(bare))
        at = f'x="{places}" y="{BASELINE}"'
    elif width > 1:
        at += f' textLength="{number(width * CELL_WIDTH)}"'
    return f'<text class="{name}" {at}>{escape(bare, quote=False)}</text>' if bare else ""


def _cells(text: str) -> Sequence[int]:
    return [cell_len(text[:place]) for place in range(len(text))]


def _colours(style: Style | None) -> tuple[str, str]:
    """Foreground and background; the latter is empty where there is none."""
    style = style or Style()
    front = _hex(style.color, foreground=True)
    back = _hex(style.bgcolor, foreground=False) if style.bgcolor else ""
    return (back, front) if style.reverse else (front, back)


def _hex(colour: Color | None, *, foreground: bool) -> str:
    found = (colour or Color.default()).get_truecolor(DIMMED_MONOKAI, foreground)
    return found.hex


def _rule(style: Style | None) -> str:
    rule = f"fill:{_colours(style)[0]}"
    for wanted, words in (
        (style and style.bold, "font-weight:bold"),
        (style and style.italic, "font-style:italic"),
        (style and style.underline, "text-decoration:underline"),
        (style and style.strike, "text-decoration:line-through"),
        (style and style.dim, "opacity:.6"),
    ):
        rule += f";{words}" if wanted else ""
    return rule
