"""The names in an archive directory, and the file behind each: of many thousands at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pitr_tui.postgres.walname import history_timeline, is_backup_history, is_partial, is_segment
from pitr_tui.storage.compression import SUFFIXES, plain_name
from pitr_tui.storage.path import ReadPath

PARTIAL = ".partial"
_SUBDIRECTORY = re.compile(r"[0-9A-F]{8}(?:[0-9A-F]{8})?")
_SEGMENT = re.compile(r"(?!0{8})[0-9A-F]{24}").fullmatch


@dataclass(frozen=True, slots=True)
class ArchiveNames:
    """What is in an archive by plain names, each with the path below the archive's directory.

    Of a file that is there twice, the one that `WalArchive.find` gives; of a segment that was
    only begun, none if there is a whole one. `packed_partial` has segments that were begun and
    are compressed, as `pg_receivewal --compress` leaves the last one: these are not read.
    """

    segments: dict[str, str] = field(default_factory=dict)
    partial: dict[str, str] = field(default_factory=dict)
    histories: dict[str, str] = field(default_factory=dict)
    backup_histories: dict[str, str] = field(default_factory=dict)
    packed_partial: dict[str, str] = field(default_factory=dict)


def read_names(directory: ReadPath) -> ArchiveNames:
    """Read the directory and those in it that are named like the begin of a segment.

    Raises OSError when one of them cannot be read.
    """
    found = ArchiveNames()
    subdirectories: list[str] = []
    for name in _names(directory):
        if _SEGMENT(name):  # most of them, and there may be very many
            found.segments[name] = name
        elif is_partial(name):
            found.partial[name.removesuffix(PARTIAL)] = name
        elif _SUBDIRECTORY.fullmatch(name):
            subdirectories.append(name)
        else:
            _add(found, "", name)
    for place in sorted(subdirectories, key=len):
        if (directory / place).is_dir():
            for name in _names(directory / place):
                if name.startswith(place) and not is_partial(name):
                    _add(found, place, name)
    for begun in (found.partial, found.packed_partial):
        for name in begun.keys() & found.segments.keys():
            del begun[name]
    return found


def _names(directory: ReadPath) -> Iterator[str] | list[str]:
    if isinstance(directory, Path):
        return os.listdir(directory)
    return (path.name for path in directory.iterdir())


def _add(found: ArchiveNames, place: str, name: str) -> None:
    plain = plain_name(name)
    if is_segment(plain):
        files = found.segments
    elif is_backup_history(plain):
        files = found.backup_histories
    elif history_timeline(plain) is not None:
        files = found.histories
    elif is_segment(begun := plain_name(plain.removesuffix(PARTIAL))):
        files, plain = found.packed_partial, begun
    else:
        return
    path = f"{place}/{name}" if place else name
    if plain not in files or _rank(path) < _rank(files[plain]):
        files[plain] = path


def _rank(path: str) -> tuple[int, int]:
    """Where among its twins `WalArchive.find` looks for a file: by place, then by ending."""
    place, _, name = path.rpartition("/")
    ending = name.removeprefix(plain_name(name))
    return len(place), SUFFIXES.index(ending) if ending in SUFFIXES else len(SUFFIXES)
