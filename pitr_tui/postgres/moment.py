"""Moments that a person types: read without ever guessing a time zone in silence."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pitr_tui.errors import UsageError

_ZONE_NAME = re.compile(r"^(?P<time>.*?\d)\s*(?P<zone>[A-Za-z][A-Za-z_/+-]*\d*)$")
_AGO = re.compile(r"(?P<n>\d{1,15})\s*(?P<unit>s|sec|m|min|h|hours?|minutes?|seconds?)\s+ago")
_CLOCK_ONLY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_TOO_FINE = re.compile(r"[.,]\d{7,}")
_BLANK_BEFORE_OFFSET = re.compile(r"(?<=\d)\s+(?=[+-]\d{2}(:?\d{2})?$)")
_ABBREVIATION = re.compile(r"(?!UTC$|GMT$)[A-Z]+")

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
    `now` given, `14:35` (today in the zone) and `10 min ago` are understood too.
    Raises UsageError, also for a time that the zone's clock skips or shows twice.

    >>> parse_moment("2026-11-22 14:35:02.5+02").isoformat()
    '2026-11-22T12:35:02.500000+00:00'
    >>> parse_moment("2026-11-22 14:35 UTC").isoformat()
    '2026-11-22T14:35:00+00:00'
    """
    try:
        return _moment(text.strip(), zone, now)
    except OverflowError as error:
        raise UsageError(f"{text!r} is not a time", _FORM, _HINT) from error


def _moment(text: str, zone: tzinfo | None, now: datetime | None) -> datetime:
    ago = _AGO.fullmatch(text.lower())
    if ago and now is not None:
        return (now - timedelta(**{_UNITS[ago["unit"][0]]: int(ago["n"])})).astimezone(UTC)
    if _TOO_FINE.search(text):
        raise UsageError(
            f"{text!r} is finer than PostgreSQL's clock", "it counts whole microseconds", _HINT
        )
    named = _ZONE_NAME.match(text)
    if named and named["zone"].upper() != "Z":
        if _ABBREVIATION.fullmatch(named["zone"]):
            raise _untrusted(named["zone"])
        zone, text = zone_named(named["zone"]), named["time"]
        if _offset_in(text):
            raise UsageError(f"{text!r} names its zone twice", "", _HINT)
    if _CLOCK_ONLY.fullmatch(text) and now is not None:
        if zone is None:
            raise _without_zone(text)
        hour, _, rest = text.partition(":")
        text = f"{now.astimezone(zone):%Y-%m-%d} {int(hour):02d}:{rest}"
    try:
        moment = datetime.fromisoformat(_BLANK_BEFORE_OFFSET.sub("", text))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time", _FORM, _HINT) from error
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if zone is None:
        raise _without_zone(text)
    return _unambiguous(moment, zone)


def _without_zone(text: str) -> UsageError:
    return UsageError(
        f"{text!r} does not say in which time zone",
        "a guess could stop the recovery hours away from where it should",
        _HINT,
    )


def _offset_in(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
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
