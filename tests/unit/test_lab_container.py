"""A lab in containers: what is refused, what things are called, and what goes when it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import docker
import pytest

from pitr_tui.cli import main
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.leftovers import Leftover, plan_cleanup
from pitr_tui.errors import RefusedError
from pitr_tui.lab import container_ground, ending, record
from pitr_tui.lab.container_ground import container_name, programs_in, remove_world
from tests.unit.made_labs import written_lab

DIRECTORY = Path("/srv/pitr-lab-1")
NAME = container_name(DIRECTORY)


class Client:
    """What is left of an engine that is asked nothing."""

    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Client:
    """The engine of another machine."""
    client = Client()
    engine = Engine(
        client=cast(docker.DockerClient, client),
        address="ssh://db@far",
        version="27.0",
        api_version="1.46",
        rootless=False,
        local=False,
    )
    monkeypatch.setattr(Engine, "connect", lambda: engine)
    return client


def test_without_an_engine_it_says_what_goes_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["lab", "start", "dropped-table", "--docker", "--json"]) == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert error["what"] == f"no Docker engine answers at unix://{tmp_path}/none.sock"
    assert "there is no such socket" in error["why"]
    assert "without --docker the lab needs no engine" in error["hint"]
    assert record.current() is None


def test_the_files_of_another_machine_cannot_be_damaged(far: Client) -> None:
    with pytest.raises(RefusedError) as refused:
        programs_in(None, None)
    assert "accidents cannot happen in that Docker engine" in refused.value.what
    assert "ssh://db@far is another machine" in refused.value.why
    assert "docker context use default" in refused.value.hint
    assert "without --docker" in refused.value.hint
    assert far.closed


def test_a_directory_has_one_name() -> None:
    assert container_name(DIRECTORY) == container_name(Path("/srv/pitr-lab-1"))
    assert container_name(DIRECTORY) != container_name(Path("/srv/pitr-lab-2"))


def thing(kind: str, name: str, role: str, primary: str = "", state: str = "exited") -> Leftover:
    state = state if kind == "container" else ""
    return Leftover(kind, name, name, role, "", None, state, (), primary)


OURS = (
    thing("container", NAME, "lab"),
    thing("container", f"{NAME}-trial", "lab"),
    thing("container", f"{NAME}-recovered", "secondary"),
    thing("container", f"pitr-{NAME}-20261123-120000", "secondary"),
    thing("container", "pitr-receiver-1", "receiver", primary=NAME),
    thing("volume", f"{NAME}-recovered", "data"),
    thing("volume", f"{NAME}-backups", "backups"),
    thing("network", f"pitr-{NAME}", "network"),
)
OTHERS = (
    thing("container", container_name(Path("/srv/pitr-lab-2")), "lab"),
    thing("container", "shop-recovered", "secondary"),
    thing("container", f"{NAME}x", "secondary"),
    thing("volume", f"my-{NAME}", "data"),
)


def test_its_end_takes_what_is_called_after_it(
    far: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Leftover] = []

    def remove(engine: Engine, given: list[Leftover]) -> list[tuple[Leftover, None]]:
        removed.extend(given)
        return [(one, None) for one in given]

    monkeypatch.setattr(container_ground, "find_leftovers", lambda _: (*OTHERS, *OURS))
    monkeypatch.setattr(container_ground, "remove_all", remove)
    assert remove_world(DIRECTORY) == {one.name for one in OURS}
    assert tuple(removed) == OURS


def test_what_cannot_be_removed_is_told(far: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RefusedError("the volume is in use")
    monkeypatch.setattr(container_ground, "find_leftovers", lambda _: OURS)
    monkeypatch.setattr(container_ground, "remove_all", lambda *_: [(OURS[0], error)])
    with pytest.raises(RefusedError, match="the volume is in use"):
        remove_world(DIRECTORY)


@pytest.mark.parametrize("there", [True, False])
def test_a_container_that_this_engine_does_not_have_is_told(
    far: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool
) -> None:
    """DOCKER_HOST may name another engine by now."""
    lab = written_lab(tmp_path / "lab", image="postgres:18")
    name = container_name(lab.directory)
    found = (thing("container", name, "lab"),) if there else ()
    monkeypatch.setattr(container_ground, "find_leftovers", lambda _: found)
    monkeypatch.setattr(
        container_ground, "remove_all", lambda _, all_: [(one, None) for one in all_]
    )
    left = ending.stop(lab)
    assert not lab.directory.exists()
    assert record.current() is None
    if there:
        assert left == ()
    else:
        (told,) = left
        assert f"the Docker engine has no container {name} any more" in told
        assert f"docker rm --force --volumes {name}" in told


@pytest.mark.parametrize("state", ["running", "exited"])
def test_a_cleanup_keeps_the_primary_of_a_lab(state: str) -> None:
    primary = thing("container", NAME, "lab", state=state)
    ((kept, why),) = plan_cleanup([primary]).kept
    assert kept == primary
    assert "until 'pitr lab stop'" in why
    assert plan_cleanup([primary], [NAME]).removed == (primary,)
