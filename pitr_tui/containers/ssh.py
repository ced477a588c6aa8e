"""An engine behind ssh, as a socket of this machine.

`ssh://` is how most contexts name an engine elsewhere. The SDK needs a library of its own for
it, which gives no real sockets for streams; Docker's command runs `ssh HOST docker system
dial-stdio`. So do we: whoever connects to our socket is handed to an ssh of its own, which
reads and writes that very connection. The first one stays open for the others to ride on.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pitr_tui.errors import UsageError
from pitr_tui.postgres.quote import shell_word, visible

# No question can be answered here: keys, or an agent, must do. A dead host is noticed in 45 s.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    "ControlMaster": "auto",
    "ControlPersist": "60",
}
_END_SECONDS = 5
_HOST = re.compile(
    r"((?P<user>[^@:]+)@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^-@:\[\]][^@:\[\]]*)(:(?P<port>\d+))?"
)


class SshForward:
    """A Unix socket in a private directory; each connection to it becomes an ssh."""

    def __init__(self, url: str) -> None:
        """Listen. Nothing is asked of the other side yet. Raises UsageError for a senseless URL."""
        self._host, self._remote = _destination(url)
        self._directory = Path(tempfile.mkdtemp(prefix="pitr-ssh-"))
        self._control = self._directory / "control"
        self._said = (self._directory / "said").open("wb")
        self._running: list[subprocess.Popen[bytes]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._directory / "engine.sock"))
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._accept, name="pitr-ssh", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"unix://{self._directory}/engine.sock"

    def words(self) -> str:
        """What ssh and the other side's Docker complained about, fit to be shown."""
        with suppress(OSError):
            text = (self._directory / "said").read_text("utf-8", "replace")
            lines = [visible(line.strip()) for line in text.splitlines() if line.strip()]
            return "; ".join(dict.fromkeys(lines[-3:]))
        return ""

    def close(self) -> None:
        """End every connection, and remove the socket."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(_END_SECONDS)
        for process in self._running:
            process.terminate()
        for process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
        if self._control.exists():
            self._ssh("-O", "exit", end=("--", self._host[-1])).wait(_END_SECONDS)
        self._said.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._running = [one for one in self._running if one.poll() is None]
                with suppress(OSError):  # no ssh here: the connection just ends
                    self._running.append(self._ssh(end=(*self._host, self._remote), on=connection))

    def _ssh(
        self, *options: str, end: tuple[str, ...], on: socket.socket | None = None
    ) -> subprocess.Popen[bytes]:
        """An ssh in a session of its own: an interrupt typed at us is not meant for it."""
        fixed = [f"-o{name}={value}" for name, value in _OPTIONS.items()]
        channel = subprocess.DEVNULL if on is None else on.fileno()
        try:
            return subprocess.Popen(
                [shutil.which("ssh") or "ssh", "-T", *fixed, f"-oControlPath={self._control}"]
                + [*options, *end],
                stdin=channel,
                stdout=channel,
                stderr=self._said,
                start_new_session=True,
            )
        except OSError as error:
            self._said.write(f"ssh cannot be run: {error.strerror}\n".encode())
            self._said.flush()
            raise


def _destination(url: str) -> tuple[tuple[str, ...], str]:
    """ssh's arguments for the host of a URL, and the command to run there.

    >>> _destination("ssh://me@Db.example:2222")
    (('-lme', '-p2222', '--', 'Db.example'), 'docker system dial-stdio')
    """
    parts = urlsplit(url)
    # Not parts.hostname, which is in small letters: an alias of ssh's configuration may not be.
    match = _HOST.fullmatch(parts.netloc)
    if match is None:
        raise UsageError(f"{visible(url)} names no host", hint="ssh://USER@HOST:PORT is the form")
    options = [f"-l{unquote(match['user'])}"] if match["user"] else []
    options += [f"-p{match['port']}"] if match["port"] else []
    where = f"--host {shell_word('unix://' + unquote(parts.path))} " if parts.path[1:] else ""
    return (*options, "--", match["host"].strip("[]")), f"docker {where}system dial-stdio"
