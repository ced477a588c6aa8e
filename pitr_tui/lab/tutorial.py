"""The tutorial's accident, on a server of our own: good rows, a backup, more good rows, the
clock noted, and then wrong rows.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.conf import settings_block
from pitr_tui.recovery import archiving
from pitr_tui.recovery.backup import BackupOrder, finished_backup, take_backup
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, open_backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_place, socket_settings
from pitr_tui.servers.local_secondary import require_empty
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.running import find_running

DATABASE = "shop"
_COUNT = """
SELECT count(*) FILTER (WHERE kind = 'good'),
       count(*) FILTER (WHERE kind <> 'good'),
       coalesce(sum(id) FILTER (WHERE kind = 'good'), 0)::bigint
  FROM orders
"""
_CHUNK_ROWS = 100_000
_PORT = 5432


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the story: begun (`seconds` None), on its way (`done` of `total`), or over."""

    name: str
    done: int = 0
    total: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The rows of a server: good ones, wrong ones, and the sum of the ids of the good."""

    good: int
    wrong: int
    good_ids: int


@dataclass(slots=True)
class Tutorial:
    """The world of the accident below one directory, and what is known of it."""

    directory: Path
    installation: Installation
    user: OsUser
    rows: int
    tell: Callable[[Phase], None]
    cancel: threading.Event
    server: LocalServer = field(init=False)
    noted: datetime | None = field(default=None, init=False)
    backup: Backup | None = field(default=None, init=False)
    seconds: dict[str, float] = field(default_factory=dict, init=False)
    _current: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.server = LocalServer(
            installation=self.installation,
            data_directory=self.directory / "primary",
            user=self.user,
            socket_directory=socket_place(self.directory / "socket"),
            port=_PORT,
            log_path=self.directory / "primary.log",
        )

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
    def expected(self) -> Count:
        """What a perfect recovery holds: N rows from before the backup and N from after it."""
        good = 2 * self.rows
        return Count(good, 0, good * (good + 1) // 2)

    @property
    def primary(self) -> Primary:
        return Primary(self.server.database)

    def play(self) -> None:
        """Everything up to and including the accident. Raises PitrError, CancelledError."""
        with self.phase("create the primary"):
            self._create()
        with self.phase("turn archiving on"):
            self._enable_archiving()
        with self.phase("insert good rows"):
            self.insert("good", self.rows)
        with self.phase("take a base backup"):
            self._take_backup()
        with self.phase("insert more good rows"):
            self.insert("good", self.rows)
        self.noted = self.server.database.row("SELECT clock_timestamp()")[0]
        with self.phase("insert wrong rows"):
            self.insert("wrong", self.rows // 2)
        with self.phase("archive the last WAL"):
            archiving.prove(self.primary, self.archive_directory, self.cancel)

    def insert(self, kind: str, rows: int) -> None:
        """Rows of one kind, in transactions of 100,000."""
        name = self._current
        for start in range(0, rows, _CHUNK_ROWS):
            self._check_cancel()
            chunk = min(_CHUNK_ROWS, rows - start)
            self.server.database.named(DATABASE).rows(
                "INSERT INTO orders (kind) SELECT %s FROM generate_series(1, %s)", [kind, chunk]
            )
            self.tell(Phase(name, start + chunk, rows))

    def count(self, server: LocalServer) -> Count:
        """What a server holds, asked over SQL. Raises PitrError."""
        return Count(*server.database.named(DATABASE).row(_COUNT))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Tell the begin and the end of a part, with the time that it took."""
        self._check_cancel()
        self._current = name
        self.tell(Phase(name))
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)
        self.tell(Phase(name, seconds=self.seconds[name]))

    def close(self) -> None:
        """Stop every server that runs below the directory; their files stay."""
        for server in find_running():
            if server.data_directory.is_relative_to(self.directory.resolve()):
                server.stop()
        self.server.stop()
        if self.server.socket_directory.parent != self.directory:
            self.server.socket_directory.rmdir()

    def _create(self) -> None:
        server = self.server
        try:
            self.user.make_directory(server.socket_directory)
        except OSError as error:
            raise PitrError(
                "the demo cannot be set up", f"{error.filename}: {error.strerror}"
            ) from error
        server.initialize()
        auto_conf = server.data_directory / "postgresql.auto.conf"
        settings = {
            **socket_settings(server.socket_directory, server.port),
            "log_timezone": "UTC",
            "timezone": "UTC",
            "max_wal_size": "4GB",
        }
        self.user.write_file(auto_conf, settings_block(settings))
        server.start()
        server.wait_until_open()
        server.database.rows(f"CREATE DATABASE {DATABASE}")
        server.database.named(DATABASE).rows(
            "CREATE TABLE orders (id bigserial PRIMARY KEY, kind text NOT NULL)"
        )

    def _enable_archiving(self) -> None:
        primary = self.primary
        status = archiving.archiving_status(primary)
        archiving.prepare_archive_directory(status, self.archive_directory)
        change = archiving.propose(primary, status, self.archive_directory)
        archiving.apply(primary, change, self._restart)
        archiving.prove(primary, self.archive_directory, self.cancel)

    def _restart(self) -> None:
        self.server.stop()
        self.server.start()
        self.server.wait_until_open()

    def _take_backup(self) -> None:
        self.backup_directory.mkdir(mode=0o700)
        order = BackupOrder(
            self.server.database,
            self.primary.facts(),
            self.backup_directory / "base",
            label="before the accident",
        )
        for progress in take_backup(order, self.cancel):
            self.tell(Phase("take a base backup", progress.done, progress.total))
        self.backup = open_backup(finished_backup(order).path, self.archive)

    def _check_cancel(self) -> None:
        if self.cancel.is_set():
            raise CancelledError("the demo was cancelled")


def demo_directory(given: Path | None, user: OsUser) -> Path:
    """A new directory for the demo that its server can reach: `given`, or a temporary one.

    Raises RefusedError when `given` is not empty or cannot be reached.
    """
    if given is None:
        directory = Path(tempfile.mkdtemp(prefix="pitr-demo-"))
    else:
        directory = given.absolute()
        require_empty(directory)
        try:
            directory.mkdir(mode=0o700, exist_ok=True, parents=True)
        except OSError as error:
            raise PitrError(f"{directory} cannot be made", str(error.strerror)) from error
    user.own(directory)
    user.require_reach(directory / "primary", "the demo's directory")
    return directory
