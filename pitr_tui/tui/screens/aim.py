"""What a person aims at, between typed text and a recovery target: pure, so easily tested."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from pitr_tui.errors import PitrError, UsageError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import parse_moment, zone_named
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.repositories.backups import Backup
from pitr_tui.wording import duration_text

KINDS = {
    "time": "a time you type",
    "xid": "a transaction id",
    "lsn": "a WAL position (LSN)",
    "name": "a restore point, by its name",
    "immediate": "the end of the backup",
    "latest": "the end of the archived WAL",
}
EXAMPLES = {
    "time": "14:35   14:35:02.117   2026-11-22 14:35 +01   10 min ago",
    "xid": "728, as txid_current() or log_line_prefix %x gives it",
    "lsn": "0/3002448",
    "name": "before_release, as given to pg_create_restore_point",
}
HAS_SIDES = ("time", "xid", "lsn")


def server_zone(name: str | None) -> tuple[tzinfo, str]:
    """The server's zone and its name; UTC where it has none that can be trusted."""
    if name is None:
        return UTC, "UTC"
    try:
        return zone_named(name), name
    except UsageError:
        return UTC, f"UTC (the server's zone {name} is not known here)"


def read_target(
    kind: str, text: str, inclusive: bool, zone: tzinfo, now: datetime
) -> RecoveryTarget:
    """The target that was typed. Raises UsageError in words for the person."""
    text = text.strip()
    match kind:
        case "latest":
            return Latest()
        case "immediate":
            return Immediate()
        case "xid":
            if not text.isascii() or not text.isdigit():
                raise UsageError(f"{text!r} is not a transaction id", "it is a whole number")
            return AtXid(int(text), inclusive)
        case "lsn":
            return AtLsn(Lsn.parse(text), inclusive)
        case "name":
            return AtName(text)
        case _:
            return AtTime(parse_moment(text, zone, now), inclusive)


def keep_and_lose(target: RecoveryTarget, zone: tzinfo) -> tuple[str, str]:
    """What the recovered server will have, and what it will not."""
    match target:
        case AtTime(time, inclusive):
            at = f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S.%f%z}"
            if inclusive:
                return f"everything committed up to {at}", "everything committed after it"
            return f"everything committed before {at}", "everything committed at or after it"
        case AtXid(xid, inclusive):
            if inclusive:
                return f"all commits up to that of transaction {xid}", "every later commit"
            return f"all commits before that of transaction {xid}", f"{xid} and every later commit"
        case AtLsn(lsn, inclusive):
            side = "up to and with the record at" if inclusive else "before"
            return f"all WAL {side} {lsn}", "all WAL after that"
        case AtName(name):
            return f"everything before the restore point {name!r}", "everything after it"
        case Immediate():
            return "the database as it was when the backup ended", "everything after that"
        case Latest():
            return "everything that is in the archive", "only what was never archived"


def ended_at(backup: Backup) -> datetime | None:
    """When the backup ended (or began, where only that is told); None in an unknown zone."""
    try:
        return parse_moment(backup.stop_time or backup.label.start_time)
    except PitrError:
        return None


def reaches(backup: Backup, target: RecoveryTarget) -> bool:
    """Whether the backup was over before the target, as far as that can be told now."""
    if isinstance(target, AtTime):
        ended = ended_at(backup)
        return ended is None or ended <= target.time
    if isinstance(target, AtLsn):
        return backup.stop_lsn is None or backup.stop_lsn <= target.lsn
    return True


def newest_before(backups: Sequence[Backup], target: RecoveryTarget) -> Backup | None:
    """The newest backup from which the target can be reached: the shortest replay."""
    fitting = [backup for backup in backups if reaches(backup, target)]
    return max(fitting, key=lambda one: one.label.start_lsn, default=None)


def distance(moment: datetime, now: datetime) -> str:
    """How far away a moment is.

    >>> distance(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 2, tzinfo=UTC))
    '2 min 0 s ago'
    """
    seconds = (now - moment).total_seconds()
    if seconds < 0:
        return f"{duration_text(-seconds)} in the FUTURE"
    days = int(seconds // 86_400)
    if days >= 2:
        return f"{days} days ago"
    return f"{duration_text(seconds)} ago"
