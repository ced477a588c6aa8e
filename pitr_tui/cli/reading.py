"""Opens an archive's WAL for the commands that list what is in it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from pitr_tui.cli.output import Output
from pitr_tui.cli.places import read_with_any_image
from pitr_tui.cli.signals import cancellable
from pitr_tui.cli.transaction_words import wrapped
from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.moment import parse_moment, zone_named
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.collector import few_collections
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_reading import WalReading, open_reading
from pitr_tui.wal.transactions import Item, Transaction
from pitr_tui.wording import count_text

_CLOCKS_DIFFER = from_moment(datetime(2000, 1, 1, 1, tzinfo=UTC))  # how far times may go back


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where one wants to look; times in microseconds since 2000."""

    first_lsn: Lsn | None = None
    last_lsn: Lsn | None = None
    first_time: int | None = None
    last_time: int | None = None

    def has(self, one: Transaction) -> bool:
        """Whether a transaction ended in it; one without an end counts when nothing cuts it off."""
        if self.first_lsn is not None and one.lsn < self.first_lsn:
            return False
        if self.last_lsn is not None and one.lsn > self.last_lsn:
            return False
        if one.time is None:
            return self.last_time is None
        early = self.first_time is not None and one.time < self.first_time
        return not early and (self.last_time is None or one.time <= self.last_time)

    def is_behind(self, one: Item) -> bool:
        """Whether nothing that comes after this item can lie in it."""
        if self.last_lsn is not None and one.lsn > self.last_lsn:
            return True
        time = one.time if isinstance(one, Transaction) else None
        if time is None or self.last_time is None:
            return False
        return time > self.last_time + _CLOCKS_DIFFER


@dataclass(frozen=True, slots=True)
class Opened:
    """A reading, what of it is wanted, and the zone to show times in."""

    reading: WalReading
    span: Span
    zone: tzinfo

    def items(self) -> Iterator[Item]:
        """What is there, from where the names are known or the span begins."""
        for item in self.reading.items(self._first()):
            if self.span.is_behind(item):
                return
            yield item

    def segment_at(self, lsn: Lsn) -> WalSegment:
        """The segment that has, or should have, this position."""
        known = self.reading.known
        number = known.number_at(lsn)
        return known.segment(known.needed(self.reading.history, number), number)

    def _first(self) -> int | None:
        if self.reading.start is not None:
            return None  # the names are followed from the backup on
        if self.span.first_lsn is not None:
            return self.reading.known.number_at(self.span.first_lsn)
        if self.span.first_time is not None:
            return self.reading.number_before(self.span.first_time)
        return None


@contextmanager
def opened(parsed: argparse.Namespace, output: Output) -> Iterator[Opened]:
    """Open what the command line names. Raises PitrError."""
    zone = zone_named(parsed.zone) if parsed.zone else UTC
    span = span_of(parsed, zone if parsed.zone else None)
    timeline = TimelineId.parse(parsed.timeline) if parsed.timeline else None
    archive = WalArchive(read_with_any_image(parsed, parsed.archive))
    backup = None
    if parsed.backup:
        from pitr_tui.repositories.backups import open_backup

        backup = open_backup(read_with_any_image(parsed, parsed.backup), archive)

    def told(done: int, total: int) -> None:
        output.progress("segments", done, total, "segment")

    with few_collections(), cancellable() as check, IndexCache() as cache:
        means = Means(cache, check=check)
        yield Opened(open_reading(archive, means, backup, timeline, told), span, zone)


def span_of(parsed: argparse.Namespace, zone: tzinfo | None) -> Span:
    """Read `--from` and `--to`, each a WAL position or a time. Raises UsageError."""
    first, last = (_bound(text, zone) for text in (parsed.first, parsed.last))
    span = Span(
        first if isinstance(first, Lsn) else None,
        last if isinstance(last, Lsn) else None,
        None if isinstance(first, Lsn) else first,
        None if isinstance(last, Lsn) else last,
    )
    backwards = (span.first_lsn or 0) > (span.last_lsn or 1 << 64)
    if span.first_time is not None and span.last_time is not None:
        backwards = span.first_time > span.last_time
    if backwards:
        raise UsageError("--from lies behind --to", f"{parsed.first} comes after {parsed.last}")
    return span


def _bound(text: str | None, zone: tzinfo | None) -> Lsn | int | None:
    if text is None:
        return None
    if "/" in text and ":" not in text and " " not in text:
        return Lsn.parse(text)
    return from_moment(parse_moment(text, zone, datetime.now(UTC)))


def say_remarks(one: Opened, output: Output) -> None:
    """What a person should know about all that is shown."""
    reading = one.reading
    remarks = list(reading.remarks)
    for timeline, count in reading.left_out:
        remarks.append(
            f"{count_text(count, 'segment')} of timeline {timeline} "
            f"{'is' if count == 1 else 'are'} not on the way to "
            f"timeline {reading.history.timeline}; --timeline {timeline} shows them"
        )
    if reading.passed_over:
        remarks.append(
            f"Not looked at: {count_text(reading.passed_over, 'segment')} before the backup began "
            f"at {reading.start}; an older --backup, or none, shows them"
        )
    if reading.start is None:
        remarks.append("Without --backup only those tables have names that the WAL itself tells.")
    for remark in remarks:
        for line in wrapped(f"! {remark}", 2):
            output.say(line)
    output.fact(
        {
            "event": "Reading",
            "archive": str(reading.archive.directory),
            "timeline": int(reading.history.timeline),
            "version": reading.known.cluster.major,
            "system_identifier": reading.known.cluster.system_identifier,
            "left_out": [{"timeline": int(t), "segments": n} for t, n in reading.left_out],
            "remarks": list(reading.remarks),
        }
    )
