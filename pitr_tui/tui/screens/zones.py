"""In whose clock times are shown and typed: the server's, the person's own, or UTC."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from pitr_tui.errors import UsageError
from pitr_tui.postgres.moment import zone_named

_LOCALTIME = Path("/etc/localtime")
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone with its name, and whose it is, in words that stand in brackets."""

    zone: tzinfo
    name: str
    whose: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.whose})" if self.whose else self.name


def server_zone(name: str | None) -> tuple[tzinfo, str]:
    """The server's zone and its name; UTC where it has none that can be trusted."""
    if name is None:
        return UTC, "UTC"
    try:
        return zone_named(name), name
    except UsageError:
        return UTC, f"UTC (the server's zone {name} is not known here)"


def my_zone(now: datetime) -> Zone:
    """The zone of this machine by its name; where it has none, by what it is `now`."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name and _LOCALTIME.is_symlink():
        name = str(_LOCALTIME.resolve()).partition("zoneinfo/")[2]
    try:
        return Zone(zone_named(name), name, "mine")
    except UsageError:
        local = now.astimezone()
        return Zone(local.tzinfo or UTC, f"{local:%z}", "mine")


def choices(server: str | None, mine: Zone, now: datetime) -> tuple[Zone, ...]:
    """The zones that differ, the server's first. `server` is None when nobody can be asked.

    >>> [str(one) for one in choices("UTC", Zone(UTC, "UTC", "mine"), datetime.now(UTC))]
    ["UTC (the server's and mine)"]
    """
    zone, name = server_zone(server)
    found = [Zone(zone, name, "the server's" if server is not None else "")]
    if _alike(zone, mine.zone, now):
        found[0] = Zone(zone, name, " and ".join(filter(None, (found[0].whose, "mine"))))
    else:
        found.append(mine)
    if not any(_alike(one.zone, UTC, now) for one in found):
        found.append(Zone(UTC, "UTC"))
    return tuple(found)


def _alike(one: tzinfo, other: tzinfo, now: datetime) -> bool:
    """Whether two zones show the same through the year around now."""
    return one == other or all(
        (now + weeks * _WEEK).astimezone(one).utcoffset()
        == (now + weeks * _WEEK).astimezone(other).utcoffset()
        for weeks in range(-52, 5)
    )
