"""What a journal keeps of an event is the whole event."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.recovery.events import (
    CheckDone,
    Event,
    FeedFailed,
    LogArrived,
    NameAbsent,
    Progress,
    ReplayAt,
    RunFailed,
    RunFinished,
    RunStarted,
    SegmentStaged,
    Stamped,
    Status,
    Step,
    StepDone,
    StepStarted,
    from_json,
    to_json,
)
from pitr_tui.recovery.journal import Journal, read_journal

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVERY_KIND: tuple[Event, ...] = (
    RunStarted("r", "18.6", "/b", "/a", "/d", "up to 2026-11-22", "pause", "cp\n"),
    StepStarted(Step.PLACE),
    StepDone(Step.COPY, 1.5),
    StepDone(Step.COPY, 2),
    Progress(1, 0),
    SegmentStaged("000000010000000000000007", 16 << 20, 0.25),
    NameAbsent("00000002.history"),
    FeedFailed("000000010000000000000008", "it is cut short"),
    LogArrived("\x1b[31m[/red] ünïcode \ufffd"),
    ReplayAt(Lsn.parse("0/7000028"), Lsn.parse("0/7000000"), None),
    ReplayAt(Lsn.parse("0/7000028"), Lsn.parse("0/7000000"), Lsn.parse("1/0"), NOON),
    CheckDone("no gap", Status.WARNING, "17 segments"),
    RunFailed("what", "why", "hint", "left"),
    RunFinished("h", "s", "paused at target", "host=/s", 3, "", None),
    RunFinished("h", "s", "promoted", "host=/s", 3, "12:00", TimelineId(2)),
)


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_went(event: Event) -> None:
    assert from_json(to_json(Stamped(NOON, event))) == Stamped(NOON, event)


def test_a_journal_gives_back_what_it_was_told(state_dir: Path) -> None:
    told: list[Stamped] = []
    journal = Journal.create(told.append, lambda: NOON)
    for event in EVERY_KIND:
        journal.emit(event)
    journal.close()
    assert list(read_journal(journal.directory)) == told


@pytest.mark.parametrize(
    "change",
    [{"event": "Nonsense"}, {"step": "sideways"}, {"step": 3}, {"at": "yesterday"}],
    ids=["kind", "word", "type", "time"],
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    line = to_json(Stamped(NOON, StepStarted(Step.COPY))) | change
    with pytest.raises(PitrError, match="not a line of a journal"):
        from_json(line)
