"""Records counted in bulk: what each transaction changed, and which records need a closer look.

Source: src/include/access/heapam_xlog.h (record kinds), src/include/access/xlogrecord.h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.chain import Records, Stretch
from pitr_tui.wal.facts import CHANGE, NO_TIME, NOTE, PLACE, SPAN, Table, Tally
from pitr_tui.wal.pages import WORD, Numbers, Words
from pitr_tui.wal.record import Manager

_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_HEADER_BYTES = 24
_MAX_BLOCK_ID = 32
_LEAST_WITH_BLOCK = 44  # a header, a block's with its relation and number
_HAS_IMAGE, _HAS_HOLE, _SAME_RELATION = 0x10, 0x01, 0x80
_MOST_HEADERS = 8  # far more than an insert of many has before its main data
_SHORT_DATA, _ORIGIN, _TOP_XID = 255, 253, 252
_MOST_ROWS = 8191  # more tuples than any page can hold

# What a record did to rows; the first five are columns of CHANGE.
_INSERTED, _UPDATED, _HOT_UPDATED, _DELETED, _IMAGES, _NOTHING, _MANY = range(7)
_EFFECT, _IS_KEPT, _HAS_BLOCK = 0x0F, 0x10, 0x20
_COUNTED = ("inserted", "updated", "hot_updated", "deleted", "images")

# Managers all of whose records are kept; of XLOG all but those that only allocate or copy.
_KEPT_MANAGERS = (
    Manager.TRANSACTION,
    Manager.DATABASE,
    Manager.TABLESPACE,
    Manager.RELMAP,
)
_XLOG_NOOP, _XLOG_NEXTOID, _XLOG_HINT_IMAGE, _XLOG_IMAGE = 0x20, 0x30, 0xA0, 0xB0
_HEAP_TRUNCATE = 0x30
_HEAP2_MULTI_INSERT = 0x50
_COMMIT, _ABORT = Manager.TRANSACTION << 8, Manager.TRANSACTION << 8 | 0x20
_PLAIN_ENDING_BYTES, _ANNOUNCE_TIME = 34, 8 << 8 | _SHORT_DATA


def _lookup_table() -> NDArray[np.uint8]:
    """By manager << 8 | info: the effect on rows, with the flags of what is to be done."""
    table = np.full(1 << 16, _NOTHING, dtype=np.uint8)
    for manager in _KEPT_MANAGERS:
        table[manager << 8 : (manager + 1) << 8] |= _IS_KEPT
    heap = {0x00: _INSERTED, 0x10: _DELETED, 0x20: _UPDATED, 0x40: _HOT_UPDATED}
    for info in range(256):
        xlog, own, more = (m << 8 | info for m in (Manager.XLOG, Manager.HEAP, Manager.HEAP2))
        if info & 0xF0 in (_XLOG_IMAGE, _XLOG_HINT_IMAGE):
            table[xlog] = _IMAGES | _HAS_BLOCK
        elif info & 0xF0 not in (_XLOG_NOOP, _XLOG_NEXTOID):
            table[xlog] |= _IS_KEPT
        table[own] = heap.get(info & 0x70, _NOTHING) | _HAS_BLOCK
        if info & 0x70 == _HEAP_TRUNCATE:
            table[own] |= _IS_KEPT
        table[more] = (_MANY if info & 0x70 == _HEAP2_MULTI_INSERT else _NOTHING) | _HAS_BLOCK
    return table


_KINDS = _lookup_table()
Grouping: TypeAlias = Callable[[Table], Table]


def as_array(watched: Iterable[int]) -> NDArray[np.uint64]:
    """File numbers as `Counter` takes them."""
    return np.array(sorted(watched), dtype=np.uint64)


@dataclass(slots=True)
class Counter:
    """Adds up the records of one stretch after the other.

    `watched` are file numbers, in whatever database, whose records are kept too.
    """

    version: PostgresVersion
    watched: NDArray[np.uint64]
    _records: int = 0
    _spans: list[Table] = field(default_factory=list)
    _changes: list[Table] = field(default_factory=list)
    _notes: list[Table] = field(default_factory=list)
    _kept: bytearray = field(default_factory=bytearray)

    def add(self, stretch: Stretch, records: Records) -> None:
        """Count what records did. Their checksums were right, so they do not lie."""
        if not records.places.size:
            return
        words, places = stretch.words, records.places
        self._records += places.size
        xids = records.heads >> _32
        kinds = _KINDS[words.view(np.uint16)[places * 4 + 8]]  # by manager << 8 | info
        self._spans.append(_spans(stretch, records, xids))
        kept = (kinds & _IS_KEPT) != 0
        located = np.flatnonzero(kinds & _HAS_BLOCK)
        if records.lengths.min() < _LEAST_WITH_BLOCK:
            located = located[records.lengths[located] >= _LEAST_WITH_BLOCK]
        if located.size:
            located, spaces, files = _locators(stretch, places, located, self.version)
        if located.size:
            effects = kinds[located] & np.uint8(_EFFECT)
            counts = _row_counts(stretch, records, located, effects, self.version)
            self._changes.append(_changes(xids[located], spaces, files, effects, counts))
            kept[located[self._watched(files)]] = True
        self._keep(stretch, records, np.flatnonzero(kept))

    def _watched(self, files: Words) -> Numbers:
        """Which are watched; file numbers are in the upper half, and most are larger than these."""
        if not self.watched.size:
            return np.empty(0, dtype=np.int64)
        maybe = np.flatnonzero(files < (self.watched[-1] + np.uint64(1)) << _32)
        return maybe[np.isin(files[maybe] >> _32, self.watched)]

    def result(self) -> Tally:
        return Tally(
            self._records,
            _joined(self._spans, SPAN, _grouped_spans),
            _joined(self._changes, CHANGE, _grouped_changes),
            np.concatenate(self._notes) if self._notes else np.empty(0, NOTE),
            bytes(self._kept),
        )

    def _keep(self, stretch: Stretch, records: Records, which: Numbers) -> None:
        """Copy some records with where they lie."""
        if not which.size:
            return
        octets = memoryview(stretch.words.view(np.uint8))  # type: ignore[arg-type]
        notes = np.empty(which.size, NOTE)
        lengths = records.lengths[which]
        notes["lsn"], notes["length"] = records.lsns[which], lengths
        notes["end"] = stretch.ends(records.after(which))
        notes["xid"] = records.heads[which] >> _32
        notes["kind"] = stretch.words[records.places[which] + 2] & np.uint64(0xFFFF)
        notes["time"] = _plain_times(stretch.words, records, which)
        notes["offset"] = len(self._kept) + np.concatenate(([0], np.cumsum(lengths[:-1])))
        starts = records.places[which] * WORD
        for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True):
            self._kept += octets[start:end]
        self._notes.append(notes)


def _plain_times(words: Words, records: Records, which: Numbers) -> Numbers:
    """The times of commits and aborts that have no other data: 34 bytes, the time the last 8."""
    times = np.full(which.size, NO_TIME, dtype=np.int64)
    at = records.places[which]
    plain = np.flatnonzero(records.lengths[which] == _PLAIN_ENDING_BYTES)
    at = at[plain]
    # The header's last word, two bytes that announce eight of main data, and their first six.
    announced = (words[at + 3] & np.uint64(0xFFFF)) == np.uint64(_ANNOUNCE_TIME)
    kinds = words[at + 2] & np.uint64(0xFFFF)
    ends = (kinds == np.uint64(_COMMIT)) | (kinds == np.uint64(_ABORT))
    right = announced & ends
    plain, at = plain[right], at[right]
    low, high = words[at + 3] >> np.uint64(16), words[at + 4] << np.uint64(48)
    times[plain] = (low | high).view(np.int64)
    return times


def _spans(stretch: Stretch, records: Records, xids: Words) -> Table:
    """A row for each run of records of one transaction id; those of none are left out."""
    first = _run_starts(xids)
    table = np.empty(first.size, SPAN)
    table["xid"] = xids[first]
    table["first"] = records.lsns[first]
    last = np.append(first[1:], xids.size) - 1
    table["end"] = stretch.ends(records.after(last))
    table["records"] = last - first + 1
    table["bytes"] = np.add.reduceat(records.lengths, first)
    with_xid: Table = table[table["xid"] != 0]
    return with_xid


def _locators(
    stretch: Stretch, places: Numbers, which: Numbers, version: PostgresVersion
) -> tuple[Numbers, Words, Words]:
    """Of those records that refer to a block: tablespace, and file number << 32 | database."""
    words = stretch.words
    at = places[which]
    heads = words[at + 3]
    unusual = heads & np.uint64(_HAS_IMAGE << 8 | 0xFF)  # an image, another block than the first
    if (unusual & np.uint64(0xFF)).any():
        has_block = (heads & np.uint64(0xFF)) <= np.uint64(_MAX_BLOCK_ID)
        which, at = which[has_block], at[has_block]
        heads, unusual = heads[has_block], unusual[has_block]
    spaces = heads >> _32
    pairs = words[at + 4]
    imaged = np.flatnonzero(unusual & np.uint64(_HAS_IMAGE << 8))
    if imaged.size:
        octets = words.view(np.uint8)
        start = at[imaged] * WORD + _HEADER_BYTES
        start = start + _locator_offsets(octets, start, version)
        found = octets[start[:, None] + np.arange(12)].view("<u4")
        spaces[imaged] = found[:, 0]
        pairs[imaged] = found[:, 1] | found[:, 2].astype(np.uint64) << _32
    return which, spaces, pairs


def _locator_offsets(
    octets: NDArray[np.uint8], heads: Numbers, version: PostgresVersion
) -> Numbers:
    """How far behind its first byte a block's header names the relation."""
    imaged = (octets[heads + 1] & _HAS_IMAGE) != 0
    flags = octets[np.where(imaged, heads + 8, heads)]
    holed = imaged & ((flags & _HAS_HOLE) != 0) & ((flags & version.compressed_image_flags) != 0)
    return np.where(imaged, np.where(holed, 11, 9), 4)


