"""A secondary in a container of ours: its data in a volume, its server on no network."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.helper import Helper
from pitr_tui.containers.images import ImageFacts, image_facts
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.containers.logs import ContainerLog
from pitr_tui.containers.recipe import ServerRecipe
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import shell_command, shell_word, visible
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.engine_ground import EngineGround
from pitr_tui.servers.image_tools import missing_libraries
from pitr_tui.servers.local import require_free_port
from pitr_tui.servers.secondary import (
    OWN_DIRECTORY,
    RUN_MARK,
    Occupancy,
    configuration_refused,
    psql_database,
)
from pitr_tui.servers.sql import Database
from pitr_tui.servers.sql_access import SqlAccess
from pitr_tui.servers.tar_filler import TarFiller
from pitr_tui.storage.engine_path import EnginePath, EngineTree
from pitr_tui.storage.engine_place import helper_mount
from pitr_tui.storage.location import EngineLocation, LocationKind, engine_location
from pitr_tui.storage.path import ReadPath

if TYPE_CHECKING:
    from docker.models.containers import Container

_ROOM = PurePosixPath("/pitr")
_DATA = _ROOM / "data"
_PORT = 5432
_STOP_SECONDS = 300
_LOOK_EVERY = 0.2
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_NO_NETWORK = "none"
_CONFIGURED = """
for name in {names}; do
    LC_ALL=C {server} -C "$name" || exit 1
    printf '\\000'
done
"""


@dataclass(frozen=True, slots=True)
class ContainerOwner:
    """The image's own user of PostgreSQL: what it writes in the container belongs to it."""

    name: str

    def make_directory(self, path: EnginePath, mode: int = 0o700) -> None:
        path.mkdir(mode)

    def write_file(self, path: EnginePath, text: str, mode: int = 0o600) -> None:
        path.write_text(text, mode)

    def own(self, path: EnginePath) -> None:
        """Every path of the secondary's is written as this user already."""


