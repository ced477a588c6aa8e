"""The archive's directory as a container's server sees it: is it free, and can it write there."""

from __future__ import annotations

from pathlib import PurePosixPath

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import shell_word
from pitr_tui.postgres.walname import is_archive_file
from pitr_tui.servers.container_server import ContainerServer

_SHOWN = 3
_USABLE = 'test -d "$1" && test -w "$1" && test -x "$1"'


def directory_commands(
    server: ContainerServer, directory: PurePosixPath
) -> tuple[tuple[str, ...], ...]:
    """What root has to do inside so that the server's user can write there; mostly nothing.

    Raises RefusedError for a directory that something else lies in: its owner stays.
    """
    path = str(directory)
    usable = server.run(["sh", "-c", _USABLE, "sh", path], user=server.owner).code == 0
    # Words that every userland has: BusyBox may come without `install`.
    make = ("mkdir", "-p", path)
    own = (("chown", server.owner, path), ("chmod", "0700", path))
    if not usable and server.run(["test", "-e", path]).code != 0:
        return (make, *own)
    if server.run(["test", "-d", path]).code != 0:
        raise RefusedError(f"{path} of the container {server.name} is no directory")
    names = set(_entries(server, path))
    strange = sorted(name for name in names if not _is_of_archive(name))
    if names and (not usable or len(strange) == len(names)):
        others = [str(one.target) for one in server.container.mounts]
        raise RefusedError(
            f"{path} of the container {server.name} is not empty, and no archive of its user",
            f"{', '.join(strange[:_SHOWN]) or 'WAL'} is in it; mounted are {', '.join(others)}",
            f"choose a new directory, for example --to {shell_word(str(directory / 'wal'))}",
        )
    return () if usable else own


def _entries(server: ContainerServer, path: str) -> list[str]:
    """The names in a directory, without what a file system has of its own. Raises PitrError."""
    ran = server.run(["ls", "-A", path])
    if ran.code != 0:
        raise PitrError(f"{path} of the container {server.name} cannot be read", ran.stderr.strip())
    names = ran.stdout.decode("utf-8", "replace").splitlines()
    return [name for name in names if name != "lost+found"]


def _is_of_archive(name: str) -> bool:
    """Whether PostgreSQL or an archiver's draft would have this name, compressed or not."""
    stem = name.lstrip(".")
    parts = stem.split(".")
    return any(is_archive_file(".".join(parts[:count])) for count in range(1, len(parts) + 1))
