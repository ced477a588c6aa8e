"""A file with checks of the person's own: a query each, and the answer that it has to give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError, UsageError
from pitr_tui.wording import count_text

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode

_DEFAULT_DATABASE = "postgres"
_KEYS = ("name", "database", "sql", "expect")
_COMPARED = {">=": ge, "<=": le, "!=": ne, ">": gt, "<": lt, "=": eq}
_COMPARISON = re.compile(r"(>=|<=|!=|>|<|=)\s*([-+]?\d+(?:\.\d+)?)")
_SHOWN_CELLS = 60

Rows = tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, slots=True)
class OwnCheck:
    """A query of the person's. `expect` is text as PostgreSQL prints it, or rows of it.

    Text that begins with a comparison, as `>= 51200`, holds for every number that fulfils it.
    """

    name: str
    sql: str
    expect: str | Rows | None
    database: str = _DEFAULT_DATABASE

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        if isinstance(self.expect, tuple):
            return _rows_text(self.expect)
        return "NULL" if self.expect is None else self.expect

    def holds(self, rows: Rows) -> bool:
        """Whether an answer is what was expected."""
        if isinstance(self.expect, tuple):
            return rows == self.expect
        if len(rows) != 1 or len(rows[0]) != 1:
            return False
        (value,) = rows[0]
        comparison = _COMPARISON.fullmatch(self.expect or "")
        if comparison is None or value is None:
            return value == self.expect
        try:
            return bool(_COMPARED[comparison[1]](Decimal(value), Decimal(comparison[2])))
        except InvalidOperation:
            return False


def expectation(rows: Rows) -> str | Rows | None:
    """What a check expects that is to give this answer again."""
    if len(rows) != 1 or len(rows[0]) != 1:
        return rows
    (value,) = rows[0]
    return rows if _COMPARISON.fullmatch(value or "") else value


def rows_words(rows: Rows) -> str:
    """An answer in a few words."""
    if not rows:
        return "no rows"
    if len(rows) == 1 and len(rows[0]) == 1:
        return "NULL" if rows[0][0] is None else rows[0][0]
    return _rows_text(rows)


def _rows_text(rows: Rows) -> str:
    text = "; ".join(", ".join("NULL" if v is None else v for v in row) for row in rows)
    cut = text if len(text) <= _SHOWN_CELLS else text[:_SHOWN_CELLS] + "…"
    return f"{count_text(len(rows), 'row')} ({cut})" if rows else "no rows"


def read_checks(path: Path) -> tuple[OwnCheck, ...]:
    """The checks in a file. Raises UsageError with the line, or PitrError.

    Values are taken as they are written: 0042, 1e3 and yes stay what they are.
    """
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            root = yaml.compose(file, Loader=yaml.SafeLoader)
    except OSError as error:
        raise PitrError(f"{path} cannot be read", str(error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not YAML", " ".join(str(error).split())) from error
    return _Reader(path).checks(root)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the nodes of a file, so that an error can name its line."""

    path: Path

    def checks(self, root: Node | None) -> tuple[OwnCheck, ...]:
        if root is None:
            return ()
        for key, value in self._pairs(root, "the file", ("checks",)):
            if key == "checks":
                found = tuple(self._check(one) for one in self._items(value, "checks"))
                self._require_different(found, value)
                return found
        return ()

    def _check(self, node: Node) -> OwnCheck:
        given: dict[str, Node] = {}
        for key, value in self._pairs(node, "a check", _KEYS):
            given[key] = value
        for key in ("name", "sql", "expect"):
            if key not in given:
                raise self._wrong(node, f"this check has no {key!r}")
        name, sql = self._text(given["name"], "name"), self._text(given["sql"], "sql")
        for key, text in (("name", name), ("sql", sql)):
            if not text.strip():
                raise self._wrong(given[key], f"{key!r} is empty")
        database = given.get("database")
        return OwnCheck(
            name,
            sql,
            self._expect(given["expect"]),
            self._text(database, "database") if database is not None else _DEFAULT_DATABASE,
        )

    def _expect(self, node: Node) -> str | Rows | None:
        from yaml.nodes import ScalarNode, SequenceNode

        if isinstance(node, ScalarNode):
            return self._value(node)
        return tuple(
            tuple(self._scalar(value, "expect") for value in self._items(row, "expect"))
            if isinstance(row, SequenceNode)
            else (self._scalar(row, "expect"),)
            for row in self._items(node, "expect")
        )

    def _pairs(self, node: Node, what: str, known: Sequence[str]) -> Iterator[tuple[str, Node]]:
        from yaml.nodes import MappingNode

        if not isinstance(node, MappingNode):
            raise self._wrong(node, f"{what} has to have {' and '.join(known[:1])}: …")
        seen: set[str] = set()
        for key_node, value in self._entries(node):
            key = self._text(key_node, "a key")
            if key not in known:
                raise self._wrong(key_node, f"{key!r} is not known; {what} has {', '.join(known)}")
            if key in seen:
                raise self._wrong(key_node, f"{key!r} is there twice")
            seen.add(key)
            yield key, value

    @staticmethod
    def _entries(node: MappingNode) -> list[tuple[Node, Node]]:
        return list(node.value)

    def _items(self, node: Node, key: str) -> list[Node]:
        from yaml.nodes import SequenceNode

        if not isinstance(node, SequenceNode):
            raise self._wrong(node, f"{key!r} has to be a list")
        return list(node.value)

    def _text(self, node: Node, key: str) -> str:
        value = self._scalar(node, key)
        if value is None:
            raise self._wrong(node, f"{key!r} is empty")
        return value

    def _scalar(self, node: Node, key: str) -> str | None:
        from yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            raise self._wrong(node, f"{key!r} has to be one value")
        return self._value(node)

    @staticmethod
    def _value(node: ScalarNode) -> str | None:
        """The text of a value; booleans are written as PostgreSQL prints them."""
        plain = node.tag.rpartition(":")[2]
        if plain == "null":
            return None
        if plain == "bool" and node.value.lower() in ("true", "false"):
            return str(node.value[0].lower())
        return str(node.value)

    def _require_different(self, checks: Sequence[OwnCheck], node: Node) -> None:
        names = [check.name for check in checks]
        for name, one in zip(names, self._items(node, "checks"), strict=True):
            if names.count(name) > 1:
                raise self._wrong(one, f"two checks are called {name!r}")

    def _wrong(self, node: Node, why: str) -> UsageError:
        line = node.start_mark.line + 1
        return UsageError(
            f"{self.path} is not right",
            f"line {line}: {why}",
            "a check has a name, sql and expect, and perhaps a database",
        )


def checks_text(checks: Sequence[OwnCheck]) -> str:
    """The text of a file with these checks."""
    import yaml

    listed = [
        {
            "name": check.name,
            "database": check.database,
            "sql": check.sql,
            "expect": [list(row) for row in check.expect]
            if isinstance(check.expect, tuple)
            else check.expect,
        }
        for check in checks
    ]
    return yaml.safe_dump({"checks": listed}, allow_unicode=True, sort_keys=False)
