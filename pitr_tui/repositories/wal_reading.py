"""An archive's WAL read from one end of a timeline's history to the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backup_marks import lies_on
from pitr_tui.repositories.index_cache import Variant
from pitr_tui.repositories.segment_reading import Wanted, read_packed
from pitr_tui.repositories.wal_facts import Means, facts_in_order, parts
from pitr_tui.repositories.wal_index import Survey, Told, WalIndex
from pitr_tui.wal.assembler import Assembler
from pitr_tui.wal.catalog import Catalog
from pitr_tui.wal.columns import as_array
from pitr_tui.wal.facts import FORMAT, SegmentFacts
from pitr_tui.wal.first_time import NO_TIME
from pitr_tui.wal.holdings import Holdings
from pitr_tui.wal.names import NameBook
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.rowcounts import Counted
from pitr_tui.wal.seam import Seam, Unread
from pitr_tui.wal.transactions import Item

if TYPE_CHECKING:
    from pitr_tui.repositories.backups import Backup


@dataclass(slots=True)
class WalReading:
    """What is needed to read an archive's WAL along one timeline and to name what it changes.

    While `items` runs, `names` knows what was so at the item that it gave last.
    """

    archive: WalArchive
    known: Holdings
    history: TimelineHistory
    catalog: Catalog
    means: Means
    start: Lsn | None = None  # where the backup's recovery begins
    told: Told = lambda done, total: None
    remarks: tuple[str, ...] = ()
    counted: Counted = field(default=lambda database, number: None)  # `BackupRows.count`
    names: NameBook = field(init=False)

    def __post_init__(self) -> None:
        self.names = NameBook(self.catalog)

    def items(self, first: int | None = None) -> Iterator[Item]:
        """Everything from the backup's begin, or the segment number `first`, to the end.

        Raises PitrError when the archive itself cannot be read.
        """
        way, at = self._way(first), 0

        def read_again(since: Lsn) -> Iterator[SegmentFacts]:
            again = [one for one in way[: at + 1] if one.end > since]
            for _, result in self._facts(again):
                if not isinstance(result, PitrError):
                    yield SegmentFacts.unpack(result)

        seam = Seam(as_array(self.catalog.watched))
        assembler = Assembler(self.history, self.catalog, seam, read_again)
        while at < len(way):
            watched = self.catalog.watched
            for one, result in self._facts(way[at:]):
                yield from self._add(assembler, one, result)
                at += 1
                self.told(at, len(way))
                if self.catalog.watched is not watched:
                    break  # what comes is read with those that are watched now
        for item in assembler.finish():
            yield self._ending(item) if isinstance(item, Unread) else item

    def number_before(self, time: int) -> int | None:
        """The last segment that begins with a time (microseconds since 2000) before this one."""
        found: int | None = None
        for number in self._numbers():
            held = self.known.held[self.known.needed(self.history, number)]
            for seen in held.between(number, number)["time"].tolist():
                if seen != NO_TIME and seen > time:
                    return found
                found = number if seen != NO_TIME else found
        return found

    @property
    def left_out(self) -> list[tuple[TimelineId, int]]:
        """Timelines with segments that are not on the way, and how many."""
        counts: dict[TimelineId, int] = {}
        for timeline, held in self.known.held.items():
            for number in (*held.numbers.tolist(), *held.begun):
                if self.known.needed(self.history, number) != timeline:
                    counts[timeline] = counts.get(timeline, 0) + 1
        return sorted(counts.items())

    @property
    def begin(self) -> Lsn:
        """Where the reading begins: at the backup's start, if the archive has that."""
        way = self._way(None)
        return max(way[0].start, self.start or Lsn(0)) if way else self.start or Lsn(0)

    @property
    def passed_over(self) -> int:
        """How many segments of the way lie before the place where the reading begins."""
        if self.start is None:
            return 0
        return bisect_left(self._numbers(), self.known.number_at(self.start))

    def _ending(self, item: Unread) -> Unread:
        """Where no more could be read, what is there of the next segment and is of no use."""
        if item.kind not in (Ending.LAST, Ending.CUT):
            return item
        for number in (self.known.number_at(item.lsn), self.known.number_at(item.lsn) + 1):
            segment = self.known.segment(self.known.needed(self.history, number), number)
            why = self.known.why_not(segment)
            if not why.endswith("is missing"):
                return item._replace(why=why)
        return item

    def _numbers(self) -> list[int]:
        """The numbers of the segments that are there, on the way of the history."""
        found = [
            number
            for timeline in self.history.lineage
            if (held := self.known.held.get(timeline)) is not None
            for number in (*held.numbers.tolist(), *held.begun)
            if self.known.needed(self.history, number) == timeline
        ]
        return sorted(found)

    def _way(self, first: int | None) -> list[Wanted]:
        if first is None and self.start is not None:
            first = self.known.number_at(self.start)
        numbers = [one for one in self._numbers() if first is None or one >= first]
        segments = [
            self.known.segment(self.known.needed(self.history, number), number)
            for number in numbers
        ]
        return parts(self.archive, segments)

    def _add(self, assembler: Assembler, one: Wanted, result: bytes | PitrError) -> Iterator[Item]:
        if isinstance(result, PitrError):
            assembler.seam.lost = ": ".join(filter(None, (result.what, result.why)))
            return
        if assembler.seam.expected is not None:
            self._explain_gap(assembler.seam, self.known.number_at(one.start))
        yield from assembler.add(SegmentFacts.unpack(result))

    def _facts(self, way: list[Wanted]) -> Iterator[tuple[Wanted, bytes | PitrError]]:
        watched = tuple(sorted(self.catalog.watched))
        variant = Variant("facts", FORMAT, ",".join(map(str, watched)))
        read = partial(read_packed, watched=watched)
        return facts_in_order(self.archive, way, variant, read, self.means)

    def _explain_gap(self, seam: Seam, found: int) -> None:
        """Say of missing segments, before that of the number `found`, what is known of them."""
        number = self.known.number_at(seam.expected or Lsn(0))
        if number < found and not seam.lost:
            timeline = self.known.needed(self.history, number)
            seam.lost = self.known.why_not(self.known.segment(timeline, number))
            if found - number > 1:
                seam.lost += f", the first of {found - number:,}"


