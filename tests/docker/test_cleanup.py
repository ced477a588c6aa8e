"""`pitr cleanup` removes what pitr left, and never what is a person's or somebody else's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import NotFound

from pitr_tui.cli import cleanup as command
from pitr_tui.cli import main
from pitr_tui.containers import leftovers
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.labels import PRIMARY_LABEL, SLOT_LABEL, Role, labels
from pitr_tui.containers.leftovers import Leftover, find_leftovers, plan_cleanup, remove_all
from tests.docker import world
from tests.docker.world import MARK

pytestmark = pytest.mark.docker

IMAGE = "postgres:11"


@dataclass
class Left:
    """Things with a prefix of their own in an engine that others use at the same time."""

    client: DockerClient
    engine: Engine
    prefix: str = field(default_factory=lambda: f"pitr-test-{uuid.uuid4().hex[:8]}")

    def container(
        self,
        name: str,
        role: Role | None,
        *,
        start: bool = False,
        tags: dict[str, str] | None = None,
        **options: Any,
    ) -> str:
        own = (labels(role, "run-1") if role else {}) | (tags or {})
        full = f"{self.prefix}-{name}"
        made = self.client.containers.create(
            IMAGE,
            ["sleep", "600"],
            name=full,
            labels={MARK: self.prefix, **own},
            init=True,
            **options,
        )
        if start:
            made.start()
        return full

    def volume(self, name: str, role: Role | None) -> str:
        full = f"{self.prefix}-{name}"
        self.client.volumes.create(
            full, labels={MARK: self.prefix} | (labels(role) if role else {})
        )
        return full

    def network(self, name: str) -> str:
        full = f"{self.prefix}-{name}"
        self.client.networks.create(full, labels={MARK: self.prefix, **labels(Role.NETWORK)})
        return full

    def found(self, engine: Engine | None = None) -> tuple[Leftover, ...]:
        """What of these our code sees; the rest of the engine is other tests' business."""
        everything = find_leftovers(engine or self.engine)
        return tuple(one for one in everything if one.name.startswith(self.prefix))

    def names(self) -> set[str]:
        """What is really there, with our label or not."""
        mark: dict[str, str | list[str] | bool] = {"label": f"{MARK}={self.prefix}"}
        listed = [one.name for one in self.client.containers.list(all=True, filters=mark)]
        listed += [one.name for one in self.client.volumes.list(filters=mark)]
        listed += [one.name for one in self.client.networks.list(filters=mark)]
        return {str(name) for name in listed}

    def remove(self) -> None:
        mark: dict[str, str | list[str] | bool] = {"label": f"{MARK}={self.prefix}"}
        for container in self.client.containers.list(all=True, filters=mark):
            container.remove(force=True, v=True)
        for volume in self.client.volumes.list(filters=mark):
            volume.remove()
        for network in self.client.networks.list(filters=mark):
            network.remove()


@pytest.fixture
def left(engine: DockerClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Left]:
    """An empty set of things; the command sees nothing but it."""
    world.image(engine, IMAGE)
    with closing(Engine.connect()) as ours:
        things = Left(engine, ours)
        monkeypatch.setattr(command, "find_leftovers", things.found)
        monkeypatch.setattr(leftovers, "_YOUNG_SECONDS", 0)
        yield things
        things.remove()


def test_what_is_found(left: Left) -> None:
    volume = left.volume("data", Role.DATA)
    network = left.network("net")
    container = left.container(
        "secondary",
        Role.SECONDARY,
        start=True,
        volumes=[f"{volume}:/pitr/data"],
        network=network,
    )
    left.volume("foreign", None)
    found = left.found()
    assert [(one.kind, one.name, one.role, one.state, one.used_by) for one in found] == [
        ("container", container, "secondary", "running", ()),
        ("volume", volume, "data", "", (container,)),
        ("network", network, "network", "", (container,)),
    ]
    assert found[0].run == "run-1"
    for one in found:
        age = one.age(datetime.now(UTC))
        assert age is not None
        assert 0 <= age < 60


