"""A WAL archive that is a directory, flat or with PostgreSQL's file names in subdirectories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import WalSegment, history_timeline, is_segment
from pitr_tui.repositories.archive_names import PARTIAL, ArchiveNames, read_names
from pitr_tui.storage.compression import SUFFIXES, open_plain, plain_name, read_errors, read_plain
from pitr_tui.storage.path import ReadPath, WritePath, copy_within, first_of
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader
from pitr_tui.wal.ranges import WalRange

# Files beside a segment that do not hold it: unfinished ones and a backup's history.
_NOT_THE_SEGMENT = re.compile(r"(partial|part|tmp|pitr|[0-9A-F]{8}\.backup)(\..*)?")
_CHUNK = 1 << 20
_SMALL_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class ArchiveListing:
    """What an archive holds by the names of its files, ordered by timeline and number.

    `partial` has segments that pg_receivewal was still writing, or that ended with a timeline.
    """

    segments: tuple[WalSegment, ...]
    partial: tuple[WalSegment, ...]
    histories: tuple[TimelineId, ...]
    backup_histories: tuple[str, ...]
    segment_size: int

    @property
    def ranges(self) -> tuple[WalRange, ...]:
        """The unbroken runs of segments, timeline by timeline."""
        runs: list[WalRange] = []
        for segment in self.segments:
            if runs and segment == runs[-1].last.next():
                runs[-1] = WalRange(runs[-1].first, segment)
            else:
                runs.append(WalRange(segment, segment))
        return tuple(runs)

    def last_reachable(self, start: WalSegment) -> WalSegment | None:
        """The last segment of the unbroken run that holds `start`, on its timeline."""
        for run in self.ranges:
            if run.first <= start <= run.last:
                return run.last
        return None


class WalArchive:
    """Read-only access to the archived WAL in one directory. Raises RefusedError if it is none."""

    def __init__(self, directory: ReadPath) -> None:
        self.directory = directory.absolute()
        if not _is_readable_directory(directory):
            raise RefusedError(
                f"there is no WAL archive at {directory}",
                "it is not a directory that can be read",
                "name the directory that archive_command writes to",
            )

    def listing(self) -> ArchiveListing:
        """Read the names. Raises PitrError when the directory cannot be read."""
        names = self.names()
        whole, partial = sorted(names.segments), sorted(names.partial)
        size = self._segment_size(whole or partial)
        histories = map(history_timeline, names.histories)
        return ArchiveListing(
            segments=tuple(WalSegment.parse(name, size) for name in whole),
            partial=tuple(WalSegment.parse(name, size) for name in partial),
            histories=tuple(sorted(t for t in histories if t is not None)),
            backup_histories=tuple(sorted(names.backup_histories)),
            segment_size=size,
        )

    def find(self, name: str) -> ReadPath | None:
        """The file that holds `name`, compressed or not; None is a proof of its absence.

        A segment that was only begun counts when there is no whole one: it holds what the
        primary had sent, and zeros behind.

        Raises PitrError when the directory itself cannot be read, because then nothing is
        proved.
        """
        places = self._places(name)
        try:
            path = first_of(
                [place / f"{name}{end}" for place in places for end in SUFFIXES]
                + [self.directory / f"{name}{PARTIAL}"] * is_segment(name)
            )
        except OSError as error:
            raise self._unreadable(error) from error
        if path is not None:
            return path
        self._require_readable()
        self._require_no_other_form(name)
        return None

    def _require_no_other_form(self, name: str) -> None:
        """Raises PitrError for a file that may hold `name` in a form that we cannot read."""
        for directory in self._places(name):
            try:
                entries = list(directory.iterdir())
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise self._unreadable(error) from error
            for entry in entries:
                ending = entry.name.removeprefix(f"{name}.")
                if ending != entry.name and not _NOT_THE_SEGMENT.fullmatch(ending):
                    raise PitrError(
                        f"{entry.name} is in the archive in a form that cannot be read",
                        f"known endings are {', '.join(one for one in SUFFIXES if one)}",
                        "unpack it, or recompress it in one of these forms",
                    )

    def history(self, timeline: TimelineId) -> TimelineHistory:
        """The history of a timeline; timeline 1 has none. Raises PitrError when absent."""
        path = self.find(timeline.history_name)
        if path is None:
            if timeline == 1:
                return TimelineHistory(timeline)
            raise PitrError(
                f"the archive does not say where timeline {timeline} comes from",
                f"{timeline.history_name} is not in {self.directory}",
                "find that file on the server that made the timeline, in its pg_wal",
            )
        text = read_plain(path, _SMALL_FILE).decode("utf-8", "replace")
        return TimelineHistory.parse(timeline, text)

    def backup_history(self, name: str) -> BackupLabel:
        """One `.backup` file. Raises PitrError when it is absent or makes no sense."""
        path = self.find(name)
        if path is None:
            raise PitrError(f"{name} is not in {self.directory}")
        return BackupLabel.parse(read_plain(path, _SMALL_FILE).decode("utf-8", "replace"))

    def header(self, segment: WalSegment) -> SegmentHeader:
        """The head of a segment. Raises PitrError when it is absent, damaged or not WAL."""
        path = self.find(segment.name)
        if path is None:
            raise PitrError(f"segment {segment.name} is not in {self.directory}")
        return SegmentHeader.parse(read_plain(path, HEADER_BYTES))

    def copy(self, path: ReadPath, to: WritePath) -> int:
        """Write what an archived file holds into the new file `to`, and give its size in bytes.

        Raises PitrError when it cannot be read to its end, OSError when it cannot be written.
        """
        if plain_name(path.name) == path.name:
            size = copy_within(path, to)
            if size is not None:
                return size
        with to.open("wb") as target:
            return sum(target.write(chunk) for chunk in self._chunks(path))

    def _chunks(self, path: ReadPath) -> Iterator[bytes]:
        try:
            with open_plain(path) as source:
                while chunk := source.read(_CHUNK):
                    yield chunk
        except read_errors() as error:
            raise PitrError(
                f"{path.name} cannot be read to its end", str(error) or type(error).__name__
            ) from error

    def _places(self, name: str) -> tuple[ReadPath, ReadPath, ReadPath]:
        """The directories in which a file of this name is looked for."""
        return self.directory, self.directory / name[:8], self.directory / name[:16]

    def names(self) -> ArchiveNames:
        """What is there by name, without a look into any file. Raises PitrError."""
        try:
            return read_names(self.directory)
        except OSError as error:
            raise self._unreadable(error) from error

    def _require_readable(self) -> None:
        try:
            next(self.directory.iterdir(), None)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> PitrError:
        return PitrError(
            "the WAL archive cannot be read",
            f"{error.filename or self.directory}: {error.strerror}",
            "nothing is known about what it holds until it can be read again",
        )

    def _segment_size(self, names: list[str]) -> int:
        """The cluster's segment size, from the first segment whose header can be read."""
        for name in names[:8]:
            path = self.find(name)
            if path is None:
                continue
            try:
                return SegmentHeader.parse(read_plain(path, HEADER_BYTES)).segment_size
            except PitrError:
                continue  # a damaged segment is found and named when it is fetched
        return WalSegment.parse("0" * 7 + "1" + "0" * 16).size


def _is_readable_directory(path: ReadPath) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
