"""What a person does with a run that is there, by commands: go on, open it, remove it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import majors
from tests.integration.test_cli import lines, pitr, restore
from tests.integration.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def paused(world: World) -> Path:
    """The destination of a secondary that is paused behind row 2."""
    destination = world.new_destination()
    done = restore(world, destination, "--target-xid", str(world.marks[2].xid))
    assert done.returncode == 0, done.stdout
    return destination


@majors("11", "18", often=("18",))
def test_one_goes_on_opens_and_is_removed(world: World, paused: Path) -> None:
    later = pitr("resume", "last", "--target-xid", world.marks[3].xid, "--json")
    assert later.returncode == 0, later.stdout
    told = lines(later)
    assert told[-1]["event"] == "RunFinished"
    assert not [event for event in told if event["event"] == "Progress"]
    (cut,) = [event for event in told if event["event"] == "CutKnown"]
    assert cut["last_kept_xid"] == world.marks[3].xid

    back = pitr("resume", "last", "--target-xid", world.marks[2].xid, "--json")
    assert back.returncode == 3
    assert "it never goes back" in lines(back)[-1]["why"]
    assert "recover once more" in lines(back)[-1]["hint"]

    to_the_end = pitr("resume", "last", "--latest")
    assert to_the_end.returncode == 3
    assert "it was not confirmed" in to_the_end.stderr
    assert pitr("promote", "last").returncode == 3  # nobody can be asked
    wrong = pitr("promote", "last", "--confirm", "something else")
    assert wrong.returncode == 3
    assert f"it is called {paused.name}" in wrong.stderr
    assert pitr("promote", "last", "--confirm", paused.name).returncode == 0
    opened = pitr("resume", "last", "--latest")
    assert opened.returncode == 3
    assert "opened for writing" in opened.stderr
    assert "GREEN" not in opened.stdout
    twice = pitr("promote", "last", "--confirm", paused.name)
    assert twice.returncode == 3
    assert "open already" in twice.stderr

    assert pitr("discard", "last").returncode == 3
    assert paused.exists()
    assert pitr("discard", "last", "--confirm", paused.name).returncode == 0
    assert not paused.exists()
    for command in ("resume", "promote", "discard"):
        again = pitr(command, "last", *([] if command == "resume" else ["--confirm", paused.name]))
        assert again.returncode == 3
        assert "thrown away" in again.stderr


def test_without_a_run_there_is_nothing_to_go_on_with() -> None:
    done = pitr("resume", "last")
    assert done.returncode == 3
    assert "no run is called 'last'" in done.stderr
    assert "pitr runs" in done.stderr