def test_nothing_that_runs_or_is_yours_goes(left: Left) -> None:
    data = left.volume("data", Role.DATA)
    running = left.container("a", Role.SECONDARY, start=True, volumes=[f"{data}:/d"])
    receiver = left.container("b", Role.RECEIVER, start=True)
    stopped = left.container("c", Role.SECONDARY)
    archive, backups = left.volume("wal", Role.ARCHIVE), left.volume("base", Role.BACKUPS)
    held = left.volume("held", Role.DATA)
    left.container("foreign", None, volumes=[f"{held}:/d"])
    network = left.network("net")
    plan = plan_cleanup(left.found())
    assert [one.name for one in plan.removed] == [stopped, network]
    assert all(error is None for _, error in remove_all(left.engine, plan.removed))
    kept = {one.name: reason for one, reason in plan.kept}
    assert set(kept) == {running, receiver, archive, backups, data, held}
    foreign = f"{left.prefix}-foreign"
    assert left.names() == {running, receiver, archive, backups, data, held, foreign}
    left.client.containers.get(running).remove(force=True, v=True)
    assert not plan_cleanup(left.found()).removed, "data stay without their container too"


def test_what_a_pitr_is_just_making_is_left_alone(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_YOUNG_SECONDS", 60)
    helper, network = left.container("a", Role.HELPER), left.network("n")
    ended = left.container("b", Role.SECONDARY, start=True)
    left.client.containers.get(ended).kill()
    assert main(["cleanup", "--yes"]) == 0
    assert left.names() == {helper, network}


@pytest.mark.parametrize("signal", ["", "recovery.signal", "recovery.conf"])
def test_a_promoted_secondary_is_told_from_one_in_recovery(
    left: Left, capsys: pytest.CaptureFixture[str], signal: str
) -> None:
    name = left.container("a", Role.SECONDARY, start=True, environment={"PGDATA": "/tmp"})
    data = f"echo 11 >/tmp/PG_VERSION; touch /tmp/{signal}"
    left.client.containers.get(name).exec_run(["sh", "-c", data])
    assert main(["cleanup", name]) == 3
    assert ("open for writing" in capsys.readouterr().out) == (signal == "")
    assert left.names() == {name}


def test_what_is_gone_already_is_no_failure(left: Left) -> None:
    left.container("a", Role.HELPER)
    left.volume("v", Role.DATA)
    left.network("n")
    found = left.found()
    left.remove()
    assert [error for _, error in remove_all(left.engine, found)] == [None] * 3


def test_a_paused_secondary_goes(left: Left) -> None:
    name = left.container("a", Role.SECONDARY, start=True)
    left.client.containers.get(name).pause()
    assert [error for _, error in remove_all(left.engine, left.found())] == [None]
    assert not left.names()


def test_anonymous_volumes_go_with_their_container(left: Left) -> None:
    container = left.client.containers.get(left.container("a", Role.HELPER))
    (volume,) = [one["Name"] for one in container.attrs["Mounts"]]
    remove_all(left.engine, left.found())
    with pytest.raises(NotFound):
        left.client.volumes.get(volume)


def test_nothing_goes_without_a_yes(left: Left, capsys: pytest.CaptureFixture[str]) -> None:
    name = left.container("a", Role.HELPER)
    archive = left.volume("wal", Role.ARCHIVE)
    assert main(["cleanup"]) == 3
    said = capsys.readouterr()
    assert f"remove  container {name} (helper, created, " in said.out
    assert f"keep    volume {archive} (archive, " in said.out
    assert "nothing was removed" in said.err
    assert main(["cleanup", "--json"]) == 3
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["event"], one.get("name"), one.get("remove")) for one in facts] == [
        ("Leftover", name, True),
        ("Leftover", archive, False),
        ("Error", None, None),
    ]
    assert left.names() == {name, archive}


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130)])
def test_the_answer_counts(
    left: Left, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    name = left.container("a", Role.HELPER)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert main(["cleanup"]) == code
    assert left.names() == (set() if code == 0 else {name})


def test_the_end_of_the_input_is_a_no(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(question: str) -> str:
        raise EOFError

    name = left.container("a", Role.HELPER)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", ended)
    assert main(["cleanup"]) == 130
    assert left.names() == {name}


def test_yes_removes(left: Left, capsys: pytest.CaptureFixture[str]) -> None:
    name = left.container("a", Role.SECONDARY)
    archive = left.volume("wal", Role.ARCHIVE)
    assert main(["cleanup", "--yes", "--json"]) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["name"] for one in facts if one["event"] == "Removed"] == [name]
    assert left.names() == {archive}
    assert main(["cleanup", "--yes"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_what_is_named_goes_alone(left: Left) -> None:
    archive = left.volume("wal", Role.ARCHIVE)
    receiver = left.container("a", Role.RECEIVER, start=True)
    other = left.container("b", Role.HELPER)
    assert main(["cleanup", archive, receiver, "--yes"]) == 0
    assert left.names() == {other}


def test_only_what_is_named_is_shown(left: Left, capsys: pytest.CaptureFixture[str]) -> None:
    name, other = left.container("a", Role.HELPER), left.volume("wal", Role.ARCHIVE)
    assert main(["cleanup", name]) == 3
    assert other not in capsys.readouterr().out
    assert main(["cleanup", name, "--json"]) == 3
    assert other not in capsys.readouterr().out


def test_a_receiver_goes_by_name_only_and_its_slot_is_told(
    left: Left, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = {PRIMARY_LABEL: "shop-db", SLOT_LABEL: "pitr_receiver"}
    name = left.container("a", Role.RECEIVER, tags=tags)
    drop = "'pitr archive receive stop --docker shop-db --drop-slot' ends both"
    assert main(["cleanup", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "name it to remove it" in said
    assert drop in said
    assert left.names() == {name}
    assert main(["cleanup", name, "--yes"]) == 0
    assert drop in capsys.readouterr().out
    assert left.names() == set()


def test_a_stopped_container_survives_the_end_of_a_network(left: Left) -> None:
    network, name = left.network("n"), left.container("foreign", None)
    left.client.networks.get(network).connect(name)
    assert main(["cleanup", network, "--yes"]) == 0
    assert left.names() == {name}
    left.client.containers.get(name).start()


def test_a_network_stays_that_somebody_cannot_be_without(
    left: Left, capsys: pytest.CaptureFixture[str]
) -> None:
    network = left.network("n")
    name = left.container("foreign", None, network=network)
    assert main(["cleanup", network, "--yes"]) == 1
    assert f"{name} was made on it" in capsys.readouterr().out
    assert left.names() == {network, name}


def test_what_is_not_ours_is_refused(left: Left, capsys: pytest.CaptureFixture[str]) -> None:
    ours = left.volume("ours", Role.DATA)
    foreign = left.volume("foreign", None)
    assert main(["cleanup", ours, foreign, "--yes"]) == 3
    assert "does not carry the label io.pitr-tui" in capsys.readouterr().err
    assert main(["cleanup", ours, f"{left.prefix}-none", "--yes"]) == 3
    assert "there is no container, volume or network" in capsys.readouterr().err
    assert left.names() == {ours, foreign}


def test_one_that_cannot_go_keeps_no_other(left: Left, capsys: pytest.CaptureFixture[str]) -> None:
    held, free = left.volume("a-held", Role.ARCHIVE), left.volume("b-free", Role.ARCHIVE)
    user = left.container("foreign", None, volumes=[f"{held}:/d"])
    assert main(["cleanup", held, free, "--yes"]) == 1
    said = capsys.readouterr()
    assert f"{user} uses it" in said.out
    assert "1 thing could not be removed" in said.err
    assert left.names() == {held, user}
