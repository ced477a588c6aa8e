"""Turn WAL archiving on at the primary: see what is, propose a change, make it, prove it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.archiverlog import archiver_words
from pitr_tui.postgres.conf import change_settings, diff, read_settings
from pitr_tui.postgres.quote import command_percent, shell_word
from pitr_tui.postgres.walname import is_partial
from pitr_tui.recovery.switching import switch_wal
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.primary import ArchiverStatus, Primary, PrimaryFacts, Setting
from pitr_tui.servers.running import RunningServer
from pitr_tui.servers.sql import Database
from pitr_tui.storage.path import ReadPath

_NAMES = (
    "archive_mode",
    "archive_command",
    "archive_library",
    "archive_timeout",
    "wal_level",
    "max_wal_senders",
)
_RETENTION_NAMES = ("wal_keep_segments", "wal_keep_size", "max_slot_wal_keep_size")
_ENOUGH_SENDERS = 2
_DEFAULT_SENDERS = 10
_ARCHIVING_WAL_LEVELS = ("replica", "logical")
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class ArchivingStatus:
    """How a primary archives its WAL, and whether that works.

    `retention` has the settings that make it keep WAL of its own.
    """

    facts: PrimaryFacts
    settings: dict[str, Setting]
    archiver: ArchiverStatus
    retention: dict[str, Setting] = field(default_factory=dict)

    @property
    def on(self) -> bool:
        return self.settings["archive_mode"].value in ("on", "always")

    @property
    def has_command(self) -> bool:
        """Whether finished segments have somewhere to go."""
        command = self.settings["archive_command"].value
        library = self.settings.get("archive_library")
        return command not in ("", "(disabled)") or bool(library and library.value)

    @property
    def in_the_way(self) -> tuple[str, ...]:
        """The settings that have to change before this primary can archive."""
        found = {
            "wal_level": self.settings["wal_level"].value not in _ARCHIVING_WAL_LEVELS,
            "archive_mode": not self.on,
            "archive_command": not self.has_command,
            "max_wal_senders": int(self.settings["max_wal_senders"].value) < _ENOUGH_SENDERS,
        }
        return tuple(name for name, wrong in found.items() if wrong)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why no point in time could be reached from what this primary archives."""
        return self._problems(received=False)

    @property
    def problems_beside_receiver(self) -> tuple[str, ...]:
        """What is wrong with its own archiving while a receiver has all of its WAL."""
        return self._problems(received=True)

    def _problems(self, received: bool) -> tuple[str, ...]:
        found = []
        if self.settings["wal_level"].value not in _ARCHIVING_WAL_LEVELS:
            found.append(f"wal_level is {self.settings['wal_level'].value}")
        if not self.on:
            found += [] if received else ["archive_mode is off"]
        elif not self.has_command:
            found.append("archive_mode is on, but there is no archive_command: WAL piles up")
        if self.archiver.failing:
            found.append(
                f"the archiver fails: {self.archiver.last_failed} at "
                f"{self.archiver.last_failed_time:%Y-%m-%d %H:%M:%S%z}"
            )
        if int(self.settings["max_wal_senders"].value) < _ENOUGH_SENDERS:
            found.append("max_wal_senders is too low for pg_basebackup")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ArchivingChange:
    """The settings to change, as the diff of postgresql.auto.conf that ALTER SYSTEM makes.

    `replaced` has the values in force now, wherever they were set. The directory is named as
    the server sees it.
    """

    settings: dict[str, str]
    replaced: dict[str, str]
    diff: str
    restart: tuple[str, ...]
    archive_directory: Path


@dataclass(frozen=True, slots=True)
class ArchivingProof:
    """One segment that was seen to arrive, whole."""

    segment: str
    path: ReadPath
    seconds: float


def archiving_status(primary: Primary) -> ArchivingStatus:
    """Raises PitrError when the primary does not answer."""
    return ArchivingStatus(
        primary.facts(),
        primary.settings(*_NAMES),
        primary.archiver(),
        primary.settings(*_RETENTION_NAMES),
    )


