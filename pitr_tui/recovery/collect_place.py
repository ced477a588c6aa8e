"""A new, empty archive for collected WAL: a directory here, or a volume beside a container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pitr_tui.containers.labels import Role
from pitr_tui.containers.volumes import create_volume, remove_volume, volume_exists
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import visible
from pitr_tui.recovery.collect_drafts import is_draft
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.engine_place import open_place
from pitr_tui.storage.location import EngineLocation
from pitr_tui.storage.path import ReadPath


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """A new or empty directory; a new one goes again when the block fails.

    Raises RefusedError when something is in it, PitrError.
    """
    was_there = directory.exists()
    try:
        if was_there:
            _require_empty(directory)
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise PitrError(f"the archive {directory} cannot be made", error.strerror or "") from error
    try:
        yield directory
    except BaseException:
        if not was_there:
            directory.rmdir()
        raise


@contextmanager
def new_volume(server: ContainerServer, location: EngineLocation) -> Iterator[EnginePath]:
    """A new or empty volume, whose files belong to the server's user.

    A new one goes again when the block fails. Raises RefusedError when something is in it,
    PitrError.
    """
    was_there = volume_exists(server.engine, location.root)
    if not was_there:
        create_volume(server.engine, location.root, Role.ARCHIVE)
    try:
        path = open_place(server.engine, server.image, location, writable=True)
        try:
            _require_empty(path)
            own = path.tree.helper.run(["chown", server.owner, str(path.inside)])
            if own.code != 0:
                raise PitrError(f"{location} cannot be written", visible(own.stderr.strip()))
            yield EnginePath(replace(path.tree, user=server.owner), path.relative)
        finally:
            path.tree.helper.close()
    except BaseException:
        if not was_there:
            remove_volume(server.engine, location.root)
        raise


def _require_empty(place: ReadPath) -> None:
    """Raises RefusedError, which tells what an interrupted collection has left from the rest."""
    names = [one.name for one in place.iterdir()]
    if any(is_draft(name) for name in names):
        raise RefusedError(
            f"{place} is not empty",
            "a collection was interrupted there: what it left is incomplete, and no archive",
            "remove it (a volume: 'pitr cleanup NAME'), or name a new place",
        )
    if names:
        raise RefusedError(
            f"{place} is not empty", "nothing that exists is overwritten", "name a new place"
        )
