"""Is what was copied what was checked? Between the two, hours may lie, and other people."""

from __future__ import annotations

from pitr_tui.errors import PitrError
from pitr_tui.postgres.label import BackupLabel
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.wholeness import look_whole
from pitr_tui.storage.path import ReadPath

_LABEL = "backup_label"


def require_as_checked(backup: Backup, directory: ReadPath) -> None:
    """Raises PitrError for a backup that has changed under the copy into a data directory.

    Without its label the server would take the copy for its own crash, and begin anywhere;
    where a file was missing, it would find out much later, or never.
    """
    try:
        label = BackupLabel.parse((directory / _LABEL).read_bytes().decode("utf-8", "replace"))
    except FileNotFoundError as error:
        raise _changed(f"its {_LABEL} is gone") from error
    if label != backup.label:
        raise _changed(f"its {_LABEL} is another one: it starts at {label.start_lsn}")
    try:
        seen = look_whole(backup)
    except OSError as error:
        raise _changed(f"{error.filename}: {error.strerror}") from error
    if seen is not None and seen.lost:
        more = f", and {len(seen.lost) - 1} more like it" if len(seen.lost) > 1 else ""
        raise _changed(f"{seen.lost[0]}{more}")


def _changed(why: str) -> PitrError:
    return PitrError(
        "the backup is not what it was when it was checked",
        why,
        "find out who changes it, and use another backup",
    )
