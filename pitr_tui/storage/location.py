"""Where a person says that something lies: on this machine, or behind a Docker engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from pitr_tui.errors import UsageError

_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class LocationKind(StrEnum):
    VOLUME = "volume"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class EngineLocation:
    """A directory behind an engine: in a volume, or on the engine's own machine.

    `root` is what is mounted, a volume's name or an absolute path; `path` leads on from there.
    """

    kind: LocationKind
    root: str
    path: PurePosixPath = PurePosixPath()

    def __str__(self) -> str:
        if self.kind is LocationKind.ENGINE:
            return f"engine:{self.root}"
        return f"volume:{self.root}" + (f"/{self.path}" if self.path.parts else "")


def engine_location(text: str) -> EngineLocation | None:
    """Read `volume:NAME[/PATH]` and `engine:/PATH`; None for a path on this machine.

    >>> place = engine_location("volume:shop-backups/base")
    >>> place.root, place.path
    ('shop-backups', PurePosixPath('base'))
    >>> str(engine_location("engine:/srv/wal/"))
    'engine:/srv/wal'
    >>> engine_location("/srv/wal") is None
    True

    Raises UsageError for one that leads nowhere.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in tuple(LocationKind):
        return None
    if kind == LocationKind.ENGINE:
        path = PurePosixPath(rest)
        if not path.is_absolute() or ".." in path.parts or not rest.isprintable():
            raise UsageError(
                f"{text!r} does not name a directory of the engine's machine",
                "",
                "write it as engine:/an/absolute/path",
            )
        return EngineLocation(LocationKind.ENGINE, str(path))
    name, _, below = rest.partition("/")
    path = PurePosixPath(below)
    outside = path.is_absolute() or ".." in path.parts
    if not _VOLUME.fullmatch(name) or outside or not below.isprintable():
        raise UsageError(
            f"{text!r} does not name a volume", "", "write it as volume:NAME or volume:NAME/PATH"
        )
    return EngineLocation(LocationKind.VOLUME, name, path)
