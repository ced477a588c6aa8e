"""A server that keeps all the WAL it ever wrote, with the settings a test asks for."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from pitr_tui.errors import PitrError
from pitr_tui.postgres.control import ControlHead
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import conf_value
from pitr_tui.postgres.walname import WalSegment, is_segment
from pitr_tui.recovery.backup import BackupOrder, Compression, take_backup
from pitr_tui.repositories.backups import BackupFormat
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_settings
from pitr_tui.servers.osuser import OsUser, server_user
from pitr_tui.servers.primary import Primary
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

MEGABYTE = 1 << 20

# An archiver that has nothing to do keeps the server from removing or reusing a segment.
_SETTINGS = {
    "archive_mode": "on",
    "archive_command": "",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_prepared_transactions": "10",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "on",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass
class Cluster:
    """A cluster of one installation; `segment_size` in bytes counts from version 11 on."""

    installation: Installation
    segment_size: int = 16 * MEGABYTE
    settings: Mapping[str, str] = field(default_factory=dict)
    directory: Path = field(init=False)
    user: OsUser = field(init=False)
    server: LocalServer = field(init=False)

    def __post_init__(self) -> None:
        self.user = server_user()
        self.directory = Path(tempfile.mkdtemp(prefix="pitr-wal-"))
        self.user.own(self.directory)
        self.server = LocalServer(
            installation=self.installation,
            data_directory=self.directory / "data",
            user=self.user,
            socket_directory=self.directory / "s",
            port=5432,
            log_path=self.directory / "log",
        )

    @property
    def major(self) -> str:
        return self.installation.version.major

    @property
    def wal_directory(self) -> Path:
        return self.server.data_directory / self.installation.version.wal_directory

    def initialize(self) -> None:
        """Make the cluster without starting it."""
        size = [f"--wal-segsize={self.segment_size // MEGABYTE}"]
        self.server.run_tool(
            "initdb",
            ["-D", str(self.server.data_directory), "-U", self.server.role, "-A", "trust", "-N"]
            + ["--encoding=UTF8", "--locale=C"]
            + (size if self.segment_size != 16 * MEGABYTE else []),
        )
        self.user.make_directory(self.server.socket_directory)
        self.configure(self.settings)

    def configure(self, settings: Mapping[str, str]) -> None:
        """Write the settings that the next start takes."""
        everything = {
            **socket_settings(self.server.socket_directory, self.server.port),
            **_SETTINGS,
            **settings,
        }
        self.user.write_file(
            self.server.data_directory / "postgresql.auto.conf",
            "".join(f"{name} = {conf_value(value)}\n" for name, value in everything.items()),
        )

    def start(self) -> None:
        self.server.start()
        self.server.wait_until_open()
        self.server.wait_until_writable()

    def crash(self) -> None:
        """Kill the server without a last checkpoint."""
        os.kill(int(self.server.pid_file.read_text().split()[0]), signal.SIGQUIT)
        deadline = time.monotonic() + 60
        while self.server.is_running():
            assert time.monotonic() < deadline, self.server.log_tail()
            time.sleep(0.02)
        self.server.stop()

    @contextmanager
    def connect(self, dbname: str = "postgres") -> Iterator[Connection]:
        """An autocommit connection that stays as long as it is needed."""
        connection = psycopg2.connect(**self.server.database.named(dbname).parameters)
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def position(self) -> Lsn:
        function = self.installation.version.current_lsn_function
        return Lsn.parse(self.server.database.row(f"SELECT {function}()::text")[0])

    def switch(self) -> None:
        """End the segment that is being written."""
        self.server.database.row(f"SELECT {self.installation.version.switch_wal_function}()::text")

    def system_identifier(self) -> int:
        control = self.server.data_directory / "global/pg_control"
        return ControlHead.parse(control.read_bytes()).system_identifier

    def take_backup(self) -> Path:
        """A plain base backup, through the product itself."""
        database = self.server.database
        place = self.directory / "backup"
        facts = Primary(database).facts()
        order = BackupOrder(database, facts, place, BackupFormat.PLAIN, Compression.NONE)
        list(take_backup(order))
        return place

    def segments(self) -> list[Path]:
        """The segments that hold what their names say, in the WAL's order."""
        system, found = self.system_identifier(), []
        for path in sorted(self.wal_directory.iterdir()):
            if not is_segment(path.name):
                continue
            with path.open("rb") as file:
                head = file.read(HEADER_BYTES)
            try:
                header = SegmentHeader.parse(head)
            except PitrError:  # one made ahead, still full of zeros
                continue
            segment = WalSegment.parse(path.name, header.segment_size)
            if header.why_not(segment, system, self.major) is None:
                found.append(path)
        return found

    def archive_to(self, place: Path) -> Path:
        """Copy the WAL, as an archive would hold it, and the history files with it."""
        place.mkdir(exist_ok=True)
        for path in [*self.segments(), *self.wal_directory.glob("*.history")]:
            shutil.copyfile(path, place / path.name)
        return place

    def close(self) -> None:
        self.server.stop()
        shutil.rmtree(self.directory)
