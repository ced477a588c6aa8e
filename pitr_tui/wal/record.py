"""One WAL record, whole: its header, the blocks it refers to, and its main data.

For the few records that are looked at one by one; the bulk of them is counted in `columns`.
Source: src/include/access/xlogrecord.h, src/backend/access/transam/xlogreader.c
(DecodeXLogRecord).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion

HEADER = struct.Struct("<IIQBB2xI")  # length, xid, previous record, info, resource manager, CRC
_BLOCK = struct.Struct("<BBH")
_IMAGE = struct.Struct("<HHB")
_LOCATOR = struct.Struct("<III")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")

_MAX_BLOCK_ID = 32
_TOP_XID, _ORIGIN, _LONG_DATA, _SHORT_DATA = 252, 253, 254, 255
_FORK, _HAS_IMAGE, _SAME_RELATION = 0x0F, 0x10, 0x80
_HAS_HOLE = 0x01
_BLOCK_SIZE = 8192


class Manager(IntEnum):
    """The resource managers whose records are looked at (src/include/access/rmgrlist.h)."""

    XLOG = 0
    TRANSACTION = 1
    STORAGE = 2
    DATABASE = 4
    TABLESPACE = 5
    RELMAP = 7
    HEAP2 = 9
    HEAP = 10


class DamagedRecord(ValueError):
    """The inside of a record contradicts itself; its message says how."""


class Locator(NamedTuple):
    """Where a relation's files lie: oids of tablespace and database (0: shared), file number."""

    tablespace: int
    database: int
    number: int

    def __str__(self) -> str:
        return f"{self.tablespace}/{self.database}/{self.number}"


class PageImage(NamedTuple):
    """A full-page image as it is in the record, perhaps compressed, with its hole cut out."""

    data: bytes
    hole_offset: int
    hole_length: int
    info: int  # BKPIMAGE_ flags, see `PostgresVersion.compressed_image_flags`


class Block(NamedTuple):
    """A block that a record changes: its fork, its number, the data for it, and its image."""

    id: int
    locator: Locator
    fork: int
    number: int
    data: bytes
    image: PageImage | None


class Body(NamedTuple):
    """What lies behind the header of a record."""

    blocks: tuple[Block, ...]
    main: bytes
    top_xid: int | None  # of a subtransaction's record, with wal_level = logical from 14 on


@dataclass(frozen=True, slots=True)
class Record:
    """A record with the page headers cut out; `end` is where the next one begins.

    Of the version only the major counts.
    """

    version: PostgresVersion
    lsn: Lsn
    end: Lsn
    data: bytes

    @property
    def length(self) -> int:
        return int(_U32.unpack_from(self.data)[0])

    @property
    def xid(self) -> int:
        return int(_U32.unpack_from(self.data, 4)[0])

    @property
    def info(self) -> int:
        """All eight bits; the upper four, or fewer, are the resource manager's."""
        return self.data[16]

    @property
    def manager(self) -> int:
        return self.data[17]

    def body(self) -> Body:
        """Take the record apart. Raises DamagedRecord."""
        try:
            return _parse(self.data, self.version.compressed_image_flags)
        except (struct.error, IndexError) as error:
            raise DamagedRecord(f"a header in it is cut off ({error})") from error


class _Head(NamedTuple):
    id: int
    locator: Locator
    fork: int
    number: int
    length: int
    image: tuple[int, int, int, int] | None  # bytes in the record, hole's offset, length, flags


def _parse(data: bytes, compressed_flags: int) -> Body:
    """Read the headers one after the other, then share out what follows them."""
    heads: list[_Head] = []
    at, main_length, top_xid = HEADER.size, 0, None
    expected = 0  # what the headers read so far announce
    while len(data) - at > expected:
        kind = data[at]
        if kind <= _MAX_BLOCK_ID:
            head, at = _block_head(data, at, heads, compressed_flags)
            heads.append(head)
            expected += head.length + (head.image[0] if head.image else 0)
        elif kind == _ORIGIN:
            at += 3
        elif kind == _TOP_XID:
            top_xid, at = _U32.unpack_from(data, at + 1)[0], at + 5
        elif kind in (_SHORT_DATA, _LONG_DATA):
            short = kind == _SHORT_DATA
            main_length = data[at + 1] if short else _U32.unpack_from(data, at + 1)[0]
            at += 2 if short else 5
            expected += main_length
            break  # the main data's header is the last one
        else:
            raise DamagedRecord(f"unknown block id {kind}")
    if len(data) - at != expected:
        raise DamagedRecord(f"its parts need {expected} bytes and {len(data) - at} are there")
    blocks: list[Block] = []
    for head in heads:
        image = None
        if head.image is not None:
            size, *hole_and_flags = head.image
            image = PageImage(data[at : at + size], *hole_and_flags)
            at += size
        own = data[at : at + head.length]
        at += head.length
        blocks.append(Block(head.id, head.locator, head.fork, head.number, own, image))
    return Body(tuple(blocks), data[at:], top_xid)


def _block_head(
    data: bytes, at: int, before: list[_Head], compressed_flags: int
) -> tuple[_Head, int]:
    """The header of one block reference, and where the next header begins."""
    number, flags, length = _BLOCK.unpack_from(data, at)
    at += _BLOCK.size
    image = None
    if flags & _HAS_IMAGE:
        size, hole_offset, info = _IMAGE.unpack_from(data, at)
        at += _IMAGE.size
        hole_length = _BLOCK_SIZE - size if info & _HAS_HOLE else 0
        if info & _HAS_HOLE and info & compressed_flags:
            hole_length = _U16.unpack_from(data, at)[0]
            at += _U16.size
        image = (size, hole_offset, hole_length, info)
    if flags & _SAME_RELATION:
        if not before:
            raise DamagedRecord("its first block names no relation")
        locator = before[-1].locator
    else:
        locator = Locator(*_LOCATOR.unpack_from(data, at))
        at += _LOCATOR.size
    (block,) = _U32.unpack_from(data, at)
    return _Head(number, locator, flags & _FORK, block, length, image), at + _U32.size
