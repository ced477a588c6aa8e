"""An error beside the work, where it happened: what, why, and what to try."""

from __future__ import annotations

from textual.widgets import Static

from pitr_tui.errors import PitrError
from pitr_tui.tui.literal import assemble, lines, literal


class Problem(Static):
    """Hidden until there is something to tell."""

    def __init__(self) -> None:
        super().__init__("", markup=False, classes="problem")
        self.display = False

    def show(self, error: PitrError | None) -> None:
        """Tell an error, or nothing any more."""
        self.display = error is not None
        if error is None:
            return
        rows = [assemble(("✗ ", "bold $text-error"), (error.what, "bold $text-error"))]
        rows += [literal(f"  {line}") for line in _lines(error.why)]
        for number, line in enumerate(_lines(error.hint)):
            rows.append(assemble(("       " if number else "  try: ", "bold"), line))
        self.update(lines(*rows))


def _lines(text: str) -> list[str]:
    """The lines of what a library said, without the tabs with which it indents them."""
    return [" ".join(line.split("\t")).strip() for line in text.splitlines() if line.strip()]
