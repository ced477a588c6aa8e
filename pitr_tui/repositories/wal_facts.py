"""Whole segments read by several processes, each once as long as it stays the same."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE, WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.file_identity import Check, look
from pitr_tui.repositories.index_cache import IndexCache, Variant
from pitr_tui.repositories.segment_reading import CHUNK, One, Reader, Wanted, read_one, unreadable
from pitr_tui.repositories.workers import Function, Task, Workers, attempt, default_count
from pitr_tui.storage.compression import plain_name, read_errors
from pitr_tui.storage.path import ReadPath
from pitr_tui.wal.segment import Part, parts_of

_LITTLE = 2 * DEFAULT_SEGMENT_SIZE  # so many bytes are sooner read than processes are started


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
    segments: Iterable[One],
    variant: Variant,
    read: Reader[One],
    means: Means | None = None,
) -> Generator[tuple[One, bytes | PitrError], None, None]:
    """What `read` makes of each segment, in the order given, one process a segment.

    Also of parts of segments, see `parts`. A segment that is absent or cannot be read to its
    end has a PitrError in its place. Close the generator to end early. Raises PitrError when
    the archive itself cannot be read, or a process dies.
    """
    means = means or Means()
    wanted = list(segments)
    files = _files(archive, [_whole(one) for one in wanted], means.check)
    kept = _Kept(archive, variant, means.cache)
    unread = sum(
        _size(one)
        for one in wanted
        if (file := files.get(_whole(one))) and not file.error and not kept.has(file, one)
    )
    alone = unread <= _LITTLE or means.processes < 2
    tasks = (_task(archive, one, files.get(_whole(one)), kept, alone) for one in wanted)
    function = partial(read_one, read)
    with Workers(function, means.processes, means.check) as workers:
        results = _alone(function, tasks, means.check) if alone else workers.ordered(tasks)
        for one, result in zip(wanted, results, strict=True):
            if isinstance(result, PitrError):
                yield one, _about(_whole(one), result)
                continue
            file = files[_whole(one)]
            if file.settled and not kept.has(file, one):
                kept.keep(file, one, result)
            yield one, result


def parts(archive: WalArchive, segments: Iterable[WalSegment]) -> list[Wanted]:
    """Large segments in parts, so that what is said in one fits into memory.

    Only of files that can be read from the middle: plain ones, on this machine.
    """
    names, found = archive.names(), list[Wanted]()
    for segment in segments:
        path = names.segments.get(segment.name) or names.partial.get(segment.name) or ""
        here = isinstance(archive.directory, Path) and plain_name(path) == path
        found += parts_of(segment) if here and segment.size > DEFAULT_SEGMENT_SIZE else [segment]
    return found


def _whole(one: Wanted) -> WalSegment:
    return one.whole if isinstance(one, Part) else one


def _size(one: Wanted) -> int:
    return (one.own if isinstance(one, Part) else one).size


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

    def has(self, file: _File, one: Wanted) -> bool:
        return self._identities.get(_key(file, one)) == file.identity

    def facts(self, file: _File, one: Wanted) -> bytes | None:
        if self.cache is None or not self.has(file, one):
            return None
        where = str(self.archive.directory)
        return self.cache.facts(where, _key(file, one), self.variant, file.identity)

    def keep(self, file: _File, one: Wanted, facts: bytes) -> None:
        if self.cache is not None:
            where = str(self.archive.directory)
            self.cache.keep_facts(where, _key(file, one), self.variant, file.identity, facts)


def _key(file: _File, one: Wanted) -> str:
    """What facts are kept under: the path, and where a part begins."""
    return f"{file.path}@{one.start}" if isinstance(one, Part) else file.path


def _task(
    archive: WalArchive, one: Wanted, file: _File | None, kept: _Kept, alone: bool
) -> Task[bytes]:
    if file is None:
        return Task(ready=PitrError(f"it is not in {archive.directory}"))
    if file.error:
        return Task(ready=PitrError(os.strerror(file.error)))
    if (facts := kept.facts(file, one)) is not None:
        return Task(ready=facts)
    path = archive.directory / file.path
    if alone or isinstance(path, Path):
        return Task((path, one))
    # A worker has no way to the engine, so that it is fed with the bytes.
    return Task((path.name, one), partial(_chunks, path))


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
