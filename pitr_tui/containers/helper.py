"""A container of ours beside a server: it reads and writes volumes, and runs PostgreSQL's tools.

It lives as long as we do: its main process reads what we send, which is nothing, until the
connection ends, and then the engine removes it. So nothing stays behind, however we end.
"""

from __future__ import annotations

import io
import secrets
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.files import open_file, put_tree, walk_tree
from pitr_tui.containers.labels import Role, labels
from pitr_tui.containers.process import Process
from pitr_tui.containers.shell import Ran, Shell
from pitr_tui.containers.stream import Stream, hijack
from pitr_tui.containers.volumes import require_volume

if TYPE_CHECKING:
    from docker.types import Mount

_MAIN = ["sh", "-c", "cat >/dev/null; :"]  # as process 1 it also reaps what others leave
_RIGHTS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"]
_REMOVAL_SECONDS = 20
_POLL = 0.01
_NO_LIMIT = 1 << 40
_GONE = 404


@dataclass(frozen=True, slots=True)
class HelperMount:
    """A volume or a directory of the engine's machine, and where the helper sees it."""

    kind: Literal["volume", "bind"]
    source: str
    target: str
    writable: bool = False

    def checked(self, engine: Engine) -> Mount:
        """As the engine wants it. Raises EngineError for a volume that does not exist.

        A missing directory is refused by the engine, because this is a mount and not a bind.
        """
        from docker.types import Mount

        if self.kind == "volume":
            require_volume(engine, self.source)
        return Mount(self.target, self.source, self.kind, read_only=not self.writable)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a helper is to be, so that the same one can be had again."""

    image: str
    mounts: tuple[HelperMount, ...]
    volumes_from: str | None
    network: str
    user: str
    role: Role
    name_hint: str

    def start(self, engine: Engine) -> tuple[str, str, Stream]:
        """Its id, its name, and the connection that it lives by. Raises EngineError."""
        from docker.errors import ImageNotFound

        words = ("pitr", self.role.value, self.name_hint, secrets.token_hex(4))
        name = "-".join(filter(None, words))
        with engine_errors(f"no helper of the image {self.image} can be started"):
            try:
                container = engine.client.containers.create(
                    self.image,
                    command=[],
                    entrypoint=_MAIN,
                    name=name,
                    user=self.user,
                    working_dir="/",
                    labels=labels(self.role),
                    mounts=[mount.checked(engine) for mount in self.mounts],
                    volumes_from=[f"{self.volumes_from}:ro"] if self.volumes_from else None,
                    network_mode=self.network,
                    stdin_open=True,
                    auto_remove=True,
                    cap_drop=["ALL"],
                    cap_add=_RIGHTS,
                    # Volumes of other containers carry labels that SELinux would keep from us.
                    security_opt=["no-new-privileges", "label=disable"],
                    healthcheck={"test": ["NONE"]},
                )
            except ImageNotFound as error:
                raise image_missing(self.image) from error
            identifier = str(container.id)
            try:
                life = hijack(
                    engine,
                    f"/containers/{identifier}/attach",
                    {"stdin": "1", "stream": "1"},
                )
                container.start()
            except BaseException:
                with suppress(Exception):  # the first error is the one that tells
                    container.remove(force=True, v=True)
                raise
        return identifier, name, life


@dataclass(slots=True)
class Helper:
    """A running helper. Close it, or let it end with this process.

    When the connection that it lives by was cut, the next shell starts one like it.
    """

    engine: Engine
    id: str
    name: str
    _life: Stream = field(repr=False)
    _wish: _Wish = field(repr=False)
    _shells: dict[str, Shell] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _closed: bool = field(default=False, init=False, repr=False)

    @classmethod
    def start(
        cls,
        engine: Engine,
        image: str,
        *,
        mounts: Sequence[HelperMount] = (),
        volumes_from: str | None = None,
        network: str = "none",
        user: str = "0:0",
        role: Role = Role.HELPER,
        name_hint: str = "",
    ) -> Helper:
        """Start one of an image that has a POSIX userland.

        `volumes_from` gives it, read-only, what another container has mounted; `network` is
        "none", "container:ID" or a network's name. Raises EngineError.
        """
        wish = _Wish(image, tuple(mounts), volumes_from, network, user, role, name_hint)
        return cls(engine, *wish.start(engine), wish)

    @property
    def image(self) -> str:
        return self._wish.image

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def exists(self) -> bool:
        """Whether it still runs. Raises EngineError when the engine does not say."""
        try:
            with engine_errors(f"the helper {self.name} cannot be looked at"):
                state = self.engine.client.api.inspect_container(self.id)["State"]
        except EngineError as error:
            if error.status != _GONE:
                raise
            return False
        return bool(state["Running"])

    def shell(self, user: str = "") -> Shell:
        """The kept shell of a user, `name` or `uid:gid`; "" is the helper's. Raises EngineError."""
        with self._lock:
            if self._closed:  # a thread that is still at work must not bring it back
                raise EngineError(f"the helper {self.name} is gone", "it was closed")
            shell = self._shells.get(user)
            if shell is None or shell.closed:
                shell = self._shells[user] = self._new_shell(user)
            return shell

    def _new_shell(self, user: str) -> Shell:
        """A shell, of another helper like this one where this one is gone or dying."""
        if self.exists():
            try:
                return Shell(self.engine, self.id, user, ours=True)
            except EngineError as error:
                if error.status != _GONE and "is not running" not in error.why:
                    raise
        self._life.close()
        self.id, self.name, self._life = self._wish.start(self.engine)
        return Shell(self.engine, self.id, user, ours=True)

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float = 600,
    ) -> Ran:
        """Run a program to its end.

        Raises EngineError when the engine refuses, or it takes longer than `timeout` seconds;
        then it is killed.
        """
        process = Process(
            self.engine,
            self.id,
            argv,
            user=user,
            environment=environment,
            stdin=stdin,
            limit=_NO_LIMIT,
        )
        try:
            code = process.wait(timeout)
        except TimeoutError as error:
            raise EngineError(
                f"{argv[0]} did not end",
                f"it was stopped after {timeout:g} seconds",
            ) from error
        finally:
            process.close()
        return Ran(code, process.read(), process.read_errors())

    def popen(
        self,
        argv: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program and give it as a process. Raises EngineError."""
        return Process(self.engine, self.id, argv, user=user, environment=environment)

    def get(self, path: str) -> AbstractContextManager[io.BufferedReader]:
        """The bytes of one file as a stream, see `files.open_file`."""
        return open_file(self.engine, self.id, path)

    def get_tree(self, path: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """The files below a directory as a stream, see `files.walk_tree`."""
        return walk_tree(self.engine, self.id, path)

    def put(self, directory: str, chunks: Iterable[bytes]) -> None:
        """Unpack a tar stream into a directory, see `files.put_tree`."""
        put_tree(self.engine, self.id, directory, chunks)

    def close(self) -> None:
        """Remove it at once, with all that runs in it; its volumes are free when this returns.

        An engine that does not answer is no error: it removes the helper by itself. Raises
        EngineError when it says that it cannot.
        """
        with self._lock:
            self._closed = True
            shells = list(self._shells.values())
        for shell in shells:
            shell.close()
        try:
            self._remove()
        finally:  # not before: a removal of the engine's own frees the volumes after the name
            self._life.close()

    def _remove(self) -> None:
        deadline = time.monotonic() + _REMOVAL_SECONDS
        api = self.engine.client.api
        while time.monotonic() < deadline:
            try:
                with engine_errors(f"the helper {self.name} cannot be removed"):
                    api.remove_container(self.id, force=True, v=True)
            except EngineError as error:
                if error.status in (0, 404):
                    return
                if error.status != 409:  # the engine is at it already
                    raise
                time.sleep(_POLL)
            else:
                return
        raise EngineError(
            f"the helper {self.name} is still being removed",
            f"the engine has not done it in {_REMOVAL_SECONDS} seconds",
        )


def image_missing(image: str) -> EngineError:
    """The sentence for an image that the engine does not have."""
    return EngineError(
        f"the engine does not have the image {image}",
        "a helper must be of the server's own image, so that the tools match",
        f"docker pull {image}",
    )
