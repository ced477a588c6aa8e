"""Where a recovery ended, decided from real logs of six majors held against the target."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import (
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.recovery.events import FeedFailed, LogArrived, NameAbsent, RunStarted, Stamped
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verdict import RecoveryFailedError, failure, is_over, require_asked_for
from pitr_tui.recovery.verify import ServerState
from pitr_tui.repositories.archive import WalArchive
from tests.unit.made import LOG_MAJORS, SERVER_LOGS, backup_value, make_archive, make_plan, segment

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VERSIONS = {
    "9.6": "9.6.10",
    "10": "10.23",
    "12": "12.22",
    "13": "13.23",
    "15": "15.18",
    "18": "18.6",
}
LENIENT, STRICT = ("9.6", "10", "12"), ("13", "15", "18")
PROMOTE, PAUSE, SHUTDOWN = TargetAction.PROMOTE, TargetAction.PAUSE, TargetAction.SHUTDOWN
SIZE = 16 << 20  # of the segments in those logs


def seen(plan: RecoveryPlan, major: str, number: str, *, until: str = "") -> RunView:
    """The view after the log of a scenario, or after its first line with these words."""
    view = RunView()
    begun = RunStarted("r", str(plan.version), "", "", "", str(plan.target), plan.action, "")
    view.apply(Stamped(NOON, begun))
    (path,) = (SERVER_LOGS / major).glob(f"{number}_*.log")
    for line in path.read_text().splitlines():
        view.apply(Stamped(NOON, LogArrived(line)))
        if until and until in line:
            return view
    assert not until, f"{path.name} does not say {until!r}"
    return view


def planned(
    place: Path,
    major: str,
    target: RecoveryTarget,
    action: TargetAction = PROMOTE,
    archive: WalArchive | None = None,
    timeline: int | None = None,
) -> RecoveryPlan:
    version = VERSIONS[major]
    backup = backup_value(place / "backup", version, segment_size=SIZE)
    return make_plan(
        place, version, target, action, backup=backup, archive=archive, timeline=timeline
    )


def target_time(major: str, number: str) -> AtTime:
    """The time that the log of a scenario says it was started with."""
    (path,) = (SERVER_LOGS / major).glob(f"{number}_*.log")
    (line,) = (one for one in path.read_text().splitlines() if "point-in-time recovery to 2" in one)
    return AtTime(datetime.fromisoformat(line.partition(" to ")[2]))


@pytest.mark.parametrize("major", LOG_MAJORS)
@pytest.mark.parametrize(("number", "action"), [("03", PROMOTE), ("04", SHUTDOWN)])
def test_a_time_that_was_met(tmp_path: Path, major: str, number: str, action: TargetAction) -> None:
    plan = planned(tmp_path, major, target_time(major, number), action)
    view = seen(plan, major, number)
    assert failure(plan, view, running=action is PROMOTE) is None
    assert is_over(plan, view) == (action is PROMOTE)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_a_pause_at_the_target_is_the_end(tmp_path: Path, major: str) -> None:
    plan = planned(tmp_path, major, target_time(major, "01"), PAUSE)
    words = "recovery has paused" if major in LENIENT else "pausing at the end of recovery"
    view = seen(plan, major, "01", until=words)
    assert is_over(plan, view)
    assert failure(plan, view, running=True) is None
    before = seen(plan, major, "01", until="recovery stopping")
    assert not is_over(plan, before)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_a_readable_server_is_not_the_end(tmp_path: Path, major: str) -> None:
    plan = planned(tmp_path, major, target_time(major, "01"), PAUSE)
    view = seen(plan, major, "01", until="consistent recovery state")
    assert not is_over(plan, view)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_another_stop_than_the_target_is_refused(tmp_path: Path, major: str) -> None:
    for target in (AtXid(3), AtName("another"), Immediate()):
        plan = planned(tmp_path, major, target)
        problem = failure(plan, seen(plan, major, "03"), running=True)
        assert problem
        assert problem.what == "the recovery stopped somewhere else"


@pytest.mark.parametrize("major", LENIENT)
@pytest.mark.parametrize("number", ["12", "13", "21"])
def test_a_silent_promotion_is_refused(tmp_path: Path, major: str, number: str) -> None:
    plan = planned(tmp_path, major, AtTime(NOON))
    view = seen(plan, major, number)
    assert is_over(plan, view)
    problem = failure(plan, view, running=True)
    assert problem
    assert "did not reach its target" in problem.what


@pytest.mark.parametrize("major", STRICT)
@pytest.mark.parametrize("number", ["12", "13", "21"])
def test_an_unreached_target_is_refused(tmp_path: Path, major: str, number: str) -> None:
    plan = planned(tmp_path, major, AtTime(NOON))
    problem = failure(plan, seen(plan, major, number), running=False)
    assert problem
    assert problem.what == "the recovery failed: unreached"


@pytest.mark.parametrize("major", STRICT)
@pytest.mark.parametrize("gap", [False, True])
def test_an_unreached_target_names_the_segment(tmp_path: Path, major: str, gap: bool) -> None:
    archive = make_archive(tmp_path / "archive", segment(2, size=SIZE))
    if gap:
        make_archive(tmp_path / "archive", segment(4, size=SIZE))
    plan = planned(tmp_path, major, AtTime(NOON), archive=archive)
    view = seen(plan, major, "12")
    view.apply(Stamped(NOON, NameAbsent(segment(3, size=SIZE).name)))
    problem = failure(plan, view, running=False)
    assert problem
    assert segment(3, size=SIZE).name in str(problem)
    assert (segment(4, size=SIZE).name in problem.why) is gap
    assert ("is not in the archive" in problem.what) is gap


@pytest.mark.parametrize("major", LOG_MAJORS)
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("15", "parameter too low"),
        ("17", "fetch fatal"),
        ("19", "no backup label"),
        ("20", "no checkpoint"),
        ("22", "wrong size"),
        ("35", "not a child timeline"),
        ("56", "too early"),
    ],
)
def test_a_failure_is_told_by_its_cause(tmp_path: Path, major: str, number: str, kind: str) -> None:
    target = target_time(major, "56") if number == "56" else AtTime(NOON)
    plan = planned(tmp_path, major, target)
    problem = failure(plan, seen(plan, major, number), running=False)
    assert problem
    assert problem.what == f"the recovery failed: {kind}"
    assert problem.hint


@pytest.mark.parametrize("major", LOG_MAJORS)
@pytest.mark.parametrize(
    ("number", "id", "restartable", "words"),
    [
        ("12", "UNREACHED", True, ""),
        ("15", "PARAM", True, "max_connections is 20 and must be at least 50"),
        ("17", "FETCH_FATAL", True, "command not found"),
        ("19", "NO_LABEL", False, "Do not use pg_resetwal"),
        ("20", "NO_CHECKPOINT", True, "Do NOT"),
        ("22", "SIZE", True, "1000000 instead of 16777216"),
        ("23", "CRC", True, "000000010000000000000003"),
        ("35", "TIMELINE", True, "timeline 2"),
        ("56", "TOO_EARLY", False, "backwards"),
    ],
)
def test_a_failure_says_whether_a_restart_is_enough(
    tmp_path: Path, major: str, number: str, id: str, restartable: bool, words: str
) -> None:
    target = target_time(major, "56") if number == "56" else AtTime(NOON)
    plan = planned(tmp_path, major, target)
    view = seen(plan, major, number)
    problem = failure(plan, view, running=False)
    assert isinstance(problem, RecoveryFailedError)
    assert (problem.failure, problem.restartable) == (id, restartable and not view.opened)
    assert words in f"{problem.why} {problem.hint}" or view.opened


@pytest.mark.parametrize("major", ["15", "18"])
def test_a_pause_before_the_target_is_refused(tmp_path: Path, major: str) -> None:
    plan = planned(tmp_path, major, AtTime(NOON), PAUSE)
    view = seen(plan, major, "59", until="recovery has paused")
    problem = failure(plan, view, running=True)
    assert problem
    assert "paused before its target" in problem.what
    assert isinstance(problem, RecoveryFailedError)
    assert (problem.failure, problem.restartable) == ("PARAM", True)
    assert "max_connections is 50 and must be at least 90" in problem.why


def test_a_server_that_died_without_a_word_is_refused(tmp_path: Path) -> None:
    for action in TargetAction:
        plan = planned(tmp_path, "18", AtTime(NOON), action)
        problem = failure(plan, RunView(), running=False)
        assert isinstance(problem, PitrError)
        assert "stopped by itself" in problem.what


def test_what_could_not_be_fed_comes_first(tmp_path: Path) -> None:
    plan = planned(tmp_path, "18", AtTime(NOON))
    view = seen(plan, "18", "62")
    view.apply(Stamped(NOON, FeedFailed("000000010000000000000003", "it is cut")))
    problem = failure(plan, view, running=False)
    assert problem
    assert (problem.what, problem.why) == (
        "the recovery needs 000000010000000000000003, which cannot be delivered",
        "it is cut",
    )


def number_reached(major: str) -> int:
    """The segment in which the recovery to the end of the WAL ended."""
    view = RunView()
    (path,) = (SERVER_LOGS / major).glob("11_*.log")
    for line in path.read_text().splitlines():
        view.apply(Stamped(NOON, LogArrived(line)))
    assert view.redo_done is not None
    return int(view.redo_done) // SIZE


@pytest.mark.parametrize("major", LOG_MAJORS)
@pytest.mark.parametrize("beyond", [0, 2])
def test_without_a_target_wal_behind_a_gap_is_a_failure(
    tmp_path: Path, major: str, beyond: int
) -> None:
    reached = number_reached(major)
    numbers = {reached, reached + beyond}
    archive = make_archive(tmp_path / "archive", *(segment(n, size=SIZE) for n in numbers))
    plan = planned(tmp_path, major, Latest(), archive=archive)
    problem = failure(plan, seen(plan, major, "11"), running=True)
    assert bool(problem) == bool(beyond)
    if problem:
        assert segment(reached + 2, size=SIZE).name in problem.why


def test_what_a_parent_wrote_behind_the_fork_is_no_gap(tmp_path: Path) -> None:
    """The old primary went on archiving after another server had been promoted."""
    reached = number_reached("18")
    parents = (segment(n, size=SIZE) for n in range(2, reached + 3))
    own = segment(reached, 2, size=SIZE)
    archive = make_archive(tmp_path / "archive", *parents, own)
    (tmp_path / "archive" / "00000002.history").write_text(f"1\t{Lsn(own.start + 100)}\tx\n")
    plan = planned(tmp_path, "18", Latest(), archive=archive, timeline=2)
    assert failure(plan, seen(plan, "18", "11"), running=True) is None


PAUSED = ServerState(True, True, Lsn(0x3000000), NOON, TimelineId(1))
REPLAYING = ServerState(True, False, Lsn(0x3000000), NOON, TimelineId(1))
OPEN = ServerState(False, False, None, None, TimelineId(2))


@pytest.mark.parametrize(
    ("action", "state", "good"),
    [
        (PAUSE, PAUSED, True),
        (PAUSE, REPLAYING, False),
        (PAUSE, OPEN, False),
        (PROMOTE, OPEN, True),
        (PROMOTE, PAUSED, False),
        (PROMOTE, REPLAYING, False),
    ],
)
def test_the_server_itself_is_asked(
    tmp_path: Path, action: TargetAction, state: ServerState, good: bool
) -> None:
    plan = planned(tmp_path, "18", AtXid(728), action)
    if good:
        require_asked_for(plan, state)
    else:
        with pytest.raises(RecoveryFailedError, match="not in the state that was asked for"):
            require_asked_for(plan, state)
