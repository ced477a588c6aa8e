"""Signals, closed terminals, impatient fingers, and two of us at one place."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pitr_tui.recovery.runs import run_named
from pitr_tui.recovery.state import RunState
from tests.integration.mishaps import (
    ALL_ROWS,
    LAST,
    Command,
    assert_gone,
    go_on,
    held,
    long_world_of,
    plan_of,
    processes_in,
    restoring,
    rows,
    segment_of,
    untouched,
)
from tests.integration.world import World

pytestmark = pytest.mark.integration

COPYING, GIVING_UP, TAKING_UP = "event Progress", "event GivenUp", "event RunTakenUp"
STOPPED = 130
# Of a terminal that is gone the signal may tell first, or the next word that nobody takes.
ENDED = (RunState.CANCELLED, RunState.FAILED)


@pytest.fixture
def long_world(request: pytest.FixtureRequest) -> World:
    return long_world_of(getattr(request, "param", "18"))


def replaying(world: World) -> str:
    """The server waits for the segment of row 6."""
    return f"copy {segment_of(world, 6)}"


def assert_cancelled(place: Path) -> None:
    """The run says so, and left nothing."""
    assert_gone(place)
    view = run_named("last").view()
    assert view.state in ENDED
    assert view.failed is not None
    assert view.failed.left.startswith("nothing: ")


def assert_kept(place: Path) -> None:
    """A lost connection takes nothing away: the copy is there, stopped, told of, and goes on."""
    record = run_named("last")
    view = record.view()
    assert processes_in(place) == []
    assert view.state in ENDED
    assert view.failed is not None
    assert view.failed.kept
    assert f"pitr resume {record.name}" in view.failed.left
    plan = plan_of(record)
    assert go_on(record, plan).state is RunState.PAUSED
    assert rows(plan) == ALL_ROWS
    plan.secondary.throw_away()


def until_over(command: Command, number: int) -> None:
    """The same signal again and again, as a person types it who does not want to wait."""
    deadline = time.monotonic() + 60
    while command.process.poll() is None:
        assert time.monotonic() < deadline
        command.signal(number)
        with suppress(subprocess.TimeoutExpired):
            command.process.wait(0.02)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.matrix)]
)
@pytest.mark.parametrize("at", [pytest.param("copy", marks=pytest.mark.matrix), "replay"])
def test_a_signal_leaves_nothing_unannounced(
    long_world: World, tmp_path: Path, number: int, at: str
) -> None:
    """Also where the archive does not answer: the gate of the replay is never opened."""
    place = long_world.new_destination()
    gate = COPYING if at == "copy" else replaying(long_world)
    with (
        untouched(long_world),
        held(tmp_path / "marks", [gate], *restoring(long_world, place)) as command,
    ):
        command.wait()
        command.signal(number)
        if at == "copy":
            command.open()
        code, said = command.ended()
        assert code == STOPPED, said
        hung_up = number == signal.SIGHUP and at == "replay"
        assert_kept(place) if hung_up else assert_cancelled(place)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("copy", marks=pytest.mark.matrix),
        pytest.param("replay", marks=pytest.mark.matrix),
        "unmake",
    ],
)
def test_an_interrupt_that_is_repeated_leaves_nothing(
    long_world: World, tmp_path: Path, at: str
) -> None:
    place = long_world.new_destination()
    gates = [replaying(long_world) if at == "replay" else COPYING]
    gates += [GIVING_UP] if at == "unmake" else []
    with (
        untouched(long_world),
        held(tmp_path / "marks", gates, *restoring(long_world, place)) as command,
    ):
        command.wait()
        command.signal(signal.SIGINT)
        command.open()
        if at == "unmake":
            command.wait(1)
            command.signal(signal.SIGINT)
            command.open(1)
        until_over(command, signal.SIGINT)
        code, said = command.ended()
        assert code in (STOPPED, -signal.SIGINT), said
        assert "Traceback" not in said
        assert_cancelled(place)


def own_terminal(terminal: int) -> Callable[[], None]:
    """Lets a new process lead a session on this terminal, as a shell in a window does."""

    def lead() -> None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    return lead


@pytest.mark.parametrize("at", [pytest.param("copy", marks=pytest.mark.matrix), "replay"])
def test_a_closed_terminal_leaves_nothing_unannounced(
    long_world: World, tmp_path: Path, at: str
) -> None:
    """Whatever is said from then on fails: that must not keep the server running."""
    place = long_world.new_destination()
    gate = COPYING if at == "copy" else replaying(long_world)
    ours, theirs = pty.openpty()
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    words = restoring(long_world, place)
    with (
        untouched(long_world),
        held(
            tmp_path / "marks", [gate], *words, preexec_fn=own_terminal(theirs), **options
        ) as command,
    ):
        os.close(theirs)
        command.wait()
        os.close(ours)
        command.open()
        command.process.wait(60)
        assert_kept(place) if at == "replay" else assert_cancelled(place)


@pytest.mark.matrix
def test_nohup_lets_it_go_on(long_world: World, tmp_path: Path) -> None:
    place = long_world.new_destination()
    ours, theirs = pty.openpty()

    def lead() -> None:
        own_terminal(theirs)()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with (
        untouched(long_world),
        (tmp_path / "nohup.out").open("w") as out,
        held(
            tmp_path / "marks",
            [COPYING],
            *restoring(long_world, place),
            preexec_fn=lead,
            stdin=theirs,
            stdout=out,
            stderr=out,
        ) as command,
    ):
        os.close(theirs)
        command.wait()
        os.close(ours)
        command.signal(signal.SIGHUP)
        command.open()
        assert command.process.wait(60) == 0
        plan = plan_of(run_named("last"))
        assert rows(plan) == ALL_ROWS
        plan.secondary.throw_away()


@pytest.mark.parametrize("reader", ["head", pytest.param("full", marks=pytest.mark.matrix)])
def test_a_listener_that_goes_away_leaves_nothing(
    long_world: World, tmp_path: Path, reader: str
) -> None:
    """`pitr restore | head -1`, or its output on a full disk."""
    place = long_world.new_destination()
    with ExitStack() as stack:
        stack.enter_context(untouched(long_world))
        options = {}
        if reader == "full":
            options["stdout"] = stack.enter_context(Path("/dev/full").open("w"))
        words = [*restoring(long_world, place), "--json"]
        gates = [] if reader == "full" else [COPYING]
        command = stack.enter_context(held(tmp_path / "marks", gates, *words, **options))
        if reader == "head":
            command.wait()
            assert command.process.stdout is not None
            command.process.stdout.close()
            command.open()
        assert command.process.wait(60) not in (0, None)
        assert_gone(place)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.matrix)])
@pytest.mark.parametrize("there", [False, pytest.param(True, marks=pytest.mark.matrix)])
def test_two_at_one_destination(
    long_world: World, tmp_path: Path, rounds: int, there: bool
) -> None:
    """Both have checked that the place is free: one has it, and the other keeps off."""
    for number in range(rounds):
        place = long_world.new_destination()
        if there:
            long_world.user.make_directory(place)
        words = [*restoring(long_world, place, "--immediate"), "--json"]
        with ExitStack() as stack:
            two = [
                stack.enter_context(
                    held(tmp_path / f"{number}-{one}", ["event PlaceTaken"], *words)
                )
                for one in range(2)
            ]
            for command in two:
                command.wait()
            for command in two:
                command.open()
            (won, lost) = sorted((command.ended() for command in two), key=lambda end: end[0])
        assert (won[0], lost[0] != 0) == (0, True), (won, lost)
        error = json.loads(lost[1].splitlines()[-2])
        left = [one for one in map(json.loads, lost[1].splitlines()) if one["event"] == "RunFailed"]
        assert left, error
        plan = plan_of(run_named("last"))
        assert rows(plan) == [1]
        plan.secondary.throw_away()
        if there:
            place.rmdir() if place.exists() else None


def test_two_that_resume_one_run(long_world: World, tmp_path: Path) -> None:
    place = long_world.new_destination()
    with untouched(long_world):
        words = restoring(long_world, place, "--target-xid", str(long_world.marks[LAST].xid))
        with held(tmp_path / "1", [COPYING], *words) as command:
            command.wait()
            command.signal(signal.SIGKILL)
        with held(tmp_path / "2", [TAKING_UP], "resume", "last") as first:
            first.wait()
            with held(tmp_path / "3", [], "resume", "last") as second:
                code, said = second.ended()
            assert code == 3, said
            assert "being written by another pitr" in said
            first.open()
            code, said = first.ended()
            assert code == 0, said
        plan = plan_of(run_named("last"))
        assert rows(plan) == ALL_ROWS
        plan.secondary.throw_away()
        assert processes_in(place) == []
