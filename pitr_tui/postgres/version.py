"""The one place where PostgreSQL 9.6 to 18 differ.

Each difference is a named property, so that its use says why it is asked. Sources: the
release notes, src/include/access/xlog_internal.h (page magics), src/backend/utils/misc/guc*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from pitr_tui.errors import RefusedError, UsageError

_TEXT = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?")

_WAL_MAGIC = {
    "9.6": 0xD093,
    "10": 0xD097,
    "11": 0xD098,
    "12": 0xD101,
    "13": 0xD106,
    "14": 0xD10D,
    "15": 0xD110,
    "16": 0xD113,
    "17": 0xD116,
    "18": 0xD118,
}


@total_ordering
@dataclass(frozen=True, slots=True)
class PostgresVersion:
    """A server version as the number that `SHOW server_version_num` prints.

    >>> PostgresVersion.parse("15.18 (Debian 15.18-0+deb12u1)")
    PostgresVersion('15.18')
    >>> PostgresVersion.parse("9.6.10").major, PostgresVersion.parse("18").major
    ('9.6', '18')
    >>> PostgresVersion.parse("11.22") < PostgresVersion.parse("12.0")
    True
    """

    number: int

    @classmethod
    def parse(cls, text: str) -> PostgresVersion:
        """Read `18.6`, `9.6.10`, `18`, `17rc1` or a longer text with such a number in it.

        Raises UsageError when there is none.
        """
        match = _TEXT.search(text)
        if match is None:
            raise UsageError(f"{text!r} does not name a PostgreSQL version")
        first, second, third = (int(part) if part else 0 for part in match.groups())
        if first < 10:
            return cls(first * 10000 + second * 100 + third)
        return cls(first * 10000 + second)

    def __lt__(self, other: PostgresVersion) -> bool:
        return self.number < other.number

    def __str__(self) -> str:
        high, low = divmod(self.number, 10000)
        return f"{high}.{low // 100}.{low % 100}" if high < 10 else f"{high}.{low}"

    def __repr__(self) -> str:
        return f"PostgresVersion('{self}')"

    @property
    def major(self) -> str:
        """The part that decides about the format of the data directory (PG_VERSION)."""
        high, low = divmod(self.number, 10000)
        return f"{high}.{low // 100}" if high < 10 else str(high)

    @property
    def major_number(self) -> int:
        """The major version as a number that can be compared."""
        return self.number // 10000 * 100 if self.number >= 100000 else self.number // 100

    def same_major(self, other: PostgresVersion) -> bool:
        return self.major == other.major

    def require_supported(self) -> None:
        """Raises RefusedError outside of 9.6 to 18."""
        if self.major not in _WAL_MAGIC:
            raise RefusedError(
                f"PostgreSQL {self} is not supported",
                "pitr knows the recovery of versions 9.6 to 18",
            )

    # Names that changed with version 10 ("xlog" became "wal", "location" became "lsn").

    @property
    def wal_directory(self) -> str:
        return "pg_wal" if self.number >= 100000 else "pg_xlog"

    @property
    def current_lsn_function(self) -> str:
        return "pg_current_wal_lsn" if self.number >= 100000 else "pg_current_xlog_location"

    @property
    def replay_lsn_function(self) -> str:
        return "pg_last_wal_replay_lsn" if self.number >= 100000 else "pg_last_xlog_replay_location"

    @property
    def replay_paused_function(self) -> str:
        return "pg_is_wal_replay_paused" if self.number >= 100000 else "pg_is_xlog_replay_paused"

    @property
    def replay_resume_function(self) -> str:
        return "pg_wal_replay_resume" if self.number >= 100000 else "pg_xlog_replay_resume"

    @property
    def switch_wal_function(self) -> str:
        return "pg_switch_wal" if self.number >= 100000 else "pg_switch_xlog"

    @property
    def segment_name_function(self) -> str:
        """What names the segment of a position, on the timeline that is being written."""
        return "pg_walfile_name" if self.number >= 100000 else "pg_xlogfile_name"

    @property
    def initdb_sets_segment_size(self) -> bool:
        """`initdb --wal-segsize`; before, the size is fixed when the server is compiled."""
        return self.number >= 110000

    @property
    def tells_transaction_status(self) -> bool:
        """`txid_status()`: whether a transaction was committed."""
        return self.number >= 100000

    # How recovery is asked for.

    @property
    def uses_recovery_conf(self) -> bool:
        """Up to 11 recovery settings live in recovery.conf, from 12 in the configuration."""
        return self.number < 120000

    @property
    def knows_lsn_target(self) -> bool:
        return self.number >= 100000

    @property
    def fails_when_target_unreached(self) -> bool:
        """From 13 an unreached target is FATAL; before, the server silently promotes."""
        return self.number >= 130000

    @property
    def can_promote_while_paused(self) -> bool:
        """Whether `pg_ctl promote` and pg_promote() end a pause; before, they are ignored in it."""
        return self.number >= 130000

    @property
    def wal_magic(self) -> int:
        """The first two bytes of every WAL page of this major version.

        Raises RefusedError for an unsupported version.
        """
        self.require_supported()
        return _WAL_MAGIC[self.major]

    # Settings that exist only in some versions.

    @property
    def has_wal_receiver_settings(self) -> bool:
        """`primary_conninfo` and `primary_slot_name` as settings of the configuration."""
        return self.number >= 120000

    @property
    def standby_minimums(self) -> tuple[str, ...]:
        """The settings of which a standby must not have less, in pg_control's order."""
        senders = ("max_wal_senders",) if self.number >= 120000 else ()
        return (
            "max_connections",
            "max_worker_processes",
            *senders,
            "max_prepared_transactions",
            "max_locks_per_transaction",
        )

    @property
    def has_logical_replication(self) -> bool:
        return self.number >= 100000

    @property
    def forgot_trigger_file(self) -> bool:
        """Without `promote_trigger_file`, a file that opens a standby."""
        return self.number >= 160000

    @property
    def has_slot_synchronization(self) -> bool:
        """`sync_replication_slots`, for which a standby connects to its primary."""
        return self.number >= 170000

    @property
    def has_startup_progress(self) -> bool:
        """`log_startup_progress_interval`."""
        return self.number >= 150000

    @property
    def has_recovery_prefetch(self) -> bool:
        """`recovery_prefetch`, for which the WAL behind the next record is asked for early."""
        return self.number >= 150000

    @property
    def has_statistics_files(self) -> bool:
        """`stats_temp_directory`, which a copied configuration shares with the primary."""
        return self.number < 150000

    @property
    def has_archive_library(self) -> bool:
        return self.number >= 150000

    @property
    def password_method(self) -> str:
        """The best password method of pg_hba.conf; `md5` accepts every stored form before."""
        return "scram-sha-256" if self.number >= 140000 else "md5"

    @property
    def tar_backup_streams_wal(self) -> bool:
        """Whether pg_basebackup can join tar format with streamed WAL."""
        return self.number >= 100000

    @property
    def backup_compressions(self) -> tuple[str, ...]:
        """What pg_basebackup of this version can compress a tar backup with."""
        return ("gzip", "lz4", "zstd") if self.number >= 150000 else ("gzip",)

    @property
    def writes_backup_manifest(self) -> bool:
        """Whether a backup of this server brings the checksums of its files along."""
        return self.number >= 130000

    @property
    def verifies_tar_backups(self) -> bool:
        """Whether pg_verifybackup of this version reads the tar format."""
        return self.number >= 180000

    @property
    def wal_receiver_tool(self) -> str:
        return "pg_receivewal" if self.number >= 100000 else "pg_receivexlog"

    @property
    def wal_dump_tool(self) -> str:
        return "pg_waldump" if self.number >= 100000 else "pg_xlogdump"

    @property
    def backup_start_function(self) -> str:
        return "pg_backup_start" if self.number >= 150000 else "pg_start_backup"

    @property
    def backup_stop_function(self) -> str:
        return "pg_backup_stop" if self.number >= 150000 else "pg_stop_backup"

    @property
    def flush_lsn_column(self) -> str:
        """The column of pg_stat_replication with what a receiver has flushed."""
        return "flush_lsn" if self.number >= 100000 else "flush_location"

    @property
    def tells_slot_health(self) -> bool:
        """`wal_status` of a replication slot: whether the server still has its WAL."""
        return self.number >= 130000

    # What a server can be asked.

    @property
    def tells_collation_versions(self) -> bool:
        """`pg_collation.collversion`, held against the library by pg_collation_actual_version()."""
        return self.number >= 100000

    @property
    def tells_database_collation_version(self) -> bool:
        """`pg_database.datcollversion`: of the collation that a database has by default."""
        return self.number >= 150000

    @property
    def tells_backend_type(self) -> bool:
        """`pg_stat_activity.backend_type`, with processes that are not sessions."""
        return self.number >= 100000

    @property
    def logs_hash_indexes(self) -> bool:
        """Whether WAL has the changes of hash indexes; before, they are wrong after a recovery."""
        return self.number >= 100000

    # What WAL records and catalog rows look like.

    @property
    def compressed_image_flags(self) -> int:
        """The BKPIMAGE_ flags that mean a compressed full-page image (xlogrecord.h)."""
        return 0x1C if self.number >= 150000 else 0x02

    @property
    def dropped_statistics_bytes(self) -> int:
        """The size of a dropped statistics entry in a commit or abort (xl_xact_stats_item)."""
        return 16 if self.number >= 180000 else 12

    @property
    def prepares_dropped_statistics(self) -> bool:
        """Whether the head of a prepared transaction counts statistics to drop (twophase.c)."""
        return self.number >= 150000

    @property
    def prepares_origin(self) -> bool:
        """Whether that head tells from where the transaction was replicated."""
        return self.number >= 110000

    @property
    def checkpoint_has_epoch(self) -> bool:
        """Whether a checkpoint splits the next transaction id: epoch, 32 bits (pg_control.h)."""
        return self.number < 120000

    @property
    def checkpoint_tells_wal_level(self) -> bool:
        return self.number >= 170000

    @property
    def database_drop_info(self) -> int:
        """The info bits of DROP DATABASE (XLOG_DBASE_DROP in dbcommands_xlog.h)."""
        return 0x20 if self.number >= 150000 else 0x10

    @property
    def database_drop_counts_tablespaces(self) -> bool:
        """One record for all tablespaces of a dropped database; before, one for each."""
        return self.number >= 130000

    @property
    def checkpoint_time_offset(self) -> int:
        """Where a checkpoint's time lies in its record (CheckPoint, pg_control.h).

        From 12 on the next transaction id has 64 bits before it.
        """
        return 64 if self.number >= 120000 else 56

    @property
    def marks_images_to_restore(self) -> bool:
        """Whether images tell apart whether recovery restores them; before, it always does."""
        return self.number >= 100000

    @property
    def image_apply_flag(self) -> int:
        """The BKPIMAGE_ flag of an image that recovery restores."""
        return 0x02 if self.number >= 150000 else 0x04

    @property
    def image_compressions(self) -> tuple[tuple[int, str], ...]:
        """The BKPIMAGE_ flags of the ways to compress an image."""
        if self.number >= 150000:
            return ((0x04, "pglz"), (0x08, "lz4"), (0x10, "zstd"))
        return ((0x02, "pglz"),)

    @property
    def prune_tells_by_flags(self) -> bool:
        """Whether one kind of record prunes, vacuums and freezes (xl_heap_prune, from 17 on)."""
        return self.number >= 170000

    @property
    def vacuum_has_own_record(self) -> bool:
        """Whether HEAP2 0x20 is XLOG_HEAP2_VACUUM, as long as pruning does not tell by flags.

        Before 14 it freezes.
        """
        return self.number >= 140000

    @property
    def transaction_status_directory(self) -> str:
        return "pg_xact" if self.number >= 100000 else "pg_clog"


def version_of_magic(magic: int) -> str | None:
    """The major version whose WAL pages begin with `magic`, or None.

    >>> version_of_magic(0xD110)
    '15'
    """
    for major, known in _WAL_MAGIC.items():
        if known == magic:
            return major
    return None
