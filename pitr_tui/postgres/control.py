"""global/pg_control: its head, which lies the same in 9.6 to 18, and what lies behind.

Source: src/include/catalog/pg_control.h (ControlFileData).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion

# FLOATFORMAT_VALUE, a number that every control file holds. What lies before it has moved with
# the versions, but the settings stand at the same distance: their values, a flag, an alignment.
_LANDMARK = struct.pack("<d", 1234567.0)
_ALIGNMENT = struct.pack("<I", 8)
_SIZES_BYTES = 40  # behind the landmark, in every version
_MOST_BEHIND_SIZES = 64
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


class ServerState(IntEnum):
    """What the server was doing when it wrote the file (DBState)."""

    STARTING_UP = 0
    SHUT_DOWN = 1
    SHUT_DOWN_IN_RECOVERY = 2
    SHUTTING_DOWN = 3
    IN_CRASH_RECOVERY = 4
    IN_ARCHIVE_RECOVERY = 5
    IN_PRODUCTION = 6

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class ControlHead:
    """Who the cluster is and where its last checkpoint lies.

    `state` is None for a number that no server writes.
    """

    system_identifier: int
    catalog_version: int
    time: datetime
    checkpoint_lsn: Lsn
    state: ServerState | None = None

    @classmethod
    def parse(cls, data: bytes) -> ControlHead:
        """Read pg_control's bytes. Raises PitrError when they cannot be a control file."""
        if len(data) < _HEAD.size:
            raise PitrError(
                "pg_control cannot be read",
                f"it has {len(data)} bytes, not 8192",
                "the copy is incomplete: use another backup",
            )
        system, _, catalog, state, seconds, checkpoint = _HEAD.unpack_from(data)
        if system == 0 or not 0 <= seconds < 1 << 36:
            raise PitrError("pg_control cannot be read", "its first bytes make no sense")
        known = ServerState(state) if state <= ServerState.IN_PRODUCTION else None
        return cls(system, catalog, datetime.fromtimestamp(seconds, UTC), Lsn(checkpoint), known)

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


def checksum_places(data: bytes) -> range:
    """Where the CRC-32C of all bytes before it can lie in pg_control; empty if that is not seen.

    It is the last field of the file. Before it stand the sizes that the server was built with,
    from 10 on a nonce of 32 bytes, from 18 on one flag more, and in builds with patches others.
    """
    at = data.find(_LANDMARK)
    if at < 0:
        return range(0)
    first = at + len(_LANDMARK) + _SIZES_BYTES
    return range(first, min(first + _MOST_BEHIND_SIZES, len(data) - 4) + 1, 4)
