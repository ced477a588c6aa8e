"""What a base backup says of itself: backup_label, backup history file and manifest.

Source: src/backend/access/transam/xlogbackup.c, src/common/parse_manifest.c.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId

_BAD_TEXT = (ValueError, RecursionError)  # what json.loads raises
_LOCATION = re.compile(r"(?P<lsn>[0-9A-Fa-f]+/[0-9A-Fa-f]+)(?: \(file (?P<file>[0-9A-F]{24})\))?")


@dataclass(frozen=True, slots=True)
class BackupLabel:
    """The start of a backup; for a backup history file also its end.

    Times are kept as the server wrote them, in its own log_timezone and whole seconds.
    """

    start_lsn: Lsn
    start_file: str
    checkpoint_lsn: Lsn
    start_time: str
    label: str
    timeline: TimelineId
    from_standby: bool
    incremental: bool
    stop_lsn: Lsn | None = None
    stop_time: str | None = None

    @classmethod
    def parse(cls, text: str) -> BackupLabel:
        """Read backup_label or `<segment>.<offset>.backup`. Raises PitrError."""
        fields = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
        try:
            start = _LOCATION.fullmatch(fields["START WAL LOCATION"])
            if start is None or start["file"] is None:
                raise ValueError(fields["START WAL LOCATION"])
            stop = _LOCATION.match(fields.get("STOP WAL LOCATION", ""))
            return cls(
                start_lsn=Lsn.parse(start["lsn"]),
                start_file=start["file"],
                checkpoint_lsn=Lsn.parse(fields["CHECKPOINT LOCATION"]),
                start_time=fields.get("START TIME", ""),
                label=fields.get("LABEL", ""),
                timeline=TimelineId(int(start["file"][:8], 16)),
                from_standby=fields.get("BACKUP FROM") == "standby",
                incremental="INCREMENTAL FROM LSN" in fields,
                stop_lsn=Lsn.parse(stop["lsn"]) if stop else None,
                stop_time=fields.get("STOP TIME"),
            )
        except (KeyError, ValueError, PitrError) as error:
            raise PitrError(
                "the backup's label cannot be read",
                f"it does not tell where the backup starts ({error})",
                "the backup is damaged or was not made by PostgreSQL: use another one",
            ) from error


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """The parts of backup_manifest (13+) that a recovery needs."""

    system_identifier: int | None  # version 2 manifests (17+) only
    file_count: int
    total_bytes: int
    end_lsn: Lsn | None

    @classmethod
    def parse(cls, text: str) -> BackupManifest:
        """Read a manifest. Raises PitrError when it is not one."""
        try:
            data = json.loads(text)
            files = data["Files"]
            ends = [Lsn.parse(span["End-LSN"]) for span in data.get("WAL-Ranges", [])]
            return cls(
                data.get("System-Identifier"),
                len(files),
                sum(file["Size"] for file in files),
                max(ends, default=None),
            )
        except (LookupError, TypeError, AttributeError, *_BAD_TEXT, PitrError) as error:
            raise PitrError(
                "the backup's manifest cannot be read",
                str(error),
                "the backup is damaged: use another one",
            ) from error
