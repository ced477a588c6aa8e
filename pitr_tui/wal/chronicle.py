"""What happened in a stretch of WAL, in columns: small enough for a million transactions."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.wal.definitions import definitions_text
from pitr_tui.wal.findings import Suspect
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.transactions import Happening, Kind
from pitr_tui.wal.xlog import BackupEnd

_MOST_CUT_THROUGH = 100

# A transaction that ended: `at` is its time without the steps back of the server's clock, `rows`
# those of users' tables that it changed, `locks` whether it changed a table's definition or file.
ENTRY = np.dtype(
    [
        ("time", "<i8"),
        ("at", "<i8"),
        ("lsn", "<u8"),
        ("end", "<u8"),
        ("first", "<u8"),
        ("xid", "<u4"),
        ("full_xid", "<i8"),
        ("committed", "?"),
        ("partial", "?"),
        ("locks", "?"),
        ("bytes", "<i8"),
        ("rows", "<i8"),
        ("timeline", "<u4"),
    ]
)


class MarkKind(StrEnum):
    """Why something is worth a look."""

    SUSPECT = "suspect"
    RESTORE_POINT = "restore point"
    EVENT = "event"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something worth a look. `index` entries end before it; a suspect has that index itself.

    `words` are one line. `time` is in microseconds since 2000, `name` that of a restore point.
    """

    what: MarkKind
    index: int
    lsn: Lsn
    time: int | None
    words: str
    suspect: Suspect | None = None
    name: str = ""


class Table(NamedTuple):
    """A table of a user's."""

    database: str | None
    name: str

    def __str__(self) -> str:
        return self.name


class TableChange(NamedTuple):
    """Rows of one table that were changed."""

    table: Table
    inserted: int
    updated: int
    deleted: int

    @property
    def rows(self) -> int:
        return self.inserted + self.updated + self.deleted


class Prepared(NamedTuple):
    """A transaction that was prepared, and the entry that ended it, if one did."""

    xid: int
    gid: str
    lsn: Lsn
    time: int | None
    ended: int | None = None


class Ruin(NamedTuple):
    """Where a dropped database's files are removed, before the transaction that drops it ends.

    A server that stops between the two has a database without files. `entry` is that
    transaction, None where its end was not read.
    """

    lsn: Lsn
    entry: int | None


class Unended(NamedTuple):
    """A transaction of which no end was read."""

    xid: int
    kind: Kind
    first: Lsn
    last: Lsn
    rows: int


class Loss(NamedTuple):
    """What was committed behind a cut; the tables with the most changed rows first."""

    transactions: int
    rows: int
    tables: tuple[TableChange, ...]


