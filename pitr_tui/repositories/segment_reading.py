"""What a worker process does with a segment. It imports little, because each worker does."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypeAlias, TypeVar, cast

from pitr_tui.errors import PitrError
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.storage.compression import open_plain, read_errors
from pitr_tui.wal.columns import as_array
from pitr_tui.wal.header import HEADER_BYTES
from pitr_tui.wal.segment import Part, read_segment

if TYPE_CHECKING:
    from pitr_tui.repositories.workers import Fed
    from pitr_tui.storage.path import ReadPath

CHUNK = 1 << 20

# What makes facts of a segment: given its bytes as a stream, it packs what it finds. It is
# sent to other processes, so it is a function of a module, or a `partial` of one.
Wanted: TypeAlias = WalSegment | Part
One = TypeVar("One", bound=WalSegment | Part)
Reader: TypeAlias = Callable[[IO[bytes], One], bytes]


def read_packed(file: IO[bytes], wanted: Wanted, watched: tuple[int, ...]) -> bytes:
    """The facts of a segment or a part of it, packed; for `watched` see `wal.columns.Counter`."""
    files = as_array(watched)
    if isinstance(wanted, WalSegment):
        return read_segment(file.read, wanted, files).pack()
    head = file.read(HEADER_BYTES)
    file.seek(wanted.start - wanted.whole.start)
    return read_segment(file.read, wanted.own, files, head).pack()


def read_one(read: Reader[One], task: tuple[ReadPath | str, One], fed: Fed | None) -> bytes:
    path, wanted = task
    place = cast("ReadPath", _FedPath(str(path), fed)) if fed else cast("ReadPath", path)
    try:
        with open_plain(place) as source:
            return read(source, wanted)
    except read_errors() as error:
        raise unreadable(error) from error


@dataclass(frozen=True, slots=True)
class _FedPath:
    """A file whose bytes come from another process."""

    name: str
    fed: Fed

    def open(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.fed, CHUNK)


def unreadable(error: Exception) -> PitrError:
    words = error.strerror if isinstance(error, OSError) else None
    return PitrError(words or str(error) or type(error).__name__)
