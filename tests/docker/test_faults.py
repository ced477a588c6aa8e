"""What happens to containers, and to the way to their engine, while a recovery goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from pitr_tui.containers.labels import LABEL, Role
from tests.docker.accident import Accident, pitr, play, restore, restore_words
from tests.docker.cutting import Cutter
from tests.docker.secondaries import assert_undisturbed, query
from tests.docker.world import Project, majors
from tests.integration.mishaps import held
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker

ROWS = "SELECT array_agg(id ORDER BY id) FROM t"
STARTED, COPYING = "event StepDone(step=<Step.START", "event Progress"


def words(accident: Accident, secondary: str) -> list[str]:
    xid = str(accident.xid)
    return restore_words(accident, f"volume:{secondary}", "--target-xid", xid, "--quick")


def assert_nothing_left(engine: DockerClient, secondary: str) -> None:
    for collection in (engine.containers, engine.volumes):
        with pytest.raises(NotFound):
            collection.get(secondary)
    assert helpers(engine, secondary) == []


def helpers(engine: DockerClient, secondary: str) -> list[str]:
    """Our helpers that have the secondary's volume; asked without a look into each."""
    found = engine.api.containers(all=True, filters={"label": f"{LABEL}={Role.HELPER.value}"})
    return [
        str(one["Id"])
        for one in found
        if any(mount.get("Name") == secondary for mount in one["Mounts"])
    ]


def kill(container: Container) -> None:
    container.kill()


def remove(container: Container) -> None:
    container.remove(force=True, v=True)


@majors("11", "18", often=("18",))
@pytest.mark.parametrize("deed", [kill, pytest.param(remove, marks=pytest.mark.matrix)])
def test_a_container_that_goes_away_while_it_replays(
    engine: DockerClient,
    project: Project,
    secondary: str,
    deed: Callable[[Container], None],
    tmp_path: Path,
) -> None:
    accident = play(project)
    with held(tmp_path / "marks", [STARTED], *words(accident, secondary)) as command:
        command.wait()
        deed(engine.containers.get(secondary))
        command.open()
        code, said = command.ended()
    assert code == 1, said
    assert "RunFinished" not in said
    assert "pitr resume" in said
    assert helpers(engine, secondary) == []
    done = pitr("resume", "last", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert query(engine.containers.get(secondary), ROWS) == "{1,2,3}"
    assert_undisturbed(project.primary)


@pytest.fixture
def cutter(tmp_path: Path) -> Iterator[Cutter]:
    made = Cutter(tmp_path / "engine.sock")
    yield made
    made.close()


@majors("18")
def test_a_way_to_the_engine_that_breaks_while_it_replays(
    engine: DockerClient, project: Project, secondary: str, cutter: Cutter, tmp_path: Path
) -> None:
    """As when the engine is restarted with its containers alive, or an ssh tunnel breaks."""
    accident = play(project)
    environment = {**os.environ, "DOCKER_HOST": cutter.url}
    with held(
        tmp_path / "marks", [STARTED], *words(accident, secondary), env=environment
    ) as command:
        command.wait()
        cutter.refusing = True
        assert cutter.cut() > 0
        cutter.refusing = False
        command.open()
        code, said = command.ended()
    if code != 0:  # it may give up, if it keeps what there is and says so
        assert "RunFinished" not in said
        assert "pitr resume" in said
        done = pitr("resume", "last", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
    assert query(engine.containers.get(secondary), ROWS) == "{1,2,3}"
    assert helpers(engine, secondary) == []
    print(f"the broken way: exit {code}")


@majors("18")
def test_a_helper_that_is_killed_during_the_copy(
    engine: DockerClient, project: Project, secondary: str, tmp_path: Path
) -> None:
    accident = play(project)
    gates = ["event StepStarted(step=<Step.COPY", COPYING]
    with held(tmp_path / "marks", gates, *words(accident, secondary)) as command:
        command.wait()
        (helper,) = helpers(engine, secondary)  # while it is written to, the engine tells nothing
        pid = int(engine.api.inspect_container(helper)["State"]["Pid"])
        command.open()
        command.wait(1)
        os.kill(pid, signal.SIGKILL)
        command.open(1)
        code, said = command.ended()
    assert code == 1, said
    assert "Traceback" not in said
    wait_until(lambda: not helpers(engine, secondary), 10)
    assert_nothing_left(engine, secondary)
    assert restore(accident, f"volume:{secondary}", "--latest").returncode == 0
    assert query(engine.containers.get(secondary), "SELECT count(*) FROM t") == "4"
