"""What one segment says by itself, without those before it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.pages import Ending, Stop
from pitr_tui.wal.record import Record

FORMAT = 3  # raise it when what is packed changes its meaning

# Of each transaction id: how many records, where they begin and end, how many bytes they have.
SPAN = np.dtype(
    [("xid", "<u4"), ("records", "<u4"), ("first", "<u8"), ("end", "<u8"), ("bytes", "<u8")]
)
# Of each transaction id and relation file (oids of tablespace and database, file number): rows,
# HOT updates counted among the updates too, and records of nothing but page images.
PLACE = np.dtype([("tablespace", "<u4"), ("database", "<u4"), ("number", "<u4")])
CHANGE = np.dtype(
    [
        ("xid", "<u4"),
        ("place", PLACE),
        ("inserted", "<u8"),
        ("updated", "<u8"),
        ("hot_updated", "<u8"),
        ("deleted", "<u8"),
        ("images", "<u8"),
    ]
)
# Records kept whole: where they begin and end in the WAL and in the bytes kept with them, and
# `manager << 8 | info`. A commit or abort that says no more than its time has that in `time`
# (microseconds since 2000), all others have NO_TIME there.
NOTE = np.dtype(
    [
        ("lsn", "<u8"),
        ("end", "<u8"),
        ("time", "<i8"),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("xid", "<u4"),
        ("kind", "<u4"),
    ]
)
NO_TIME = np.iinfo(np.int64).min

# Numbers and positions of SegmentFacts, then the lengths of the eight parts behind them.
_HEAD = struct.Struct("<23Q")

Table = NDArray[np.void]


class Note(NamedTuple):
    """A row of NOTE."""

    lsn: int
    end: int
    time: int
    offset: int
    length: int
    xid: int
    kind: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over some records, and those of the records that have to be read one by one."""

    records: int
    spans: Table
    changes: Table
    notes: Table
    kept: bytes

    def each_note(self) -> Iterator[Note]:
        """The kept records, in the order of the WAL."""
        for row in self.notes.tolist():
            yield Note(*row)

    def record(self, note: Note, version: PostgresVersion) -> Record:
        data = self.kept[note.offset : note.offset + note.length]
        return Record(version, Lsn(note.lsn), Lsn(note.end), data)


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What a segment says by itself, or a part of one that is read as if it was a segment.

    `is_begin` tells that it begins with the long header of a segment, `switched` that the rest
    of the segment behind its last record is unused.
    `head` has the rest of a record that began in an earlier segment, without page headers,
    and `tail` the begin of one that goes on in the next; that one starts at `tail_lsn`.
    `first_previous` is what the first record that begins here says of the one before it;
    `previous` is the last whole record that begins here, None if none does. `stop` tells why
    the reading ended before the end of the segment, None when it did not.
    """

    version: PostgresVersion
    system_identifier: int
    segment_size: int
    page_size: int
    is_begin: bool
    switched: bool
    start: Lsn
    end: Lsn
    head: bytes
    first_lsn: Lsn | None
    first_previous: Lsn | None
    previous: Lsn | None
    tail_lsn: Lsn | None
    tail: bytes
    stop: Stop | None
    tally: Tally

    def pack(self) -> bytes:
        """Bytes from which `unpack` makes the same facts."""
        lsns = (self.first_lsn, self.first_previous, self.previous, self.tail_lsn)
        stop = self.stop or Stop(Lsn(0), Ending.CUT, "")
        parts = (
            self.tally.spans.tobytes(),
            self.tally.changes.tobytes(),
            self.tally.notes.tobytes(),
            self.tally.kept,
            self.head,
            self.tail,
            str(stop.kind).encode() if self.stop else b"",
            stop.why.encode(),
        )
        head = _HEAD.pack(
            FORMAT,
            self.version.number,
            self.system_identifier,
            self.segment_size,
            self.page_size,
            self.is_begin,
            self.switched,
            self.start,
            self.end,
            *(_packed(one) for one in lsns),
            stop.lsn,
            self.tally.records,
            *map(len, parts),
        )
        return b"".join((head, *parts))

    @classmethod
    def unpack(cls, data: bytes) -> SegmentFacts:
        """Raises PitrError for bytes that are not facts of this format."""
        try:
            form, version, system, segment_size, page_size, *more = _HEAD.unpack_from(data)
            is_begin, switched, *more = more
            start, end, first, first_previous, previous, tail_lsn, stop_lsn, records = more[:8]
            parts, at = [], _HEAD.size
            for length in more[8:]:
                parts.append(data[at : at + length])
                at += length
            if form != FORMAT or at != len(data):
                raise ValueError("it has another format, or another length")
            spans, changes, notes, kept, head, tail, kind, why = parts
            stop = Stop(Lsn(stop_lsn), Ending(kind.decode()), why.decode()) if kind else None
            return cls(
                PostgresVersion(version),
                system,
                segment_size,
                page_size,
                bool(is_begin),
                bool(switched),
                Lsn(start),
                Lsn(end),
                head,
                _unpacked(first),
                _unpacked(first_previous),
                _unpacked(previous),
                _unpacked(tail_lsn),
                tail,
                stop,
                Tally(
                    records,
                    np.frombuffer(spans, SPAN),
                    np.frombuffer(changes, CHANGE),
                    np.frombuffer(notes, NOTE),
                    kept,
                ),
            )
        except (ValueError, struct.error) as error:
            raise PitrError("what was read of a segment before cannot be used", str(error)) from (
                error
            )


def _packed(lsn: Lsn | None) -> int:
    return 0 if lsn is None else int(lsn) + 1


def _unpacked(number: int) -> Lsn | None:
    return Lsn(number - 1) if number else None