def archive_command(directory: PurePath) -> str:
    """A command that copies, syncs and renames, and never replaces a file by a different one.

    The directory is synced too: the server removes a segment once it counts as archived, so
    its new name has to outlive a crash as well. A `sync` that knows no files syncs all.

    A segment that is there already and the same counts as archived: the server asks again
    after a crash (PostgreSQL manual, "Setting Up WAL Archiving").
    """
    place = command_percent(shell_word(str(directory)))
    return (
        f"d={place}; "
        'if test -e "$d/%f"; then cmp -s "%p" "$d/%f"; else '
        'cp "%p" "$d/.%f.part" && { sync "$d/.%f.part" 2>/dev/null || sync; } && '
        'mv "$d/.%f.part" "$d/%f"; fi && { sync "$d" 2>/dev/null || sync; }'
    )


def propose(
    primary: Primary,
    status: ArchivingStatus,
    directory: Path,
    starter: str = "the command that starts the server",
) -> ArchivingChange:
    """The change that makes this primary archive into `directory`, as the server sees it.

    `starter` is where its command line can be changed. Raises RefusedError when a value is
    fixed there, or when the connection may not change settings.
    """
    primary.require_superuser("changing the archiving settings")
    wanted: dict[str, str] = {}
    current = {name: setting.value for name, setting in status.settings.items()}
    if current["wal_level"] not in _ARCHIVING_WAL_LEVELS:
        wanted["wal_level"] = "replica"
    if not status.on:
        wanted["archive_mode"] = "on"
    if current["archive_command"] != archive_command(directory):
        wanted["archive_command"] = archive_command(directory)
    if current.get("archive_library"):
        wanted["archive_library"] = ""
    if current["archive_timeout"] == "0":
        wanted["archive_timeout"] = "60"
    if int(current["max_wal_senders"]) < _ENOUGH_SENDERS:
        wanted["max_wal_senders"] = str(_DEFAULT_SENDERS)
    for name in wanted:
        if status.settings[name].fixed_by_command_line:
            raise RefusedError(
                f"{name} cannot be changed in a file",
                f"the server was started with -c {name}={current[name]}, which wins over files",
                f"change {starter}",
            )
    text = _auto_conf(primary)
    return ArchivingChange(
        settings=wanted,
        replaced={name: current[name].replace("(disabled)", "") for name in wanted},
        diff=diff(text, change_settings(text, wanted), "postgresql.auto.conf") if wanted else "",
        restart=tuple(name for name in wanted if status.settings[name].needs_restart),
        archive_directory=directory,
    )


def prepare_archive_directory(status: ArchivingStatus, directory: Path) -> None:
    """Make the directory for the primary's user, or see that it can be used.

    Raises RefusedError when it is not empty of other clusters' WAL or cannot be reached.
    """
    data = status.facts.data_directory
    owner = OsUser.current()
    here = data is not None and data.exists()
    if data is not None and here and owner.uid == 0:
        facts = data.stat()
        owner = OsUser("the primary's user", facts.st_uid, facts.st_gid)
    if not here and not directory.exists():
        raise RefusedError(
            f"there is no directory {directory} on this machine",
            "the primary runs on another one, and both have to see the archive",
            "mount the archive here and there under the same path",
        )
    if not directory.exists():
        try:
            owner.make_directory(directory)
        except OSError as error:
            raise RefusedError(
                f"the archive {directory} cannot be made", str(error.strerror)
            ) from error
    owner.require_reach(directory / "000000010000000000000001", "the archive")
    require_same_cluster(directory, status)


def require_same_cluster(archive_directory: ReadPath, status: ArchivingStatus) -> None:
    """Raises RefusedError when the archive holds another cluster's WAL."""
    archive = WalArchive(archive_directory)
    for segment in archive.listing().segments[:1]:
        found = archive.header(segment).system_identifier
        if found != status.facts.system_identifier:
            raise RefusedError(
                f"{archive_directory} holds the WAL of another cluster",
                f"system identifier {found}, the primary's is {status.facts.system_identifier}",
                "use a directory of its own for each cluster",
            )


