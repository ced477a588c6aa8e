"""The checksums of many records at once.

CRC-32C is linear: the checksums of records of one length, XORed, are the checksum of the
records XORed, but for a constant. So a window of WAL is checked with one checksum a length
instead of one a record, at the speed of memory. Damage to a record cannot hide in that: it
changes the sum, and only other damage that happens to change it back (one in 2^32) would.
Source: src/backend/access/transam/xlogreader.c (ValidXLogRecord).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from google_crc32c import extend, value

from pitr_tui.wal.pages import WORD, Numbers, Words

_HEADER = 24
_BEFORE_CRC = 20
_WORTH_A_SLICE = 16
_MAX_GATHERED_WORDS = 1 << 18  # 2 MB at a time


def first_damaged(words: Words, starts: Numbers, lengths: Numbers) -> int | None:
    """The number of the first record whose checksum is wrong, or None if all are right.

    `starts` are the places of whole records in `words`, ascending, `lengths` their bytes.
    """
    if not lengths.size:
        return None
    short = lengths.astype(np.uint16) if lengths.max() < 1 << 16 else lengths  # sorted quicker
    order = np.argsort(short, kind="stable")
    ordered = lengths[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    suspicious: list[int] = []
    for first, last in pairwise([0, *edges.tolist(), order.size]):
        group = order[first:last]
        if not _is_right(words, starts[group], int(ordered[first])):
            suspicious += group.tolist()
    for k in sorted(suspicious):
        if not _is_right(words, starts[k : k + 1], int(lengths[k])):
            return k
    return None


def _is_right(words: Words, starts: Numbers, length: int) -> bool:
    """Whether the XOR of the checksums of records of one length is what it must be."""
    summed = _xor(words, starts, -(-length // WORD)).tobytes()[:length]
    stored = int.from_bytes(summed[_BEFORE_CRC:_HEADER], "little")
    expected = _crc(summed)
    if len(starts) % 2 == 0:
        expected ^= _crc(bytes(length))
    return stored == expected


def _crc(record: bytes) -> int:
    """The checksum of a record: of what follows its header, then of the header itself."""
    return int(extend(value(record[_HEADER:]), record[:_BEFORE_CRC]))


def _xor(words: Words, starts: Numbers, count: int) -> Words:
    """The XOR of the `count` words at each of the places."""
    if len(starts) == 1:
        return words[starts[0] : starts[0] + count]
    total = np.zeros(count, dtype=np.uint64)
    gaps = np.flatnonzero(starts[1:] - starts[:-1] != count) + 1
    if len(gaps) * _WORTH_A_SLICE < len(starts):  # most lie one behind the other
        for first, last in pairwise([0, *gaps.tolist(), len(starts)]):
            total ^= _folded(words[starts[first] : starts[last - 1] + count], count)
        return total
    step = max(1, _MAX_GATHERED_WORDS // count)
    windows = np.lib.stride_tricks.sliding_window_view(words, count)
    for at in range(0, len(starts), step):
        total ^= _folded(windows[starts[at : at + step]].ravel(), count)
    return total


def _folded(rows: Words, count: int) -> Words:
    """The XOR of rows of `count` words: halves laid over each other are quicker than rows."""
    odd = np.zeros(count, dtype=np.uint64)
    while rows.size > count:
        if rows.size // count % 2:
            odd ^= rows[-count:]
        half = rows.size // count // 2 * count
        rows = rows[:half] ^ rows[half : 2 * half]
    return rows ^ odd
