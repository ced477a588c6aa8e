"""Streams that decompress while they are read, chosen by the end of a file's name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from pitr_tui.errors import PitrError


def _zstd(path: Path) -> object:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)


_OPENERS: dict[str, Callable[[Path], object]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstd,
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


def open_plain(path: Path) -> IO[bytes]:
    """Open a file for reading what it holds when decompressed. Raises OSError."""
    for suffix, opener in _OPENERS.items():
        if path.name.endswith(suffix):
            return cast("IO[bytes]", opener(path))
    return path.open("rb")


def read_errors() -> tuple[type[Exception], ...]:
    """What reading a damaged compressed file can raise."""
    from zstandard import ZstdError

    return (OSError, EOFError, lzma.LZMAError, zlib.error, ZstdError)


def read_plain(path: Path, limit: int) -> bytes:
    """The first `limit` bytes of what a file holds. Raises PitrError when it cannot be read."""
    try:
        with open_plain(path) as file:
            return file.read(limit)
    except read_errors() as error:
        raise PitrError(f"{path} cannot be read", str(error) or type(error).__name__) from error
