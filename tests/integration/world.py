"""A small real cluster with archiving, a base backup, and a known history after it."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import conf_value
from pitr_tui.postgres.target import Latest, RecoveryTarget, TargetAction
from pitr_tui.recovery import archiving
from pitr_tui.recovery.backup import BackupOrder, Compression, finished_backup, take_backup
from pitr_tui.recovery.events import Stamped
from pitr_tui.recovery.fate import discard_run
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.recovery.runs import run_named
from pitr_tui.recovery.state import RunView
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat, open_backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_settings
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import OsUser, server_user
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.process import running_pid
from tests.local import local

RESTORE_POINT = "between two and three"


@dataclass(frozen=True)
class Mark:
    """The state just after the commit of one row: its transaction, the WAL's end, the clock."""

    xid: int
    lsn: Lsn
    time: datetime


@dataclass
class World:
    """Row 1 is in the backup; rows 2, 3 and 4 came after it, each in its own transaction."""

    installation: Installation
    directory: Path = field(init=False)
    user: OsUser = field(init=False)
    server: LocalServer = field(init=False)
    marks: dict[int, Mark] = field(default_factory=dict)
    destinations: int = 0

    def __post_init__(self) -> None:
        self.user = server_user()
        self.directory = Path(tempfile.mkdtemp(prefix="pitr-world-"))
        self.user.own(self.directory)
        self.server = LocalServer(
            installation=self.installation,
            data_directory=self.directory / "primary",
            user=self.user,
            socket_directory=self.directory / "s",
            port=5432,
            log_path=self.directory / "primary.log",
        )

    @property
    def archive_directory(self) -> Path:
        return self.directory / "archive"

    @property
    def backup_path(self) -> Path:
        return self.directory / "backup"

    @property
    def primary(self) -> Primary:
        return Primary(self.server.database)

    @property
    def archive(self) -> WalArchive:
        return WalArchive(self.archive_directory)

    @property
    def backup(self) -> Backup:
        return open_backup(self.backup_path, self.archive)

    def build(self) -> None:
        """Make the cluster and its history."""
        server = self.server
        server.initialize()
        self.user.make_directory(server.socket_directory)
        self.user.make_directory(self.archive_directory)
        settings = {
            **socket_settings(server.socket_directory, server.port),
            "wal_level": "replica",
            "max_wal_senders": "4",
            "archive_mode": "on",
            "archive_command": archiving.archive_command(self.archive_directory),
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        self.user.write_file(
            server.data_directory / "postgresql.auto.conf",
            "".join(f"{name} = {conf_value(value)}\n" for name, value in settings.items()),
        )
        server.start()
        server.wait_until_open()
        server.database.rows("CREATE TABLE t (id int PRIMARY KEY)")
        self.insert(1)
        self.take_backup(self.backup_path)
        self.insert(2)
        server.database.rows("SELECT pg_create_restore_point(%s)", [RESTORE_POINT])
        self.insert(3)
        self.insert(4)
        archiving.prove(self.primary, self.archive_directory)

    def insert(self, number: int) -> None:
        function = self.server.version.current_lsn_function
        with self.server.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN; INSERT INTO t VALUES (%s)", [number])
            cursor.execute("SELECT txid_current()")
            xid = (cursor.fetchone() or (0,))[0]
            cursor.execute("COMMIT")
            cursor.execute(f"SELECT {function}()::text, clock_timestamp()")
            lsn, clock = cursor.fetchone() or ("0/0", None)
        self.marks[number] = Mark(xid, Lsn.parse(lsn), clock.astimezone(UTC))

    def take_backup(self, to: Path, format: BackupFormat = BackupFormat.PLAIN) -> Backup:
        compression = Compression.GZIP if format is BackupFormat.TAR else Compression.NONE
        order = BackupOrder(self.server.database, self.primary.facts(), to, format, compression)
        list(take_backup(order))
        return finished_backup(order)

    def new_destination(self) -> Path:
        self.destinations += 1
        return self.directory / f"secondary-{self.destinations}"

    def plan(
        self,
        target: RecoveryTarget,
        action: TargetAction | None = None,
        archive: Path | None = None,
        backup: Path | None = None,
        destination: Path | None = None,
        port: int | None = None,
    ) -> RecoveryPlan:
        """A plan for a new destination in this world."""
        default = TargetAction.PROMOTE if isinstance(target, Latest) else TargetAction.PAUSE
        wal = WalArchive(archive or self.archive_directory)
        return RecoveryPlan(
            backup=open_backup(backup or self.backup_path, wal),
            archive=wal,
            secondary=LocalSecondary(
                destination or self.new_destination(), self.installation, self.user, port
            ),
            target=target,
            action=action or default,
        )

    def copy_archive(self, name: str) -> Path:
        """Another archive with the same files, to be damaged."""
        copy = self.directory / name
        shutil.copytree(self.archive_directory, copy)
        return copy

    def close(self) -> None:
        self.server.stop()
        shutil.rmtree(self.directory)


@dataclass
class Recovered:
    """A finished run with its events, and the secondary."""

    plan: RecoveryPlan
    view: RunView
    events: list[Stamped]

    @property
    def server(self) -> LocalServer:
        return local(self.plan).server

    @property
    def rows(self) -> list[int]:
        return [row[0] for row in self.server.database.rows("SELECT id FROM t ORDER BY id")]


def put_back(plan: RecoveryPlan) -> None:
    """A failed run has left nothing, or a copy that it tells of; that is thrown away here."""
    record = run_named("last")
    failed = record.view().failed
    assert failed is not None
    assert running_pid(local(plan).directory) is None
    if failed.kept:
        assert f"pitr resume {record.name}" in failed.left
        assert (local(plan).directory / "PG_VERSION").exists()
        discard_run(record, plan.secondary)


def run(plan: RecoveryPlan, cancel: threading.Event | None = None) -> Recovered:
    """Perform a plan with a journal of its own. Raises as `recover` does."""
    events: list[Stamped] = []
    journal = Journal.create(events.append)
    try:
        return Recovered(plan, recover(plan, journal, cancel), events)
    finally:
        journal.close()
