"""The bytes of one file behind an engine, as a stream in either direction."""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pitr_tui.containers.helper import Helper

_CHUNK = 1 << 20
_SPOOL_BYTES = 32 << 20


class Download(io.RawIOBase):
    """A file's bytes as they come from the engine; a stream that is cut off raises OSError."""

    def __init__(self, helper: Helper, path: PurePosixPath) -> None:
        self._held = helper.get(str(path))
        self._stream = self._held.__enter__()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._held.__exit__(None, None, None)
        super().close()


class Upload(io.RawIOBase):
    """A new file, kept here until its size is known and then sent as a whole."""

    def __init__(self, helper: Helper, path: PurePosixPath, owner: str) -> None:
        self._helper, self._path, self._owner = helper, path, owner
        self._spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed below

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._spool.write(data)

    def close(self) -> None:
        if not self.closed:
            with self._spool:
                self._helper.put(str(self._path.parent), self._tar())
        super().close()

    def _tar(self) -> Iterator[bytes]:
        member = tarfile.TarInfo(self._path.name)
        member.size, member.mode, member.mtime = self._spool.tell(), 0o600, int(time.time())
        uid, _, gid = (self._owner or "0:0").partition(":")
        member.uid, member.gid = int(uid), int(gid)
        yield member.tobuf()
        self._spool.seek(0)
        while chunk := self._spool.read(_CHUNK):
            yield chunk
        yield bytes(-member.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
