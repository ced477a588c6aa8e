"""The verdict over a plan with the ways out of it, and the plan in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from pitr_tui.recovery.checks import Judgement
from pitr_tui.tui.literal import Part, assemble, literal
from pitr_tui.tui.screens.checked import verdict_content
from pitr_tui.tui.widgets.facts import Fact, Facts

THERE = "● it stands there already: replay goes on from there to later targets only"


class VerdictBlock(Vertical):
    """What the check step begins with."""

    DEFAULT_CSS = "VerdictBlock { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, classes="verdict", id="verdict")
        yield Static("", markup=False, classes="ways-out", id="ways-out")
        yield Facts(id="summary")

    def tell(self, words: str, style: str) -> None:
        """One sentence in place of a verdict."""
        self.query_one("#verdict", Static).update(literal(words, style))
        self.offer(())

    def judge(self, judgement: Judgement) -> None:
        self.query_one("#verdict", Static).update(verdict_content(judgement))

    def offer(self, ways_out: Iterable[tuple[str, str]]) -> None:
        """Keys and what they do."""
        ways = self.query_one("#ways-out", Static)
        parts = [part for key, words in ways_out for part in _way_out(key, words)]
        ways.update(assemble(*parts))
        ways.display = bool(parts)

    def sum_up(self, facts: Sequence[Fact]) -> None:
        self.query_one("#summary", Facts).show(facts)


def _way_out(key: str, words: str) -> tuple[Part, ...]:
    return ((f" {key} ", "reverse"), (f" {words}", "bold"), "   ")
