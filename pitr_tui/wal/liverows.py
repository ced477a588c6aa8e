"""How many rows lie in heap pages, counted for all of them at once.

Source: src/include/storage/itemid.h, src/include/access/htup_details.h.
"""

from __future__ import annotations

import numpy as np

from pitr_tui.wal.heappage import (
    LINE_POINTERS,
    PAGE_SIZE,
    TUPLE_HEADER,
    XMAX_INVALID,
    XMAX_LOCK_ONLY,
    XMIN_ABORTED,
    XMIN_COMMITTED,
)

_FROZEN = XMIN_COMMITTED | XMIN_ABORTED
_NORMAL = 1
_POINTER = 4
_MOST_POINTERS = (PAGE_SIZE - LINE_POINTERS) // _POINTER
_XMAX, _INFOMASK = 4, 20  # where they lie in a row's header


def live_rows(content: bytes) -> int:
    """The rows in whole pages that nobody deleted, as far as their own headers tell.

    About as good as an estimate of ANALYZE: who inserted or deleted a row and came to nothing
    is only known where a hint bit says so.
    """
    pages = len(content) // PAGE_SIZE
    octets = np.frombuffer(content, np.uint8, pages * PAGE_SIZE)
    lower = octets.view("<u2").reshape(pages, PAGE_SIZE // 2)[:, 6].astype(np.int64)
    counts = np.clip((lower - LINE_POINTERS) // _POINTER, 0, _MOST_POINTERS)
    begins = np.repeat(np.arange(pages) * PAGE_SIZE, counts)
    nth = np.arange(begins.size) - np.repeat(np.cumsum(counts) - counts, counts)
    pointers = octets.view("<u4")[(begins + LINE_POINTERS) // _POINTER + nth].astype(np.int64)
    offsets = pointers & 0x7FFF
    there = (pointers >> 15 & 3 == _NORMAL) & (offsets <= PAGE_SIZE - TUPLE_HEADER)
    at = (begins + offsets)[there]
    masks = (
        octets[at + _INFOMASK].astype(np.int64) | octets[at + _INFOMASK + 1].astype(np.int64) << 8
    )
    deleted = np.zeros(at.size, dtype=np.bool_)
    for k in range(4):
        deleted |= octets[at + _XMAX + k] != 0
    deleted &= masks & (XMAX_INVALID | XMAX_LOCK_ONLY) == 0
    aborted = masks & _FROZEN == XMIN_ABORTED
    return int(np.count_nonzero(~deleted & ~aborted))
