"""From the words of a command line to places, on this machine or behind an engine."""

from __future__ import annotations

import argparse
import atexit
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.storage.location import EngineLocation, engine_location
from pitr_tui.storage.path import ReadPath

if TYPE_CHECKING:
    from pitr_tui.containers.engine import Engine


def read_place(parsed: argparse.Namespace, text: str) -> ReadPath:
    """The path that a word names, behind the engine or here. Raises PitrError."""
    location = engine_location(text)
    if location is None:
        return Path(text)
    from pitr_tui.storage.engine_place import open_place

    path = open_place(engine_of(parsed), image_of(parsed, location), location)
    atexit.register(path.tree.helper.close)
    return path


def read_with_any_image(parsed: argparse.Namespace, text: str) -> ReadPath:
    """The same; what lies behind the engine is read with an image that is there anyway."""
    location = engine_location(text)
    if location is not None and not (parsed.image or parsed.docker or parsed.compose):
        parsed.image = _any_image(parsed, location)
    return read_place(parsed, text)


def _any_image(parsed: argparse.Namespace, location: EngineLocation) -> str:
    """The image of one of the engine's PostgreSQL containers. Raises RefusedError without one."""
    from pitr_tui.containers.found import find_postgres

    for container in find_postgres(engine_of(parsed)):
        return container.image_id
    raise RefusedError(
        f"there is no image to read {location} with",
        "the engine has no PostgreSQL container whose image could be taken",
        "name one with --image; any with a shell will do",
    )


def engine_of(parsed: argparse.Namespace) -> Engine:
    """The engine of this command, the same one each time. Raises EngineError."""
    from pitr_tui.cli.connection import server_of

    server = server_of(parsed) if getattr(parsed, "docker", None) else None
    known: Engine | None = server.engine if server else getattr(parsed, "engine", None)
    if known is None:
        from pitr_tui.containers.engine import Engine

        known = parsed.engine = Engine.connect()
        atexit.register(known.close)
    return known


@dataclass
class RunPlaces:
    """The places of a recorded run, reached as the commands reach theirs."""

    parsed: argparse.Namespace

    def engine(self) -> Engine:
        return engine_of(self.parsed)

    def path(self, place: str, image: str) -> ReadPath:
        self.parsed.image = image
        return read_place(self.parsed, place)


def image_of(parsed: argparse.Namespace, wanted_for: EngineLocation) -> str:
    """The image that was named, or the one of the container or service that was.

    Raises UsageError when none was.
    """
    from pitr_tui.cli.connection import compose_service, server_of

    if parsed.image:
        return str(parsed.image)
    if getattr(parsed, "docker", None) and (server := server_of(parsed)):
        return server.image
    if getattr(parsed, "compose", None):
        service = compose_service(parsed)
        if service.image:
            return service.image
    raise UsageError(
        f"{wanted_for} needs an image to be reached with",
        "what lies behind an engine is read by a helper container",
        "name the image with --image, or a container of it with --docker",
    )
