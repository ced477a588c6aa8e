"""A secondary on this machine: a data directory of its own and the programs found here."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.postgres.quote import shell_command, shell_word
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, require_free_port, socket_place, socket_settings
from pitr_tui.servers.logfile import LogFile
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.process import clean_environment
from pitr_tui.servers.secondary import (
    OWN_DIRECTORY,
    RUN_MARK,
    Occupancy,
    configuration_refused,
    library_file,
    psql_database,
)
from pitr_tui.servers.sql import Database, connection_text
from pitr_tui.storage.path import ReadPath

_DEFAULT_PORT = 5432
_ANSWER_SECONDS = 60
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ELSEWHERE = "choose a directory of its own"


@dataclass
class LocalSecondary:
    """`directory` becomes the data directory. `port` None opens no TCP port: the server then
    listens on a socket that only its user can reach.
    """

    directory: Path
    installation: Installation
    user: OsUser
    port: int | None = None
    role: str = "postgres"
    _made: list[Path] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.directory.is_absolute():
            raise UsageError(f"the destination {self.directory} has to be an absolute path")
        self._was_there = self.directory.exists()

    @property
    def version(self) -> PostgresVersion:
        return self.installation.version

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def destination(self) -> str:
        return str(self.directory)

    @property
    def data_directory(self) -> Path:
        return self.directory

    @property
    def socket_directory(self) -> Path:
        return socket_place(self.directory / OWN_DIRECTORY / "socket")

    @cached_property
    def server(self) -> LocalServer:
        return LocalServer(
            installation=self.installation,
            data_directory=self.directory,
            user=self.user,
            socket_directory=self.socket_directory,
            port=self.port or _DEFAULT_PORT,
            log_path=self.directory / OWN_DIRECTORY / "postgresql.log",
            role=self.role,
        )

    @property
    def database(self) -> Database:
        return self.server.database

    def state_of_place(self) -> str:
        require_empty(self.directory)
        parent = _existing(self.directory)
        if self.directory.parent != parent and self.directory != parent:
            raise RefusedError(
                f"{self.directory.parent} does not exist", "", "create it, or choose another place"
            )
        self.user.require_reach(self.directory / "PG_VERSION", "the destination")
        self._was_there = self.directory.exists()
        return "empty" if self._was_there else "new"

    def require_apart(self, backup: ReadPath, archive: ReadPath) -> None:
        place = self.directory.resolve()
        for directory, what in ((backup, "the backup"), (archive, "the WAL archive")):
            if isinstance(directory, Path) and place.is_relative_to(directory.resolve()):
                raise RefusedError(
                    f"the destination lies inside of {what}",
                    f"{place} is in {directory}",
                    _ELSEWHERE,
                )
        for parent in place.parents:
            if (parent / "PG_VERSION").exists():
                raise RefusedError(
                    "the destination lies inside of a server's data directory",
                    f"{parent} is one",
                    _ELSEWHERE,
                )

    def free_bytes(self) -> int:
        return shutil.disk_usage(_existing(self.directory)).free

    def programs(self) -> str:
        self.user.require_reach(self.installation.bindir / "postgres", "PostgreSQL's programs")
        return str(self.installation)

    def missing_locales(self, names: Sequence[str]) -> tuple[str, ...]:
        try:
            said = subprocess.run(["locale", "-a"], capture_output=True, text=True, timeout=30)  # noqa: S607 - the system's own
        except (OSError, subprocess.TimeoutExpired):
            return ()  # whoever has no such program may have the locale
        known = {_same(line) for line in said.stdout.splitlines()} | {"c", "posix", "c.utf8"}
        return tuple(name for name in names if _same(name) not in known)

    def missing_libraries(self, names: Sequence[str]) -> tuple[str, ...] | None:
        place = self.installation.library_directory
        if place is None:
            return None
        return tuple(name for name in names if not (place / library_file(name)).is_file())

    def occupancy(self, path: str) -> Occupancy:
        place = Path(path)
        try:
            if not place.exists():
                return Occupancy.ABSENT
            empty = place.is_dir() and not any(place.iterdir())
        except OSError:
            return Occupancy.OCCUPIED  # by somebody who keeps us out
        return Occupancy.EMPTY if empty else Occupancy.OCCUPIED

    def run_as_server(self, command: Sequence[str], directory: Path) -> int | None:
        ran = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
            **self.user.process_options(),
        )
        return ran.returncode

    def warnings(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def exposure(self) -> str:
        if self.port is None:
            return "no TCP port, own socket"
        require_free_port(self.port)
        return f"port {self.port} on 127.0.0.1 alone"

    def settings(self) -> dict[str, str]:
        settings = socket_settings(self.socket_directory, self.port or _DEFAULT_PORT)
        return settings | ({"listen_addresses": "127.0.0.1"} if self.port else {})

    def configured(self, names: Sequence[str]) -> dict[str, str]:
        return {name: self._configured(name) for name in names}

    def _configured(self, name: str) -> str:
        argv = [*self.server.start_command(), "-C", name]
        try:
            said = subprocess.run(
                argv,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=clean_environment(),
                timeout=_ANSWER_SECONDS,
                **self.user.process_options(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PitrError(f"{self.installation} cannot be started", str(error)) from error
        if said.returncode != 0:
            raise configuration_refused(said.stderr)
        return os.fsdecode(said.stdout.removesuffix(b"\n"))

    def access(self) -> str:
        lines = ["local all all trust\n"]
        if self.port is not None:
            lines.append(f"host all all 127.0.0.1/32 {self.version.password_method}\n")
        return "".join(lines)

    def make(self, run: str) -> None:
        self._made.clear()
        try:
            if self._was_there:
                self.directory.chmod(0o700)
                self.user.own(self.directory)
            else:
                self._make(self.directory)
            self._make(self.directory / OWN_DIRECTORY)
            self.user.write_file(self.directory / RUN_MARK, f"{run}\n")
            self._make(self.socket_directory)
        except FileExistsError as error:
            raise RefusedError(
                f"somebody else has begun to use {self.directory}",
                f"{error.filename} was not there a moment ago",
                "nothing of it was changed; look at `pitr runs`, or choose a new directory",
            ) from error
        except OSError as error:
            raise PitrError(
                "the destination cannot be prepared",
                f"{error.filename or self.directory}: {error.strerror}",
                "choose a place that you may write to",
            ) from error

    def take_over(self, run: str, was_there: bool) -> bool:
        own, mark = self.directory / OWN_DIRECTORY, self.directory / RUN_MARK
        try:
            found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else ""
            others = list(self.directory.iterdir()) if self.directory.is_dir() else []
        except OSError as error:
            raise PitrError(
                f"{self.directory} cannot be read", str(error.strerror), "go on as its owner"
            ) from error
        if found != run:
            if not others:
                return False
            whose = f"it belongs to the run {found}" if found else f"{others[0].name} is there"
            raise RefusedError(
                f"{self.directory} is not what the run {run} left",
                whose,
                "look at what it is; nothing was changed",
            )
        self._was_there = was_there
        places = [self.socket_directory, own, *([] if was_there else [self.directory])]
        self._made = [place for place in places if place.is_dir()]
        return True

    def _make(self, directory: Path) -> None:
        """A directory that was not there; only what we made is removed after a failure."""
        self.user.make_directory(directory)
        self._made.append(directory)

    def unmake(self) -> None:
        if self._made:
            self.server.stop()
            remove(self.directory, keep_directory=self._was_there)
        for directory in self._made:
            if directory.is_dir():  # the socket's, where it lies elsewhere
                shutil.rmtree(directory)

    def settle(self) -> None:
        pass  # there is nothing beside the server

    def filler(self) -> DirectoryFiller:
        return DirectoryFiller(self.directory, self.user)

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def is_running(self) -> bool:
        return self.server.is_running()

    def was_started(self) -> bool:
        return self.server.log_path.exists()

    def follow_log(self) -> LogFile:
        return self.server.follow_log()

    def log_tail(self) -> list[str]:
        return self.server.log_tail()

    def throw_away(self) -> None:
        if not self.directory.exists():
            return
        script = self.directory / OWN_DIRECTORY / "restore-command"
        if self.directory.is_symlink() or not script.is_file():
            raise RefusedError(
                f"{self.directory} is left alone",
                f"it has no {script.relative_to(self.directory)}, so it is not a secondary that "
                "pitr made",
                "look at what it is, and remove it by hand",
            )
        self.server.stop()
        if self.server.is_running():
            raise PitrError(
                "the secondary did not stop",
                f"a server still runs in {self.directory}",
                "stop it by hand, then try again",
            )
        remove(self.directory, keep_directory=self.directory.is_mount())
        if self.socket_directory.exists():  # where the one inside had too long a path
            try:
                self.socket_directory.rmdir()
            except OSError as error:
                raise PitrError(
                    f"{self.socket_directory} could not be removed", str(error.strerror)
                ) from error

    def place_commands(self) -> list[str]:
        place = shell_word(str(self.directory))
        return [f"install -d -m 0700 -o {self.user.name} {place}"]

    def copy_commands(
        self, backup: ReadPath, in_tars: bool, corrections: Sequence[str]
    ) -> list[str]:
        place = shell_word(str(self.directory))
        source = shell_word(str(backup))
        own = shell_word(str(self.directory / OWN_DIRECTORY))
        socket = shell_word(str(self.socket_directory))
        make = [f"install -d -m 0700 {own} {socket}"]
        if not self.user.is_us:
            make.append(f"chown -R {self.user.uid}:{self.user.gid} {place} {socket}")
        if not isinstance(backup, Path):
            return [f"#    {backup}  ->  {self.directory}, through the engine", *make]
        # tar reads a backslash in the argument of its -C as the beginning of an escape.
        unpack = f"(cd {place} && tar -xf {source}/base.tar*)"
        copy = unpack if in_tars else f"cp -R {source}/. {place}"
        return [copy, *corrections, *make]

    def writing_commands(self, commands: Sequence[str]) -> list[str]:
        if self.user.is_us:
            return list(commands)
        return [f"su -s /bin/sh {shell_word(self.user.name)} <<'DONE'", *commands, "DONE"]

    def start_command(self) -> tuple[str, ...]:
        return self.server.start_command()

    def psql_command(self, dbname: str = "postgres") -> str:
        own = self.installation.bindir / "psql"
        on_path = shutil.which("psql") is not None  # any version of it can talk to the secondary
        return shell_command(
            [
                "psql" if on_path or not own.is_file() else str(own),
                *("-h", str(self.socket_directory)),
                *("-p", str(self.server.port)),
                *("-U", self.role),
                *("-d", psql_database(dbname)),
            ]
        )

    def reach_options(self) -> tuple[str, ...]:
        return ("--dsn", connection_text(self.database.parameters))

    def stop_command(self) -> str:
        return f"kill -INT $(head -1 {shell_word(str(self.server.pid_file))})"


@dataclass(frozen=True, slots=True)
class DirectoryFiller:
    """Writes the files of a backup into a directory of this machine."""

    place: Path
    user: OsUser

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.place).free

    def directory(self, path: PurePosixPath) -> None:
        directory = self.place / path
        if not directory.is_dir():
            self.directory(path.parent)
            self.user.make_directory(directory)

    def link(self, path: PurePosixPath, target: PurePosixPath) -> None:
        self.directory(path.parent)
        (self.place / path).symlink_to(target)

    @contextmanager
    def file(self, path: PurePosixPath, size: int) -> Iterator[Callable[[bytes], object]]:
        self.directory(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with os.fdopen(os.open(self.place / path, flags, 0o600), "wb") as target:
                self.user.own(target.fileno())
                yield target.write
        except OSError as error:
            if error.errno in _NO_ROOM and error.filename is None:
                error.filename = str(self.place / path)  # it is this disk, not the backup's
            raise

    def finish(self) -> None:
        pass  # every file was written when it was closed

    def close(self) -> None:
        pass


def require_empty(destination: Path) -> None:
    """Raises RefusedError when something is there already: nothing is ever overwritten."""
    try:
        occupied = destination.is_symlink() or (
            destination.exists() and (not destination.is_dir() or any(destination.iterdir()))
        )
    except OSError as error:
        raise RefusedError(f"{destination} cannot be looked at", str(error.strerror)) from error
    if occupied:
        raise RefusedError(
            f"the destination {destination} is not empty",
            "a recovery never overwrites anything",
            "choose a new directory",
        )


def remove(destination: Path, keep_directory: bool) -> None:
    """Take away what a failed run has made. Raises PitrError when something resists."""
    try:
        if not destination.exists():
            return
        # The run's mark goes last: what is left by somebody who was cut off is still ours.
        for path in sorted(destination.iterdir(), key=lambda one: one.name == OWN_DIRECTORY.name):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if not keep_directory:
            destination.rmdir()
    except OSError as error:
        raise PitrError(
            f"what the run left in {destination} could not be removed", str(error)
        ) from error


def _same(locale: str) -> str:
    """A locale's name as all spellings of it have it: en_US.UTF-8 is en_US.utf8."""
    return locale.strip().lower().replace("-", "")


def _existing(path: Path) -> Path:
    """The path itself or its nearest ancestor that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
