"""What a log proves and what it does not: whose words, how far, at which target, what to do."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pitr_tui.postgres.logfold import events
from pitr_tui.postgres.logline import parse_line
from pitr_tui.postgres.logreader import grouped, read_lines
from pitr_tui.postgres.logstory import LogState, ServerLog
from tests.unit.made import LOG_MAJORS
from tests.unit.test_logstory import (
    BEGIN,
    MET,
    OPEN,
    READABLE,
    STOP,
    SUSPECT,
    folded,
    say,
    scenarios,
    text_of,
    told,
)

# What to do


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("12", ("date, time zone", "pitr wal coverage", "pg_switch_wal()")),
        ("13", ("spelling", "`pitr wal suspects ARCHIVE`", "restore point")),
        ("21", ("that is a gap", "pitr wal coverage", "from the primary's pg_wal")),
    ],
)
@pytest.mark.parametrize("major", LOG_MAJORS)
def test_the_fix_is_for_the_target_that_was_asked_for(
    major: str, name: str, words: tuple[str, ...]
) -> None:
    log = folded(text_of(major, name))
    failure = log.failure
    assert failure is not None
    said = f"{failure.cause} {failure.fix}"
    assert all(word in said for word in words)
    assert ("pg_switch_wal()" in said) == (name == "12")
    # The copy of an open server is lost anyway: no word of starting it once more.
    assert ("restore again" in said) == (log.state is LogState.SUSPECT_OPEN)
    assert ("start the server again" in said) == failure.restartable
    assert ("replay has passed it" in said) == (failure.restartable and name != "21")


def test_a_transaction_that_is_not_met_is_no_reason_to_switch_the_wal() -> None:
    end = say(
        "LOG:  redo done at 0/3000028",
        "FATAL:  recovery ended before configured recovery target was reached",
    )
    failure = folded([*BEGIN, *end]).failure
    assert failure is not None
    assert (failure.id, failure.restartable) == ("UNREACHED", True)
    assert "32 bits" in failure.fix
    assert "pg_switch_wal" not in failure.fix


# Somebody else's words


MISSED_12 = [
    *BEGIN,
    *READABLE,
    *say("LOG:  redo done at 0/3000028", "LOG:  archive recovery complete"),
]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(say(STOP[0].partition("] ")[2], pid=99), id="a client's RAISE LOG"),
        pytest.param([STOP[0].partition("] ")[2]], id="restore_command, as the server says it"),
        pytest.param([STOP[0].partition("LOG:  ")[2]], id="restore_command"),
        pytest.param(say("LOG:  recovery has paused", pid=99), id="a pause"),
        pytest.param(say("LOG:  shutdown at recovery target", pid=99), id="a shutdown"),
        pytest.param(
            [*say("LOG:  starting point-in-time recovery to XID 8", pid=99)], id="another target"
        ),
    ],
)
def test_only_the_server_itself_is_believed_that_it_stopped(said: list[str]) -> None:
    for lines in (
        [*MISSED_12, *OPEN, *said],
        [*MISSED_12, *said, *OPEN],
        [*BEGIN, *READABLE, *said, *MISSED_12[len(BEGIN) + 1 :], *OPEN],
    ):
        assert told(folded(lines)) == SUSPECT
    heard = [one.explanation for one in events(grouped(map(parse_line, [*MISSED_12, *said])))]
    assert not any("target is found" in one for one in heard)


def test_a_log_without_processes_cannot_mend_an_open_server() -> None:
    for lines, truth in (((*MISSED_12, *OPEN, *STOP), SUSPECT), ((*BEGIN, *STOP, *OPEN), MET)):
        log = ServerLog()
        for line in read_lines(one.replace(" [7]", "").replace(" [1]", "") for one in lines):
            assert line.pid is None
            log.add(line)
        assert told(log) == truth


def test_the_end_of_an_earlier_recovery_is_not_the_next_ones() -> None:
    tail = say(STOP[0].partition("] ")[2], "LOG:  recovery has paused", pid=5)
    log = folded([*tail, *BEGIN, *READABLE])
    assert (log.state, log.reached_target, log.stop) == (LogState.READABLE, None, None)


# How far replay has come, and what a line says where it stands


def test_replay_is_told_as_far_as_it_is_proved() -> None:
    assert folded(BEGIN[:-1]).replayed_text == "from 0/2000028; how far, the log does not tell"
    assert folded(BEGIN).replayed_text == "at least to 0/2000100"
    points = say(
        "LOG:  recovery restart point at 0/4000028",
        "DETAIL:  Last completed transaction was at log time 2026-11-22 14:43:43+00.",
        "LOG:  recovery restart point at 0/5000028",
        "DETAIL:  Last completed transaction was at log time 2026-11-22 14:43:44+00.",
        pid=9,
    )
    log = folded([*BEGIN, *points])
    assert (log.replayed_text, log.clock) == ("at least to 0/5000028", "2026-11-22 14:43:44+00")
    end = say(
        "LOG:  redo done at 0/6000028",
        "LOG:  last completed transaction was at log time 2026-11-22 14:43:45+00",
    )
    for lines in ([*points, *end], [*end, *points]):
        log = folded([*BEGIN, *lines])
        assert (log.replayed_text, log.clock) == ("to 0/6000028", "2026-11-22 14:43:45+00")


def readable_line(lines: Iterable[str]) -> str:
    told = [one for one in events(grouped(map(parse_line, lines))) if one.kind == "read-only open"]
    return told[-1].explanation


def test_readable_is_said_of_the_place_where_the_line_stands() -> None:
    latest = [line.replace("point-in-time recovery to XID 9", "archive recovery") for line in BEGIN]
    standby = [line for line in BEGIN if "XID" not in line] + say("LOG:  entering standby mode")
    done = say("LOG:  redo done at 0/3000028")
    elsewhere = [line.replace("transaction 9", "transaction 8") for line in STOP]
    for before, words in (
        (BEGIN, ", but NOT at the target yet; replay goes on."),
        ([*BEGIN, *STOP], ", at the target."),
        ([*BEGIN, *STOP, *done], ", at the target."),
        ([*BEGIN, *elsewhere], ", but NOT at the target: replay stopped elsewhere."),
        ([*BEGIN, *done], ", but NOT at the target; replay has ended."),
        (latest, "; replay goes on."),
        ([*latest, *done], "; replay has ended."),
        (standby, "; it follows as a standby."),
    ):
        assert readable_line([*before, *READABLE]) == f"The server is readable{words}"
    # What an earlier life has reached counts for nothing; what is not known is not said.
    assert "NOT at the target yet" in readable_line([*BEGIN, *STOP, *READABLE, *BEGIN, *READABLE])
    assert "recovery stopping" in readable_line(READABLE)


@pytest.mark.parametrize(("major", "name"), scenarios())
def test_no_readable_line_is_better_than_the_whole_log(major: str, name: str) -> None:
    lines = text_of(major, name)
    if any("read-only connections" in line or "read only connections" in line for line in lines):
        at = readable_line(lines) == "The server is readable, at the target."
        log = folded(lines)
        assert not at or (log.reached_target and not log.stopped_behind_target)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_a_target_before_the_backup_is_known(major: str) -> None:
    assert folded(text_of(major, "14")).stopped_behind_target
    for name in ("01", "03", "05", "12", "55"):
        assert not folded(text_of(major, name)).stopped_behind_target
