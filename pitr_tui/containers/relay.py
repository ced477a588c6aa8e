"""SQL to a server in a container, for any engine, without a network or a published port.

psycopg2 connects to a Unix socket of ours; each connection is carried through the engine by a
process inside the container to the server's port on that container's loopback address. What
libpq and the server say to each other passes untouched: SCRAM and TLS work end to end.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.frames import STDERR, Frames
from pitr_tui.containers.stream import Execution, execute, short_name
from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import visible

_AT_ONCE = 256 << 10
_WAITING = 64
_WORDS = 2000
# Seldom, an engine under load takes no more of a long input, and says nothing. A connection that
# ends with an error is better than one that hangs.
_STALLED_SECONDS = 60

# PostgreSQL is process 1 in its container: it adopts orphans, and takes the death of one by a
# signal for the crash of a backend, which ends all sessions. So nothing here may outlive its
# parent: both directions are children of the shell, and it ends after them. Whichever ends
# first ends the other; the check is for one that ended before the other had begun. BusyBox's
# nc is one process and ends when either side does. It is dd because BusyBox's cat uses
# sendfile(), which on a socket may keep what it has read until more comes.
_CARRY_BY_BASH = r"""
exec 3<>"/dev/tcp/127.0.0.1/$1" 4<&0 || exit 1
finish() { trap - CHLD; kill "$up" "$down"; } 2>/dev/null
trap finish CHLD
dd bs=65536 <&4 >&3 2>/dev/null & up=$!
dd bs=65536 <&3 2>/dev/null & down=$!
{ kill -0 "$up" && kill -0 "$down"; } 2>/dev/null || finish
wait
"""
_CARRY = r"""
if command -v bash >/dev/null 2>&1; then
    exec bash -c "$2" bash "$1"
elif command -v nc >/dev/null 2>&1; then
    exec nc 127.0.0.1 "$1"
fi
echo "the image has neither bash nor nc, and one of them must carry the connection" >&2
exit 127
"""


class SqlRelay:
    """A Unix socket that leads to a server's port inside a running container."""

    def __init__(self, engine: Engine, container: str, port: int = 5432, user: str = "") -> None:
        """Listen. Raises PitrError when no socket can be made."""
        self._engine = engine
        self._container = container
        self._port = port
        self._user = user
        self._lock = threading.Lock()
        self._open: set[Callable[[], None]] = set()
        self._closed = False
        try:
            self._directory = Path(tempfile.mkdtemp(prefix="pitr-sql-"))
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self._directory / f".s.PGSQL.{port}"))
            self._listener.listen(_WAITING)
        except OSError as error:
            raise PitrError(
                "no socket can be made for SQL to the container",
                str(error),
                "TMPDIR must name a writable directory with a short path",
            ) from error
        threading.Thread(target=self._accept, daemon=True, name="sql-relay").start()

    @property
    def parameters(self) -> dict[str, str]:
        """Where libpq connects."""
        return {"host": str(self._directory), "port": str(self._port)}

    def close(self) -> None:
        """End every connection and remove the socket."""
        with self._lock:
            self._closed = True
            ends = list(self._open)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # it wakes the thread in accept
        self._listener.close()
        for end in ends:
            end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(client,), daemon=True, name="sql-connection"
            ).start()

    def _serve(self, client: socket.socket) -> None:
        """Carry one connection until either side ends it."""
        with client:
            try:
                with engine_errors(f"no SQL connection into {short_name(self._container)}"):
                    execution = execute(
                        self._engine,
                        self._container,
                        ["sh", "-c", _CARRY, "sh", str(self._port), _CARRY_BY_BASH],
                        user=self._user,
                    )
            except EngineError as error:
                _refuse(client, f"{error.what}: {error.why}")
                return

            def end() -> None:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                execution.stream.close()

            with self._lock:
                self._open.add(end)
                closed = self._closed
            if closed:
                end()
            execution.stream.limit_writes(_STALLED_SECONDS)
            upward = threading.Thread(target=_carry_up, args=(client, execution), daemon=True)
            upward.start()
            try:
                self._carry_down(execution, client)
            finally:
                end()
                upward.join()
                with self._lock:
                    self._open.discard(end)

    def _carry_down(self, execution: Execution, client: socket.socket) -> None:
        """What the server says; when it cannot be reached, why, in the words of its protocol."""
        frames, words, silent = Frames(), bytearray(), True
        with suppress(OSError):
            while data := execution.stream.read():
                for stream, piece in frames.feed(data):
                    if stream == STDERR:
                        words += piece[:_WORDS]
                    else:
                        client.sendall(piece)
                        silent = False
            if silent and not self._closed:
                why = visible(words[:_WORDS].decode("utf-8", "replace").strip())
                place = f"port {self._port} of the container {short_name(self._container)}"
                _refuse(client, f"nothing answers on {place}" + (f": {why}" if why else ""))


def _carry_up(client: socket.socket, execution: Execution) -> None:
    """What the client says. Its end is the end of the connection."""
    with suppress(OSError):
        while data := client.recv(_AT_ONCE):
            execution.stream.write(data)
    execution.stream.close()


def _refuse(client: socket.socket, why: str) -> None:
    """Tell libpq in place of the server (ErrorResponse, protocol 3.0), so that it shows why."""
    fields = b"SFATAL\0VFATAL\0C08001\0M" + why.replace("\n", " ").encode() + b"\0\0"
    with suppress(OSError):
        client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
