"""Put a base backup into a new data directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import one_line
from pitr_tui.postgres.walname import is_archive_file
from pitr_tui.recovery.events import Event, Progress
from pitr_tui.repositories.backups import (
    TABLESPACES,
    Backup,
    BackupFormat,
)
from pitr_tui.repositories.tars import drain, open_tar, tar_errors
from pitr_tui.servers.secondary import OWN_DIRECTORY, Filler
from pitr_tui.storage.path import Members, ReadPath, tree_members
from pitr_tui.wording import size_text

_CHUNK = 1 << 20
_REPORT_EVERY = 8 << 20
_KEPT_FREE = 32 << 20  # others write to the same disk, perhaps the primary
_NAME_BYTES, _NAME_PARTS = 4096, 64
_VERSION_DIRECTORY = re.compile(r"PG_[0-9.]+_[0-9]{9}")  # all that a tablespace has on top
NOT_COPIED = (
    "postmaster.pid",
    "postmaster.opts",
    "recovery.conf",
    "recovery.done",
    "recovery.signal",
    "standby.signal",
    "tablespace_map",  # it would re-create the links to the primary's tablespaces
    str(OWN_DIRECTORY),
)
"""What of a data directory's top does not come along."""

Check = Callable[[], None]


@dataclass(slots=True)
class Copy:
    """A backup on its way into an empty data directory.

    Tablespaces come to lie inside of it, so that the copy never touches the places of the
    primary's. `check` is called between the chunks and may raise to cancel.
    """

    backup: Backup
    filler: Filler
    check: Check
    _done: int = field(default=0, init=False)
    _told: int = field(default=0, init=False)
    _room: int = field(default=0, init=False)

    def run(self) -> Iterator[Event]:
        """Copy everything and tell the progress in bytes read. Raises PitrError."""
        try:
            if self.backup.format is BackupFormat.TAR:
                yield from self._unpack()
            else:
                yield from self._copy_plain()
            self.filler.finish()
        except OSError as error:
            raise PitrError(
                "the backup could not be copied",
                f"{error.filename or self.backup.path}: {error.strerror or error}",
                "make room there, or choose another destination",
            ) from error
        finally:
            self.filler.close()
        yield Progress(self._done, self.backup.restored_bytes or 0)

    def _copy_plain(self) -> Iterator[Event]:
        members = tree_members(self.backup.path)
        if members is None:
            yield from self._copy_tree(self.backup.path, PurePosixPath())
            return
        # One stream, instead of one question for each file.
        yield from self._take_members(members, PurePosixPath(), str(self.backup.path))
        links = self.backup.path / "pg_tblspc"
        for link in links.iterdir() if links.is_dir() else ():
            if not (self.backup.path / TABLESPACES / link.name).is_dir():
                raise PitrError(
                    "the backup is not complete",
                    f"its tablespace {link.name} lies outside of {self.backup.path}",
                    "use a backup that pitr took, or one in tar format",
                )

    def _copy_tree(self, source: ReadPath, to: PurePosixPath) -> Iterator[Event]:
        for path in sorted(source.iterdir(), key=lambda one: one.name):
            if to == PurePosixPath() and path.name in (*NOT_COPIED, TABLESPACES):
                continue  # tablespaces are reached through the links in pg_tblspc
            if path.is_symlink():
                yield from self._copy_linked(path, to)
            elif path.is_dir():
                self.filler.directory(to / path.name)
                yield from self._copy_tree(path, to / path.name)
            elif path.is_file():
                yield from self._copy_file(path, to)

    def _copy_linked(self, path: ReadPath, to: PurePosixPath) -> Iterator[Event]:
        """Follow a link as far as PostgreSQL has one there, and to nothing but its own files.

        A backup is often written by a user who may read less than we: his link must not make
        us carry somebody's secrets into a server of his.
        """
        if to == PurePosixPath("pg_tblspc"):
            self._link_tablespace(path.name)
            # The links of a backup that was moved still lead to where it was taken.
            own = self.backup.path / TABLESPACES / path.name
            place = own if own.is_dir() else path
            inside = PurePosixPath(TABLESPACES, path.name)
            self.filler.directory(inside)
            for one in sorted(place.iterdir(), key=lambda one: one.name):
                if _VERSION_DIRECTORY.fullmatch(one.name) and not one.is_symlink():
                    self.filler.directory(inside / one.name)
                    yield from self._copy_tree(one, inside / one.name)
        elif to != PurePosixPath():
            raise _no_file(str(to / path.name))
        elif path.is_dir():
            self.filler.directory(to / path.name)
            if path.name == self.backup.version.wal_directory:
                for one in sorted(path.iterdir(), key=lambda one: one.name):
                    if is_archive_file(one.name) and one.is_file() and not one.is_symlink():
                        yield from self._copy_file(one, to / path.name)

    def _copy_file(self, path: ReadPath, to: PurePosixPath) -> Iterator[Event]:
        with path.open("rb") as file:
            yield from self._write(file, to / path.name, path.stat().st_size)

    def _link_tablespace(self, oid: str) -> None:
        self.filler.link(PurePosixPath("pg_tblspc", oid), PurePosixPath("..", TABLESPACES, oid))

    def _unpack(self) -> Iterator[Event]:
        wal = PurePosixPath(self.backup.version.wal_directory)
        for path in self.backup.tars():
            stem = path.name.split(".", 1)[0]
            if stem == "base":
                to = PurePosixPath()
            elif stem == "pg_wal":
                to = wal
            else:
                self._link_tablespace(stem)
                to = PurePosixPath(TABLESPACES, stem)
            yield from self._unpack_one(path, to)

    def _unpack_one(self, path: ReadPath, to: PurePosixPath) -> Iterator[Event]:
        try:
            with open_tar(path) as tar:
                members = ((one, tar.extractfile(one) if one.isreg() else None) for one in tar)
                yield from self._take_members(members, to, path.name)
                drain(tar)
        except tar_errors() as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise PitrError(
                "the backup is damaged", f"{path.name}: {error}", "use another backup"
            ) from error

    def _take_members(self, members: Members, to: PurePosixPath, source: str) -> Iterator[Event]:
        left_out: tuple[str, ...] = ()
        if to == PurePosixPath():
            in_tar = self.backup.format is BackupFormat.TAR
            left_out = (*NOT_COPIED, TABLESPACES) if in_tar else NOT_COPIED
        for member, content in members:
            name = PurePosixPath(member.name.removeprefix("./"))
            _require_inside(name, source)
            if str(name) == "." or name.parts[0] in left_out:
                continue
            if member.isdir():
                self.filler.directory(to / name)
            elif content is not None:
                yield from self._write(content, to / name, member.size)
            elif not (member.issym() and name.parts[-2:-1] == ("pg_tblspc",)):
                raise _no_file(member.name)
            elif self.backup.format is BackupFormat.PLAIN:
                self._link_tablespace(name.name)

    def _write(self, source: IO[bytes], to: PurePosixPath, size: int) -> Iterator[Event]:
        self._require_room(to, size)
        with self.filler.file(to, size) as write:
            while chunk := source.read(_CHUNK):
                self.check()
                write(chunk)
                self._done += len(chunk)
                if self._done - self._told >= _REPORT_EVERY:
                    self._told = self._done
                    yield Progress(self._done, self.backup.restored_bytes or 0)

    def _require_room(self, to: PurePosixPath, size: int) -> None:
        """Stop before the disk is full: a few bytes of a tar can claim to be any size."""
        if size > self._room:
            self._room = self.filler.free_bytes() - _KEPT_FREE
        if size > self._room:
            raise PitrError(
                "the backup could not be copied",
                f"No space left for {one_line(str(to))}: it has {size_text(size)}, and "
                f"{size_text(max(self._room, 0))} may be used",
                "make room there, or choose another destination",
            )
        self._room -= size


def _no_file(name: str) -> PitrError:
    return PitrError(
        "the backup is damaged",
        f"it holds {one_line(name)}, which is neither a file nor a directory",
        "use another backup; in a copy of this one, a link can be replaced by what it leads to",
    )


def _require_inside(name: PurePosixPath, source: str) -> None:
    if len(str(name)) > _NAME_BYTES or len(name.parts) > _NAME_PARTS:
        raise PitrError(
            "the backup is damaged", f"{source} holds a name of {len(str(name)):,} characters"
        )
    if name.is_absolute() or ".." in name.parts:
        raise PitrError(
            "the backup is damaged",
            f"{source} holds the name {str(name)!r}, which leads out of the destination",
            "do not trust where this file came from",
        )
