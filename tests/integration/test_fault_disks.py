"""Disks that are full: where the data go, and where the journal is, early, midway and late."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import AtXid
from pitr_tui.recovery.events import Event, LogArrived, Progress, Stamped, Step, StepStarted
from pitr_tui.recovery.runs import run_named
from pitr_tui.recovery.state import RunState
from tests.integration.mishaps import (
    ALL_ROWS,
    LAST,
    Gate,
    assert_gone,
    begun,
    go_on,
    held,
    long_world_of,
    long_worlds,
    plan_of,
    processes_in,
    restoring,
    rows,
    segment_of,
    untouched,
)
from tests.integration.world import World, run

pytestmark = pytest.mark.integration


@pytest.fixture
def long_world(request: pytest.FixtureRequest) -> World:
    return long_world_of(getattr(request, "param", "18"))


@dataclass
class Disk:
    """A small file system, which can be filled to its last byte and emptied again."""

    place: Path

    @property
    def _filler(self) -> Path:
        return self.place / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def make_room(self) -> None:
        self._filler.unlink()


@contextmanager
def disk(place: Path, size: str) -> Iterator[Disk]:
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", str(place)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        place.rmdir()
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


@pytest.fixture
def data_disk(long_world: World) -> Iterator[Disk]:
    """Room for the copy and its WAL."""
    with disk(long_world.directory / "small", "400m") as made:
        long_world.user.own(made.place)
        yield made


@pytest.fixture
def journal_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with disk(tmp_path / "disk", "1m") as made:
        monkeypatch.setenv("PITR_STATE_DIR", str(made.place / "state"))
        yield made


def filling(full: Disk, at: Callable[[Event], bool]) -> Callable[[Stamped], None]:
    """Fill a disk when an event is told for the first time."""
    done: list[Event] = []

    def hear(stamped: Stamped) -> None:
        if not done and at(stamped.event):
            done.append(stamped.event)
            full.fill()

    return hear


@pytest.mark.matrix
@long_worlds
def test_data_disk_that_fills_up_during_the_copy(long_world: World, data_disk: Disk) -> None:
    place = data_disk.place / "secondary"
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid), destination=place)
    with untouched(long_world):
        hear = filling(data_disk, lambda event: isinstance(event, Progress))
        with begun(plan, hear) as going:
            error = going.error()
            assert os.strerror(errno.ENOSPC) in error.why
            assert str(place) in error.why
            assert going.failed().left.startswith("nothing: ")
            assert_gone(place)
        data_disk.make_room()
        again = run(long_world.plan(plan.target, destination=place))
        assert again.rows == ALL_ROWS
        again.plan.secondary.throw_away()


@long_worlds
def test_data_disk_that_fills_up_during_the_replay(
    long_world: World, data_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The WAL is staged there, too: what cannot be laid ready stops the server, and no more."""
    place = data_disk.place / "secondary"
    gate = Gate(monkeypatch, segment_of(long_world, 6))
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid), destination=place)
    with untouched(long_world), begun(plan) as going:
        gate.wait()
        going.until(LogArrived, segment_of(long_world, 5))
        data_disk.fill()
        gate.open()
        error = going.error()
        assert os.strerror(errno.ENOSPC) in str(error)
        assert str(place) in str(error)
        assert going.failed().kept
        data_disk.make_room()
        assert go_on(going.record, plan).state is RunState.PAUSED
        assert rows(plan) == ALL_ROWS


def test_a_journal_that_cannot_begin(long_world: World, journal_disk: Disk) -> None:
    journal_disk.fill()
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid))
    with untouched(long_world):
        with pytest.raises(PitrError, match="journal of this run cannot be written") as raised:
            run(plan)
        assert str(journal_disk.place) in raised.value.why
        assert_gone(Path(plan.secondary.destination))


@long_worlds
@pytest.mark.parametrize(
    "gate",
    [
        pytest.param("event Progress", marks=pytest.mark.matrix),
        "event StepStarted(step=<Step.REPLAY",
        pytest.param("event StepStarted(step=<Step.LOOK", marks=pytest.mark.matrix),
    ],
)
def test_a_journal_that_cannot_go_on(
    long_world: World, journal_disk: Disk, tmp_path: Path, gate: str
) -> None:
    """What is done is told at least; and with room again the run goes on.

    The last page of the journal may have room for some lines more.
    """
    place = long_world.new_destination()
    words = restoring(long_world, place)
    with untouched(long_world):
        with held(tmp_path / "marks", [gate], *words) as command:
            command.wait()
            journal_disk.fill()
            command.open()
            code, said = command.ended()
        assert code == 1, said
        assert "the journal of this run cannot be written" in said
        assert str(journal_disk.place) in said
        assert "Traceback" not in said
        assert processes_in(place) == []
        left = "the copy in " if place.exists() else "nothing: "
        assert f"what is left: {left}{place}" in said
        journal_disk.make_room()
        record = run_named("last")
        assert record.view().finished is None
        plan = plan_of(record)
        assert go_on(record, plan).state is RunState.PAUSED
        assert rows(plan) == ALL_ROWS
        plan.secondary.throw_away()


def test_words_for_the_steps() -> None:
    """The gates above name steps as their events are written."""
    assert str(StepStarted(Step.LOOK)).startswith("StepStarted(step=<Step.LOOK")
