"""The one way to add to a lab's truth."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.lab.truth_lines import Line, line_text

# A commit's number is the first thing that its line says.
_NUMBER = re.compile(r'^\{"kind": "(?:Commit|Intent)", "number": (\d+)', re.MULTILINE)


class TruthWriter:
    """Adds to a truth that several processes may write, one at a time.

    A line that a process could not finish before it died is taken away.
    """

    def __init__(self, path: Path) -> None:
        """Raises PitrError when the file cannot be written."""
        self.path = path
        self._depth = self._seen = self._number = 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else commits or writes inside; this writer may enter it again."""
        if not self._depth:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._depth += 1
        try:
            if self._depth == 1:
                self._catch_up()
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def next_number(self) -> int:
        """The number of the next commit, to be asked for and used under one lock."""
        with self.locked():
            return self._number + 1

    def write(self, one: Line) -> None:
        """Append a line; it outlives this process. Raises PitrError."""
        with self.locked():
            data = memoryview((line_text(one) + "\n").encode())
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError as error:
                raise _unwritable(self.path, error) from error
            self._catch_up()

    def close(self) -> None:
        """Nothing more can be written."""
        os.close(self._file)
        os.close(self._lock)

    def __enter__(self) -> TruthWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _catch_up(self) -> None:
        """Learn what was written since, and drop a line that somebody did not finish."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, size - self._seen, self._seen)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, self._seen + whole)
        for number in _NUMBER.findall(data[:whole].decode()):
            self._number = max(self._number, int(number))
        self._seen += whole


def _unwritable(path: Path, error: OSError) -> PitrError:
    return PitrError("the truth of this lab cannot be written", f"{path}: {error.strerror}")
