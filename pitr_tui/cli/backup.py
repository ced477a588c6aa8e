"""`pitr backup take` and `pitr backup list`."""

from __future__ import annotations

import argparse
import atexit
import threading
from pathlib import Path

from pitr_tui.cli.connection import primary_of, server_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.places import read_with_any_image
from pitr_tui.cli.signals import cancelling
from pitr_tui.errors import UsageError
from pitr_tui.recovery.backup import (
    BackupOrder,
    Compression,
    backup_remark,
    finished_backup,
    take_backup,
)
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat, BrokenBackup, list_backups
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.location import engine_location
from pitr_tui.wording import size_text


def take(parsed: argparse.Namespace, output: Output) -> int:
    """Take a base backup into a new directory, here or behind the Docker engine."""
    server = server_of(parsed)
    if server is not None:
        return _take_of_container(parsed, server, output)
    if engine_location(parsed.to) is not None:
        raise UsageError(
            f"{parsed.to} is behind a Docker engine, and the server is not",
            "a helper container of the server's own image would write there",
            "name the server's container with --docker, or a directory of this machine",
        )
    primary = primary_of(parsed)
    order = BackupOrder(
        primary.database,
        primary.facts(),
        Path(parsed.to).absolute(),
        BackupFormat(parsed.format),
        Compression(parsed.compress),
        parsed.label,
    )
    _announce(order.describe(), (backup_remark(order),), output)
    cancel = threading.Event()
    with cancelling(cancel):
        for progress in take_backup(order, cancel):
            _progress(progress, output)
    _taken(finished_backup(order), output, {})
    return 0


def _take_of_container(parsed: argparse.Namespace, server: ContainerServer, output: Output) -> int:
    """Take it by a helper container, and say whether its checksums were verified."""
    from pitr_tui.recovery.container_backup import (
        ContainerBackupOrder,
        Verified,
        finished_container_backup,
        take_container_backup,
    )

    order = ContainerBackupOrder(
        server,
        primary_of(parsed).facts(),
        engine_location(parsed.to) or Path(parsed.to).absolute(),
        BackupFormat(parsed.format),
        Compression(parsed.compress),
        parsed.label,
    )
    _announce(order.describe(), (backup_remark(order), order.remark()), output)
    verified = Verified(False, "")
    cancel = threading.Event()
    with cancelling(cancel):
        for one in take_container_backup(order, cancel):
            if isinstance(one, Verified):
                verified = one
            else:
                _progress(one, output)
    facts = {"verified": verified.done, "verified_by": verified.words}
    backup = finished_container_backup(order)
    if isinstance(backup.path, EnginePath):
        atexit.register(backup.path.tree.helper.close)
    _taken(backup, output, facts)
    output.say(f"  ✓ {verified.words}" if verified.done else f"  not verified: {verified.words}")
    return 0


def _announce(command: str, remarks: tuple[str, ...], output: Output) -> None:
    """What will be run, and what a person should know of it."""
    said = [one for one in remarks if one]
    output.fact({"event": "BackupPlan", "command": command, "remarks": said})
    for line in (command, *said):
        output.say(line)


def _progress(progress: Progress, output: Output) -> None:
    output.progress("base backup", progress.done, progress.total, "byte")
    output.fact({"event": "Progress", "done": progress.done, "total": progress.total})


def _taken(backup: Backup, output: Output, more: dict[str, object]) -> None:
    output.fact({"event": "BackupTaken", **_described(backup), **more})
    output.say(f"✓ {backup.path}: {size_text(backup.total_bytes)}, from {backup.label.start_lsn}")


def listing(parsed: argparse.Namespace, output: Output) -> int:
    """Show every backup of a place, and why one cannot be used."""
    archive = (
        WalArchive(read_with_any_image(parsed, str(parsed.archive))) if parsed.archive else None
    )
    found = list_backups(read_with_any_image(parsed, parsed.directory), archive)
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
