"""WAL made by hand: records, and segments with whole records in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from google_crc32c import extend, value

from pitr_tui.postgres.walname import WalSegment
from tests.unit.made import MAGIC_18, SYSTEM

PAGE = 8192
_SHORT, _LONG = 255, 254


def record(manager: int, info: int, main: bytes, *, before: bytes = b"") -> bytes:
    """A record with nothing but main data, padded as it stands in the WAL."""
    short = struct.pack("<BB", _SHORT, len(main)) if len(main) < 256 else b""
    data = before + (short or struct.pack("<BI", _LONG, len(main))) + main
    head = struct.pack("<IIQBB2x", 24 + len(data), 700, 0, info, manager)
    head += struct.pack("<I", extend(value(data), head))
    return (head + data).ljust((24 + len(data) + 7) & ~7, b"\0")


def commit(time: int) -> bytes:
    return record(1, 0x00, struct.pack("<q", time))


def wal_bytes(
    of: WalSegment,
    records: Sequence[bytes],
    *,
    magic: int = MAGIC_18,
    page_size: int = PAGE,
    rest: int = 0,
) -> bytes:
    """A whole segment with these records; `rest` is how much of them began in the one before."""
    stream = memoryview(b"".join(records))
    pages: list[bytes] = []
    address = int(of.start)
    while stream:
        head = struct.pack("<HHIQI4x", magic, 0 if pages else 2, of.timeline, address, rest)
        if not pages:
            head += struct.pack("<QII", SYSTEM, of.size, page_size)
        fits = page_size - len(head)
        pages.append((head + bytes(stream[:fits])).ljust(page_size, b"\0"))
        stream, rest, address = stream[fits:], max(0, rest - fits), address + page_size
    return b"".join(pages).ljust(of.size, b"\0")
