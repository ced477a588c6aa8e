"""A score: how far an answer is from the best one that could be reached, row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, get_type_hints

from pitr_tui.errors import PitrError
from pitr_tui.lab.json_values import count, each, flag, moment, number, or_none, word

SCHEMA = 1
_MOST_MINUTES = 10 * 366 * 24 * 60
_MOST_TIMES = 100_000  # hints and attempts
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that is not as it should be; None is no row. `key` is empty for the table itself."""

    table: str
    key: str
    expected: str | None
    found: str | None
    why: str


@dataclass(frozen=True, slots=True)
class TableCount:
    """A table in numbers; `found` is None when it is not there."""

    table: str
    expected: int
    found: int | None
    lost: int
    wrong: int


@dataclass(frozen=True, slots=True)
class AroundRow:
    """A transaction near a cut. `marker` tells what is special about it, in words."""

    number: int
    xid: int | None
    lsn: str
    at: datetime
    what: str
    good: bool
    marker: str


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer is worth, and why.

    `lost` are good rows that could have been had, `wrong` are rows that must not be there;
    `extra` counts good rows that are newer than the best answer's, which costs nothing.
    `minutes` is the time from the trainee's first moment to when the target was reached,
    `after_answer` that an earlier score had told the answer already. It was given by the first
    `truth_lines` lines of the lab's truth, which may grow later.
    """

    lab: str
    scenario: str
    seed: int
    version: str
    marks: int
    stake: int
    lost: tuple[RowDifference, ...]
    wrong: tuple[RowDifference, ...]
    extra: int
    missing_tables: tuple[str, ...]
    tables: tuple[TableCount, ...]
    minutes: float
    hints: int
    attempts: int
    after_answer: bool
    cut: str
    best: str
    sentence: str
    expert: str
    around: tuple[AroundRow, ...]
    run: str
    at: datetime
    truth_lines: int

    @property
    def perfect(self) -> bool:
        return not self.lost and not self.wrong

    def to_json(self) -> dict[str, Any]:
        """The score as JSON values."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return {"schema": SCHEMA, **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """The score that `to_json` wrote. Raises PitrError for anything else."""
        try:
            if data["schema"] != SCHEMA:
                raise ValueError(f"its schema is {data['schema']!r}, and {SCHEMA} is known")
            one = _read(cls, data)
            if one.marks > 100 or max(one.hints, one.attempts) > _MOST_TIMES:
                raise ValueError("its numbers are larger than any can be")
            if not 0 <= one.minutes <= _MOST_MINUTES:  # nor is a NaN
                raise ValueError("no recovery takes such a time")
            return one
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise PitrError("this is not a score", f"{error!r}") from error


def _rows(kind: type[_Kind]) -> Callable[[Any], tuple[_Kind, ...]]:
    return each(lambda value: _read(kind, value))


# How a field is read, by its type.
_READERS: dict[Any, Callable[[Any], Any]] = {
    str: word,
    int: count,
    float: number,
    bool: flag,
    datetime: moment,
    str | None: or_none(word),
    int | None: or_none(count),
    tuple[str, ...]: each(word),
    tuple[RowDifference, ...]: _rows(RowDifference),
    tuple[TableCount, ...]: _rows(TableCount),
    tuple[AroundRow, ...]: _rows(AroundRow),
}


_FIELDS: dict[type, dict[str, Any]] = {
    kind: get_type_hints(kind) for kind in (Score, RowDifference, TableCount, AroundRow)
}


def _read(kind: type[_Kind], data: Mapping[str, Any]) -> _Kind:
    return kind(**{name: _READERS[of](data[name]) for name, of in _FIELDS[kind].items()})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
