"""The WAL that the backup brings along, where the archive does not have it: read to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.tars import open_tar, tar_errors
from pitr_tui.storage.compression import read_errors
from pitr_tui.wal.assembler import Assembler
from pitr_tui.wal.catalog import Catalog
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wal.chronicle_writer import ChronicleWriter
from pitr_tui.wal.columns import as_array
from pitr_tui.wal.facts import SegmentFacts
from pitr_tui.wal.names import NameBook
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Seam, Unread
from pitr_tui.wal.segment import read_segment
from pitr_tui.wal.suspects import SuspectFinder
from pitr_tui.wal.transactions import Item


@dataclass(frozen=True, slots=True)
class Brought:
    """These segments, what happens in them, and where they cannot be read on."""

    segments: tuple[WalSegment, ...]
    chronicle: Chronicle
    broken: Unread | None

    def covers(self, start: Lsn, end: Lsn) -> bool:
        """Whether all WAL between two positions is in them, and can be read."""
        numbers = {one.number for one in self.segments}
        size = self.segments[0].size
        way = range(start // size, (end - 1) // size + 1)
        return numbers.issuperset(way) and (self.broken is None or self.broken.lsn >= end)


def read_brought(
    backup: Backup, history: TimelineHistory, segments: tuple[WalSegment, ...]
) -> Brought | None:
    """Read segments of the backup's own pg_wal, in their order; None without any."""
    if not segments:
        return None
    contents, broken = _contents(backup, segments)
    names = NameBook(Catalog(backup.version))
    start = max(segments[0].start, backup.label.start_lsn)
    writer = ChronicleWriter(history.timeline, start, names, SuspectFinder(names))
    for run in _runs(contents):
        for item in _items(run, history, backup):
            if isinstance(item, Unread):
                damaged = item.kind is Ending.DAMAGED
                broken = item if damaged and (broken is None or item.lsn < broken.lsn) else broken
            else:
                writer.add(item)
    return Brought(segments, writer.chronicle(finished=True), broken)


def _contents(
    backup: Backup, segments: Sequence[WalSegment]
) -> tuple[list[SegmentFacts], Unread | None]:
    """What each segment says by itself, up to the first that cannot be read to its end."""
    found: dict[WalSegment, SegmentFacts | str] = {}
    wanted = {one.name: one for one in segments}
    for name, content in _files(backup, wanted):
        if isinstance(content, str):
            found.setdefault(wanted[name], content)
            continue
        try:
            found[wanted[name]] = read_segment(content.read, wanted[name], as_array(()))
        except PitrError as error:
            found[wanted[name]] = error.what
        except read_errors() as error:
            found[wanted[name]] = str(error)
    facts: list[SegmentFacts] = []
    for one in segments:
        result = found.get(one, "the backup does not have it")
        if isinstance(result, str):
            return facts, Unread(one.start, None, Ending.CUT, f"{one.name}: {result}")
        facts.append(result)
        if result.stop is not None:
            why = f"{one.name} of the backup's own WAL ends there ({result.stop.why})"
            return facts, Unread(result.stop.lsn, None, result.stop.kind, why)
    return facts, None


def _files(backup: Backup, wanted: dict[str, WalSegment]) -> Iterator[tuple[str, IO[bytes] | str]]:
    """The files of these names, each to be read before the next one is asked for, or why not."""
    for tar in backup.tars():
        if not tar.name.startswith("pg_wal."):
            continue
        try:
            with open_tar(tar) as members:
                for member in members:
                    name = member.name.rpartition("/")[2]
                    content = members.extractfile(member) if name in wanted else None
                    if content is not None:
                        yield name, content
        except tar_errors() as error:
            yield from ((name, f"{tar.name}: {error}") for name in wanted)
    if not backup.tars():
        for name in wanted:
            try:
                content = (backup.path / backup.version.wal_directory / name).open("rb")
            except OSError as error:
                yield name, str(error.strerror)
                continue
            with content:
                yield name, content


def _runs(facts: list[SegmentFacts]) -> Iterator[list[SegmentFacts]]:
    """Those that follow on one another without a gap."""
    run: list[SegmentFacts] = []
    for one in facts:
        if run and one.start != run[-1].start + run[-1].segment_size:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _items(run: list[SegmentFacts], history: TimelineHistory, backup: Backup) -> Iterator[Item]:
    def read_again(since: Lsn) -> Iterator[SegmentFacts]:
        return (one for one in run if one.start + one.segment_size > since)

    assembler = Assembler(history, Catalog(backup.version), Seam(as_array(())), read_again)
    for facts in run:
        yield from assembler.add(facts)
