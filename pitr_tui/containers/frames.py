"""What an engine sends, taken apart in bulk: HTTP chunks, and frames of stdout and stderr.

The SDK reads a frame's eight bytes and then its payload, one system call each; that is
five times slower than reading what is there and splitting it.
"""

from __future__ import annotations

from struct import Struct

from pitr_tui.containers.engine import EngineError

STDOUT, STDERR = 1, 2

_HEADER = Struct(">BxxxL")
_LONGEST = 64 << 20
_LONGEST_CHUNK_LINE = 1 << 10


class Frames:
    """The frames in a stream of bytes, however it is cut into pieces.

    >>> frames = Frames()
    >>> frames.feed(b"\\1\\0\\0\\0\\0\\0\\0\\2hi" + b"\\2\\0\\0"), frames.feed(b"\\0\\0\\0\\0\\1!")
    ([(1, b'hi')], [(2, b'!')])
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that `data` completes: which stream, and its bytes.

        Raises EngineError for what cannot be a frame.
        """
        if self._rest:
            data = self._rest + data
        frames: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        unpack = _HEADER.unpack_from
        while end - at >= 8:
            stream, size = unpack(data, at)
            if stream > 3 or size > _LONGEST:
                raise EngineError(
                    "the engine's stream cannot be understood",
                    f"a frame of {size:,} bytes for stream {stream}",
                )
            after = at + 8 + size
            if after > end:
                break
            frames.append((stream, data[at + 8 : after]))
            at = after
        self._rest = data[at:]
        return frames


class Chunks:
    """The payload of a chunked HTTP body (RFC 9112, section 7.1), however it is cut.

    `ended` tells a body that came whole from one that was cut off.

    >>> chunks = Chunks()
    >>> chunks.feed(b"3\\r\\nabc\\r\\n2;x=y\\r"), chunks.feed(b"\\nde\\r\\n0\\r\\n\\r\\n")
    (b'abc', b'de')
    >>> chunks.ended
    True
    """

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The payload of the chunks that `data` completes. Raises EngineError for nonsense."""
        if self._rest:
            data = self._rest + data
        payload: list[bytes] = []
        at = 0
        while not self.ended and (line_end := data.find(b"\r\n", at)) >= 0:
            start = line_end + 2
            size = _chunk_size(data[at:line_end])
            if size == 0:
                self.ended = True
                at = len(data)
            elif start + size + 2 > len(data):
                break
            else:
                payload.append(data[start : start + size])
                at = start + size + 2
        self._rest = data[at:]
        if not payload and len(self._rest) > _LONGEST_CHUNK_LINE and b"\r\n" not in self._rest:
            raise _no_chunk(self._rest)
        return b"".join(payload)


def _chunk_size(line: bytes) -> int:
    try:
        size = int(line.partition(b";")[0], 16)
    except ValueError:
        size = -1
    if not 0 <= size <= _LONGEST:
        raise _no_chunk(line)
    return size


def _no_chunk(line: bytes) -> EngineError:
    return EngineError(
        "the engine's stream cannot be understood", f"{line[:40]!r} where a chunk should begin"
    )
