"""The lab whose primary runs in a container: played by a trainee who sees only what is told."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from docker import DockerClient
from textual.pilot import Pilot

from pitr_tui.errors import CancelledError, RefusedError
from pitr_tui.lab import container_ground, record
from pitr_tui.lab.container_ground import container_name, ground_in, programs_in
from pitr_tui.lab.ground import own_directory
from pitr_tui.lab.order import Wanted, order_for
from pitr_tui.lab.play import start
from pitr_tui.lab.scenario_file import find
from pitr_tui.lab.tutorial import Phase
from pitr_tui.servers.osuser import server_user
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.lab_session import session_of
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.proposals import archive_place, backup_place
from pitr_tui.tui.session import Session
from tests.docker.secondaries import assert_undisturbed
from tests.docker.world import image
from tests.integration.lab_player import RefusedAsTold, Trainee, only, pitr
from tests.tui.scenes import SMALL, opened, screen_text, until

pytestmark = pytest.mark.docker

Play = Callable[[Trainee], None]


class DockerTrainee(Trainee):
    """Recovers beside the primary's container, which the told command names."""

    @property
    def container(self) -> str:
        return str(self.told["container"])

    def sources(self, backup: str) -> list[object]:
        assert f"--docker {self.container}" in self.told["commands"]["recover"]
        return [*super().sources(backup), "--docker", self.container]


@contextmanager
def lab(engine: DockerClient, scenario: str, major: str) -> Iterator[DockerTrainee]:
    """A lab in the engine, of which nothing is there afterwards."""
    image(engine, f"postgres:{major}")
    one = DockerTrainee.begins(scenario, major, "--docker", "--rate", "0")
    assert isinstance(one, DockerTrainee)
    held: set[str] = set()
    try:
        yield one
        held = contents(engine, one.container)
    finally:
        left = one.ends()
    assert left == []
    assert one.container in held
    assert not held & {str(volume.name) for volume in engine.volumes.list()}
    assert contents(engine, one.container) == set()
    assert not Path(one.told["directory"]).exists()


def contents(engine: DockerClient, name: str) -> set[str]:
    """What the engine has whose name has this in it, and the volumes of such containers."""
    containers = engine.containers.list(all=True, ignore_removed=True)
    ours = [one for one in containers if name in str(one.name)]
    mounted = (mount.get("Name") for one in ours for mount in one.attrs.get("Mounts") or ())
    names = [
        *(str(one.name) for one in ours),
        *(str(one.name) for one in engine.volumes.list()),
        *(str(one.name) for one in engine.networks.list()),
    ]
    return {one for one in names if name in one} | {str(volume) for volume in mounted if volume}


def dropped_table(one: Trainee) -> None:
    one.recover_before(one.suspect("drop table", "shop.orders"))


def missing_segment(one: Trainee) -> None:
    one.recover_before(one.suspect("mass update", "shop.products"))


def disk_gone(one: Trainee) -> None:
    one.recover(one.oldest_backup(), "--latest")


def stray_timeline(one: Trainee) -> None:
    """Somebody's trial was a container, too, which archived into the same archive."""
    one.recover_before(one.suspect("mass update", "shop.orders", timeline=1))


def tablespace(one: Trainee) -> None:
    one.recover_before(one.suspect("truncate", "shop.order_lines"))


def _plays() -> Iterator[object]:
    """On 18 the first one always; the others that run always are looked at more closely below."""
    for play in (dropped_table, stray_timeline, tablespace):
        often = () if play is dropped_table else (pytest.mark.matrix,)
        yield pytest.param(play, "18", marks=often, id=f"{play.__name__}-18")
    for play in (dropped_table, missing_segment, disk_gone):
        yield pytest.param(play, "11", marks=pytest.mark.matrix, id=f"{play.__name__}-11")


@pytest.mark.parametrize(("play", "major"), list(_plays()))
def test_who_does_it_right_has_full_marks(engine: DockerClient, play: Play, major: str) -> None:
    with lab(engine, play.__name__.replace("_", "-"), major) as trainee:
        play(trainee)
        assert_full_marks(engine, trainee)


def assert_full_marks(engine: DockerClient, trainee: DockerTrainee) -> None:
    """Every row is right, and nothing beside the servers looked like a crash to them."""
    score = trainee.score()
    assert score["marks"] == 100, score["sentence"]
    assert (score["lost"], score["wrong"]) == ([], [])
    secondary = trainee.told["destination"].removeprefix("volume:")
    assert_undisturbed(engine.containers.get(secondary))


async def test_a_primary_that_runs_is_found_like_every_other(engine: DockerClient) -> None:
    with lab(engine, "missing-segment", "18") as one:
        (found,) = (fact for fact in pitr("containers") if fact.get("name") == one.container)
        assert (found["role"], found["state"]) == ("lab", "running")
        assert found["data_directory"] == f"{one.told['directory']}/primary"
        mounts = {mount["target"]: mount["source"] for mount in found["mounts"]}
        for name in ("archive", "backups"):
            assert mounts[one.told[name]] == one.told[name]
        status = only(pitr("archive", "status", "--docker", one.container), "ArchivingStatus")
        assert one.archive in status["settings"]["archive_command"]["value"]
        kept = {fact["name"]: fact for fact in pitr("cleanup") if fact["event"] == "Leftover"}
        assert "pitr lab stop" in kept[one.container]["kept_because"]

        async with wizard() as session:
            assert session.facts is not None
            assert str(session.facts.version) == one.told["version"]
            assert (session.origin and session.origin.name) == one.container
            assert str(session.destination) == one.told["destination"]
        missing_segment(one)
        assert_full_marks(engine, one)


