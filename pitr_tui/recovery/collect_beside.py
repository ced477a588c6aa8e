"""An archive that exists already, beside which a server's own WAL is collected.

The new archive gets a link to each of its files, and the segments that only the server has.
Nothing is changed in it, and a segment of it gives way only to one that holds more WAL.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.archive_names import PARTIAL
from pitr_tui.storage.compression import open_plain, read_errors
from pitr_tui.storage.path import ReadPath
from pitr_tui.wal.segment import SegmentReader

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Difference:
    """A file of which the archive and the server have different contents.

    `taken` when the server's was taken, because it holds more; `words` says what differs.
    """

    name: str
    taken: bool
    words: str


class Reach(NamedTuple):
    """How far the records of a segment go. A finished one is full, or was switched away from.

    One that a recovery cannot use at all ends at 0.
    """

    finished: bool
    end: Lsn

    def words(self) -> str:
        if self.finished:
            return "is whole"
        return f"ends at {self.end}" if self.end else "cannot be used"


class Compared(NamedTuple):
    """How many bytes a stream and a file have in common, and what comes behind them.

    `rest` was read of the stream already, and is all of it that differs if it is empty;
    `longer` when the file goes on where the stream ends.
    """

    same: int
    rest: bytes
    longer: bool

    @property
    def equal(self) -> bool:
        return not self.rest and not self.longer


_USELESS = Reach(False, Lsn(0))


def reach_of(path: ReadPath, segment: WalSegment, system_identifier: int, major: str) -> Reach:
    """Follow the records of a file, which may be of any content, to where they end."""
    read = 0
    try:
        with open_plain(path) as file:

            def more(count: int) -> bytes:
                nonlocal read
                data = file.read(count)
                read += len(data)
                return data

            reader = SegmentReader(more, segment)
            if reader.header.why_not(segment, system_identifier, major):
                return _USELESS
            for _ in reader.stretches():
                pass
            while more(CHUNK):
                pass
    except PitrError:
        return _USELESS
    except read_errors():
        return _USELESS
    if read != segment.size:
        return _USELESS
    return Reach(reader.stop is None, reader.end)


class Beside:
    """The existing archive, a directory of this machine."""

    def __init__(self, directory: Path) -> None:
        """Raises RefusedError when it is none, PitrError when it cannot be read."""
        self.archive = WalArchive(directory)
        self.directory = directory.resolve()
        self._names = self.archive.names()

    def require_cluster(self, system_identifier: int) -> None:
        """Raises RefusedError when it has the WAL of another cluster, or none at all."""
        listing = self.archive.listing()
        newest_first = [*reversed(listing.segments), *reversed(listing.partial)]
        if not newest_first:
            raise RefusedError(
                f"{self.directory} has no WAL",
                "there is nothing in it that could be joined with the server's",
                "leave out --with to collect what the server has",
            )
        for segment in newest_first:
            try:
                found = self.archive.header(segment).system_identifier
            except PitrError:
                continue
            if found != system_identifier:
                raise RefusedError(
                    f"{self.directory} holds the WAL of another cluster",
                    f"{segment.name} has the system identifier {found}, the server's is "
                    f"{system_identifier}",
                    "name the archive of this server",
                )
            return

    def find(self, name: str) -> ReadPath | None:
        """What it has under a name: of a segment the whole one, else the one that was begun.

        What is there in a form that cannot be read counts as absent.
        """
        base = name.removesuffix(PARTIAL)
        names = self._names
        for files in (names.segments, names.partial, names.histories, names.backup_histories):
            if base in files:
                return self.directory / files[base]
        return None

    def links(self) -> Iterator[tuple[str, Path]]:
        """The names in its directory, each with what a link under that name leads to.

        Hidden files are left out: they are what a command that was interrupted has left.
        """
        for entry in sorted(os.scandir(self.directory), key=lambda one: one.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            file = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
            if file and not entry.name.startswith("."):
                yield entry.name, Path(entry.path)


def compare(theirs: ReadPath, head: bytes, content: IO[bytes]) -> Compared:
    """Hold a stream, of which `head` was read already, against a file."""
    same, chunk = 0, head
    try:
        with open_plain(theirs) as file:
            while chunk:
                other = file.read(len(chunk))
                if other != chunk:
                    pairs = enumerate(zip(other, chunk, strict=False))
                    first = next((at for at, (a, b) in pairs if a != b), len(other))
                    return Compared(same + first, chunk[first:], False)
                same += len(chunk)
                chunk = content.read(CHUNK)
            return Compared(same, b"", bool(file.read(1)))
    except read_errors():
        return Compared(same, chunk, True)


def first_bytes(path: ReadPath, count: int) -> Iterator[bytes]:
    """The first bytes of a file, which were read before. Raises PitrError."""
    try:
        with open_plain(path) as file:
            while count and (chunk := file.read(min(CHUNK, count))):
                count -= len(chunk)
                yield chunk
    except read_errors() as error:
        raise PitrError(f"{path} cannot be read any more", str(error)) from error


def require_apart(new: Path, others: Iterable[Path]) -> None:
    """Raises RefusedError for a new archive that would lie in a place that is not to change."""
    place = new.resolve()
    for other in others:
        if place.is_relative_to(other.resolve()):
            raise RefusedError(
                f"the new archive cannot be in {other}",
                "nothing is to be changed there",
                "name a new directory outside of it",
            )
