"""How many rows tables had when a backup was taken: asked for a few of them, so counted late."""

from __future__ import annotations

from dataclasses import dataclass, field

from pitr_tui.repositories.catalog_files import CatalogFiles, Place
from pitr_tui.wal.liverows import live_rows

_MOST_BYTES_OF_ONE = 1 << 29  # of a larger table a part is counted, and the rest like it
_MOST_BYTES = 1 << 32  # of all together; then nothing more is counted


@dataclass(slots=True)
class BackupRows:
    """Counts the rows of relation files of a backup, each once."""

    files: CatalogFiles
    _counted: dict[Place, int | None] = field(default_factory=dict, init=False)
    _left: int = field(default=_MOST_BYTES, init=False)

    def count(self, database: int, number: int) -> int | None:
        """About how many there are; None if the backup has no such file, or it cannot be read."""
        place = (database, number)
        if place not in self._counted:
            self._counted[place] = self._count(place)
        return self._counted[place]

    def _count(self, place: Place) -> int | None:
        size = self.files.sizes.get(place[0], {}).get(place[1])
        if not size:
            return None if size is None else 0
        rows = seen = 0
        try:
            for chunk in self.files.content(place):
                rows += live_rows(chunk)
                seen += len(chunk)
                if seen >= min(_MOST_BYTES_OF_ONE, self._left):
                    break
        except OSError:
            return None
        self._left -= seen
        return round(rows * size / seen) if seen else None
