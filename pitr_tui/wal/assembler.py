"""Transactions put together from what segment after segment says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.actions import Action, DatabaseDropped, decode_action
from pitr_tui.wal.catalog import RowChange
from pitr_tui.wal.columns import as_array
from pitr_tui.wal.facts import NO_TIME, Note, SegmentFacts, Tally
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.record import DamagedRecord, Locator, Manager, Record
from pitr_tui.wal.seam import Seam, Unread
from pitr_tui.wal.transactions import Change, Happening, Item, Kind, Transaction
from pitr_tui.wal.xact import Abort, Assignment, Commit, Prepare
from pitr_tui.wal.xlog import Checkpoint, EndOfRecovery

_COMMIT = Manager.TRANSACTION << 8
_WITH_ROWS = (Manager.XLOG, Manager.HEAP, Manager.HEAP2)
_HALF = 1 << 31
_EVERYWHERE = 1 << 64
_FIRST_NORMAL_XID = 3  # those below are initdb's


class CatalogWatcher(Protocol):
    """Who is told of catalog records and of how transactions end (`Catalog`)."""

    @property
    def watched(self) -> frozenset[int]: ...
    def apply(self, record: Record) -> Iterable[RowChange]: ...
    def apply_action(self, action: Action) -> None: ...
    def committed(self, xids: Iterable[int]) -> None: ...
    def aborted(self, xids: Iterable[int]) -> None: ...


@dataclass(slots=True)
class _Open:
    """A transaction id at work; `changes` has its rows of CHANGE of each segment."""

    first: int
    end: int
    bytes: int
    records: int
    changes: list[Change]
    segments: int = 1
    unseen: bool = False  # since it began, there was WAL that could not be read
    rows: list[RowChange] | None = None
    actions: list[Action] | None = None


@dataclass(slots=True)
class Assembler:
    """Takes the facts of segments in the order of the WAL and gives what they amount to.

    Items come in the order of the WAL too. Of names nothing is known here: the catalog is
    told of each record when its turn comes, so that it can be asked when an item appears.

    A catalog that is written anew, as by VACUUM FULL, has its records elsewhere from then on.
    `read_again` has to give the facts of the segments from a position to the one that was
    added last, read with the records of what the catalog watches then.
    """

    history: TimelineHistory
    catalog: CatalogWatcher
    seam: Seam
    read_again: Callable[[Lsn], Iterable[SegmentFacts]]
    _watched: frozenset[int] = field(default=frozenset(), init=False)
    _open: dict[int, _Open] = field(default_factory=dict, init=False)
    _tops: dict[int, int] = field(default_factory=dict, init=False)
    _prepared: dict[int, tuple[str, tuple[int, ...]]] = field(default_factory=dict, init=False)
    _last_first: int = field(default=0, init=False)  # where the one began that ended last
    _end: Lsn | None = field(default=None, init=False)
    _begin: Lsn | None = field(default=None, init=False)  # of what was read without a break
    _next_xid: int | None = field(default=None, init=False)  # with epoch, at the last checkpoint
    _known_from: int | None = field(default=None, init=False)  # xids given out behind `_begin`

    def __post_init__(self) -> None:
        self._watched = self.catalog.watched

    def add(self, facts: SegmentFacts) -> Iterator[Item]:
        """What a segment, or a part of one, adds to what was read before it."""
        if self.seam.passes_over(facts):
            return
        unread, joined = self.seam.join(facts)
        if unread is not None:
            self._begin, self._known_from = None, None
            for one in self._open.values():
                one.unseen = True
            yield unread
        if self._begin is None:
            self._begin = facts.first_lsn
        self._end = facts.end
        timeline = self.history.owner(facts.start)
        segment_end = facts.start + facts.segment_size
        forked = any(facts.start < fork.switch_lsn < segment_end for fork in self.history.forks)
        tallies = [tally for tally in (joined, facts.tally) if tally is not None]
        for tally in tallies:
            self._count(tally)
        done = -1
        while tallies:
            tally = tallies.pop(0)
            for row in tally.notes.tolist():
                lsn, end, time, _, _, xid, kind = row
                if lsn <= done:
                    continue
                done = lsn
                if forked:
                    timeline = self.history.owner(Lsn(lsn))
                where = _Where(lsn, end, timeline)
                if time != NO_TIME:  # most of them end a transaction and say no more
                    how = Kind.COMMIT if kind == _COMMIT else Kind.ABORT
                    yield self._ended(xid, how, time, where)
                else:
                    yield from self._read_note(tally, Note._make(row), facts.version, where)
                if self.catalog.watched is not self._watched:
                    tallies = [self._watch_others(Note._make(row), facts.start)]
                    break

    def finish(self) -> Iterator[Item]:
        """Transactions that had not ended, oldest first, and where the reading ended."""
        yield from self._unfinished(Kind.IN_PROGRESS, _EVERYWHERE)
        unread = self.seam.end()
        if unread is None and self._end is not None:
            unread = Unread(self._end, None, Ending.LAST, "there is no later segment")
        if unread is not None:
            yield unread

    def _unfinished(self, kind: Kind, before: int) -> Iterator[Transaction]:
        """All that began before a position and did not end, oldest first; prepared ones last."""
        lasting = {xid for top, (_, below) in self._prepared.items() for xid in (top, *below)}
        subxids: dict[int, list[int]] = {}
        begun = [xid for xid, one in self._open.items() if one.first < before]
        for xid in sorted(begun, key=lambda xid: self._open[xid].first):
            top = self._tops.get(xid, xid)
            subxids.setdefault(top, []).extend([xid] * (xid != top))
        for top, below in subxids.items():
            if top in lasting or top < _FIRST_NORMAL_XID:
                continue
            parts = [self._open[xid] for xid in (top, *below) if xid in self._open]
            last = max(part.end for part in parts)
            where = _Where(last, last, self.history.owner(Lsn(last)))
            how = Kind.UNKNOWN if any(part.unseen for part in parts) else kind
            yield self._ended(top, how, None, where, tuple(below))

    def _count(self, tally: Tally) -> None:
        """Add what transaction ids did in a segment to what they did before."""
        known, spans = self._open, tally.spans
        changes = [*map(Change._make, tally.changes.tolist())]
        edges = np.searchsorted(tally.changes["xid"], spans["xid"], side="right").tolist()
        at = 0
        for (xid, records, first, end, size), edge in zip(spans.tolist(), edges, strict=True):
            mine = changes[at:edge]
            at = edge
            one = known.get(xid)
            if one is None:
                known[xid] = _Open(first, end, size, records, mine)
            else:
                one.end, one.segments = end, one.segments + 1
                one.bytes += size
                one.records += records
                one.changes += mine

    def _read_note(
        self, tally: Tally, note: Note, version: PostgresVersion, where: _Where
    ) -> Iterator[Item]:
        record = tally.record(note, version)
        try:
            yield from self._read(record, where)
        except DamagedRecord as error:
            yield Unread(record.lsn, record.end, Ending.DAMAGED, str(error))

    def _watch_others(self, note: Note, added: Lsn) -> Tally:
        """Take what other files got before it was known that they are catalogs.

        Gives the last segment's records again, with all that are watched from here on.
        """
        new = self.catalog.watched - self._watched
        self._watched = self.catalog.watched
        self.seam.watched = as_array(self._watched)
        running = self._open.get(note.xid)
        since = running.first if running else min(note.lsn, self._last_first)
        seam, last, ended = Seam(self.seam.watched), None, set[int]()
        for facts in self.read_again(Lsn(since)):
            if seam.passes_over(facts):
                continue
            _, joined = seam.join(facts)
            last = facts
            for tally in filter(None, (joined, facts.tally)):
                for earlier in tally.each_note():
                    if since <= earlier.lsn <= note.lsn and earlier.kind >> 8 in _WITH_ROWS:
                        self._catch_up(tally.record(earlier, facts.version), new)
                        ended |= {earlier.xid} - self._open.keys()
        self.catalog.committed(ended)  # only by a commit a catalog gets another file
        if last is None or last.start != added:
            raise PitrError(
                "the archive changed while it was read",
                f"the segment that begins at {added} cannot be read a second time",
                "try again once nothing removes segments from it",
            )
        return last.tally

    def _catch_up(self, record: Record, new: frozenset[int]) -> None:
        try:
            if any(block.locator.number in new for block in record.body().blocks):
                self.catalog.apply(record)
        except DamagedRecord:
            return  # it was told when it was read first

    def _read(self, record: Record, where: _Where) -> Iterator[Item]:
        action = decode_action(record)
        if action is None:
            rows = self.catalog.apply(record)
            one = self._open.get(record.xid)
            if one is not None and rows:
                one.rows = [*(one.rows or ()), *rows]
        elif isinstance(action, Commit | Abort):
            yield self._committed_or_aborted(action, where)
        elif isinstance(action, Prepare):
            self._prepared[action.xid] = (action.gid, action.subxids)
            yield self._ended(action.xid, Kind.PREPARE, action.time, where, action.subxids)
        elif isinstance(action, Assignment):
            self._tops.update(dict.fromkeys(action.subxids, action.top))
        else:
            self.catalog.apply_action(action)
            one = self._open.get(record.xid)
            if one is None:
                self._learn_xids(action)
                if _went_down(action):
                    yield from self._unfinished(Kind.CUT_OFF, record.lsn)
                yield Happening(record.lsn, record.end, where.timeline, action)
            else:
                one.actions = [*(one.actions or ()), action]
                if isinstance(action, DatabaseDropped):  # at once, whatever becomes of it
                    yield Happening(record.lsn, record.end, where.timeline, action)

    def _learn_xids(self, action: Action) -> None:
        """A checkpoint tells the epoch, and which xids were given out since its redo began."""
        if not isinstance(action, Checkpoint):
            return
        self._next_xid = action.next_xid
        if self._known_from is None and self._begin is not None and action.redo >= self._begin:
            self._known_from = action.next_xid & 0xFFFFFFFF

    def _committed_or_aborted(self, action: Commit | Abort, where: _Where) -> Transaction:
        if isinstance(action, Commit):
            kind = Kind.COMMIT_PREPARED if action.prepared else Kind.COMMIT
        else:
            kind = Kind.ABORT_PREPARED if action.prepared else Kind.ABORT
        dropped = action.dropped if isinstance(action, Commit) else ()
        return self._ended(action.xid, kind, action.time, where, action.subxids, dropped)

    def _ended(
        self,
        xid: int,
        kind: Kind,
        time: int | None,
        where: _Where,
        subxids: tuple[int, ...] = (),
        dropped: tuple[Locator, ...] = (),
    ) -> Transaction:
        take = self._open.get if kind is Kind.PREPARE else self._open.pop
        one = take(xid, None)
        if one is None or subxids:
            below = (take(sub, None) for sub in subxids)
            one = _together([part for part in (one, *below) if part is not None], where)
        top, gid = self._tops.get(xid, xid), None
        if kind is not Kind.PREPARE and self._tops:
            for ended in (xid, *subxids):
                self._tops.pop(ended, None)
        if xid in self._prepared:
            gid, _ = self._prepared[xid] if kind is Kind.PREPARE else self._prepared.pop(xid)
        self._last_first = one.first
        self._tell_catalog(kind, (xid, *subxids))
        return Transaction(
            xid,
            top,
            self._full_xid(xid),
            kind,
            time,
            Lsn(where.lsn),
            Lsn(where.end),
            Lsn(one.first),
            one.bytes,
            one.records,
            subxids,
            gid,
            one.unseen or self._may_be_older(xid),
            tuple(one.changes) if one.segments == 1 else _summed(one.changes),
            dropped,
            tuple(one.rows or ()),
            tuple(one.actions or ()),
            where.timeline,
        )

    def _may_be_older(self, xid: int) -> bool:
        """Whether an xid may have been given out before what is read without a break."""
        return self._known_from is None or (xid - self._known_from) % (2 * _HALF) >= _HALF

    def _tell_catalog(self, kind: Kind, xids: tuple[int, ...]) -> None:
        """Of every transaction, because a backup has rows of some that ended later."""
        if kind in (Kind.COMMIT, Kind.COMMIT_PREPARED):
            self.catalog.committed(xids)
        elif kind in (Kind.ABORT, Kind.ABORT_PREPARED, Kind.CUT_OFF):
            self.catalog.aborted(xids)

    def _full_xid(self, xid: int) -> int | None:
        """The xid with its epoch: the one nearest to the next xid of the last checkpoint."""
        if self._next_xid is None:
            return None
        ahead = (xid - self._next_xid + _HALF) % (2 * _HALF) - _HALF
        return self._next_xid + ahead


class _Where(NamedTuple):
    """The record that ends a transaction."""

    lsn: int
    end: int
    timeline: TimelineId


def _went_down(action: Action) -> bool:
    """Whether no transaction outlives this record: a clean shutdown, a crash, a promotion."""
    return isinstance(action, EndOfRecovery) or (isinstance(action, Checkpoint) and action.shutdown)


def _together(parts: list[_Open], where: _Where) -> _Open:
    """A transaction with its subtransactions as one; of none of which a record was read."""
    if not parts:
        return _Open(where.lsn, where.end, 0, 0, [])
    return _Open(
        first=min(part.first for part in parts),
        end=max(part.end for part in parts),
        bytes=sum(part.bytes for part in parts),
        records=sum(part.records for part in parts),
        changes=[row for part in parts for row in part.changes],
        segments=2,
        unseen=any(part.unseen for part in parts),
        rows=[row for part in parts for row in part.rows or ()],
        actions=[action for part in parts for action in part.actions or ()],
    )


def _summed(changes: list[Change]) -> tuple[Change, ...]:
    """One for each relation file."""
    sums: dict[tuple[int, int, int], Change] = {}
    for change in changes:
        known = sums.get(change.place)
        if known is not None:
            counts = (a + b for a, b in zip(known[2:], change[2:], strict=True))
            change = Change(known.xid, known.place, *counts)
        sums[change.place] = change
    return tuple(sums.values())
