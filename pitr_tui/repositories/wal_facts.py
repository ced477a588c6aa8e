"""Whole segments read by several processes, each once as long as it stays the same."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.file_identity import Check, look
from pitr_tui.repositories.index_cache import IndexCache, Variant
from pitr_tui.repositories.segment_reading import CHUNK, Reader, read_one, unreadable
from pitr_tui.repositories.workers import Function, Task, Workers, attempt, default_count
from pitr_tui.storage.compression import read_errors
from pitr_tui.storage.path import ReadPath

_FEW = 2  # so many are sooner read than processes are started


Facts = Generator[tuple[WalSegment, bytes | PitrError], None, None]


@dataclass(frozen=True, slots=True)
class Means:
    """What a fine pass has: a cache, so many processes, and a `check` that may raise to cancel."""

    cache: IndexCache | None = None
    processes: int = field(default_factory=default_count)
    check: Check = lambda: None


@dataclass(frozen=True, slots=True)
class _File:
    """A segment's file below the archive, as it was before it was read; `error` is an errno."""

    path: str
    identity: bytes
    settled: bool
    error: int


def facts_in_order(
    archive: WalArchive,
    segments: Iterable[WalSegment],
    variant: Variant,
    read: Reader,
    means: Means | None = None,
) -> Facts:
    """What `read` makes of each segment, in the order given, one process a segment.

    A segment that is absent or cannot be read to its end has a PitrError in its place. Close
    the generator to end early. Raises PitrError when the archive itself cannot be read, or a
    process dies.
    """
    means = means or Means()
    wanted = list(segments)
    files = _files(archive, wanted, means.check)
    kept = _Kept(archive, variant, means.cache)
    unread = sum(1 for file in files.values() if not file.error and not kept.has(file))
    alone = unread <= _FEW or means.processes < _FEW
    tasks = (_task(archive, one, files.get(one), kept, alone) for one in wanted)
    function = partial(read_one, read)
    with Workers(function, means.processes, means.check) as workers:
        results = _alone(function, tasks, means.check) if alone else workers.ordered(tasks)
        for segment, result in zip(wanted, results, strict=True):
            if isinstance(result, PitrError):
                yield segment, _about(segment, result)
                continue
            file = files[segment]
            if file.settled and not kept.has(file):
                kept.keep(file, result)
            yield segment, result


def _files(
    archive: WalArchive, segments: Iterable[WalSegment], check: Check
) -> Mapping[WalSegment, _File]:
    """The file of each segment that is there."""
    names = archive.names()
    paths: dict[str, WalSegment] = {}
    for segment in segments:
        path = names.segments.get(segment.name) or names.partial.get(segment.name)
        if path is not None:
            paths[path] = segment
    try:
        seen = look(archive.directory, list(paths), check)
    except OSError as error:
        raise PitrError("the WAL archive cannot be read", str(error)) from error
    return {
        paths[row["path"].decode()]: _File(
            row["path"].decode(), row.tobytes(), bool(settled), int(row["error"])
        )
        for row, settled in zip(seen.files, seen.settled, strict=True)
    }


@dataclass(slots=True)
class _Kept:
    """What the cache has of one archive's segments."""

    archive: WalArchive
    variant: Variant
    cache: IndexCache | None
    _identities: Mapping[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        where = str(self.archive.directory)
        self._identities = self.cache.known_facts(where, self.variant) if self.cache else {}

    def has(self, file: _File) -> bool:
        return self._identities.get(file.path) == file.identity

    def facts(self, file: _File) -> bytes | None:
        if self.cache is None or not self.has(file):
            return None
        where = str(self.archive.directory)
        return self.cache.facts(where, file.path, self.variant, file.identity)

    def keep(self, file: _File, facts: bytes) -> None:
        if self.cache is not None:
            where = str(self.archive.directory)
            self.cache.keep_facts(where, file.path, self.variant, file.identity, facts)


def _task(
    archive: WalArchive, segment: WalSegment, file: _File | None, kept: _Kept, alone: bool
) -> Task[bytes]:
    if file is None:
        return Task(ready=PitrError(f"it is not in {archive.directory}"))
    if file.error:
        return Task(ready=PitrError(os.strerror(file.error)))
    if (facts := kept.facts(file)) is not None:
        return Task(ready=facts)
    path = archive.directory / file.path
    if alone or isinstance(path, Path):
        return Task((path, segment))
    # A worker has no way to the engine, so that it is fed with the bytes.
    return Task((path.name, segment), partial(_chunks, path))


def _alone(
    function: Function[bytes],
    tasks: Iterable[Task[bytes]],
    check: Check,
) -> Iterator[bytes | PitrError]:
    for task in tasks:
        check()
        yield task.ready if task.ready is not None else attempt(function, task.value, None)


def _chunks(path: ReadPath) -> Iterator[bytes]:
    """The bytes of a file as they are. Raises PitrError."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except read_errors() as error:
        raise unreadable(error) from error


def _about(segment: WalSegment, error: PitrError) -> PitrError:
    why = ": ".join(filter(None, (error.what, error.why)))
    return PitrError(f"segment {segment.name} cannot be read", why, error.hint)