@dataclass
class ContainerSecondary:
    """`place` becomes the data directory: a volume, or a directory of the engine's machine.

    `reads` is what the recovery reads; what of it lies behind the same engine is mounted
    read-only, the first of it also into the secondary, as the WAL archive. `port` publishes
    the server on the loopback address of the engine's machine; without one, and without a
    `network`, nobody can reach it except through the engine.
    """

    engine: Engine
    image: str
    name: str
    place: EngineLocation
    reads: tuple[ReadPath, ...] = ()
    network: str = _NO_NETWORK
    port: int | None = None
    role: str = "postgres"
    source_image: str = ""
    _helper: Helper | None = field(default=None, init=False, repr=False)
    _made_container: bool = field(default=False, init=False)
    _looked: tuple[float, bool] = field(default=(0.0, False), init=False, repr=False)

    def __post_init__(self) -> None:
        self._ground = EngineGround(self.engine, self.image, self.place)
        self._access = SqlAccess(self.engine, self.name, self.image, _PORT)

    # What it is.

    @cached_property
    def facts(self) -> ImageFacts:
        """What the image brings along. Raises RefusedError when that is no server, EngineError."""
        found = image_facts(self.engine, self.image)
        if found.postgres_uid is None or not found.program:
            raise RefusedError(
                f"the image {self.image} cannot run PostgreSQL",
                "it has no user `postgres`, or no server",
                "name a PostgreSQL image with --image",
            )
        return found

    @cached_property
    def version(self) -> PostgresVersion:
        return PostgresVersion.parse(self.facts.version)

    @property
    def destination(self) -> str:
        return str(self.place) if self.place.root == self.name else f"{self.place} ({self.name})"

    @property
    def data_directory(self) -> PurePosixPath:
        return _DATA

    @property
    def user(self) -> ContainerOwner:
        return ContainerOwner(self._ids)

    @property
    def directory(self) -> EnginePath:
        if self._helper is None:
            raise EngineError(f"{self.place} cannot be reached", "its helper is not running")
        others = tuple(
            EngineTree(self._helper, mountpoint, str(location))
            for location, mountpoint in self._mounted()
        )
        return EngineTree(self._helper, _DATA, str(self.place), self._ids, others).root

    @property
    def database(self) -> Database:
        return Database({**self._access.address(), "user": self.role})

    @property
    def _ids(self) -> str:
        return f"{self.facts.postgres_uid}:{self.facts.postgres_gid}"

    # The checks.

    def state_of_place(self) -> str:
        if not _NAME.fullmatch(self.name):
            raise RefusedError(
                f"{visible(self.name)!r} cannot be a container's name",
                "Docker takes letters, digits, and behind the first of them also _ . -",
                "choose another --name",
            )
        with suppress(EngineError):
            taken = self._container
            raise RefusedError(
                f"there is a container {self.name} already",
                f"it is {visible(taken.status)}; a recovery never replaces one",
                "choose another name, or remove it: pitr cleanup " + self.name,
            )
        return self._ground.state()

    def require_apart(self, backup: ReadPath, archive: ReadPath) -> None:
        for path, what in ((backup, "the backup"), (archive, "the WAL archive")):
            read = engine_location(str(path))
            if read is None or read.kind is not self.place.kind:
                continue
            own, other = PurePosixPath(self.place.root), PurePosixPath(read.root)
            if own == other or self.place.kind is LocationKind.ENGINE and own.is_relative_to(other):
                raise RefusedError(
                    f"the destination lies inside of {what}",
                    f"{self.place} and {read} are in one place",
                    "choose a place of its own",
                )

    def free_bytes(self) -> int:
        return self._ground.free_bytes()

    def programs(self) -> str:
        by_id = self.image.startswith("sha256:")  # its tag belongs to a newer image by now
        shown = self.image.removeprefix("sha256:")[:12] if by_id else self.image
        return f"PostgreSQL {self.version} of the image {shown}, {self.facts.libc}"

    def missing_locales(self, names: Sequence[str]) -> tuple[str, ...]:
        return ()  # an image that differs from the primary's is told by its C library

    def missing_libraries(self, names: Sequence[str]) -> tuple[str, ...] | None:
        return missing_libraries(self.engine, self.image, names)

    def occupancy(self, path: str) -> Occupancy:
        return Occupancy.ABSENT  # nothing of the engine's machine is mounted into the container

    def run_as_server(self, command: Sequence[str], directory: Path) -> int | None:
        return None

    def warnings(self) -> Iterator[tuple[str, str]]:
        """The C library sorts text, and indexes are built on that order."""
        if not self.source_image:
            return
        source = image_facts(self.engine, self.source_image)
        if source.libc != self.facts.libc:
            yield (
                "C library",
                f"the primary's image has {source.libc}, this one {self.facts.libc}: text may "
                "sort otherwise, so that its indexes miss rows; use the primary's image, or "
                "REINDEX after promoting",
            )

    def exposure(self) -> str:
        if self.network != _NO_NETWORK:
            with engine_errors(f"there is no network {visible(self.network)}"):
                self.engine.client.api.inspect_network(self.network)
        if self.port is not None:
            if self.engine.local:
                require_free_port(self.port)
            return f"port {self.port} published on 127.0.0.1 alone, with a password"
        if self.network != _NO_NETWORK:
            return f"in the network {self.network}, with a password; no port published"
        return "no network and no published port"

    # Its settings.

    @property
    def _is_reachable(self) -> bool:
        return self.port is not None or self.network != _NO_NETWORK

    def settings(self) -> dict[str, str]:
        return {
            "listen_addresses": "*" if self._is_reachable else "127.0.0.1",
            "port": str(_PORT),
            "unix_socket_directories": str(_DATA / OWN_DIRECTORY / "socket"),
            "unix_socket_permissions": "0700",
        }

    def configured(self, names: Sequence[str]) -> dict[str, str]:
        if self._helper is None:
            raise EngineError(f"{self.place} cannot be reached", "its helper is not running")
        script = _CONFIGURED.format(
            names=" ".join(map(shell_word, names)), server=shell_command(self.recipe.argv)
        )
        ran = self._helper.shell(self._ids).run(script)
        if ran.code != 0:
            raise configuration_refused(ran.stderr.encode())
        said = ran.stdout.split(b"\0")[:-1]
        if len(said) != len(names):
            raise PitrError("the server's configuration cannot be read", f"{len(said)} answers")
        return {
            name: text.removesuffix(b"\n").decode("utf-8", "surrogateescape")
            for name, text in zip(names, said, strict=True)
        }

    def access(self) -> str:
        # 127.0.0.1 is the container's own: who gets there can read its files anyway.
        lines = ["local all all trust\n", "host all all 127.0.0.1/32 trust\n"]
        if self._is_reachable:
            lines.append(f"host all all all {self.version.password_method}\n")
        return "".join(lines)

    # Its life.

    def make(self, run: str) -> None:
        self._ground.make()
        helper = self._reach()
        script = f"chown {self._ids} {_DATA} && chmod 700 {_DATA}"
        ran = helper.shell().run(script)
        if ran.code != 0:
            raise PitrError("the destination cannot be prepared", visible(ran.stderr.strip()))
        self.directory.joined(OWN_DIRECTORY).mkdir(0o700)
        self.directory.joined(RUN_MARK).write_text(f"{run}\n", 0o600)
        self.directory.joined(OWN_DIRECTORY / "socket").mkdir(0o700)

    def take_over(self, run: str, was_there: bool) -> bool:
        if not self._ground.exists():
            return False
        self._reach()
        mark = self.directory.joined(RUN_MARK)
        found = mark.read_bytes().decode("utf-8", "replace").strip() if mark.is_file() else ""
        if found != run:
            empty = not any(self.directory.iterdir())
            self.settle()
            if empty:
                return False
            raise RefusedError(
                f"{self.place} is not what the run {run} left",
                f"it belongs to the run {found}" if found else f"it has no {RUN_MARK}",
                "look at what it is; nothing was changed",
            )
        self._ground.made = not was_there
        with suppress(EngineError):
            self._made_container = self._runs_here(self._container)
        return True

    def _runs_here(self, container: Container) -> bool:
        """Whether a container of this name is the one that we made on this place."""
        mounts = container.attrs["Mounts"]
        places = [
            one.get("Name") or one.get("Source")
            for one in mounts
            if one["Destination"] == str(_DATA)
        ]
        return container.labels.get(LABEL) == Role.SECONDARY and places == [self.place.root]

    def unmake(self) -> None:
        self._remove_container()
        if self._helper is not None and not self._ground.made:
            self._ground.empty(self._helper, _DATA)
        self.settle()
        self._ground.unmake()

    def settle(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()

    def filler(self) -> TarFiller:
        if self._helper is None:
            raise EngineError(f"{self.place} cannot be reached", "its helper is not running")
        return TarFiller(self._helper, _DATA, self._ids)

    def start(self) -> None:
        """Make its container, with nothing but what it needs, and start it."""
        if self._made_container:
            container = self._own
        else:
            container = self.recipe.create(self.engine)
            self._made_container = True
        with engine_errors(f"the container {self.name} cannot be started"):
            container.start()

    def stop(self) -> None:
        try:
            with engine_errors(f"the container {self.name} cannot be stopped"):
                self._own.stop(timeout=_STOP_SECONDS)
        except EngineError as error:
            if error.status != 404:  # somebody has removed it: then nothing of it runs
                raise
            self._made_container = False
        self._looked = (0.0, False)

    def is_running(self) -> bool:
        looked, running = self._looked
        if time.monotonic() - looked > _LOOK_EVERY:
            try:
                running = self._own.status == "running"
            except EngineError as error:
                if error.status not in (0, 404):
                    raise
                running = running and not error.status  # no answer says nothing about it
            self._looked = (time.monotonic(), running)
        return running

    def was_started(self) -> bool:
        return self._made_container

    def follow_log(self) -> ContainerLog:
        return ContainerLog(self.engine, self._own.id or "")

    def log_tail(self) -> list[str]:
        try:
            with engine_errors(f"the log of {self.name} cannot be read"):
                text: bytes = self._own.logs(tail=12)
        except EngineError:
            return []
        return [visible(line) for line in text.decode("utf-8", "replace").splitlines()]

    def throw_away(self) -> None:
        with suppress(EngineError):
            if self._container.labels.get(LABEL) != Role.SECONDARY:
                raise RefusedError(
                    f"the container {self.name} is left alone",
                    "it does not carry our label, so no run has made it",
                    "look at what it is, and remove it by hand",
                )
        self._made_container = True
        self._remove_container()
        self._ground.throw_away()

    # How a person does it.

    @property
    def recipe(self) -> ServerRecipe:
        """Its container: the data, and read-only the archive where it is in reach."""
        mounts = [helper_mount(self.place, _DATA, writable=True)]
        mounts += [helper_mount(location, at) for location, at in self._mounted()[:1]]
        data = str(_DATA)
        return ServerRecipe(
            image=self.image,
            name=self.name,
            user=self._ids,
            argv=(self.facts.program, "-D", data, "-c", f"data_directory={data}"),
            environment={"PGDATA": data},
            mounts=tuple(mounts),
            network=self.network,
            inner_port=_PORT,
            port=self.port,
        )

    def place_commands(self) -> list[str]:
        return self._ground.commands()

    def copy_commands(
        self, backup: ReadPath, in_tars: bool, corrections: Sequence[str]
    ) -> list[str]:
        way = "unpacked" if in_tars else "copied"
        return [
            f"#    {backup}  ->  {self.place}, {way} through the engine",
            *self._helper_command(
                [
                    f"chown -R {self._ids} {_DATA}",
                    f"chmod 700 {_DATA}",
                    f"mkdir -m 700 {_DATA / OWN_DIRECTORY} {_DATA / OWN_DIRECTORY / 'socket'}",
                ]
            ),
        ]

    def writing_commands(self, commands: Sequence[str]) -> list[str]:
        return self._helper_command(commands, ["--user", self._ids])

    def start_command(self) -> tuple[str, ...]:
        return self.recipe.command()

    def psql_command(self, dbname: str = "postgres") -> str:
        if self.port is not None and self.engine.local:
            where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", self.role]
            return shell_command(["psql", *where, "-d", psql_database(dbname)])
        return shell_command(
            ["docker", "exec", "-it", self.name, "psql", "-h", "127.0.0.1", "-U", self.role]
            + ["-d", psql_database(dbname)]
        )

    def reach_options(self) -> tuple[str, ...]:
        return ("--docker", self.name)

    def stop_command(self) -> str:
        return shell_command(["docker", "stop", self.name])

    def _helper_command(self, lines: Sequence[str], options: Sequence[str] = ()) -> list[str]:
        command = ["docker", "run", "--rm", "-i", *options, "--network", "none"]
        command += ["--entrypoint", "sh", "-v", f"{self.place.root}:{_DATA}", self.image]
        return [f"{shell_command(command)} <<'DONE'", *lines, "DONE"]

    # What lies below.

    @property
    def _container(self) -> Container:
        with engine_errors(f"the container {self.name} cannot be looked at"):
            return self.engine.client.containers.get(self.name)

    @property
    def _own(self) -> Container:
        """The container on this place. Raises EngineError, with 404 where its name is another's."""
        container = self._container
        if not self._runs_here(container):
            raise EngineError(
                f"the container {self.name} is not this secondary's",
                f"it does not run on {self.place}",
                status=404,
            )
        return container

    def _mounted(self) -> list[tuple[EngineLocation, PurePosixPath]]:
        """What of `reads` lies behind this engine, each root once, and where it is mounted."""
        found: dict[EngineLocation, PurePosixPath] = {}
        for path in self.reads:
            if isinstance(path, EnginePath) and path.tree.helper.engine.address == (
                self.engine.address
            ):
                location = engine_location(path.tree.location)
                if location is not None:
                    name = f"read{len(found)}" if found else "archive"
                    found.setdefault(location, _ROOM / name)
        return list(found.items())

    def _reach(self) -> Helper:
        """Start the helper that reads and writes the place."""
        mounts = [helper_mount(self.place, _DATA, writable=True)]
        mounts += [helper_mount(location, at) for location, at in self._mounted()]
        self.settle()
        self._helper = helper = Helper.start(self.engine, self.image, mounts=mounts)
        return helper

    def _remove_container(self) -> None:
        self._access.close()
        if not self._made_container:
            return
        try:
            with engine_errors(f"the container {self.name} cannot be removed"):
                container = self._own
                container.stop(timeout=_STOP_SECONDS)
                container.remove(v=True, force=True)
        except EngineError as error:
            if error.status != 404:
                raise
        self._made_container = False