@dataclass(frozen=True, slots=True)
class CutThrough:
    """What had begun before a cut and committed behind it, and what is prepared there.

    Of very many only the first are in `entries`; `count` has them all.
    """

    entries: tuple[int, ...]
    count: int
    prepared: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """The changed rows of all entries: those of entry i stand from `begins[i]` to `begins[i+1]`."""

    tables: tuple[Table, ...]
    begins: NDArray[np.int64]
    table: NDArray[np.int32]
    inserted: NDArray[np.int64]
    updated: NDArray[np.int64]
    deleted: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chronicle:
    """The transactions that ended, in WAL order, and everything else worth a look.

    A *cut* is a number from 0 to `len(...)`: the entries before it are kept, the others are
    lost. The columns are those of `ENTRY`. While the reading goes on there are snapshots that
    are not `finished`; `end` tells how far they have come. `holes` are stretches that could not
    be read, `ending` why the reading ended where it did, if not with the archive. `defined` has
    by their entries the tables whose definition was changed, as far as they have names.
    """

    timeline: TimelineId
    start: Lsn
    end: Lsn
    finished: bool
    times: NDArray[np.int64]
    at: NDArray[np.int64]
    lsns: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    firsts: NDArray[np.uint64]
    xids: NDArray[np.uint32]
    full_xids: NDArray[np.int64]
    committed: NDArray[np.bool]
    partial: NDArray[np.bool]
    locks: NDArray[np.bool]
    bytes: NDArray[np.int64]
    rows: NDArray[np.int64]
    timelines: NDArray[np.uint32]
    made: Changes
    sub_xids: NDArray[np.uint32]
    sub_entries: NDArray[np.int64]
    gids: dict[int, str]
    marks: tuple[Mark, ...] = ()
    happenings: tuple[Happening, ...] = ()
    holes: tuple[Unread, ...] = ()
    ending: Unread | None = None
    prepared: tuple[Prepared, ...] = ()
    unended: tuple[Unended, ...] = ()
    ruins: tuple[Ruin, ...] = ()
    defined: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lsns)

    def __bool__(self) -> bool:
        return True  # an empty one says something, too

    @property
    def tables(self) -> tuple[Table, ...]:
        return self.made.tables

    def changed_definitions(self, entry: int) -> str:
        """That an entry changed definitions, and whose; empty where it changed none."""
        return definitions_text(self.defined.get(entry, ())) if self.locks[entry] else ""

    @property
    def clock_back(self) -> NDArray[np.intp]:
        """Entries whose time lies more than a second before that of an earlier one."""
        return np.flatnonzero(self.at - self.times > 1_000_000)

    def changes(self, entry: int) -> list[TableChange]:
        """What an entry did to the rows of tables, the most changed first."""
        begin, end = self.made.begins[entry : entry + 2].tolist()
        columns = (self.made.table, self.made.inserted, self.made.updated, self.made.deleted)
        rows = zip(*(column[begin:end].tolist() for column in columns), strict=True)
        found = [TableChange(self.tables[table], *counts) for table, *counts in rows]
        return sorted(found, key=lambda one: -one.rows)

    def suspects(self) -> list[Mark]:
        """The suspects, the worst and of two alike the later one first."""
        found = [mark for mark in self.marks if mark.suspect is not None]
        return sorted(found, key=lambda one: (-(one.suspect.score if one.suspect else 0), -one.lsn))

    def suspect_at(self, entry: int) -> Mark | None:
        """The mark of an entry that is a suspect."""
        lsn = int(self.lsns[entry])
        at = bisect_left(self.marks, lsn, key=lambda mark: mark.lsn)
        for mark in self.marks[at:]:
            if mark.lsn != lsn:
                return None
            if mark.suspect is not None and mark.index == entry:
                return mark
        return None

    # Cuts.

    def first_lost(self, cut: int) -> int | None:
        """The first commit behind a cut."""
        found = np.argmax(self.committed[cut:]) if cut < len(self) else 0
        at = cut + int(found)
        return at if at < len(self) and self.committed[at] else None

    def last_kept(self, cut: int) -> int | None:
        """The last commit before a cut."""
        if cut <= 0:
            return None
        at = cut - 1 - int(np.argmax(self.committed[cut - 1 :: -1]))
        return at if self.committed[at] else None

    def boundary(self, cut: int) -> Lsn:
        """The position of the first record behind a cut that ends a transaction."""
        return Lsn(int(self.lsns[cut])) if cut < len(self) else self.end

    def cut_at_time(self, time: int, *, inclusive: bool, since: int = 0) -> int:
        """Where a server stops that begins at `since` and is given a time.

        That is in microseconds since 2000. It stops before the first end of a transaction whose
        time lies behind, though later ones may be earlier by a clock that was put back. Source:
        recoveryStopsBefore() in src/backend/access/transam/xlogrecovery.c.
        """
        begin = self.cut_at_lsn(since)
        times = self.times[begin:]
        behind = times > time if inclusive else times >= time
        return begin + int(np.argmax(behind)) if behind.any() else len(self)

    def cut_at_lsn(self, lsn: int, *, inclusive: bool = False) -> int:
        """The cut that keeps what ended before a position, or with the record there."""
        return int(np.searchsorted(self.lsns, np.uint64(lsn), "right" if inclusive else "left"))

    def entry_of(self, xid: int, since: int = 0) -> int | None:
        """The first entry from a position on with this xid of 32 bits; of a subtransaction its top.

        A server that is given an xid stops at the first end that has it.
        """
        begin = self.cut_at_lsn(since)
        found = np.flatnonzero(self.xids[begin:] == xid)
        if len(found):
            return begin + int(found[0])
        above = self.sub_entries[self.sub_xids == xid]
        above = above[above >= begin]
        return int(above[0]) if len(above) else None

    def backup_end(self, start: Lsn) -> Lsn | None:
        """From where on the base backup that began at `start` is consistent, as the WAL tells.

        Of one that was taken on a standby it does not.
        """
        for one in self.happenings:
            if isinstance(one.action, BackupEnd) and one.action.start_lsn == start:
                return one.end
        return None

    def ruin_of(self, entry: int) -> Ruin | None:
        """The first record that removes a database which a transaction drops."""
        return next((one for one in self.ruins if one.entry == entry), None)

    def loss(self, cut: int) -> Loss:
        """What was committed behind a cut."""
        committed = self.committed[cut:]
        if not len(committed):
            return Loss(0, 0, ())
        begins = self.made.begins[cut:]
        counts = np.repeat(committed, np.diff(begins))
        tables = self._summed(slice(int(begins[0]), int(begins[-1])), counts)
        rows = int(self.rows[cut:][committed].sum())
        return Loss(int(np.count_nonzero(committed)), rows, tuple(tables))

    def cut_through(self, cut: int) -> CutThrough:
        """What had begun before the last end before a cut: it will be gone, or stand prepared."""
        at = int(self.ends[cut - 1]) if cut > 0 else int(self.start)
        begun = (self.firsts[cut:] < np.uint64(at)) & self.committed[cut:]
        prepared = tuple(
            one
            for one in self.prepared
            if one.lsn < self.boundary(cut) and (one.ended is None or one.ended >= cut)
        )
        held = {one.ended for one in prepared}
        entries = [entry for entry in (np.flatnonzero(begun) + cut).tolist() if entry not in held]
        return CutThrough(tuple(entries[:_MOST_CUT_THROUGH]), len(entries), prepared)

    def _summed(self, which: slice, counts: NDArray[np.bool]) -> list[TableChange]:
        table = self.made.table[which][counts]
        columns = (self.made.inserted, self.made.updated, self.made.deleted)
        sums = np.stack([np.bincount(table, column[which][counts]) for column in columns])
        touched = np.flatnonzero(sums.any(axis=0))
        touched = touched[np.argsort(-sums[:, touched].sum(axis=0), kind="stable")]
        numbers = sums[:, touched].T.astype(np.int64).tolist()
        return [
            TableChange(self.tables[at], *three)
            for at, three in zip(touched.tolist(), numbers, strict=True)
        ]
