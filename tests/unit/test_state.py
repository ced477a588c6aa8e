"""The state of a run, folded from real logs of six majors: at the target, or not at all."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import Latest
from pitr_tui.recovery.events import (
    CheckDone,
    CutKnown,
    Event,
    FeedFailed,
    LogArrived,
    Progress,
    ReplayAt,
    RunFailed,
    RunFinished,
    RunStarted,
    RunTakenUp,
    Stamped,
    Status,
    Step,
    StepDone,
    StepStarted,
)
from pitr_tui.recovery.state import RunState, RunView
from tests.unit.made import LOG_MAJORS, SERVER_LOGS

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LENIENT = ("9.6", "10", "12")  # they open without a word when the target is not reached
STRICT = ("13", "15", "18")


def started(target: str) -> RunStarted:
    return RunStarted("run", "18.6", "/b", "/a", "/d", target, "pause", "")


def folded(
    events: Iterable[Event], target: str = "up to a moment"
) -> tuple[RunView, list[RunState]]:
    """The view after these events, and the states that it went through."""
    view = RunView()
    states: list[RunState] = []
    for event in (started(target), StepStarted(Step.START), *events):
        view.apply(Stamped(NOON, event))
        if not states or states[-1] is not view.state:
            states.append(view.state)
    return view, states


def log(major: str, number: str) -> list[Event]:
    """The lines of the log of a scenario."""
    (path,) = (SERVER_LOGS / major).glob(f"{number}_*.log")
    return [LogArrived(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_a_pause_at_the_target_is_told(major: str) -> None:
    view, states = folded(log(major, "01"))
    assert RunState.PAUSED in states
    assert RunState.SUSPECT_OPEN not in states
    # The log goes on to the promotion; before that, nothing is behind the pause.
    assert states[-1] is RunState.PROMOTED
    assert states[-3:-1] == [RunState.PAUSED, RunState.PROMOTING]
    assert view.paused
    assert view.stop is not None
    assert (view.stop.what, view.stop.before) == ("commit", True)
    assert view.fraction == 1.0
    assert not view.failures


@pytest.mark.parametrize("major", LOG_MAJORS)
@pytest.mark.parametrize(
    ("number", "state", "what"),
    [
        ("03", RunState.PROMOTED, "commit"),
        ("04", RunState.SHUT_DOWN, "commit"),
        ("05", RunState.PROMOTED, "commit"),
        ("06", RunState.PROMOTED, "commit"),
        ("07", RunState.PROMOTED, "restore point"),
        ("08", RunState.PROMOTED, "consistency"),
    ],
)
def test_a_target_that_was_met_is_told(major: str, number: str, state: RunState, what: str) -> None:
    view, states = folded(log(major, number))
    assert states[-1] is state
    assert view.stop is not None
    assert view.stop.what == what
    assert view.segments_restored > 0
    assert view.at_consistency is not None


@pytest.mark.parametrize("major", LOG_MAJORS[1:])
def test_a_position_that_was_met_is_told(major: str) -> None:
    for number, before in (("09", False), ("10", True)):
        view, states = folded(log(major, number))
        assert states[-1] is RunState.PROMOTED
        assert view.stop is not None
        assert (view.stop.what, view.stop.before) == ("lsn", before)


@pytest.mark.parametrize("major", LENIENT)
@pytest.mark.parametrize("number", ["12", "13", "21"])
def test_a_silent_promotion_is_suspect(major: str, number: str) -> None:
    view, states = folded(log(major, number))
    assert states[-1] is RunState.SUSPECT_OPEN
    assert view.opened
    assert view.stop is None
    assert view.fraction is None


@pytest.mark.parametrize("major", STRICT)
@pytest.mark.parametrize("number", ["12", "13", "21"])
def test_from_13_an_unreached_target_is_a_failure(major: str, number: str) -> None:
    view, states = folded(log(major, number))
    assert Kind.UNREACHED in {one.kind for one in view.failures}
    assert not view.opened
    assert not {RunState.PROMOTED, RunState.SUSPECT_OPEN, RunState.STOPPED} & set(states)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_without_a_target_an_open_server_is_what_was_asked_for(major: str) -> None:
    view, states = folded(log(major, "11"), target=str(Latest()))
    assert states[-1] is RunState.PROMOTED
    assert view.redo_done is not None
    # The same log is not the proof of any target.
    assert folded(log(major, "11"))[1][-1] is RunState.SUSPECT_OPEN


@pytest.mark.parametrize("major", LOG_MAJORS)
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("15", Kind.PARAMETER_TOO_LOW),
        ("17", Kind.FETCH_FATAL),
        ("18", Kind.BAD_PERMISSIONS),
        ("19", Kind.NO_BACKUP_LABEL),
        ("20", Kind.NO_CHECKPOINT),
        ("22", Kind.WRONG_SIZE),
        ("23", Kind.CHECKSUM),
        ("35", Kind.NOT_A_CHILD_TIMELINE),
        ("52", Kind.WAL_ENDS_BEFORE_BACKUP_END),
    ],
)
def test_a_failure_is_kept_and_nothing_is_at_the_target(
    major: str, number: str, kind: Kind
) -> None:
    view, states = folded(log(major, number))
    assert kind in {one.kind for one in view.failures}
    at_target = {RunState.STOPPED, RunState.PAUSED, RunState.PROMOTED, RunState.SHUT_DOWN}
    assert not at_target & set(states)


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_a_stop_before_the_end_of_the_backup_is_a_failure(major: str) -> None:
    """The server says that it stops, and only then that it must not stop there."""
    view, states = folded(log(major, "56"))
    assert Kind.TOO_EARLY in {one.kind for one in view.failures}
    assert states[-1] is RunState.STOPPED


@pytest.mark.parametrize("major", ["15", "18"])
def test_a_pause_for_a_setting_is_not_the_target(major: str) -> None:
    view, states = folded(log(major, "59"))
    assert view.paused
    assert RunState.PAUSED not in states
    assert {Kind.PAUSED_UNFIT, Kind.PARAMETER_TOO_LOW} & {one.kind for one in view.failures}


@pytest.mark.parametrize("major", LOG_MAJORS)
def test_readable_is_not_at_the_target(major: str) -> None:
    lines = log(major, "01")
    first_stop = next(
        n
        for n, line in enumerate(lines)
        if isinstance(line, LogArrived) and "stopping" in line.text
    )
    view, states = folded(lines[:first_stop])
    assert states[-1] in (RunState.REPLAYING, RunState.READABLE)
    assert view.fraction is None


def test_a_run_goes_forward_only() -> None:
    """Several processes write the log: their lines come in no fixed order."""
    lines = log("18", "01")
    for line in lines:
        backwards, _ = folded([*lines, line])
        assert backwards.state is RunState.PROMOTED


def test_steps_and_checks_are_kept() -> None:
    check = CheckDone("no gap", Status.OK, "3 segments")
    feed = FeedFailed("x", "cut")
    view, states = folded(
        [
            *(StepStarted(Step.PLACE), StepDone(Step.PLACE, 0.5), StepStarted(Step.COPY)),
            *(Progress(5, 10), check, feed),
        ]
    )
    assert (view.step, view.done, view.copied) == (Step.COPY, {Step.PLACE: 0.5}, Progress(5, 10))
    assert (view.checks, view.feed_failure) == ([check], feed)
    assert states[-1] is RunState.COPYING


def test_the_end_of_a_run_is_its_state() -> None:
    failed = RunFailed("what", "why", "hint", "left")
    view, states = folded([*log("18", "01"), failed])
    assert (view.failed, states[-1]) == (failed, RunState.FAILED)
    finished = RunFinished("h", "s", "promoted", "", 3, "")
    view, states = folded([*log("18", "01"), finished])
    assert (view.finished, states[-1]) == (finished, RunState.PROMOTED)


def test_a_run_that_goes_on_forgets_what_the_server_said() -> None:
    """From its start on; a server that is only followed again is the same as before."""
    plan: tuple[str, str, str, dict[str, str]] = ("time", "pause", "", {})
    again = RunTakenUp(Step.START, *plan)
    view, _ = folded([*log("18", "15"), again])
    assert (view.failures, view.log.failure, view.stop) == ([], None, None)
    view, _ = folded([*log("18", "15"), again, *log("18", "55a")])
    assert view.log.reached_target is True
    view, _ = folded([*log("18", "55a"), RunTakenUp(Step.REPLAY, *plan)])
    assert view.stop is not None


def test_what_was_known_of_a_cut_is_forgotten_with_its_target() -> None:
    cut = CutKnown(1, None, 2, None, "", 5, 1, (), None)
    same, other = (RunTakenUp(Step.SETTINGS, target, "pause", "", {}) for target in ("a", "b"))
    assert folded([started("a"), cut, same])[0].cut == cut
    assert folded([started("a"), cut, other])[0].cut is None
    assert folded([started("a"), cut, other, cut])[0].cut == cut


def replay(view: RunView, seconds: float, lsn: int, end: int | None = 4000) -> None:
    event = ReplayAt(Lsn(lsn), Lsn(1000), None if end is None else Lsn(end))
    view.apply(Stamped(NOON + timedelta(seconds=seconds), event))


def test_the_way_and_the_rate_are_measured() -> None:
    view = RunView()
    assert (view.fraction, view.seconds_left) == (None, None)
    replay(view, 0, 1000)
    assert (view.fraction, view.rate, view.seconds_left) == (0.0, 0.0, None)
    replay(view, 2, 2000)
    assert (view.fraction, view.rate, view.seconds_left) == (1 / 3, 500.0, 4.0)
    # Only the last ten seconds count.
    replay(view, 11, 2000)
    assert view.rate == 0.0
    replay(view, 30, 2000)
    assert view.rate == 0.0
    replay(view, 31, 5000)
    assert (view.fraction, view.rate, view.seconds_left) == (1.0, 3000.0, 0.0)


@pytest.mark.parametrize("end", [None, 1000, 500])
def test_an_unknown_end_gives_no_fraction(end: int | None) -> None:
    view = RunView()
    replay(view, 0, 2000, end)
    assert view.fraction is None
