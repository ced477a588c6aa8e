"""Minute zero: mark where a primary is, before anything else is done after an accident.

The mark is a restore point, a commit behind it, and the end of the segment that has both. So
every moment up to now can be reached by name, by time and by transaction as soon as that
segment is archived, even on a primary on which nothing happens any more: a recovery finds the
moment at which it shall stop by the first commit behind it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.archiving import ArchivingStatus, archiving_status
from pitr_tui.recovery.events import Clock, utc_now
from pitr_tui.recovery.incident import IncidentJournal
from pitr_tui.recovery.switching import switch_statements
from pitr_tui.servers.primary import ArchiverStatus, Primary, PrimaryFacts

_POLL = 0.1
_NOBODY = (
    "a standby does not write WAL of its own",
    "connect to its primary; or, if that is gone, promote nothing before its WAL is safe",
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a primary is, by its own words. `snapshot` is txid_current_snapshot()'s.

    All transactions below the first number of the snapshot have ended, those from the second
    on have not begun, and behind it are those in progress.
    """

    time: datetime
    lsn: Lsn
    segment: WalSegment
    snapshot: str
    archiver: ArchiverStatus

    def facts(self) -> dict[str, object]:
        """For the journal, and for programs."""
        seen = self.archiver
        return {
            "time": self.time.astimezone(UTC).isoformat(),
            "lsn": str(self.lsn),
            "timeline": int(self.segment.timeline),
            "segment": self.segment.name,
            "snapshot": self.snapshot,
            "last_archived": seen.last_archived,
            "last_archived_time": _told(seen.last_archived_time),
            "last_failed": seen.last_failed,
            "last_failed_time": _told(seen.last_failed_time),
        }


