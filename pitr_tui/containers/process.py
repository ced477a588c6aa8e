"""A program that runs inside a container, seen as a process of ours."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.frames import STDERR, Frames
from pitr_tui.containers.shell import kill_group
from pitr_tui.containers.stream import execute, short_name
from pitr_tui.errors import PitrError

_BUFFER = 8 << 20
_PID_SECONDS = 10

# The words of the program are arguments of this script, never part of it. Its number comes
# first on standard error: signals are sent by it.
_PLAIN = 'echo "$$" >&2; exec "$@" </dev/null'
_FED = 'echo "$$" >&2; head -c {size} | "$@"'


class Process:
    """A program in a running container: started, read without waiting, ended.

    What it writes is held here up to 8 MiB; then it waits until it is read, as with a pipe.
    """

    def __init__(
        self,
        engine: Engine,
        container: str,
        argv: Sequence[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        limit: int = _BUFFER,
    ) -> None:
        """Start it. Raises EngineError when the engine refuses."""
        self._name = f"{argv[0]} in the container {short_name(container)}"
        self._engine = engine
        self._container = container
        self._user = user
        self._limit = limit
        self._changed = threading.Condition()
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pid: int | None = None
        self._code: int | None = None
        self._error: PitrError | None = None
        self._closed = False
        script = _PLAIN if stdin is None else _FED.format(size=len(stdin))
        with engine_errors(f"{self._name} cannot be started"):
            self._execution = execute(
                engine,
                container,
                ["sh", "-c", script, "sh", *argv],
                user=user,
                environment=environment,
                stdin=stdin is not None,
            )
        threading.Thread(target=self._follow, daemon=True).start()
        if stdin:
            threading.Thread(target=self._feed, args=(stdin,), daemon=True).start()

    def read(self) -> bytes:
        """What has come on its standard output since the last call."""
        with self._changed:
            data = bytes(self._stdout)
            self._stdout.clear()
            self._changed.notify_all()
        return data

    def read_errors(self) -> str:
        """What has come on its standard error since the last call; undecodable bytes marked."""
        with self._changed:
            if self._pid is None:
                return ""
            data = bytes(self._stderr)
            self._stderr.clear()
            ended = self._ended
            self._changed.notify_all()
        return self._decoder.decode(data, final=ended)

    def poll(self) -> int | None:
        """The exit code, once it has ended and all of its output is here.

        Raises EngineError when the engine lost it.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            return self._code

    def wait(self, timeout: float) -> int:
        """Wait for the end and give the exit code. Raises TimeoutError and EngineError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, timeout):
                raise TimeoutError
        code = self.poll()
        if code is None:
            raise EngineError(f"{self._name} was given up")
        return code

    def terminate(self) -> None:
        """Ask it and its children to end (SIGTERM). Raises EngineError."""
        self._signal("TERM")

    def close(self) -> None:
        """Kill it when it still runs, and let go of it."""
        with self._changed:
            running, self._closed = not (self._ended or self._closed), True
            self._changed.notify_all()
        if running:
            with suppress(EngineError):  # with its container gone, it is gone
                self._signal("KILL")
        self._execution.stream.close()

    @property
    def _ended(self) -> bool:
        return self._code is not None or self._error is not None

    def _signal(self, name: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._pid is not None or self._ended, _PID_SECONDS)
            pid, ended = self._pid, self._ended
        if pid is None or ended:
            return
        with engine_errors(f"{self._name} cannot be ended"):
            kill_group(self._engine, self._container, pid, user=self._user, name=name)

    def _feed(self, stdin: bytes) -> None:
        with suppress(OSError):  # it ended without reading all: its exit code tells
            self._execution.stream.write(stdin)

    def _follow(self) -> None:
        """Read to the end, then ask how it ended."""
        execution, code, error = self._execution, None, None
        try:
            with engine_errors(f"the engine lost {self._name}"):
                frames = Frames()
                while data := execution.stream.read():
                    self._take(frames.feed(data))
                code = execution.exit_code()
        except (PitrError, OSError) as raised:
            error = raised if isinstance(raised, PitrError) else EngineError(str(raised))
        with self._changed:
            self._code, self._error = code, error
            self._changed.notify_all()
        execution.stream.close()

    def _take(self, pieces: list[tuple[int, bytes]]) -> None:
        with self._changed:
            for stream, piece in pieces:
                (self._stderr if stream == STDERR else self._stdout).extend(piece)
            if self._pid is None and b"\n" in self._stderr:
                first, _, rest = self._stderr.partition(b"\n")
                self._pid, self._stderr = int(first), rest
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._closed or len(self._stdout) + len(self._stderr) <= self._limit
            )
