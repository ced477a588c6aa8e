"""Makes a chronicle of what a reading of the WAL gives, item by item."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.quote import one_line
from pitr_tui.wal.actions import (
    DatabaseCreated,
    DatabaseDropped,
    TablespaceCreated,
    TablespaceDropped,
)
from pitr_tui.wal.chronicle import (
    ENTRY,
    Changes,
    Chronicle,
    Mark,
    MarkKind,
    Prepared,
    Ruin,
    Table,
    Unended,
)
from pitr_tui.wal.definitions import changed_tables
from pitr_tui.wal.findings import Remark, Suspect, What
from pitr_tui.wal.happenings import happening_words
from pitr_tui.wal.names import NameBook
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.suspects import SuspectFinder, is_users_table
from pitr_tui.wal.transactions import Change, Happening, Item, Kind, Transaction
from pitr_tui.wal.xlog import RestorePoint

_CHUNK = 8192
_CHANGE = np.dtype([("table", "<i4"), ("inserted", "<i8"), ("updated", "<i8"), ("deleted", "<i8")])
_SUB = np.dtype([("xid", "<u4"), ("entry", "<i8")])
_NOTEWORTHY = (TablespaceCreated, TablespaceDropped, DatabaseCreated)
_ENDS = (Kind.COMMIT, Kind.ABORT, Kind.COMMIT_PREPARED, Kind.ABORT_PREPARED)


class _Column:
    """Rows of one kind that are added one by one and kept as an array."""

    def __init__(self, kind: np.dtype[np.void]) -> None:
        self._kind = kind
        self._full: list[NDArray[np.void]] = []
        self._rows: list[tuple[object, ...]] = []
        self.count = 0

    def add(self, row: tuple[object, ...]) -> None:
        self._rows.append(row)
        self.count += 1
        if len(self._rows) == _CHUNK:
            self._pack()

    def array(self) -> NDArray[np.void]:
        self._pack()
        self._full = [np.concatenate(self._full)] if self._full else [np.zeros(0, self._kind)]
        return self._full[0]

    def _pack(self) -> None:
        if self._rows:
            self._full.append(np.array(self._rows, self._kind))
            self._rows = []


class ChronicleWriter:
    """Takes the items of one reading in their order; `chronicle` gives what there is so far."""

    def __init__(self, timeline: TimelineId, start: Lsn, names: NameBook, finder: SuspectFinder):
        self._timeline, self._start = timeline, start
        self._names, self._finder = names, finder
        self._entries, self._changes = _Column(ENTRY), _Column(_CHANGE)
        self._begins = _Column(np.dtype([("begin", "<i8")]))
        self._subs = _Column(_SUB)
        self._tables: dict[Table, int] = {}
        self._places: dict[tuple[int, int, int], int | None] = {}
        self._generation = -1
        self._marks: list[Mark] = []
        self._happenings: list[Happening] = []
        self._holes: list[Unread] = []
        self._ending: Unread | None = None
        self._prepared: dict[int, Prepared] = {}
        self._ended_prepared: list[Prepared] = []
        self._unended: list[Unended] = []
        self._dropped: list[Happening] = []  # databases whose droppers have not ended
        self._ruins: list[Ruin] = []
        self._gids: dict[int, str] = {}
        self._defined: dict[int, tuple[str, ...]] = {}
        self._latest: int | None = None  # the newest time so far
        self._end = start

    def add(self, item: Item) -> None:
        """Take the next item, while the names are those of its position."""
        if isinstance(item, Unread):
            if item.until is None:
                self._ending = item
            else:
                self._holes.append(item)
                self._end = max(self._end, item.until)
        elif isinstance(item, Happening):
            self._end = max(self._end, item.end)
            self._happen(item)
        else:
            self._end = max(self._end, item.end)
            self._take(item)

    def chronicle(self, *, finished: bool = False) -> Chronicle:
        """What was read so far."""
        entries, changes, subs = (c.array() for c in (self._entries, self._changes, self._subs))
        begins = np.append(self._begins.array()["begin"], self._changes.count)
        columns = {name: np.ascontiguousarray(entries[name]) for name in ENTRY.names or ()}
        lsns = columns["lsn"]
        marks = [
            mark if mark.index >= 0 else replace(mark, index=int(np.searchsorted(lsns, mark.lsn)))
            for mark in self._marks
        ]
        prepared = [*self._ended_prepared, *self._prepared.values()]
        return Chronicle(
            timeline=self._timeline,
            start=self._start,
            end=self._end,
            finished=finished,
            times=columns["time"],
            at=columns["at"],
            lsns=lsns,
            ends=columns["end"],
            firsts=columns["first"],
            xids=columns["xid"],
            full_xids=columns["full_xid"],
            committed=columns["committed"],
            partial=columns["partial"],
            locks=columns["locks"],
            bytes=columns["bytes"],
            rows=columns["rows"],
            timelines=columns["timeline"],
            made=Changes(
                tuple(self._tables),
                begins,
                *(np.ascontiguousarray(changes[name]) for name in _CHANGE.names or ()),
            ),
            sub_xids=np.ascontiguousarray(subs["xid"]),
            sub_entries=np.ascontiguousarray(subs["entry"]),
            gids=dict(self._gids),
            marks=tuple(sorted(marks, key=lambda mark: mark.lsn)),
            happenings=tuple(self._happenings),
            holes=tuple(self._holes),
            ending=self._ending,
            prepared=tuple(sorted(prepared, key=lambda one: one.lsn)),
            unended=tuple(self._unended),
            ruins=(*self._ruins, *(Ruin(one.lsn, None) for one in self._dropped)),
            defined=dict(self._defined),
        )

    def _happen(self, item: Happening) -> None:
        self._happenings.append(item)
        if isinstance(item.action, DatabaseDropped):
            self._dropped.append(item)
        said = happening_words(item)
        if said is None:
            return
        point = item.action if isinstance(item.action, RestorePoint) else None
        time = self._latest if said.time is None else said.time
        self._marks.append(
            Mark(
                MarkKind.RESTORE_POINT if point else MarkKind.EVENT,
                self._entries.count,
                item.lsn,
                time,
                one_line(said.words),
                name=point.name if point else "",
            )
        )

    def _take(self, item: Transaction) -> None:
        self._judge(item)
        for action in item.actions if item.is_committed else ():
            if isinstance(action, _NOTEWORTHY):
                self._happen(Happening(item.lsn, item.end, item.timeline, action))
        if item.kind is Kind.PREPARE:
            self._prepared[item.xid] = Prepared(item.xid, item.gid or "", item.lsn, item.time)
        elif item.kind in _ENDS:
            self._enter(item)
        else:
            rows = sum(change.rows for change in item.changes)
            self._unended.append(Unended(item.xid, item.kind, item.first, item.lsn, rows))

    def _judge(self, item: Transaction) -> None:
        verdict = self._finder.look(item)  # of each one, because it counts the rows of tables
        index = self._entries.count if item.kind in _ENDS else -1
        self._end_drops(item, verdict)
        if isinstance(verdict, Suspect):
            words = one_line(verdict.sentence)
            mark = Mark(MarkKind.SUSPECT, index, item.lsn, item.time, words, verdict)
            self._marks.append(mark)
            return
        for remark in verdict:
            self._marks.append(
                Mark(MarkKind.REMARK, index, item.lsn, item.time, one_line(remark.words))
            )

    def _end_drops(self, item: Transaction, verdict: Suspect | tuple[Remark, ...]) -> None:
        """Tell the databases that a transaction dropped from those it only moved elsewhere."""
        mine = {one.oid for one in item.actions if isinstance(one, DatabaseDropped)}
        ended = [one for one in self._dropped if _oid_of(one) in mine and one.lsn > item.first]
        if not ended or item.kind is Kind.PREPARE:
            return
        self._dropped = [one for one in self._dropped if one not in ended]
        if isinstance(verdict, Suspect) and any(
            finding.what is What.DROP_DATABASE for finding in verdict.findings
        ):
            self._ruins += [Ruin(one.lsn, self._entries.count) for one in ended]

    def _enter(self, item: Transaction) -> None:
        self._begins.add((self._changes.count,))
        rows = self._count(item) if item.changes else 0
        index = self._entries.count
        time = item.time if item.time is not None else (self._latest or 0)
        self._latest = time if self._latest is None else max(self._latest, time)
        self._entries.add(
            (
                time,
                self._latest,
                item.lsn,
                item.end,
                item.first,
                item.xid,
                item.full_xid or 0,
                item.is_committed,
                item.partial,
                bool(item.rows or item.dropped),
                item.bytes,
                rows,
                item.timeline,
            )
        )
        if item.rows and (tables := changed_tables(item, self._names)):
            self._defined[index] = tables
        for sub in item.subxids:
            self._subs.add((sub, index))
        if item.gid is not None:
            self._gids[index] = item.gid
            known = self._prepared.pop(item.xid, None)
            if known is not None:
                self._ended_prepared.append(known._replace(ended=index))

    def _count(self, item: Transaction) -> int:
        """Add what a transaction did to the rows of tables, and give how many those were."""
        if self._generation != self._names.generation:
            self._generation = self._names.generation
            self._places.clear()
        places = self._places
        if item.rows and self._names.concern(xids := frozenset((item.xid, *item.subxids))):
            places = {one.place: self._table(one, xids) for one in item.changes}
        sums: dict[int, Change] = {}
        rows = 0
        for change in item.changes:
            try:
                table = places[change.place]
            except KeyError:
                table = places[change.place] = self._table(change)
            if table is None:
                continue
            rows += change.rows
            known = sums.get(table)
            if known is not None:
                counts = (a + b for a, b in zip(known[2:], change[2:], strict=True))
                change = Change(known.xid, known.place, *counts)
            sums[table] = change
        for table, change in sums.items():
            self._changes.add((table, change.inserted, change.updated, change.deleted))
        return rows

    def _table(self, change: Change, xids: frozenset[int] = frozenset()) -> int | None:
        """The number of the user's table that a file belongs to."""
        place = change.locator
        name = self._names.lookup(place.database, place.tablespace, place.number, xids)
        if not is_users_table(name, place.number):
            return None
        shown = one_line(str(name)) if name.name is not None else f"file {place.number}"
        database = name.database or self._names.database(place.database, xids)
        return self._tables.setdefault(Table(database, shown), len(self._tables))


def _oid_of(item: Happening) -> int | None:
    return item.action.oid if isinstance(item.action, DatabaseDropped) else None
