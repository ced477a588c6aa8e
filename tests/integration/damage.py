"""Damage done to a copy of an archive. Its files have other names, so none is written into."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.integration.story import Story


def remove(number: int) -> Callable[[Path, Story], None]:
    return lambda archive, story: (archive / story.segment(number).name).unlink()


def remove_first(archive: Path, story: Story) -> None:
    (archive / story.backup.start_segment.name).unlink()


def put(path: Path, data: bytes) -> None:
    """Another file in the place of this one, which may have other names."""
    owner = path.stat() if path.exists() else path.parent.stat()
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    os.chown(path, owner.st_uid, owner.st_gid)


def truncate(archive: Path, story: Story) -> None:
    path = archive / story.segment(3).name
    put(path, path.read_bytes()[: story.backup.segment_size // 2])


def zero(archive: Path, story: Story) -> None:
    put(archive / story.segment(3).name, bytes(story.backup.segment_size))


def change(path: Path, offset: int, length: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = (byte ^ 0xFF for byte in data[offset : offset + length])
    put(path, bytes(data))


def corrupt(archive: Path, story: Story) -> None:
    """In the record behind row 2, before row 3's commit."""
    offset = int(story.marks[2].lsn) % story.backup.segment_size
    change(archive / story.segment(3).name, offset + 40, 1)


def foreign(archive: Path, story: Story) -> None:
    change(archive / story.segment(3).name, 24, 8)


def packed_badly(archive: Path, story: Story) -> None:
    path = archive / story.segment(3).name
    put(path.with_name(f"{path.name}.gz"), b"\x1f\x8b garbage")
    path.unlink()


def cut_backup(archive: Path, story: Story) -> None:
    """The first segment ends just after the checkpoint; nothing follows it."""
    first = story.backup.start_segment
    path = archive / first.name
    begin = int(story.backup.label.checkpoint_lsn) % first.size + 120
    put(path, path.read_bytes()[:begin].ljust(first.size, b"\0"))
    remove_behind(archive, path.name)


def partial(archive: Path, story: Story) -> None:
    """The segment with the target is there as it was being received."""
    path = archive / story.segment(6).name
    remove_behind(archive, path.name)
    path.rename(path.with_name(f"{path.name}.partial"))


def remove_behind(archive: Path, name: str) -> None:
    for later in archive.iterdir():
        if later.name > name and later.name.startswith("00000001") and "." not in later.name:
            later.unlink()
