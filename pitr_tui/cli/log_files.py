"""The lines of log files as they lie about: plain, compressed, in a directory, or piped in."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from pitr_tui.errors import UsageError
from pitr_tui.postgres.logreader import LONGEST, LogReader

_GZIP, _XZ, _ZSTD, _BZIP2 = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"BZh"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SNIFFED_LINES = 200
HINT = "give a server log file, a directory of them, or - to read one from a pipe"


class LogFiles:
    """One log, or a directory of the pieces of one, in the order in which they were written."""

    def __init__(self, name: str) -> None:
        self.cut = ""
        self._pieces = [None] if name == "-" else _pieces(Path(name))

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            try:
                with _opened(piece) as file:
                    yield from _lines(file)
            except (EOFError, lzma.LZMAError, zlib.error, _zstd_error()) as error:
                self.cut = f"{piece or 'the input'} breaks off in the middle: {error}"
            except OSError as error:
                if error.errno is not None:
                    raise UsageError(f"{piece} cannot be read", str(error), HINT) from error
                self.cut = f"{piece or 'the input'} breaks off in the middle: {error}"


def _pieces(path: Path) -> list[Path | None]:
    if not path.exists():
        raise UsageError(f"there is no {path}", "", HINT)
    if not path.is_dir():
        return [path]
    found = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")]
    kinds: dict[str, list[Path]] = {}
    for one in found:
        ends = {suffix for suffix in one.suffixes if suffix in (".csv", ".json")}
        kinds.setdefault(min(ends, default=""), []).append(one)
    # The same messages may be there as text, csv and json; the text has restore_command's too.
    for kind in ("", ".csv", ".json"):
        dated = [(begin, one) for one in kinds.get(kind, []) if (begin := _begin(one))]
        if dated:
            return [one for _, one in sorted(dated)]
    raise UsageError(f"no server log was found in {path}", "", HINT)


def _begin(path: Path) -> datetime | None:
    """When the first message of a log was written, or None for a file that is no log."""
    reader, spoken = LogReader(), False
    try:
        with _opened(path) as file:
            for _, text in zip(range(_SNIFFED_LINES), _lines(file), strict=False):
                for line in reader.feed(text):
                    spoken = spoken or line.severity is not None
                    if line.time is not None:
                        return line.time
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, _zstd_error()):
        return None
    return modified if spoken else None


def _opened(path: Path | None) -> IO[bytes]:
    raw: IO[bytes] = sys.stdin.buffer if path is None else path.open("rb")
    file = io.BufferedReader(_Raw(raw), 1 << 16)
    start = file.peek(8)
    if start.startswith(_GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if start.startswith(_XZ):
        return lzma.LZMAFile(file)
    if start.startswith(_BZIP2):
        return bz2.BZ2File(file)
    if start.startswith(_ZSTD):
        import zstandard

        stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return io.BufferedReader(stream, 1 << 16)
    if start.startswith(_UTF16):
        return io.BytesIO(file.read().decode("utf-16", "replace").encode())
    return file


class _Raw(io.RawIOBase):
    """A stream as a raw one, so that it can be peeked into, a pipe too."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read1(len(buffer)) if hasattr(self._stream, "read1") else b""
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._stream is not sys.stdin.buffer:
            self._stream.close()
        super().close()


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Lines as text; of a very long one only the beginning."""
    whole = True
    while chunk := file.readline(LONGEST):
        if whole:
            text = chunk.decode("utf-8", "replace")
            yield text.removeprefix("\ufeff")
        whole = chunk.endswith(b"\n")


def _zstd_error() -> type[Exception]:
    """zstandard's own error, once it is loaded at all."""
    module = sys.modules.get("zstandard")
    return module.ZstdError if module is not None else EOFError
