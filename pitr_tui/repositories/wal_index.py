"""What an archive holds by the heads of its segments, however many there are.

Only the first pages of a segment are read, and those only once as long as it stays the same.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pitr_tui.errors import PitrError
from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE, history_timeline
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.archive_names import ArchiveNames
from pitr_tui.repositories.file_identity import IDENTITY, Check, Identities, Look, look
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.segment_heads import read_heads_of
from pitr_tui.repositories.workers import Task, Workers, default_count
from pitr_tui.wal.first_time import NO_TIME
from pitr_tui.wal.heads import HEAD, Heads
from pitr_tui.wal.holdings import Holdings, holdings
from pitr_tui.wording import count_text

Told = Callable[[int, int], None]  # how many heads are read, and of how many

_READ = np.dtype([("error", "<u2"), ("header", HEAD["header"]), ("time", "<i8")])
_CHUNK = 1024  # files that a worker reads at a time
_ALONE = 8 * _CHUNK  # as many are read sooner than processes are started
_ENGINE_CHUNK = 4 * _CHUNK
_PART = 1 << 16  # files that are looked at and kept at a time, so that memory stays small


@dataclass(frozen=True, slots=True)
class Survey:
    """An archive's segments by their heads, and its small files.

    `problems` has the timelines whose history is absent or makes no sense, `labels` what the
    backup history files say by their names, and `remarks` what a person should know of it.
    """

    heads: Heads
    histories: Mapping[TimelineId, TimelineHistory]
    problems: Mapping[TimelineId, str]
    labels: Mapping[str, BackupLabel]
    remarks: tuple[str, ...] = ()

    def holdings(
        self, system_identifier: int | None = None, segment_size: int = DEFAULT_SEGMENT_SIZE
    ) -> Holdings:
        """What of it serves the cluster of `system_identifier`, or that of most of it."""
        return holdings(self.heads, self.histories, self.problems, system_identifier, segment_size)


@dataclass(slots=True)
class WalIndex:
    """The coarse pass over an archive. `check` may raise to cancel, `told` hears the progress."""

    archive: WalArchive
    cache: IndexCache
    check: Check = lambda: None
    told: Told = lambda done, total: None
    _remarks: list[str] = field(default_factory=list, init=False)

    def survey(self) -> Survey:
        """Read what is there. Raises PitrError when the archive itself cannot be read."""
        self._remarks = []
        names = self.archive.names()
        paths = [*names.segments.values(), *names.partial.values()]
        names.segments.clear()  # of very many names once is enough
        heads = self._heads(paths)
        histories, problems = self._histories(names, heads)
        labels = self._labels(names)
        for path in sorted(names.packed_partial.values()):
            self._remarks.append(
                f"{path} is not read: it was begun and is compressed. Unpack what there is of it "
                f"to {path.partition('.')[0]}.partial, for example with `gzip -dc`"
            )
        if self.cache.remark:
            self._remarks.append(self.cache.remark)
        return Survey(heads, histories, problems, labels, tuple(self._remarks))

    def _heads(self, paths: list[str]) -> Heads:
        directory = self.archive.directory
        try:
            seen = look(directory, paths, self.check)
        except OSError as error:
            raise PitrError(
                "the WAL archive cannot be read",
                f"{error.filename or directory}: {error.strerror}",
            ) from error
        paths.clear()
        known, read = self._known(seen.files)
        not_files = seen.files["error"] != 0
        read["error"][not_files] = seen.files["error"][not_files]
        read["time"][not_files] = NO_TIME
        unread = np.flatnonzero(~known & ~not_files)
        self._read(seen.files["path"], unread, read)
        self._keep(seen, read, known)
        gone = unread[read["error"][unread] == errno.ENOENT]
        heads = _joined(seen.files, read)
        if not len(gone):
            return heads
        self._remarks.append(f"{count_text(len(gone), 'segment')} disappeared while they were read")
        return np.delete(heads, gone)

    def _known(self, files: Identities) -> tuple[NDArray[np.bool], NDArray[np.void]]:
        """Which files are the same as the last time, and what was read of them then."""
        known, read = np.zeros(len(files), bool), np.zeros(len(files), _READ)
        where, part = str(self.archive.directory), 0
        while len(files) and (data := self.cache.heads(where, part)):
            count = len(data) // (IDENTITY.itemsize + _READ.itemsize)
            split = count * IDENTITY.itemsize
            kept, was_read = (
                np.frombuffer(data[:split], IDENTITY),
                np.frombuffer(data[split:], _READ),
            )
            here = slice(part * _PART, part * _PART + count)
            if np.array_equal(kept.view(np.uint8), files[here].view(np.uint8)):
                known[here], read[here] = True, was_read
            else:
                at = np.searchsorted(files["path"], kept["path"])
                at = np.minimum(at, len(files) - 1)
                same = files[at] == kept
                known[at[same]], read[at[same]] = True, was_read[same]
            part += 1
        return known, read

    def _read(
        self, paths: NDArray[np.bytes_], unread: NDArray[np.intp], read: NDArray[np.void]
    ) -> None:
        """Read the heads of files, by several processes where these are worth their start."""
        directory = self.archive.directory
        size = _CHUNK if isinstance(directory, Path) else _ENGINE_CHUNK
        chunks = [unread[begin : begin + size] for begin in range(0, len(unread), size)]
        tasks: Iterator[Task[bytes]] = (
            Task((directory, [path.decode() for path in paths[chunk]])) for chunk in chunks
        )
        few = len(unread) <= _ALONE or default_count() == 1
        alone = few or not isinstance(directory, Path)
        self.told(0, len(unread))
        done = 0
        with Workers(read_heads_of, check=self.check) as workers:
            results = map(_read_alone, tasks) if alone else workers.ordered(tasks)
            for chunk, rows in zip(chunks, results, strict=True):
                if isinstance(rows, PitrError):
                    raise rows
                read[chunk] = np.frombuffer(rows, _READ)
                done += len(chunk)
                self.told(done, len(unread))
                self.check()

    def _keep(self, seen: Look, read: NDArray[np.void], known: NDArray[np.bool]) -> None:
        """Keep what has settled, unless that is what is kept already."""
        keep = (read["error"] == 0) & (known | seen.settled)
        if (keep == known).all() and known.any():
            return
        kept = np.flatnonzero(keep)
        parts = (kept[begin : begin + _PART] for begin in range(0, len(kept), _PART))
        self.cache.keep_heads(
            str(self.archive.directory),
            (seen.files[part].tobytes() + read[part].tobytes() for part in parts),
        )

    def _histories(
        self, names: ArchiveNames, heads: Heads
    ) -> tuple[dict[TimelineId, TimelineHistory], dict[TimelineId, str]]:
        found: dict[TimelineId, TimelineHistory] = {}
        problems: dict[TimelineId, str] = {}
        seen = {TimelineId(one) for one in np.unique(heads["timeline"]).tolist()}
        named = {one for one in map(history_timeline, names.histories) if one is not None}
        for timeline in sorted(seen | named):
            self.check()
            if timeline == 1:
                continue
            if timeline not in named:
                problems[timeline] = f"{timeline.history_name} is not in the archive"
                continue
            try:
                found[timeline] = self.archive.history(timeline)
            except PitrError as error:
                problems[timeline] = ": ".join(filter(None, (error.what, error.why)))
        return found, problems

    def _labels(self, names: ArchiveNames) -> dict[str, BackupLabel]:
        labels: dict[str, BackupLabel] = {}
        for name in sorted(names.backup_histories):
            self.check()
            try:
                labels[name] = self.archive.backup_history(name)
            except PitrError as error:
                self._remarks.append(f"{name}: {error.why or error.what}")
        return labels


def _read_alone(task: Task[bytes]) -> bytes:
    try:
        return read_heads_of(task.value, None)
    except OSError as error:
        raise PitrError("the WAL archive cannot be read", str(error)) from error


def _joined(files: Identities, read: NDArray[np.void]) -> Heads:
    """What `wal` needs to know of each file, with its name taken apart."""
    heads = np.zeros(len(files), HEAD)
    for begin in range(0, len(files), _PART):
        here = slice(begin, begin + _PART)
        _take_apart(np.ascontiguousarray(files["path"][here]), heads[here])
    heads["bytes"] = files["size"]
    for name in ("error", "header", "time"):
        heads[name] = read[name]
    return heads


def _take_apart(paths: NDArray[np.bytes_], heads: Heads) -> None:
    """Put the three numbers of each name, and what its ending says, into the heads."""
    letters = paths.view(np.uint8).reshape(len(paths), -1)
    slash = letters == ord("/")
    start = np.where(slash[:, 8], 9, np.where(slash[:, 16], 17, 0))
    if start.any():
        letters = np.take_along_axis(letters, start[:, None] + np.arange(26), axis=1)
    name = np.ascontiguousarray(letters[:, :24]).tobytes()
    numbers = np.frombuffer(bytes.fromhex(name.decode()), ">u4").reshape(-1, 3)
    heads["timeline"], heads["high"], heads["low"] = numbers.T
    dot = letters[:, 24] == ord(".")
    heads["begun"] = dot & (letters[:, 25] == ord("p"))
    heads["packed"] = dot & ~heads["begun"]
