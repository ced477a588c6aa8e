"""Small things made by hand: WAL segments, labels, control files, backups and archives.

Segments have one megabyte, the smallest size that PostgreSQL allows, to be quick.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import Latest, RecoveryTarget, TargetAction
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import OsUser

DATA = Path(__file__).parents[1] / "data"
SERVER_LOGS = DATA / "server-logs"
LOG_MAJORS = ("9.6", "10", "12", "13", "15", "18")

MEGABYTE = 1 << 20
SYSTEM = 7711016176074235882
MAGIC_18 = 0xD118
SHELLS = [
    shell
    for shell in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"])
    if shutil.which(shell[0])
]


def segment(number: int, timeline: int = 1, size: int = MEGABYTE) -> WalSegment:
    return WalSegment(TimelineId(timeline), number, size)


def header_bytes(
    of: WalSegment,
    *,
    magic: int = MAGIC_18,
    info: int = 0x0002,
    timeline: int | None = None,
    page: int | None = None,
    system: int = SYSTEM,
    size: int | None = None,
) -> bytes:
    """The 40 bytes of a long page header (XLogLongPageHeaderData), right unless told otherwise."""
    return struct.pack(
        "<HHIQI4xQII",
        magic,
        info,
        of.timeline if timeline is None else timeline,
        of.start if page is None else page,
        0,
        system,
        of.size if size is None else size,
        8192,
    )


def segment_bytes(of: WalSegment, *, system: int = SYSTEM, page: int | None = None) -> bytes:
    """A whole segment: its header, and its name so that two are never the same."""
    head = header_bytes(of, system=system, page=page) + of.name.encode()
    return head.ljust(of.size, b"\0")


def make_archive(directory: Path, *segments: WalSegment) -> WalArchive:
    """An archive directory that holds these segments, whole and right."""
    directory.mkdir(exist_ok=True)
    for one in segments:
        (directory / one.name).write_bytes(segment_bytes(one))
    return WalArchive(directory)


def label_text(start: str = "0/200028", file: str = segment(2).name, extra: str = "") -> str:
    return (
        f"START WAL LOCATION: {start} (file {file})\n"
        "CHECKPOINT LOCATION: 0/200080\n"
        "BACKUP METHOD: streamed\n"
        "BACKUP FROM: primary\n"
        "START TIME: 2026-11-22 14:43:40 UTC\n"
        "LABEL: nightly: the first\n"
        f"START TIMELINE: 1\n{extra}"
    )


def backup_history_text(stop: str = "0/200120") -> str:
    """What the archive's `.backup` file says of the backup that `label_text` labels."""
    return label_text(
        extra=f"STOP WAL LOCATION: {stop} (file {segment(2).name})\n"
        "STOP TIME: 2026-11-22 14:43:41 UTC\nSTOP TIMELINE: 1\n"
    )


BACKUP_HISTORY_NAME = f"{segment(2).name}.00000028.backup"


def control_bytes(
    system: int = SYSTEM,
    catalog: int = 202506291,
    seconds: int = 1_795_358_620,
    checkpoint: int = 0x200080,
) -> bytes:
    """A pg_control file: the head that we read, and zeros up to its 8192 bytes."""
    return struct.pack("<QIII4xqQ", system, 1800, catalog, 6, seconds, checkpoint).ljust(
        8192, b"\0"
    )


def backup_files() -> dict[str, bytes]:
    """The files of a small backup by their names."""
    return {
        "PG_VERSION": b"18\n",
        "backup_label": label_text().encode(),
        "base/1/1259": b"a table" * 5000,
        "global/pg_control": control_bytes(),
        "postgresql.conf": b"# r\xe9glages\nport = 5432\n",
    }


def write_files(directory: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def plain_backup(directory: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """A backup in plain format, with one segment of WAL in it."""
    write_files(directory, backup_files() if files is None else files)
    return write_files(directory, {f"pg_wal/{segment(2).name}": segment_bytes(segment(2))})


def tar_bytes(files: Mapping[str, bytes], *others: tarfile.TarInfo) -> bytes:
    """A tar with these files, and with `others`, which have no content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for other in others:
            tar.addfile(other)
    return buffer.getvalue()


def tar_member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def backup_value(path: Path, version: str = "18.6", **changes: object) -> Backup:
    """A `Backup` made by hand, that starts at 0/200028 on timeline 1 and ends at 0/200120."""
    fields = {
        "path": path,
        "format": BackupFormat.PLAIN,
        "version": PostgresVersion.parse(PostgresVersion.parse(version).major),
        "system_identifier": SYSTEM,
        "label": BackupLabel.parse(label_text()),
        "total_bytes": 1000,
        "restored_bytes": 1000,
        "segment_size": MEGABYTE,
        "stop_lsn": Lsn.parse("0/200120"),
        "stop_time": "2026-11-22 14:43:41 UTC",
    } | changes
    return Backup(**fields)  # type: ignore[arg-type]


def make_plan(
    place: Path,
    version: str = "18.6",
    target: RecoveryTarget | None = None,
    action: TargetAction | None = None,
    *,
    archive: WalArchive | None = None,
    backup: Backup | None = None,
    destination: Path | None = None,
    timeline: int | None = None,
    port: int | None = None,
) -> RecoveryPlan:
    """A plan whose programs, of any version, need not exist."""
    target = target or Latest()
    default = TargetAction.PROMOTE if isinstance(target, Latest) else TargetAction.PAUSE
    return RecoveryPlan(
        backup=backup or backup_value(place / "backup", version),
        archive=archive or make_archive(place / "archive"),
        secondary=LocalSecondary(
            destination or place / "secondary",
            Installation(place / "bin", PostgresVersion.parse(version)),
            OsUser.current(),
            port,
        ),
        target=target,
        action=action or default,
        timeline=TimelineId(timeline) if timeline else None,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for what another process or thread does, as briefly as it can be."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        os.sched_yield()
