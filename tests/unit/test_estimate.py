"""How long it will take, by what was measured; nothing where nothing was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.recovery.estimate import Estimate, Rates, estimate, measured_rates
from pitr_tui.recovery.events import (
    Event,
    Progress,
    ReplayAt,
    RunFinished,
    RunStarted,
    SegmentStaged,
    Step,
    StepDone,
)
from pitr_tui.recovery.journal import Journal, read_journal

MEGABYTE = 1 << 20
HERE = "/srv/recovered"


def journal(number: int, *events: Event) -> None:
    """The journal of a run that began as many minutes after noon."""
    noon = datetime(2026, 11, 22, 12, number, tzinfo=UTC)
    one = Journal.create(lambda _: None, lambda: noon)
    for event in events:
        one.emit(event)
    one.close()


def run(
    number: int,
    *,
    copy: float = 2.0,
    replay: float = 4.0,
    to: str = HERE,
    size: int = 100 * MEGABYTE,
    finished: bool = True,
) -> None:
    """A run that copied and replayed as many bytes in so many seconds."""
    started = RunStarted("run", "18.6", "backup", "archive", to, "target", "pause", "")
    ended = RunFinished("", "", "paused", "", 1, "", TimelineId(1))
    journal(
        number,
        started,
        Progress(size, size),
        StepDone(Step.COPY, copy),
        SegmentStaged("000000010000000000000002", size, 0.1),
        ReplayAt(Lsn(size + 0x28), Lsn(0x28), None),
        StepDone(Step.REPLAY, replay),
        *([ended] if finished else []),
    )


def test_nothing_is_said_where_nothing_was_measured() -> None:
    assert measured_rates(HERE) == Rates()
    assert estimate(1000, 1000, Rates()) is None
    assert estimate(None, None, Rates(1.0, 1.0, 1.0)) is None


def test_the_middle_of_the_last_runs_counts() -> None:
    run(1, copy=1000.0)  # the sixth from the end
    for number, seconds in enumerate((1.0, 2.0, 50.0, 2.0, 4.0), 2):
        run(number, copy=seconds)
    rates = measured_rates(HERE)
    assert rates == Rates(50 * MEGABYTE, 25 * MEGABYTE)
    told = estimate(500 * MEGABYTE, 100 * MEGABYTE, rates)
    assert told == Estimate(10.0, 4.0)
    assert told.seconds == 14.0


@pytest.mark.parametrize(
    "unlike", [{"to": "volume:recovered (x)"}, {"finished": False}, {"size": 1000}]
)
def test_runs_that_tell_nothing_are_passed_over(unlike: dict[str, object]) -> None:
    run(1, **unlike)  # type: ignore[arg-type]
    assert measured_rates(HERE) == Rates()


def test_containers_are_measured_by_containers() -> None:
    run(1, to="volume:recovered (x)")
    assert measured_rates("volume:other").copy == 50 * MEGABYTE


def test_a_journal_is_read_once_and_one_of_a_failed_run_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A verdict is given for each typed character."""
    run(1)
    run(2, finished=False)
    read: list[Path] = []
    monkeypatch.setattr(
        "pitr_tui.recovery.estimate.read_journal",
        lambda path: read.append(path) or read_journal(path),  # type: ignore[func-returns-value]
    )
    assert measured_rates(HERE) == measured_rates(HERE) != Rates()
    assert len(read) == 1
    run(3)
    measured_rates(HERE)
    assert len(read) == 2


def test_a_damaged_journal_is_passed_over(state_dir: Path) -> None:
    run(1)
    run(2)
    (newest,) = sorted((state_dir / "runs").iterdir())[1:]
    (newest / "events.jsonl").write_text("nonsense\n")
    assert measured_rates(HERE).copy == 50 * MEGABYTE


def test_the_delivery_alone_tells_the_least() -> None:
    told = estimate(1000, 20 * MEGABYTE, Rates(delivery=2.0 * MEGABYTE))
    assert told == Estimate(None, 10.0, at_least=True)
    assert str(told) == "replay at least 10 s"
    measured = estimate(1000, 20 * MEGABYTE, Rates(replay=1.0 * MEGABYTE, delivery=2.0 * MEGABYTE))
    assert measured == Estimate(None, 20.0)
