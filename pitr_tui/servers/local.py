"""A PostgreSQL server of ours on this machine: made, started, followed and stopped by us."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import visible
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.installation import Installation, tool_path
from pitr_tui.servers.logfile import LogFile
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.process import clean_environment, running_pid, start_detached, survivors
from pitr_tui.servers.sql import Database

_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux and 104 on macOS
_POLL = 0.02
_CHILDREN_SECONDS = 20  # what a killed server leaves behind ends within


@dataclass(slots=True)
class LocalServer:
    """A data directory, the programs that can run it, and where it listens.

    It listens on a Unix socket in a directory that only its user may enter, and on the
    loopback address when `listen_addresses` says so in its settings.
    """

    installation: Installation
    data_directory: Path
    user: OsUser
    socket_directory: Path
    port: int
    log_path: Path
    role: str = "postgres"
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def version(self) -> PostgresVersion:
        return self.installation.version

    @property
    def pid_file(self) -> Path:
        """Its first line is the number of the process to signal."""
        return self.data_directory / "postmaster.pid"

    @property
    def database(self) -> Database:
        return Database(
            {"host": str(self.socket_directory), "port": str(self.port), "user": self.role}
        )

    def initialize(self, *options: str) -> None:
        """`initdb`: a new cluster, UTF-8, locale C, access for those who reach the socket.

        `options` are further ones of initdb. Raises PitrError with initdb's own words.
        """
        self.run_tool(
            "initdb",
            ["-D", str(self.data_directory), "-U", self.role, "-A", "trust"]
            + ["--encoding=UTF8", "--locale=C", *options],
        )

    def start_command(self) -> tuple[str, ...]:
        """The argument list that starts the server.

        The data directory is given twice: a copied configuration may name another one.
        """
        data = str(self.data_directory)
        return (
            str(self.installation.bindir / "postgres"),
            "-D",
            data,
            "-c",
            f"data_directory={data}",
        )

    def start(self) -> None:
        """Start the server and return at once; its log tells the rest.

        It runs in a session of its own, so that an interrupt typed at us does not reach it.
        Raises PitrError when it cannot be started at all.
        """
        self.user.require_reach(self.installation.bindir / "postgres", "PostgreSQL's programs")
        self.user.require_reach(self.data_directory / "PG_VERSION", "the data directory")
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "wb") as log:
            self.user.own(log.fileno())
            try:
                self._process = start_detached(
                    self.start_command(),
                    log=log,
                    directory=self.data_directory,
                    user=self.user,
                    environment=clean_environment(),
                )
            except OSError as error:
                raise PitrError(f"{self.installation} cannot be started", str(error)) from error

    def is_running(self) -> bool:
        return self._pid() is not None

    def _pid(self) -> int | None:
        """The process to signal: the one that we started, or another that runs here since."""
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        return running_pid(self.data_directory)

    def wait_until_open(self, timeout: float = 60) -> None:
        """Wait until connections are taken. Raises PitrError with the end of the log."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.database.row("SELECT 1")
                return
            except PitrError as error:
                if not self.is_running() or time.monotonic() > deadline:
                    raise PitrError(
                        "the server did not start", "\n".join(self.log_tail()) or error.why
                    ) from error
            time.sleep(_POLL)

    def wait_until_writable(self, timeout: float = 60) -> None:
        """Wait until the server has left recovery. Raises PitrError with the end of the log."""
        deadline = time.monotonic() + timeout
        while self.database.row("SELECT pg_is_in_recovery()")[0]:
            if time.monotonic() > deadline:
                raise PitrError("the server is still in recovery", "\n".join(self.log_tail()))
            time.sleep(_POLL)

    def stop(self, timeout: float = 120) -> None:
        """Shut down fast, or at once when that takes longer than `timeout` seconds."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            pid = self._pid()
            if pid is None:
                break
            os.kill(pid, number)
            deadline = time.monotonic() + timeout
            while self.is_running() and time.monotonic() < deadline:
                time.sleep(_POLL)
        self._process = None
        self._wait_for_children()

    def kill(self) -> None:
        """End it as a crash of the machine would: its files stay as they are at this moment."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _CHILDREN_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(_POLL)
        self._process = None
        self._wait_for_children()

    def _wait_for_children(self) -> None:
        deadline = time.monotonic() + _CHILDREN_SECONDS
        while survivors(self.data_directory) and time.monotonic() < deadline:
            time.sleep(_POLL)

    def run_tool(self, tool: str, arguments: Sequence[str]) -> str:
        """Run a program of this server's version to its end and give its output.

        Raises PitrError with the program's own words when it fails.
        """
        own = self.installation.bindir / tool
        program = own if own.is_file() else tool_path(tool, self.version)
        argv = [str(program), *arguments]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            cwd="/",
            env=clean_environment(),
            **self.user.process_options(),
        )
        if done.returncode != 0:
            raise PitrError(f"{tool} failed", visible(done.stderr or done.stdout).strip())
        return str(done.stdout)

    def follow_log(self) -> LogFile:
        return LogFile(self.log_path)

    def log_tail(self, lines: int = 12) -> list[str]:
        """The last lines of the log, fit to be shown."""
        try:
            with self.log_path.open("rb") as file:
                file.seek(max(0, self.log_path.stat().st_size - (1 << 16)))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [visible(line) for line in text.splitlines()[-lines:]]


def socket_place(preferred: Path) -> Path:
    """Where a server puts its socket: `preferred`, or a short path where that is too long.

    The short one is always the same for the same place. Whoever makes it has to make it
    new, with mode 0700: in /tmp a directory that is there already may be anybody's.
    """
    name = os.fsencode(preferred / ".s.PGSQL.65535")
    try:
        plain = b"," not in name and bool(name.decode())  # libpq takes a comma for a list
    except UnicodeDecodeError:
        plain = False
    if plain and len(name) <= _SOCKET_PATH_LIMIT:
        return preferred
    mark = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    return Path("/tmp") / f"pitr-{mark}"  # noqa: S108 - see above


def socket_settings(socket_directory: Path, port: int) -> dict[str, str]:
    """A server that listens on its socket alone, which only its own user can reach."""
    quoted = str(socket_directory).replace('"', '""')
    return {
        "listen_addresses": "",
        "port": str(port),
        "unix_socket_directories": f'"{quoted}"',
        "unix_socket_permissions": "0700",
    }


def require_free_port(port: int) -> None:
    """Raises RefusedError for a port of the loopback address that a server cannot have."""
    if not 1024 <= port < 1 << 16:
        raise RefusedError(
            f"port {port} cannot be used",
            "a server that is not root gets the ports from 1024 to 65535",
            "choose another one, or leave it out: then only a socket is opened",
        )
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RefusedError(
                f"port {port} cannot be used",
                str(error.strerror),
                "choose another one with --port, or leave it out: then only a socket is opened",
            ) from error
