"""Between the paths of a container and where they really lie behind the engine."""

from __future__ import annotations

from pathlib import PurePosixPath

from pitr_tui.containers.container import Mount
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens.connect_found import Origin


def location_of(origin: Origin, path: PurePosixPath) -> EngineLocation | None:
    """Where a path of a container lies behind the engine; None when nobody else can see it."""
    found = origin.mount_of(path)
    return _location(*found) if found is not None else None


def spare_places(origin: Origin, words: tuple[str, ...]) -> list[EngineLocation]:
    """What is mounted beside the data, those first whose path has one of the words in it."""
    data = origin.mount_of(origin.data_directory)
    spare = [mount for mount in origin.mounts if data is None or mount is not data[0]]
    spare.sort(key=lambda mount: not any(word in str(mount.target).lower() for word in words))
    found = (_location(mount, PurePosixPath()) for mount in spare)
    return [place for place in found if place is not None]


def inside_of(origin: Origin, place: Place) -> PurePosixPath | None:
    """The path at which a container has a place mounted; None when it has not."""
    for mount in origin.mounts:
        root = _location(mount, PurePosixPath())
        if root is None or not isinstance(place, EngineLocation) or root.kind is not place.kind:
            continue
        if place.kind is LocationKind.VOLUME and root.root == place.root:
            return mount.target / place.path
        if place.kind is LocationKind.ENGINE and (
            PurePosixPath(place.root).is_relative_to(root.root)
        ):
            return mount.target / PurePosixPath(place.root).relative_to(root.root)
    return None


def _location(mount: Mount, below: PurePosixPath) -> EngineLocation | None:
    if mount.kind == "volume" and mount.source:
        return EngineLocation(LocationKind.VOLUME, mount.source, below)
    if mount.kind == "bind":
        return EngineLocation(LocationKind.ENGINE, str(PurePosixPath(mount.source) / below))
    return None
