"""Moments as people type them: the right one, or a refusal, but never a guess."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import UsageError
from pitr_tui.postgres.moment import (
    doubts_about,
    for_settings,
    from_server,
    parse_moment,
    zone_named,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)  # in Berlin it is the 23rd already
SINCE_1970 = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 14:35:02.117+00", "2026-11-22 14:35:02.117000+00"),
        ("2026-11-22T14:35:02Z", "2026-11-22 14:35:02.000000+00"),
        ("2026-11-22 14:35Z", "2026-11-22 14:35:00.000000+00"),
        ("2026-11-22 14:35 UTC", "2026-11-22 14:35:00.000000+00"),
        ("2026-11-22 14:35 gmt", "2026-11-22 14:35:00.000000+00"),
        ("2026-11-22 14:35:02,5+02", "2026-11-22 12:35:02.500000+00"),
        ("2026-11-22 14:35:02.123456-03:30", "2026-11-22 18:05:02.123456+00"),
        ("2026-11-22 14:35+0545", "2026-11-22 08:50:00.000000+00"),
        ("2026-11-22 14:35 +01", "2026-11-22 13:35:00.000000+00"),
        ("2026-11-22 14:35:02.5 -0330", "2026-11-22 18:05:02.500000+00"),
        ("2026-11-22 14:35 Europe/Berlin", "2026-11-22 13:35:00.000000+00"),
        ("2026-07-22 14:35 Europe/Berlin", "2026-07-22 12:35:00.000000+00"),
        ("2026-11-22 14:35 America/Argentina/Buenos_Aires", "2026-11-22 17:35:00.000000+00"),
        ("2026-11-22 14:35 Etc/GMT+5", "2026-11-22 19:35:00.000000+00"),
        ("  2026-11-22 14:35:00+00\n", "2026-11-22 14:35:00.000000+00"),
    ],
)
def test_a_moment_with_its_zone_is_read(text: str, moment: str) -> None:
    assert for_settings(parse_moment(text)) == moment
    # What is said outweighs what is set.
    assert for_settings(parse_moment(text, BERLIN, NOW)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 14:35", "2026-11-22 13:35:00.000000+00"),
        ("2026-11-22T14:35:02.5", "2026-11-22 13:35:02.500000+00"),
        ("14:35", "2026-11-23 13:35:00.000000+00"),
        ("9:35:02.5", "2026-11-23 08:35:02.500000+00"),
        ("14:35 UTC", "2026-11-22 14:35:00.000000+00"),
        ("14:35 America/New_York", "2026-11-22 19:35:00.000000+00"),
        ("10 min ago", "2026-11-22 23:20:00.000000+00"),
        ("90s ago", "2026-11-22 23:28:30.000000+00"),
        ("1 hour ago", "2026-11-22 22:30:00.000000+00"),
        ("2 Hours ago", "2026-11-22 21:30:00.000000+00"),
        ("3 m ago", "2026-11-22 23:27:00.000000+00"),
        ("an hour ago", "2026-11-22 22:30:00.000000+00"),
        ("a minute ago", "2026-11-22 23:29:00.000000+00"),
        ("1 h 30 min ago", "2026-11-22 22:00:00.000000+00"),
        ("2 days ago", "2026-11-20 23:30:00.000000+00"),
        ("a week ago", "2026-11-15 23:30:00.000000+00"),
        ("today 14:35", "2026-11-23 13:35:00.000000+00"),
        ("yesterday 14:35", "2026-11-22 13:35:00.000000+00"),
        ("Yesterday at 9:35:02.5", "2026-11-22 08:35:02.500000+00"),
        ("14:35 yesterday", "2026-11-22 13:35:00.000000+00"),
        ("yesterday 14:35 UTC", "2026-11-21 14:35:00.000000+00"),
        ("yesterday 14:35 America/New_York", "2026-11-21 19:35:00.000000+00"),
        ("14:35+02", "2026-11-23 12:35:00.000000+00"),
        ("yesterday 14:35 -0330", "2026-11-21 18:05:00.000000+00"),
        ("14:35Z", "2026-11-22 14:35:00.000000+00"),
    ],
)
def test_a_zone_and_a_clock_help_to_read(text: str, moment: str) -> None:
    assert for_settings(parse_moment(text, BERLIN, NOW)) == moment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-22 14:35", "does not say in which time zone"),
        ("2026-11-22", "does not say in which time zone"),
        ("14:35", "is not a time"),
        ("10 min ago", "not a time"),
        ("yesterday 14:35", "is not a time"),
        ("", "is not a time"),
        ("now", "is not a time"),
        ("2026-11-22 14:35 EST", "not a time zone that can be trusted"),
        ("2026-07-22 14:35 CET", "not a time zone that can be trusted"),
        ("2026-11-22 14:35 IST", "not a time zone that can be trusted"),
        ("2026-11-22 14:35 UTC+2", "not a time zone that can be trusted"),
        ("2026-11-22 14:35 ../../etc/passwd", "is not a time"),
        ("2026-11-22 14:35+02 Europe/Berlin", "names its zone twice"),
        ("2026-11-22 14:35+02 UTC", "names its zone twice"),
        ("2026-11-22 14:35:02.1234567+00", "finer than PostgreSQL's clock"),
        ("2026-11-22 14:35:02,123456789+00", "finer than PostgreSQL's clock"),
        ("22-11-2026 14:35+00", "is not a time"),
        ("22.11.2026 14:35+00", "is not a time"),
        ("11/22/2026 14:35+00", "is not a time"),
        ("2026-22-11 14:35+00", "is not a time"),
        ("2026-02-29 14:35+00", "is not a time"),
        ("2026-11-22 25:35+00", "is not a time"),
        ("2026-11-22 14:35+25", "is not a time"),
        ("0001-01-01 00:00+14", "is not a time"),
        ("9999-12-31 23:59-14", "is not a time"),
    ],
)
def test_what_could_mean_another_moment_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_moment(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday 14:35", "does not say in which time zone"),
        ("14:35 today", "does not say in which time zone"),
        ("yesterday", "is not a time"),
        ("tomorrow 14:35 UTC", "is not a time"),
        ("yesterday 25:00 UTC", "is not a time"),
        ("yesterday 14:35+25", "is not a time"),
        ("yesterday 14:35 EST", "not a time zone that can be trusted"),
        ("yesterday 14:35+02 UTC", "names its zone twice"),
        ("2 months ago", "is not a time"),
        ("am ago", "is not a time"),
        ("ago", "is not a time"),
    ],
)
def test_a_clock_alone_says_no_zone(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_moment(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "now", "why"),
    [
        ("yesterday 02:30", datetime(2026, 3, 30, 12, tzinfo=UTC), "never was"),
        ("yesterday 02:30", datetime(2026, 10, 26, 12, tzinfo=UTC), "was twice"),
        ("02:30 today", datetime(2026, 10, 25, 12, tzinfo=UTC), "was twice"),
    ],
)
def test_yesterdays_clock_is_not_guessed_either(text: str, now: datetime, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_moment(text, BERLIN, now)


def test_yesterday_is_the_day_before_by_the_calendar_and_a_day_ago_is_24_hours() -> None:
    now = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # 00:30 on the 30th; the 29th had 23 hours
    assert for_settings(parse_moment("yesterday 00:30", BERLIN, now)).startswith("2026-03-28 23:30")
    assert for_settings(parse_moment("1 day ago", BERLIN, now)).startswith("2026-03-28 22:30")


@pytest.mark.parametrize(
    "text", ["99:99", "999999999999999 h ago", "90000000 hours ago", "9" * 5000 + " s ago"]
)
def test_clocks_and_spans_have_bounds(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_moment(text, BERLIN, NOW)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-03-29 02:30 Europe/Berlin", "never was"),
        ("2026-10-25 02:30 Europe/Berlin", "was twice"),
        ("2026-03-08 02:59:59.999999 America/New_York", "never was"),
        ("2026-11-01 01:00 America/New_York", "was twice"),
        ("2026-04-05 01:45 Australia/Lord_Howe", "was twice"),
        ("2026-10-04 02:15 Australia/Lord_Howe", "never was"),
    ],
)
def test_a_skipped_or_repeated_hour_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_moment(text)


def test_the_two_meanings_of_a_repeated_hour_are_offered_and_accepted() -> None:
    with pytest.raises(UsageError) as told:
        parse_moment("2026-10-25 02:30", BERLIN)
    assert told.value.hint == "give the offset: 02:30+0200 or 02:30+0100"
    early, late = (parse_moment(f"2026-10-25 02:30{offset}") for offset in ("+0200", "+0100"))
    assert late - early == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29 01:59:59.999999", "2026-03-29 00:59:59.999999+00"),
        ("2026-03-29 03:00", "2026-03-29 01:00:00.000000+00"),
        ("2026-10-25 01:59:59.999999", "2026-10-24 23:59:59.999999+00"),
        ("2026-10-25 03:00", "2026-10-25 02:00:00.000000+00"),
    ],
)
def test_the_hours_beside_it_are_read(text: str, moment: str) -> None:
    assert for_settings(parse_moment(text, BERLIN)) == moment


@given(SINCE_1970)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert parse_moment(for_settings(moment)) == moment
    assert from_server(for_settings(moment)) == moment


@given(SINCE_1970, st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"]))
def test_every_moment_can_be_said_with_its_offset(moment: datetime, name: str) -> None:
    there = moment.astimezone(ZoneInfo(name))
    assert parse_moment(there.isoformat()) == moment
    assert for_settings(there) == for_settings(moment)


@given(SINCE_1970)
def test_a_wall_clock_is_read_rightly_or_refused(moment: datetime) -> None:
    there = moment.astimezone(BERLIN)
    text = f"{there:%Y-%m-%d %H:%M:%S.%f}"
    if there.replace(fold=0).utcoffset() == there.replace(fold=1).utcoffset():
        assert parse_moment(text, BERLIN) == moment
    else:
        with pytest.raises(UsageError, match="was twice"):
            parse_moment(text, BERLIN)


@given(st.text(), st.booleans())
def test_any_text_is_a_moment_or_refused(text: str, helped: bool) -> None:
    try:
        moment = parse_moment(text, BERLIN, NOW) if helped else parse_moment(text)
    except UsageError:
        return
    assert moment.utcoffset() == timedelta(0)
    assert isinstance(doubts_about(text, moment, NOW), tuple)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 14:54:13.45697+00", "2026-11-22 14:54:13.456970+00"),
        ("2026-11-22 14:54:13 UTC", "2026-11-22 14:54:13.000000+00"),
        ("2026-11-22 14:54:13 GMT", "2026-11-22 14:54:13.000000+00"),
        ("2026-11-22 20:24:13.5+05:30", "2026-11-22 14:54:13.500000+00"),
        ("2000-01-01 00:00:00+00", "2000-01-01 00:00:00.000000+00"),
    ],
)
def test_the_servers_own_times_are_read(text: str, moment: str) -> None:
    assert for_settings(from_server(text)) == moment


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../UTC", "/etc/localtime", "x\0"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a time zone"):
        zone_named(name)


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        ("2026-11-22 14:35+00", []),
        ("2026-10-25 00:00+00", []),
        ("2026-04-03 12:00+00", []),  # the fourth of March lies further away still
        ("10 min ago", []),
        ("14:35", ["14 h 5 min in the future, on Monday, 23 November", "'yesterday 14:35'"]),
        (
            "2026-12-01 00:00+00",
            ["8 days in the future, on Tuesday, 1 December 2026", "swapped.*12 January 2026, 314"],
        ),
        ("2026-12-12 00:00+00", ["19 days in the future"]),
        ("2026-12-25 00:00+00", ["32 days in the future"]),
        ("2026-10-11 00:00+00", ["swapped it would be Tuesday, 10 November 2026, 12 days ago"]),
        ("20261011T0000+00", ["swapped it would be Tuesday, 10 November 2026, 12 days ago"]),
        ("2025-11-20 12:00+00", ["the year 2026 it would be Friday, 20 November 2026, 2 days"]),
        (
            "2027-11-20 12:00+00",
            ["in the future, on Saturday", "the year 2026 it would be Friday, 20 November 2026"],
        ),
        ("2024-02-29 12:00+00", []),
        ("2028-02-29 12:00+00", ["in the future, on Tuesday, 29 February 2028"]),
    ],
)
def test_what_speaks_against_a_moment_is_said(text: str, doubts: list[str]) -> None:
    said = doubts_about(text, parse_moment(text, BERLIN, NOW), NOW)
    assert len(said) == len(doubts), said
    for one, pattern in zip(said, doubts, strict=True):
        assert re.search(pattern, one), one


@given(SINCE_1970)
def test_every_future_moment_and_no_late_one_is_doubted(moment: datetime) -> None:
    said = doubts_about(for_settings(moment), moment, NOW)
    if moment > NOW:
        assert "in the future" in said[0]
    elif NOW - moment <= timedelta(days=30):
        assert not said
    else:
        assert not any("in the future" in one for one in said)
