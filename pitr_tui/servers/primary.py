"""The primary, as far as a connection shows it. Nothing in here changes a thing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pitr_tui.errors import RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.servers.sql import Database, query


@dataclass(frozen=True, slots=True)
class PrimaryFacts:
    """Who the server is. Sizes in bytes; `clock` is the server's own.

    `tablespaces` has the oid and the directory of each one outside the data directory.
    """

    version: PostgresVersion
    system_identifier: int
    in_recovery: bool
    clock: datetime
    time_zone: str
    segment_size: int
    data_directory: Path | None
    superuser: bool
    timeline: TimelineId
    total_bytes: int
    tablespaces: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of pg_settings: the value and where it comes from; line 0 is not known."""

    name: str
    value: str
    unit: str
    source: str
    source_file: str
    context: str
    pending_restart: bool
    source_line: int = 0

    @property
    def where(self) -> str:
        """Where the value was set, in the words of a person who looks for it."""
        if not self.source_file:
            return self.source
        return f"{self.source_file}:{self.source_line}" if self.source_line else self.source_file

    @property
    def needs_restart(self) -> bool:
        return self.context == "postmaster"

    @property
    def fixed_by_command_line(self) -> bool:
        """A `-c` of the server's start cannot be overridden by any file."""
        return self.source == "command line"


@dataclass(frozen=True, slots=True)
class ArchiverStatus:
    """pg_stat_archiver: what was archived last and what failed last."""

    archived_count: int
    last_archived: str | None
    last_archived_time: datetime | None
    failed_count: int
    last_failed: str | None
    last_failed_time: datetime | None

    @property
    def failing(self) -> bool:
        """Whether the newest thing known of the archiver is a failure."""
        if self.last_failed_time is None:
            return False
        return self.last_archived_time is None or self.last_failed_time > self.last_archived_time


class Primary:
    """A server that is looked at through SQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def facts(self) -> PrimaryFacts:
        """Raises PitrError when it does not answer, RefusedError for an unknown version."""
        row = self.database.row(query("facts"))
        version = PostgresVersion(row[0])
        version.require_supported()
        return PrimaryFacts(
            version=version,
            system_identifier=row[1] & 0xFFFFFFFFFFFFFFFF,
            in_recovery=row[2],
            clock=row[3],
            time_zone=row[4],
            segment_size=row[5],
            data_directory=Path(row[6]) if row[6] else None,
            superuser=bool(row[7]),
            timeline=TimelineId(row[8]),
            tablespaces=tuple(_tablespace(text) for text in row[9]),
            total_bytes=row[10] or 0,
        )

    def require_superuser(self, purpose: str) -> PrimaryFacts:
        """The facts of a server that lets us do what only a superuser may."""
        facts = self.facts()
        if not facts.superuser:
            raise RefusedError(
                f"{purpose} needs a superuser",
                f"the connection to {self.database} is not one",
                "connect as a superuser, for example with user=postgres",
            )
        return facts

    def settings(self, *names: str) -> dict[str, Setting]:
        """The settings of these names that this version has."""
        rows = self.database.rows(query("settings"), [list(names)])
        found = {row[0]: Setting(*row) for row in rows}
        return {name: found[name] for name in names if name in found}

    def archiver(self) -> ArchiverStatus:
        return ArchiverStatus(*self.database.row(query("archiver")))

    def kept_segments(self, facts: PrimaryFacts) -> int:
        """How many finished segments wait in the server's own WAL directory to be archived.

        Raises PitrError where only a superuser may look.
        """
        status = f"{facts.version.wal_directory}/archive_status"
        return int(self.database.row(query("kept"), [status])[0])

    def current_segment(self, facts: PrimaryFacts) -> WalSegment:
        """The segment that is being written. Raises PitrError on a standby."""
        function = facts.version.current_lsn_function
        row = self.database.row(f"SELECT {function}()::text")  # noqa: S608 - a fixed name
        return WalSegment.at(Lsn.parse(row[0]), facts.timeline, facts.segment_size)


def _tablespace(text: str) -> tuple[int, str]:
    oid, _, location = text.partition(" ")
    return int(oid), location