def apply(
    primary: Primary,
    change: ArchivingChange,
    restart: Callable[[], None] | None,
) -> None:
    """Write the settings with ALTER SYSTEM and make them count.

    `restart` restarts the server; without it a change that needs a restart is refused before
    anything is written. Raises PitrError; then the settings are as they were.
    """
    from psycopg2 import sql

    if change.restart and restart is None:
        raise RefusedError(
            "the primary has to be restarted for this",
            f"{', '.join(change.restart)} can only be set at the start of a server",
            "allow the restart, or choose a quiet moment for it",
        )
    before = read_settings(_auto_conf(primary))
    with primary.database.connect() as connection, connection.cursor() as cursor:
        try:
            for name, value in change.settings.items():
                statement = sql.SQL("ALTER SYSTEM SET {} = {}")
                cursor.execute(statement.format(sql.Identifier(name), sql.Literal(value)))
        except BaseException:
            for name in change.settings:
                if name in before:
                    statement = sql.SQL("ALTER SYSTEM SET {} = {}")
                    cursor.execute(
                        statement.format(sql.Identifier(name), sql.Literal(before[name]))
                    )
                else:
                    cursor.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
            raise
        cursor.execute("SELECT pg_reload_conf()")
    if change.restart and restart is not None:
        restart()


def prepare_restart(
    facts: PrimaryFacts, database: Database, timeout: float = 60
) -> Callable[[], None]:
    """What restarts a primary on this machine and waits until it answers again.

    Raises RefusedError here, before anything is changed, where we cannot restart it; what is
    returned raises PitrError when it does not come back within `timeout` seconds.
    """
    if facts.data_directory is None:
        raise RefusedError(
            "the primary cannot be restarted from here", "it does not tell its data directory"
        )
    server = RunningServer.of(facts.data_directory)
    command = server.start_command()

    def restart() -> None:
        server.restart(command)
        deadline = time.monotonic() + timeout
        while True:
            try:
                database.row("SELECT 1")
                return
            except PitrError as error:
                if time.monotonic() > deadline:
                    raise PitrError(
                        "the primary did not come back after its restart",
                        error.why,
                        f"look at its log; its data are in {server.data_directory}",
                    ) from error
            time.sleep(_POLL)

    return restart


def prove(
    primary: Primary,
    directory: ReadPath,
    cancel: threading.Event | None = None,
    timeout: float = 60,
    log: Callable[[], Sequence[str]] | None = None,
) -> ArchivingProof:
    """Finish the current segment and watch that very one arrive, whole, of this cluster.

    `directory` is the archive as we read it, and `log` the end of the server's log. Raises
    PitrError with what pg_stat_archiver and the log say when it does not arrive within
    `timeout` seconds.
    """
    facts = primary.require_superuser("proving that archiving works")
    started = time.monotonic()
    segment = switch_wal(primary, facts)
    archive = WalArchive(directory)
    while True:
        path = archive.find(segment.name)
        if path is not None and not is_partial(path.name):
            problem = archive.header(segment).why_not(
                segment, facts.system_identifier, facts.version.major
            )
            if path.name == segment.name and path.stat().st_size != segment.size:
                problem = f"it has {path.stat().st_size:,} bytes instead of {segment.size:,}"
            if problem:
                raise PitrError(f"segment {segment.name} arrived, but {problem}")
            return ArchivingProof(segment.name, path, time.monotonic() - started)
        if cancel is not None and cancel.is_set():
            raise CancelledError(
                "archiving is on; only the proof was interrupted", "the same again proves it"
            )
        if time.monotonic() - started > timeout:
            raise PitrError(
                f"segment {segment.name} did not arrive in {directory}",
                "\n".join([_failure(primary.archiver()), *(archiver_words(log()) if log else ())]),
                "" if log else "the primary's log has the message of archive_command",
            )
        time.sleep(_POLL)


def _failure(seen: ArchiverStatus) -> str:
    if not seen.failing:
        return "the archiver has not tried it yet"
    return (
        f"the archiver failed at {seen.last_failed} ({seen.failed_count} times, "
        f"last at {seen.last_failed_time:%Y-%m-%d %H:%M:%S%z})"
    )


def _auto_conf(primary: Primary) -> str:
    """postgresql.auto.conf, read through the server itself."""
    return str(primary.database.row("SELECT pg_read_file('postgresql.auto.conf')")[0])
