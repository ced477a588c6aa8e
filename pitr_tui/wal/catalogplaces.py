"""Which files are those of the system catalogs, in every database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.catalogfile import CatalogFile
from pitr_tui.wal.catalogrows import SystemCatalog, layout_of

SHARED = 0  # the database of what belongs to none


class CatalogPlaces:
    """The catalogs' files, by database and file number, and the maps of mapped relations.

    A database never heard of has the file numbers of a new cluster, until it is told better.
    """

    def __init__(self, version: PostgresVersion) -> None:
        self.watched: frozenset[int] = frozenset(int(one) for one in SystemCatalog)
        self._version = version
        self._files: dict[tuple[int, int], CatalogFile] = {}
        self._numbers: dict[int, dict[SystemCatalog, list[int]]] = {}  # newest first
        self._maps: dict[int, dict[int, int]] = {}
        self._former: dict[tuple[int, int], int] = {}  # oids by file numbers of earlier maps

    @property
    def databases(self) -> tuple[int, ...]:
        return tuple(one for one in self._numbers if one != SHARED)

    @property
    def missing(self) -> frozenset[tuple[int, int]]:
        """Files of catalogs that were written anew, of which no page has been seen."""
        return frozenset(
            (database, numbers[0])
            for database, catalogs in self._numbers.items()
            for numbers in catalogs.values()
            if len(numbers) > 1 and not self._pages(database, numbers[0])
        )

    def numbers(self, database: int) -> Mapping[SystemCatalog, int]:
        return {one: found[0] for one, found in self._database(database).items()}

    def file(self, database: int, number: int) -> CatalogFile:
        """A file to be changed, whether it is known to be a catalog's or not."""
        place = database, number
        file = self._files.get(place)
        if file is None:
            file = self._files[place] = CatalogFile()
            for catalog, numbers in self._database(database).items():
                if number in numbers:
                    file.adopt(layout_of(catalog, self._version))
        return file

    def files_of(self, catalog: SystemCatalog, database: int) -> Iterator[CatalogFile]:
        """The file of a catalog, and after it that before while it may still be of use."""
        for number in self._numbers.get(database, {}).get(catalog, ()):
            file = self._files.get((database, number))
            if file is not None:
                yield file

    def take_map(self, database: int, numbers: dict[int, int]) -> None:
        for oid, number in self._maps.get(database, {}).items():
            if numbers.get(oid) != number:
                self._former[database, number] = oid
        self._maps[database] = numbers
        for catalog in self._database(database):
            if catalog in numbers:
                self.move(database, catalog, numbers[catalog])

    def mapped_oid(self, database: int, number: int) -> int:
        """The oid of the mapped relation that has this file, or had it; 0 if none."""
        for oid, mapped in self._maps.get(database, {}).items():
            if mapped == number:
                return oid
        return self._former.get((database, number), 0)

    def watch(self, number: int) -> None:
        if number not in self.watched:
            self.watched |= {number}

    def move(self, database: int, catalog: SystemCatalog, number: int) -> None:
        """A catalog has a new file. That before is kept if no page of the new one was seen."""
        numbers = self._database(database)[catalog]
        if numbers[0] == number:
            return
        if number in numbers:
            numbers.remove(number)
        numbers.insert(0, number)
        kept = 1 if self._pages(database, number) else 2
        for former in numbers[kept:]:
            self._files.pop((database, former), None)
        del numbers[kept:]
        file = self._files.get((database, number))
        if file is not None:
            file.adopt(layout_of(catalog, self._version))
        self.watch(number)

    def copy(self, source: int, target: int) -> None:
        """Give a new database what its template has."""
        if source == target or source not in self._numbers:
            return
        for (database, number), file in list(self._files.items()):
            if database == source:
                self._files[target, number] = file.copy()
        self._maps[target] = dict(self._maps.get(source, {}))
        self._numbers[target] = {one: list(found) for one, found in self._numbers[source].items()}

    def drop(self, database: int) -> None:
        self._numbers.pop(database, None)
        self._maps.pop(database, None)
        for place in [one for one in self._files if one[0] == database]:
            del self._files[place]
        for place in [one for one in self._former if one[0] == database]:
            del self._former[place]

    def _database(self, database: int) -> dict[SystemCatalog, list[int]]:
        known = self._numbers.get(database)
        if known is None:
            shared = database == SHARED
            own = (one for one in SystemCatalog if (one is SystemCatalog.PG_DATABASE) == shared)
            known = self._numbers[database] = {catalog: [int(catalog)] for catalog in own}
        return known

    def _pages(self, database: int, number: int) -> int:
        return len(self._files.get((database, number), ()))
