"""Versions in every spelling, and on which side of which version each difference lies."""

import pytest

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.postgres.version import PostgresVersion, version_of_magic

MAJORS = ("9.6", "10", "11", "12", "13", "14", "15", "16", "17", "18")


@pytest.mark.parametrize(
    ("text", "number", "major"),
    [
        ("9.6", 90600, "9.6"),
        ("9.6.10", 90610, "9.6"),
        ("9.6.24 (Debian 9.6.24-1.pgdg110+1)", 90624, "9.6"),
        ("9.6rc1", 90600, "9.6"),
        ("9.6beta4", 90600, "9.6"),
        ("10", 100000, "10"),
        ("10\n", 100000, "10"),
        ("10.23", 100023, "10"),
        ("11.22 (Ubuntu 11.22-1.pgdg22.04+1)", 110022, "11"),
        ("15.18 (Debian 15.18-0+deb12u1)", 150018, "15"),
        ("postgres (PostgreSQL) 16.14", 160014, "16"),
        ("PostgreSQL 17.10 on x86_64-pc-linux-gnu, compiled by gcc 12.2.0", 170010, "17"),
        ("17rc1", 170000, "17"),
        ("18beta1", 180000, "18"),
        ("18devel", 180000, "18"),
        ("18.6", 180006, "18"),
    ],
)
def test_a_version_is_found_in_a_text(text: str, number: int, major: str) -> None:
    version = PostgresVersion.parse(text)
    assert (version.number, version.major) == (number, major)
    assert PostgresVersion.parse(str(version)) == version


@pytest.mark.parametrize("text", ["", "PostgreSQL", "beta", "\x00"])
def test_a_text_without_a_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not name a PostgreSQL version"):
        PostgresVersion.parse(text)


@pytest.mark.parametrize("major", MAJORS)
def test_every_major_is_supported(major: str) -> None:
    version = PostgresVersion.parse(major)
    version.require_supported()
    assert version_of_magic(version.wal_magic) == major


@pytest.mark.parametrize("text", ["8.4", "9.5.25", "9.7", "19", "19beta1", "100"])
def test_others_are_not(text: str) -> None:
    version = PostgresVersion.parse(text)
    with pytest.raises(RefusedError, match="not supported"):
        version.require_supported()
    with pytest.raises(RefusedError):
        _ = version.wal_magic


def test_an_unknown_magic_is_of_no_version() -> None:
    assert version_of_magic(0) is None
    assert version_of_magic(0xD119) is None


def test_versions_are_ordered_as_they_appeared() -> None:
    texts = ["9.6.1", "9.6.10", "10", "10.1", "10.23", "11", "18.6"]
    versions = [PostgresVersion.parse(text) for text in texts]
    assert sorted(reversed(versions)) == versions
    numbers = [PostgresVersion.parse(major).major_number for major in MAJORS]
    assert numbers == sorted(set(numbers))


def test_a_minor_version_changes_nothing_about_the_format() -> None:
    old, new = PostgresVersion.parse("9.6.1"), PostgresVersion.parse("9.6.24")
    assert old.same_major(new)
    assert not new.same_major(PostgresVersion.parse("10.24"))
    assert not PostgresVersion.parse("11.2").same_major(PostgresVersion.parse("1.12"))


