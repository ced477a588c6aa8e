"""Where PostgreSQL's manual says so: the pages of each major version, by their real names.

Source: the pages of postgresql.org/docs, whose anchors are the identifiers in doc/src/sgml.
"""

from __future__ import annotations

from enum import Enum

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.teaching.values import ManualSection

_SITE = "https://www.postgresql.org/docs"


class Page(Enum):
    """A section that every version has under the same title and name."""

    WAL = ("Write-Ahead Logging (WAL)", "wal-intro.html")
    ARCHIVING = ("Setting Up WAL Archiving", "continuous-archiving.html#BACKUP-ARCHIVING-WAL")
    ARCHIVING_SETTINGS = ("Archiving", "runtime-config-wal.html#RUNTIME-CONFIG-WAL-ARCHIVING")
    BASE_BACKUP = ("Making a Base Backup", "continuous-archiving.html#BACKUP-BASE-BACKUP")
    LOW_LEVEL_BACKUP = (
        "Making a Base Backup Using the Low Level API",
        "continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP",
    )
    RECOVERING = (
        "Recovering Using a Continuous Archive Backup",
        "continuous-archiving.html#BACKUP-PITR-RECOVERY",
    )
    TIMELINES = ("Timelines", "continuous-archiving.html#BACKUP-TIMELINES")
    CAVEATS = ("Caveats", "continuous-archiving.html#CONTINUOUS-ARCHIVING-CAVEATS")
    PG_BASEBACKUP = ("pg_basebackup", "app-pgbasebackup.html")
    BACKUP_FUNCTIONS = (
        "Backup Control Functions",
        "functions-admin.html#FUNCTIONS-ADMIN-BACKUP",
    )
    RECOVERY_FUNCTIONS = (
        "Recovery Control Functions",
        "functions-admin.html#FUNCTIONS-RECOVERY-CONTROL",
    )
    READING_IN_RECOVERY = ("User's Overview (Hot Standby)", "hot-standby.html#HOT-STANDBY-USERS")
    MINIMUMS = ("Administrator's Overview (Hot Standby)", "hot-standby.html#HOT-STANDBY-ADMIN")
    PASSWORD_FILE = ("The Password File", "libpq-pgpass.html")
    ARCHIVER = ("pg_stat_archiver View", "monitoring-stats.html#PG-STAT-ARCHIVER-VIEW")


def pages(version: PostgresVersion, *wanted: Page) -> tuple[ManualSection, ...]:
    """Sections of this major's manual."""
    return tuple(_section(version, *page.value) for page in wanted)


def recovery_target(version: PostgresVersion) -> ManualSection:
    """Where the settings are told that say where a recovery stops."""
    if version.uses_recovery_conf:
        return _section(version, "Recovery Target Settings", "recovery-target-settings.html")
    return _section(
        version, "Recovery Target", "runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET"
    )


def archive_recovery(version: PostgresVersion) -> ManualSection:
    """Where restore_command is told."""
    if version.uses_recovery_conf:
        return _section(version, "Archive Recovery Settings", "archive-recovery-settings.html")
    return _section(
        version, "Archive Recovery", "runtime-config-wal.html#RUNTIME-CONFIG-WAL-ARCHIVE-RECOVERY"
    )


def backup_manifest(version: PostgresVersion) -> tuple[ManualSection, ...]:
    """The checksums of a backup's files, and the program that compares them."""
    if not version.writes_backup_manifest:
        return ()
    return (
        _section(version, "pg_verifybackup", "app-pgverifybackup.html"),
        _section(version, "Backup Manifest Format", "backup-manifest-format.html"),
    )


def reading_wal(version: PostgresVersion) -> ManualSection:
    """The program that prints WAL records."""
    tool = version.wal_dump_tool
    return _section(version, tool, f"{tool.replace('_', '')}.html")


def receiving_wal(version: PostgresVersion) -> ManualSection:
    """The program that takes WAL from a running server."""
    tool = version.wal_receiver_tool
    return _section(version, tool, f"app-{tool.replace('_', '')}.html")


def _section(version: PostgresVersion, title: str, page: str) -> ManualSection:
    return ManualSection(title, f"{_SITE}/{version.major}/{page}")
