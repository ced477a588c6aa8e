"""Where a recovery stops: one of PostgreSQL's six kinds of recovery target.

Source: PostgreSQL manual, "Recovery Target"; src/backend/access/transam/xlogrecovery.c
(recoveryStopsBefore, recoveryStopsAfter).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import for_settings, from_server
from pitr_tui.postgres.version import PostgresVersion

_XID_MASK = 0xFFFFFFFF
_FIRST_NORMAL_XID = 3
_NAME_LIMIT = 63
_RESTORE_POINT = re.compile(r"[^\0\n\r\ud800-\udfff]*")  # what the settings can carry

TARGET_SETTINGS = (
    "recovery_target",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
    "recovery_target_lsn",
    "recovery_target_inclusive",
    "recovery_target_timeline",
    "recovery_target_action",
)


class TargetAction(StrEnum):
    """What the server does when it has reached its target."""

    PAUSE = "pause"
    PROMOTE = "promote"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the server says it stopped, in the words of its `recovery stopping` line."""

    what: str  # commit, abort, restore point, lsn, consistency
    before: bool | None = None
    xid: int | None = None
    time: str | None = None
    lsn: Lsn | None = None
    name: str | None = None

    def __str__(self) -> str:
        side = {True: "before ", False: "after ", None: ""}[self.before]
        if self.what in ("commit", "abort"):
            at = "" if self.time is None or self.time.startswith("2000-") else f" at {self.time}"
            return f"{side}the {self.what} of transaction {self.xid}{at}"
        if self.what == "restore point":
            return f"at restore point {self.name!r} ({self.time})"
        return f"{side}WAL position {self.lsn}" if self.what == "lsn" else "at consistency"


@dataclass(frozen=True, slots=True)
class Latest:
    """Everything that the archive has."""

    kind = "latest"

    def settings(self) -> dict[str, str]:
        return {}

    def met_by(self, stop: Stop | None) -> bool:
        """Whether a stop is this target's; without a target the server never stops itself."""
        return stop is None

    def __str__(self) -> str:
        return "the end of the archived WAL"


@dataclass(frozen=True, slots=True)
class Immediate:
    """The first moment at which the backup is consistent: its end."""

    kind = "immediate"

    def settings(self) -> dict[str, str]:
        return {"recovery_target": "immediate"}

    def met_by(self, stop: Stop | None) -> bool:
        return stop is not None and stop.what == "consistency"

    def __str__(self) -> str:
        return "the end of the backup"


@dataclass(frozen=True, slots=True)
class AtTime:
    """A moment by the primary's clock; the server stops before the first commit after it."""

    time: datetime
    inclusive: bool = True
    kind = "time"

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise UsageError(f"{self.time} does not say in which time zone")

    def settings(self) -> dict[str, str]:
        return {
            "recovery_target_time": for_settings(self.time),
            "recovery_target_inclusive": _on_off(self.inclusive),
        }

    def met_by(self, stop: Stop | None) -> bool:
        if stop is None or stop.what not in ("commit", "abort") or stop.time is None:
            return False
        at = from_server(stop.time)
        return bool(stop.before) and (at > self.time if self.inclusive else at >= self.time)

    def __str__(self) -> str:
        return f"{'up to' if self.inclusive else 'just before'} {for_settings(self.time)}"


@dataclass(frozen=True, slots=True)
class AtXid:
    """The commit (or abort) of one top-level transaction.

    A 64-bit id as `txid_current()` gives it is cut to the 32 bits that the WAL carries.

    >>> AtXid((1 << 32) + 728).xid
    728
    """

    xid: int
    inclusive: bool = True
    kind = "xid"

    def __post_init__(self) -> None:
        if not 0 <= self.xid < 1 << 64 or self.xid & _XID_MASK < _FIRST_NORMAL_XID:
            raise UsageError(
                f"{self.xid} is not a transaction id",
                f"ids of transactions start at {_FIRST_NORMAL_XID}",
            )
        object.__setattr__(self, "xid", self.xid & _XID_MASK)

    def settings(self) -> dict[str, str]:
        return {
            "recovery_target_xid": str(self.xid),
            "recovery_target_inclusive": _on_off(self.inclusive),
        }

    def met_by(self, stop: Stop | None) -> bool:
        return (
            stop is not None
            and stop.what in ("commit", "abort")
            and stop.xid == self.xid
            and stop.before is not self.inclusive
        )

    def __str__(self) -> str:
        return f"just {'after' if self.inclusive else 'before'} transaction {self.xid}"


@dataclass(frozen=True, slots=True)
class AtLsn:
    """A WAL position (from version 10)."""

    lsn: Lsn
    inclusive: bool = True
    kind = "lsn"

    def settings(self) -> dict[str, str]:
        return {
            "recovery_target_lsn": str(self.lsn),
            "recovery_target_inclusive": _on_off(self.inclusive),
        }

    def met_by(self, stop: Stop | None) -> bool:
        return (
            stop is not None
            and stop.what == "lsn"
            and stop.lsn is not None
            and stop.before is not self.inclusive
            and stop.lsn >= self.lsn
        )

    def __str__(self) -> str:
        return f"just {'after' if self.inclusive else 'before'} WAL position {self.lsn}"


@dataclass(frozen=True, slots=True)
class AtName:
    """A restore point that somebody set with `pg_create_restore_point`."""

    name: str
    kind = "name"

    def __post_init__(self) -> None:
        size = len(self.name.encode("utf-8", "surrogateescape"))
        if not 0 < size <= _NAME_LIMIT or not _RESTORE_POINT.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} cannot be a restore point",
                f"their names have 1 to {_NAME_LIMIT} bytes of text in one line",
            )

    def settings(self) -> dict[str, str]:
        return {"recovery_target_name": self.name}

    def met_by(self, stop: Stop | None) -> bool:
        return stop is not None and stop.what == "restore point" and stop.name == self.name

    def __str__(self) -> str:
        return f"restore point {self.name!r}"


RecoveryTarget = Latest | Immediate | AtTime | AtXid | AtLsn | AtName


def require_known_by(target: RecoveryTarget, version: PostgresVersion) -> None:
    """Raises RefusedError for a kind of target that the version does not have."""
    if isinstance(target, AtLsn) and not version.knows_lsn_target:
        raise RefusedError(
            f"PostgreSQL {version} cannot stop at a WAL position",
            "recovery_target_lsn came with version 10",
            "use the transaction id or the time of that position",
        )


def _on_off(flag: bool) -> str:
    return "on" if flag else "off"
