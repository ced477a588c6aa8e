"""Clocks that jump, forwards and back, while a run goes on and when it is told again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.recovery.events import (
    Event,
    LogArrived,
    ReplayAt,
    Stamped,
    Step,
    StepDone,
    StepStarted,
)
from pitr_tui.recovery.journal import Journal, read_journal
from pitr_tui.recovery.report import facts, markdown, outcome, tale_of
from pitr_tui.recovery.state import RunView
from tests.unit.made_journals import DROPPED, MISSING, PAUSED, SILENT, STEPPED, recorded, taken_up

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
times = st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC))


def view_of(events: list[Stamped]) -> RunView:
    view = RunView()
    for stamped in events:
        view.apply(stamped)
        assert math.isfinite(view.rate)
        assert view.seconds_left is None or view.seconds_left >= 0
    return view


def with_times(events: list[Stamped], at: list[datetime]) -> list[Stamped]:
    """The same events by another clock."""
    return [Stamped(at[n % len(at)], one.event) for n, one in enumerate(events)]


@pytest.mark.parametrize("name", [PAUSED, MISSING, SILENT, DROPPED, STEPPED, "taken up"])
@settings(max_examples=15, deadline=None)
@given(at=st.lists(times, min_size=1, max_size=20))
def test_no_clock_changes_what_came_of_a_run(name: str, at: list[datetime]) -> None:
    events = taken_up() if name == "taken up" else recorded(name)
    right, jumping = view_of(events), view_of(with_times(events, at))
    assert jumping.state is right.state
    assert (jumping.stop, jumping.finished, jumping.failed) == (
        right.stop,
        right.finished,
        right.failed,
    )
    assert outcome(jumping, live=False).ending is outcome(right, live=False).ending
    told = with_times(events, at)
    assert markdown(told)
    assert facts(tale_of(told))


def replaying(clock: list[float], slower_from: int) -> list[Stamped]:
    """Replay at 8 MB/s and then at 2, in steps of 0.4 s; what the clock said at each."""
    start, end = Lsn(0), Lsn(1 << 40)
    told, megabytes = [], 0.0
    for n, seconds in enumerate(clock):
        megabytes += 0.4 * (8 if n < slower_from else 2)
        at = ReplayAt(Lsn(int(megabytes * (1 << 20))), start, end)
        told.append(Stamped(NOON + timedelta(seconds=seconds), at))
    return told


@pytest.mark.parametrize("jump", [-86400.0, -3600.0, -5.0, 3600.0, 86400.0 * 365])
def test_the_rate_is_right_again_soon_after_a_jump(jump: float) -> None:
    clock = [n * 0.4 + (jump if n >= 50 else 0) for n in range(100)]
    view = view_of(replaying(clock, 50))
    assert view.rate == pytest.approx(2 << 20, rel=0.05)
    assert len(view._marks) < 40


def test_a_journal_takes_the_times_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path))

    def ticks() -> Iterator[datetime]:
        yield NOON
        yield NOON - timedelta(days=400)
        yield NOON + timedelta(days=4000)
        yield NOON - timedelta(seconds=1)

    clock = ticks()
    heard: list[Stamped] = []
    journal = Journal.create(heard.append, lambda: next(clock))
    events: list[Event] = [StepStarted(Step.COPY), LogArrived("x"), StepDone(Step.COPY, 2.5)]
    for event in events:
        journal.emit(event)
    journal.close()
    assert list(read_journal(journal.directory)) == heard
    assert [one.event for one in heard] == events
