"""Texts of a scenario with names in braces, which are known only when it was played."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from pitr_tui.errors import UsageError
from pitr_tui.postgres.moment import zone_named

PLACES = ("archive", "backups", "primary", "directory", "socket")
_FIELD = re.compile(r"\{([^{}]*)\}|[{}]")
_KNOWN = "known are {time NAME}, {time NAME in Europe/Berlin}, {xid NAME}, " + ", ".join(
    f"{{{one}}}" for one in PLACES
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the names stand for: places as paths, and times and transactions by their notes."""

    places: Mapping[str, str]
    times: Mapping[str, datetime]
    xids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Field:
    kind: str
    name: str = ""
    zone: tzinfo = UTC
    told_zone: bool = False


def mistakes(text: str, noted: Collection[str], with_xid: Collection[str]) -> Iterator[str]:
    """What is wrong with a text whose scenario notes these names, `with_xid` of transactions.

    >>> list(mistakes("at {time noted} in {archive}", ["noted"], []))
    []
    >>> list(mistakes("at {time lunch}", ["noted"], []))
    ["nothing is noted as 'lunch'; noted are noted"]
    """
    for match in _FIELD.finditer(text):
        try:
            field = _parse(match)
        except UsageError as error:
            yield error.what
            continue
        names = with_xid if field.kind == "xid" else noted
        if field.name and field.name not in names:
            those = ", ".join(names) or "none"
            which = "no transaction" if field.kind == "xid" else "nothing"
            yield f"{which} is noted as {field.name!r}; noted are {those}"


def fill(text: str, known: Known) -> str:
    """The text with what its names stand for. Raises UsageError for one that is not known.

    >>> noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    >>> known = Known({"archive": "/srv/archive"}, {"lunch": noon}, {"drop": 741})
    >>> fill("{time lunch}, {time lunch in Asia/Tokyo}, {xid drop} in {archive}", known)
    '2026-11-22 12:00:00 UTC, 2026-11-22 21:00:00, 741 in /srv/archive'
    """

    def value(match: re.Match[str]) -> str:
        field = _parse(match)
        try:
            if field.kind == "time":
                local = known.times[field.name].astimezone(field.zone)
                return f"{local:%Y-%m-%d %H:%M:%S}" + ("" if field.told_zone else " UTC")
            if field.kind == "xid":
                return str(known.xids[field.name])
            return known.places[field.kind]
        except KeyError as error:
            raise UsageError(f"nothing is known for {match[0]}") from error

    return _FIELD.sub(value, text)


def blanked(text: str) -> str:
    """The text before its scenario was played, when nothing is known yet.

    >>> blanked("at {time lunch in Asia/Tokyo}, our time")
    'at …, our time'
    """
    return _FIELD.sub("…", text)


def _parse(match: re.Match[str]) -> _Field:
    """Raises UsageError for what is no field."""
    if match[1] is None:
        raise UsageError(f"a single {match[0]!r} is no name in braces; {_KNOWN}")
    match match[1].split():
        case [place] if place in PLACES:
            return _Field(place)
        case ["time", name]:
            return _Field("time", name)
        case ["time", name, "in", zone]:
            return _Field("time", name, zone_named(zone), told_zone=True)
        case ["xid", name]:
            return _Field("xid", name)
    raise UsageError(f"{match[0]} is not known; {_KNOWN}")
