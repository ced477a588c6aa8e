"""What the wizard holds open behind a Docker engine, made once when a job first needs it.

The jobs of the steps call it in their threads; it is closed when the application has ended.
Nothing of the engine is imported before that.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.storage.location import EngineLocation, LocationKind, engine_location

if TYPE_CHECKING:
    from pitr_tui.containers.container import PostgresContainer
    from pitr_tui.containers.engine import Engine
    from pitr_tui.containers.helper import Helper
    from pitr_tui.servers.container_server import ContainerServer
    from pitr_tui.storage.engine_path import EnginePath
    from pitr_tui.storage.path import ReadPath

Place = Path | EngineLocation

_PATIENCE = 2.0  # seconds that the end of the application waits for a job in here


def place_of(text: str, what: str) -> Place:
    """A place as a person writes it: a directory of this machine, `volume:NAME` or `engine:/DIR`.

    `what` names it in the error. Raises UsageError for one that leads nowhere.

    >>> place_of("/srv/wal", "the archive").name, str(place_of("volume:wal/a", "the archive"))
    ('wal', 'volume:wal/a')
    """
    location = engine_location(text.strip())
    if location is not None:
        return location
    path = Path(text.strip()).expanduser()
    if not text.strip() or not path.is_absolute():
        raise UsageError(
            f"{what} has to be an absolute path",
            text.strip() or "it is empty",
            "or volume:NAME, or engine:/DIR, for what lies behind a Docker engine",
        )
    return path


class Reach:
    """An engine, the servers in its containers, and the helpers that read its places."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._servers: dict[str, ContainerServer] = {}
        self._opened: dict[EngineLocation, EnginePath] = {}
        self._image = ""

    def engine(self) -> Engine:
        """The engine, the same one each time. Raises EngineError when none answers."""
        with self._lock:
            return self._connected()

    def server(self, container: PostgresContainer) -> ContainerServer:
        """The server in a container; its image then also reads places. Raises PitrError."""
        from pitr_tui.servers.container_server import ContainerServer

        with self._lock:
            server = self._servers.get(container.id)
            if server is None:
                server = ContainerServer(self._connected(), container)
                self._servers[container.id] = server
            self._image = server.image
            return server

    def use_image(self, image: str) -> None:
        """Read places with this image where no server's is known."""
        with self._lock:
            self._image = self._image or image

    def path(self, place: Place) -> ReadPath:
        """A place as a path that can be read.

        Raises EngineError, with the status 404 for a volume that does not exist.
        """
        if isinstance(place, Path):
            return place
        with self._lock:
            return self._path(place)

    def find(self, place: Place) -> ReadPath | None:
        """The same, or None for a volume that does not exist."""
        from pitr_tui.containers.volumes import volume_exists

        if isinstance(place, Path):
            return place
        with self._lock:
            if place.kind is LocationKind.VOLUME and not volume_exists(
                self._connected(), place.root
            ):
                return None
            return self._path(place)

    def close(self) -> None:
        """End everything. What a hanging engine keeps from it ends with this process anyway."""
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            open_now: list[ContainerServer | Helper] = [
                *self._servers.values(),
                *(one.tree.helper for one in self._opened.values()),
            ]
            self._servers, self._opened = {}, {}
            for one in open_now:
                with suppress(PitrError):
                    one.close()
            if self._engine is not None:
                self._engine.close()
                self._engine = None
        finally:
            self._lock.release()

    def _connected(self) -> Engine:
        from pitr_tui.containers.engine import Engine

        if self._engine is None:
            self._engine = Engine.connect()
        return self._engine

    def _path(self, location: EngineLocation) -> EnginePath:
        """The path of a location; a helper that has gone since is replaced."""
        from pitr_tui.storage.engine_place import open_place

        root = EngineLocation(location.kind, location.root)
        found = self._opened.get(root)
        if found is not None:
            try:
                found.tree.run(":")
            except PitrError:
                found = None
        if found is None:
            found = open_place(self._connected(), self._image_for(location), root)
            self._opened[root] = found
        return found.joined(location.path)

    def _image_for(self, location: EngineLocation) -> str:
        """The image of the server, or of any PostgreSQL container. Raises RefusedError."""
        from pitr_tui.containers.found import find_postgres

        if not self._image:
            known = next(iter(find_postgres(self._connected())), None)
            if known is None:
                raise RefusedError(
                    f"there is no image to read {location} with",
                    "what lies behind an engine is read by a helper container, and there is no "
                    "PostgreSQL container whose image it could have",
                    "create the service or container that the data belong to",
                )
            self._image = known.image_id
        return self._image
