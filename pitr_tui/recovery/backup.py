"""Take a base backup of the primary with pg_basebackup, and tell how far it is."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Protocol

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.quote import shell_command, visible
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.backups import TABLESPACES, Backup, BackupFormat, open_backup
from pitr_tui.servers.installation import Installation, tool_path
from pitr_tui.servers.local_secondary import remove, require_empty
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.process import clean_environment
from pitr_tui.servers.sql import Database, connection_text

PROGRESS = re.compile(r"(\d+)/(\d+) kB")
_POLL = 0.1

_USUAL = "the user needs the right to replicate, and pg_hba.conf a line for `replication`"
_REMEDIES = (
    (
        "no pg_hba.conf entry",
        "pg_hba.conf needs a line for the database `replication`, this user and this address: "
        "`all` does not include it",
    ),
    (
        "no password supplied|password authentication failed",
        "set PGPASSWORD to the password of this user",
    ),
    (
        "max_wal_senders",
        "a backup with its WAL takes two senders: raise max_wal_senders, or end other receivers",
    ),
    (
        "superuser or replication role|permission denied to start WAL sender|REPLICATION attribute",
        "use a superuser, or ALTER ROLE ... REPLICATION",
    ),
    ("No space left on device", "make room there, or choose another place or the tar format"),
    ("does not support compression", "this build goes without it: use gzip"),
)


class Compression(StrEnum):
    """What a backup in tar format is compressed with, by pg_basebackup itself."""

    NONE = "none"
    GZIP = "gzip"
    LZ4 = "lz4"
    ZSTD = "zstd"


class Recipe(Protocol):
    """What pg_basebackup has to know of an order, wherever it runs."""

    @property
    def facts(self) -> PrimaryFacts: ...
    @property
    def format(self) -> BackupFormat: ...
    @property
    def compression(self) -> Compression: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True, slots=True)
class BackupOrder:
    """A base backup to be taken by a program of this machine: from where, to where and how."""

    database: Database
    facts: PrimaryFacts
    destination: Path
    format: BackupFormat = BackupFormat.PLAIN
    compression: Compression = Compression.NONE
    label: str = "pitr"

    def __post_init__(self) -> None:
        require_compressible(self)

    def command(self) -> tuple[str, ...]:
        """The argument list of pg_basebackup. Raises RefusedError when it is not to be found."""
        tool = tool_path("pg_basebackup", self.facts.version)
        require_known(self.compression, Installation.at(tool.parent).version)
        return (
            str(tool),
            *backup_arguments(self, self.destination, self.database.parameters),
        )

    def describe(self) -> str:
        """The command as a person would type it."""
        return shell_command(self.command())


def backup_arguments(
    recipe: Recipe, directory: PurePath, connection: Mapping[str, str]
) -> tuple[str, ...]:
    """The words behind `pg_basebackup`; `directory` is where it sees its destination.

    A plain backup keeps its tablespaces inside of it. WAL is streamed along with the backup:
    one that waits for archiving would wait for ever where the archiver does not work.
    """
    version = recipe.facts.version
    tar = recipe.format is BackupFormat.TAR
    stream = not tar or version.tar_backup_streams_wal
    arguments = [
        "--pgdata",
        str(directory),
        "--format",
        "tar" if tar else "plain",
        "-X",  # whose long form changed with version 10, of the tool and not of the server
        "stream" if stream else "fetch",
        "--checkpoint",
        "fast",
        "--label",
        recipe.label,
        "--progress",
        "--no-password",
        "--dbname",
        connection_text(connection),
    ]
    if recipe.compression is Compression.GZIP:
        arguments.append("--gzip")  # every version knows it, by this name only
    elif recipe.compression is not Compression.NONE:
        arguments += ["--compress", recipe.compression]
    for oid, location in () if tar else recipe.facts.tablespaces:
        place = directory / TABLESPACES / str(oid)
        old, new = (path.replace("=", r"\=") for path in (location, str(place)))
        arguments += ["--tablespace-mapping", f"{old}={new}"]
    return tuple(arguments)


def backup_remark(recipe: Recipe) -> str:
    """What a person should know of this backup's WAL, or nothing."""
    if recipe.format is BackupFormat.PLAIN or recipe.facts.version.tar_backup_streams_wal:
        return ""
    return (
        f"pg_basebackup {recipe.facts.version.major} cannot stream WAL into the tar format: it "
        "is fetched when the backup ends, and wal_keep_segments must hold it until then"
    )


def require_compressible(recipe: Recipe) -> None:
    """Raises RefusedError for a plain backup that is to be compressed."""
    if recipe.compression is not Compression.NONE and recipe.format is BackupFormat.PLAIN:
        raise RefusedError("a plain backup cannot be compressed", "", "use the tar format for that")


def require_known(compression: Compression, tool: PostgresVersion) -> None:
    """Raises RefusedError for a compression that this version of pg_basebackup does not have."""
    known = tool.backup_compressions
    if compression is not Compression.NONE and compression not in known:
        raise RefusedError(
            f"pg_basebackup {tool} cannot compress with {compression}",
            f"it knows {' and '.join(known)}; PostgreSQL 15 brought lz4 and zstd",
            "use gzip",
        )


def backup_failure(said: str) -> PitrError:
    """What pg_basebackup said when it failed, with the remedy where its words tell one."""
    lines = visible(said.replace("\r", "\n")).splitlines()
    words = "\n".join([one for one in lines if one.strip() and not PROGRESS.search(one)][-6:])
    hint = next((hint for pattern, hint in _REMEDIES if re.search(pattern, words)), _USUAL)
    return PitrError("pg_basebackup failed", words, hint)


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
        require_same_cluster(order, finished_backup(order))
    except BaseException:
        remove(order.destination, keep_directory=was_there)
        raise


def finished_backup(order: BackupOrder) -> Backup:
    """The backup that was taken, read back from its files. Raises PitrError."""
    return open_backup(order.destination)


def require_same_cluster(recipe: Recipe, backup: Backup) -> None:
    """Raises PitrError when the backup is of another cluster than the one that was looked at."""
    taken, meant = backup.system_identifier, recipe.facts.system_identifier
    if taken != meant:
        raise PitrError(
            "the backup was taken from another cluster",
            f"its system identifier is {taken}, the primary's {meant}",
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
            found = PROGRESS.findall(chunk.decode("utf-8", "replace"))
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
        raise backup_failure(said.decode("utf-8", "replace"))


def _environment(database: Database) -> dict[str, str]:
    """Our environment with libpq's variables: a password never stands on a command line."""
    libpq = {key: value for key, value in os.environ.items() if key.startswith("PG")}
    if "password" in database.parameters:
        libpq["PGPASSWORD"] = str(database.parameters["password"])
    return {**libpq, **clean_environment()}
