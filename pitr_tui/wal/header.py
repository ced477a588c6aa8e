"""The first bytes of a WAL segment: whose it is and which part of the stream.

Source: src/include/access/xlog_internal.h (XLogLongPageHeaderData).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import version_of_magic
from pitr_tui.postgres.walname import WalSegment

_LONG_HEADER = struct.Struct("<HHIQI4xQII")
_IS_LONG = 0x0002
_SIZES = frozenset(1 << bits for bits in range(20, 31))  # IsValidWalSegSize: 1 MB to 1 GB
_PAGE_SIZES = frozenset(1 << bits for bits in range(10, 17))  # configure --with-wal-blocksize
HEADER_BYTES = _LONG_HEADER.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The long page header with which every segment begins."""

    major: str
    timeline: TimelineId
    page_lsn: Lsn
    system_identifier: int
    segment_size: int
    page_size: int

    @classmethod
    def parse(cls, data: bytes) -> SegmentHeader:
        """Read the first 40 bytes of a segment. Raises PitrError when they are not WAL."""
        if len(data) < HEADER_BYTES:
            raise PitrError("this is not a WAL segment", f"it has only {len(data)} bytes")
        magic, info, timeline, page_lsn, _, system, size, page_size = _LONG_HEADER.unpack_from(data)
        major = version_of_magic(magic)
        if major is None or not info & _IS_LONG or not timeline:
            raise PitrError(
                "this is not a WAL segment of PostgreSQL 9.6 to 18",
                f"its first page begins with {data[:4].hex()}",
            )
        if size not in _SIZES:
            raise PitrError("this is not a WAL segment", f"it claims a segment size of {size}")
        if page_size not in _PAGE_SIZES:
            raise PitrError("this is not a WAL segment", f"it claims pages of {page_size} bytes")
        return cls(major, TimelineId(timeline), Lsn(page_lsn), system, size, page_size)

    def why_not(self, segment: WalSegment, system_identifier: int, major: str) -> str | None:
        """Why this cannot be the first page of `segment` of that cluster, or None if it is.

        PostgreSQL up to 11 says nothing about a foreign or recycled segment: it takes it
        for the end of the archive. So every segment is held against its name first.
        """
        if self.system_identifier != system_identifier:
            return (
                f"it belongs to another cluster (system identifier {self.system_identifier}, "
                f"the backup's is {system_identifier})"
            )
        if self.major != major:
            return f"it was written by PostgreSQL {self.major}, the backup by {major}"
        if self.segment_size != segment.size:
            return f"it is made for segments of {self.segment_size} bytes, not {segment.size}"
        if self.page_lsn != segment.start:
            return f"it holds the WAL from {self.page_lsn}, its name says {segment.start}"
        if self.timeline > segment.timeline:
            return f"it was written on timeline {self.timeline}, its name says {segment.timeline}"
        return None
