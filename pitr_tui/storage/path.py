"""Paths to bytes, wherever these lie: on this machine, or behind a Docker engine.

`pathlib.Path` is one of them as it is. What reads backups and WAL asks for no more than this,
and so cannot tell a directory from a volume.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal, Protocol, Self, TypeVar

from pitr_tui.storage.engine_path import EnginePath


class ReadPath(Protocol):
    """A path that can be read. Failures are raised as OSError, as `pathlib` does."""

    @property
    def name(self) -> str: ...
    @property
    def parent(self) -> Self: ...
    def __truediv__(self, name: str, /) -> Self: ...
    def absolute(self) -> Self: ...
    def exists(self) -> bool: ...
    def is_dir(self) -> bool: ...
    def is_file(self) -> bool: ...
    def is_symlink(self) -> bool: ...
    def iterdir(self) -> Iterator[Self]: ...
    def stat(self) -> os.stat_result: ...
    def lstat(self) -> os.stat_result: ...
    def open(self, mode: Literal["rb"], /) -> IO[bytes]: ...
    def read_bytes(self) -> bytes: ...


class WritePath(ReadPath, Protocol):
    """A path of a place of ours, which can be written too."""

    def open(self, mode: Literal["rb", "wb"], /) -> IO[bytes]: ...
    def mkdir(self, mode: int = 0o777) -> None: ...
    def chmod(self, mode: int) -> None: ...
    def unlink(self, missing_ok: bool = False) -> None: ...
    def rename(self, target: Self, /) -> object: ...


AnyPath = TypeVar("AnyPath", bound=ReadPath)


def first_of(paths: Iterable[AnyPath]) -> AnyPath | None:
    """The first of the paths that is there, whatever it is; None proves that none is.

    Raises OSError, or what the engine raises, when that cannot be known.
    """
    candidates = list(paths)
    if candidates and isinstance(candidates[0], EnginePath):
        return EnginePath.first_of(candidates)  # type: ignore[arg-type, return-value]
    for path in candidates:
        try:
            path.lstat()  # a link that leads nowhere is there too
        except (FileNotFoundError, NotADirectoryError):
            continue
        return path
    return None


def files_below(directory: ReadPath) -> Iterator[ReadPath]:
    """Every regular file in a directory and below it, with links to directories left out."""
    if isinstance(directory, EnginePath):
        yield from directory.files_below()
    elif isinstance(directory, Path):
        yield from (path for path in directory.rglob("*") if path.is_file())


Members = Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]


def tree_members(directory: ReadPath) -> Members | None:
    """All that is in a directory as one stream, names relative to it, where that is quick.

    None on this machine, where files are best read one by one.
    """
    return directory.members() if isinstance(directory, EnginePath) else None


def copy_within(source: ReadPath, target: ReadPath) -> int | None:
    """Copy a file where it lies, without its bytes passing through here; its size in bytes.

    None when the two do not lie within one reach: then it has to be read and written.
    """
    if isinstance(source, EnginePath) and isinstance(target, EnginePath):
        return target.copy_from(source)
    return None
