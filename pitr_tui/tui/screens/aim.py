"""What a person aims at, between typed text and a recovery target: pure, so easily tested."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import parse_moment
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.tui.screens.zones import Zone
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wording import duration_text

EXAMPLES = "14:35   yesterday 14:35   10 min ago   0/3002448   xid 728   latest"

_SIDE = re.compile(r"(?:just\s+)?(before|after|until|up\s+to)\s+(.+)", re.I)
_XID = re.compile(r"(?:(?:xid|transaction|txid)\s+)?(\d+)", re.I)
_LSN = re.compile(r"(?:lsn\s+)?([0-9a-f]{1,8}/[0-9a-f]{1,8})", re.I)
_NAME = re.compile(r"(?:restore\s+point|name)\s+(.+)", re.I)
_LATEST = ("latest", "end", "the end", "end of wal", "end of the wal", "everything")
_IMMEDIATE = ("immediate", "end of backup", "end of the backup", "backup")


@dataclass(frozen=True, slots=True)
class Typed:
    """A target that was typed, and the whole 64 bits of an xid that has more than 32."""

    target: RecoveryTarget
    full_xid: int | None = None

    def require_in(self, story: Chronicle | None) -> None:
        """Raises UsageError for a transaction whose last 32 bits are those of another one here."""
        if story is None or self.full_xid is None or not isinstance(self.target, AtXid):
            return
        entry = story.entry_of(self.target.xid)
        known = int(story.full_xids[entry]) if entry is not None else 0
        if known and known != self.full_xid:
            raise UsageError(
                f"transaction {self.full_xid} is not in the WAL that was read",
                f"the one there with the same last 32 bits is {known}",
            )


def read_target(text: str, zone: tzinfo, now: datetime, names: Collection[str] = ()) -> Typed:
    """Read what was typed into the one field. `names` are the restore points that are known.

    `before` or `after` in front of it says on which side of a transaction, a position or a
    time to stop; without it just before the first two, and after what was done at the time.
    Raises UsageError in words for the person.

    >>> read_target("after xid 728", UTC, datetime.now(UTC)).target
    AtXid(xid=728, inclusive=True)
    >>> read_target("end of backup", UTC, datetime.now(UTC)).target
    Immediate()
    """
    text = " ".join(text.split())
    if not text:
        raise UsageError("nothing is typed yet", "", EXAMPLES)
    as_name, as_other = text in names, _plain(text.lower())
    if as_name and as_other is not None:
        raise UsageError(
            f"{text!r} is the name of a restore point, too",
            "it could mean either",
            f"type `restore point {text}`, or `xid {text}`",
        )
    if as_name:
        return Typed(AtName(text))
    if as_other is not None:
        return as_other
    if named := _NAME.fullmatch(text):
        return Typed(AtName(named[1].strip("'\"")))
    side, rest = "", text
    if sided := _SIDE.fullmatch(text):
        side, rest = " ".join(sided[1].lower().split()), sided[2]
    if position := _LSN.fullmatch(rest):
        return Typed(AtLsn(Lsn.parse(position[1]), side in ("after", "until", "up to")))
    if (number := _XID.fullmatch(rest)) and number[1].isascii():
        xid = int(number[1])
        full = xid if xid >> 32 else None
        return Typed(AtXid(xid, side in ("after", "until", "up to")), full)
    return Typed(AtTime(_moment(rest, zone, now, names), side != "before"))


def _plain(text: str) -> Typed | None:
    """What needs no words beside it."""
    if text in _LATEST:
        return Typed(Latest())
    if text in _IMMEDIATE:
        return Typed(Immediate())
    if text.isascii() and text.isdigit():
        return Typed(AtXid(int(text), False), int(text) if int(text) >> 32 else None)
    return None


def _moment(text: str, zone: tzinfo, now: datetime, names: Collection[str]) -> datetime:
    try:
        return parse_moment(text, zone, now)
    except UsageError as error:
        if any(letter.isdigit() for letter in text) and not names:
            raise
        near = [name for name in names if text.lower() in name.lower()]
        if near:
            raise UsageError(
                f"{text!r} is not a time", "", f"is the restore point {near[0]!r} meant?"
            ) from error
        if any(letter.isdigit() for letter in text):
            raise
        raise UsageError(
            f"{text!r} is no time, no position, no transaction and no known restore point",
            "",
            f"{EXAMPLES}   restore point NAME",
        ) from error


def keep_and_lose(target: RecoveryTarget, zone: tzinfo) -> tuple[str, str]:
    """What the recovered server will have and will not have, as far as the target itself says."""
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


def echo(target: RecoveryTarget, zones: Sequence[Zone], now: datetime) -> str:
    """What was understood, a time in every zone: nobody has to trust a guess.

    >>> at = AtTime(datetime(2026, 11, 22, 14, 35, tzinfo=UTC))
    >>> echo(at, [Zone(UTC, "UTC")], datetime(2026, 11, 22, 15, tzinfo=UTC))
    'Sun 2026-11-22 14:35:00 UTC, 25 min 0 s ago'
    """
    if not isinstance(target, AtTime):
        return str(target)
    first, *others = [_in_zone(target.time, one, whole=True) for one in (Zone(UTC, "UTC"),)]
    others += [_in_zone(target.time, one) for one in zones if one.zone is not UTC]
    ago = f", {distance(target.time, now)}" if target.time <= now else ""
    return f"{' · '.join((first, *others))}{ago}"


def _in_zone(time: datetime, zone: Zone, whole: bool = False) -> str:
    there = time.astimezone(zone.zone)
    clock = f"{there:%H:%M:%S.%f}".rstrip("0").rstrip(".") if time.microsecond else f"{there:%X}"
    if whole:
        return f"{there:%a %Y-%m-%d} {clock} {zone.name}"
    day = f"{there:%a} " if there.date() != time.astimezone(UTC).date() else ""
    whose = zone.whose or zone.name
    return f"{day}{clock}{there:%z} {whose}"


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
