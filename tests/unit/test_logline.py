"""Server log lines one by one: their parts, the rarer messages, and any text at all."""

import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.loggrammar import ROWS, Row, candidates
from pitr_tui.postgres.logkind import ObservationKind as K
from pitr_tui.postgres.logline import (
    ALARMS,
    FAILURES,
    LogLine,
    Observation,
    Severity,
    explain,
    observe,
    parse_line,
)
from pitr_tui.postgres.lsn import Lsn, TimelineId

# Severity, message, kind and fields of messages that no log in server-logs/ holds.
RARE = Path(__file__).parents[1] / "data" / "rare-log-messages.tsv"


def say(message: str, severity: str = "LOG") -> Observation | None:
    """Observe one message as the server would log it."""
    return observe(parse_line(f"2026-11-22 14:43:48.896 UTC [7] {severity}:  {message}\n"))


# Parsing one line


def test_a_prefixed_line_is_split() -> None:
    text = '2026-11-22 14:43:48.893 UTC [32199] LOG:  restored log file "0A" from archive'
    assert parse_line(text + "\n") == LogLine(
        text,
        datetime(2026, 11, 22, 14, 43, 48, 893_000, UTC),
        32199,
        Severity.LOG,
        'restored log file "0A" from archive',
    )


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("UTC", timedelta()),
        ("GMT", timedelta()),
        ("-03", timedelta(hours=-3)),
        ("+0530", timedelta(hours=5, minutes=30)),
        ("+05:45", timedelta(hours=5, minutes=45)),
    ],
)
def test_a_time_is_aware(zone: str, offset: timedelta) -> None:
    time = parse_line(f"2026-11-22 14:43:48.893 {zone} [1] LOG:  x").time
    assert time == datetime(2026, 11, 22, 14, 43, 48, 893_000, timezone(offset))


@pytest.mark.parametrize(
    "stamp",
    ["2026-11-22 14:43:48.893 EST", "2026-13-22 14:43:48.893 UTC", "0000-01-01 00:00:00.000 UTC"],
)
def test_a_time_that_is_not_certain_is_none(stamp: str) -> None:
    line = parse_line(f"{stamp} [12] FATAL:  x")
    assert (line.time, line.pid, line.severity) == (None, 12, Severity.FATAL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Terminated",
        "cp: cannot stat '/srv/lab/archive/00000002.history': No such file or directory",
        "LOG:  redo starts at 0/2000028",
        "2026-11-22 14:43:48 UTC [1] LOG:  no milliseconds",
        "2026-11-22 14:43:48.893 UTC [1] SHOUT:  x",
        "٢٠٢٦-11-22 14:43:48.893 UTC [1] LOG:  redo starts at 0/2000028",
    ],
)
def test_a_line_without_prefix_is_its_own_message(text: str) -> None:
    line = parse_line(text + "\r\n")
    assert line == LogLine(text, None, None, None, text)
    assert observe(line) is None


def test_a_continuation_is_never_an_observation() -> None:
    line = parse_line("\tcp: error writing 'x': No space left on device")
    assert line.is_continuation
    assert observe(line) is None


# Messages that no fixture holds


def rare() -> list[tuple[str, str, str, dict[str, str]]]:
    """Severity, message, kind and fields of each row of the table."""
    rows = [text.split("\t") for text in RARE.read_text().splitlines() if text[0] != "#"]
    return [
        (severity, message, kind, dict(told.split("=", 1) for told in fields))
        for severity, message, kind, *fields in rows
    ]


@pytest.mark.parametrize(("severity", "message", "kind", "told"), rare())
def test_a_rare_message(severity: str, message: str, kind: str, told: dict[str, str]) -> None:
    found = say(message, severity)
    assert found
    assert found.kind is K[kind]
    values = {name: getattr(found, name) for name in Observation.__slots__ if name != "kind"}
    assert {name: str(value) for name, value in values.items() if value is not None} == told


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("cp: error writing 'pg_wal/RECOVERYXLOG': No space left on device", K.DISK_FULL),
        ("OSError: [Errno 28] No space left on device: '/x'", K.DISK_FULL),
        ("cp: cannot open '/archive/0A' for reading: Permission denied", K.BAD_PERMISSIONS),
        ('"root" execution of the PostgreSQL server is not permitted.', K.WRONG_USER),
        (
            "Error: in 18+, these Docker images are configured to store database data in a",
            K.WRONG_IMAGE_PLACE,
        ),
        (
            "Error: Database is uninitialized and superuser password is not specified.",
            K.WRONG_IMAGE_PLACE,
        ),
        (
            'postgres: could not access the server configuration file "/d/postgresql.conf": No '
            "such file or directory",
            K.NOT_A_DATA_DIRECTORY,
        ),
        ("postgres: could not find the database system", K.BAD_CONTROL_FILE),
    ],
)
def test_what_is_said_without_a_prefix_is_heard(text: str, kind: K) -> None:
    found = observe(parse_line(text))
    assert found
    assert found.kind is kind


