"""A recovery into a container goes on after its process was killed, and to a later target."""

from __future__ import annotations

import json
import subprocess

import pytest
from docker import DockerClient
from docker.errors import NotFound

from tests.docker.accident import Accident, command, events, pitr, play, restore, restore_words
from tests.docker.secondaries import assert_undisturbed, query
from tests.docker.world import Project

pytestmark = pytest.mark.docker

ON_18 = pytest.mark.parametrize(
    "project", ["18", pytest.param("11", marks=pytest.mark.matrix)], indirect=True
)
ROWS = "SELECT array_agg(id ORDER BY id) FROM t"


def killed(accident: Accident, secondary: str, at: str) -> None:
    """Begin a recovery up to row 3, and kill it when it tells of an event."""
    words = restore_words(
        accident, f"volume:{secondary}", "--target-xid", str(accident.xid), "--quick"
    )
    with subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if " ".join(filter(None, (event["event"], event.get("step", "")))) == at:
                process.kill()
                break
        process.communicate()
    assert process.returncode == -9


@ON_18
@pytest.mark.parametrize(
    "at",
    [
        pytest.param("PlaceTaken", marks=pytest.mark.matrix),
        "StepStarted copy",
        pytest.param("StepDone copy", marks=pytest.mark.matrix),
        pytest.param("StepDone settings", marks=pytest.mark.matrix),
        "LogArrived",
        pytest.param("StepDone replay", marks=pytest.mark.matrix),
    ],
)
def test_a_killed_run_goes_on(
    engine: DockerClient, project: Project, secondary: str, at: str
) -> None:
    accident = play(project)
    killed(accident, secondary, at)
    done = pitr("resume", "last", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (finished,) = events(done, "RunFinished")
    assert finished["state"] == "paused at target"
    container = engine.containers.get(secondary)
    assert query(container, ROWS) == "{1,2,3}"
    assert_undisturbed(container)
    assert_undisturbed(project.primary)


@ON_18
def test_a_paused_secondary_steps_on_and_is_thrown_away(
    engine: DockerClient, project: Project, secondary: str
) -> None:
    accident = play(project)
    first = ("--target-xid", str(accident.xid), "--exclusive")
    assert restore(accident, f"volume:{secondary}", *first).returncode == 0
    assert query(engine.containers.get(secondary), ROWS) == "{1,2}"
    done = pitr("resume", "last", "--json", "--target-xid", str(accident.xid))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not events(done, "Progress")  # nothing is copied again
    assert query(engine.containers.get(secondary), ROWS) == "{1,2,3}"
    back = pitr("resume", "last", *first)
    assert back.returncode == 3
    assert "it never goes back" in back.stderr
    assert pitr("promote", "last", "--confirm", secondary).returncode == 0
    assert query(engine.containers.get(secondary), "SELECT pg_is_in_recovery()") == "f"
    assert pitr("discard", "last", "--confirm", secondary).returncode == 0
    for collection in (engine.containers, engine.volumes):
        with pytest.raises(NotFound):
            collection.get(secondary)
