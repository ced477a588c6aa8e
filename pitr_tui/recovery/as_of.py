"""Of which moment a recovered database is, in one sentence that says no more than is known."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pitr_tui.postgres.moment import from_server
from pitr_tui.postgres.target import Stop
from pitr_tui.recovery.events import CutKnown
from pitr_tui.recovery.state import RunView

_TIME_TARGET = re.compile(r"(?:up to|just before) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*)")
_NO_TIME = "2000-"  # what PostgreSQL prints for none


def as_of(view: RunView, last: datetime | None = None) -> str:
    """The sentence. `last` is the time of the last transaction, as the server tells it.

    What lies on the two sides of the stop is told as the WAL was read before, where that fits
    to what the server says of its stop; else only what the server says.
    """
    last = last or server_time(view.last_transaction)
    if view.stop is None:
        return _at_the_end(view, last)
    cut = view.cut if view.cut is not None and agrees(view.cut, view.stop, last) else None
    when, day = _when(view, view.stop, cut, last)
    parts = [f"This is the database as of {when}", *_neighbours(view.stop, cut, day)]
    return ", ".join(parts) + "."


def agrees(cut: CutKnown, stop: Stop, last: datetime | None = None) -> bool:
    """Whether the server stopped where the WAL was expected to be cut."""
    at = stop_time(stop)
    if stop.what == "commit":
        xid, time = cut.last_kept_xid, cut.last_kept_time
        if stop.before:
            xid, time = cut.first_lost_xid, cut.first_lost_time
        return stop.xid == xid and (at is None or at == time)
    return _lies_between(cut, at or last)


def stop_time(stop: Stop) -> datetime | None:
    """The time in a `recovery stopping` line, if it has one."""
    return server_time(stop.time) if stop.time and not stop.time.startswith(_NO_TIME) else None


def clock(moment: datetime, day: datetime | None = None) -> str:
    """A moment in UTC, as precise as it is; without its date on a day that was told before.

    >>> noon = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
    >>> clock(noon), clock(noon, noon)
    ('2026-11-22 12:00:00.25 UTC', '12:00:00.25')
    """
    told = moment.astimezone(UTC)
    time = f"{told:%H:%M:%S.%f}".rstrip("0").removesuffix(".")
    if day is not None and day.astimezone(UTC).date() == told.date():
        return time
    return f"{told:%Y-%m-%d} {time} UTC"


def _at_the_end(view: RunView, last: datetime | None) -> str:
    """Without a stop: the end of the archive, or nothing that could be trusted."""
    if view.aims_at_stop:
        return (
            "Nobody can say of which moment this database is: the server never said that it "
            f"stops where it was to ({view.target})."
        )
    cut = view.cut
    after = f", after the transaction of {clock(last)}" if last is not None else ""
    if cut is not None and last is not None and last == cut.last_kept_time:
        after = f", after transaction {cut.last_kept_xid} ({clock(last)})"
    return f"This is the database as of the end of the archived WAL{after}."


def _when(
    view: RunView, stop: Stop, cut: CutKnown | None, last: datetime | None
) -> tuple[str, datetime | None]:
    """The moment in words, with its day."""
    asked = _TIME_TARGET.match(view.target)
    if asked:
        time = datetime.fromisoformat(asked[1])
        return clock(time), time
    at = stop_time(stop)
    if stop.what == "restore point":
        return f"restore point {stop.name!r}" + (f", {clock(at)}" if at else ""), at
    if at is not None:
        return ("just before " if stop.before else "") + clock(at), at
    where = "the end of the backup" if stop.what == "consistency" else str(stop)
    time_there = last or (cut.last_kept_time if cut else None)
    if stop.what == "lsn" and time_there is not None:
        return f"{where}, {clock(time_there)}", time_there
    return where, None


def _neighbours(stop: Stop, cut: CutKnown | None, day: datetime | None) -> list[str]:
    """The transactions on both sides of the stop."""
    if cut is None:
        if stop.xid is None or stop.what != "commit":
            return []
        return [f"{'before' if stop.before else 'after'} transaction {stop.xid}"]
    parts = []
    if cut.last_kept_xid is not None:
        time = f" ({clock(cut.last_kept_time, day)})" if cut.last_kept_time else ""
        parts.append(f"after transaction {cut.last_kept_xid}{time}")
    if cut.first_lost_xid is not None:
        times = [clock(cut.first_lost_time, day)] if cut.first_lost_time else []
        told = ", ".join([*times, cut.first_lost_deed]).removesuffix(", ")
        parts.append(f"before transaction {cut.first_lost_xid} ({told})")
    return parts


def _lies_between(cut: CutKnown, at: datetime | None) -> bool:
    """Whether a moment lies between the last kept and the first lost transaction."""
    if at is None:
        return False
    kept, lost = cut.last_kept_time, cut.first_lost_time
    return (kept is None or kept <= at) and (lost is None or at < lost)


def server_time(text: str) -> datetime | None:
    """A time in a line of a server's log, which may be in a zone that is not known here."""
    try:
        return from_server(text)
    except ValueError:
        return None
