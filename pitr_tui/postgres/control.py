"""global/pg_control: its head, which lies the same in 9.6 to 18, and what a standby must have.

Source: src/include/catalog/pg_control.h (ControlFileData).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion

# FLOATFORMAT_VALUE, a number that every control file holds. What lies before it has moved with
# the versions, but the settings stand at the same distance: their values, a flag, an alignment.
_LANDMARK = struct.pack("<d", 1234567.0)
_ALIGNMENT = struct.pack("<I", 8)
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


def standby_minimums(data: bytes, version: PostgresVersion) -> dict[str, int]:
    """The settings of the primary that a server must not have less of to replay its WAL.

    They are those that it ran with when pg_control was written, wherever they were set; empty
    for a file in which they are not found. Source: CheckRequiredParameterValues() in
    src/backend/access/transam/xlog.c.
    """
    names = version.standby_minimums
    end = data.find(_LANDMARK)
    for padding in (0, 4):
        at = end - padding - 4
        start = at - 4 - 4 * len(names)
        if start > 0 and data[at : at + 4] == _ALIGNMENT:
            return dict(zip(names, struct.unpack_from(f"<{len(names)}i", data, start), strict=True))
    return {}
