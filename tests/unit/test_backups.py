"""Backups made by hand: what is read of them, and what each broken one is told to be."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.repositories.backups import (
    Backup,
    BackupFormat,
    BrokenBackup,
    list_backups,
    open_backup,
)
from tests.unit.made import (
    BACKUP_HISTORY_NAME,
    MEGABYTE,
    SYSTEM,
    backup_files,
    backup_history_text,
    backup_value,
    control_bytes,
    label_text,
    make_archive,
    plain_backup,
    segment,
    tar_bytes,
    write_files,
)

MANIFEST = {
    "PostgreSQL-Backup-Manifest-Version": 2,
    "Files": [{"Path": "base/1/1259", "Size": 50_000_000}],
    "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/200028", "End-LSN": "0/200110"}],
}


def test_a_plain_backup_is_read(tmp_path: Path) -> None:
    path = plain_backup(tmp_path / "nightly")
    backup = open_backup(path)
    size = sum(len(data) for data in backup_files().values()) + MEGABYTE
    assert (backup.name, backup.format) == ("nightly", BackupFormat.PLAIN)
    assert backup.version == PostgresVersion.parse("18")
    assert backup.system_identifier == SYSTEM
    assert backup.label.label == "nightly: the first"
    assert backup.start_segment == segment(2)
    assert (backup.total_bytes, backup.restored_bytes) == (size, size)
    assert (backup.stop_lsn, backup.stop_time) == (None, None)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        (".lz4", lz4.frame.compress),
    ],
)
@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_tar_backup_is_read(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], prefix: str
) -> None:
    files = {prefix + name: data for name, data in backup_files().items()}
    data = compress(tar_bytes(files))
    write_files(tmp_path, {f"base.tar{suffix}": data})
    backup = open_backup(tmp_path)
    assert (backup.format, backup.version.major) == (BackupFormat.TAR, "18")
    assert backup.total_bytes == len(data)
    assert backup.restored_bytes == (None if suffix else len(data))
    # Neither the tar nor an archive tells, so it is what most clusters have.
    assert backup.segment_size == 16 * MEGABYTE


def test_the_files_of_a_tar_backup(tmp_path: Path) -> None:
    tar = tar_bytes(backup_files())
    mine = {"base.tar.lz4": lz4.frame.compress(tar), "pg_wal.tar": tar, "16384.tar.gz": b""}
    strangers = ("base.tar.lz4.part", "16385.tar.Z", "old-base.tar", "x16384.tar", "16384.tar.d/x")
    write_files(tmp_path, mine | dict.fromkeys(strangers, b"x"))
    backup = open_backup(tmp_path)
    assert sorted(path.name for path in backup.tars()) == sorted(mine)
    assert backup.own_wal() == []
    assert open_backup(plain_backup(tmp_path / "plain")).tars() == []


def test_of_a_tar_that_is_there_twice_the_unpacked_one_is_taken(tmp_path: Path) -> None:
    tar = tar_bytes(backup_files())
    write_files(tmp_path, {"base.tar": tar, "base.tar.gz": gzip.compress(tar), "9.tar.zst": b""})
    assert [path.name for path in open_backup(tmp_path).tars()] == ["9.tar.zst", "base.tar"]


@pytest.mark.parametrize(
    ("version", "directory"), [("18", "pg_wal"), ("10", "pg_wal"), ("9.6", "pg_xlog")]
)
def test_the_wal_that_a_plain_backup_brings_along(
    tmp_path: Path, version: str, directory: str
) -> None:
    backup = backup_value(tmp_path / "b", version)
    assert backup.own_wal() == []
    for number in (4, 2):
        write_files(tmp_path / "b" / directory, {segment(number).name: b""})
    strangers = ("00000002.history", f"{segment(3).name}.partial", "archive_status/x")
    write_files(tmp_path / "b" / directory, dict.fromkeys(strangers, b""))
    assert backup.own_wal() == [segment(2), segment(4)]


def test_a_manifest_tells_the_end_and_what_a_compressed_backup_needs(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "base.tar.gz": gzip.compress(tar_bytes(backup_files())),
            "backup_manifest": json.dumps(MANIFEST).encode(),
        },
    )
    backup = open_backup(tmp_path)
    assert backup.restored_bytes == 50_000_000
    assert backup.stop_lsn == Lsn.parse("0/200110")


def test_the_archive_tells_the_end_and_the_segment_size(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", segment(2))
    write_files(
        tmp_path / "archive",
        {
            BACKUP_HISTORY_NAME: backup_history_text().encode(),
            # Another backup that began in the same segment.
            f"{segment(2).name}.00000100.backup": backup_history_text("0/200900")
            .replace("0/200028", "0/200100")
            .encode(),
        },
    )
    write_files(tmp_path / "b", {"base.tar": tar_bytes(backup_files())})
    backup = open_backup(tmp_path / "b", archive)
    assert (backup.stop_lsn, backup.stop_time) == (
        Lsn.parse("0/200120"),
        "2026-11-22 14:43:41 UTC",
    )
    assert backup.segment_size == MEGABYTE


def test_a_tablespace_of_a_plain_backup_counts(tmp_path: Path) -> None:
    path = plain_backup(tmp_path / "b")
    alone = open_backup(path).total_bytes
    write_files(tmp_path / "space", {"PG_18_202506291/5/16385": bytes(70_000)})
    (path / "pg_tblspc").mkdir()
    (path / "pg_tblspc" / "16384").symlink_to(tmp_path / "space")
    backup = open_backup(path)
    assert backup.total_bytes == backup.restored_bytes == alone + 70_000


def broken(name: str, replacement: bytes | None) -> dict[str, bytes]:
    """The files of a backup with one of them replaced, or left out."""
    files = backup_files()
    if replacement is None:
        del files[name]
    else:
        files[name] = replacement
    return files


BROKEN = [
    ("backup_label", None, RefusedError, "it was started already"),
    ("PG_VERSION", None, RefusedError, "it has no PG_VERSION"),
    ("global/pg_control", None, RefusedError, "it has no global/pg_control"),
    ("backup_label", b"", PitrError, "label cannot be read"),
    ("backup_label", b"\xff\xfe\x00", PitrError, "label cannot be read"),
    ("PG_VERSION", b"\xff\n", PitrError, "does not name a PostgreSQL version"),
    ("PG_VERSION", b"9.5\n", RefusedError, "PostgreSQL 9.5.0 is not supported"),
    ("PG_VERSION", b"19\n", RefusedError, "PostgreSQL 19.0 is not supported"),
    ("global/pg_control", control_bytes()[:20], PitrError, "it has 20 bytes"),
    ("global/pg_control", bytes(8192), PitrError, "make no sense"),
    (
        "backup_label",
        label_text(extra="INCREMENTAL FROM LSN: 0/100028\n").encode(),
        RefusedError,
        "is an incremental backup",
    ),
]


@pytest.mark.parametrize(("name", "replacement", "kind", "words"), BROKEN)
@pytest.mark.parametrize("form", ["plain", "tar"])
def test_a_broken_backup_is_told_to_be_what_it_is(
    tmp_path: Path,
    form: str,
    name: str,
    replacement: bytes | None,
    kind: type[PitrError],
    words: str,
) -> None:
    files = broken(name, replacement)
    if form == "tar":
        files = {"base.tar": tar_bytes(files)}
    with pytest.raises(kind) as told:
        open_backup(write_files(tmp_path / "b", files))
    assert words in str(told.value)
    (listed,) = list_backups(tmp_path)
    assert isinstance(listed, BrokenBackup)
    assert (listed.path.name, str(listed.problem)) == ("b", str(told.value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no tar at all" * 100,
        gzip.compress(tar_bytes(backup_files())),
        tar_bytes(backup_files())[:700],
        tar_bytes(backup_files())[:512] + bytes(100),
    ],
    ids=["empty", "no tar", "compressed", "cut in a file", "cut in a header"],
)
def test_a_damaged_tar_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PitrError, match="damaged"):
        open_backup(write_files(tmp_path, {"base.tar": data}))


def test_a_damaged_compression_is_told(tmp_path: Path) -> None:
    files = {"base.tar.gz": gzip.compress(tar_bytes(backup_files()))[:-300]}
    files["base.tar.gz"] = files["base.tar.gz"][:60]
    with pytest.raises(PitrError, match="damaged"):
        open_backup(write_files(tmp_path, files))


@pytest.mark.parametrize("text", [b"{}", b"\xff\xfe", b"", b"[" * 100_000])
def test_a_damaged_manifest_is_told(tmp_path: Path, text: bytes) -> None:
    plain_backup(tmp_path / "b", backup_files() | {"backup_manifest": text})
    (listed,) = list_backups(tmp_path)
    assert isinstance(listed, BrokenBackup)
    assert "manifest cannot be read" in listed.problem.what


def test_backups_are_listed_oldest_first_and_strangers_are_not(tmp_path: Path) -> None:
    plain_backup(
        tmp_path / "a-new",
        backup_files() | {"backup_label": label_text(start="0/200900").encode()},
    )
    plain_backup(tmp_path / "b-old")
    write_files(tmp_path / "c-tar", {"base.tar": b""})
    write_files(tmp_path, {"notes/README": b"x", "base.tar.notes": b"x"})
    listed = list_backups(tmp_path)
    assert [type(one) for one in listed] == [BrokenBackup, Backup, Backup]
    assert [one.path.name for one in listed] == ["c-tar", "b-old", "a-new"]


def test_a_directory_that_is_a_backup_is_not_searched(tmp_path: Path) -> None:
    plain_backup(tmp_path)
    plain_backup(tmp_path / "inner")
    assert [one.path for one in list_backups(tmp_path)] == [tmp_path]


@pytest.mark.parametrize("inside", [False, True])
def test_a_closed_directory_is_named_and_does_not_hide_the_others(
    closable: Path, inside: bool
) -> None:
    plain_backup(closable / "open")
    plain_backup(closable / "closed")
    door = closable / "closed" / "global" if inside else closable / "closed"
    door.chmod(0)
    try:
        closed, open_one = list_backups(closable)
        assert isinstance(closed, BrokenBackup)
        assert closed.path.name == "closed"
        assert "Permission denied" in closed.problem.why
        assert isinstance(open_one, Backup)
    finally:
        door.chmod(0o700)


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no base backup in"):
        open_backup(tmp_path)
    with pytest.raises(RefusedError, match="no directory"):
        list_backups(tmp_path / "none")
    assert list_backups(tmp_path) == []


@pytest.mark.parametrize(
    ("configuration", "raised"),
    [
        ({}, ("max_connections", "max_worker_processes", "max_wal_senders")),
        ({"postgresql.conf": "max_connections = 200"}, ("max_worker_processes", "max_wal_senders")),
        (
            {
                "postgresql.conf": "max_connections = 200\nmax_worker_processes = 'many'",
                "postgresql.auto.conf": "max_connections = '130'\nmax_wal_senders = '13'",
            },
            ("max_connections", "max_worker_processes"),
        ),
    ],
)
@pytest.mark.parametrize("tar", [False, True])
def test_what_the_primary_had_more_of_than_its_files_say(
    tmp_path: Path, configuration: dict[str, str], raised: tuple[str, ...], tar: bool
) -> None:
    control = (Path(__file__).parents[1] / "data" / "pg_control" / "18").read_bytes()
    files = backup_files() | {"global/pg_control": control.ljust(8192, b"\0")}
    files |= {name: text.encode() for name, text in configuration.items()}
    # pg_basebackup sends pg_control last
    files["global/pg_control"] = files.pop("global/pg_control")
    write_files(tmp_path, {"base.tar": tar_bytes(files)} if tar else files)
    values = {"max_connections": 131, "max_worker_processes": 17, "max_wal_senders": 13}
    values |= {"max_prepared_transactions": 7, "max_locks_per_transaction": 77}
    always = ("max_prepared_transactions", "max_locks_per_transaction")
    assert open_backup(tmp_path).raised == {name: values[name] for name in (*raised, *always)}


def test_the_locales_that_its_server_needs(tmp_path: Path) -> None:
    text = b"lc_messages = 'de_DE.utf8'\nlc_time = 'en_US.utf8'\nlc_numeric = 'en_US.utf8'\n"
    backup = open_backup(write_files(tmp_path, backup_files() | {"postgresql.conf": text}))
    assert backup.locales == ("en_US.utf8",)  # messages are English in any case
