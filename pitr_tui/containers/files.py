"""Files of a container, running or not, read and written through the engine as a tar stream."""

from __future__ import annotations

import errno
import io
import os
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.stream import get, send, short_name
from pitr_tui.postgres.quote import visible

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from requests import Response

_AT_ONCE = 256 << 10
_MOST_LINKS = 16


@contextmanager
def open_file(engine: Engine, container: str, path: str) -> Iterator[io.BufferedReader]:
    """The bytes of one file, links followed, as a stream; it may be left before its end.

    Raises FileNotFoundError, IsADirectoryError and EngineError; reading raises EngineError
    when the stream is cut off.
    """
    place = path
    for _ in range(_MOST_LINKS):
        with closing(_archive(engine, container, place)) as response:
            with engine_errors(f"{visible(path)} cannot be read"):
                tar = _tar(response, path)
                member = _next(tar, path)
            if member is None:
                raise _cut_off(path, "the engine sent nothing")
            if member.isdir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            content = None if member.issym() else tar.extractfile(member)
            if content is not None:
                raw = _Content(content, member.size, path)
                reader: io.BufferedReader = io.BufferedReader(raw, _AT_ONCE)
                with reader:
                    yield reader
                return
            if not member.issym():
                raise OSError(errno.EINVAL, "not a regular file", path)
            place = posixpath.join(posixpath.dirname(place), member.linkname)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def walk_tree(
    engine: Engine, container: str, path: str
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """The members of a directory's tar stream, in its order, each with its content.

    The content of a member is to be read before the next one is asked for. Names begin with
    the directory's own. Raises FileNotFoundError and EngineError.
    """
    with closing(_archive(engine, container, path)) as response:
        with engine_errors(f"{visible(path)} cannot be read"):
            tar = _tar(response, path)
        while (member := _next(tar, path)) is not None:
            content = tar.extractfile(member) if member.isreg() else None
            yield member, content and io.BufferedReader(_Content(content, member.size, path))
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all


def put_tree(engine: Engine, container: str, directory: str, chunks: Iterable[bytes]) -> None:
    """Unpack a tar stream into a directory that is there. Raises EngineError."""
    with engine_errors(f"{visible(directory)} cannot be written"):
        send(engine, f"/containers/{container}/archive", {"path": directory}, chunks)


def _archive(engine: Engine, container: str, path: str) -> Response:
    """The engine's answer. Raises FileNotFoundError and EngineError."""
    what = f"{visible(path)} in the container {short_name(container)} cannot be read"
    try:
        with engine_errors(what):
            return get(engine, f"/containers/{container}/archive", {"path": path})
    except EngineError as error:
        if error.status == 404 and "no such container" not in error.why.lower():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
        raise


def _tar(response: Response, path: str) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=_Body(response, path), mode="r|", bufsize=_AT_ONCE)
    except tarfile.TarError as error:
        raise _cut_off(path, str(error)) from error


def _next(tar: tarfile.TarFile, path: str) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except tarfile.TarError as error:
        raise _cut_off(path, str(error)) from error


class _Body(io.RawIOBase):
    """An answer's body, as tarfile wants to read it."""

    def __init__(self, response: Response, path: str) -> None:
        self._raw = response.raw
        self._path = path

    def read(self, size: int = -1, /) -> bytes:
        with engine_errors(f"{visible(self._path)} could not be read to its end"):
            return bytes(self._raw.read(size, decode_content=False))


class _Content(io.RawIOBase):
    """A member's bytes: all of them, or an error."""

    def __init__(self, content: IO[bytes], size: int, path: str) -> None:
        self._content = content
        self._left = size
        self._path = path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        room = memoryview(buffer).cast("B")
        try:
            data = self._content.read(min(len(room), self._left))
        except tarfile.TarError as error:
            raise _cut_off(self._path, str(error)) from error
        if not data and self._left and len(room):
            raise _cut_off(self._path, f"{self._left:,} bytes are missing")
        room[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _cut_off(path: str, why: str) -> EngineError:
    return EngineError(
        f"{visible(path)} could not be read to its end", why, "see whether the engine still runs"
    )
