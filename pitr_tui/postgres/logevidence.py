"""Held against each other: what two lines of a log say, a target and a stop, a name and a place."""

from __future__ import annotations

from pitr_tui.errors import UsageError
from pitr_tui.postgres.logline import Observation
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import from_server
from pitr_tui.postgres.target import Stop
from pitr_tui.postgres.walname import WalSegment


def segment_size(first: str, start: Lsn) -> int | None:
    """The size of segments with which the first one delivered holds the begin of the replay.

    Up to a size the names are the same whatever it is, and then any such size will do.
    """
    for size in (16 << 20, *(1 << power for power in range(20, 31))):
        try:
            segment = WalSegment.parse(first, size)
        except UsageError:
            continue
        if segment.start <= start < segment.end:
            return size
    return None


def meets(aim: Observation, stop: Stop) -> bool:
    """Whether the server can have stopped there on its way to this target."""
    match aim.what:
        case "xid":
            return stop.what in ("commit", "abort") and stop.xid == aim.xid
        case "name":
            return stop.what == "restore point" and stop.name == aim.name
        case "lsn":
            return stop.what == "lsn" and (stop.lsn or Lsn(0)) >= (aim.lsn or Lsn(0))
        case "immediate":
            return stop.what == "consistency"
        case "time":
            return stop.what in ("commit", "abort") and not is_earlier(stop.time, aim.time)
        case _:
            return False


def is_earlier(time: str | None, aim: str | None) -> bool:
    """Whether the first of two times is certainly before the second."""
    try:
        return from_server(time or "") < from_server(aim or "")
    except (ValueError, OverflowError):
        return False