def _row_counts(
    stretch: Stretch,
    records: Records,
    which: Numbers,
    effects: NDArray[np.uint8],
    version: PostgresVersion,
) -> Numbers | None:
    """How many rows each record changed: one, or as many as an insert of many says.

    None when it is one each. `effects` of those of many become plain inserts.
    """
    many = np.flatnonzero(effects == _MANY)
    if not many.size:
        return None
    counts = np.ones(which.size, dtype=np.int64)
    octets = stretch.words.view(np.uint8)
    starts = records.places[which[many]] * WORD
    ends = starts + records.lengths[which[many]]
    heads = starts + _HEADER_BYTES
    at, behind = heads, heads
    for _ in range(_MOST_HEADERS):  # blocks; who began the record elsewhere; the top xid
        at = np.minimum(behind, ends - 12)
        kind = octets[at]
        same = np.where(octets[at + 1] & _SAME_RELATION, 0, 12)
        block = _locator_offsets(octets, at, version) + same + 4
        step = np.where(kind <= _MAX_BLOCK_ID, block, 0)
        behind = at + np.where(kind == _ORIGIN, 3, np.where(kind == _TOP_XID, 5, step))
        if (behind == at).all():
            break
    at = np.minimum(at, ends - 5)
    long_length = octets[at[:, None] + np.arange(1, 5)].view("<u4").ravel()
    lengths = np.where(octets[at] == _SHORT_DATA, octets[at + 1], long_length).astype(np.int64)
    rows_at = np.clip(ends - lengths + 2, starts, ends - 2)  # behind one byte of flags, padded
    rows = octets[rows_at].astype(np.int64) | octets[rows_at + 1].astype(np.int64) << 8
    counts[many] = np.minimum(rows, _MOST_ROWS)
    effects[many] = _INSERTED
    return counts


