"""The words that pg_basebackup gets, and what its own words are translated into."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.backup import (
    BackupOrder,
    Compression,
    backup_arguments,
    backup_failure,
    backup_remark,
    require_known,
    require_same_cluster,
)
from pitr_tui.repositories.backups import BackupFormat
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.sql import Database
from tests.unit.made import SYSTEM, backup_value

CONNECTION = {"host": "127.0.0.1", "user": "a b", "password": "secret words"}


def order(
    version: str,
    format: BackupFormat = BackupFormat.PLAIN,
    compression: Compression = Compression.NONE,
    tablespaces: tuple[tuple[int, str], ...] = (),
    system: int = SYSTEM,
) -> BackupOrder:
    facts = PrimaryFacts(
        version=PostgresVersion.parse(version),
        system_identifier=system,
        in_recovery=False,
        clock=datetime(2026, 11, 22, tzinfo=UTC),
        time_zone="UTC",
        segment_size=16 << 20,
        data_directory=None,
        superuser=True,
        timeline=TimelineId(1),
        total_bytes=0,
        tablespaces=tablespaces,
    )
    return BackupOrder(Database({}), facts, Path("/b"), format, compression, "before")


def words(recipe: BackupOrder) -> tuple[str, ...]:
    return backup_arguments(recipe, PurePosixPath("/pitr/backup"), CONNECTION)


def value(arguments: tuple[str, ...], option: str) -> str:
    return arguments[arguments.index(option) + 1]


@pytest.mark.parametrize(
    ("version", "format", "method"),
    [
        ("9.6", BackupFormat.PLAIN, "stream"),
        ("9.6", BackupFormat.TAR, "fetch"),
        ("10.23", BackupFormat.TAR, "stream"),
        ("18.6", BackupFormat.PLAIN, "stream"),
    ],
)
def test_wal_always_comes_along(version: str, format: BackupFormat, method: str) -> None:
    recipe = order(version, format)
    assert value(words(recipe), "-X") == method
    assert ("wal_keep_segments" in backup_remark(recipe)) == (method == "fetch")


def test_no_password_stands_on_the_command_line() -> None:
    arguments = words(order("18.6"))
    assert "secret" not in " ".join(arguments)
    assert value(arguments, "--dbname") == "host=127.0.0.1 user='a b'"


@pytest.mark.parametrize(
    ("compression", "expected"),
    [
        (Compression.NONE, []),
        (Compression.GZIP, ["--gzip"]),
        (Compression.ZSTD, ["--compress", "zstd"]),
        (Compression.LZ4, ["--compress", "lz4"]),
    ],
)
def test_compression(compression: Compression, expected: list[str]) -> None:
    arguments = words(order("18.6", BackupFormat.TAR, compression))
    connection = arguments.index("--dbname")
    assert list(arguments[connection + 2 :]) == expected


def test_plain_backups_are_not_compressed() -> None:
    with pytest.raises(RefusedError, match="a plain backup cannot be compressed"):
        order("18.6", BackupFormat.PLAIN, Compression.GZIP)


def test_tablespaces_come_to_lie_inside_of_a_plain_backup() -> None:
    spaces = ((16390, "/srv/a=b"),)
    arguments = words(order("18.6", tablespaces=spaces))
    mapping = r"/srv/a\=b=/pitr/backup/pitr_tablespaces/16390"
    assert value(arguments, "--tablespace-mapping") == mapping
    assert "--tablespace-mapping" not in words(order("18.6", BackupFormat.TAR, tablespaces=spaces))


@pytest.mark.parametrize("tool", ["9.6.10", "11.22", "14.1"])
def test_a_tool_that_does_not_know_a_compression_is_not_asked(tool: str) -> None:
    require_known(Compression.GZIP, PostgresVersion.parse(tool))
    with pytest.raises(RefusedError, match=f"pg_basebackup {tool} cannot compress with zstd"):
        require_known(Compression.ZSTD, PostgresVersion.parse(tool))
    require_known(Compression.ZSTD, PostgresVersion.parse("15.0"))


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ('FATAL:  no pg_hba.conf entry for replication connection from host "10.0.0.1"', "pg_hba"),
        ("FATAL:  number of requested standby connections exceeds max_wal_senders", "two senders"),
        ("fe_sendauth: no password supplied", "PGPASSWORD"),
        ("could not write to file: No space left on device", "make room"),
        ("FATAL:  must be superuser or replication role to start walsender", "ALTER ROLE"),
        ("this build does not support compression with ZSTD", "use gzip"),
        ("something that nobody foresaw", "the right to replicate"),
    ],
)
def test_failures_keep_their_words_and_get_a_remedy(said: str, remedy: str) -> None:
    failure = backup_failure(f"    0/32768 kB (0%), 0/1 tablespace\rpg_basebackup: error: {said}\n")
    assert failure.why == f"pg_basebackup: error: {said}"
    assert remedy in failure.hint


def test_a_backup_of_another_cluster_is_told(tmp_path: Path) -> None:
    require_same_cluster(order("18.6"), backup_value(tmp_path))
    with pytest.raises(PitrError, match="taken from another cluster"):
        require_same_cluster(order("18.6", system=SYSTEM + 1), backup_value(tmp_path))
