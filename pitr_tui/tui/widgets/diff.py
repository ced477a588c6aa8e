"""A unified diff as it may be shown: a sign and a colour for every changed line."""

from __future__ import annotations

from textual.content import Content

from pitr_tui.tui.literal import lines, literal


def diff_content(text: str) -> Content:
    """Added lines green, removed ones dim: red is for what must not be trusted."""
    return lines(*(literal(line, _style(line)) for line in text.splitlines()))


def _style(line: str) -> str:
    if line.startswith(("---", "+++")):
        return "bold"
    if line.startswith("+"):
        return "$text-success"
    if line.startswith("-"):
        return "$text-warning"
    return "$foreground-muted"