@pytest.mark.parametrize(
    ("severity", "message"),
    [
        ("LOG", "background worker (PID 7) exited with exit code 1"),
        ("LOG", "MultiXact member wraparound protections are now enabled"),
        ("LOG", 'could not bind IPv6 address "::1": Cannot assign requested address'),
        ("LOG", "statement: select 'recovery stopping after reaching consistency'"),
        ("STATEMENT", "recovery stopping after reaching consistency"),
        ("DETAIL", "recovery stopping after reaching consistency"),
        ("HINT", "Execute pg_wal_replay_resume() to promote."),
        ("ERROR", 'invalid input syntax for type timestamp with time zone: "x"'),
        ("ERROR", 'unrecognized configuration parameter "x"'),
        (
            "DEBUG2",
            'could not restore file "0A" from archive: child process exited with exit code 1',
        ),
        ("LOG", "redo starts at 123456789/0"),
        ("LOG", "selected new timeline ID: 0"),
        ("LOG", "selected new timeline ID: " + "9" * 5000),
    ],
)
def test_noise_is_not_observed(severity: str, message: str) -> None:
    assert say(message, severity) is None


# The grammar itself


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind.name)
def test_every_row_compiles_and_can_be_reached(row: Row) -> None:
    assert row.regex
    for severity in row.severities:
        assert row in candidates(severity, f"{row.word or 'anything'} else")


def test_noise_meets_few_patterns() -> None:
    for message in ("checkpoint complete: wrote 5 buffers", "shutting down", "aborting any"):
        assert len(candidates(Severity.LOG, message)) <= 3
    assert candidates(Severity.STATEMENT, "recovery stopping") == ()


@pytest.mark.parametrize("kind", K)
def test_every_kind_has_a_row(kind: K) -> None:
    assert any(row.kind is kind for row in ROWS)


def test_a_kind_is_either_failure_or_alarm_or_news() -> None:
    assert not FAILURES & ALARMS
    assert {kind for kind in K if kind.is_failure} == FAILURES
    assert {kind for kind in K if kind.is_alarm} == ALARMS
    assert len({str(kind) for kind in K}) == len(K)
    assert K("unreached") is K.UNREACHED


# Plain words


@pytest.mark.parametrize("kind", K)
def test_every_kind_is_explained_in_one_sentence(kind: K) -> None:
    for observation in (Observation(kind), full(kind)):
        text = explain(observation)
        assert text.endswith(".")
        assert ". " not in text
        assert text[0].isupper()
        assert not set(text) & set("{}[]")


def full(kind: K) -> Observation:
    """An observation that tells everything."""
    return Observation(
        kind,
        lsn=Lsn.parse("0/3000028"),
        xid=727,
        time="2026-11-22 14:43:45.290155+00",
        timeline=TimelineId(2),
        name="000000010000000000000003",
        before=False,
        what="commit",
        found=20,
        wanted=50,
    )


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (Observation(K.READ_ONLY_OPEN), "readable, which is no proof of the target"),
        (Observation(K.NO_CHECKPOINT), "do not remove backup_label"),
        (Observation(K.STOPPING, what="abort", xid=7, before=False), "after the rollback of"),
        (Observation(K.STOPPING, what="lsn", lsn=Lsn(40), before=True), "before the position 0/28"),
        (Observation(K.RECOVERY_MODE, what="name", name="{xid}[{lsn}]"), '"{xid}[{lsn}]"'),
        (full(K.PARAMETER_TOO_LOW), "000000010000000000000003 is 20, and must be 50 or more"),
    ],
)
def test_an_explanation_says_what_matters(observation: Observation, words: str) -> None:
    assert words in explain(observation)


# Any text at all

ANY_TEXT = st.text(st.characters(exclude_categories=()))
NUMBERS = st.text(string.digits, min_size=1, max_size=30)
FRAGMENTS = st.sampled_from(
    [row.pattern.replace("\\", "") for row in ROWS]
    + ["0/0", "FFFFFFFF/FFFFFFFF", "commit", '"', "\x1b[31m", "\ud800", "\t", "\n"]
)


@given(ANY_TEXT)
def test_any_text_is_a_line(text: str) -> None:
    line = parse_line(text)
    assert line.text == text.removesuffix("\n").removesuffix("\r")
    observe(line)


@given(
    st.sampled_from(Severity),
    st.lists(st.one_of(ANY_TEXT, NUMBERS, FRAGMENTS), max_size=6).map(" ".join),
)
def test_any_message_is_observed_or_not_and_explained(severity: Severity, message: str) -> None:
    line = parse_line(f"2026-11-22 14:43:48.896 UTC [7] {severity}:  {message}")
    assert line.severity is severity
    found = observe(line)
    if found:
        assert explain(found)


@given(st.sampled_from(ROWS), st.data())
def test_whatever_the_grammar_admits_gets_its_types(row: Row, data: st.DataObject) -> None:
    message = data.draw(st.from_regex(row.regex, fullmatch=True))
    for severity in row.severities:
        found = observe(LogLine(message, None, None, severity, message))
        assert found or message.startswith("\t")
        if found:
            assert explain(found)
