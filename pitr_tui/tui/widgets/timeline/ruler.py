"""Round ticks on a stretch of time or of WAL, and their labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.timestamp import from_moment, moment

_SECOND = 1_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND
_STEPS = (
    *(digit * 10**power for power in range(6) for digit in (1, 2, 5)),
    *(count * _SECOND for count in (1, 2, 5, 10, 15, 30)),
    *(count * _MINUTE for count in (1, 2, 5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 3, 6, 12)),
    *(count * _DAY for count in (1, 2, 7, 14)),
)
_MONTH = 30 * _DAY
_MONTHS = (1, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000)
_BLANK = 3  # cells for the sign of a tick, and between a label and the next one
_SHORT = timedelta(days=12)  # over more than this no step is finer than a day


class Tick(NamedTuple):
    """A place on the ruler with its label."""

    at: int
    label: str


def ticks(start: int, span: int, width: int, zone: tzinfo) -> list[Tick]:
    """Ticks at round times of a zone, so far apart that their labels fit into the cells.

    Times are in microseconds since 2000. None beyond the years 1 to 9999.
    """
    first, last = moment(start), moment(start + span)
    if first is None or last is None:
        return []
    try:
        for step in _STEPS:
            room = step * width / span
            if room >= len(_label(first, step)) + _BLANK:
                make = _days if step >= _DAY else _clock_times
                return list(make(first, last, step, zone))
        for months in _MONTHS:
            form = "%b %Y" if months < 12 else "%Y"
            if months * _MONTH * width / span >= len(f"{first:{form}}") + _BLANK:
                return list(_months(first, last, months, zone))
    except OverflowError:  # a clock at the end of all years
        pass
    return []


def positions(start: int, span: int, width: int) -> list[Tick]:
    """Ticks at round positions of the WAL, for an archive that tells no time."""
    step = 1
    while step * width / span < len(str(Lsn(max(0, start + span)))) + _BLANK:
        step *= 2
    first = -(-max(0, start) // step) * step
    return [Tick(at, str(Lsn(at))) for at in range(first, start + span, step)]


def day_text(time: int, zone: tzinfo) -> str:
    """The date of a time."""
    found = moment(time)
    return f"{_local(found, zone):%Y-%m-%d}" if found else ""


def clock_text(time: int, zone: tzinfo, finest: bool = False) -> str:
    """A time in words of a zone, to the millisecond or to the microsecond."""
    found = moment(time)
    if found is None:
        return "an impossible time"
    text = f"{_local(found, zone):%Y-%m-%d %H:%M:%S.%f}"
    return text if finest else text[:-3]


def _local(found: datetime, zone: tzinfo) -> datetime:
    try:
        return found.astimezone(zone)
    except OverflowError:
        return found


def _label(when: datetime, step: int) -> str:
    if step >= _DAY:
        return f"{when.day} {when:%b}"
    if step >= _MINUTE:
        return f"{when:%H:%M}" if when.hour or when.minute else f"{when.day} {when:%b}"
    if step >= _SECOND:
        return f"{when:%H:%M:%S}"
    return f"{when:%H:%M:%S.%f}"[: -3 if step >= 1000 else None]


def _clock_times(first: datetime, last: datetime, step: int, zone: tzinfo) -> Iterator[Tick]:
    """Steps of less than a day, round by the clock of the zone on both sides of its changes."""
    begin = first
    while begin <= last:
        offset = _offset(begin, zone)
        change = _change(begin, last, zone)
        end = last if change is None else change
        went_back = begin > first and _offset(begin - _TINY, zone) > offset
        shift = offset // _TINY
        at = -(-(from_moment(begin) + shift) // step) * step - shift
        behind = from_moment(end) + (change is None)
        while at < behind:
            when = moment(at)
            if when is None:
                return
            mark = f"{when.astimezone(zone):%z}"[:3] if went_back else ""
            yield Tick(at, _label(when.astimezone(zone), step) + mark)
            went_back = False
            at += step
        if change is None:
            return
        begin = change


_TINY = timedelta(microseconds=1)


def _offset(when: datetime, zone: tzinfo) -> timedelta:
    return when.astimezone(zone).utcoffset() or timedelta()


def _change(first: datetime, last: datetime, zone: tzinfo) -> datetime | None:
    """When the clocks of a zone are first changed between two moments; None if they are not."""
    if last - first > _SHORT or _offset(first, zone) == _offset(last, zone):
        return None
    left, right = first, last
    while right - left > _TINY:
        middle = left + (right - left) // 2
        if _offset(middle, zone) == _offset(first, zone):
            left = middle
        else:
            right = middle
    return right


def _days(first: datetime, last: datetime, step: int, zone: tzinfo) -> Iterator[Tick]:
    """Midnights, some days apart, of weeks the Mondays."""
    days = step // _DAY
    day = _local(first, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    day -= timedelta(days=(day.toordinal() - 1) % days)
    while day <= last:
        if day >= first:
            yield Tick(from_moment(day), _label(day, step))
        day += timedelta(days=days)


def _months(first: datetime, last: datetime, step: int, zone: tzinfo) -> Iterator[Tick]:
    begin = _local(first, zone)
    count = (begin.year * 12 + begin.month - 1) // step * step
    form = "%b %Y" if step < 12 else "%Y"
    while True:
        year, month = divmod(count, 12)
        count += step
        if not 1 <= year <= 9999:
            if year > 9999:
                return
            continue
        when = datetime(year, month + 1, 1, tzinfo=zone)
        if when > last:
            return
        if when >= first:
            yield Tick(from_moment(when), f"{when:{form}}")
