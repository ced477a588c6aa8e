"""The changed lines of a unified diff, with a sign and a colour for each."""

from __future__ import annotations

from textual.content import Content

from pitr_tui.tui.literal import lines, literal


def diff_content(text: str) -> Content:
    """Added lines green, removed ones yellow: red is for what must not be trusted.

    Lines that stay as they are say nothing. Of several files each has its name above; of a
    single one the text around it says which it is.
    """
    rows = text.splitlines()
    several = sum(row.startswith("+++ ") for row in rows) > 1
    shown = []
    for row in rows:
        if row.startswith("--- ") and several:
            shown.append(literal(f"{row[4:]}:", "$foreground-muted"))
        elif row.startswith(("+", "-")) and not row.startswith(("+++ ", "--- ")):
            shown.append(literal(row, _style(row)))
    return lines(*shown)


def _style(line: str) -> str:
    return "$text-success" if line.startswith("+") else "$text-warning"
