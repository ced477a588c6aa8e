"""PostgreSQL's configuration text: read it, and propose an edited text with its diff.

Source: src/backend/utils/misc/guc-file.l (the grammar), guc.c (the last value wins).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from pitr_tui.postgres.quote import conf_value, without_secrets

_SETTING = re.compile(
    r"""^\s*(?P<name>[A-Za-z_][\w.]*)(?:\s*=\s*|\s+|(?='))
        (?P<value>'(?:[^'\\]|''|\\.)*'|[^\s'\#]+)\s*(?:\#.*)?$""",
    re.VERBOSE,
)
_INCLUDE = re.compile(
    r"""^\s*(include|include_if_exists|include_dir)(?:\s*=\s*|\s+|(?='))
        ('(?:[^'\\]|''|\\.)*'|[^\s'\#]+)\s*(?:\#.*)?$""",
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPE = re.compile(r"''|\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

BEGIN = "# pitr: what follows is for the recovery of this copy and wins over everything above"
END = "# pitr: end"
LEFT_OUT = "# pitr: left out of this copy: "


class Include(NamedTuple):
    """A directive of a configuration file: its line, counted from 1, its word, the path."""

    line: int
    word: str
    path: str


def read_settings(text: str) -> dict[str, str]:
    """The settings of a file, the last of a name winning, names in lower case.

    >>> read_settings("port = 5433 # here\\nport=5434\\nsearch_path 'a ''b'''")
    {'port': '5434', 'search_path': "a 'b'"}
    """
    found: dict[str, str] = {}
    for line in _lines(text):
        match = _SETTING.match(line)
        if match:
            found[match["name"].lower()] = _unquote(match["value"])
    return found


def includes(text: str) -> Iterator[Include]:
    """The directives of a file that make the server read others.

    >>> list(includes("port = 1\\ninclude_dir 'conf.d' # ours\\n"))
    [Include(line=2, word='include_dir', path='conf.d')]
    """
    for number, line in enumerate(_lines(text), 1):
        match = _INCLUDE.match(line)
        if match:
            yield Include(number, match[1].lower(), _unquote(match[2]))


def comment_out(text: str, numbers: Collection[int]) -> str:
    """The text with these lines, counted from 1, as comments; doing it twice changes nothing.

    >>> comment_out("a = 1\\ninclude 'b'\\n", [2])
    "a = 1\\n# pitr: left out of this copy: include 'b'\\n"
    """
    lines = _lines(text)
    for number in numbers:
        if number <= len(lines) and not lines[number - 1].startswith(LEFT_OUT):
            lines[number - 1] = LEFT_OUT + lines[number - 1]
    return "".join(f"{line}\n" for line in lines)


def change_settings(text: str, changes: Mapping[str, str]) -> str:
    """The text with these values: the winning line of a name edited in place, new ones added.

    Comments, order and everything else stay as they are.
    """
    lines = _lines(text)
    last: dict[str, int] = {}
    for number, line in enumerate(lines):
        match = _SETTING.match(line)
        if match:
            last[match["name"].lower()] = number
    for name, value in changes.items():
        line = f"{name} = {conf_value(value)}"
        if name in last:
            lines[last[name]] = line
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def settings_block(settings: Mapping[str, str]) -> str:
    """A marked block to stand at the end of a file, one setting a line."""
    lines = [f"{name} = {conf_value(value)}" for name, value in settings.items()]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def without_block(text: str) -> str:
    """The text without any block that `settings_block` made."""
    kept: list[str] = []
    inside = False
    for line in _lines(text):
        if line == BEGIN:
            inside = True
        elif inside and line == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def block_in(text: str) -> str:
    """The settings of the last block that `settings_block` made, "" without one."""
    _, found, block = text.rpartition(f"{BEGIN}\n")
    return block.partition(f"{END}\n")[0] if found else ""


def diff(before: str, after: str, name: str) -> str:
    """A unified diff of one file to be shown, passwords masked; empty when nothing changes."""
    return "".join(
        without_secrets(line)
        for line in difflib.unified_diff(
            [f"{line}\n" for line in _lines(before)],
            [f"{line}\n" for line in _lines(after)],
            name,
            f"{name} (new)",
        )
    )


def _lines(text: str) -> list[str]:
    """The lines as the server sees them: `str.splitlines` would break at a form feed too."""
    return text.removesuffix("\n").split("\n") if text else []


def _unquote(value: str) -> str:
    if not value.startswith("'"):
        return value

    def plain(match: re.Match[str]) -> str:
        escape = match[1]
        if escape is None:
            return "'"
        if escape[0] in "01234567":
            return chr(int(escape, 8) & 0xFF)
        return _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(plain, value[1:-1])
