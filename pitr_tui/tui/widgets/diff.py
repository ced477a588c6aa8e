"""The changed lines of a unified diff, with a sign and a colour for each."""

from __future__ import annotations

from textual.content import Content

from pitr_tui.tui.literal import lines, literal


def diff_content(text: str) -> Content:
    """Added lines green, removed ones yellow: red is for what must not be trusted.

    Which file it is says the text around it; lines that stay as they are say nothing.
    """
    changed = [
        line
        for line in text.splitlines()
        if line.startswith(("+", "-")) and not line.startswith(("+++ ", "--- "))
    ]
    return lines(*(literal(line, _style(line)) for line in changed))


def _style(line: str) -> str:
    return "$text-success" if line.startswith("+") else "$text-warning"
