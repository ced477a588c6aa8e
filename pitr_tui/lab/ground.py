"""The ground that the tutorial and the lab stand on: a primary of our own with its archive."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.postgres.conf import settings_block
from pitr_tui.recovery import archiving
from pitr_tui.recovery.backup import BackupOrder, take_backup
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, open_backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_place, socket_settings
from pitr_tui.servers.local_secondary import require_empty
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.running import find_running

_PORT = 5432
_POLL = 0.05
_HISTORY_SECONDS = 10


@dataclass(slots=True)
class Ground:
    """A primary below one directory, with the archive and the backups beside it."""

    directory: Path
    installation: Installation
    user: OsUser
    server: LocalServer = field(init=False)
    _sockets: list[Path] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.server = self.server_at(self.directory / "primary", self.directory / "socket")

    @property
    def archive_directory(self) -> Path:
        return self.directory / "archive"

    @property
    def backup_directory(self) -> Path:
        return self.directory / "backups"

    @property
    def archive(self) -> WalArchive:
        return WalArchive(self.archive_directory)

    @property
    def primary(self) -> Primary:
        return Primary(self.server.database)

    def server_at(self, data_directory: Path, sockets: Path) -> LocalServer:
        """A server of these programs; nothing is made yet."""
        return LocalServer(
            installation=self.installation,
            data_directory=data_directory,
            user=self.user,
            socket_directory=socket_place(sockets),
            port=_PORT,
            log_path=data_directory.with_name(f"{data_directory.name}.log"),
        )

    def server_in(self, directory: Path) -> LocalServer:
        """Another server beside the primary, with a directory of its own for its socket.

        Raises PitrError when that cannot be made.
        """
        server = self.server_at(directory, directory.with_name(f"{directory.name}-socket"))
        self._make_socket_directory(server)
        return server

    def create(
        self, settings: Mapping[str, str] | None = None, segment_megabytes: int | None = None
    ) -> None:
        """A new cluster that runs, with these settings besides ours.

        `segment_megabytes` counts from version 11 on. Raises PitrError.
        """
        server = self.server
        self._make_socket_directory(server)
        sized = segment_megabytes is not None and server.version.initdb_sets_segment_size
        server.initialize(*([f"--wal-segsize={segment_megabytes}"] if sized else []))
        ours = {
            **socket_settings(server.socket_directory, server.port),
            "log_timezone": "UTC",
            "timezone": "UTC",
            **(settings or {}),
        }
        self.user.write_file(server.data_directory / "postgresql.auto.conf", settings_block(ours))
        server.start()
        server.wait_until_open()

    def enable_archiving(self, cancel: threading.Event | None = None) -> None:
        """Turn archiving on and see a segment arrive. Raises PitrError, CancelledError."""
        primary = self.primary
        status = archiving.archiving_status(primary)
        archiving.prepare_archive_directory(status, self.archive_directory)
        change = archiving.propose(primary, status, self.archive_directory)
        archiving.apply(primary, change, self.restart)
        self.prove_archiving(cancel)

    def prove_archiving(self, cancel: threading.Event | None = None) -> None:
        """Finish the current segment and see it arrive. Raises PitrError, CancelledError."""
        archiving.prove(self.primary, self.archive_directory, cancel)

    def restart(self) -> None:
        """Stop the primary and start it again. Raises PitrError when it does not come back."""
        self.server.stop()
        self.server.start()
        self.server.wait_until_open()

    def take_backup(
        self,
        name: str,
        cancel: threading.Event | None = None,
        tell: Callable[[Progress], None] | None = None,
    ) -> Backup:
        """A base backup of this name. Raises PitrError, CancelledError.

        Its end is known where the version or the archive tells it.
        """
        self.write_backup(name, cancel, tell)
        path = self.backup_directory / name
        deadline = time.monotonic() + _HISTORY_SECONDS
        while True:
            backup = open_backup(path, self.archive)
            if backup.stop_lsn is not None or time.monotonic() > deadline:
                return backup
            time.sleep(_POLL)  # before version 13 the end is told by a file that is archived later

    def write_backup(
        self,
        name: str,
        cancel: threading.Event | None,
        tell: Callable[[Progress], None] | None,
    ) -> None:
        """The files of a base backup. Raises PitrError, CancelledError."""
        self.backup_directory.mkdir(mode=0o700, exist_ok=True)
        order = BackupOrder(
            self.server.database, self.primary.facts(), self.backup_directory / name, label=name
        )
        for progress in take_backup(order, cancel):
            if tell is not None:
                tell(progress)

    def close(self) -> None:
        """Stop every server that runs below the directory; their files stay."""
        for server in find_running():
            if server.data_directory.is_relative_to(self.directory.resolve()):
                server.stop()
        self.server.stop()
        for place in self._sockets:
            if place.parent != self.directory and place.is_dir():
                place.rmdir()

    def _make_socket_directory(self, server: LocalServer) -> None:
        try:
            self.user.make_directory(server.socket_directory)
        except OSError as error:
            raise PitrError(
                "no server can be set up here", f"{error.filename}: {error.strerror}"
            ) from error
        self._sockets.append(server.socket_directory)


def lab_directory(given: Path | None, user: OsUser) -> Path:
    """A new directory for a lab that its server can reach: `given`, or a temporary one.

    Raises RefusedError when `given` is not empty or cannot be reached.
    """
    return own_directory(given, user, "lab")


def own_directory(given: Path | None, user: OsUser, purpose: str) -> Path:
    """A new directory that a server of `user` can reach: `given`, or a temporary one.

    Raises RefusedError when `given` is not empty or cannot be reached.
    """
    ours = given is None or not given.exists()
    if given is None:
        directory = Path(tempfile.mkdtemp(prefix=f"pitr-{purpose}-"))
    else:
        directory = given.absolute()
        require_empty(directory)
        try:
            directory.mkdir(mode=0o700, exist_ok=True, parents=True)
        except OSError as error:
            raise PitrError(f"{directory} cannot be made", str(error.strerror)) from error
    try:
        user.own(directory)
        user.require_reach(directory / "primary", f"the {purpose}'s directory")
    except BaseException:
        if ours:
            directory.rmdir()
        raise
    return directory
