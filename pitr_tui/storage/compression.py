"""Streams that decompress while they are read, chosen by the end of a file's name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from pitr_tui.errors import PitrError

if TYPE_CHECKING:
    from zstandard import ZstdDecompressionObj

    from pitr_tui.storage.path import ReadPath

_PLAIN_BYTES = 1 << 17
_PACKED_BYTES = 1 << 12  # four bytes of zstd can be 128 kB of zeros: this bounds the memory


class _ZstdFile(io.RawIOBase):
    """All frames of a zstd file. zstandard's own stream takes a cut file for a whole one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: ZstdDecompressionObj | None = None
        self._packed = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain:
            self._packed = self._packed or self._file.read(_PACKED_BYTES)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the compressed file ends too early")
                return 0
            self._unpack()
        count = min(len(buffer), len(self._plain))
        buffer[:count], self._plain = self._plain[:count], self._plain[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _unpack(self) -> None:
        import zstandard

        frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        self._plain, self._packed = memoryview(frame.decompress(self._packed)), b""
        self._frame = frame
        if frame.eof:
            self._packed, self._frame = frame.unused_data, None


def _open_lz4(file: IO[bytes]) -> object:
    import lz4.frame

    return lz4.frame.open(file)


_OPENERS: dict[str, Callable[[IO[bytes]], object]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda file: io.BufferedReader(_ZstdFile(file), _PLAIN_BYTES),
    ".lz4": _open_lz4,
}
SUFFIXES = ("", *_OPENERS)


def plain_name(name: str) -> str:
    """The name without the ending of a compression.

    >>> plain_name("000000010000000000000002.gz"), plain_name("00000002.history")
    ('000000010000000000000002', '00000002.history')
    """
    for suffix in _OPENERS:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


@contextmanager
def open_plain(path: ReadPath) -> Iterator[IO[bytes]]:
    """Open a file for reading what it holds when decompressed. Raises OSError."""
    with path.open("rb") as file:
        for suffix, opener in _OPENERS.items():
            if path.name.endswith(suffix):
                with cast("IO[bytes]", opener(file)) as plain:
                    yield plain
                return
        yield file


def read_errors() -> tuple[type[Exception], ...]:
    """What reading a damaged compressed file can raise; lz4's own is a RuntimeError."""
    from zstandard import ZstdError

    return (OSError, EOFError, lzma.LZMAError, zlib.error, ZstdError, RuntimeError)


def read_plain(path: ReadPath, limit: int) -> bytes:
    """The first `limit` bytes of what a file holds. Raises PitrError when it cannot be read."""
    try:
        with open_plain(path) as file:
            return file.read(limit)
    except read_errors() as error:
        raise PitrError(f"{path} cannot be read", str(error) or type(error).__name__) from error