def _changes(
    xids: Words, spaces: Words, files: Words, effects: NDArray[np.uint8], counts: Numbers | None
) -> Table:
    """A row for each run of records with one effect on one relation by one transaction."""
    first = _run_starts(xids, files, spaces, effects)
    totals = np.diff(first, append=xids.size) if counts is None else np.add.reduceat(counts, first)
    effect = effects[first]
    table = np.zeros(first.size, CHANGE)
    table["xid"], place = xids[first], table["place"]
    place["tablespace"] = spaces[first]
    place["number"], place["database"] = files[first] >> _32, files[first] & _LOW_32
    for code, column in enumerate(_COUNTED):
        table[column] = np.where(effect == code, totals, 0)
    table["updated"] += table["hot_updated"]
    counted: Table = table[(effect != _NOTHING) & (table["xid"] != 0)]
    return counted


def _run_starts(*keys: NDArray[np.unsignedinteger]) -> Numbers:
    """Where runs of equal neighbours begin."""
    differs = keys[0][1:] != keys[0][:-1]
    for key in keys[1:]:
        differs |= key[1:] != key[:-1]
    return np.concatenate(([0], np.flatnonzero(differs) + 1))


def _joined(parts: Sequence[Table], kind: np.dtype[np.void], grouped: Grouping) -> Table:
    parts = [part for part in parts if part.size]
    return grouped(np.concatenate(parts)) if parts else np.empty(0, kind)


def _grouped_spans(table: Table) -> Table:
    """One row for each transaction id."""
    table = table[np.argsort(table["xid"], kind="stable")]
    first = _run_starts(table["xid"])
    grouped = table[first]
    for column in ("records", "bytes"):
        grouped[column] = np.add.reduceat(table[column], first)
    grouped["first"] = np.minimum.reduceat(table["first"], first)
    grouped["end"] = np.maximum.reduceat(table["end"], first)
    return grouped


def _grouped_changes(table: Table) -> Table:
    """One row for each transaction id and relation file, ordered by the former."""
    place = table["place"]
    key = table["xid"].astype(np.uint64) << _32 | place["number"]
    order = np.argsort(key, kind="stable")
    found, keys = table[order], key[order]
    mixed = found["place"][1:] != found["place"][:-1]
    if (mixed & (keys[1:] == keys[:-1])).any():  # files of one number in several databases
        found = table[np.lexsort([place["tablespace"], place["database"], key])]
    first = _run_starts(found["xid"], *(found["place"][name] for name in PLACE.names or ()))
    grouped = found[first]
    for column in _COUNTED:
        grouped[column] = np.add.reduceat(found[column], first)
    return grouped
