"""The world of the scenarios: a longer history with a second branch, and an eye on all of it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.quote import conf_value
from pitr_tui.postgres.target import AtXid, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import archiving
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.servers.local import LocalServer
from tests.integration.world import RESTORE_POINT, World, run
from tests.local import local

ALL = [1, 2, 3, 4, 5, 6]
CONNECTIONS = 150  # what the primary has from row 5 on, instead of 100
ON_SECOND = 100  # the row of the other branch
NOT_BROUGHT_BACK = "SELECT (SELECT count(*) FROM fleeting), (SELECT last_value FROM numbers)"
_SNAPSHOT_RECORD = 200  # bytes: an idle server writes one list of running transactions


@dataclass(frozen=True)
class PrimaryState:
    """What an idle primary shows: it changes when somebody does something to it."""

    next_xid: int
    rows: tuple[int, ...]
    files: frozenset[str]


@dataclass
class Story(World):
    """Rows 5 and 6 came with more connections; timeline 2 left behind row 3 and has row 100.

    Behind row 4 the name of the restore point was given once more, an unlogged table was filled
    and a sequence used. `later` is a backup from behind row 6.
    """

    exact: dict[int, datetime] = field(default_factory=dict)
    stopped_in: Lsn = Lsn(0)
    seen: dict[str, str] = field(default_factory=dict)

    @property
    def later_path(self) -> Path:
        return self.directory / "later"

    @property
    def links(self) -> Path:
        """The archive once more, for copies that cost nothing."""
        return self.directory / "links"

    def build(self) -> None:
        super().build()
        sql = self.server.database.rows
        sql("SELECT pg_create_restore_point(%s)", [RESTORE_POINT])
        sql("CREATE UNLOGGED TABLE fleeting AS SELECT generate_series(1, 10) AS id")
        sql("CREATE SEQUENCE numbers")
        sql("SELECT nextval('numbers')")
        for name, value in (
            ("max_connections", str(CONNECTIONS)),
            ("track_commit_timestamp", "on"),
            ("autovacuum", "off"),
        ):
            sql(f"ALTER SYSTEM SET {name} = {conf_value(value)}")
        self.server.stop()
        self.server.start()
        self.server.wait_until_open()
        for number in (5, 6):
            self.insert(number)
            (ended,) = self.server.database.row(
                "SELECT pg_xact_commit_timestamp(xmin) FROM t WHERE id = %s", [number]
            )
            assert isinstance(ended, datetime)
            self.exact[number] = ended.astimezone(UTC)
        archiving.prove(self.primary, self.archive_directory)
        self.take_backup(self.later_path)
        self._fork()
        archiving.prove(self.primary, self.archive_directory)
        shutil.copytree(self.archive_directory, self.links)
        self._own(self.links)
        self.primary_state()  # the first reading of a page may write, with checksums
        sql("CHECKPOINT")
        self.stopped_in = self.primary_end()
        self.seen = checksums(self.watched())

    def _fork(self) -> None:
        """A trial recovery of the past, that somebody let archive here."""
        first = run(self.plan(AtXid(self.marks[3].xid), TargetAction.PROMOTE))
        sql = first.server.database.rows
        sql(f"INSERT INTO t VALUES ({ON_SECOND})")
        sql(f"SELECT {self.installation.version.switch_wal_function}()")
        second = TimelineId(2)
        wal = local(first.plan).directory / self.installation.version.wal_directory
        for name in (second.history_name, WalSegment.at(self.marks[3].lsn, second).name):
            shutil.copy(wal / name, self.archive_directory / name)
        self._own(self.archive_directory)
        first.plan.secondary.throw_away()

    # What is only looked at.

    def watched(self) -> tuple[Path, ...]:
        return (self.backup_path, self.later_path, self.archive_directory)

    def primary_end(self) -> Lsn:
        function = self.server.version.current_lsn_function
        (lsn,) = self.server.database.row(f"SELECT {function}()::text")
        return Lsn.parse(str(lsn))

    def primary_state(self) -> PrimaryState:
        database = self.server.database
        (xid,) = database.row("SELECT txid_snapshot_xmax(txid_current_snapshot())")
        rows = tuple(int(row[0]) for row in database.rows("SELECT id FROM t ORDER BY id"))
        database.row(NOT_BROUGHT_BACK)
        return PrimaryState(int(xid), rows, frozenset(_lasting(self.server.data_directory)))

    def is_idle(self) -> bool:
        """Whether nothing was written since the history ended but the server's own note."""
        return self.primary_end() - self.stopped_in < _SNAPSHOT_RECORD

    def strangers(self) -> dict[int, Path]:
        """Processes that work somewhere in this world and are not the primary's."""
        found: dict[int, Path] = {}
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                place = link.readlink()
            except OSError:  # it has ended
                continue
            if place.is_relative_to(self.directory) and place != self.server.data_directory:
                found[int(link.parent.name)] = place
        return found

    # What is made for one scenario.

    def segment(self, number: int, timeline: int = 1) -> WalSegment:
        """The segment in which a row was written."""
        return WalSegment.at(Lsn(self.marks[number].lsn - 1), TimelineId(timeline))

    def raised(self, plan: RecoveryPlan) -> RecoveryPlan:
        """The plan with what replay needs from row 5 on."""
        return replace(plan, raised={"max_connections": CONNECTIONS})

    def copy_archive(self, name: str) -> Path:
        """Another archive with the same files, each to be replaced and never written into."""
        copy = self.directory / name
        shutil.copytree(self.links, copy, copy_function=os.link)
        self.user.own(copy)
        return copy

    def copy_backup(self, name: str, source: Path | None = None) -> Path:
        copy = self.directory / name
        shutil.copytree(source or self.backup_path, copy, symlinks=True)
        return copy

    def plain_server(self, backup: Path, archive: Path, settings: dict[str, str]) -> LocalServer:
        """What a person sets up by hand from the manual: `cp` for a restore_command."""
        place = self.new_destination()
        shutil.copytree(backup, place, symlinks=True)
        place.chmod(0o700)
        self.user.make_directory(place / "s")
        version = self.installation.version
        server = LocalServer(
            self.installation, place, self.user, place / "s", 5432, place / "plain.log"
        )
        own = {
            "archive_mode": "off",
            "listen_addresses": "",
            "unix_socket_directories": str(place / "s"),
            "hot_standby": "on",
            "max_connections": str(CONNECTIONS),
        }
        recovery = {"restore_command": f'cp "{archive}/%f" "%p"', **settings}
        text = _conf(own | ({} if version.uses_recovery_conf else recovery))
        with (place / "postgresql.auto.conf").open("a") as file:
            file.write(text)
        if version.uses_recovery_conf:
            (place / "recovery.conf").write_text(_conf(recovery))
        else:
            (place / "recovery.signal").touch()
        self._own(place)
        return server

    def _own(self, place: Path) -> None:
        for path in (place, *place.rglob("*")):
            self.user.own(path)


def _conf(settings: dict[str, str]) -> str:
    return "".join(f"{name} = {conf_value(value)}\n" for name, value in settings.items())


def _lasting(directory: Path) -> Iterator[str]:
    """The files of a data directory that come and go with what is done to it alone."""
    for path in directory.rglob("*"):
        name = str(path.relative_to(directory))
        if not name.startswith(("pg_stat", "pg_subtrans")) and "pg_internal" not in name:
            yield name


def checksums(places: tuple[Path, ...]) -> dict[str, str]:
    """Every file with the sum of its contents."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for place in places
        for path in place.rglob("*")
        if path.is_file()
    }


def traces(places: tuple[Path, ...]) -> dict[str, tuple[int, ...]]:
    """Every file and directory with what the kernel changes when anybody touches it.

    The time of the last change cannot be set back, so the same one means the same contents.
    """
    found: dict[str, tuple[int, ...]] = {}
    for place in places:
        for path in (place, *place.rglob("*")):
            told = os.lstat(path)
            found[str(path)] = (
                *(told.st_size, told.st_mtime_ns, told.st_ctime_ns),
                *(told.st_mode, told.st_uid, told.st_ino),
            )
    return found
