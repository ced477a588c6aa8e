"""What our reader says of an archive, in the oracle's words."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.actions import Action
from pitr_tui.wal.assembler import Assembler, CatalogWatcher
from pitr_tui.wal.catalog import RowChange
from pitr_tui.wal.facts import SegmentFacts
from pitr_tui.wal.record import Locator, Record
from pitr_tui.wal.seam import Seam, Unread
from pitr_tui.wal.segment import read_segment
from pitr_tui.wal.transactions import Happening, Kind, Transaction
from tests.wal.waldump import Account, Counts, Ending, Place, Span

NOTHING_WATCHED = np.empty(0, dtype=np.uint64)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class NoCatalog:
    """Nobody asks for names here."""

    watched: frozenset[int] = frozenset()

    def apply(self, record: Record) -> Iterable[RowChange]:
        return ()

    def apply_action(self, action: Action) -> None:
        pass

    def committed(self, xids: Iterable[int]) -> None:
        pass

    def aborted(self, xids: Iterable[int]) -> None:
        pass


@dataclass
class Reading:
    """All that an archive says."""

    transactions: list[Transaction] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    @property
    def ended(self) -> list[Transaction]:
        open_ = (Kind.IN_PROGRESS, Kind.CUT_OFF, Kind.UNKNOWN)
        return [one for one in self.transactions if one.kind not in open_]

    def of(self, xid: int, kind: str) -> Transaction:
        (found,) = (one for one in self.transactions if one.xid == xid and one.kind == kind)
        return found


def facts_of_bytes(data: bytes, segment: WalSegment, watched: Iterable[int] = ()) -> SegmentFacts:
    files = np.array(sorted(watched), dtype=np.uint64)
    return read_segment(io.BytesIO(data).read, segment, files)


def number_of(path: Path, size: int) -> int:
    return WalSegment.parse(path.name, size).number


def facts_of(paths: Iterable[Path], size: int) -> Iterator[SegmentFacts]:
    for path in paths:
        yield facts_of_bytes(path.read_bytes(), WalSegment.parse(path.name[:24], size))


def read(facts: Iterable[SegmentFacts], catalog: CatalogWatcher | None = None) -> Reading:
    """Put together what segments say, all of timeline 1."""
    history, seam = TimelineHistory(TimelineId(1)), Seam(NOTHING_WATCHED)
    seen: list[SegmentFacts] = []

    def again(since: Lsn) -> Iterator[SegmentFacts]:
        return (one for one in seen if one.start + one.segment_size > since)

    assembler = Assembler(history, catalog or NoCatalog(), seam, again)
    reading = Reading()
    for one in facts:
        seen.append(one)
        _sort(reading, assembler.add(one))
    _sort(reading, assembler.finish())
    return reading


def _sort(reading: Reading, items: Iterable[Transaction | Happening | Unread]) -> None:
    for item in items:
        if isinstance(item, Transaction):
            reading.transactions.append(item)
        elif isinstance(item, Happening):
            reading.happenings.append(item)
        else:
            reading.unread.append(item)


def moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def places(locators: Iterable[Locator]) -> frozenset[Place]:
    return frozenset(Place(*locator) for locator in locators)


def rows_of(transaction: Transaction) -> dict[Place, Counts]:
    """The rows it changed; here `updated` are those without HOT, as the oracle has it."""
    found: dict[Place, Counts] = {}
    for change in transaction.changes:
        if change.rows:
            plain = change.updated - change.hot_updated
            counts = Counts(change.inserted, plain, change.hot_updated, change.deleted)
            found.setdefault(Place(*change.locator), Counts()).add(counts)
    return found


def told_rows(account: Account, ending: Ending) -> dict[Place, Counts]:
    """What the oracle says of a transaction and its subtransactions together."""
    found: dict[Place, Counts] = {}
    for xid in (ending.xid, *ending.subxids):
        for place, counts in account.changes_by_xid.get(xid, {}).items():
            found.setdefault(place, Counts()).add(counts)
    return found


def told_span(account: Account, ending: Ending) -> Span | None:
    """What the oracle says that they wrote."""
    spans = [account.spans[x] for x in (ending.xid, *ending.subxids) if x in account.spans]
    if not spans:
        return None
    return Span(
        min(span.first for span in spans),
        max(span.last for span in spans),
        sum(span.records for span in spans),
        sum(span.bytes for span in spans),
    )
