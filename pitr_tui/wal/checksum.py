"""The checksums of many records at once.

CRC-32C is linear: the checksums of records of one length, XORed, are the checksum of the
records XORed, but for a constant. So many records are checked with a few checksums, at the
speed of memory. Damage to one record cannot hide in a sum; the same damage to two of them
would, so each record is in two sums, one with its neighbours and one with others from all over.
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
_FEW = 24  # records that are checked sooner one by one
_SUMS = 16


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
    octets = memoryview(words.view(np.uint8))  # type: ignore[arg-type]
    suspicious: list[int] = []
    for first, last in pairwise([0, *edges.tolist(), order.size]):
        group, length = order[first:last], int(ordered[first])
        if last - first <= _FEW or not _are_right(words, starts[group], length):
            suspicious += group.tolist()
    wrong = (k for k in suspicious if not _is_right(octets, int(starts[k]), int(lengths[k])))
    return min(wrong, default=None)


def _is_right(octets: memoryview, start: int, length: int) -> bool:
    """Whether the checksum of one record is right."""
    at = start * WORD
    stored = int.from_bytes(octets[at + _BEFORE_CRC : at + _HEADER], "little")
    payload = value(bytes(octets[at + _HEADER : at + length]))
    return bool(extend(payload, bytes(octets[at : at + _BEFORE_CRC])) == stored)


def _are_right(words: Words, starts: Numbers, length: int) -> bool:
    """Whether the sums of the checksums of records of one length are what they must be."""
    count, number = -(-length // WORD), len(starts)
    rows = _rows(words, starts, count)
    # In one sum are neighbours: an odd number of them, so that damage to all of them shows.
    near = number // _SUMS | 1
    blocks, rest = divmod(number, near)
    split = blocks * near * count
    sums = [(row, near) for row in _folded(rows[:split].reshape(blocks, -1), count)]
    if rest:
        sums.append((_folded(rows[split:].reshape(1, -1), count)[0], rest))
    # In the other is every sixteenth record.
    turns, rest = divmod(number, _SUMS)
    split = turns * _SUMS * count
    spread = np.bitwise_xor.reduce(rows[:split].reshape(turns, -1), axis=0).reshape(_SUMS, count)
    spread[:rest] ^= rows[split:].reshape(rest, count)
    sums += [(row, turns + (turn < rest)) for turn, row in enumerate(spread)]
    constant = _crc(bytes(length))
    return all(_is_sum(row.tobytes()[:length], many, constant) for row, many in sums)


def _is_sum(summed: bytes, number: int, constant: int) -> bool:
    """Whether the XOR of so many records holds the XOR of their checksums."""
    expected = _crc(summed) if number % 2 else _crc(summed) ^ constant
    return expected == int.from_bytes(summed[_BEFORE_CRC:_HEADER], "little")


def _crc(record: bytes) -> int:
    """The checksum of a record: of what follows its header, then of the header itself."""
    return int(extend(value(record[_HEADER:]), record[:_BEFORE_CRC]))


def _rows(words: Words, starts: Numbers, count: int) -> Words:
    """The `count` words at each of the places, one behind the other."""
    gaps = np.flatnonzero(starts[1:] - starts[:-1] != count) + 1
    if len(gaps) * _WORTH_A_SLICE < len(starts):  # most lie one behind the other
        edges = pairwise([0, *gaps.tolist(), len(starts)])
        runs = [words[starts[first] : starts[last - 1] + count] for first, last in edges]
        return runs[0] if len(runs) == 1 else np.concatenate(runs)
    windows = np.lib.stride_tricks.sliding_window_view(words, count)
    return windows[starts].ravel()


def _folded(blocks: Words, count: int) -> Words:
    """The XOR of the rows of each block: halves laid over each other are quicker than rows."""
    odd = np.zeros((len(blocks), count), dtype=np.uint64)
    while blocks.shape[1] > count:
        rows = blocks.shape[1] // count
        if rows % 2:
            odd ^= blocks[:, -count:]
        half = rows // 2 * count
        blocks = blocks[:, :half] ^ blocks[:, half : 2 * half]
    return blocks ^ odd
