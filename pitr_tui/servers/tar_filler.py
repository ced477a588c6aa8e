"""Send the files of a base backup into a container, as one tar stream."""

from __future__ import annotations

import errno
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from queue import Empty, Full, Queue

from pitr_tui.containers.helper import Helper
from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.servers.engine_ground import free_bytes_at

_AHEAD = 16
_WAIT_SECONDS = 0.2


class TarFiller:
    """Fills a directory of a helper; every file comes to belong to `owner`, "uid:gid".

    The engine unpacks what we write while we write it. Its refusal (a full disk) is raised by
    the next write, or by `finish`.
    """

    def __init__(self, helper: Helper, directory: PurePosixPath, owner: str) -> None:
        self._helper, self._directory = helper, directory
        self._uid, self._gid = (int(number) for number in owner.split(":"))
        self._chunks: Queue[bytes | None] = Queue(_AHEAD)
        self._made: set[PurePosixPath] = {PurePosixPath()}
        self._written: set[int] = set()  # by their hashes: there may be millions
        self._error: BaseException | None = None
        self._given_up = False
        self._sender = threading.Thread(
            target=self._send, args=(helper, str(directory)), daemon=True, name="tar-filler"
        )
        self._sender.start()

    def free_bytes(self) -> int:
        return free_bytes_at(self._helper, str(self._directory))

    def directory(self, path: PurePosixPath) -> None:
        if path not in self._made:
            self.directory(path.parent)
            self._made.add(path)
            self._write(self._member(path, tarfile.DIRTYPE, 0o700).tobuf())

    def link(self, path: PurePosixPath, target: PurePosixPath) -> None:
        self.directory(path.parent)
        member = self._member(path, tarfile.SYMTYPE, 0o777)
        member.linkname = str(target)
        self._write(member.tobuf())

    @contextmanager
    def file(self, path: PurePosixPath, size: int) -> Iterator[Callable[[bytes], object]]:
        self.directory(path.parent)
        mark = hash(str(path))
        if mark in self._written or path in self._made:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._written.add(mark)
        member = self._member(path, tarfile.REGTYPE, 0o600)
        member.size = size
        self._write(member.tobuf())
        written = 0

        def write(data: bytes) -> None:
            nonlocal written
            written += len(data)
            self._write(data)

        yield write
        if written != size:
            raise PitrError(
                "the backup changed while it was copied",
                f"{path} has {written:,} bytes, and had {size:,}",
                "use a backup that nobody writes to",
            )
        self._write(bytes(-size % tarfile.BLOCKSIZE))

    def finish(self) -> None:
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(None)
        self._sender.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Give up what is not sent; the engine may have unpacked a part."""
        self._given_up = True
        self._sender.join()

    def _member(self, path: PurePosixPath, kind: bytes, mode: int) -> tarfile.TarInfo:
        member = tarfile.TarInfo(str(path))
        member.type, member.mode = kind, mode
        member.uid, member.gid = self._uid, self._gid
        member.mtime = time.time()
        return member

    def _write(self, chunk: bytes | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._chunks.put(chunk, timeout=_WAIT_SECONDS)
                return
            except Full:
                continue  # the engine unpacks slower than we read

    def _send(self, helper: Helper, directory: str) -> None:
        try:
            helper.put(directory, self._sent())
        except BaseException as error:
            self._error = error

    def _sent(self) -> Iterator[bytes]:
        while True:
            try:
                chunk = self._chunks.get(timeout=_WAIT_SECONDS)
            except Empty:
                if self._given_up:
                    raise CancelledError("the copy was given up") from None
                continue
            if chunk is None:
                return
            yield chunk
