"""Reads the nodes of a YAML file so that every mistake is found, each with its place.

Nothing is constructed: a scalar is its text, so that no tag can make anything of it. A reader
gives None, or leaves out, what it has complained of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pitr_tui.errors import PitrError, UsageError
from pitr_tui.postgres.quote import one_line, visible

if TYPE_CHECKING:
    from yaml.nodes import Node

MOST_BYTES = 1 << 16
_DEEPEST = 12
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_PLAIN_TAGS = tuple(
    f"tag:yaml.org,2002:{one}"
    for one in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "seq", "map")
)
_TRUE, _FALSE = ("yes", "true", "on"), ("no", "false", "off")
_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """What is wrong at a place of a file; line and column count from 1."""

    line: int
    column: int
    words: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.words}"


class ScenarioError(UsageError):
    """A scenario's file is not right; every mistake in it is told. Exit code 2."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake], hint: str = "") -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__(f"{path} is not a scenario", "\n".join(map(str, self.mistakes)), hint)


def read_nodes(path: Path) -> tuple[str, Node]:
    """The text of a file, and its one document. Raises ScenarioError, or PitrError.

    Anchors are refused: a few of them make a small file endless.
    """
    import yaml

    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PitrError(f"{path} cannot be read", str(error.strerror)) from error
    if len(content) > MOST_BYTES:
        words = f"the file is larger than {MOST_BYTES:,} bytes; no scenario needs that"
        raise ScenarioError(path, [Mistake(1, 1, words)])
    try:
        text = content.decode("utf-8")
        _require_flat(path, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ScenarioError(path, [Mistake(line, 1, "this is not UTF-8 text")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = visible(" ".join(f"{error.problem or error.context}".split()))
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ScenarioError(path, [Mistake(*place, f"this is no proper YAML: {words}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        words = f"the character #x{ord(str(error.character)):04x} cannot stand in YAML"
        raise ScenarioError(path, [Mistake(line, 1, words)]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        words = "this is no proper YAML: " + visible(" ".join(str(error).split()))
        raise ScenarioError(path, [Mistake(1, 1, words)]) from error
    if root is None:
        raise ScenarioError(path, [Mistake(1, 1, "the file is empty")])
    return text, root


def _require_flat(path: Path, text: str) -> None:
    """Raises ScenarioError for an anchor, an alias, or lists in lists without an end."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        words = ""
        if getattr(event, "anchor", None):
            words = "anchors and aliases (& and *) are not taken: write it out"
        elif depth > _DEEPEST:
            words = "this is nested deeper than any scenario"
        if words and event.start_mark is not None:
            mark = event.start_mark
            raise ScenarioError(path, [Mistake(mark.line + 1, mark.column + 1, words)])


@dataclass(slots=True)
class NodeReader:
    """Takes values out of nodes, and collects what is wrong with them."""

    mistakes: list[Mistake] = field(default_factory=list)

    def wrong(self, node: Node, words: str) -> None:
        mark = node.start_mark
        self.mistakes.append(Mistake(mark.line + 1, mark.column + 1, words))

    def entries(self, node: Node, what: str) -> list[tuple[str, Node, Node]]:
        """The keys of a mapping with their own nodes and their values' ones."""
        from yaml.nodes import MappingNode

        if not isinstance(node, MappingNode):
            self.wrong(node, f"{what} has to be a mapping: NAME: VALUE")
            return []
        self._require_plain(node)
        found: dict[str, tuple[str, Node, Node]] = {}
        for key_node, value in node.value:
            key = self.text(key_node, "a key")
            if key is None:
                continue
            if key in found:
                self.wrong(key_node, f"{_told(key)} is there twice")
            found[key] = (key, key_node, value)
        return list(found.values())

    def mapping(
        self, node: Node, what: str, needed: Sequence[str], allowed: Sequence[str] = ()
    ) -> dict[str, Node]:
        """The values of a mapping by their keys; those that are not `allowed` are mistakes."""
        known = (*needed, *allowed)
        entries = self.entries(node, what)
        found = {}
        for key, key_node, value in entries:
            if key in known:
                found[key] = value
            else:
                self.wrong(
                    key_node, f"{_told(key)} is not known; {what} may have {', '.join(known)}"
                )
        missing = [key for key in needed if key not in found]
        if missing and entries:
            self.wrong(node, f"{what} needs {', '.join(missing)}")
        elif missing and not self._complained(node):
            self.wrong(node, f"{what} is empty; it needs {', '.join(missing)}")
        return found

    def items(self, node: Node, what: str) -> list[Node]:
        """The entries of a list, which must not be empty."""
        from yaml.nodes import SequenceNode

        if not isinstance(node, SequenceNode):
            self.wrong(node, f"{what} has to be a list, one entry a line with a hyphen before it")
            return []
        self._require_plain(node)
        if not node.value:
            self.wrong(node, f"{what} is an empty list")
        return list(node.value)

    def text(self, node: Node, what: str, most: int = 4000) -> str | None:
        """One value as it is written, without what could change a terminal."""
        from yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            self.wrong(node, f"{what} has to be one value")
            return None
        self._require_plain(node)
        text = str(node.value).strip()
        if not text:
            self.wrong(node, f"{what} is empty")
        elif len(text) > most:
            self.wrong(node, f"{what} has {len(text):,} characters; at most {most:,} are taken")
        elif visible(text) != text:
            self.wrong(node, f"{what} has a control character in it")
        else:
            return text
        return None

    def texts(self, node: Node, what: str, most: int = 4000) -> tuple[str, ...]:
        """A list of texts."""
        found = (self.text(one, what, most) for one in self.items(node, what))
        return tuple(one for one in found if one is not None)

    def name(self, node: Node, what: str) -> str | None:
        """A short name that is fit for a file, a command line and a sentence."""
        text = self.text(node, what)
        if text is not None and not _NAME.fullmatch(text):
            self.wrong(
                node,
                f"{what} is {_told(text)}; it may have small letters, digits and hyphens, "
                "40 at most",
            )
            return None
        return text

    def number(self, node: Node, what: str, low: float, high: float) -> float | None:
        """A number between two others, both allowed."""
        text = self.text(node, what)
        if text is None:
            return None
        try:
            number = float(text)
            if low <= number <= high:
                return number
        except ValueError:
            pass
        self.wrong(node, f"{what} is {_told(text)}; allowed is a number from {low:g} to {high:g}")
        return None

    def whole(self, node: Node, what: str, low: int, high: int) -> int | None:
        """A whole number between two others, both allowed."""
        number = self.number(node, what, low, high)
        if number is not None and number != int(number):
            self.wrong(node, f"{what} has to be a whole number")
            return None
        return None if number is None else int(number)

    def truth(self, node: Node, what: str) -> bool | None:
        """Yes or no, in YAML's words for them."""
        text = self.text(node, what)
        if text is None:
            return None
        if text.lower() in (*_TRUE, *_FALSE):
            return text.lower() in _TRUE
        self.wrong(node, f"{what} is {_told(text)}; allowed are yes and no")
        return None

    def choice(self, node: Node, what: str, kind: type[_Choice]) -> _Choice | None:
        """One of the words of an enumeration."""
        text = self.text(node, what)
        if text is None:
            return None
        try:
            return kind(text)
        except ValueError:
            self.wrong(node, f"{what} is {_told(text)}; allowed are {', '.join(kind)}")
            return None

    def settings(self, node: Node, what: str, forbidden: Mapping[str, str]) -> dict[str, str]:
        """Settings of PostgreSQL by their names, in lower case."""
        found = {}
        for key, key_node, value in self.entries(node, what):
            text = self.text(value, f"the setting {_told(key)}", 400)
            name = key.lower()
            if not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name):
                self.wrong(key_node, f"{_told(key)} cannot be the name of a setting")
            elif name in forbidden:
                self.wrong(key_node, f"{_told(key)} cannot be set here: {forbidden[name]}")
            elif text is not None:
                if "\n" in text:
                    self.wrong(value, f"the setting {name} has a line break in it")
                found[name] = text
        return found

    def _require_plain(self, node: Node) -> None:
        if node.tag not in _PLAIN_TAGS:
            self.wrong(node, f"the tag {_told(str(node.tag))} is not taken: plain values only")

    def _complained(self, node: Node) -> bool:
        mark = node.start_mark
        return any(
            (one.line, one.column) == (mark.line + 1, mark.column + 1) for one in self.mistakes
        )


def _told(text: str) -> str:
    """A word of the file as a mistake may show it."""
    return repr(one_line(text if len(text) <= 60 else text[:60] + "…"))