def open_reading(
    archive: WalArchive,
    means: Means,
    backup: Backup | None = None,
    timeline: TimelineId | None = None,
    told: Told = lambda done, total: None,
    survey: Survey | None = None,
) -> WalReading:
    """Look at an archive, and at the names in a backup, and choose the timeline to follow.

    That is the newest one, with a backup the newest that leads on from it. `survey` is what
    was seen of the archive, if that is known. Raises PitrError when the archive or the backup
    cannot be read, RefusedError when the two do not fit.
    """
    if survey is None:
        if means.cache is None:
            raise ValueError("a reading needs a cache")
        survey = WalIndex(archive, means.cache, means.check, told).survey()
    known = survey.holdings(backup.system_identifier if backup else None)
    history = _followed(known, backup, timeline, archive)
    remarks = survey.remarks
    if backup is not None:
        from pitr_tui.repositories.backup_catalog import read_catalog

        named = read_catalog(backup)
        catalog, remarks = named.catalog, (*remarks, *named.remarks)
        counted: Counted = named.rows.count
    else:
        counted = _nothing_counted
        catalog = Catalog(PostgresVersion.parse(known.cluster.major or "18"))
    start = backup.label.start_lsn if backup else None
    return WalReading(archive, known, history, catalog, means, start, told, remarks, counted)


def _nothing_counted(database: int, number: int) -> None:
    return None


def _followed(
    known: Holdings, backup: Backup | None, timeline: TimelineId | None, archive: WalArchive
) -> TimelineHistory:
    if not any(len(held.numbers) for held in known.held.values()):
        whose = "of the backup's cluster " if backup else ""
        raise RefusedError(
            f"there is no WAL {whose}to read in {archive.directory}",
            "no file there is a segment that can be used",
            "`pitr wal coverage ARCHIVE` tells what is there",
        )
    if timeline is not None:
        if timeline not in known.timelines:
            raise RefusedError(f"there is nothing of timeline {timeline} in {archive.directory}")
        return known.history(timeline)
    for one in reversed(known.timelines):
        history = known.history(one)
        if backup is None or lies_on(history, backup, backup.stop_lsn):
            return history
    return known.history(known.timelines[-1])
