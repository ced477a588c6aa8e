"""What a recovery asks of the place where it happens, whatever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Protocol

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.sql import Database
from pitr_tui.storage.path import ReadPath, WritePath

OWN_DIRECTORY = PurePosixPath("pitr")


class Occupancy(StrEnum):
    """What lies at a path."""

    ABSENT = "absent"
    EMPTY = "empty"
    OCCUPIED = "occupied"


def library_file(name: str) -> str:
    """The file of a library as its server looks for it, below its library directory.

    >>> library_file("auto_explain"), library_file("$libdir/plugins/x.so"), library_file("/a/b")
    ('auto_explain.so', 'plugins/x.so', '/a/b.so')
    """
    name = name.removeprefix("$libdir/")
    return name if name.endswith(".so") else f"{name}.so"


class Owner(Protocol):
    """Who owns the files of a secondary. Everything raises OSError as `pathlib` does."""

    @property
    def name(self) -> str: ...
    def make_directory(self, path: Any, mode: int = 0o700, /) -> None: ...
    def write_file(self, path: Any, text: str, mode: int = 0o600, /) -> None:
        """Write a file whole or not at all."""

    def own(self, path: Any, /) -> None:
        """Give a file that was written by somebody else to this user."""


class LogSource(Protocol):
    """A log that is read without waiting, and can be closed from anywhere."""

    def lines(self) -> list[str]: ...
    def close(self) -> None: ...


class Filler(Protocol):
    """Takes the files of a base backup into an empty data directory, in one pass."""

    def directory(self, path: PurePosixPath) -> None: ...
    def link(self, path: PurePosixPath, target: PurePosixPath) -> None: ...
    def file(
        self, path: PurePosixPath, size: int
    ) -> AbstractContextManager[Callable[[bytes], object]]:
        """A new file, as what writes its bytes; all `size` of them have to come."""

    def finish(self) -> None:
        """Wait until everything is there. Raises OSError or PitrError."""

    def close(self) -> None:
        """Give up what is not finished."""


class Secondary(Protocol):
    """A place for a data directory, and a server that can run in it.

    It goes the way of one run: the checks, `make`, fill, `start`, and then either `settle`
    or, after a failure, `unmake`.
    """

    @property
    def version(self) -> PostgresVersion:
        """Of the programs that run it."""

    @property
    def destination(self) -> str:
        """What people call the place."""

    @property
    def data_directory(self) -> PurePath:
        """The data directory as its own server sees it."""

    @property
    def directory(self) -> WritePath:
        """The data directory as we reach it."""

    @property
    def user(self) -> Owner: ...
    @property
    def database(self) -> Database: ...

    def state_of_place(self) -> str:
        """`new` or `empty`. Raises RefusedError for a place that cannot be used."""

    def require_apart(self, backup: ReadPath, archive: ReadPath) -> None:
        """Raises RefusedError for a place inside of what is only to be read."""

    def free_bytes(self) -> int:
        """The room there, before and after it is made."""

    def programs(self) -> str:
        """What will run. Raises RefusedError when it cannot."""

    def missing_locales(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of the locales its server would not find."""

    def missing_libraries(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """Which libraries its server would not find; None where that cannot be known."""

    def occupancy(self, path: str) -> Occupancy:
        """What its server would find at an absolute path."""

    def run_as_server(self, command: Sequence[str], directory: Path) -> int | None:
        """Run a command in a directory of this machine as the server's user: its exit code.

        None where the server does not run on this machine.
        """

    def warnings(self) -> Iterator[tuple[str, str]]:
        """What a person should know before: a name and a sentence each."""

    def exposure(self) -> str:
        """Who can reach its server. Raises RefusedError for a port that it cannot have."""

    def settings(self) -> dict[str, str]:
        """Where its server listens."""

    def access(self) -> str:
        """The text of its pg_hba.conf."""

    def make(self) -> None:
        """Make the place. Raises PitrError."""

    def unmake(self) -> None:
        """Stop the server, and leave the place as it was before `make`. Raises PitrError."""

    def settle(self) -> None:
        """Let go of what only the run needed; the server goes on."""

    def filler(self) -> Filler: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def is_running(self) -> bool: ...
    def follow_log(self) -> LogSource: ...
    def log_tail(self) -> list[str]: ...

    def throw_away(self) -> None:
        """Remove the server and its data. Raises RefusedError for what no run has made."""

    def place_commands(self) -> list[str]:
        """Shell commands that make the place."""

    def copy_commands(self, backup: ReadPath, in_tars: bool) -> list[str]:
        """Shell commands that put a backup into it."""

    def writing_commands(self, commands: Sequence[str]) -> list[str]:
        """Shell commands that run others where its files are, as its user."""

    def start_command(self) -> tuple[str, ...]: ...

    def psql_command(self, dbname: str = "postgres") -> str:
        """How a person connects to it."""

    def stop_command(self) -> str:
        """How a person stops it."""
