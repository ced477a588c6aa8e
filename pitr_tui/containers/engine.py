"""The Docker engine: find it as Docker's own command does, and say clearly when it is not there.

Long work (stopping a server, deleting a volume, a stream that pauses) must not be cut, while
a host that does not answer must be noticed soon. So connecting and greeting have ten seconds,
every other answer has ten minutes, and keep-alive probes tell when the other side is gone.
"""

from __future__ import annotations

import getpass
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from os.path import exists
from typing import TYPE_CHECKING, Any

from pitr_tui.containers.refusal import (
    EngineError,
    causes,
    engine_errors,
    is_of_engine,
    status_of,
    words,
)
from pitr_tui.containers.sdk import load_sdk
from pitr_tui.containers.ssh import SshForward
from pitr_tui.errors import UsageError
from pitr_tui.postgres.quote import visible

if TYPE_CHECKING:
    import docker
    import requests
    from requests.adapters import HTTPAdapter

__all__ = ["Engine", "EngineError", "engine_errors"]

_GREETING_SECONDS = 10
_SSH_GREETING_SECONDS = 30  # ssh has to let us in first
_ANSWER_SECONDS = 600
_OLDEST_API = (1, 40)
_POOL = 32
_DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_ELSEWHERE = "name another one with DOCKER_HOST or 'docker context use'; servers of this machine"
_WITHOUT = f"start it, or {_ELSEWHERE} need no engine"


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine that answered."""

    client: docker.DockerClient
    address: str
    version: str
    api_version: str
    rootless: bool
    local: bool
    forward: SshForward | None = field(default=None, repr=False)

    @classmethod
    def connect(cls, url: str | None = None) -> Engine:
        """The engine at `url`, or the one of DOCKER_HOST, or of Docker's current context.

        Raises EngineError when there is none, it may not be used, or it is too old.
        """
        load_sdk()
        place = _reachable(_place(url, os.environ))
        try:
            greeter = place.client("1.40", place.patience)
            with closing(greeter):
                place.knock()
                greeting = greeter.version(api_version=False)
                version, api_version = str(greeting["Version"]), str(greeting["ApiVersion"])
                _require_new_enough(place, version, api_version)
                options = greeter.info().get("SecurityOptions") or ()
            return cls(
                client=place.client(api_version, _ANSWER_SECONDS),
                address=place.name,
                version=version,
                api_version=api_version,
                rootless=any("rootless" in option for option in options),
                local=place.local,
                forward=place.forward,
            )
        except EngineError:
            place.close()
            raise
        except Exception as error:
            told = _no_engine(place, error)
            place.close()
            raise told from error

    def close(self) -> None:
        self.client.close()
        if self.forward:
            self.forward.close()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an engine is said to be."""

    url: str
    name: str
    tls: Any = False
    forward: SshForward | None = None

    @property
    def socket(self) -> bool:
        return self.url.startswith(("unix://", "http+unix://"))

    @property
    def local(self) -> bool:
        return self.socket and self.forward is None

    @property
    def patience(self) -> int:
        """How many seconds a greeting may take."""
        return _SSH_GREETING_SECONDS if self.forward else _GREETING_SECONDS

    def close(self) -> None:
        if self.forward:
            self.forward.close()

    def knock(self) -> None:
        """Connect once, and raise OSError: the SDK leaves its socket open when it cannot."""
        if self.local:
            path = "/" + self.url.partition("://")[2].lstrip("/")
            with closing(socket.socket(socket.AF_UNIX)) as probe:
                probe.settimeout(self.patience)
                probe.connect(path)

    def client(self, api_version: str, seconds: int) -> docker.DockerClient:
        """A client that has not asked anything yet. Raises EngineError for a senseless address."""
        import docker

        try:
            client = docker.DockerClient(
                base_url=self.url,
                version=api_version,
                timeout=seconds,
                tls=self.tls,
                max_pool_size=_POOL,
            )
        except docker.errors.DockerException as error:
            raise EngineError(
                f"{visible(self.name)} is no address of a Docker engine",
                visible(str(error)),
                "DOCKER_HOST is like unix:///var/run/docker.sock, ssh://USER@HOST or tcp://HOST:2376",
            ) from error
        if not self.socket:
            adapter = _remote_adapter(client.api)
            client.api.mount("http://", adapter)
            client.api.mount("https://", adapter)
        return client


def _place(url: str | None, environment: Mapping[str, str]) -> _Place:
    """What `url`, the environment or the current context say. Raises EngineError."""
    from docker.errors import TLSParameterError
    from docker.utils import kwargs_from_env

    host = url or environment.get("DOCKER_HOST", "")
    context = environment.get("DOCKER_CONTEXT", "")
    if host:
        try:
            settings = kwargs_from_env(environment={**environment, "DOCKER_HOST": host})
        except TLSParameterError as error:
            raise _tls_trouble(host, visible(error.msg)) from error
        return _Place(host, host, settings.get("tls", False))
    return _place_of_context(context)