# Property, the first major that has it, its value before and from there on.
_MINIMUMS = (
    *("max_connections", "max_worker_processes"),
    *("max_prepared_transactions", "max_locks_per_transaction"),
)
DIFFERENCES = [
    ("wal_directory", "10", "pg_xlog", "pg_wal"),
    ("current_lsn_function", "10", "pg_current_xlog_location", "pg_current_wal_lsn"),
    ("replay_lsn_function", "10", "pg_last_xlog_replay_location", "pg_last_wal_replay_lsn"),
    ("replay_paused_function", "10", "pg_is_xlog_replay_paused", "pg_is_wal_replay_paused"),
    ("replay_resume_function", "10", "pg_xlog_replay_resume", "pg_wal_replay_resume"),
    ("switch_wal_function", "10", "pg_switch_xlog", "pg_switch_wal"),
    ("segment_name_function", "10", "pg_xlogfile_name", "pg_walfile_name"),
    ("knows_lsn_target", "10", False, True),
    ("has_logical_replication", "10", False, True),
    ("tar_backup_streams_wal", "10", False, True),
    ("wal_receiver_tool", "10", "pg_receivexlog", "pg_receivewal"),
    ("wal_dump_tool", "10", "pg_xlogdump", "pg_waldump"),
    ("flush_lsn_column", "10", "flush_location", "flush_lsn"),
    ("marks_images_to_restore", "10", False, True),
    ("transaction_status_directory", "10", "pg_clog", "pg_xact"),
    ("tells_collation_versions", "10", False, True),
    ("tells_backend_type", "10", False, True),
    ("logs_hash_indexes", "10", False, True),
    ("tells_transaction_status", "10", False, True),
    ("initdb_sets_segment_size", "11", False, True),
    ("prepares_origin", "11", False, True),
    ("uses_recovery_conf", "12", True, False),
    ("checkpoint_has_epoch", "12", True, False),
    ("has_wal_receiver_settings", "12", False, True),
    ("standby_minimums", "12", _MINIMUMS, (*_MINIMUMS[:2], "max_wal_senders", *_MINIMUMS[2:])),
    ("checkpoint_time_offset", "12", 56, 64),
    ("fails_when_target_unreached", "13", False, True),
    ("can_promote_while_paused", "13", False, True),
    ("writes_backup_manifest", "13", False, True),
    ("tells_slot_health", "13", False, True),
    ("database_drop_counts_tablespaces", "13", False, True),
    ("vacuum_has_own_record", "14", False, True),
    ("password_method", "14", "md5", "scram-sha-256"),
    ("backup_start_function", "15", "pg_start_backup", "pg_backup_start"),
    ("backup_stop_function", "15", "pg_stop_backup", "pg_backup_stop"),
    ("compressed_image_flags", "15", 0x02, 0x1C),
    ("image_apply_flag", "15", 0x04, 0x02),
    ("image_compressions", "15", ((2, "pglz"),), ((4, "pglz"), (8, "lz4"), (16, "zstd"))),
    ("prepares_dropped_statistics", "15", False, True),
    ("database_drop_info", "15", 0x10, 0x20),
    ("has_startup_progress", "15", False, True),
    ("has_archive_library", "15", False, True),
    ("has_recovery_prefetch", "15", False, True),
    ("tells_database_collation_version", "15", False, True),
    ("has_statistics_files", "15", True, False),
    ("backup_compressions", "15", ("gzip",), ("gzip", "lz4", "zstd")),
    ("forgot_trigger_file", "16", False, True),
    ("has_slot_synchronization", "17", False, True),
    ("prune_tells_by_flags", "17", False, True),
    ("checkpoint_tells_wal_level", "17", False, True),
    ("dropped_statistics_bytes", "18", 12, 16),
    ("verifies_tar_backups", "18", False, True),
]


@pytest.mark.parametrize(("name", "since", "before", "after"), DIFFERENCES)
def test_a_difference_begins_with_its_major(
    name: str, since: str, before: object, after: object
) -> None:
    border = MAJORS.index(since)
    for place, major in enumerate(MAJORS):
        for minor in (".0", ".24"):
            version = PostgresVersion.parse(major + minor)
            assert getattr(version, name) == (after if place >= border else before), version


def test_every_difference_is_in_the_table() -> None:
    others = {"major", "major_number", "wal_magic"}
    properties = {n for n, v in vars(PostgresVersion).items() if isinstance(v, property)}
    assert properties == {name for name, *_ in DIFFERENCES} | others
