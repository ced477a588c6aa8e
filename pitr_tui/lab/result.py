"""A score: how far an answer is from the best one that could be reached, row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pitr_tui.errors import PitrError

SCHEMA = 1


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
    `after_answer` that an earlier score had told the answer already.
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
            values = {one.name: data[one.name] for one in dataclasses.fields(cls)}
            for name in _WORDS:
                _require(isinstance(values[name], str), name)
            for name in _NUMBERS:
                _require(type(values[name]) is int and values[name] >= 0, name)
            _require(isinstance(values["minutes"], int | float), "minutes")
            _require(isinstance(values["after_answer"], bool), "after_answer")
            _require(values["marks"] <= 100, "marks")
            return cls(
                **values
                | {
                    "lost": tuple(RowDifference(**one) for one in data["lost"]),
                    "wrong": tuple(RowDifference(**one) for one in data["wrong"]),
                    "missing_tables": tuple(str(one) for one in data["missing_tables"]),
                    "tables": tuple(TableCount(**one) for one in data["tables"]),
                    "around": tuple(_around(one) for one in data["around"]),
                    "at": datetime.fromisoformat(data["at"]),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PitrError("this is not a score", f"{error!r}") from error


_WORDS = ("lab", "scenario", "version", "cut", "best", "sentence", "expert", "run")
_NUMBERS = ("seed", "marks", "stake", "extra", "hints", "attempts")


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ValueError(f"{name} cannot be that")


def _around(data: Mapping[str, Any]) -> AroundRow:
    return AroundRow(**{**data, "at": datetime.fromisoformat(data["at"])})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
