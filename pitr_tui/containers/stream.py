"""Connections that the engine keeps open: to a process in a container, or for a long answer."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.postgres.quote import visible

if TYPE_CHECKING:
    from requests import Response

_AT_ONCE = 256 << 10
_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_EXIT_CODE_SECONDS = 10
_POLL = 0.005


class Stream:
    """The bytes behind an answer of the engine, both ways, without the SDK's layers.

    Reading ends with b"" as soon as anybody closes it, from whatever thread.
    """

    def __init__(self, response: Response) -> None:
        # Which attributes these are is urllib3's and http.client's secret; the SDK itself
        # takes the socket from there (APIClient._get_raw_response_socket).
        http: Any = response.raw._fp
        buffered = http.fp
        self.chunked = bool(http.chunked)
        self._response = response
        self._socket: socket.socket = buffered.raw._sock
        self._early = self._take_early(buffered)
        self._closed = False

    def _take_early(self, buffered: Any) -> bytes:
        """What came in one packet with the headers and lies in the reader's buffer now."""
        self._socket.setblocking(False)
        try:
            return bytes(buffered.peek())
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        finally:
            self._socket.settimeout(None)

    def read(self, timeout: float | None = None) -> bytes:
        """What has come, at most 256 KiB; waits for the first byte. b"" is the end.

        Raises TimeoutError, and OSError when the connection breaks.
        """
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            self._socket.settimeout(timeout)
            return self._socket.recv(_AT_ONCE)
        except (OSError, ValueError):
            if self._closed:
                return b""
            raise

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError when the connection breaks."""
        self._socket.sendall(data)

    def limit_writes(self, seconds: int) -> None:
        """From now on a write of which the engine takes nothing for so long raises OSError."""
        limit = struct.pack("ll", seconds, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def close(self) -> None:
        """End both ways, also for a thread that waits in `read` or `write`."""
        self._closed = True
        with suppress(OSError, ValueError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, ValueError):
            self._response.close()


@dataclass(frozen=True, slots=True)
class Execution:
    """A process that the engine started inside a running container."""

    engine: Engine
    identifier: str
    stream: Stream

    def exit_code(self) -> int:
        """How the process ended; to be asked when the stream has.

        Raises EngineError when it has not, docker.errors and OSError from the engine.
        """
        deadline = time.monotonic() + _EXIT_CODE_SECONDS
        while True:
            facts = self.engine.client.api.exec_inspect(self.identifier)
            if not facts["Running"] and facts["ExitCode"] is not None:
                return int(facts["ExitCode"])
            if time.monotonic() > deadline:
                raise EngineError("a process in a container has closed its output and goes on")
            time.sleep(_POLL)


def execute(
    engine: Engine,
    container: str,
    argv: Sequence[str],
    *,
    user: str = "",
    environment: Mapping[str, str] | None = None,
    stdin: bool = True,
) -> Execution:
    """Start a process in a running container. Raises what the SDK raises, see engine_errors."""
    created = engine.client.api.exec_create(
        container, list(argv), stdin=stdin, user=user, environment=dict(environment or {})
    )
    identifier = str(created["Id"])
    return Execution(engine, identifier, hijack(engine, f"/exec/{identifier}/start"))


def hijack(engine: Engine, path: str, params: Mapping[str, str] | None = None) -> Stream:
    """Ask for a two-way stream. Raises what the SDK raises, see engine_errors."""
    api = engine.client.api
    response = api.post(
        _url(engine, path),
        params=params,
        data=json.dumps({"Tty": False, "Detach": False}),
        headers={"Content-Type": "application/json", **_UPGRADE},
        stream=True,
        timeout=api.timeout,
    )
    _require_success(response)
    return Stream(response)


def get(engine: Engine, path: str, params: Mapping[str, str] | None = None) -> Response:
    """Ask for an answer that is read piece by piece and closed by the caller.

    Raises what the SDK raises, see engine_errors.
    """
    api = engine.client.api
    response = api.get(
        _url(engine, path),
        params=params,
        headers={"Accept-Encoding": "identity"},  # else a tar stream comes as gzip
        stream=True,
        timeout=api.timeout,
    )
    _require_success(response)
    return response


def send(
    engine: Engine, path: str, params: Mapping[str, str] | None, chunks: Iterable[bytes]
) -> None:
    """Send a body piece by piece. Raises what the SDK raises, see engine_errors."""
    api = engine.client.api
    response = api.put(_url(engine, path), params=params, data=chunks, timeout=api.timeout)
    _require_success(response)


def short_name(container: str) -> str:
    """A container as a person would name it: the beginning of an identifier, or its name.

    >>> short_name("0f" * 32), short_name("shop-primary-1")
    ('0f0f0f0f0f0f', 'shop-primary-1')
    """
    return container[:12] if len(container) == 64 else visible(container)


def _url(engine: Engine, path: str) -> str:
    api = engine.client.api
    return f"{api.base_url}/v{api.api_version}{path}"


def _require_success(response: Response) -> None:
    import requests
    from docker.errors import create_api_error_from_http_exception

    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
