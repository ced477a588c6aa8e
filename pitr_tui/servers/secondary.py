"""What a recovery asks of the place where it happens, whatever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Protocol

from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import conninfo_value, visible, without_secrets
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.sql import Database
from pitr_tui.storage.path import ReadPath, WritePath

OWN_DIRECTORY = PurePosixPath("pitr")
RUN_MARK = OWN_DIRECTORY / "run"  # it names the run that made the data directory


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


def psql_database(name: str) -> str:
    """A database as psql's option -d takes it, which may also be a connection string.

    >>> psql_database("shop"), psql_database("a=b's")
    ('shop', "dbname='a=b\\\\'s'")
    """
    plain = "=" not in name and not name.startswith(("postgresql://", "postgres://"))
    return name if plain else f"dbname={conninfo_value(name)}"


def configuration_refused(said: bytes) -> PitrError:
    """The error for a server that does not read its configuration to the end."""
    return PitrError(
        "the secondary's server does not accept its configuration",
        visible(without_secrets(said.decode("utf-8", "replace").strip())),
        "take what it names out of the backup's configuration files, in a copy of the backup",
    )


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

    @property
    def ended(self) -> bool:
        """Whether its server has stopped and everything was given, as far as can be seen."""

    def lines(self) -> list[str]: ...
    def close(self) -> None: ...


class Filler(Protocol):
    """Takes the files of a base backup into an empty data directory, in one pass."""

    def free_bytes(self) -> int:
        """The room there now, of which what was not yet written may be a part."""

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
    def name(self) -> str:
        """What people call it in short."""

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

    def configured(self, names: Sequence[str]) -> dict[str, str]:
        """What its server would run with, of all files together (`postgres -C`).

        It has to be there, and must not run. Raises PitrError with the server's own words.
        """

    def access(self) -> str:
        """The text of its pg_hba.conf."""

    def make(self, run: str) -> None:
        """Make the place, and write first into it whose it is. Raises PitrError."""

    def take_over(self, run: str, was_there: bool) -> bool:
        """Go on with the place that an earlier process made for this run; False if none is there.

        `was_there` tells that it was an empty place before. Raises RefusedError when anything
        else is there, PitrError.
        """

    def unmake(self) -> None:
        """Stop the server, and leave the place as it was before `make`. Raises PitrError."""

    def settle(self) -> None:
        """Let go of what only the run needed; the server goes on."""

    def filler(self) -> Filler: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def is_running(self) -> bool: ...
    def was_started(self) -> bool:
        """Whether there is a log of a server, running or not."""

    def follow_log(self) -> LogSource: ...
    def log_tail(self) -> list[str]: ...

    def throw_away(self) -> None:
        """Remove the server and its data. Raises RefusedError for what no run has made."""

    def place_commands(self) -> list[str]:
        """Shell commands that make the place."""

    def copy_commands(
        self, backup: ReadPath, in_tars: bool, corrections: Sequence[str]
    ) -> list[str]:
        """Shell commands that put a backup into it; `corrections` come behind `cp` or `tar`."""

    def writing_commands(self, commands: Sequence[str]) -> list[str]:
        """Shell commands that run others where its files are, as its user."""

    def start_command(self) -> tuple[str, ...]: ...

    def psql_command(self, dbname: str = "postgres") -> str:
        """How a person connects to it."""

    def reach_options(self) -> tuple[str, ...]:
        """How commands of ours are told to connect to it."""

    def stop_command(self) -> str:
        """How a person stops it."""
