"""A PostgreSQL server that runs in a container, or did: SQL, programs, files, a restart.

The postmaster is mostly process 1 there, and takes the death of an orphan for a crash of its
own (sql_access.py). Nothing of ours that could be left alone may run beside it: SQL goes
through a helper that shares no more than the network, and `run` takes single programs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.files import open_file, walk_tree
from pitr_tui.containers.found import read_small_file
from pitr_tui.containers.process import Process
from pitr_tui.containers.shell import Ran
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import visible
from pitr_tui.servers.container_files import write_file
from pitr_tui.servers.sql import Database
from pitr_tui.servers.sql_access import SqlAccess

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_PORT = "5432"
_POLL = 0.1
_LOG_LINES = 40
_MOST_STARTS = 3  # of a server that ends again at once
_STOP_SECONDS = 3600  # nobody waits so long, and a shutdown is not cut short
_GIVE_UP_SECONDS = 10  # for what cannot start and is tried again and again
_SIGNAL = "SIGINT"  # PostgreSQL's fast shutdown
_NAMES_SIGNAL = (1, 42)  # the API since which a stop can name its signal


class ContainerDatabase(Database):
    """A database of a server in a container, also after that was started again."""

    def __init__(self, parameters: Mapping[str, str], server: ContainerServer) -> None:
        super().__init__({**parameters, **server.address()})
        self.server = server

    def __str__(self) -> str:
        user, dbname = self.parameters.get("user", ""), self.parameters["dbname"]
        return f"{dbname} in the container {self.server.name} as {user}"

    def named(self, dbname: str) -> ContainerDatabase:
        return ContainerDatabase({**self.parameters, "dbname": dbname}, self.server)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        self.parameters |= self.server.address()
        with super().connect() as connection:
            yield connection


class ContainerServer:
    """One container's server, reached through the engine alone. Close it after use.

    `login` are parameters of the connection that win over those of the container's
    environment: user, password, dbname.
    """

    def __init__(
        self, engine: Engine, container: PostgresContainer, login: Mapping[str, str] | None = None
    ) -> None:
        self.engine = engine
        self.container = container
        self._login = dict(login or {})
        self._access: SqlAccess | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.container.name

    @cached_property
    def image(self) -> str:
        """The container's image for the engine: its name, or its id when the name moved on."""
        container = self.container
        try:
            with engine_errors(f"the image {container.image} cannot be looked at"):
                now = self.engine.client.images.get(container.image).id
        except EngineError as error:
            if error.status != 404:
                raise
            now = None
        return container.image if now == container.image_id else container.image_id

    @cached_property
    def owner(self) -> str:
        """`uid:gid` of the data directory, of a dead container too. Raises PitrError."""
        marker = self.container.data_directory / "PG_VERSION"
        try:
            for member, _ in walk_tree(self.engine, self.container.id, str(marker)):
                return f"{member.uid}:{member.gid}"
        except FileNotFoundError:
            pass
        raise PitrError(
            f"the container {self.name} has no cluster",
            f"there is no {marker} in it",
            "start it once, so that it makes one",
        )

    @property
    def database(self) -> Database:
        """SQL through the engine. Raises RefusedError when the container does not run."""
        container = self.container
        login = {"user": container.user, **self._login}
        if container.password and login["user"] == container.user:
            login.setdefault("password", container.password)
        return ContainerDatabase(login, self)

    def address(self) -> dict[str, str]:
        """Where libpq reaches the server now. Raises RefusedError when it does not run."""
        with self._lock:
            if self._access is None:
                collect = f"for the WAL it still has: pitr archive collect --docker {self.name}"
                self._access = SqlAccess(self.engine, self.name, self.image, self._port(), collect)
            access = self._access
        return access.address()

    def is_running(self) -> bool:
        return bool(self._state()["Status"] == "running")

    def run(self, argv: Sequence[str], *, user: str = "", timeout: float = 60) -> Ran:
        """Run a single program in the container to its end, as root or as `user`.

        One that starts others and is killed would take the server with it. Raises EngineError.
        """
        process = Process(self.engine, self.container.id, argv, user=user or "0:0")
        try:
            code = process.wait(timeout)
        except TimeoutError as error:
            raise EngineError(
                f"{argv[0]} in the container {self.name} did not end",
                f"it was stopped after {timeout:g} seconds",
            ) from error
        finally:
            process.close()
        return Ran(code, process.read(), process.read_errors())

    def read(self, path: PurePosixPath) -> bytes:
        """A file's bytes, of a dead container too. Raises FileNotFoundError and EngineError."""
        with open_file(self.engine, self.container.id, str(path)) as file:
            return file.read()

    def write(self, path: PurePosixPath, data: bytes, mode: int = 0o600) -> None:
        """Write a file whole or not at all, whether the container runs or not.

        One that is there keeps its owner and mode; links are followed. Raises PitrError.
        """
        write_file(self, path, data, mode)

    def log(self, lines: int = _LOG_LINES) -> tuple[str, ...]:
        """The end of what the container wrote. Raises EngineError."""
        with engine_errors(f"the log of the container {self.name} cannot be read"):
            text = self.engine.client.api.logs(self.container.id, tail=lines)
        return tuple(visible(line) for line in text.decode("utf-8", "replace").splitlines())

    def require_restartable(self) -> None:
        """Raises RefusedError for a container that would be gone once it stops."""
        if self._facts()["HostConfig"].get("AutoRemove"):
            raise RefusedError(
                f"the container {self.name} cannot be restarted",
                "it was started with --rm: the engine removes it as soon as it stops",
                "run it again without --rm, on the same volumes",
            )

    def restart(self, timeout: float = 300) -> None:
        """Shut the server down fast, start the same container, wait until it answers.

        The engine does both in one call where it sends the server SIGINT: so it is started also
        when we are not there any more. Elsewhere the postmaster gets the signal from us, because
        what `docker restart` sends is, in older images, a shutdown that waits for every client.
        Raises PitrError with the end of the container's log when it does not come back.
        """
        self.require_restartable()
        if self._engine_stops_fast():
            self._restart_by_engine(_STOP_SECONDS, timeout)
            self._wait_until_back(None, timeout)
            return
        before = self.started_at()
        pidfile = str(self._pidfile)
        ran = self.run(["sh", "-c", 'kill -s INT "$(head -n 1 "$1")"', "sh", pidfile])
        if ran.code not in (0, 137):  # the container may take our shell with it
            raise PitrError(
                f"the server in the container {self.name} cannot be stopped",
                visible(ran.stderr.strip()),
            )
        self._wait_until_back(before, timeout)

    def start(self, timeout: float = 120) -> None:
        """Start the container if it does not run, and wait until the server answers.

        Raises PitrError with the end of the container's log when it does not.
        """
        if self._state()["Status"] == "restarting":  # the engine may be waiting for a minute
            self._restart_by_engine(_GIVE_UP_SECONDS, timeout)
        self._wait_until_back(None, timeout)

    def settle(self, timeout: float = 300) -> bool:
        """Wait until the server answers or its container is down; whether it answers.

        In between it must get no signal: what prepares its start may ignore it for good.
        """
        deadline = time.monotonic() + timeout
        while self.is_running() and time.monotonic() < deadline:
            try:
                self.started_at()
            except PitrError:
                time.sleep(_POLL)
            else:
                return True
        return False

    def _engine_stops_fast(self) -> bool:
        """Whether the engine's own restart is a fast shutdown of the server."""
        first = (read_small_file(self.engine, self.container.id, self._pidfile) or b"").split()[:1]
        named = tuple(int(part) for part in self.engine.api_version.split(".")) >= _NAMES_SIGNAL
        said = str(self._facts()["Config"].get("StopSignal") or "")
        return first == [b"1"] and (named or said.removeprefix("SIG") in ("INT", "2"))

    def _restart_by_engine(self, stop_seconds: int, timeout: float) -> None:
        """Stop and start in one call, which the engine ends also when we hang up."""
        import requests
        from docker.errors import create_api_error_from_http_exception

        api = self.engine.client.api
        url = f"{api.base_url}/v{api.api_version}/containers/{self.container.id}/restart"
        with engine_errors(f"the container {self.name} cannot be restarted"):
            answer = api.post(
                url, params={"t": str(stop_seconds), "signal": _SIGNAL}, timeout=timeout
            )
            try:
                answer.raise_for_status()
            except requests.HTTPError as error:
                create_api_error_from_http_exception(error)

    def _wait_until_back(self, before: object, timeout: float) -> None:
        """Wait for a server that was not started at `before`; a stopped container is started.

        The engine's own starts count like ours: a setting that the server refuses would keep a
        restart policy busy for ever.
        """
        deadline = time.monotonic() + timeout
        why = "it has not shut down" if before else "it does not answer"
        starts, counted = 0, None
        while time.monotonic() < deadline:
            facts = self._facts()
            status, count = facts["State"]["Status"], int(facts.get("RestartCount") or 0)
            starts += max(0, count - (count if counted is None else counted))
            counted = count
            if starts > _MOST_STARTS:
                break
            try:
                if status in ("exited", "created"):
                    starts += 1
                    if starts <= _MOST_STARTS:
                        self._start()
                elif status == "running" and self.started_at() != before:
                    return
            except PitrError as error:
                why = error.why
            time.sleep(_POLL)
        raise PitrError(
            f"the server in the container {self.name} did not come back",
            "\n".join([why, "the end of its log:", *self.log()]),
            f"docker logs {self.name}; when it is down: docker start {self.name}",
        )

    def close(self) -> None:
        """End the connections. The container goes on."""
        with self._lock:
            access, self._access = self._access, None
        if access is not None:
            access.close()

    def started_at(self) -> object:
        """When the server was started; another value after each start. Raises PitrError."""
        return self.database.row("SELECT pg_postmaster_start_time()")[0]

    def _start(self) -> None:
        with engine_errors(f"the container {self.name} cannot be started"):
            self.engine.client.api.start(self.container.id)

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._facts()["State"]
        return state

    def _facts(self) -> dict[str, Any]:
        with engine_errors(f"the container {self.name} cannot be looked at"):
            facts: dict[str, Any] = self.engine.client.api.inspect_container(self.container.id)
        return facts

    @property
    def _pidfile(self) -> PurePosixPath:
        return self.container.data_directory / "postmaster.pid"

    def _port(self) -> int:
        """The port that the server listens on, as its postmaster.pid says (fourth line)."""
        text = read_small_file(self.engine, self.container.id, self._pidfile)
        lines = (text or b"").decode("ascii", "replace").splitlines()
        said = lines[3].strip() if len(lines) > 3 else ""
        return int(said if said.isdigit() else self.container.fixed_settings().get("port", _PORT))
