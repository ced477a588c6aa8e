"""`pitr backup take` and `pitr backup list`."""

from __future__ import annotations

import argparse

from pitr_tui.cli.connection import primary_of
from pitr_tui.cli.output import Output
from pitr_tui.recovery.backup import BackupOrder, finished_backup, take_backup
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat, BrokenBackup, list_backups
from pitr_tui.wording import size_text


def take(parsed: argparse.Namespace, output: Output) -> int:
    """Take a base backup into a new directory."""
    primary = primary_of(parsed)
    order = BackupOrder(
        primary.database,
        primary.facts(),
        parsed.to.absolute(),
        BackupFormat(parsed.format),
        parsed.gzip,
        parsed.label,
    )
    output.say(order.describe())
    for progress in take_backup(order):
        output.progress("base backup", progress.done, progress.total, "byte")
        output.fact({"event": "Progress", "done": progress.done, "total": progress.total})
    backup = finished_backup(order)
    output.fact({"event": "BackupTaken", **_described(backup)})
    output.say(f"✓ {backup.path}: {size_text(backup.total_bytes)}, from {backup.label.start_lsn}")
    return 0


def listing(parsed: argparse.Namespace, output: Output) -> int:
    """Show every backup of a directory, and why one cannot be used."""
    archive = WalArchive(parsed.archive) if parsed.archive else None
    found = list_backups(parsed.directory, archive)
    for one in found:
        if isinstance(one, BrokenBackup):
            output.fact(
                {
                    "event": "BrokenBackup",
                    "path": one.path,
                    "what": one.problem.what,
                    "why": one.problem.why,
                }
            )
            output.say(f"✗ {one.path.name}: {one.problem.what}: {one.problem.why}")
            continue
        output.fact({"event": "Backup", **_described(one)})
        output.say(
            f"  {one.name:<24} {one.label.start_time:<24} PostgreSQL {one.version.major:<4} "
            f"{one.format:<6} {size_text(one.total_bytes):>9}"
        )
        output.say(
            f"  {'':<24} {one.label.start_lsn} to {one.stop_lsn or 'an unknown end'}, "
            f"timeline {one.label.timeline}, {one.label.label!r}"
        )
    if not found:
        output.say(f"There is no base backup in {parsed.directory}.")
    return 0


def _described(backup: Backup) -> dict[str, object]:
    return {
        "path": str(backup.path),
        "format": backup.format,
        "version": backup.version.major,
        "system_identifier": backup.system_identifier,
        "label": backup.label.label,
        "timeline": int(backup.label.timeline),
        "start_lsn": str(backup.label.start_lsn),
        "stop_lsn": str(backup.stop_lsn) if backup.stop_lsn else None,
        "start_time": backup.label.start_time,
        "stop_time": backup.stop_time,
        "bytes": backup.total_bytes,
    }
