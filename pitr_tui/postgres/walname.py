"""The names of the files in a WAL archive.

Source: src/include/access/xlog_internal.h (XLogFileName, IsXLogFileName and siblings).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn, TimelineId

DEFAULT_SEGMENT_SIZE = 16 * 1024 * 1024
_SEGMENTS_PER_ID = 1 << 32

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_PARTIAL = re.compile(r"[0-9A-F]{24}\.partial")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_BACKUP_HISTORY = re.compile(r"[0-9A-F]{24}\.[0-9A-F]{8}\.backup")


@dataclass(frozen=True, order=True, slots=True)
class WalSegment:
    """One file of WAL: a timeline, a running number, and the cluster's segment size in bytes.

    >>> segment = WalSegment.parse("000000010000000000000003")
    >>> segment.start, segment.next().name
    (Lsn('0/3000000'), '000000010000000000000004')
    >>> WalSegment.at(Lsn.parse("1/5"), TimelineId(1), 1 << 30).name
    '000000010000000100000000'
    """

    timeline: TimelineId
    number: int
    size: int = DEFAULT_SEGMENT_SIZE

    @classmethod
    def parse(cls, name: str, size: int = DEFAULT_SEGMENT_SIZE) -> WalSegment:
        """Read a 24 digit file name. Raises UsageError when it is not one."""
        match = _SEGMENT.fullmatch(name)
        if match is None or int(match[1], 16) == 0:
            raise UsageError(
                f"{name!r} is not the name of a WAL segment",
                "a segment's name is 24 upper-case hexadecimal digits",
            )
        per_id = _SEGMENTS_PER_ID // size
        low = int(match[3], 16)
        if low >= per_id:
            raise UsageError(
                f"{name!r} cannot exist with WAL segments of {size} bytes",
                f"the last eight digits would be below {per_id:X}",
            )
        return cls(TimelineId(int(match[1], 16)), int(match[2], 16) * per_id + low, size)

    @classmethod
    def at(cls, lsn: Lsn, timeline: TimelineId, size: int = DEFAULT_SEGMENT_SIZE) -> WalSegment:
        """The segment that holds the byte at `lsn`."""
        return cls(timeline, int(lsn) // size, size)

    @property
    def name(self) -> str:
        high, low = divmod(self.number, _SEGMENTS_PER_ID // self.size)
        return f"{self.timeline.prefix}{high:08X}{low:08X}"

    @property
    def start(self) -> Lsn:
        return Lsn(self.number * self.size)

    @property
    def end(self) -> Lsn:
        """The first position behind the segment."""
        return Lsn((self.number + 1) * self.size)

    def next(self) -> WalSegment:
        return WalSegment(self.timeline, self.number + 1, self.size)

    def on(self, timeline: TimelineId) -> WalSegment:
        """The segment of the same number on another timeline."""
        return WalSegment(timeline, self.number, self.size)


def is_segment(name: str) -> bool:
    return _SEGMENT.fullmatch(name) is not None and not name.startswith("00000000")


def is_partial(name: str) -> bool:
    """A segment that its server never finished: the last one of a timeline."""
    return _PARTIAL.fullmatch(name) is not None


def is_backup_history(name: str) -> bool:
    """The small file that tells when and where a base backup ended."""
    return _BACKUP_HISTORY.fullmatch(name) is not None


def history_timeline(name: str) -> TimelineId | None:
    """The timeline whose history file has this name, or None for another kind of file.

    >>> history_timeline("0000001A.history")
    26
    """
    match = _HISTORY.fullmatch(name)
    return TimelineId(int(match[1], 16)) if match and int(match[1], 16) else None


def is_archive_file(name: str) -> bool:
    """Whether PostgreSQL itself would put a file of this name into an archive."""
    return (
        is_segment(name)
        or is_partial(name)
        or is_backup_history(name)
        or history_timeline(name) is not None
    )
