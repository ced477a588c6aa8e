"""Transactions and what else happened, as the WAL tells it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.wal.actions import Action
from pitr_tui.wal.catalog import RowChange
from pitr_tui.wal.record import Locator
from pitr_tui.wal.seam import Unread


class Kind(StrEnum):
    """How a transaction ended, or how far it had come."""

    COMMIT = "commit"
    ABORT = "abort"
    PREPARE = "prepare"
    COMMIT_PREPARED = "commit prepared"
    ABORT_PREPARED = "abort prepared"
    CUT_OFF = "cut off"  # the server that ran it went down, or the timeline was left before
    UNKNOWN = "unknown"  # its end lies in WAL that could not be read, if it has one
    IN_PROGRESS = "in progress"


class Change(NamedTuple):
    """What one transaction id did to the rows of one relation file; a row of `facts.CHANGE`.

    `images` counts records that hold nothing but whole pages: how a rewritten table is logged.
    """

    xid: int
    place: tuple[int, int, int]  # tablespace, database, number
    inserted: int
    updated: int  # with the HOT ones
    hot_updated: int
    deleted: int
    images: int

    @property
    def locator(self) -> Locator:
        return Locator(*self.place)

    @property
    def rows(self) -> int:
        return self.inserted + self.updated + self.deleted


class Transaction(NamedTuple):
    """A transaction with its subtransactions, at the record that ended it.

    `lsn` and `end` are where that record begins and ends; of one in progress, where its last
    one does. `time` is in microseconds since 2000. `partial` means that it may have begun
    before what was read, so that it may have done more than is told here.
    """

    xid: int
    top_xid: int
    full_xid: int | None  # with the epoch, where a checkpoint told it
    kind: Kind
    time: int | None
    lsn: Lsn
    end: Lsn
    first: Lsn
    bytes: int
    records: int
    subxids: tuple[int, ...]
    gid: str | None
    partial: bool
    changes: tuple[Change, ...]
    dropped: tuple[Locator, ...]
    rows: tuple[RowChange, ...]  # of the watched catalogs
    actions: tuple[Action, ...]  # other than those above, such as a dropped database
    timeline: TimelineId

    @property
    def is_committed(self) -> bool:
        return self.kind in (Kind.COMMIT, Kind.COMMIT_PREPARED)


class Happening(NamedTuple):
    """Something that no transaction did: a checkpoint, a restore point, a changed parameter."""

    lsn: Lsn
    end: Lsn
    timeline: TimelineId
    action: Action


Item: TypeAlias = Transaction | Happening | Unread
