"""Where the files of system catalogs lie in a base backup of either format."""

from __future__ import annotations

import os
import re
import tarfile
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, TypeAlias

import lz4.block

from pitr_tui.repositories.backups import TABLESPACES, Backup, BackupFormat
from pitr_tui.repositories.tars import open_tar, tar_errors
from pitr_tui.storage.path import ReadPath
from pitr_tui.wal.catalog import SHARED, Catalog
from pitr_tui.wal.catalogrows import SystemCatalog
from pitr_tui.wal.filenodemap import MAP_BYTES, MAP_NAME
from pitr_tui.wal.heappage import PAGE_SIZE

Place: TypeAlias = tuple[int, int]  # database and file number

_CHUNK = 2048 * PAGE_SIZE
_PART = 1 << 30
_LARGEST_PART = 16384 * PAGE_SIZE  # of a relation in a tar file; the rest of it is like that
_STATUS_BYTES = 32 * PAGE_SIZE
_RELATION = re.compile(r"(\d{1,10})(?:\.(\d{1,5}))?")
_STATUS = re.compile(r"[0-9A-F]{4,6}")


def directory_of(database: int) -> str:
    """How the directory of a database is called, wherever it lies."""
    return "global" if database == SHARED else f"base/{database}"


def files_of(backup: Backup, catalog: Catalog) -> CatalogFiles:
    kind = _FilesInTar if backup.format is BackupFormat.TAR else _FilesInDirectory
    return kind(backup, catalog)


