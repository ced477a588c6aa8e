"""Where the rows of a catalog's file lie, by their keys, so that many are found at once.

An index may lead to a place whose row has changed since: who asks looks at the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.wal.catalogrows import HIDDEN_OID, Layout
from pitr_tui.wal.heappage import (
    HAS_OID,
    LINE_POINTERS,
    PAGE_SIZE,
    TUPLE_HEADER,
    XMAX_COMMITTED,
    XMAX_INVALID,
    XMAX_IS_MULTI,
    XMAX_LOCK_ONLY,
    XMIN_ABORTED,
    XMIN_COMMITTED,
    HeapTuple,
)

_FIRST_XID = 3  # those below mean that there is none, or that it has long committed
_XMAX_DECIDED = XMAX_COMMITTED | XMAX_INVALID | XMAX_LOCK_ONLY | XMAX_IS_MULTI

_Numbers = NDArray[np.int64]
_Bytes = NDArray[np.uint8]


class _Rows(NamedTuple):
    """All row versions in many pages."""

    content: _Bytes
    places: _Numbers
    starts: _Numbers  # of their headers
    columns: _Numbers  # where their columns begin
    ends: _Numbers
    masks: _Numbers

    def numbers(self, at: _Numbers, known: NDArray[np.bool_]) -> _Numbers:
        """The four bytes at each place, as a number; 0 where it is not known to be there."""
        safe = np.where(known, at, 0)
        parts = [self.content[safe + k].astype(np.int64) << 8 * k for k in range(4)]
        return np.where(known, sum(parts, np.zeros(len(at), np.int64)), 0)


class KeyIndex:
    """The places of rows by one key: many sorted ones of a backup, and those of the WAL."""

    __slots__ = ("_added", "_keys", "_places")

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)
        self._added: dict[int, set[int]] = {}

    def load(self, keys: _Numbers, places: _Numbers) -> None:
        """Add many at once. Key 0 means that a row has none."""
        known = keys != 0
        keys = np.concatenate([self._keys, keys[known]])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._places = np.concatenate([self._places, places[known]])[order]

    def add(self, key: int, place: int) -> None:
        if key:
            self._added.setdefault(key, set()).add(place)

    def discard(self, key: int, place: int) -> None:
        places = self._added.get(key)
        if places is not None:
            places.discard(place)
            if not places:
                del self._added[key]

    def find(self, key: int) -> set[int]:
        first = int(np.searchsorted(self._keys, key, "left"))
        last = int(np.searchsorted(self._keys, key, "right"))
        return {*self._places[first:last].tolist(), *self._added.get(key, ())}

    def copy(self) -> KeyIndex:
        twin = KeyIndex()
        twin._keys, twin._places = self._keys, self._places  # never changed in place
        twin._added = {key: set(places) for key, places in self._added.items()}
        return twin


class RowIndex:
    """All the keys of one catalog's file."""

    __slots__ = ("_keys", "_layout")

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._keys = {name: KeyIndex() for name in layout.keys}

    def load(self, blocks: Iterable[int], content: bytes) -> None:
        """Index the rows of many pages, whose numbers `blocks` has in the same order."""
        if not self._keys:
            return
        rows = _rows(np.fromiter(blocks, np.int64), np.frombuffer(content, np.uint8))
        for name, index in self._keys.items():
            offset = self._layout.offsets[name]
            known = rows.columns + offset + 4 <= rows.ends
            if offset == HIDDEN_OID:
                known &= rows.masks & HAS_OID != 0
                known &= rows.columns - rows.starts >= TUPLE_HEADER - HIDDEN_OID
            index.load(rows.numbers(rows.columns + offset, known), rows.places)

    def add(self, block: int, found: HeapTuple) -> None:
        for name, key in self._layout.keys_of(found).items():
            self._keys[name].add(key, block << 16 | found.offset)

    def discard(self, block: int, found: HeapTuple) -> None:
        for name, key in self._layout.keys_of(found).items():
            self._keys[name].discard(key, block << 16 | found.offset)

    def find(self, name: str, key: int) -> Iterator[tuple[int, int]]:
        """Blocks and offsets of rows that have or had this key."""
        for place in self._keys[name].find(key):
            yield place >> 16, place & 0xFFFF

    def copy(self) -> RowIndex:
        twin = RowIndex(self._layout)
        twin._keys = {name: index.copy() for name, index in self._keys.items()}
        return twin


def undecided_xids(content: bytes) -> set[int]:
    """The transactions of which the rows in many pages do not tell how they ended."""
    rows = _rows(np.zeros(len(content) // PAGE_SIZE, np.int64), np.frombuffer(content, np.uint8))
    found: set[int] = set()
    for offset, decided in ((0, XMIN_COMMITTED | XMIN_ABORTED), (4, _XMAX_DECIDED)):
        open_ones = rows.masks & decided == 0
        xids = rows.numbers(rows.starts + offset, open_ones)
        found.update(np.unique(xids).tolist())
    return {xid for xid in found if xid >= _FIRST_XID}


def _rows(blocks: _Numbers, content: _Bytes) -> _Rows:
    """Find all row versions in pages that lie one behind the other."""
    pages = content[: len(blocks) * PAGE_SIZE].reshape(-1, PAGE_SIZE)
    lower = np.minimum(pages[:, 12:14].copy().view("<u2").ravel(), PAGE_SIZE).astype(np.int64)
    counts = np.maximum(lower - LINE_POINTERS, 0) // 4
    page = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    item = np.arange(len(page)) - first
    words = pages.reshape(-1).view("<u4") if len(pages) else np.empty(0, "<u4")
    pointers = words[page * (PAGE_SIZE // 4) + LINE_POINTERS // 4 + item].astype(np.int64)
    start, length = pointers & 0x7FFF, pointers >> 17
    sound = (pointers >> 15 & 3 == 1) & (length >= TUPLE_HEADER) & (start + length <= PAGE_SIZE)
    page, item, start, length = page[sound], item[sound], start[sound], length[sound]
    starts = page * PAGE_SIZE + start
    hoff = content[starts + TUPLE_HEADER - 1].astype(np.int64)
    masks = content[starts + 20].astype(np.int64) | content[starts + 21].astype(np.int64) << 8
    right = (hoff >= TUPLE_HEADER) & (hoff <= length)
    places = blocks[page] << 16 | item + 1
    table = (places, starts, starts + hoff, starts + length, masks)
    return _Rows(content, *(column[right] for column in table))
