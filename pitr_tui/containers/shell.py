"""A shell kept open in a container: a round trip of a millisecond in place of an exec each."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.frames import STDERR, Frames
from pitr_tui.containers.stream import Execution, execute, short_name
from pitr_tui.postgres.quote import shell_word, visible

_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script or a program left: its exit code and its output."""

    code: int
    stdout: bytes
    stderr: str


class ShellGone(EngineError):
    """The shell ended, or the connection to it was cut; what it was doing may be done or not."""


class Shell:
    """A POSIX `sh` in a running container (dash, bash, BusyBox ash), for one script at a time.

    Each script runs in a subshell, so that neither `exit`, `cd` nor a variable outlives it;
    its standard input is empty. Safe to be used from several threads.

    In a container where PostgreSQL is process 1, a script must leave nothing in the background:
    the server adopts it, and takes its death by a signal for the crash of a backend. For that
    reason a script that takes too long is killed only where `ours` says that nobody minds.
    """

    def __init__(
        self, engine: Engine, container: str, user: str = "", *, ours: bool = False
    ) -> None:
        """Start it. Raises EngineError when the container does not run or has no `sh`."""
        self._engine = engine
        self._container = container
        self._user = user
        self._ours = ours
        self._lock = threading.Lock()
        self._frames = Frames()
        self._execution: Execution | None = None
        with engine_errors(f"no shell can be started in the container {short_name(container)}"):
            self._execution = execute(engine, container, ["sh"], user=user)
        self._pid = int(self.run("echo $$", _START_SECONDS).stdout)

    @property
    def closed(self) -> bool:
        """Whether it is gone: closed by us, after a timeout, or with its container."""
        return self._execution is None

    def run(self, script: str, timeout: float = 60) -> Ran:
        """Run a script to its end.

        Raises EngineError when the shell is gone, or the script has not ended after `timeout`
        seconds. Then the shell is given up, and the script too if the container is ours.
        """
        with self._lock:
            execution = self._execution
            if execution is None:
                raise self._gone("it was closed")
            token = secrets.token_hex(16).encode()
            try:
                execution.stream.write(_framed(script, token))
                return self._answer(execution, token, time.monotonic() + timeout)
            except TimeoutError:
                self.close()
                if self._ours:
                    self._kill()
                raise EngineError(
                    f"a script in the container {short_name(self._container)} did not end",
                    f"it was {'stopped' if self._ours else 'left alone'} after {timeout:g} seconds",
                ) from None
            except OSError as error:
                self.close()
                raise self._gone(str(error)) from error

    def close(self) -> None:
        """End it at once, also while another thread waits in `run`."""
        execution, self._execution = self._execution, None
        if execution is not None:
            execution.stream.close()

    def _answer(self, execution: Execution, token: bytes, deadline: float) -> Ran:
        """Read until both streams have said the token; the exit code stands behind it."""
        stdout, stderr = _Output(token), _Output(token)
        while not (stdout.complete and stderr.complete):
            data = execution.stream.read(max(deadline - time.monotonic(), 0.001))
            if not data:
                was_closed = self._execution is None
                self.close()
                words = visible((stderr.text() + stdout.text())[:2000].strip())
                raise self._gone("it was closed" if was_closed else words or "it ended")
            for stream, piece in self._frames.feed(data):
                (stderr if stream == STDERR else stdout).feed(piece)
        return Ran(stdout.code, bytes(stdout.data), stderr.text())

    def _kill(self) -> None:
        """Kill the shell and what it started: an exec leads a process group of its own."""
        with suppress(Exception):  # the container may be gone, which is as good
            kill_group(self._engine, self._container, self._pid, user=self._user)

    def _gone(self, why: str) -> ShellGone:
        return ShellGone(
            f"the shell in the container {short_name(self._container)} is gone",
            why,
            "see whether the container and the engine still run",
        )


def kill_group(
    engine: Engine, container: str, pid: int, *, user: str = "", name: str = "KILL"
) -> None:
    """Send a signal to an exec's process, by its number in the container, and its children.

    Raises what the SDK raises, see engine_errors. A process that has ended is no error.
    """
    argv = ["sh", "-c", f"kill -s {name} -- -{pid}"]
    killing = execute(engine, container, argv, user=user, stdin=False)
    try:
        while killing.stream.read(_START_SECONDS):
            pass
    finally:
        killing.stream.close()


@dataclass(slots=True)
class _Output:
    """One of a script's outputs: what came before the mark, and the line behind it."""

    mark: bytes
    data: bytearray = field(default_factory=bytearray)
    behind: bytes | None = None

    @property
    def complete(self) -> bool:
        return self.behind is not None and b"\n" in self.behind

    @property
    def code(self) -> int:
        return int((self.behind or b"").partition(b"\n")[0])

    def feed(self, piece: bytes) -> None:
        if self.behind is not None:
            self.behind += piece
            return
        searched = max(0, len(self.data) - len(self.mark))
        self.data += piece
        found = self.data.find(self.mark, searched)
        if found >= 0:
            self.behind = bytes(self.data[found + len(self.mark) :])
            del self.data[found:]

    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


def _framed(script: str, mark: bytes) -> bytes:
    """The script as one command that says the mark on both outputs when it has ended."""
    end = f"printf '{mark.decode()}%d\\n'"
    return f'( eval {shell_word(script)} ) </dev/null; {end} "$?"; {end} 0 >&2\n'.encode()
