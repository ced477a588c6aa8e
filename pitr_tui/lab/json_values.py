"""JSON values of a file that anybody may have written, checked as they are read.

Each function gives the value that it names, or raises TypeError or ValueError (OverflowError for
a time that lies outside the calendar somewhere on Earth).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from reprlib import repr as short
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{short(value)} is no text")
    return value


def count(value: Any) -> int:
    if type(value) is not int or value < 0:  # a bool is an int, too
        raise TypeError(f"{short(value)} is no count")
    return value


def number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{short(value)} is no number")
    return float(value)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{short(value)} is neither true nor false")
    return value


def moment(value: Any) -> datetime:
    """A time that tells its zone, and that can be told in every other."""
    at = datetime.fromisoformat(word(value))
    if at.tzinfo is None:
        raise ValueError(f"{short(value)} tells no time zone")
    at.astimezone(UTC)
    return at


def or_none(reader: Callable[[Any], _Value]) -> Callable[[Any], _Value | None]:
    return lambda value: None if value is None else reader(value)


def each(reader: Callable[[Any], _Value]) -> Callable[[Any], tuple[_Value, ...]]:
    """What reads a list whose elements `reader` reads."""

    def read(value: Any) -> tuple[_Value, ...]:
        if not isinstance(value, list):
            raise TypeError(f"{short(value)} is no list")
        return tuple(reader(one) for one in value)

    return read
