"""Start a server so that it outlives us, and see whether one lives."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from pitr_tui.servers.osuser import OsUser

_PROGRAMS = ("postgres", "postmaster")
_started: list[subprocess.Popen[bytes]] = []


def start_detached(
    argv: Sequence[str | bytes],
    *,
    log: BinaryIO,
    directory: Path,
    user: OsUser,
    environment: Mapping[str, str] | Mapping[bytes, bytes],
    executable: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own: an interrupt typed at us does not reach it.

    Raises OSError as the system gives it.
    """
    process = subprocess.Popen(
        argv,
        executable=executable,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=directory,
        env=environment,
        start_new_session=True,
        **user.process_options(),
    )
    _started.append(process)  # its end must be noticed by somebody, or it stays a zombie
    return process


def running_pid(data_directory: Path) -> int | None:
    """The process id of the postmaster that works in a data directory, or None."""
    for process in _started:
        process.poll()
    try:
        pid = abs(int((data_directory / "postmaster.pid").read_text().split("\n", 1)[0]))
        os.kill(pid, 0)
    except PermissionError:
        pass  # it lives, and is somebody else's
    except (OSError, ValueError):
        return None
    return pid if _works_in(pid, data_directory) else None


def survivors(data_directory: Path) -> list[int]:
    """The server processes that still work in a data directory, be its postmaster dead.

    Whoever was killed cannot end its children: they notice it by themselves, in a moment.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            server = (process / "comm").read_text().startswith(_PROGRAMS)
            if server and os.readlink(process / "cwd") == str(data_directory.resolve()):
                found.append(int(process.name))
        except OSError:  # it has ended, or is not ours to look at
            continue
    return found


def _works_in(pid: int, data_directory: Path) -> bool:
    """Whether a process is this directory's postmaster: its number may be another's by now."""
    process = Path("/proc") / str(pid)
    try:
        return (process / "cwd").resolve() == data_directory.resolve()
    except OSError:  # not ours to look at, but everybody may see what it is called
        pass
    try:
        return (process / "comm").read_text().startswith(_PROGRAMS)
    except OSError:  # no /proc here
        return True


def clean_environment() -> dict[str, str]:
    """The environment of a server or tool of ours: no PG* variables, messages in English."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