@pytest.mark.matrix
async def test_a_primary_that_is_lost_is_found_by_its_mounts(engine: DockerClient) -> None:
    with lab(engine, "disk-gone", "18") as one:
        assert not Path(f"{one.told['directory']}/primary").exists()
        async with wizard() as session:
            assert session.primary_is_down
            assert session.facts is None
            assert (session.origin and session.origin.name) == one.container
            assert str(archive_place(session)) == f"engine:{one.archive}"
            assert str(backup_place(session)) == f"engine:{one.backups}"
        disk_gone(one)
        assert_full_marks(engine, one)


@pytest.mark.matrix
async def test_it_is_solved_by_keys(engine: DockerClient) -> None:
    """What the wizard proposes is taken: the archive's mount, a volume, the primary's image."""
    with lab(engine, "dropped-table", "18") as one:
        async with opened_lab() as (pilot, session):

            async def see(*words: str) -> None:
                for each in words:
                    await until(pilot, partial(shows, pilot, each), 90)

            await see(f"the container {one.container}", "enter: go on to archive")
            await pilot.press("enter")
            await see("last archived")
            await pilot.press("ctrl+n")
            await see("nightly", "enter: choose the target")
            await pilot.press("enter")
            await see("dropped shop.orders", "● reachable", "enter: stop just before xid")
            await pilot.press("enter")
            await see("● GREEN", one.told["destination"], "enter: start the recovery")
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
            await pilot.pause()
            await pilot.press("right", "enter")
            await see("PAUSED AT TARGET", "enter: verify what was recovered")
            await pilot.press("enter")
            await see("▸ S: score it")
            await pilot.press("S")
            await see("✓ 100 of 100 marks")
            assert session.lab is not None
            assert session.lab.score is not None
            assert session.lab.score.marks == 100


def shows(pilot: Pilot[int], words: str) -> bool:
    return words in screen_text(pilot.app)


@asynccontextmanager
async def wizard() -> AsyncIterator[Session]:
    """What it knows behind its first step, in the lab that runs."""
    async with opened_lab() as (pilot, session):
        await until(pilot, lambda: session.origin is not None, 60)
        yield session


@asynccontextmanager
async def opened_lab() -> AsyncIterator[tuple[Pilot[int], Session]]:
    """The wizard as `pitr lab open` has it."""
    session = session_of(record.require_current())
    with closing(session.reach):
        async with PitrApp(session).run_test(size=SMALL) as pilot:
            await opened(pilot)
            yield pilot, session


def test_another_engines_numbers_are_refused(
    engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the engine maps its users to others, nobody could damage a server's files."""
    image(engine, "postgres:18")
    monkeypatch.setattr(container_ground, "numbers_of", lambda user: "4711:4711")
    name, programs = programs_in("postgres:18", None)
    directory = own_directory(None, user := server_user(), "lab")  # pytest's own is for root alone
    ground = ground_in(name, directory=directory, installation=programs, user=user)
    with pytest.raises(RefusedError, match="does not work on the files in") as refused:
        ground.create()
    assert "without --docker" in refused.value.hint
    ground.close()
    directory.rmdir()  # nothing is in it


def test_a_start_that_is_cancelled_leaves_nothing(engine: DockerClient) -> None:
    image(engine, "postgres:18")
    order = order_for(find("dropped-table"), Wanted(rate=0, image=""))
    directory, cancel, names = order.directory, threading.Event(), []

    def tell(phase: Phase) -> None:
        if phase.name == "turn archiving on":
            names.append(contents(engine, container_name(directory)))
            cancel.set()

    with pytest.raises(CancelledError):
        start(order, tell, cancel)
    assert container_name(directory) in names[0]
    assert contents(engine, container_name(directory)) == set()
    assert not directory.exists()
    assert record.current() is None


@pytest.mark.matrix
def test_a_container_that_was_removed_by_hand_is_told(engine: DockerClient) -> None:
    image(engine, "postgres:18")
    one = DockerTrainee.begins("dropped-table", "18", "--docker", "--rate", "0")
    name = str(one.told["container"])
    engine.containers.get(name).remove(force=True, v=True)
    (sentence,) = one.ends()
    assert f"no container {name} any more" in sentence
    assert not Path(one.told["directory"]).exists()


def test_what_cannot_be_a_lab_is_refused(engine: DockerClient) -> None:
    image(engine, "postgres:11")
    image(engine, "nginx:test")
    for words, match in (
        (("postgres:11", "--version", "18"), "has PostgreSQL 11.* not 18"),
        (("nginx:test",), "the image nginx:test cannot run PostgreSQL"),
        (("postgres:8",), "docker pull postgres:8"),
    ):
        with pytest.raises(RefusedAsTold, match=match):
            pitr("lab", "start", "dropped-table", "--docker", *words)
    with pytest.raises(RefusedAsTold, match="no lab is running"):
        pitr("lab", "status")
