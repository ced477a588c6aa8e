"""The coach: a strip of few lines for who practises. It says what the step is for in this lab."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from pitr_tui.tui.literal import assemble, lines, literal

WIDE, TALL = 120, 34
_KEYS = (("H", "hints"), ("S", "score"), ("C", "hide"))
_BESIDE = 2  # cells of padding


@dataclass(frozen=True, slots=True)
class Coached:
    """What the coach knows at a moment. `marks` is the last score."""

    title: str
    story: str
    advice: str
    minutes: int
    hints: int
    of: int
    hint: str = ""
    marks: int | None = None
    can_score: bool = False


def coach_content(told: Coached, width: int, height: int) -> Content:
    """Three lines at most on a small screen; with the story where there is room."""
    room = max(20, width - _BESIDE)
    roomy = width >= WIDE and height >= TALL
    rows = [_head(told, room)]
    if roomy and told.story:
        rows += [literal(line, "$text-muted") for line in _fitted(told.story, room, 2)]
    least = 2 if roomy or not told.hint else 1
    rows += [literal(line) for line in _fitted(told.advice, room, least)]
    if told.hint:
        name = f"hint {told.hints}: "
        first, *more = _fitted(name + told.hint, room, 3 if roomy else 1)
        rows.append(assemble((first[: len(name)], "$text-accent"), first[len(name) :]))
        rows += [literal(line) for line in more]
    return lines(*rows)


def _head(told: Coached, room: int) -> Content:
    """Where one stands, and at the end of the line the keys."""
    stands = [f"{told.minutes} min", f"hints {told.hints} of {told.of}"]
    if told.marks is not None:
        stands.append(f"{told.marks} marks")
    left = f"lab {told.title}"
    facts = "".join(f" · {one}" for one in stands)
    keys = Content("  ").join(
        assemble(
            (f" {key} ", "bold reverse")
            if key == "S" and told.can_score
            else (key, "bold $text-accent"),
            f" {word}",
        )
        for key, word in _KEYS
    )
    space = room - len(facts) - keys.cell_length - 1
    if len(left) > space:
        left = left[: max(0, space - 1)] + "…"
    gap = " " * max(1, space - len(left) + 1)
    return assemble((left, "bold"), (facts, "$text-muted"), gap, keys)


def _fitted(text: str, room: int, most: int) -> list[str]:
    """A text in so many lines at most, the rest of it cut off with a sign."""
    return textwrap.wrap(text, room, max_lines=most, placeholder=" …") or [""]


class CoachPanel(Static):
    """Hidden where nobody practises."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="coach")
        self.display = False
        self._shown: Content | None = None

    def show(self, told: Coached | None) -> None:
        """Tell this, or nothing; the layout is done anew when the number of lines changes."""
        self.display = told is not None
        if told is None:
            self._shown = None
            return
        content = coach_content(told, self.app.size.width, self.app.size.height)
        before = self._shown
        if before is not None and content.is_same(before):
            return
        self._shown = content
        grown = before is None or content.plain.count("\n") != before.plain.count("\n")
        self.update(content, layout=grown)
