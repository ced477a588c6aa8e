"""Named facts below one another, and checks, which are facts with a sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.tui.literal import Part, assemble

SIGNS = {Status.OK: "✓", Status.NOTE: "·", Status.WARNING: "!", Status.FAILURE: "✗"}
STYLES = {
    Status.OK: "$text-success",
    Status.NOTE: "$text-accent",
    Status.WARNING: "$text-warning",
    Status.FAILURE: "bold $text-error",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A name with its value. `note` follows it, muted; `status` puts a sign before it.

    `hint` says on a line of its own what to try.
    """

    name: str
    value: str
    note: str = ""
    status: Status | None = None
    hint: str = ""


def check_fact(check: CheckDone) -> Fact:
    """A check as a row: what was seen, and the hint where it did not come out well."""
    hint = check.hint if check.status is not Status.OK else ""
    return Fact(check.name, check.evidence, status=check.status, hint=hint)


class FactRow(Horizontal):
    """One fact; long values wrap in their own column."""

    def __init__(self, fact: Fact) -> None:
        super().__init__(classes="fact")
        self._fact = fact

    def compose(self) -> ComposeResult:
        yield Static(self._name_content(), classes="fact-name")
        yield Static(self._value_content(), classes="fact-value")

    def show(self, fact: Fact) -> None:
        """Draw another fact in this row."""
        if fact == self._fact:
            return
        self._fact = fact
        for part in self.query(".fact-name").results(Static):
            part.update(self._name_content())
        for part in self.query(".fact-value").results(Static):
            part.update(self._value_content())

    def _name_content(self) -> Content:
        status = self._fact.status
        if status is None or status is Status.OK:
            sign: Part = ("✓ ", STYLES[Status.OK]) if status else "  "
            return assemble(sign, (self._fact.name, "$foreground-muted"))
        return assemble((f"{SIGNS[status]} {self._fact.name}", STYLES[status]))

    def _value_content(self) -> Content:
        note = (f"  {self._fact.note}", "$foreground-muted") if self._fact.note else ""
        hint = assemble(("\ntry: ", "bold"), self._fact.hint) if self._fact.hint else ""
        return assemble(self._fact.value, note, hint)


class Facts(Vertical):
    """Rows that are reused when the facts are shown again."""

    def __init__(self, id: str | None = None, classes: str = "") -> None:
        super().__init__(id=id, classes=f"facts {classes}")
        self._rows: list[FactRow] = []  # those in the tree may be on their way out

    def show(self, facts: Sequence[Fact]) -> None:
        """Show exactly these facts."""
        kept, left = self._rows[: len(facts)], self._rows[len(facts) :]
        for row, fact in zip(kept, facts, strict=False):
            row.show(fact)
        for row in left:
            row.remove()
        fresh = [FactRow(fact) for fact in facts[len(kept) :]]
        self._rows = [*kept, *fresh]
        if fresh:
            self.mount_all(fresh)
        self.display = bool(facts)
