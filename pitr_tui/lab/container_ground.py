"""A lab's world whose primary runs in a container, on directories of this machine.

Each directory is mounted under its own path, and the server runs as the user that owns them.
So an archive command, a tablespace, the socket and every damaged file have one name, inside
and outside, and what breaks a world without an engine breaks this one in the same way.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.found import postgres_container
from pitr_tui.containers.images import image_facts
from pitr_tui.containers.leftovers import Leftover, find_leftovers, remove_all
from pitr_tui.errors import RefusedError
from pitr_tui.lab.container_server import (
    ContainerLabServer,
    connected,
    container_name,
    numbers_of,
    world_helper,
)
from pitr_tui.lab.ground import Ground
from pitr_tui.postgres.quote import shell_word, visible
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.container_backup import ContainerBackupOrder, take_container_backup
from pitr_tui.recovery.events import Progress
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_place
from pitr_tui.servers.osuser import OsUser

if TYPE_CHECKING:
    from pitr_tui.lab.record import Lab

__all__ = [
    "ContainerGround",
    "ContainerLabServer",
    "container_name",
    "destination",
    "ground_in",
    "programs_in",
    "remove_world",
]

_OFFICIAL = re.compile(r"postgres:(\d+)")
_PORT = 5432
_PRIMARY = "primary"
_WITHOUT = "without --docker the lab needs no engine"


@dataclass(slots=True)
class ContainerGround(Ground):
    """The ground whose servers run in containers of `image`."""

    image: str = ""

    def server_at(self, data_directory: Path, sockets: Path) -> LocalServer:
        return ContainerLabServer(
            installation=self.installation,
            data_directory=data_directory,
            user=self.user,
            socket_directory=socket_place(sockets),
            port=_PORT,
            log_path=data_directory.with_name(f"{data_directory.name}.log"),
            image=self.image,
            stays=data_directory.name == _PRIMARY,
        )

    def create(
        self, settings: Mapping[str, str] | None = None, segment_megabytes: int | None = None
    ) -> None:
        """As everywhere, with what its container mounts. Raises RefusedError, PitrError."""
        self._require_shared()
        self.user.make_directory(self.archive_directory)
        self.backup_directory.mkdir(mode=0o700)
        Ground.create(self, settings, segment_megabytes)

    def close(self) -> None:
        """Remove the containers; the files stay."""
        remove_world(self.directory)
        Ground.close(self)

    def write_backup(
        self,
        name: str,
        cancel: threading.Event | None,
        tell: Callable[[Progress], None] | None,
    ) -> None:
        """By the image's own pg_basebackup, as for every primary in a container."""
        with connected() as engine:
            found = postgres_container(engine, container_name(self.directory))
            with closing(ContainerServer(engine, found)) as server:
                order = ContainerBackupOrder(
                    server, self.primary.facts(), self.backup_directory / name, label=name
                )
                for told in take_container_backup(order, cancel):
                    if tell is not None and isinstance(told, Progress):
                        tell(told)

    def _require_shared(self) -> None:
        """Raises RefusedError unless a container's files are this machine's, with their owner."""
        mark = self.directory / f"pitr-{secrets.token_hex(4)}"
        why = f"a file that its user {self.user.name} writes there is not that user's here"
        try:
            with (
                connected() as engine,
                world_helper(engine, self.image, {self.directory}) as helper,
            ):
                helper.run(["touch", str(mark)], user=numbers_of(self.user))
            if mark.exists() and mark.stat().st_uid == self.user.uid:
                return
        except EngineError as error:
            why = error.why
        finally:
            mark.unlink(missing_ok=True)
        raise RefusedError(
            f"the Docker engine does not work on the files in {self.directory}",
            why,
            f"an engine of this machine that is not rootless does; {_WITHOUT}",
        )


def ground_in(image: str, *, directory: Path, installation: Installation, user: OsUser) -> Ground:
    """The ground of a lab in containers; nothing is made yet."""
    return ContainerGround(directory, installation, user, image)


def programs_in(named: str | None, version: PostgresVersion | None) -> tuple[str, Installation]:
    """The image to play in, and its programs: the named one, or postgres:N of the engine.

    Raises EngineError without an engine, RefusedError where its files are not ours, and for an
    image that is not there, is no server, or has another version than is asked for.
    """
    try:
        with connected() as engine:
            if not engine.local:
                raise RefusedError(
                    "the lab's accidents cannot happen in that Docker engine",
                    f"{engine.address} is another machine: its files cannot be damaged from here",
                    f"'docker context use default' goes back to this machine's; {_WITHOUT}",
                )
            image = named or _newest_official(engine, version)
            _require_image(engine, image)
            facts = image_facts(engine, image)
    except EngineError as error:
        hint = "; ".join(filter(None, (error.hint, _WITHOUT)))
        raise EngineError(error.what, error.why, hint, error.status) from error
    if not facts.program:
        raise RefusedError(
            f"the image {visible(image)} cannot run PostgreSQL",
            "it has no server",
            "name a PostgreSQL image",
        )
    has = PostgresVersion.parse(facts.version)
    if version is not None and not has.same_major(version):
        raise RefusedError(
            f"the image {visible(image)} has PostgreSQL {has}, not {version.major}",
            "",
            "leave out --version, or name another image",
        )
    return image, Installation(Path(facts.program).parent, has)


def destination(lab: Lab) -> str:
    """Where we propose to recover to; nothing is there at first."""
    return f"volume:{container_name(lab.directory)}-recovered"


def remove_world(directory: Path) -> frozenset[str]:
    """Remove what the engine has of a lab, and give its names: the primary, and what is beside it.

    Secondaries, receivers, volumes and networks count when they are called after the primary.
    Raises PitrError.
    """
    name = container_name(directory)
    with connected() as engine:
        ours = [one for one in find_leftovers(engine) if _belongs(one, name)]
        for _, error in remove_all(engine, ours):
            if error is not None:
                raise error
    return frozenset(one.name for one in ours)


def _belongs(one: Leftover, name: str) -> bool:
    """Whether a thing of ours is the primary of that name, or pitr proposed it for that primary."""
    if one.primary == name:
        return True
    return any(
        one.name == base or one.name.startswith(f"{base}-") for base in (name, f"pitr-{name}")
    )


def _newest_official(engine: Engine, version: PostgresVersion | None) -> str:
    """Raises RefusedError when the engine has none."""
    if version is not None:
        return f"postgres:{version.major}"
    with engine_errors("the images cannot be listed"):
        tags = [tag for one in engine.client.images.list(name="postgres") for tag in one.tags]
    majors = [int(found[1]) for tag in tags if (found := _OFFICIAL.fullmatch(tag))]
    if not majors:
        raise RefusedError(
            "the engine has no PostgreSQL image",
            f"no image postgres:N is at {engine.address}",
            f"docker pull postgres:18, or name another one behind --docker; {_WITHOUT}",
        )
    return f"postgres:{max(majors)}"


def _require_image(engine: Engine, image: str) -> None:
    from docker.errors import ImageNotFound

    with engine_errors(f"the image {visible(image)} cannot be looked at"):
        try:
            engine.client.images.get(image)
        except ImageNotFound as error:
            raise RefusedError(
                f"the engine does not have the image {visible(image)}",
                "pitr downloads nothing by itself",
                f"docker pull {shell_word(image)}; {_WITHOUT}",
            ) from error
