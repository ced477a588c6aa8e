"""Put a base backup into a new data directory."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery.events import Event, Progress
from pitr_tui.repositories.backups import (
    Backup,
    BackupFormat,
    drain,
    open_tar,
    tar_errors,
    tar_of,
)
from pitr_tui.servers.osuser import OsUser

TABLESPACES = "pitr_tablespaces"
_CHUNK = 1 << 20
_REPORT_EVERY = 8 << 20
_NOT_COPIED = (
    "postmaster.pid",
    "postmaster.opts",
    "recovery.conf",
    "recovery.done",
    "recovery.signal",
    "standby.signal",
    "tablespace_map",  # it would re-create the links to the primary's tablespaces
    "pitr",
    TABLESPACES,  # reached through the links in pg_tblspc
)

_ELSEWHERE = "choose a directory of its own"
Check = Callable[[], None]


def require_empty(destination: Path) -> None:
    """Raises RefusedError when something is there already: nothing is ever overwritten."""
    try:
        occupied = destination.is_symlink() or (
            destination.exists() and (not destination.is_dir() or any(destination.iterdir()))
        )
    except OSError as error:
        raise RefusedError(f"{destination} cannot be looked at", str(error.strerror)) from error
    if occupied:
        raise RefusedError(
            f"the destination {destination} is not empty",
            "a recovery never overwrites anything",
            "choose a new directory",
        )


def require_apart(destination: Path, backup: Path, archive: Path) -> None:
    """Raises RefusedError for a destination inside of what is only to be read."""
    place = destination.resolve()
    for directory, what in ((backup, "the backup"), (archive, "the WAL archive")):
        if place.is_relative_to(directory.resolve()):
            raise RefusedError(
                f"the destination lies inside of {what}", f"{place} is in {directory}", _ELSEWHERE
            )
    for directory in place.parents:
        if (directory / "PG_VERSION").exists():
            raise RefusedError(
                "the destination lies inside of a server's data directory",
                f"{directory} is one",
                _ELSEWHERE,
            )


@dataclass(slots=True)
class Copy:
    """A backup on its way into `destination`, an empty directory of `user`'s.

    Tablespaces come to lie inside the destination, so that the copy never touches the places
    of the primary's. `check` is called between the chunks and may raise to cancel.
    """

    backup: Backup
    destination: Path
    user: OsUser
    check: Check
    _done: int = field(default=0, init=False)
    _told: int = field(default=0, init=False)

    def run(self) -> Iterator[Event]:
        """Copy everything and tell the progress in bytes read. Raises PitrError."""
        try:
            if self.backup.format is BackupFormat.TAR:
                yield from self._unpack()
            else:
                yield from self._copy_tree(self.backup.path, self.destination)
        except OSError as error:
            raise PitrError(
                "the backup could not be copied",
                f"{error.filename or self.destination}: {error.strerror or error}",
                "make room there, or choose another destination",
            ) from error
        yield Progress(self._done, self.backup.restored_bytes or 0)

    def _copy_tree(self, source: Path, target: Path) -> Iterator[Event]:
        for entry in sorted(os.scandir(source), key=lambda one: one.name):
            path, to = Path(entry.path), target / entry.name
            top = source == self.backup.path
            if top and entry.name in _NOT_COPIED:
                continue
            if entry.is_symlink() and source.name == "pg_tblspc":
                to.symlink_to(Path("..") / TABLESPACES / entry.name)
                to = self._tablespace_place(entry.name)
                # The links of a backup that was moved still lead to where it was taken.
                own = self.backup.path / TABLESPACES / entry.name
                yield from self._copy_tree(own if own.is_dir() else path.resolve(strict=True), to)
            elif entry.is_dir():
                self.user.make_directory(to)
                yield from self._copy_tree(path, to)
            elif entry.is_file():
                with path.open("rb") as file:
                    yield from self._write(file, to)

    def _tablespace_place(self, oid: str) -> Path:
        parent = self.destination / TABLESPACES
        if not parent.exists():
            self.user.make_directory(parent)
        self.user.make_directory(parent / oid)
        return parent / oid

    def _unpack(self) -> Iterator[Event]:
        base = tar_of(self.backup.path)
        if base is None:
            raise PitrError(f"base.tar of {self.backup.path} has vanished")
        yield from self._unpack_one(base, self.destination, _NOT_COPIED)
        wal = self.destination / self.backup.version.wal_directory
        for path in sorted(self.backup.path.glob("*.tar*")):
            stem = path.name.split(".", 1)[0]
            if stem == "pg_wal":
                yield from self._unpack_one(path, wal, ())
            elif stem.isdigit():
                link = self.destination / "pg_tblspc" / stem
                link.unlink(missing_ok=True)
                link.symlink_to(Path("..") / TABLESPACES / stem)
                yield from self._unpack_one(path, self._tablespace_place(stem), ())

    def _unpack_one(self, tar: Path, target: Path, skip: tuple[str, ...]) -> Iterator[Event]:
        try:
            with open_tar(tar) as members:
                for member in members:
                    name = PurePosixPath(member.name.removeprefix("./"))
                    self._require_inside(name, tar)
                    if str(name) == "." or name.parts[0] in skip:
                        continue
                    yield from self._unpack_member(members, member, target / name)
                drain(members)
        except tar_errors() as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise PitrError(
                "the backup is damaged", f"{tar.name}: {error}", "use another backup"
            ) from error

    def _unpack_member(
        self, members: tarfile.TarFile, member: tarfile.TarInfo, to: Path
    ) -> Iterator[Event]:
        if member.isdir():
            if not to.is_dir():
                self._make_parents(to)
        elif member.isreg():
            self._make_parents(to.parent)
            file = members.extractfile(member)
            if file is not None:
                yield from self._write(file, to)
        elif not (member.issym() and to.parent.name == "pg_tblspc"):
            raise PitrError(
                "the backup is damaged",
                f"it holds {member.name}, which is neither a file nor a directory",
            )

    def _make_parents(self, directory: Path) -> None:
        if not directory.is_dir():
            self._make_parents(directory.parent)
            self.user.make_directory(directory)

    def _require_inside(self, name: PurePosixPath, tar: Path) -> None:
        if name.is_absolute() or ".." in name.parts:
            raise PitrError(
                "the backup is damaged",
                f"{tar.name} holds the name {str(name)!r}, which leads out of the destination",
                "do not trust where this file came from",
            )

    def _write(self, source: IO[bytes], to: Path) -> Iterator[Event]:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            self.user.own(target.fileno())
            while chunk := source.read(_CHUNK):
                self.check()
                target.write(chunk)
                self._done += len(chunk)
                if self._done - self._told >= _REPORT_EVERY:
                    self._told = self._done
                    yield Progress(self._done, self.backup.restored_bytes or 0)


def remove(destination: Path, keep_directory: bool) -> None:
    """Take away what a failed run has made. Raises PitrError when something resists."""
    try:
        if keep_directory:
            for path in destination.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif destination.exists():
            shutil.rmtree(destination)
    except OSError as error:
        raise PitrError(
            f"what the run left in {destination} could not be removed", str(error)
        ) from error
