"""The first pages of many segments: what they say of themselves, and the first time in them.

Whoever reads them here loads no numpy, so that a process for it is soon at work.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pitr_tui.repositories.engine_files import heads_of
from pitr_tui.storage.compression import open_plain, plain_name, read_errors
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.path import ReadPath
from pitr_tui.wal.first_time import (
    FIRST_BYTES,
    MOST_BYTES,
    NO_TIME,
    UNPACKABLE,
    NeedsMore,
    first_time,
)
from pitr_tui.wal.header import HEADER_BYTES

ROW = struct.Struct(f"<H{HEADER_BYTES}sq")  # error, header, time

_NOTHING = bytes(HEADER_BYTES)


def read_heads(directory: ReadPath, paths: Sequence[str]) -> bytes:
    """A ROW for each of the files below a directory. Raises OSError for the directory itself."""
    if isinstance(directory, EnginePath):
        return _read_behind_engine(directory, paths)
    place = Path(str(directory))
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return b"".join([_row_here(place, descriptor, path) for path in paths])
    finally:
        os.close(descriptor)


def read_heads_of(task: Any, fed: object) -> bytes:
    """The same for a directory and paths, as a function for `Workers`."""
    return read_heads(*task)


def is_packed(path: str) -> bool:
    return plain_name(path) != path


def _row_here(directory: Path, descriptor: int, path: str) -> bytes:
    if is_packed(path):
        return _unpacked_row(directory / path)
    try:
        # What became a pipe in the meantime must not make us wait for its other end.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=descriptor)
        try:
            head = os.read(file, FIRST_BYTES)
            try:
                return _row(head, first_time(head))
            except NeedsMore:
                head += os.pread(file, MOST_BYTES - len(head), len(head))
                return _row(head, _time_or_none(head))
        finally:
            os.close(file)
    except OSError as error:
        return ROW.pack(error.errno or UNPACKABLE, _NOTHING, NO_TIME)


def _unpacked_row(path: ReadPath) -> bytes:
    """Of a compressed file; what is damaged behind its first pages does not show here."""
    try:
        with open_plain(path) as file:
            head = file.read(FIRST_BYTES)
            try:
                return _row(head, first_time(head))
            except NeedsMore:
                head += file.read(MOST_BYTES - len(head))
                return _row(head, _time_or_none(head))
    except read_errors() as error:
        number = error.errno if isinstance(error, OSError) else None
        return ROW.pack(number or UNPACKABLE, _NOTHING, NO_TIME)


def _time_or_none(head: bytes) -> int | None:
    try:
        return first_time(head)
    except NeedsMore:
        return None


def _row(head: bytes, time: int | None) -> bytes:
    return ROW.pack(0, head[:HEADER_BYTES], NO_TIME if time is None else time)


def _read_behind_engine(directory: EnginePath, paths: Sequence[str]) -> bytes:
    """One answer of the helper for all plain files; the compressed ones come one by one."""
    plain = [path for path in paths if not is_packed(path)]
    rows: dict[str, bytes] = {}
    more: list[str] = []
    for path, head in heads_of(directory, plain, FIRST_BYTES):
        try:
            rows[path] = _row(head, first_time(head))
        except NeedsMore:
            more.append(path)
    for path, head in heads_of(directory, more, MOST_BYTES):
        rows[path] = _row(head, _time_or_none(head))
    return b"".join([rows.get(path) or _unpacked_row(directory / path) for path in paths])
