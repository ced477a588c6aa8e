"""What makes a transaction a suspect: the words for it, and how bad each thing is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pitr_tui.wal.effects import Deed, Effect
from pitr_tui.wal.names import RelationName
from pitr_tui.wal.transactions import Change, Kind, Transaction

_NAMED = 3  # of how many tables a sentence has the names


class What(StrEnum):
    """What makes a transaction a suspect."""

    DROP_DATABASE = "drop database"
    DROP_SCHEMA = "drop schema"
    DROP_TABLE = "drop table"
    TRUNCATE = "truncate"
    DELETE = "mass delete"
    UPDATE = "mass update"
    DROP_COLUMN = "drop column"
    INSERT = "mass insert"
    ALTER_TYPE = "alter column type"
    DROP_OTHER = "drop"


# How bad each is; of those with a share, when all of a table is hit. Rows add up to 20.
SEVERITY = {
    What.DROP_DATABASE: 160.0,
    What.DROP_SCHEMA: 140.0,
    What.DROP_TABLE: 120.0,
    What.TRUNCATE: 115.0,
    What.DELETE: 100.0,
    What.UPDATE: 95.0,
    What.DROP_COLUMN: 90.0,
    What.INSERT: 60.0,
    What.ALTER_TYPE: 30.0,
    What.DROP_OTHER: 20.0,
}


class Finding(NamedTuple):
    """One thing that a suspect did.

    `rows` are those that it hit, and `of` those that the table had, where that is known.
    """

    what: What
    names: tuple[str, ...]
    rows: int | None
    of: int | None
    severity: float
    words: str


class Remark(NamedTuple):
    """Something that rewrites or makes files and harms nobody, which a reader wants to see."""

    names: tuple[str, ...]
    words: str


class Suspect(NamedTuple):
    """A transaction with what it did; `score` is that of the worst of it."""

    transaction: Transaction
    database: str | None
    findings: tuple[Finding, ...]
    score: float

    @property
    def sentence(self) -> str:
        """What it did, the worst first."""
        words = ", ".join(one.words for one in self.findings)
        unknown = self.transaction.kind is Kind.UNKNOWN
        return f"{words}; whether it committed could not be read" if unknown else words


@dataclass(slots=True)
class Case:
    """A transaction that is looked at: its effects, and who its changes hit."""

    transaction: Transaction
    xids: frozenset[int]
    effects: list[Effect]
    hit: dict[tuple[int, int], tuple[RelationName, Change]] = field(default_factory=dict)

    def effects_of(self, *deeds: Deed) -> Iterator[Effect]:
        return (effect for effect in self.effects if effect.deed in deeds)


def weight(rows: int | None) -> float:
    """A little more for many rows, so that of two alike the larger comes first."""
    return min(20.0, 4 * math.log10(rows + 1)) if rows else 0.0


def listed(names: Sequence[str]) -> str:
    """Names in a row, the last of many only counted.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 more')
    """
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
