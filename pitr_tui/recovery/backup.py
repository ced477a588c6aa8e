"""Take a base backup of the primary with pg_basebackup, and tell how far it is."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.quote import conninfo_value, shell_command, visible
from pitr_tui.recovery.events import Progress
from pitr_tui.recovery.place import TABLESPACES, remove, require_empty
from pitr_tui.repositories.backups import Backup, BackupFormat, open_backup
from pitr_tui.servers.installation import tool_path
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.process import clean_environment
from pitr_tui.servers.sql import Database

_PROGRESS = re.compile(r"(\d+)/(\d+) kB")
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class BackupOrder:
    """A base backup to be taken: from where, to where and how."""

    database: Database
    facts: PrimaryFacts
    destination: Path
    format: BackupFormat = BackupFormat.PLAIN
    compress: bool = False
    label: str = "pitr"

    def __post_init__(self) -> None:
        if self.compress and self.format is BackupFormat.PLAIN:
            raise RefusedError(
                "a plain backup cannot be compressed", "", "use the tar format for that"
            )

    def command(self) -> tuple[str, ...]:
        """The argument list of pg_basebackup. Raises RefusedError when it is not to be found.

        A plain backup keeps its tablespaces inside of it. WAL is streamed along with the
        backup: one that waits for archiving would wait for ever where the archiver does not
        work.
        """
        tar = self.format is BackupFormat.TAR
        stream = not tar or self.facts.version.tar_backup_streams_wal
        command = [
            str(tool_path("pg_basebackup", self.facts.version)),
            "--pgdata",
            str(self.destination),
            "--format",
            "tar" if tar else "plain",
            "--wal-method" if self.facts.version.tar_backup_streams_wal else "--xlog-method",
            "stream" if stream else "fetch",
            "--checkpoint",
            "fast",
            "--label",
            self.label,
            "--progress",
            "--no-password",
            "--dbname",
            " ".join(
                f"{key}={conninfo_value(str(value))}"
                for key, value in self.database.parameters.items()
                if key != "password"
            ),
        ]
        if self.compress:
            command.append("--gzip")
        for oid, location in () if tar else self.facts.tablespaces:
            place = self.destination / TABLESPACES / str(oid)
            old, new = (path.replace("=", r"\=") for path in (location, str(place)))
            command += ["--tablespace-mapping", f"{old}={new}"]
        return tuple(command)

    def describe(self) -> str:
        """The command as a person would type it."""
        return shell_command(self.command())


def take_backup(order: BackupOrder, cancel: threading.Event | None = None) -> Iterator[Progress]:
    """Run pg_basebackup and yield its progress in bytes.

    Raises RefusedError for a destination that is not empty, PitrError with pg_basebackup's
    own words, CancelledError. What it had written is removed then.
    """
    require_empty(order.destination)
    command = order.command()
    was_there = order.destination.exists()
    if not was_there:
        try:
            order.destination.mkdir(mode=0o700)
        except OSError as error:
            raise RefusedError(
                f"{order.destination} cannot be made", str(error.strerror)
            ) from error
    try:
        yield from _run(command, order, cancel)
        _require_same_cluster(order)
    except BaseException:
        remove(order.destination, keep_directory=was_there)
        raise


def finished_backup(order: BackupOrder) -> Backup:
    """The backup that was taken, read back from its files. Raises PitrError."""
    return open_backup(order.destination)


def _require_same_cluster(order: BackupOrder) -> None:
    """Raises PitrError when the backup is of another cluster than the one that was looked at."""
    taken = finished_backup(order).system_identifier
    if taken != order.facts.system_identifier:
        raise PitrError(
            "the backup was taken from another cluster",
            f"its system identifier is {taken}, the primary's {order.facts.system_identifier}",
            "name host, port and user in the connection",
        )


def _run(
    command: tuple[str, ...], order: BackupOrder, cancel: threading.Event | None
) -> Iterator[Progress]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(order.database),
        start_new_session=True,
    )
    assert process.stderr is not None  # noqa: S101 - asked for a line above
    said = b""
    os.set_blocking(process.stderr.fileno(), False)
    try:
        while process.poll() is None:
            if cancel is not None and cancel.is_set():
                raise CancelledError("the backup was cancelled")
            chunk = process.stderr.read() or b""
            said = (said + chunk)[-8192:]
            found = _PROGRESS.findall(chunk.decode("utf-8", "replace"))
            if found:
                yield Progress(int(found[-1][0]) * 1024, int(found[-1][1]) * 1024)
            time.sleep(_POLL)
        said += process.stderr.read() or b""
    finally:
        process.stderr.close()
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        lines = visible(said.decode("utf-8", "replace").replace("\r", "\n")).splitlines()
        words = [line for line in lines if line.strip() and not _PROGRESS.search(line)]
        raise PitrError(
            "pg_basebackup failed",
            "\n".join(words[-6:]),
            "the user needs the right to replicate, and pg_hba.conf a line for `replication`",
        )


def _environment(database: Database) -> dict[str, str]:
    """Our environment with libpq's variables: a password never stands on a command line."""
    libpq = {key: value for key, value in os.environ.items() if key.startswith("PG")}
    if "password" in database.parameters:
        libpq["PGPASSWORD"] = str(database.parameters["password"])
    return {**libpq, **clean_environment()}
