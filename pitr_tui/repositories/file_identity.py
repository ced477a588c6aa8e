"""Which file it is, of many files at once: whatever is written or replaced gets another identity.

Two changes within one tick of a file system's clock look alike. So nothing is kept of a file
that was changed a moment ago: it has to settle first.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pitr_tui.repositories.engine_files import facts_of
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.path import ReadPath

# `error` is an errno of what cannot be read as a file.
IDENTITY = np.dtype(
    [
        ("path", "S48"),
        ("size", "<i8"),
        ("modified", "<i8"),
        ("changed", "<i8"),
        ("inode", "<i8"),
        ("error", "<u2"),
    ]
)
FIELDS = ("size", "modified", "changed", "inode")
SETTLE_NANOSECONDS = 2_000_000_000  # the coarsest clock of a file system, FAT's
LOOKED_AT_ONCE = 2048

Check = Callable[[], None]
Identities = NDArray[np.void]

_SECOND = 1_000_000_000
_KIND = stat.S_IFMT(0xFFFF)


@dataclass(frozen=True, slots=True)
class Look:
    """The identities of the files that were there, ordered by path, at a moment."""

    files: Identities
    settled_before: int

    @property
    def settled(self) -> NDArray[np.bool]:
        """Whether each could not change any more without being seen."""
        changed = np.maximum(self.files["changed"], self.files["modified"])
        settled: NDArray[np.bool] = changed < self.settled_before
        return settled


def look(directory: ReadPath, paths: Sequence[str], check: Check) -> Look:
    """Look at the files of these paths below a directory; those that are gone are left out.

    Raises OSError, or what an engine raises, when the directory itself cannot be reached.
    """
    ordered = sorted(paths)
    if isinstance(directory, EnginePath):
        return _look_behind_engine(directory, ordered, check)
    now = time.time_ns()
    found: list[str] = []
    facts = array("q")
    descriptor = os.open(Path(str(directory)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for begin in range(0, len(ordered), LOOKED_AT_ONCE):
            check()
            found.extend(_look_here(descriptor, ordered[begin : begin + LOOKED_AT_ONCE], facts))
    finally:
        os.close(descriptor)
    return Look(_table(found, facts), now - SETTLE_NANOSECONDS)


def _look_here(descriptor: int, paths: Sequence[str], facts: array[int]) -> Sequence[str]:
    """Add the facts of those that are there, and give their paths."""
    gone: set[str] = set()
    for path in paths:
        try:
            one = os.stat(path, dir_fd=descriptor)
        except OSError as error:
            try:
                one = os.stat(path, dir_fd=descriptor, follow_symlinks=False)
            except OSError:
                gone.add(path)
                continue
            # A link to nowhere is there, and cannot be read.
            facts.extend((0, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, -(error.errno or 0)))
            continue
        facts.extend((one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, one.st_mode))
    return [path for path in paths if path not in gone] if gone else paths


def _table(paths: Sequence[str], facts: array[int]) -> Identities:
    """The facts as a table; their last column is a mode, or a negative errno."""
    table = np.zeros(len(paths), IDENTITY)
    if not len(paths):
        return table
    joined = "".join(paths).encode()
    each = len(paths[0])
    if all(len(path) == each for path in paths):
        table["path"] = np.frombuffer(joined, f"S{each}")
    else:
        table["path"] = np.array(paths, IDENTITY["path"])
    columns = np.frombuffer(facts, np.int64).reshape(len(paths), -1)
    for at, name in enumerate(FIELDS):
        table[name] = columns[:, at]
    mode = columns[:, len(FIELDS)]
    kind = mode & _KIND
    kinds = [mode <= 0, kind == stat.S_IFREG, kind == stat.S_IFDIR]
    table["error"] = np.select(kinds, [-mode, 0, errno.EISDIR], errno.EINVAL)
    return table


def _look_behind_engine(directory: EnginePath, paths: Sequence[str], check: Check) -> Look:
    """Its clock counts whole seconds, but the inode and the change of a file are told as well."""
    found: list[str] = []
    facts = array("q")
    asked_at: list[int] = []
    for begin in range(0, len(paths), LOOKED_AT_ONCE):
        check()
        for one in facts_of(directory, paths[begin : begin + LOOKED_AT_ONCE]):
            found.append(one.path)
            times = (one.modified * _SECOND, one.changed * _SECOND)
            facts.extend((one.size, *times, one.inode, one.mode))
            asked_at.append(one.asked_at)
    now = min(asked_at, default=0) * _SECOND
    return Look(_table(found, facts), now - SETTLE_NANOSECONDS)
