"""Real recoveries on six majors: what their logs are understood to say.

The numbers are those of the scenarios in tests/data/server-logs.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

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

LOGS = Path(__file__).parents[1] / "data" / "server-logs"
MAJORS = ("9.6", "10", "12", "13", "15", "18")
# The majors that end a recovery with FATAL when its target was not reached.
STRICT = ("13", "15", "18")
LENIENT = ("9.6", "10", "12")

# The three accidents that each major's planted history holds, in the order of commit.
FIRST_XID = {"9.6": 551, "10": 558, "12": 489, "13": 488, "15": 727, "18": 755}


def scenarios() -> list[tuple[str, str]]:
    """Every fixture as (major, number and name)."""
    return [(path.parent.name, path.stem) for path in sorted(LOGS.glob("*/*.log"))]


@cache
def lines(major: str, scenario: str) -> tuple[LogLine, ...]:
    """The log with this number, or this number and name."""
    paths = (LOGS / major).glob("*.log")
    (path,) = [path for path in paths if scenario in (path.stem, path.stem.split("_")[0])]
    return tuple(parse_line(text) for text in path.read_text().splitlines(keepends=True))


def every_line(major: str) -> list[LogLine]:
    """All lines of all logs of a major."""
    return [line for each, name in scenarios() if each == major for line in lines(each, name)]


def seen(major: str, scenario: str) -> list[Observation]:
    """All observations of a fixture."""
    return [found for line in lines(major, scenario) if (found := observe(line))]


def kinds(major: str, scenario: str) -> set[K]:
    """What was observed at all, in no order."""
    return {observation.kind for observation in seen(major, scenario)}


def only(kind: K, observations: Iterable[Observation]) -> Observation:
    """The one observation of a kind."""
    (observation,) = [each for each in observations if each.kind is kind]
    return observation


@pytest.mark.parametrize("major", MAJORS)
def test_every_prefixed_line_is_parsed(major: str) -> None:
    for line in every_line(major):
        assert (line.severity is None) == (not line.text.startswith("2026-11-22"))
        assert (line.time is None) == (line.severity is None or " EST [" in line.text)


# Where replay stopped


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(
    ("scenario", "nth", "before"),
    [
        ("01", 0, True),
        ("02", 0, True),
        ("03", 0, True),
        ("04", 0, True),
        ("05", 1, True),
        ("06", 0, False),
        ("14", -1, True),
        ("15b", 0, True),
        ("34", 0, True),
        ("53", 1, True),
        ("54_exact_commit_time_inclusive_false", 0, True),
        ("54_exact_commit_time_inclusive_true", 1, True),
        ("55a", 0, True),
        ("55", 2, True),
        ("56", 0, True),
    ],
)
def test_stop_at_a_transaction(major: str, scenario: str, nth: int, before: bool) -> None:
    stop = only(K.STOPPING, seen(major, scenario))
    assert (stop.what, stop.xid, stop.before) == ("commit", FIRST_XID[major] + nth, before)
    assert stop.time
    assert stop.time.endswith("+00")


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(("scenario", "name"), [("07", "before_drop"), ("57", "dup")])
def test_stop_at_a_restore_point(major: str, scenario: str, name: str) -> None:
    stop = only(K.STOPPING, seen(major, scenario))
    assert (stop.what, stop.name, stop.before, stop.xid) == ("restore point", name, None, None)
    assert only(K.RECOVERY_MODE, seen(major, scenario)).name == name


@pytest.mark.parametrize("major", MAJORS)
def test_stop_at_consistency(major: str) -> None:
    stop = only(K.STOPPING, seen(major, "08"))
    assert stop == Observation(K.STOPPING, what="consistency")
    assert only(K.RECOVERY_MODE, seen(major, "08")).what == "immediate"


@pytest.mark.parametrize("major", MAJORS[1:])  # 9.6 has no recovery_target_lsn
@pytest.mark.parametrize(("scenario", "before"), [("09", False), ("10", True)])
def test_stop_at_an_lsn(major: str, scenario: str, before: bool) -> None:
    lsn = Lsn.parse("0/30024D8" if major == "10" else "0/3002470")
    stop = only(K.STOPPING, seen(major, scenario))
    assert stop == Observation(K.STOPPING, lsn=lsn, before=before, what="lsn")
    assert only(K.RECOVERY_MODE, seen(major, scenario)).lsn == lsn


@pytest.mark.parametrize("major", MAJORS)
def test_a_pause_is_seen_in_every_wording(major: str) -> None:
    pause = only(K.PAUSED, seen(major, "01"))
    assert pause.what == ("target" if major in STRICT else None)


@pytest.mark.parametrize("major", MAJORS)
def test_promote_while_paused_is_heard_from_13_only(major: str) -> None:
    assert (K.PROMOTE_REQUESTED in kinds(major, "02")) == (major in STRICT)
    assert (K.OPEN in kinds(major, "02")) == (major in STRICT)


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("scenario", ["04", "53", "54_exact_commit_time_inclusive_true"])
def test_shutdown_at_the_target(major: str, scenario: str) -> None:
    found = kinds(major, scenario)
    assert {K.STOPPING, K.SHUTDOWN_AT_TARGET, K.SERVER_STOPPED} <= found
    assert K.OPEN not in found
    assert not found & FAILURES


@pytest.mark.parametrize("major", MAJORS)
def test_stepping_forward_continues(major: str) -> None:
    assert only(K.SHUT_DOWN_IN_RECOVERY, seen(major, "55")).time
    assert not kinds(major, "55") & FAILURES


# A whole recovery


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("scenario", ["03", "05", "06", "07"])
def test_a_promoted_recovery_tells_its_story(major: str, scenario: str) -> None:
    found = seen(major, scenario)
    assert {
        K.INTERRUPTED,
        K.RECOVERY_MODE,
        K.FETCHED,
        K.REDO_START,
        K.CONSISTENT,
        K.READ_ONLY_OPEN,
        K.STOPPING,
        K.REDO_DONE,
        K.LAST_TRANSACTION,
        K.NEW_TIMELINE,
        K.RECOVERY_COMPLETE,
        K.OPEN,
        K.SERVER_STOPPED,
    } <= {each.kind for each in found}
    assert not {each.kind for each in found} & (FAILURES | ALARMS)
    assert only(K.REDO_START, found).lsn == Lsn.parse("0/2000028")
    assert only(K.NEW_TIMELINE, found).timeline == TimelineId(2)
    assert Observation(K.FETCHED, name="000000010000000000000003") in found


@pytest.mark.parametrize("major", ["15", "18"])
def test_the_backup_is_bounded_from_the_log_of_late_minors(major: str) -> None:
    begin, end = (only(kind, seen(major, "01")) for kind in (K.BACKUP_BEGIN, K.BACKUP_END))
    assert begin == Observation(K.BACKUP_BEGIN, lsn=Lsn.parse("0/2000028"), timeline=TimelineId(1))
    assert end.lsn == only(K.CONSISTENT, seen(major, "01")).lsn


def test_progress_is_reported_by_position() -> None:
    progress = [each.lsn for each in seen("18", "33") if each.kind is K.REDO_PROGRESS]
    assert progress[:2] == [Lsn.parse("0/2000048"), Lsn.parse("0/302D740")]
    assert progress == sorted(progress, key=lambda lsn: lsn or 0)


@pytest.mark.parametrize("major", MAJORS)
def test_a_standby_streams(major: str) -> None:
    assert K.STANDBY_MODE in kinds(major, "32")
    streaming = only(K.STREAMING, seen(major, "32"))
    assert (streaming.lsn, streaming.timeline) == (Lsn.parse("0/5000000"), TimelineId(1))


@pytest.mark.parametrize("major", MAJORS)
def test_a_restartpoint_tells_where_replay_would_resume(major: str) -> None:
    where, when = [each for each in seen(major, "57") if each.kind is K.RESTART_FROM]
    assert where.lsn
    assert when.time
    assert when.time.endswith("+00")


# The target was missed


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("scenario", ["12", "13", "21", "23", "24", "25", "38"])
def test_a_missed_target_fails_from_13_and_opens_silently_before(major: str, scenario: str) -> None:
    found = kinds(major, scenario)
    assert K.STOPPING not in found
    assert (K.UNREACHED in found) == (major in STRICT)
    assert (K.OPEN in found) == (major in LENIENT)
    assert (K.STARTUP_FAILED in found) == (major in STRICT)


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("scenario", ["11", "26", "36", "51", "58"])
def test_without_a_target_the_end_of_the_wal_opens_the_server(major: str, scenario: str) -> None:
    found = seen(major, scenario)
    assert {K.OPEN, K.RECOVERY_COMPLETE} <= {each.kind for each in found}
    assert only(K.RECOVERY_MODE, found).what == "latest"
    assert not any(each.is_failure for each in found)


@pytest.mark.parametrize("major", MAJORS)
def test_a_target_before_the_backup_is_not_refused(major: str) -> None:
    """2001 was asked for; the server stops at the first commit after the backup."""
    assert (only(K.RECOVERY_MODE, seen(major, "14")).time or "").startswith("2001-01-01")
    assert not kinds(major, "14") & FAILURES


@pytest.mark.parametrize("major", ["9.6", "13", "18"])
def test_a_repository_that_fails_with_103_looks_like_the_end_of_wal(major: str) -> None:
    assert K.OPEN in kinds(major, "60")
    assert not kinds(major, "60") & FAILURES
    assert (K.UNREACHED in kinds(major, "61")) == (major in STRICT)


# Failures


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("15", K.PARAMETER_TOO_LOW),
        ("17", K.FETCH_FATAL),
        ("17b", K.FETCH_FATAL),
        ("18", K.BAD_PERMISSIONS),
        ("19", K.NO_BACKUP_LABEL),
        ("20", K.NO_CHECKPOINT),
        ("22", K.WRONG_SIZE),
        ("23", K.CHECKSUM),
        ("30", K.NO_TIMELINE_HISTORY),
        ("31", K.BAD_SETTING),
        ("35", K.NOT_A_CHILD_TIMELINE),
        ("52", K.WAL_ENDS_BEFORE_BACKUP_END),
        ("56", K.TOO_EARLY),
        ("59", K.PARAMETER_TOO_LOW),
    ],
)
def test_failure_on_every_major(major: str, scenario: str, kind: K) -> None:
    assert kind in kinds(major, scenario)
    assert kind in FAILURES


@pytest.mark.parametrize("major", ["12", "13", "15", "18"])
@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("16", K.MULTIPLE_TARGETS),
        ("24", K.FOREIGN_SYSTEM),
        ("25", K.BAD_PAGE),
        ("27", K.OLD_RECOVERY_CONF),
        ("28", K.NO_CHECKPOINT),
    ],
)
def test_failure_from_12(major: str, scenario: str, kind: K) -> None:
    assert kind in kinds(major, scenario)
    assert kind in FAILURES


@pytest.mark.parametrize("major", ["9.6", "10"])
@pytest.mark.parametrize("scenario", ["24", "25"])
def test_foreign_and_empty_segments_leave_no_trace_before_12(major: str, scenario: str) -> None:
    assert not kinds(major, scenario) & (FAILURES | ALARMS)


@pytest.mark.parametrize("major", MAJORS)
def test_damage_is_measured(major: str) -> None:
    size = only(K.WRONG_SIZE, seen(major, "22"))
    assert (size.name, size.found, size.wanted) == ("000000010000000000000003", 10**6, 2**24)
    assert only(K.CHECKSUM, seen(major, "23")).lsn == Lsn.parse("0/3000028")
    end = only(K.RECORD_END, seen(major, "52"))
    assert (end.found, end.wanted, end.is_failure, end.is_alarm) == (0, 24, False, True)
    assert only(K.NO_TIMELINE_HISTORY, seen(major, "30")).timeline == TimelineId(7)
    assert only(K.NOT_A_CHILD_TIMELINE, seen(major, "35")).timeline == TimelineId(2)


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(("scenario", "found", "wanted"), [("15", 20, 50), ("59", 50, 90)])
def test_the_parameter_is_named(major: str, scenario: str, found: int, wanted: int) -> None:
    (told,) = [
        each for each in seen(major, scenario) if each.kind is K.PARAMETER_TOO_LOW and each.name
    ]
    assert (told.name, told.found, told.wanted) == ("max_connections", found, wanted)


@pytest.mark.parametrize("major", ["15", "18"])
def test_a_pause_for_a_parameter_is_not_the_target(major: str) -> None:
    assert {K.PAUSED, K.PAUSED_UNFIT, K.REDO_CONTEXT} <= kinds(major, "59")
    assert K.STOPPING not in kinds(major, "59")


@pytest.mark.parametrize("major", ["9.6", "13", "18"])
def test_exit_255_is_fatal(major: str) -> None:
    fetch = only(K.FETCH_FATAL, seen(major, "62"))
    assert (fetch.name, fetch.found) == ("000000010000000000000003", 255)


@pytest.mark.parametrize("major", ["13", "18"])
def test_a_killed_restore_command_leaves_only_the_death_of_startup(major: str) -> None:
    assert kinds(major, "63") & FAILURES == {K.STARTUP_FAILED}


def test_exit_143_from_a_shell_is_fatal_in_9_6() -> None:
    assert only(K.FETCH_FATAL, seen("9.6", "63")).found == 143


@pytest.mark.parametrize("major", ["15", "18"])
def test_a_restore_command_that_delivers_nothing(major: str) -> None:
    names = [each.name for each in seen(major, "28") if each.kind is K.FETCHED_NOTHING]
    assert names == ["pg_wal/RECOVERYHISTORY", "pg_wal/RECOVERYXLOG"]


NO_HARM = {
    "terminating connection due to administrator command",
    "terminating walreceiver process due to administrator command",
}


@pytest.mark.parametrize(("major", "scenario"), scenarios())
def test_every_fatal_line_is_a_known_failure(major: str, scenario: str) -> None:
    for line in lines(major, scenario):
        if line.severity in (Severity.FATAL, Severity.PANIC):
            found = observe(line)
            assert found
            if line.message in NO_HARM:
                assert found.kind is K.SESSION_ENDED
            else:
                assert found.is_failure


@pytest.mark.parametrize("major", MAJORS)
def test_real_lines_are_explained_without_holes(major: str) -> None:
    for line in every_line(major):
        if found := observe(line):
            assert "(not told)" not in explain(found)
