"""The lines of a lab's truth: what each one says, and how it is written as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pitr_tui.errors import PitrError
from pitr_tui.lab.json_values import count, each, flag, moment, word
from pitr_tui.postgres.lsn import Lsn, TimelineId

Rows = dict[str, dict[str, str]]
"""Table, key, and the row's text. A table that does not exist is not in it."""

Changes = Mapping[str, Mapping[str, str | None]]
"""Table, key, and what the row became; None is a row that is gone."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction that is committed.

    `lsn` was read right after it: the record of the commit ends there or a little before.
    `item` is its number in the shop's work, if it is part of that.
    """

    number: int
    xid: int | None
    lsn: Lsn
    timeline: TimelineId
    at: datetime
    good: bool
    what: str
    changes: Changes
    deed: str = ""
    dropped: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """A commit that is about to be made; its LSN and its time are of just before."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Done:
    """The intent of this number became a commit."""

    number: int
    lsn: Lsn
    at: datetime


@dataclass(frozen=True, slots=True)
class Undone:
    """The intent of this number did not become a commit."""

    number: int


@dataclass(frozen=True, slots=True)
class BackupTaken:
    """A base backup; one that is not `whole` cannot be recovered."""

    name: str
    start: Lsn
    stop: Lsn
    timeline: TimelineId
    whole: bool


@dataclass(frozen=True, slots=True)
class WalBroken:
    """A segment of the archive that nobody can replay, and that is nowhere else."""

    segment: str
    start: Lsn
    end: Lsn
    timeline: TimelineId
    missing: bool


@dataclass(frozen=True, slots=True)
class WalEnd:
    """Nothing behind this position can be had any more: the primary's disk is lost."""

    lsn: Lsn


@dataclass(frozen=True, slots=True)
class Noted:
    """A moment that the story speaks of. `xid` is the next one to be given out."""

    name: str
    at: datetime
    lsn: Lsn
    xid: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A transaction of the application that came to nothing.

    It was `meant` to where the application itself took it back.
    """

    what: str
    at: datetime
    item: int | None = None
    meant: bool = False


Line = Commit | Intent | Done | Undone | BackupTaken | WalBroken | WalEnd | Noted | Refused


_KINDS = (Commit, Intent, Done, Undone, BackupTaken, WalBroken, WalEnd, Noted, Refused)
_BY_NAME: dict[str, type[Line]] = {kind.__name__: kind for kind in _KINDS}
_UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    PitrError,
)


def line_text(line: Line) -> str:
    """A line of the file, without its end."""
    values = asdict(line.commit) if isinstance(line, Intent) else asdict(line)
    kept = {name: _plain(value) for name, value in values.items() if value not in (None, "", ())}
    return json.dumps({"kind": type(line).__name__, **kept}, ensure_ascii=False)


def parse_line(text: str) -> Line:
    """Read it back. Raises PitrError for anything else."""
    try:
        data: dict[str, Any] = json.loads(text)
        kind = _BY_NAME[data.pop("kind")]
        values = {name: _FROM_JSON[name](value) for name, value in data.items()}
        if kind is Commit or kind is Intent:
            commit = Commit(**{"xid": None, **values})
            return commit if kind is Commit else Intent(commit)
        return kind(**({"xid": None, **values} if kind is Noted else values))
    except _UNREADABLE as error:
        raise PitrError(
            "this is not a line of a lab's truth", f"{error}: {text[:200]!r}"
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, Lsn):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _lsn(value: Any) -> Lsn:
    return Lsn.parse(word(value))


def _changes(value: Any) -> Changes:
    texts = (text for rows in value.values() for text in rows.values())
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("a row is no text")
    changes: Changes = value
    return changes


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("lsn", "start", "stop", "end"), _lsn),
    **dict.fromkeys(("number", "xid", "item"), count),
    **dict.fromkeys(("what", "deed", "name", "segment"), word),
    **dict.fromkeys(("good", "whole", "missing", "meant"), flag),
    **dict.fromkeys(("dropped", "created"), each(word)),
    "at": moment,
    "timeline": lambda value: TimelineId(count(value)),
    "changes": _changes,
}
