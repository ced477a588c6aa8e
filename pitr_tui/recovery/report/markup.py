"""Markdown whose text comes from outside: nothing in it is markup, whatever it says.

Source: the CommonMark specification, and GitHub's (tables, bare addresses that become links).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pitr_tui.postgres.quote import one_line, visible

_SPECIAL = re.compile(r"[\\`*_\[\]|~$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_AT_THE_BEGIN = re.compile(r"^(\s*)([#+=-])|^(\s*\d+)([.)])(?!\S)")
_LINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_TICKS = re.compile(r"`+")


def text(outside: object) -> str:
    """Outside text as one line of prose that looks as it is.

    >>> print(text("a|b <script> *x* `y` [z](http://w)"))
    a\\|b &lt;script&gt; \\*x\\* \\`y\\` \\[z\\](http\\://w)
    >>> print(text("# no\\nheading"))
    \\# no␊heading
    """
    shown = one_line(str(outside))
    shown = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], shown)
    shown = _SPECIAL.sub(lambda found: "\\" + found[0], shown)
    shown = _LINK.sub(lambda found: "\\" + found[0], shown)
    return _AT_THE_BEGIN.sub(
        lambda found: f"{found[1] or found[3] or ''}\\{found[2] or found[4]}", shown
    )


def code(outside: object) -> str:
    """Outside text as a code span; as prose where a pipe would end a table's cell in one.

    >>> print(code("a`b"), code("`"), code("a|b"))
    ``a`b`` `` ` `` a\\|b
    """
    shown = one_line(str(outside))
    if not shown.strip() or "|" in shown:
        return text(shown)
    ticks = "`" * (_longest(shown) + 1)
    room = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{room}{shown}{room}{ticks}"


def fence(outside: str) -> list[str]:
    """Outside text as a block of code, which no line of it can end.

    >>> fence("```\\nx\\n")
    ['````text', '```', 'x', '````']
    """
    ticks = "`" * max(3, _longest(outside) + 1)
    return [f"{ticks}text", *visible(outside).removesuffix("\n").split("\n"), ticks]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table whose cells are what `text` and `code` made, so that no pipe in them ends one."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _longest(shown: str) -> int:
    return max((len(run) for run in _TICKS.findall(shown)), default=0)
