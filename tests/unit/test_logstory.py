"""The verdict on whole logs: real recoveries on six majors, and what is made of them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitr_tui.postgres.logline import observe, parse_line
from pitr_tui.postgres.logstory import LogState, ServerLog
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.remedies import IDS, REMEDIES
from tests.unit.made import LOG_MAJORS, SERVER_LOGS

LENIENT, STRICT = ("9.6", "10", "12"), ("13", "15", "18")
Truth = tuple[str, bool | None, str | None, bool | None]

# An administrator has shut down every server behind the end of its log: that changes nothing.
MET: Truth = ("open", True, None, None)
PAUSED: Truth = ("paused", True, None, None)
WENT_DOWN: Truth = ("shut down", True, None, None)
ENDED: Truth = ("open", None, None, None)
FOLLOWED: Truth = ("shut down", None, None, None)
SUSPECT: Truth = ("suspect open", False, "UNREACHED", False)
MISSED: Truth = ("failed", False, "UNREACHED", True)


def failed(id: str, reached: bool | None = None, restartable: bool = True) -> Truth:
    return ("failed", reached, id, restartable)


def suspect(id: str, reached: bool | None = False) -> Truth:
    return ("suspect open", reached, id, False)


# Number of the scenario -> what is true up to 12, and from 13 on where that differs.
TRUTH: dict[str, tuple[Truth, Truth]] = {
    **dict.fromkeys(
        ["01", "03", "05", "06", "07", "08", "09", "10", "14", "29b", "34", "37"],
        (MET, MET),
    ),
    "02": (PAUSED, MET),  # up to 12 `pg_ctl promote` is not heard during the pause
    **dict.fromkeys(["04", "15b", "53", "54"], (WENT_DOWN, WENT_DOWN)),
    **dict.fromkeys(["55", "55a", "57"], (PAUSED, PAUSED)),
    **dict.fromkeys(["11", "33", "36", "58"], (ENDED, ENDED)),
    "32": (FOLLOWED, FOLLOWED),
    **dict.fromkeys(["12", "13", "21", "38"], (SUSPECT, MISSED)),
    "23": (suspect("CRC"), failed("CRC", False)),
    "24": (suspect("PAGE"), failed("SYSID", False)),
    "25": (suspect("PAGE"), failed("PAGE", False)),
    **dict.fromkeys(["26", "51"], (suspect("ENDED_AT_BACKUP", None),) * 2),
    "60": (suspect("FETCH_FAILED", None),) * 2,
    "61": (suspect("FETCH_FAILED"), failed("FETCH_FAILED", False)),
    "15": (failed("PARAM", False),) * 2,
    "16": (failed("MULTI", False),) * 2,
    **dict.fromkeys(["17", "17b", "62"], (failed("FETCH_FATAL"),) * 2),
    "18": (failed("PERM"),) * 2,
    "20": (failed("NO_CHECKPOINT", False),) * 2,
    "19": (failed("NO_LABEL", False, False),) * 2,
    "22": (failed("SIZE", False),) * 2,
    "27": (failed("CONF"),) * 2,
    "28": (failed("NO_CHECKPOINT"), failed("STAT")),
    "29": (failed("NO_CHECKPOINT"),) * 2,
    **dict.fromkeys(["30", "35"], (failed("TIMELINE"),) * 2),
    "31": (failed("GUC"),) * 2,
    "52": (failed("NO_END_OF_BACKUP"),) * 2,
    "56": (failed("TOO_EARLY", False, False),) * 2,
    "59": (failed("PARAM"),) * 2,
    "63": (failed("FETCH_FATAL"), failed("FETCH_KILLED")),
}
# What one major tells and the others of its half do not.
ONLY_HERE: dict[tuple[str, str], Truth] = {
    ("12", "24"): suspect("SYSID"),
    ("13", "28"): failed("NO_CHECKPOINT"),
    ("18", "19"): failed("NO_LABEL", None, False),  # the target is told after the checkpoint
    ("18", "20"): failed("NO_CHECKPOINT"),
}


def scenarios() -> list[tuple[str, str]]:
    return [(path.parent.name, path.stem) for path in sorted(SERVER_LOGS.glob("*/*.log"))]


@cache
def text_of(major: str, name: str) -> tuple[str, ...]:
    (path,) = (one for one in (SERVER_LOGS / major).glob(f"{name}*.log") if _fits(one.stem, name))
    return tuple(path.read_text().splitlines())


def _fits(stem: str, name: str) -> bool:
    return stem == name or stem.partition("_")[0] == name


def folded(lines: Iterable[str]) -> ServerLog:
    log = ServerLog()
    for line in lines:
        log.add(parse_line(line))
    return log


def told(log: ServerLog) -> Truth:
    found = log.failure
    id, again = (found.id, found.restartable) if found else (None, None)
    return str(log.state), log.reached_target, id, again


def truth_of(major: str, name: str) -> Truth:
    number = name.partition("_")[0]
    lenient, strict = TRUTH[number]
    return ONLY_HERE.get((major, number), strict if major in STRICT else lenient)


@pytest.mark.parametrize(("major", "name"), scenarios())
def test_every_real_log_is_told_as_it_was(major: str, name: str) -> None:
    assert told(folded(text_of(major, name))) == truth_of(major, name)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_the_stop_and_the_target_are_told(major: str) -> None:
    log = folded(text_of(major, "05"))
    assert log.stop is not None
    assert (log.stop.what, log.stop.before) == ("commit", True)
    assert log.target == f"transaction {log.stop.xid}"
    assert (log.timeline, log.lives) == (2, 1)
    assert log.clock
    assert folded(text_of(major, "11")).target is None
    assert folded(text_of(major, "23")).replayed in (Lsn(0x20000F8), Lsn(0x2000120), Lsn(0x2000100))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("12", "The last segment delivered is 0000000100000000000000"),
        ("15", "max_connections is 20 and must be at least 50"),
        ("59", "max_connections is 50 and must be at least 90"),
        ("21", "Segment 000000010000000000000003 was asked for"),
        ("22", '"000000010000000000000003" has wrong size: 1000000 instead of 16777216'),
        ("23", "segment 000000010000000000000003"),
        ("24", "000000010000000000000003"),
        ("25", "000000010000000000000003"),
        ("30", "timeline 7"),
        ("35", "timeline 2"),
        ("61", "simulated repo outage"),
    ],
)
def test_the_evidence_names_what_is_wrong(name: str, words: str) -> None:
    for major in LOG_MAJORS:
        if name == "61" and major not in ("9.6", "13", "18"):
            continue
        failure = folded(text_of(major, name)).failure
        assert failure is not None
        evidence = failure.evidence
        if name == "12":
            assert "000000010000000000000005 was asked for" in evidence
        else:
            assert words in evidence, major


@pytest.mark.parametrize(
    ("name", "words"),
    [("20", "Do NOT"), ("19", "pg_resetwal"), ("28", "Do NOT"), ("29", "Do NOT")],
)
def test_the_harmful_hint_is_contradicted(name: str, words: str) -> None:
    for major in LOG_MAJORS:
        if name in ("28", "29") and major in ("9.6", "10") and name == "28":
            continue
        failure = folded(text_of(major, name)).failure
        assert failure is not None
        assert words in failure.warning


# States on the way


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_states_on_the_way_to_a_promotion(major: str) -> None:
    log, states = ServerLog(), [LogState.INIT]
    for line in text_of(major, "01"):
        log.add(parse_line(line))
        if log.state is not states[-1]:
            states.append(log.state)
    assert states[-3:] == [LogState.PAUSED, LogState.PROMOTING, LogState.OPEN]
    assert log.has_ended
    assert LogState.STOPPED in states
    assert states[1] is LogState.FETCHING
    assert LogState.SUSPECT_OPEN not in states
    assert LogState.FAILED not in states


def say(*messages: str, pid: int = 7) -> list[str]:
    return [f"2026-11-22 14:43:48.896 UTC [{pid}] {message}" for message in messages]


BEGIN = say(
    "LOG:  database system was interrupted; last known up at 2026-11-22 14:40:00 UTC",
    "LOG:  starting point-in-time recovery to XID 9",
    'LOG:  restored log file "000000010000000000000002" from archive',
    "LOG:  redo starts at 0/2000028",
    "LOG:  consistent recovery state reached at 0/2000100",
)
READABLE = say("LOG:  database system is ready to accept read-only connections", pid=1)
STOP = say("LOG:  recovery stopping after commit of transaction 9, time 2026-11-22 14:43:45+00")
OPEN = say("LOG:  database system is ready to accept connections", pid=1)


def test_a_pause_by_hand_is_not_the_target() -> None:
    log = folded([*BEGIN, *READABLE, *say("LOG:  recovery has paused")])
    assert (log.state, log.reached_target) == (LogState.READABLE, None)
    assert any("by hand" in note for note in log.notes)


def test_a_stop_is_not_believed_before_the_data_are_consistent() -> None:
    log = folded([*BEGIN[:-1], *STOP])
    assert log.reached_target is None
    assert folded([*BEGIN, *STOP]).reached_target is True


def test_a_stop_elsewhere_is_suspect() -> None:
    other = say(
        "LOG:  recovery stopping after commit of transaction 8, time 2026-11-22 14:43:45+00"
    )
    assert told(folded([*BEGIN, *other, *OPEN])) == suspect("WRONG_STOP")


def test_a_server_that_was_stopped_on_its_way_has_not_reached_its_target() -> None:
    down = say("LOG:  received fast shutdown request", "LOG:  database system is shut down", pid=1)
    assert told(folded([*BEGIN, *READABLE, *down])) == ("shut down", False, None, None)


def test_a_restart_does_not_mend_a_suspect_recovery() -> None:
    again = say(
        "LOG:  database system was shut down at 2026-11-22 15:00:00 UTC",
        "LOG:  database system is ready to accept connections",
        pid=20,
    )
    down = say("LOG:  database system is shut down", pid=1)
    assert told(folded([*BEGIN, *OPEN, *down, *again]))[:3] == SUSPECT[:3]
    log = folded([*BEGIN, *STOP, *OPEN, *down, *again])
    assert (log.state, log.reached_target, log.lives) == (LogState.OPEN, True, 2)


def test_the_life_of_the_primary_before_does_not_count() -> None:
    before = say(
        "LOG:  database system was shut down at 2026-11-20 15:00:00 UTC",
        "LOG:  database system is ready to accept connections",
        'ERROR:  could not extend file "base/5/1": No space left on device',
        pid=3,
    )
    log = folded([*before, *BEGIN, *STOP])
    assert (log.state, log.reached_target, log.failure) == (LogState.STOPPED, True, None)


def test_a_step_forward_starts_anew() -> None:
    down = say("LOG:  database system is shut down", pid=1)
    again = say(
        "LOG:  database system was shut down in recovery at 2026-11-22 15:00:00 UTC",
        "LOG:  starting point-in-time recovery to XID 20",
        "LOG:  redo starts at 0/2000028",
        pid=30,
    )
    log = folded([*BEGIN, *STOP, *down, *again])
    assert (log.state, log.reached_target, log.stop) == (LogState.REPLAYING, None, None)
    assert log.target == "transaction 20"


CRASH = say(
    "LOG:  database system was interrupted; last known up at 2026-11-22 14:40:00 UTC",
    "LOG:  database system was not properly shut down; automatic recovery in progress",
    "LOG:  redo starts at 0/2000028",
    "LOG:  redo done at 0/2000100",
    pid=40,
)


def test_crash_recovery_where_a_recovery_was_meant_is_suspect() -> None:
    assert told(folded([*CRASH, *OPEN])) == suspect("NO_RECOVERY_FILE", None)
    # The label was removed after a failure, as PostgreSQL's hint invites to.
    before = text_of("15", "20")
    assert told(folded([*before, *CRASH, *OPEN])) == suspect("NO_RECOVERY_FILE", None)


def test_a_backup_that_was_replayed_from_its_own_wal_is_suspect() -> None:
    """So it is when the recovery file was forgotten, and not a line says so."""
    own = [line for line in (*BEGIN, *say("LOG:  redo done at 0/2000100")) if "redo" in line]
    log = folded([BEGIN[0], *own, BEGIN[-1], *OPEN])
    assert told(log) == suspect("NO_RECOVERY_FILE", None)
    assert log.life.repaired is False


def test_a_crash_of_an_open_server_is_its_own_affair() -> None:
    up = say(
        "LOG:  database system was shut down at 2026-11-20 15:00:00 UTC",
        "LOG:  database system is ready to accept connections",
        pid=3,
    )
    assert told(folded([*up, *CRASH, *OPEN])) == ("open", None, None, None)


def test_a_log_without_its_beginning_proves_nothing() -> None:
    end = say("LOG:  redo done at 0/3000028", "LOG:  archive recovery complete")
    assert told(folded([*end, *OPEN])) == suspect("NO_EVIDENCE", None)


def test_a_client_cannot_make_a_recovery_fail() -> None:
    client = say(
        'FATAL:  could not access file "x": No such file or directory',
        "FATAL:  something nobody knows",
        'FATAL:  role "x" does not exist',
        "FATAL:  the database system is starting up",
        pid=99,
    )
    log = folded([*say("LOG:  starting PostgreSQL 18.6", pid=1), *BEGIN, *READABLE, *client, *STOP])
    assert (log.state, log.reached_target, log.failure) == (LogState.STOPPED, True, None)


@pytest.mark.parametrize(
    ("message", "id", "restartable"),
    [
        ('FATAL:  could not load library "x": no', "LIBRARY", True),
        ('FATAL:  lock file "postmaster.pid" already exists', "LOCKED", True),
        ("FATAL:  could not create any Unix-domain sockets", "PORT", True),
        ("FATAL:  could not map anonymous shared memory: Invalid argument", "RESOURCES", True),
        ("FATAL:  database files are incompatible with server", "VERSION", True),
        ("FATAL:  this is an incremental backup, not a data directory", "INCR", False),
        ("PANIC:  WAL contains references to invalid pages", "INVALID_PAGES", False),
        ("PANIC:  online backup was canceled, recovery cannot continue", "BACKUP", False),
        ('FATAL:  directory "/t" does not exist', "TABLESPACE", True),
        ("FATAL:  syntax error in history file: x", "HISTORY", True),
        ("FATAL:  incorrect checksum in control file", "CONTROL_FILE", False),
        ("FATAL:  nobody knows this", "UNKNOWN", False),
        ("LOG:  startup process (PID 7) was terminated by signal 9: Killed", "KILLED", True),
        ('FATAL:  could not write to file "x": No space left on device', "DISK_FULL", True),
        (
            "FATAL:  requested timeline 3 does not contain minimum recovery point 0/60 on "
            "timeline 2",
            "TIMELINE",
            True,
        ),
        (
            "FATAL:  according to history file, WAL location 0/60 belongs to timeline 1, but "
            "previous recovered WAL file came from timeline 2",
            "TIMELINE",
            True,
        ),
        (
            'FATAL:  WAL was generated with "wal_level=minimal", cannot continue recovering',
            "WAL_LEVEL",
            False,
        ),
    ],
)
@pytest.mark.parametrize("ended", [False, True])
def test_failures_that_no_scenario_has(
    message: str, id: str, restartable: bool, ended: bool
) -> None:
    echo = ["LOG:  startup process (PID 7) exited with exit code 1"] if ended else []
    log = folded([*BEGIN[:2], *say(message), *say(*echo, pid=1)])
    assert told(log) == ("failed", False, id, restartable)
    assert log.failure is not None
    assert log.failure.evidence


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ('"root" execution of the PostgreSQL server is not permitted.', "ROOT"),
        (
            "Error: in 18+, these Docker images are configured to store database data in a",
            "IMAGE",
        ),
        ("postgres: could not find the database system", "CONTROL_FILE"),
        (
            'postgres: could not access the server configuration file "/d/postgresql.conf": No '
            "such file or directory",
            "NO_DATA",
        ),
    ],
)
def test_what_is_said_before_there_is_a_log(text: str, id: str) -> None:
    assert told(folded([text]))[:3] == ("failed", None, id)


def test_an_archive_that_may_not_be_read_is_no_end_of_the_archive() -> None:
    end = say("LOG:  redo done at 0/3000028", "LOG:  archive recovery complete")
    mode = [line.replace("point-in-time recovery to XID 9", "archive recovery") for line in BEGIN]
    denied = "cp: cannot open '/archive/000000010000000000000004' for reading: Permission denied"
    assert told(folded([*mode, denied, *end, *OPEN])) == suspect("FETCH_FAILED", None)
    absent = denied.replace("Permission denied", "No such file or directory")
    assert told(folded([*mode, absent, *end, *OPEN])) == ("open", None, None, None)


def test_every_remedy_says_what_to_do() -> None:
    assert set(IDS.values()) <= set(REMEDIES)
    for remedy in REMEDIES.values():
        for text in (remedy.cause, remedy.fix):
            assert text.endswith(".")
            assert re.match("[A-Z]", text)


# Whatever order the processes write in, and whatever is lost


def interleaved(lines: tuple[str, ...], chance: random.Random) -> list[str]:
    """The lines in another order, in which each process keeps its own."""
    queues: dict[int | None, list[str]] = {}
    last = None
    for text in lines:
        line = parse_line(text)
        last = line.pid if line.severity is not None else None if text[:1] != "\t" else last
        queues.setdefault(last, []).append(text)
    mixed = []
    while queues:
        pid = chance.choice(list(queues))
        mixed.append(queues[pid].pop(0))
        if not queues[pid]:
            del queues[pid]
    return mixed


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(scenarios()), st.randoms(use_true_random=False))
def test_the_order_of_processes_changes_nothing(
    scenario: tuple[str, str], chance: random.Random
) -> None:
    lines = text_of(*scenario)
    assert told(folded(interleaved(lines, chance))) == truth_of(*scenario)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(scenarios()), st.randoms(use_true_random=False), st.data())
def test_no_cut_and_no_shuffle_makes_it_better(
    scenario: tuple[str, str], chance: random.Random, data: st.DataObject
) -> None:
    lines = list(text_of(*scenario))
    kept = [line for line in lines if chance.random() < 0.7]
    if data.draw(st.booleans()):
        chance.shuffle(kept)
    if truth_of(*scenario)[1] is not True:
        assert folded(kept).reached_target is not True


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=20))
def test_any_lines_at_all(texts: list[str]) -> None:
    log = folded(texts)
    assert log.reached_target is not True
    assert log.state in LogState
    assert observe(parse_line("")) is None
