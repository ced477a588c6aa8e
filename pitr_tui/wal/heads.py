"""The heads of many segments at once, held against their names and against each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import version_of_magic
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE, WalSegment
from pitr_tui.wal.first_time import UNPACKABLE

# XLogLongPageHeaderData, as `header` reads one of them.
_LONG_HEADER = np.dtype(
    [
        ("magic", "<u2"),
        ("info", "<u2"),
        ("timeline", "<u4"),
        ("page", "<u8"),
        ("rest", "<u4"),
        ("padding", "V4"),
        ("system", "<u8"),
        ("segment_size", "<u4"),
        ("page_size", "<u4"),
    ]
)
_IS_LONG = 0x0002
_SEGMENT_SIZES = [1 << bits for bits in range(20, 31)]
_PAGE_SIZES = [1 << bits for bits in range(10, 17)]

# One archived file: the three numbers of its name, what it is, and what its first pages say.
HEAD = np.dtype(
    [
        ("timeline", "<u4"),
        ("high", "<u4"),
        ("low", "<u4"),
        ("begun", "?"),  # a .partial segment
        ("packed", "?"),
        ("bytes", "<i8"),  # on disk
        ("error", "<u2"),  # an errno, UNPACKABLE, or 0
        ("header", _LONG_HEADER),
        ("time", "<i8"),  # see `postgres.timestamp`; NO_TIME where none was found
    ]
)

Heads = NDArray[np.void]


class Fault(IntEnum):
    """Why a file does not serve as the segment that its name promises."""

    NONE = 0
    UNREADABLE = 1
    UNPACKABLE = 2
    EMPTY = 3
    NO_WAL = 4
    FOREIGN = 5
    OTHER_VERSION = 6
    OTHER_SIZE = 7
    IMPOSSIBLE_NAME = 8
    WRONG_LENGTH = 9
    MISPLACED = 10
    OTHER_TIMELINE = 11

    @property
    def kind(self) -> str:
        """What a person calls it."""
        return _KINDS[self]


_KINDS = {
    Fault.NONE: "whole",
    Fault.UNREADABLE: "unreadable",
    Fault.UNPACKABLE: "damaged",
    Fault.EMPTY: "damaged",
    Fault.NO_WAL: "damaged",
    Fault.FOREIGN: "foreign",
    Fault.OTHER_VERSION: "foreign",
    Fault.OTHER_SIZE: "foreign",
    Fault.IMPOSSIBLE_NAME: "misnamed",
    Fault.WRONG_LENGTH: "damaged",
    Fault.MISPLACED: "misnamed",
    Fault.OTHER_TIMELINE: "misnamed",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Whose WAL most of it is; None and a default where nothing tells."""

    system_identifier: int | None
    magic: int
    segment_size: int

    @property
    def major(self) -> str | None:
        return version_of_magic(self.magic)


def cluster_of(
    heads: Heads, system_identifier: int | None = None, segment_size: int = DEFAULT_SEGMENT_SIZE
) -> Cluster:
    """The cluster of `system_identifier`, or the one with the most segments here.

    `segment_size` is that of its segments where nothing here tells.
    """
    headers = heads["header"][_is_wal(heads)]
    if not len(headers):
        return Cluster(system_identifier, 0, segment_size)
    if system_identifier is None:
        system_identifier = _most_common(headers["system"])
    ours = headers[headers["system"] == system_identifier]
    if not len(ours):  # the names are read as those of the strangers
        return Cluster(system_identifier, 0, _most_common(headers["segment_size"]))
    return Cluster(
        system_identifier, _most_common(ours["magic"]), _most_common(ours["segment_size"])
    )


def _is_wal(heads: Heads) -> NDArray[np.bool]:
    """Whether each begins like a segment of any cluster, see `header.SegmentHeader.parse`."""
    header = heads["header"]
    magics = set(header["magic"].tolist())
    known = [magic for magic in magics if version_of_magic(magic) is not None]
    is_wal: NDArray[np.bool] = (
        np.isin(header["magic"], known)
        & (header["info"] & _IS_LONG != 0)
        & (header["timeline"] != 0)
        & np.isin(header["segment_size"], _SEGMENT_SIZES)
        & np.isin(header["page_size"], _PAGE_SIZES)
    )
    return is_wal


def _most_common(values: NDArray[np.generic]) -> int:
    if (values == values[0]).all():  # as it nearly always is, and sorting takes long
        return int(values[0])
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def numbers(heads: Heads, segment_size: int) -> NDArray[np.int64]:
    """The running number of each segment, by its name."""
    per_id = (1 << 32) // segment_size
    found: NDArray[np.int64] = heads["high"].astype(np.int64) * per_id + heads["low"]
    return found


def faults(heads: Heads, cluster: Cluster) -> NDArray[np.uint8]:
    """The `Fault` of each, as `SegmentHeader.why_not` would find it."""
    header, size = heads["header"], cluster.segment_size
    whole = ~heads["begun"] & ~heads["packed"]
    start = numbers(heads, size).astype(np.uint64) * np.uint64(size)
    conditions = [
        (heads["error"] != 0) & (heads["error"] != UNPACKABLE),
        heads["error"] == UNPACKABLE,
        heads["bytes"] == 0,
        ~_is_wal(heads),
        header["system"] != (cluster.system_identifier or 0),
        header["magic"] != cluster.magic,
        header["segment_size"] != size,
        heads["low"] >= (1 << 32) // size,
        (whole & (heads["bytes"] != size)) | (heads["begun"] & (heads["bytes"] > size)),
        header["page"] != start,
        header["timeline"] > heads["timeline"],
    ]
    kinds = [np.uint8(fault) for fault in Fault if fault is not Fault.NONE]
    return np.select(conditions, kinds, np.uint8(Fault.NONE))


def why(head: np.void, fault: Fault, cluster: Cluster) -> str:
    """A sentence about one file, as `SegmentHeader.why_not` would say it."""
    header = head["header"]
    match fault:
        case Fault.UNREADABLE:
            return os.strerror(int(head["error"]))
        case Fault.UNPACKABLE:
            return "it cannot be decompressed"
        case Fault.EMPTY:
            return "the file is empty"
        case Fault.NO_WAL if not header["magic"]:
            return "it begins with zeros"
        case Fault.FOREIGN:
            return f"system identifier {header['system']}, not {cluster.system_identifier}"
        case Fault.OTHER_VERSION:
            major = version_of_magic(int(header["magic"]))
            return f"it was written by PostgreSQL {major}, not {cluster.major}"
        case Fault.OTHER_SIZE:
            size = header["segment_size"]
            return f"it is made for segments of {size} bytes, not {cluster.segment_size}"
        case Fault.IMPOSSIBLE_NAME:
            return f"no segment of {cluster.segment_size} bytes has such a name"
        case Fault.WRONG_LENGTH:
            return f"it has {head['bytes']:,} bytes instead of {cluster.segment_size:,}"
        case Fault.MISPLACED:
            start = segment_of(head, cluster.segment_size).start
            return f"it holds the WAL from {Lsn(int(header['page']))}, its name says {start}"
        case Fault.OTHER_TIMELINE:
            return (
                f"it was written on timeline {header['timeline']}, its name says {head['timeline']}"
            )
    return "it does not begin like WAL of PostgreSQL 9.6 to 18"


def segment_of(head: np.void, segment_size: int) -> WalSegment:
    number = int(head["high"]) * ((1 << 32) // segment_size) + int(head["low"])
    return WalSegment(TimelineId(int(head["timeline"])), number, segment_size)
