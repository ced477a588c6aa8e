"""A writer of WAL: records laid into pages and segments as a server lays them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from google_crc32c import extend, value

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment

PAGE = 8192
MEGABYTE = 1 << 20
SYSTEM = 7_000_000_000_000_000_001
_HEADER = struct.Struct("<IIQBB2x")
_CONTINUES, _LONG, _OVERWRITTEN = 0x1, 0x2, 0x8


def main_data(data: bytes) -> bytes:
    """The part of a record that is nothing but main data."""
    head = bytes((255, len(data))) if len(data) < 256 else b"\xfe" + struct.pack("<I", len(data))
    return head + data


def block(
    number: int, *, database: int = 5, relation: int = 16384, data: bytes = b"", main: bytes = b""
) -> bytes:
    """A record's body with one block reference, its data, and main data."""
    head = struct.pack(
        "<BBHIIII", 0, 0x20 if data else 0, len(data), 1663, database, relation, number
    )
    return head + bytes((255, len(main))) * bool(main) + data + main


@dataclass
class WalWriter:
    """Appends records; `segments()` gives what a server's files would hold."""

    start: Lsn = field(default_factory=lambda: Lsn(MEGABYTE))
    segment_size: int = MEGABYTE
    version: PostgresVersion = field(default_factory=lambda: PostgresVersion.parse("18"))
    timeline: TimelineId = field(default_factory=lambda: TimelineId(1))
    previous: int = 0
    lsns: list[Lsn] = field(default_factory=list)
    _bytes: bytearray = field(default_factory=bytearray)  # from `start` on, page headers too

    @property
    def position(self) -> Lsn:
        return self.start + len(self._bytes)

    def record(self, manager: int, info: int, xid: int, body: bytes = b"") -> Lsn:
        """Write a whole record; where it begins."""
        return self.part(manager, info, xid, body, None)

    def part(self, manager: int, info: int, xid: int, body: bytes, written: int | None) -> Lsn:
        """Write the first `written` bytes of a record, and leave it, as a crash would."""
        self._begin_page()
        lsn = self.position
        head = _HEADER.pack(24 + len(body), xid, self.previous, info, manager)
        data = head + struct.pack("<I", extend(value(body), head)) + body
        self._write(data if written is None else data[:written])
        if written is None:
            self._bytes += bytes(-len(self._bytes) % 8)
            self.previous = lsn
            self.lsns.append(lsn)
        return lsn

    def commit(self, xid: int, time: int = 0) -> Lsn:
        return self.record(1, 0x00, xid, main_data(struct.pack("<q", time)))

    def insert(self, xid: int, relation: int = 16384, size: int = 20) -> Lsn:
        return self.record(
            10, 0x00, xid, block(1, relation=relation, data=bytes(size), main=b"\1\0\0")
        )

    def fill_page(self, left: int = 0) -> None:
        """Go on where `left` bytes of the page are left, with one record of nothing."""
        self._begin_page()
        room = PAGE - len(self._bytes) % PAGE - left
        if room:
            self.record(0, 0x20, 0, main_data(bytes(room - 24 - 5)))
            assert len(self._bytes) % PAGE == (PAGE - left) % PAGE

    def give_up(self) -> None:
        """Go on behind a record that was left, on a new page that says so."""
        self._bytes += bytes(-len(self._bytes) % PAGE)
        self._header(0, _OVERWRITTEN)

    def segments(self, last: int | None = None) -> list[tuple[WalSegment, bytes]]:
        """The files, zeros behind the last record; with `last` the last one has so many bytes."""
        found = []
        data = bytes(self._bytes)
        for at in range(0, len(data), self.segment_size):
            segment = WalSegment.at(self.start + at, self.timeline, self.segment_size)
            piece = data[at : at + self.segment_size]
            found.append((segment, piece + bytes(self.segment_size - len(piece))))
        if last is not None:
            segment, piece = found.pop()
            found.append((segment, piece[:last]))
        return found

    def _begin_page(self) -> None:
        if len(self._bytes) % PAGE == 0:
            self._header(0)

    def _write(self, data: bytes) -> None:
        while data:
            if len(self._bytes) % PAGE == 0:
                self._header(len(data))
            room = PAGE - len(self._bytes) % PAGE
            self._bytes += data[:room]
            data = data[room:]

    def _header(self, rest: int, flags: int = 0) -> None:
        first = len(self._bytes) % self.segment_size == 0
        flags |= _CONTINUES * bool(rest) | _LONG * first
        magic = self.version.wal_magic
        self._bytes += struct.pack("<HHIQI4x", magic, flags, self.timeline, self.position, rest)
        if first:
            self._bytes += struct.pack("<QII", SYSTEM, self.segment_size, PAGE)
