"""Moments that a person types: read without ever guessing a time zone in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pitr_tui.errors import UsageError
from pitr_tui.wording import count_text, duration_text

_ZONE_NAME = re.compile(r"^(?P<time>.*?\d)\s*(?P<zone>[A-Za-z][A-Za-z_/+-]*\d*)$")
_SPAN = re.compile(
    r"(?P<n>\d{1,15}\s*|an?\s+)"
    r"(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?)\s+"
)
_AGO = re.compile(rf"(?:{_SPAN.pattern.replace('?P<n>', '?:').replace('?P<unit>', '?:')})+ago")
_CLOCK = re.compile(
    r"(?:(?P<day>today|yesterday)\s+(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?P<rest>:\d{2}(?::\d{2}(?:[.,]\d+)?)?)"
    r"\s*(?P<offset>Z|[+-]\d{2}(?::?\d{2})?)?",
    re.IGNORECASE,
)
_DAY_LAST = re.compile(r"(?P<time>\S.*?)\s+(?P<day>today|yesterday)", re.IGNORECASE)
_DATE = re.compile(r"(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})(?!\d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TOO_FINE = re.compile(r"[.,]\d{7,}")
_BLANK_BEFORE_OFFSET = re.compile(r"(?<=\d)\s+(?=[+-]\d{2}(:?\d{2})?$)")
_ABBREVIATION = re.compile(r"(?!UTC$|GMT$)[A-Z]+")

_LONG_AGO = timedelta(days=30)

_FORM = "a date and a clock time are looked for, year first"
_HINT = "write it with its zone, for example 2026-11-22 14:35:02.117+00"


def zone_named(name: str) -> tzinfo:
    """A zone by its IANA name (`Europe/Berlin`, `UTC`). Raises UsageError."""
    if name.upper() in ("Z", "UTC", "GMT"):
        return UTC
    try:
        if "/" not in name:  # tzdata has EST, CET and others as if they were places
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _untrusted(name) from error


def _untrusted(name: str) -> UsageError:
    return UsageError(
        f"{name!r} is not a time zone that can be trusted",
        "abbreviations such as EST mean different things in different places",
        "use an offset like +02 or a name like Europe/Berlin",
    )


def parse_moment(text: str, zone: tzinfo | None = None, now: datetime | None = None) -> datetime:
    """Read a moment, to the microsecond, as an aware time in UTC.

    Without a zone in the text, `zone` decides; without that the text is refused. With
    `now` given, `14:35` (today in the zone), `yesterday 14:35`, `10 min ago` and `2 days ago`
    (48 hours, whatever the clocks did) are understood too.
    Raises UsageError, also for a time that the zone's clock skips or shows twice.

    >>> parse_moment("2026-11-22 14:35:02.5+02").isoformat()
    '2026-11-22T12:35:02.500000+00:00'
    >>> parse_moment("2026-11-22 14:35 UTC").isoformat()
    '2026-11-22T14:35:00+00:00'
    >>> noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    >>> parse_moment("yesterday 14:35", ZoneInfo("Europe/Berlin"), noon).isoformat()
    '2026-11-21T13:35:00+00:00'
    >>> parse_moment("an hour ago", now=noon).isoformat()
    '2026-11-22T11:00:00+00:00'
    """
    try:
        return _moment(text.strip(), zone, now)
    except OverflowError as error:
        raise UsageError(f"{text!r} is not a time", _FORM, _HINT) from error


def _moment(text: str, zone: tzinfo | None, now: datetime | None) -> datetime:
    if now is not None and _AGO.fullmatch(text.lower()):
        return (now - _span(text.lower())).astimezone(UTC)
    if _TOO_FINE.search(text):
        raise UsageError(
            f"{text!r} is finer than PostgreSQL's clock", "it counts whole microseconds", _HINT
        )
    if last := _DAY_LAST.fullmatch(text):
        text = f"{last['day']} {last['time']}"
    named = _ZONE_NAME.match(text)
    if named and named["zone"].upper() != "Z":
        if _ABBREVIATION.fullmatch(named["zone"]):
            raise _untrusted(named["zone"])
        zone, text = zone_named(named["zone"]), named["time"]
        if _offset_in(text):
            raise UsageError(f"{text!r} names its zone twice", "", _HINT)
    clock = _CLOCK.fullmatch(text)
    if clock and now is not None:
        text = _with_date(clock, zone, now)
    try:
        moment = datetime.fromisoformat(_BLANK_BEFORE_OFFSET.sub("", text))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time", _FORM, _HINT) from error
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if zone is None:
        raise _without_zone(text)
    return _unambiguous(moment, zone)


def _span(text: str) -> timedelta:
    """The length of `2 h 10 min ago`."""
    parts = ((one["n"].strip(), _UNITS[one["unit"][0]]) for one in _SPAN.finditer(text))
    lengths = (timedelta(**{unit: int(n) if n.isdigit() else 1}) for n, unit in parts)
    return sum(lengths, timedelta())


def _with_date(clock: re.Match[str], zone: tzinfo | None, now: datetime) -> str:
    """A time of today or yesterday, written out with the date that it is there."""
    offset = clock["offset"] or ""
    if offset:
        try:
            zone = datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
        except ValueError as error:
            raise UsageError(f"{clock[0]!r} is not a time", _FORM, _HINT) from error
    if zone is None:
        raise _without_zone(clock[0])
    day = now.astimezone(zone).date()
    if (clock["day"] or "").lower() == "yesterday":
        day -= timedelta(days=1)
    return f"{day} {int(clock['hour']):02d}{clock['rest']}{offset.upper()}"


def _without_zone(text: str) -> UsageError:
    return UsageError(
        f"{text!r} does not say in which time zone",
        "a guess could stop the recovery hours away from where it should",
        _HINT,
    )


def _offset_in(text: str) -> bool:
    clock = _CLOCK.fullmatch(text)
    if clock:
        return clock["offset"] is not None
    try:
        return datetime.fromisoformat(_BLANK_BEFORE_OFFSET.sub("", text)).tzinfo is not None
    except ValueError:
        return False


def _unambiguous(naive: datetime, zone: tzinfo) -> datetime:
    first, second = naive.replace(tzinfo=zone, fold=0), naive.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    if back != naive:
        raise UsageError(f"{naive} never was in {zone}", "the clocks were put forward over it")
    raise UsageError(
        f"{naive} was twice in {zone}",
        "the clocks were put back over it",
        f"give the offset: {first:%H:%M%z} or {second:%H:%M%z}",
    )


def doubts_about(text: str, moment: datetime, now: datetime) -> tuple[str, ...]:
    """Why a moment, as it was read from `text`, may not be the one that was meant.

    Sentences for people; none where nothing speaks against it. A target in the future is what
    a date with day and month swapped mostly turns into.

    >>> now = datetime(2026, 1, 20, 12, tzinfo=UTC)
    >>> for one in doubts_about("2026-12-01 14:35+00", parse_moment("2026-12-01 14:35+00"), now):
    ...     print(one)
    It lies 315 days in the future, on Tuesday, 1 December 2026.
    With day and month swapped it would be Monday, 12 January 2026, 7 days ago.
    """
    found = []
    typed = _DATE.match(text.strip())
    if moment > now:
        day = _typed_day(typed) or moment.date()
        found.append(f"It lies {_away(moment - now)} in the future, on {_day_words(day)}.")
        clock = _CLOCK.match(text.strip())
        if typed is None and clock and moment - timedelta(days=1) <= now:
            found.append(f"'yesterday {clock['hour']}{clock['rest']}' would be in the past.")
    if typed is not None and (moment > now or now - moment > _LONG_AGO):
        for slip, day in _slips(typed, now):
            meant = moment + (day - _day_of(typed))
            if meant <= now and (moment > now or meant > moment):
                words, away = _day_words(day), _away(now - meant)
                found.append(f"With {slip} it would be {words}, {away} ago.")
    return tuple(found)


def _slips(typed: re.Match[str], now: datetime) -> Iterator[tuple[str, date]]:
    """The dates that a slip of the hand may have turned into this one, and which slip."""
    day = _day_of(typed)
    if day.day <= 12 and day.day != day.month:
        yield "day and month swapped", day.replace(month=day.day, day=day.month)
    if day.year != now.year and (day.month, day.day) != (2, 29):
        yield f"the year {now.year}", day.replace(year=now.year)


def _day_of(typed: re.Match[str]) -> date:
    return date(int(typed["year"]), int(typed["month"]), int(typed["day"]))


def _typed_day(typed: re.Match[str] | None) -> date | None:
    return _day_of(typed) if typed is not None else None


def _day_words(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _away(span: timedelta) -> str:
    return count_text(span.days, "day") if span.days >= 2 else duration_text(span.total_seconds())


def for_settings(moment: datetime) -> str:
    """The form that `recovery_target_time` takes on every version: numeric zone, microseconds.

    >>> for_settings(datetime(2026, 11, 22, 14, 35, tzinfo=UTC))
    '2026-11-22 14:35:00.000000+00'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"


def from_server(text: str) -> datetime:
    """A time as the server prints it in UTC, where trailing zeros of the fraction are cut.

    >>> from_server("2026-11-22 14:54:13.45697+00").microsecond
    456970
    """
    text = text.removesuffix(" UTC").removesuffix(" GMT")
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