@dataclass(frozen=True, slots=True)
class MarkOrder:
    """A mark that is to be set: what was found, and exactly what will be run.

    `not_archived` says why the segment goes nowhere from pg_wal; empty when it is archived.
    """

    facts: PrimaryFacts
    position: Position
    name: str
    not_archived: str

    @property
    def statements(self) -> tuple[str, ...]:
        """What `set_mark` runs; the name is of digits and the letters in `incident_TZ`."""
        return switch_statements(self.facts.version, self.name)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that is set. `lsn` is the end of the restore point; `xid` committed behind it.

    Every time up to `time`, by the primary's clock, lies before that commit.
    """

    name: str
    lsn: Lsn
    time: datetime
    xid: int
    segment: WalSegment
    journal: Path

    def facts(self) -> dict[str, object]:
        """For the journal, and for programs."""
        return {
            "name": self.name,
            "lsn": str(self.lsn),
            "time": self.time.astimezone(UTC).isoformat(),
            "xid": self.xid,
            "segment": self.segment.name,
        }


def position_of(primary: Primary, facts: PrimaryFacts) -> Position:
    """Where a primary is right now. Nothing is written. Raises PitrError on a standby."""
    version = facts.version
    lsn, clock, snapshot, name = primary.database.row(
        f"SELECT lsn::text, clock_timestamp(), txid_current_snapshot()::text, "  # noqa: S608
        f"{version.segment_name_function}(lsn) FROM {version.current_lsn_function}() AS lsn"
    )
    segment = WalSegment.parse(name, facts.segment_size)
    return Position(clock, Lsn.parse(lsn), segment, snapshot, primary.archiver())


def plan_mark(primary: Primary) -> MarkOrder:
    """Look where the primary is, and say what would be run. Nothing is written.

    Raises RefusedError on a standby, without the rights, and with wal_level minimal; PitrError.
    """
    facts = primary.facts()
    if facts.in_recovery:
        raise RefusedError("this server is a standby", *_NOBODY)
    status = archiving_status(primary)
    if status.settings["wal_level"].value == "minimal":
        raise RefusedError(
            "a restore point cannot be set on this server",
            "wal_level is minimal: its WAL cannot be replayed on a base backup",
            "stop what still writes, and keep a copy of the data directory as it is",
        )
    _require_rights(primary, facts)
    position = position_of(primary, facts)
    name = f"incident_{position.time.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return MarkOrder(facts, position, name, _not_archived(status))


def set_mark(primary: Primary, order: MarkOrder, clock: Clock = utc_now) -> Mark:
    """Run what was shown, with each part written to a journal of the incident before and after.

    Raises PitrError; when the journal cannot be written, before anything is done.
    """
    from psycopg2 import sql

    journal = IncidentJournal(order.name, clock)
    journal.note("Position", order.position.facts())
    journal.note("MarkWanted", {"statements": order.statements})
    version = order.facts.version
    prepare, restore_point, transaction, switch = order.statements
    with primary.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL(prepare))

        def run(statement: str) -> tuple[object, ...]:
            cursor.execute(sql.SQL(statement))
            return tuple(cursor.fetchone() or ())

        (lsn,) = run(restore_point)
        (now,) = run("SELECT clock_timestamp()")
        (xid,) = run(transaction)
        (switched,) = run(switch)
        (name,) = run(f"SELECT {version.segment_name_function}('{switched}')")  # noqa: S608
    assert isinstance(now, datetime)  # noqa: S101 - what clock_timestamp() gives
    segment = WalSegment.parse(str(name), order.facts.segment_size)
    mark = Mark(order.name, Lsn.parse(str(lsn)), now, int(str(xid)), segment, journal.path)
    try:
        journal.note("Marked", mark.facts())
    except PitrError as error:
        raise PitrError(
            f"the restore point {mark.name} is set, but this cannot be written down",
            error.why,
            f"note it: {mark.name} at {mark.lsn}, transaction {mark.xid}, {mark.segment.name}",
        ) from error
    return mark


def wait_until_archived(
    primary: Primary,
    mark: Mark,
    cancel: threading.Event | None = None,
    timeout: float = 60,
    clock: Clock = utc_now,
) -> ArchiverStatus:
    """Wait until the server says that the segment with the mark is archived.

    The archiver never goes on past a segment that fails, so a later one proves it as well.
    Raises CancelledError; PitrError with what the archiver says after `timeout` seconds.
    """
    journal = IncidentJournal.reopened(mark.journal, clock)
    ends = time.monotonic() + timeout
    while True:
        seen = primary.archiver()
        if seen.last_archived is not None and _reaches(seen.last_archived, mark.segment.name):
            journal.note("Archived", {"segment": mark.segment.name, "seen": seen.last_archived})
            return seen
        if cancel is not None and cancel.is_set():
            raise CancelledError(
                "the mark is set; only the waiting for the archiver was interrupted",
                f"{mark.segment.name} was not archived yet",
            )
        if time.monotonic() > ends:
            why = _why_late(seen)
            journal.note("NotArchived", {"segment": mark.segment.name, "why": why})
            raise PitrError(
                f"the mark is set, but {mark.segment.name} is not archived yet",
                why,
                "the primary keeps it in its WAL directory until it is; the primary's log has "
                "the message of archive_command",
            )
        time.sleep(_POLL)


def _reaches(archived: str, segment: str) -> bool:
    """Whether an archived file is this segment, or one behind it on the same timeline."""
    return archived[:8] == segment[:8] and archived[:24] >= segment and "." not in archived[:24]


def _why_late(seen: ArchiverStatus) -> str:
    if not seen.failing:
        last = f"the last one was {seen.last_archived}" if seen.last_archived else "none was so far"
        return f"the archiver is behind: {last}"
    return (
        f"the archiver fails: {seen.last_failed} at {seen.last_failed_time:%Y-%m-%d %H:%M:%S%z} "
        f"({seen.failed_count} times)"
    )


def _not_archived(status: ArchivingStatus) -> str:
    if not status.on:
        return "archive_mode is off"
    return "" if status.has_command else "there is no archive_command"


def _require_rights(primary: Primary, facts: PrimaryFacts) -> None:
    """Both functions are a superuser's unless they were granted (from 9.6 on by GRANT)."""
    functions = ("pg_create_restore_point(text)", f"{facts.version.switch_wal_function}()")
    row = primary.database.row(
        "SELECT has_function_privilege(%s, 'EXECUTE'), has_function_privilege(%s, 'EXECUTE')",
        functions,
    )
    missing = [name for name, allowed in zip(functions, row, strict=True) if not allowed]
    if missing:
        raise RefusedError(
            f"the connection to {primary.database} may not set a mark",
            f"it may not execute {' and '.join(missing)}",
            "connect as a superuser, for example with user=postgres; or GRANT EXECUTE ON FUNCTION",
        )


def _told(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None
