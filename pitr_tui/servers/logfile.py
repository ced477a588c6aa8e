"""Follow a file that a server writes its log to."""

from __future__ import annotations

import os
from pathlib import Path

_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 20


class LogFile:
    """A log file from a position on, read without ever waiting for more."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""

    def lines(self) -> list[str]:
        """The complete lines that have come since the last call; undecodable bytes are marked.

        A line longer than 1 MiB is given in pieces.
        """
        whole: list[bytes] = []
        while not whole and (data := self._file.read(_CHUNK)):
            *whole, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > _LONGEST_LINE:
                break
        if len(self._rest) > _LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace") for line in whole]

    @property
    def ended(self) -> bool:
        """Whether all that is in the file now was given."""
        return self._file.tell() == os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        self._file.close()
