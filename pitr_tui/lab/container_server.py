"""A lab's server in a container, on directories of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.helper import Helper, HelperMount
from pitr_tui.containers.labels import Role
from pitr_tui.containers.recipe import ServerRecipe
from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import visible
from pitr_tui.servers.local import LocalServer
from pitr_tui.servers.osuser import OsUser

if TYPE_CHECKING:
    from docker.models.containers import Container

_NETWORK = "bridge"  # of containers that were given none
_STOP_SECONDS = 120
_LOG_LINES = 12
_MOUNTED = ("archive", "backups", "tablespace")

# PostgreSQL's programs look up the name of their user, which the image may not know.
_INTRODUCE = """
grep -q '^[^:]*:[^:]*:{uid}:' /etc/passwd || echo 'pitr:x:{uid}:{gid}::/:/bin/sh' >>/etc/passwd
"""

# Client programs may lie elsewhere than the server's own.
_RUN = '[ -x "$0" ] && exec "$0" "$@"; name=${0##*/}; exec "$name" "$@"'


@dataclass(slots=True)
class ContainerLabServer(LocalServer):
    """A server of a lab in a container of `image`. `bindir` is a path in the image.

    One that does not stay (`stays`) leaves no container behind when it is stopped.
    """

    image: str = ""
    stays: bool = True

    @property
    def container(self) -> str:
        name = container_name(self.world)
        return name if self.stays else f"{name}-{self.data_directory.name}"

    @property
    def world(self) -> Path:
        """The lab's directory."""
        return self.data_directory.parent

    @property
    def recipe(self) -> ServerRecipe:
        """Its container: nothing of the world but what a server has to see."""
        return ServerRecipe(
            image=self.image,
            name=self.container,
            user=numbers_of(self.user),
            argv=self.start_command(),
            environment={"PGDATA": str(self.data_directory)},
            mounts=tuple(HelperMount("bind", one, one, writable=True) for one in self._mounted()),
            network=_NETWORK,
            inner_port=self.port,
            role=Role.LAB,
        )

    def start_command(self) -> tuple[str, ...]:
        """Its settings name only the socket; what joins its network has to reach it, too.

        Access is another matter: pg_hba.conf lets in who comes from the container itself.
        """
        return (*LocalServer.start_command(self), "-c", "listen_addresses=*")

    def start(self) -> None:
        with connected() as engine:
            recipe = self.recipe
            container = _find(engine, recipe.name)
            if container is not None and not _sees(container, recipe.mounts):
                with engine_errors(f"the container {recipe.name} cannot be made anew"):
                    container.remove(v=True, force=True)
                container = None
            container = container or recipe.create(engine)
            with engine_errors(f"the container {recipe.name} cannot be started"):
                container.start()

    def is_running(self) -> bool:
        with connected() as engine:
            container = _find(engine, self.container)
        return container is not None and container.status == "running"

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        with connected() as engine:
            container = _find(engine, self.container)
            if container is None:
                return
            with engine_errors(f"the container {self.container} cannot be stopped"):
                container.stop(timeout=int(timeout))
                if not self.stays:
                    container.remove(v=True, force=True)

    def kill(self) -> None:
        with connected() as engine:
            container = _find(engine, self.container)
            if container is not None and container.status == "running":
                with engine_errors(f"the container {self.container} cannot be killed"):
                    container.kill()
                    container.wait()

    def run_tool(self, tool: str, arguments: Sequence[str]) -> str:
        """Run a program of the image in a helper that sees the whole world, as its user."""
        inside = str(self.installation.bindir / tool)
        places = {self.world, self.socket_directory}
        with connected() as engine, world_helper(engine, self.image, places) as helper:
            helper.shell().run(_INTRODUCE.format(uid=self.user.uid, gid=self.user.gid))
            ran = helper.run(
                ["sh", "-c", _RUN, inside, *arguments],
                user=numbers_of(self.user),
                environment={"LC_ALL": "C"},
            )
        said = ran.stdout.decode("utf-8", "replace")
        if ran.code != 0:
            raise PitrError(f"{tool} failed", visible(ran.stderr or said).strip())
        return said

    def log_tail(self, lines: int = _LOG_LINES) -> list[str]:
        try:
            with connected() as engine, engine_errors("the log cannot be read"):
                container = _find(engine, self.container)
                text: bytes = b"" if container is None else container.logs(tail=lines)
        except EngineError:
            return []
        return [visible(line) for line in text.decode("utf-8", "replace").splitlines()]

    def _mounted(self) -> list[str]:
        """The directories that a server needs and a trainee looks for, those that are there."""
        shared = [self.world / name for name in _MOUNTED]
        places = [self.data_directory, self.socket_directory, *shared]
        return [str(one) for one in places if one.is_dir()]


def container_name(directory: Path) -> str:
    """What the primary of the lab in a directory is called by the engine."""
    mark = hashlib.sha256(str(directory).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"lab-{mark}"


@contextmanager
def connected() -> Iterator[Engine]:
    """The engine of the environment, for a moment. Raises EngineError when there is none."""
    with closing(Engine.connect()) as engine:
        yield engine


def world_helper(engine: Engine, image: str, places: set[Path]) -> Helper:
    """A helper that sees directories of this machine under their own paths."""
    mounts = [HelperMount("bind", str(one), str(one), writable=True) for one in sorted(places)]
    return Helper.start(engine, image, mounts=mounts, name_hint="lab")


def _find(engine: Engine, name: str) -> Container | None:
    from docker.errors import NotFound

    with engine_errors(f"the container {name} cannot be looked at"):
        try:
            return engine.client.containers.get(name)
        except NotFound:
            return None


def _sees(container: Container, mounts: Sequence[HelperMount]) -> bool:
    """Whether all of this is mounted: a directory may be newer than the container."""
    seen = {one["Destination"] for one in container.attrs["Mounts"]}
    return seen.issuperset(one.target for one in mounts)


def numbers_of(user: OsUser) -> str:
    """`uid:gid`: names may be others in an image."""
    return f"{user.uid}:{user.gid}"
