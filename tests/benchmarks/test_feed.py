"""How fast WAL reaches the secondary through the feeder, against a plain `cp` in the same run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pitr_tui.postgres.quote import command_percent, conf_value, shell_word
from pitr_tui.postgres.target import Latest
from pitr_tui.recovery import archiving
from pitr_tui.recovery.events import Step, StepDone
from pitr_tui.recovery.place import Copy
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.local_secondary import remove
from pitr_tui.servers.osuser import server_user
from tests.integration.world import World, run
from tests.local import local

pytestmark = pytest.mark.benchmark

ROWS = 3_000_000
ROUNDS = 3
BUDGET = 1.3


@pytest.fixture(scope="module")
def busy_world() -> Iterator[World]:
    """A cluster with a few hundred megabytes of WAL behind its backup."""
    world = World(embedded_installation(server_user()))
    world.build()
    database = world.server.database
    database.rows("CREATE TABLE much AS SELECT n FROM generate_series(1, %s) n", [ROWS])
    database.rows("INSERT INTO much SELECT n FROM much")
    archiving.prove(world.primary, world.archive_directory)
    yield world
    world.close()


def seconds_through_feeder(world: World) -> float:
    result = run(world.plan(Latest()))
    result.server.stop()
    done = {e.event.step: e.event.seconds for e in result.events if isinstance(e.event, StepDone)}
    remove(local(result.plan).directory, keep_directory=False)
    return done[Step.START] + done[Step.REPLAY]


def seconds_through_cp(world: World) -> float:
    """The same recovery with the restore_command of PostgreSQL's manual."""
    plan = world.plan(Latest())
    secondary = local(plan)
    secondary.make("a run")
    list(Copy(plan.backup, secondary.filler(), lambda: None).run())
    archive = command_percent(shell_word(str(world.archive_directory)))
    command = f"cp {archive}/%f %p"
    for file in plan.files():
        text = file.text
        if file.append:
            text += f"restore_command = {conf_value(command)}\n"
        path = secondary.directory / file.path
        before = path.read_text() if file.append else ""
        secondary.user.write_file(path, before + text)
    server = secondary.server
    started = time.monotonic()
    server.start()
    while not any("archive recovery complete" in line for line in server.log_tail(40)):
        assert server.is_running(), server.log_tail()
        time.sleep(0.02)
    seconds = time.monotonic() - started
    server.stop()
    remove(secondary.directory, keep_directory=False)
    return seconds


def test_feeder_is_about_as_fast_as_cp(busy_world: World) -> None:
    pairs = [
        (seconds_through_feeder(busy_world), seconds_through_cp(busy_world)) for _ in range(ROUNDS)
    ]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    segments = len(busy_world.archive.listing().segments)
    print(f"\n{segments} segments: feeder {ours:.2f} s, cp {theirs:.2f} s, {ours / theirs:.2f}")
    assert ours < BUDGET * theirs
