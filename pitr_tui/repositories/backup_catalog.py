"""The system catalogs in a base backup: what its files are called, and how large they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pitr_tui.repositories.backup_rows import BackupRows
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.catalog_files import (
    CatalogFiles,
    Place,
    directory_of,
    files_of,
)
from pitr_tui.wal.catalog import Catalog
from pitr_tui.wal.filenodemap import MAP_NAME
from pitr_tui.wal.heappage import PAGE_SIZE

_XIDS_A_FILE = 32 * PAGE_SIZE * 4  # SLRU_PAGES_PER_SEGMENT pages with two bits for each
_COMMITTED, _ABORTED = 1, 2


@dataclass(frozen=True, slots=True)
class BackupCatalog:
    """What a backup knows of names.

    `rows` counts those of a relation's file when it is asked. `remarks` say what could not be
    read, so that names may be missing or wrong.
    """

    catalog: Catalog
    rows: BackupRows
    remarks: tuple[str, ...]


def read_catalog(backup: Backup) -> BackupCatalog:
    """Read the catalogs of a backup of either format, as far as they can be read."""
    catalog = Catalog(backup.version)
    return _Reading(backup, catalog, files_of(backup, catalog)).run()


@dataclass(slots=True)
class _Reading:
    """The maps tell where pg_class is, and that where the other catalogs are."""

    backup: Backup
    catalog: Catalog
    files: CatalogFiles
    _remarks: list[str] = field(default_factory=list, init=False)
    _asked: set[Place] = field(default_factory=set, init=False)
    _judged: set[int] = field(default_factory=set, init=False)

    def run(self) -> BackupCatalog:
        self.files.survey()
        for database in sorted(self.files.sizes):
            self._take_map(database)
        while wanted := self._wanted() - self._asked:
            self.files.load(wanted - self.files.loaded)
            for database, number in sorted(wanted - self.files.loaded):
                self._remarks.append(f"{directory_of(database)}/{number} is missing")
            self._asked |= wanted
            self._judge()
        remarks = (*self.files.remarks, *self._remarks)
        return BackupCatalog(self.catalog, BackupRows(self.files), remarks)

    def _take_map(self, database: int) -> None:
        path = f"{directory_of(database)}/{MAP_NAME}"
        content = self.files.maps.get(database)
        if content is None:
            self._remarks.append(f"{path} is missing")
            return
        try:
            self.catalog.apply_map(database, content)
        except ValueError as error:
            self._remarks.append(f"{path} cannot be used: {error}")

    def _wanted(self) -> set[Place]:
        return {
            (database, number)
            for database in self.files.sizes
            for number in self.catalog.numbers(database).values()
        }

    def _judge(self) -> None:
        """Look up in pg_xact what the rows do not say of those who wrote them.

        Whose file is not there has committed: the server removes files of which no row needs
        to ask.
        """
        asked: defaultdict[int, list[int]] = defaultdict(list)
        for xid in self.catalog.fates.pending - self._judged:
            asked[xid // _XIDS_A_FILE].append(xid)
            self._judged.add(xid)
        committed: list[int] = []
        aborted: list[int] = []
        contents = self.files.statuses(set(asked))
        for number, xids in asked.items():
            content = contents.get(number)
            for xid in xids:
                at = xid % _XIDS_A_FILE
                status = _COMMITTED if content is None else 0
                if content is not None and at // 4 < len(content):
                    status = content[at // 4] >> 2 * (at % 4) & 3
                if status == _COMMITTED:
                    committed.append(xid)
                elif status == _ABORTED:
                    aborted.append(xid)
        self.catalog.judge(committed, aborted)
