"""WAL read the slow way, record by record and page by page, to hold the fast reader against.

It follows the length of each record and the link back to the one before, and does not
compute checksums. Source: src/backend/access/transam/xlogreader.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.header import SegmentHeader
from pitr_tui.wal.record import HEADER, Manager, Record

_PAGE = struct.Struct("<HHIQI")  # magic, flags, timeline, address, bytes of the record before
_CONTINUES, _LONG, _OVERWRITTEN = 0x1, 0x2, 0x8
_LONG_HEADER, _SHORT_HEADER = 40, 24
_SWITCH = 0x40


class _End(Exception):
    """Here ends what was written."""


class _GivenUp(Exception):
    """The record was cut off by a crash; the WAL goes on with another one at the page `at`."""

    def __init__(self, at: int) -> None:
        self.at = at


def read_records(segments: Sequence[bytes], start: Lsn | None = None) -> Iterator[Record]:
    """The records in whole segments that follow each other.

    From the one at `start` on, or without that from the first one that begins in them, up to
    the last whole one. The `end` of a switch is that of its segment.
    """
    return _Stream(segments).records(start)


@dataclass(slots=True)
class _Place:
    """A position in the WAL that moves on while bytes are taken."""

    lsn: int


class _Stream:
    def __init__(self, segments: Sequence[bytes]) -> None:
        header = SegmentHeader.parse(segments[0])
        self.version = PostgresVersion.parse(header.major)
        self.segment_size = header.segment_size
        self.first = int(header.page_lsn)
        self.data = b"".join(segments)
        page_size = struct.unpack_from("<I", self.data, 36)[0]
        self.page_size = int(page_size)

    def records(self, start: Lsn | None) -> Iterator[Record]:
        place = _Place(self.first if start is None else int(start))
        previous = None
        try:
            if start is None:
                self.skip_the_rest_of_a_record(place)
            while True:
                try:
                    record = self.record(place, previous)
                except _GivenUp as given_up:
                    place = _Place(given_up.at)
                    continue
                yield record
                previous = record.lsn
        except _End:
            return

    def record(self, place: _Place, previous: int | None) -> Record:
        """The record at a place, which moves behind it."""
        self.enter_page(place, rest=0)
        lsn = place.lsn
        length = struct.unpack("<I", self.take(_Place(lsn), 4, 4))[0]
        if length < HEADER.size:
            raise _End
        data = self.take(place, length, length)
        _, _, link, info, manager, _ = HEADER.unpack_from(data)
        if previous is not None and link != previous:
            raise _End
        place.lsn += -place.lsn % 8
        if manager == Manager.XLOG and info & 0xF0 == _SWITCH:
            place.lsn += -place.lsn % self.segment_size
        return Record(self.version, Lsn(lsn), Lsn(place.lsn), data)

    def take(self, place: _Place, wanted: int, rest: int) -> bytes:
        """The next `wanted` bytes, of a record that has `rest` bytes from here on."""
        taken = b""
        while len(taken) < wanted:
            self.enter_page(place, rest - len(taken))
            at = place.lsn - self.first
            room = self.page_size - place.lsn % self.page_size
            part = self.data[at : at + min(room, wanted - len(taken))]
            if not part:
                raise _End
            taken += part
            place.lsn += len(part)
        return taken

    def enter_page(self, place: _Place, rest: int) -> None:
        """Step over the header if a page begins here, which has to continue `rest` bytes."""
        if place.lsn % self.page_size:
            return
        at = place.lsn - self.first
        if at + _LONG_HEADER > len(self.data):
            raise _End
        magic, flags, _, address, remaining = _PAGE.unpack_from(self.data, at)
        if magic != self.version.wal_magic or address != place.lsn:
            raise _End
        if rest and flags & _OVERWRITTEN:
            raise _GivenUp(place.lsn)
        if rest and not (flags & _CONTINUES and remaining == rest):
            raise _End
        place.lsn += _LONG_HEADER if flags & _LONG else _SHORT_HEADER

    def skip_the_rest_of_a_record(self, place: _Place) -> None:
        """Go to where the first record begins."""
        _, flags, _, _, remaining = _PAGE.unpack_from(self.data, 0)
        if flags & _CONTINUES:
            self.take(place, remaining, remaining)
            place.lsn += -place.lsn % 8