class CatalogFiles(ABC):
    """The files of a backup that catalogs are read from, and the sizes of all relations.

    What cannot be read is told in `remarks`, and nothing is raised for it.
    """

    def __init__(self, backup: Backup, catalog: Catalog) -> None:
        self.sizes: dict[int, dict[int, int]] = defaultdict(dict)
        self.maps: dict[int, bytes] = {}
        self.remarks: list[str] = []
        self.loaded: set[Place] = set()
        self._backup = backup
        self._catalog = catalog
        self._catalogs_begin = f"PG_{backup.version.major}_"

    @abstractmethod
    def survey(self) -> None:
        """See which files there are, and read the maps."""

    @abstractmethod
    def load(self, wanted: set[Place]) -> None:
        """Give these files to the catalog."""

    @abstractmethod
    def statuses(self, numbers: set[int]) -> Mapping[int, bytes]:
        """Those of these files of pg_xact that are there, by their numbers."""

    @abstractmethod
    def content(self, place: Place) -> Iterator[bytes]:
        """A relation's file in chunks of whole pages, from its first part on. Raises OSError."""

    def _note_size(self, database: int, name: str, size: int) -> None:
        match = _RELATION.fullmatch(name)
        if match is not None:
            number = int(match[1])
            sizes = self.sizes[database]
            sizes[number] = sizes.get(number, 0) + size

    def _load_part(self, place: Place, part: int, file: IO[bytes]) -> None:
        """Give one of the files of a relation to the catalog."""
        database, number = place
        block = part * (_PART // PAGE_SIZE)
        self.loaded.add(place)
        while content := file.read(_CHUNK):
            if len(content) % PAGE_SIZE:
                self.remarks.append(f"{directory_of(database)}/{number} ends inside of a page")
            self._catalog.load(database, number, content, block)
            block += len(content) // PAGE_SIZE


class _FilesInDirectory(CatalogFiles):
    """Of a plain backup only the files that are wanted are opened."""

    def __init__(self, backup: Backup, catalog: Catalog) -> None:
        super().__init__(backup, catalog)
        self._homes: dict[int, ReadPath] = {}
        self._away: dict[Place, ReadPath] = {}  # of relations in other tablespaces

    def survey(self) -> None:
        root = self._backup.path
        self._survey_database(SHARED, root / "global")
        for below in [root / "base", *self._tablespaces()]:
            for entry in self._list(below):
                if entry.name.isdecimal():
                    self._survey_database(int(entry.name), below / entry.name)

    def load(self, wanted: set[Place]) -> None:
        for database, number in wanted:
            home, size = self._homes.get(database), self.sizes[database].get(number)
            if home is None or size is None:
                continue
            self.loaded.add((database, number))
            for part in range(-(-size // _PART)):
                path = home / (f"{number}.{part}" if part else str(number))
                try:
                    with path.open("rb") as file:
                        self._load_part((database, number), part, file)
                except OSError as error:
                    self._cannot_read(path, error)

    def statuses(self, numbers: set[int]) -> Mapping[int, bytes]:
        directory = self._backup.path / self._backup.version.transaction_status_directory
        found = {}
        for number in numbers:
            path = directory / f"{number:04X}"
            try:
                with path.open("rb") as file:
                    found[number] = file.read(_STATUS_BYTES)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._cannot_read(path, error)
        return found

    def content(self, place: Place) -> Iterator[bytes]:
        database, number = place
        home = self._away.get(place) or self._homes.get(database)
        if home is None:
            return
        for part in range(-(-self.sizes[database][number] // _PART)):
            path = home / (f"{number}.{part}" if part else str(number))
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk

    def _tablespaces(self) -> Iterator[ReadPath]:
        """The directories of this major version in the backup's tablespaces."""
        links = self._backup.path / "pg_tblspc"
        for link in self._list(links):
            # The links of a backup that was moved still lead to where it was taken.
            own = self._backup.path / TABLESPACES / link.name
            place = own if own.is_dir() else links / link.name
            for entry in self._list(place):
                if entry.name.startswith(self._catalogs_begin):
                    yield place / entry.name

    def _survey_database(self, database: int, directory: ReadPath) -> None:
        away = not (directory / MAP_NAME).exists()
        for entry in self._list(directory):
            if away and entry.size is not None and entry.name.isdecimal():
                self._away[database, int(entry.name)] = directory
            if entry.name == MAP_NAME:
                self._homes[database] = directory
                self.sizes.setdefault(database, {})
                self._read_map(database, directory / MAP_NAME)
            elif entry.size is not None:
                self._note_size(database, entry.name, entry.size)

    def _read_map(self, database: int, path: ReadPath) -> None:
        try:
            with path.open("rb") as file:
                self.maps[database] = file.read(MAP_BYTES + 1)
        except OSError as error:
            self._cannot_read(path, error)

    def _list(self, directory: ReadPath) -> Iterator[_Entry]:
        try:
            yield from _entries(directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._cannot_read(directory, error)

    def _cannot_read(self, path: ReadPath, error: OSError) -> None:
        self.remarks.append(f"{path} cannot be read: {error.strerror or error}")


class _FilesInTar(CatalogFiles):
    """A backup in tar format is read from front to end, more than once if need be.

    The first time, those files are taken that are the catalogs' in a new cluster.
    """

    def __init__(self, backup: Backup, catalog: Catalog) -> None:
        super().__init__(backup, catalog)
        self._statuses: dict[int, bytes] = {}  # packed: nearly all of it says the same

    def survey(self) -> None:
        self._pass(self._survey_member)

    def load(self, wanted: set[Place]) -> None:
        def take(where: _Where, size: int, file: IO[bytes]) -> None:
            match = _RELATION.fullmatch(where.name)
            if match and where.database is not None:
                place = where.database, int(match[1])
                if place in wanted:
                    self._load_part(place, int(match[2] or 0), file)

        if any(number in self.sizes[database] for database, number in wanted):
            self._pass(take)

    def statuses(self, numbers: set[int]) -> Mapping[int, bytes]:
        found = self._statuses
        return {one: lz4.block.decompress(found[one]) for one in numbers & found.keys()}

    def content(self, place: Place) -> Iterator[bytes]:
        """One more pass, which is quick only where nothing has to be unpacked."""
        found: list[bytes] = []

        def take(where: _Where, size: int, file: IO[bytes]) -> None:
            if where == (place[0], str(place[1])):
                found.append(file.read(_LARGEST_PART))

        self._pass(take)
        yield from found

    def _survey_member(self, where: _Where, size: int, file: IO[bytes]) -> None:
        database, name = where
        if database is None:
            if _STATUS.fullmatch(name):
                self._statuses[int(name, 16)] = lz4.block.compress(file.read(_STATUS_BYTES))
            return
        if name == MAP_NAME:
            self.sizes.setdefault(database, {})
            self.maps[database] = file.read(MAP_BYTES + 1)
            return
        self._note_size(database, name, size)
        match = _RELATION.fullmatch(name)
        if match and int(match[1]) in _USUAL:
            self._load_part((database, int(match[1])), int(match[2] or 0), file)

    def _pass(self, take: Callable[[_Where, int, IO[bytes]], None]) -> None:
        """Give the files in databases and in pg_xact, of all the tar files, to `take`."""
        for path in self._tars():
            try:
                with open_tar(path) as tar:
                    for member in tar:
                        where = self._where(path, member) if member.isreg() else None
                        file = tar.extractfile(member) if where else None
                        if where is not None and file is not None:
                            take(where, member.size, file)
            except tar_errors() as error:
                words = str(error) or type(error).__name__
                remark = f"{path} cannot be read to its end: {words}"
                if remark not in self.remarks:
                    self.remarks.append(remark)

    def _tars(self) -> list[ReadPath]:
        try:
            paths = self._backup.tars()
        except OSError as error:
            self.remarks.append(f"{self._backup.path} cannot be read: {error.strerror or error}")
            return []
        return [path for path in paths if path.name.split(".", 1)[0] != "pg_wal"]

    def _where(self, tar: ReadPath, member: tarfile.TarInfo) -> _Where | None:
        """Which database a file is in. A tablespace's tar begins with its version directory."""
        parts = PurePosixPath(member.name.removeprefix("./")).parts
        if tar.name.split(".", 1)[0] == "base":
            if parts[:1] == ("global",) and len(parts) == 2:
                return _Where(SHARED, parts[1])
            if parts[:1] == (self._backup.version.transaction_status_directory,):
                return _Where(None, parts[-1])
            if parts[:1] in (("pg_tblspc",), (TABLESPACES,)):
                parts = parts[2:]
            elif parts[:1] != ("base",):
                return None
        elif not parts or not parts[0].startswith(self._catalogs_begin):
            return None
        if len(parts) == 3 and parts[1].isdecimal():
            return _Where(int(parts[1]), parts[2])
        return None


_USUAL = frozenset(int(one) for one in SystemCatalog)


class _Where(NamedTuple):
    """A file in a database, or one of pg_xact."""

    database: int | None
    name: str


class _Entry(NamedTuple):
    """What is in a directory; a size in bytes only of what may be a relation's file."""

    name: str
    size: int | None


def _entries(directory: ReadPath) -> Iterator[_Entry]:
    """The entries of a directory that may have very many. Raises OSError."""
    if isinstance(directory, Path):
        with os.scandir(directory) as entries:
            for one in entries:
                wanted = one.name[0].isdecimal() and "_" not in one.name
                yield _Entry(one.name, one.stat().st_size if wanted and one.is_file() else None)
    else:
        for path in directory.iterdir():
            wanted = path.name[0].isdecimal() and "_" not in path.name
            yield _Entry(path.name, path.stat().st_size if wanted and path.is_file() else None)
