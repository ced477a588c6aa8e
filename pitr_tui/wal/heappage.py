"""Heap pages: the rows that lie in them, and the changes that WAL records make to them.

Of a page only what rows need is kept right: where they lie, who wrote and deleted them. Any
bytes can be taken for a page; what does not make sense in them is passed over.
Source: src/include/storage/bufpage.h, src/include/access/htup_details.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pitr_tui.wal.record import DamagedRecord

PAGE_SIZE = 8192
TUPLE_HEADER = 23  # bytes; what follows are null bits, padding, and up to 11 the oid
LINE_POINTERS = 24  # where a page's header ends and the line pointers begin

HAS_OID = 0x0008
XMAX_EXCLUSIVE_LOCK, XMAX_LOCK_MASK, XMAX_LOCK_ONLY = 0x0040, 0x0050, 0x0080
XMIN_COMMITTED, XMIN_ABORTED = 0x0100, 0x0200  # both: frozen
XMAX_COMMITTED, XMAX_INVALID, XMAX_IS_MULTI = 0x0400, 0x0800, 0x1000
_XMAX_BITS = XMAX_COMMITTED | XMAX_INVALID | XMAX_IS_MULTI | XMAX_LOCK_MASK | XMAX_LOCK_ONLY

_LAST_OFFSET = (PAGE_SIZE - LINE_POINTERS) // 4
_NORMAL = 1
_LSN = struct.Struct("<II")
_BOUNDS = struct.Struct("<HHHH")  # lower, upper, special, size and version
_EMPTY_BOUNDS = (LINE_POINTERS, PAGE_SIZE, PAGE_SIZE, PAGE_SIZE | 4)
_U32 = struct.Struct("<I")
_TUPLE = struct.Struct("<IIIHHHHHB")
_DELETION = struct.Struct("<IIHHH")  # xmax, command, and ctid


class HeapTuple(NamedTuple):
    """A row version: who wrote it, who deleted or locked it, and where its successor is."""

    offset: int  # the number of its line pointer, from 1
    xmin: int
    xmax: int
    infomask: int
    ctid: tuple[int, int]  # block and offset of the next version, or its own
    oid: int  # 0 where it is a column or there is none
    data: bytes  # the columns

    @property
    def deleter(self) -> int:
        """The transaction that deleted or replaced it; 0: none, or one that cannot be told.

        A multixact that is no mere lock names its members elsewhere.
        """
        mask = self.infomask
        if mask & (XMAX_INVALID | XMAX_LOCK_ONLY | XMAX_IS_MULTI):
            return 0
        return 0 if mask & XMAX_LOCK_MASK == XMAX_EXCLUSIVE_LOCK else self.xmax


def tuple_bytes(xid: int, masks: tuple[int, int], hoff: int, rest: bytes) -> bytes:
    """A row version that `xid` writes: infomask2 and infomask, and what follows the header."""
    return _TUPLE.pack(xid, 0, 0, 0, 0, 0, *masks, hoff) + rest


class HeapPage:
    """One page that can be changed."""

    __slots__ = ("_bytes",)

    def __init__(self, data: bytes = b"") -> None:
        self._bytes = bytearray(data[:PAGE_SIZE].ljust(PAGE_SIZE, b"\0"))

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)

    @property
    def lsn(self) -> int:
        """The end of the last record that changed it."""
        high, low = _LSN.unpack_from(self._bytes)
        return int(high << 32 | low)

    @lsn.setter
    def lsn(self, lsn: int) -> None:
        _LSN.pack_into(self._bytes, 0, lsn >> 32, lsn & 0xFFFFFFFF)

    def tuples(self) -> Iterator[HeapTuple]:
        for offset in range(1, self._count() + 1):
            found = self.at(offset)
            if found is not None:
                yield found

    def at(self, offset: int) -> HeapTuple | None:
        """The row version at a line pointer, or None if that leads to none."""
        start, length = self._item(offset)
        if not length:
            return None
        xmin, xmax, _, high, low, next_offset, _, mask, hoff = _TUPLE.unpack_from(
            self._bytes, start
        )
        if not TUPLE_HEADER <= hoff <= length:
            return None
        data = start + hoff
        has_oid = mask & HAS_OID and hoff >= TUPLE_HEADER + _U32.size
        oid = _U32.unpack_from(self._bytes, data - _U32.size)[0] if has_oid else 0
        ctid = (high << 16 | low, next_offset)
        columns = bytes(self._bytes[data : start + length])
        return HeapTuple(offset, xmin, xmax, mask, ctid, oid, columns)

    def put(self, offset: int, content: bytes) -> None:
        """Write a row version at a line pointer. Raises DamagedRecord if it cannot be there."""
        if not 1 <= offset <= _LAST_OFFSET or len(content) < TUPLE_HEADER:
            raise DamagedRecord(f"it writes {len(content)} bytes at line pointer {offset}")
        self.remove(offset)
        if not self._place(offset, content):
            self._compact()
            if not self._place(offset, content):
                raise DamagedRecord(f"its {len(content)} bytes do not fit into the page")

    def remove(self, offset: int) -> None:
        """Let a line pointer lead to nothing."""
        if 1 <= offset <= self._count():
            _U32.pack_into(self._bytes, LINE_POINTERS + 4 * (offset - 1), 0)

    def mark_deleted(self, offset: int, xid: int, successor: tuple[int, int]) -> None:
        """Note who deleted a row version, and where the next one is."""
        start, length = self._item(offset)
        if not length:
            return
        block, next_offset = successor
        _DELETION.pack_into(
            self._bytes, start + 4, xid, 0, block >> 16, block & 0xFFFF, next_offset
        )
        mask = self._bytes[start + 20] | self._bytes[start + 21] << 8
        self._bytes[start + 20 : start + 22] = (mask & ~_XMAX_BITS).to_bytes(2, "little")

    def overwrite(self, offset: int, columns: bytes) -> None:
        """Change the columns of a row version in place, as far as it reaches."""
        start, length = self._item(offset)
        if length:
            data = start + self._bytes[start + TUPLE_HEADER - 1]
            end = min(start + length, data + len(columns))
            if data <= end:
                self._bytes[data:end] = columns[: end - data]

    def _count(self) -> int:
        lower = self._bytes[12] | self._bytes[13] << 8
        return max(0, min(lower, PAGE_SIZE) - LINE_POINTERS) // 4

    def _item(self, offset: int) -> tuple[int, int]:
        """Where a row version lies and its length, which is 0 when there is none."""
        content = self._bytes
        end = LINE_POINTERS + 4 * offset
        if offset < 1 or end > content[12] | content[13] << 8 or end > PAGE_SIZE:
            return 0, 0
        (pointer,) = _U32.unpack_from(content, end - 4)
        start, length = pointer & 0x7FFF, pointer >> 17
        normal = pointer >> 15 & 3 == _NORMAL and length >= TUPLE_HEADER
        return (start, length) if normal and start + length <= PAGE_SIZE else (0, 0)

    def _place(self, offset: int, content: bytes) -> bool:
        """Write where there is room; whether there was."""
        lower, upper, *rest = self._bounds()
        new_lower = max(lower, LINE_POINTERS + 4 * offset)
        new_upper = (upper - len(content)) & ~7
        if new_upper < new_lower:
            return False
        self._bytes[lower:new_lower] = bytes(new_lower - lower)
        pointer = len(content) << 17 | _NORMAL << 15 | new_upper
        _U32.pack_into(self._bytes, LINE_POINTERS + 4 * (offset - 1), pointer)
        self._bytes[new_upper : new_upper + len(content)] = content
        _BOUNDS.pack_into(self._bytes, 12, new_lower, new_upper, *rest)
        return True

    def _bounds(self) -> tuple[int, int, int, int]:
        """The bounds of the free room; those of an empty page where they make no sense."""
        lower, upper, special, size = _BOUNDS.unpack_from(self._bytes, 12)
        if not LINE_POINTERS <= lower <= upper <= PAGE_SIZE:
            return _EMPTY_BOUNDS
        return lower, upper, special, size

    def _compact(self) -> None:
        """Push the row versions together, so that the free room lies in one piece."""
        items = [(offset, *self._item(offset)) for offset in range(1, self._count() + 1)]
        kept = [(offset, bytes(self._bytes[at : at + size])) for offset, at, size in items if size]
        self._bytes[12:] = bytes(PAGE_SIZE - 12)
        _BOUNDS.pack_into(self._bytes, 12, *_EMPTY_BOUNDS)
        for offset, content in kept:
            self._place(offset, content)
