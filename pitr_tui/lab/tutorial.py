"""The tutorial's accident, on a server of our own: good rows, a backup, more good rows, the
clock noted, and then wrong rows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pitr_tui.errors import CancelledError
from pitr_tui.lab.ground import Ground, own_directory
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer
from pitr_tui.servers.osuser import OsUser

DATABASE = "shop"
_COUNT = """
SELECT count(*) FILTER (WHERE kind = 'good'),
       count(*) FILTER (WHERE kind <> 'good'),
       coalesce(sum(id) FILTER (WHERE kind = 'good'), 0)::bigint
  FROM orders
"""
_CHUNK_ROWS = 100_000


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
    ground: Ground = field(init=False)
    noted: datetime | None = field(default=None, init=False)
    backup: Backup | None = field(default=None, init=False)
    seconds: dict[str, float] = field(default_factory=dict, init=False)
    _current: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.ground = Ground(self.directory, self.installation, self.user)

    @property
    def server(self) -> LocalServer:
        return self.ground.server

    @property
    def archive_directory(self) -> Path:
        return self.ground.archive_directory

    @property
    def backup_directory(self) -> Path:
        return self.ground.backup_directory

    @property
    def archive(self) -> WalArchive:
        return self.ground.archive

    @property
    def expected(self) -> Count:
        """What a perfect recovery holds: N rows from before the backup and N from after it."""
        good = 2 * self.rows
        return Count(good, 0, good * (good + 1) // 2)

    def play(self) -> None:
        """Everything up to and including the accident. Raises PitrError, CancelledError."""
        with self.phase("create the primary"):
            self._create()
        with self.phase("turn archiving on"):
            self.ground.enable_archiving(self.cancel)
        with self.phase("insert good rows"):
            self.insert("good", self.rows)
        with self.phase("take a base backup"):
            self.backup = self.ground.take_backup("base", self.cancel, self._tell_backup)
        with self.phase("insert more good rows"):
            self.insert("good", self.rows)
        self.noted = self.server.database.row("SELECT clock_timestamp()")[0]
        with self.phase("insert wrong rows"):
            self.insert("wrong", self.rows // 2)
        with self.phase("archive the last WAL"):
            self.ground.prove_archiving(self.cancel)

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
        self.ground.close()

    def _create(self) -> None:
        self.ground.create({"max_wal_size": "4GB"})
        self.server.database.rows(f"CREATE DATABASE {DATABASE}")
        self.server.database.named(DATABASE).rows(
            "CREATE TABLE orders (id bigserial PRIMARY KEY, kind text NOT NULL)"
        )

    def _tell_backup(self, progress: Progress) -> None:
        self.tell(Phase(self._current, progress.done, progress.total))

    def _check_cancel(self) -> None:
        if self.cancel.is_set():
            raise CancelledError("the demo was cancelled")


def demo_directory(given: Path | None, user: OsUser) -> Path:
    """A new directory for the demo that its server can reach: `given`, or a temporary one.

    Raises RefusedError when `given` is not empty or cannot be reached.
    """
    return own_directory(given, user, "demo")
