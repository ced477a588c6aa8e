"""Times as PostgreSQL stores them: whole microseconds since the year 2000 in UTC.

Source: src/include/datatype/timestamp.h.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_UNIX_SECONDS = 946_684_800  # from 1970 to 2000


def moment(time: int) -> datetime | None:
    """The aware time in UTC, or None outside of the years 1 to 9999.

    PostgreSQL's own range is larger, and its infinities lie outside of this one too.

    >>> moment(848_673_302_117_000)
    datetime.datetime(2026, 11, 22, 14, 35, 2, 117000, tzinfo=datetime.timezone.utc)
    >>> moment((1 << 63) - 1) is None
    True
    """
    try:
        return _EPOCH + timedelta(microseconds=time)
    except OverflowError:
        return None


def from_moment(moment: datetime) -> int:
    """The inverse, for any aware time.

    >>> from_moment(datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // _MICROSECOND


def from_unix(seconds: int) -> int:
    """The same unit from seconds since 1970 (pg_time_t), which checkpoints are dated with.

    >>> from_unix(946_684_801)
    1000000
    """
    return (seconds - _UNIX_SECONDS) * _SECOND
