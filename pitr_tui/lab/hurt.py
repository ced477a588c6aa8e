"""Breaks what a recovery needs: segments of the archive, and backups."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.lab.ground import Ground
from pitr_tui.lab.scenario import BackupDamage
from pitr_tui.lab.truth import WalBroken
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.backups import open_backup
from pitr_tui.wal.header import HEADER_BYTES

_DAMAGED_WORDS = 4096  # of four bytes: two pages
_ROUNDS = 12  # checkpoints after which a segment has to be gone from pg_wal
_SECONDS = 30
_POLL = 0.1


def hurt_wal(ground: Ground, lsn: Lsn, *, missing: bool, cancel: threading.Event) -> WalBroken:
    """Remove or damage the archived segment that holds `lsn`, which is left nowhere else.

    Raises PitrError when the primary keeps it, CancelledError.
    """
    facts = ground.primary.facts()
    segment = WalSegment.at(lsn, facts.timeline, facts.segment_size)
    archived = ground.archive_directory / segment.name
    _forget(ground, segment, cancel)
    with _told(archived):
        if missing:
            archived.unlink()
        else:
            _overwrite(archived)
    return WalBroken(segment.name, segment.start, segment.end, segment.timeline, missing)


def hurt_backup(path: Path, how: BackupDamage) -> None:
    """Damage a backup that is a plain directory. Raises PitrError when it is damaged already."""
    version = open_backup(path).version
    with _told(path):
        match how:
            case BackupDamage.NO_LABEL:
                (path / "backup_label").unlink()
            case BackupDamage.NO_CONTROL:
                (path / "global" / "pg_control").unlink()
            case BackupDamage.LOST_FILE:
                # Before 13 there is no manifest, and only an essential directory is missed.
                shutil.rmtree(path / version.transaction_status_directory)


def archived_end(ground: Ground) -> Lsn:
    """Where the archive ends on the primary's timeline. Raises PitrError."""
    segments = [one for one in ground.archive.listing().segments if int(one.timeline) == 1]
    if not segments:
        raise PitrError("nothing was archived before the primary's disk was lost")
    return max(segments).end


def _forget(ground: Ground, segment: WalSegment, cancel: threading.Event) -> None:
    """Let the primary give up a segment: behind a checkpoint it needs none before."""
    server = ground.server
    kept = server.data_directory / server.version.wal_directory / segment.name
    deadline = time.monotonic() + _SECONDS
    for _ in range(_ROUNDS):
        if not kept.exists():
            return
        ground.prove_archiving(cancel)
        server.database.rows("CHECKPOINT")
        if time.monotonic() > deadline:
            break
        if cancel.wait(_POLL):
            raise CancelledError("the lab was cancelled")
    if kept.exists():
        raise PitrError(
            f"the primary keeps segment {segment.name}",
            "so the archive cannot be the only one to lack it",
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system says against it, as PitrError: mostly that an earlier step took it away."""
    try:
        yield
    except FileNotFoundError as error:
        raise PitrError(
            f"{path.name} cannot be hurt again",
            f"{error.filename} is not there any more",
            "an earlier step has taken it away: leave one of the two out",
        ) from error
    except OSError as error:
        raise PitrError(f"{path} cannot be hurt", str(error.strerror)) from error


def _overwrite(path: Path) -> None:
    """As a bad disk gives it back: the same length and the same head, with other bytes behind it.

    They begin where the first record does, so that none of the segment can be replayed.
    """
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES)
        file.write(b"\xde\xad\xbe\xef" * _DAMAGED_WORDS)
