"""The PostgreSQL servers that run on this machine, and how one of them is restarted."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.process import running_pid, start_detached
from pitr_tui.servers.secondary import OWN_DIRECTORY
from pitr_tui.servers.sql import Database

_SERVICE = re.compile(r"([\w@.\\-]+\.service)\s*$")


@dataclass(frozen=True, slots=True)
class StartCommand:
    """How a running server was started: all that is needed to start it in the same way."""

    argv: tuple[bytes, ...]
    environment: dict[bytes, bytes]
    program: Path
    log: Path
    user: OsUser


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A postmaster as its data directory describes it."""

    data_directory: Path
    pid: int
    port: int
    socket_directory: str
    listen_address: str

    @classmethod
    def of(cls, data_directory: Path) -> RunningServer:
        """Read postmaster.pid (src/include/utils/pidfile.h). Raises PitrError if none runs."""
        pid = running_pid(data_directory)
        try:
            lines = (data_directory / "postmaster.pid").read_text().splitlines()
            if pid is None:
                raise ProcessLookupError("its postmaster.pid names no running process")
            port = int(lines[3])
            return cls(data_directory, pid, port, *(line.strip() for line in lines[4:6]))
        except (OSError, ValueError, IndexError, TypeError) as error:
            raise PitrError(
                f"no running server was found in {data_directory}", str(error)
            ) from error

    @property
    def database(self) -> Database:
        """How to connect: its socket first, its address when it has no socket."""
        host = self.socket_directory or self.listen_address.replace("*", "127.0.0.1")
        return Database({"host": host, "port": str(self.port), "user": "postgres"})

    def stop(self, timeout: float = 60) -> None:
        """Shut down fast. Raises PitrError when that takes longer than `timeout` seconds."""
        os.kill(self.pid, signal.SIGINT)
        deadline = time.monotonic() + timeout
        while running_pid(self.data_directory) == self.pid:
            if time.monotonic() > deadline:
                raise PitrError(
                    "the server did not shut down", f"{timeout:.0f} s after it was asked to"
                )
            time.sleep(0.05)

    def start_command(self) -> StartCommand:
        """How it was started. Raises RefusedError where it is not ours to restart."""
        process = Path("/proc") / str(self.pid)
        try:
            argv = [part for part in (process / "cmdline").read_bytes().split(b"\0") if part]
            environment = dict(
                pair.split(b"=", 1)
                for pair in (process / "environ").read_bytes().split(b"\0")
                if b"=" in pair
            )
            command = StartCommand(
                tuple(argv),
                environment,
                (process / "exe").resolve(),
                (process / "fd" / "2").resolve(),
                OsUser("its owner", process.stat().st_uid, self.data_directory.stat().st_gid),
            )
            unit = _SERVICE.search((process / "cgroup").read_text().strip())
        except OSError as error:
            raise RefusedError(
                f"the server in {self.data_directory} cannot be restarted from here",
                str(error),
                "restart it the way it was started, then go on",
            ) from error
        if unit and not unit[1].startswith(("user@", "session")):
            raise RefusedError(
                "the server is kept by a service manager, which has to restart it",
                f"it belongs to the unit {unit[1]}",
                f"systemctl restart {unit[1]}",
            )
        return command

    def restart(self, command: StartCommand, timeout: float = 300) -> None:
        """Shut down fast and start again with the very same command, user and log.

        Raises PitrError when it does not stop within `timeout` seconds.
        """
        self.stop(timeout)
        with open(command.log if command.log.is_file() else os.devnull, "ab") as output:
            start_detached(
                command.argv,
                log=output,
                directory=self.data_directory,
                user=command.user,
                environment=command.environment,
                executable=command.program,
            )


def find_running() -> tuple[RunningServer, ...]:
    """Every postmaster that we may look at, through Linux's /proc; elsewhere none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            data_directory = (entry / "cwd").resolve(strict=True)
            if running_pid(data_directory) == int(entry.name):
                found.append(RunningServer.of(data_directory))
        except (OSError, PitrError):
            continue
    return tuple(sorted(found, key=lambda server: server.port))


def is_recovered(data_directory: Path) -> bool:
    """Whether a run of pitr has made this data directory, as far as we may look into it."""
    return os.access(data_directory / OWN_DIRECTORY / "restore-command", os.F_OK)
