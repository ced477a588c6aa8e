"""The head of global/pg_control, whose first 40 bytes lie the same in 9.6 to 18.

Source: src/include/catalog/pg_control.h (ControlFileData).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn

_HEAD = struct.Struct("<QIII4xqQ")
CONTROL_PATH = "global/pg_control"

_MAJORS_OF_CATALOG = {
    201608131: "9.6",
    201707211: "10",
    201809051: "11",
    201909212: "12",
    202007201: "13",
    202107181: "14",
    202209061: "15",
    202307071: "16",
    202406281: "17",
    202506291: "18",
}


@dataclass(frozen=True, slots=True)
class ControlHead:
    """Who the cluster is and where its last checkpoint lies."""

    system_identifier: int
    catalog_version: int
    time: datetime
    checkpoint_lsn: Lsn

    @classmethod
    def parse(cls, data: bytes) -> ControlHead:
        """Read pg_control's bytes. Raises PitrError when they cannot be a control file."""
        if len(data) < _HEAD.size:
            raise PitrError(
                "pg_control cannot be read",
                f"it has {len(data)} bytes, not 8192",
                "the copy is incomplete: use another backup",
            )
        system, _, catalog, _, seconds, checkpoint = _HEAD.unpack_from(data)
        if system == 0 or not 0 <= seconds < 1 << 36:
            raise PitrError("pg_control cannot be read", "its first bytes make no sense")
        return cls(system, catalog, datetime.fromtimestamp(seconds, UTC), Lsn(checkpoint))

    @property
    def major(self) -> str | None:
        """The major version that made the cluster, or None for a catalog we do not know."""
        return _MAJORS_OF_CATALOG.get(self.catalog_version)
