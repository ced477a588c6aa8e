"""From a location behind an engine to a path that can be read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.helper import Helper, HelperMount
from pitr_tui.errors import RefusedError
from pitr_tui.storage.engine_path import EnginePath, EngineTree
from pitr_tui.storage.location import EngineLocation, LocationKind

_MOUNTPOINT = PurePosixPath("/pitr/place")


def open_place(
    engine: Engine, image: str, location: EngineLocation, writable: bool = False
) -> EnginePath:
    """The path of a location, through a helper of its own that ends with us.

    Raises EngineError when there is no such volume or directory.
    """
    mount = helper_mount(location, _MOUNTPOINT, writable)
    helper = Helper.start(engine, image, mounts=[mount])
    return place_in(helper, location, _MOUNTPOINT)


def place_in(helper: Helper, location: EngineLocation, mountpoint: PurePosixPath) -> EnginePath:
    """The path of a location that a helper has mounted."""
    root = EngineLocation(location.kind, location.root)
    return EnginePath(EngineTree(helper, mountpoint, str(root)), location.path)


def helper_mount(
    location: EngineLocation, mountpoint: PurePosixPath, writable: bool = False
) -> HelperMount:
    is_volume = location.kind is LocationKind.VOLUME
    kind: Literal["volume", "bind"] = "volume" if is_volume else "bind"
    return HelperMount(kind, location.root, str(mountpoint), writable)


def require_apart(container: PostgresContainer, place: EngineLocation) -> None:
    """Raises RefusedError for a place that holds the container's data, or lies among them."""
    try:
        data = location_in(container, container.data_directory)
    except RefusedError:
        return  # in the container's own layer, where no other place can be
    own, other = PurePosixPath(data.root) / data.path, PurePosixPath(place.root) / place.path
    related = own.is_relative_to(other) or other.is_relative_to(own)
    if data.kind is place.kind and related:
        raise RefusedError(
            f"{place} lies in the primary's own data directory"
            if other.is_relative_to(own)
            else f"{place} holds the primary's own data directory",
            f"{container.data_directory} of {container.name} is {data}",
            "name a volume of its own",
        )


def location_in(container: PostgresContainer, path: PurePosixPath) -> EngineLocation:
    """Where a directory of a container really lies, so that others can mount it.

    Raises RefusedError for one in the container's own layer or in memory.
    """
    found = container.mount_of(path)
    if found is None or found[0].kind not in ("volume", "bind"):
        raise RefusedError(
            f"{path} of the container {container.name} is no volume",
            "it lies in the container itself, goes with it, and nobody else can read it",
            "name a directory that is mounted; `pitr containers` shows them",
        )
    mount, below = found
    if mount.kind == "volume":
        return EngineLocation(LocationKind.VOLUME, mount.source, below)
    return EngineLocation(LocationKind.ENGINE, str(PurePosixPath(mount.source) / below))
