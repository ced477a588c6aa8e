"""The rows in which one looks for the moment to stop at: what is worth a look, or every end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.tui.session import Moment
from pitr_tui.tui.widgets.virtual_list import Cell
from pitr_tui.wal.chronicle import Chronicle, Mark, MarkKind, Table, TableChange
from pitr_tui.wording import count_text

SIGNS = {
    MarkKind.SUSPECT: ("▼ ", "warning"),
    MarkKind.RESTORE_POINT: ("◇ ", "good"),
    MarkKind.EVENT: ("· ", "muted"),
    MarkKind.REMARK: ("· ", "muted"),
}
_NOTED = ("● ", "good")
_OURS = "pitr_switch_"
_END = ("■ ", "muted")
_NO_SIGN = ("  ", "plain")
_SHOWN_TABLES = 6
WIDE = 100
_XID_CELLS = 10
_CLOCK_CELLS = 12
_DAY_CELLS = 6


@dataclass(frozen=True, slots=True)
class Clock:
    """Times in one zone; with the day where the archive has more than one."""

    zone: tzinfo
    days: bool = False

    @property
    def cells(self) -> int:
        return _CLOCK_CELLS + (_DAY_CELLS if self.days else 0)

    def text(self, time: int | None, *, micro: bool = False) -> str:
        """A time in microseconds since 2000, to the millisecond, or exactly."""
        when = moment(time) if time is not None else None
        if when is None:
            return "?"
        there = when.astimezone(self.zone)
        clock = f"{there:%H:%M:%S.%f}"
        return (f"{there:%m-%d} " if self.days else "") + (clock if micro else clock[:-3])

    @classmethod
    def of(cls, chronicle: Chronicle | None, zone: tzinfo, extra: Sequence[int] = ()) -> Clock:
        """The clock for these entries and other times."""
        ends = list(extra)
        if chronicle is not None and len(chronicle):
            ends += [int(chronicle.at[0]), int(chronicle.at[-1])]
        known = [when.astimezone(zone).date() for one in ends if (when := moment(one)) is not None]
        return cls(zone, len(set(known)) > 1)


@dataclass(frozen=True, slots=True)
class Pick:
    """A row that one can stop at: a mark of the chronicle, a noted moment, or the end.

    `point` is the name of a restore point; where there are several with the same, of the one
    at which a server stops.
    """

    mark: Mark | None = None
    noted: datetime | None = None
    words: str = ""
    point: str = ""

    @property
    def sign(self) -> Cell:
        if self.mark is not None:
            return SIGNS[self.mark.what]
        if self.point:
            return SIGNS[MarkKind.RESTORE_POINT]
        return _END if self.noted is None else _NOTED

    @property
    def to_recover_to(self) -> bool:
        """Whether somebody who has picked nothing wants to stop there, as far as can be told.

        A restore point that was set for an accident lies behind it.
        """
        if self.mark is not None:
            return self.mark.what is MarkKind.SUSPECT
        return self.noted is not None and not self.point

    @property
    def time(self) -> int | None:
        if self.mark is not None:
            return self.mark.time
        return from_moment(self.noted) if self.noted is not None else None

    @property
    def xid(self) -> int | None:
        suspect = self.mark.suspect if self.mark is not None else None
        return suspect.transaction.xid if suspect is not None else None


END = Pick(words="the end: everything that is in the archive")


def picks(chronicle: Chronicle | None, noted: Sequence[Moment]) -> list[Pick]:
    """What is worth a look: noted moments, suspects from the worst on, restore points, the end.

    A restore point that was set here is one of those, whether it was read from the WAL already
    or not. Those that we set only to have something to archive are among the rest, which comes
    last.
    """
    found = [Pick(noted=one.time, words=one.what) for one in noted if not one.name]
    points: list[Pick] = []
    rest: list[Pick] = []
    if chronicle is not None:
        ours = {one.name: one.what for one in noted if one.name}
        names: set[str] = set()
        for mark in chronicle.marks:
            if mark.what is not MarkKind.SUSPECT:
                point = mark.name if mark.name not in names else ""
                names.add(mark.name)
                pick = Pick(mark, words=ours.get(point, mark.words), point=point)
                (points if is_theirs(mark) else rest).append(pick)
        found += [Pick(mark, words=mark.words) for mark in chronicle.suspects()]
    points += [
        Pick(noted=one.time, words=one.what, point=one.name) for one in unread(chronicle, noted)
    ]
    return [*found, *reversed(points), END, *reversed(rest)]


def is_theirs(mark: Mark) -> bool:
    """Whether a mark is a restore point that was set for a reason of its own."""
    return bool(mark.name) and not mark.name.startswith(_OURS)


def unread(chronicle: Chronicle | None, noted: Sequence[Moment]) -> list[Moment]:
    """The restore points that were set here and not yet read from the WAL."""
    known = {mark.name for mark in chronicle.marks} if chronicle is not None else set()
    return [one for one in noted if one.name and one.name not in known]


@dataclass(slots=True)
class PickRows:
    """What is worth a look, one row each."""

    picks: Sequence[Pick]
    clock: Clock

    def __len__(self) -> int:
        return len(self.picks)

    def row(self, number: int, width: int) -> list[Cell]:
        one = self.picks[number]
        if one.time is None and one.mark is None:
            return [one.sign, (f"{'':<{self.clock.cells}}", "plain"), (f"  {one.words}", "muted")]
        shown = "" if one.time is None else self.clock.text(one.time)
        xid = f"  xid {one.xid:<{_XID_CELLS}}" if one.xid is not None else "  "
        return [
            one.sign,
            (f"{shown:<{self.clock.cells}}", "strong"),
            (xid, "muted"),
            (one.words, "plain"),
        ]


@dataclass(slots=True)
class EntryRows:
    """Every transaction that ended, or those of `which`."""

    chronicle: Chronicle
    clock: Clock
    which: NDArray[np.int64] | None = None
    _suspects: dict[int, Mark] = field(init=False)

    def __post_init__(self) -> None:
        self._suspects = {one.index: one for one in self.chronicle.suspects()}

    def __len__(self) -> int:
        return len(self.chronicle) if self.which is None else len(self.which)

    def entry(self, number: int) -> int:
        """The entry in a row."""
        return number if self.which is None else int(self.which[number])

    def row_of(self, cut: int) -> int | None:
        """The row of the first entry behind a cut; None behind the last one."""
        number = cut if self.which is None else int(np.searchsorted(self.which, cut))
        return number if number < len(self) else None

    def row(self, number: int, width: int) -> list[Cell]:
        story, entry = self.chronicle, self.entry(number)
        mark = self._suspects.get(entry)
        committed = bool(story.committed[entry])
        words = mark.words if mark is not None else changes_text(story.changes(entry))
        if not words:
            words = story.changed_definitions(entry) or "no rows of tables"
        if not committed:
            words = f"rolled back: {words}"
        text = "plain" if committed and (mark or story.rows[entry]) else "muted"
        size = f"{int(story.rows[entry]):>9,}  " if width >= WIDE else ""
        return [
            SIGNS[MarkKind.SUSPECT] if mark is not None else _NO_SIGN,
            (f"{self.clock.text(int(story.times[entry])):<{self.clock.cells}}", "strong"),
            (f"  xid {int(story.xids[entry]):<{_XID_CELLS}}", "muted"),
            (size, "muted"),
            (words, text),
        ]


def changes_text(changes: Sequence[TableChange], most: int = _SHOWN_TABLES) -> str:
    """Tables with what was done to their rows.

    >>> changes_text([TableChange(Table("shop", "public.stock"), 1, 0, 50_000)])
    'stock +1 −50,000'
    """
    words = [f"{short(one.table)} {counts_text(one)}" for one in changes[:most]]
    if len(changes) > most:
        words.append(f"{count_text(len(changes) - most, 'more table')}")
    return ", ".join(words)


def short(table: Table) -> str:
    """A table's name; that of the usual schema is left out."""
    return str(table).removeprefix("public.")


def counts_text(change: TableChange) -> str:
    """Inserted, updated and deleted rows, those that there are."""
    counts = (("+", change.inserted), ("~", change.updated), ("−", change.deleted))
    return " ".join(f"{sign}{number:,}" for sign, number in counts if number) or "+0"