def _reachable(place: _Place) -> _Place:
    """The same place, with a socket of this machine for an engine behind ssh."""
    if not place.url.startswith("ssh://"):
        return place
    try:
        forward = SshForward(place.url)
    except UsageError as error:
        raise EngineError(error.what, error.why, error.hint) from error
    return _Place(forward.url, place.name, forward=forward)


def _place_of_context(name: str) -> _Place:
    """The engine of a context; an empty name means the one that `docker context use` chose.

    The SDK takes the default socket when the context does not exist; Docker's own command and
    we do not, because that would be another engine than the one that was meant.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    name = name or get_current_context_name() or "default"
    hint = "see 'docker context ls'; 'docker context use default' goes back to this machine's"
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # the SDK raises a bare Exception for a damaged file
        raise EngineError(
            f"the Docker context {visible(name)} cannot be read", visible(str(error)), hint
        ) from error
    if context is None:
        raise EngineError(f"there is no Docker context {visible(name)}", "", hint)
    if name == "default":
        return _Place(_DEFAULT_ADDRESS, _DEFAULT_ADDRESS)
    host = context.Host or _DEFAULT_ADDRESS
    return _Place(host, f"{host} (context {name})", context.TLSConfig or False)


def _remote_adapter(session: requests.Session) -> HTTPAdapter:
    """HTTP to another machine: ten seconds to connect, and probes while nothing is said.

    The authority that an engine is checked against is Docker's own: requests would let
    REQUESTS_CA_BUNDLE, which is about the web, go before it.
    """
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection

    probes = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            probes.append((socket.IPPROTO_TCP, getattr(socket, option), value))

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            options["socket_options"] = [*HTTPConnection.default_socket_options, *probes]
            super().init_poolmanager(*args, **options)

        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            seconds = options.get("timeout")
            if not isinstance(seconds, tuple):
                options["timeout"] = (_GREETING_SECONDS, seconds)
            options["verify"] = session.verify
            return super().send(request, *args, **options)

    return Adapter(pool_maxsize=_POOL)


def _require_new_enough(place: _Place, version: str, api_version: str) -> None:
    try:
        numbers = tuple(int(part) for part in api_version.split("."))
    except ValueError:
        numbers = ()
    if numbers < _OLDEST_API:
        raise EngineError(
            f"the Docker engine at {visible(place.name)} is too old",
            f"it is version {visible(version)} with API {visible(api_version)}; "
            "pitr needs API 1.40, which Docker 19.03 brought",
            f"update it, or {_ELSEWHERE} need no engine",
        )


def _no_engine(place: _Place, error: Exception) -> EngineError:
    """The sentence for an engine that did not greet us."""
    name = visible(place.name)
    nobody = f"no Docker engine answers at {name}"
    if place.forward and (said := place.forward.words()):
        hint = f"'ssh {name.removeprefix('ssh://')} docker version' must work without a question"
        return EngineError(nobody, said, hint)
    behind = list(causes(error))
    for cause in behind:
        if isinstance(cause, ssl.SSLError):
            return _tls_trouble(name, visible(str(cause)))
        if isinstance(cause, FileNotFoundError):
            return EngineError(nobody, "there is no such socket", _rootless_hint() or _WITHOUT)
        if isinstance(cause, ConnectionRefusedError):
            return EngineError(nobody, "nobody listens there (connection refused)", _WITHOUT)
        if isinstance(cause, PermissionError):
            return EngineError(
                f"{_user()} may not use the Docker engine at {name}",
                "permission denied on its socket",
                _rootless_hint()
                or "become a member of the group docker (sudo usermod -aG docker $USER, then log "
                "in again), use sudo, or set DOCKER_HOST to a rootless engine of your own",
            )
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return EngineError(nobody, f"no answer within {place.patience} seconds", _WITHOUT)
    if any("HTTPS server" in str(cause) for cause in behind):
        return _tls_trouble(name, "it wants TLS, and was spoken to without")
    if status := status_of(error):
        said = f"it answered with the HTTP status {status}"
        return EngineError(f"what answers at {name} is no Docker engine", said, _WITHOUT)
    if not is_of_engine(error) or isinstance(error, ValueError):
        said = f"its answer could not be understood ({type(error).__name__})"
        return EngineError(f"what answers at {name} is no Docker engine", said, _WITHOUT)
    return EngineError(nobody, words(error), _WITHOUT)


def _tls_trouble(name: str, why: str) -> EngineError:
    return EngineError(
        f"the Docker engine at {name} cannot be spoken to safely",
        why,
        "DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH must name the directory with this engine's "
        "ca.pem, cert.pem and key.pem",
    )


def _user() -> str:
    try:
        return f"the user {getpass.getuser()}"
    except (KeyError, OSError):
        return f"the user with number {os.getuid()}"


def _rootless_hint() -> str:
    """Where this user's own engine listens, when its socket is there."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    path = os.path.join(runtime, "docker.sock")
    return f"there is a rootless engine of yours: DOCKER_HOST=unix://{path}" if exists(path) else ""
