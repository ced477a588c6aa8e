"""One small scenario from its first step to its end: its steps, its worker, and what goes."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pitr_tui.lab import ending, record, worker
from pitr_tui.lab.play import StartOrder, start
from pitr_tui.lab.record import Lab
from pitr_tui.lab.scenario import Scenario
from pitr_tui.lab.scenario_file import load
from pitr_tui.lab.shop import Shop
from pitr_tui.lab.truth import Commit
from pitr_tui.lab.tutorial import Phase
from pitr_tui.postgres.control import CONTROL_PATH, ControlHead, ServerState
from pitr_tui.postgres.target import AtName, Latest, RecoveryTarget, TargetAction
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.recovery.runs import run_named
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.local import socket_place
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.running import RunningServer
from pitr_tui.servers.sql import Database
from tests.integration.conftest import installed

pytestmark = pytest.mark.integration

SEED = 7
_RATE = 20.0
_TEXT = """\
name: mine
title: Mine
difficulty: easy
minutes: 5
story: It went wrong. Please help.
hints: [One, Two, Three]
expert: Before {xid oops}.
steps:
  - work: 8
  - backup: nightly
  - work: 4
  - restore_point: before-lunch
  - work: 2
  - archiving: broken
  - work: 2
  - archiving: works
  - accident: {name: oops, what: no audit, transactions: [["DELETE FROM shop.audit"]]}
  - work: 4
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory which the servers' user can reach; what runs below it is ended."""
    directory = Path(tempfile.mkdtemp(prefix="pitr-lab-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@contextmanager
def played(
    scenario: Scenario, directory: Path, rate: float, tell: Callable[[Phase], None]
) -> Iterator[Lab]:
    order = StartOrder(scenario, SEED, installed("18"), server_user(), directory, rate)
    lab = start(order, tell, threading.Event())
    try:
        yield lab
    finally:
        if record.current() is not None:
            ending.stop(lab)


def own(directory: Path, text: str) -> Scenario:
    path = directory / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process runs, wherever its files are; one that only waits to be reaped is dead."""
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def recovered(lab: Lab, place: Path, target: RecoveryTarget) -> LocalSecondary:
    """A secondary of the lab's backup that runs in its place."""
    archive, server = WalArchive(lab.archive_directory), lab.server
    secondary = LocalSecondary(place, server.installation, server.user)
    plan = RecoveryPlan(
        backup=open_backup(lab.backup_directory / "nightly", archive),
        archive=archive,
        secondary=secondary,
        target=target,
        action=TargetAction.PROMOTE if isinstance(target, Latest) else TargetAction.PAUSE,
    )
    journal = Journal.create(lambda _: None)
    try:
        recover(plan, journal, threading.Event())
    finally:
        journal.close()
    return secondary


class Commands:
    """The archive_command after each of the shop's transactions, in turn."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seen: list[str] = []

    def __call__(self, phase: Phase) -> None:
        if phase.done:
            command = str(self.database.row("SHOW archive_command")[0])
            if self.seen[-1:] != [command]:
                self.seen.append(command)


def worked(lab: Lab) -> list[Commit]:
    """What the worker has committed of the shop's transactions so far."""
    return [one for one in lab.truth().main if (one.item or 0) >= lab.done_items]


def told(lab: Lab) -> list[tuple[object, ...]]:
    """What happened before the trainee's turn, as far as a seed decides it."""
    commits = itertools.takewhile(lambda one: (one.item or 0) < lab.done_items, lab.truth().main)
    return [(one.what, one.changes, one.dropped, one.created, one.good) for one in commits]


def test_a_lab_from_its_steps_to_its_end(tmp_path: Path, place: Path) -> None:
    world, elsewhere = place / "world", place / "elsewhere"
    sockets = socket_place(world / "socket")
    commands = Commands(Database({"host": str(sockets), "port": "5432", "user": "postgres"}))
    with played(own(tmp_path, _TEXT), world, _RATE, commands) as lab:
        _archiving_was_broken_meanwhile(lab, commands.seen)
        _the_worker_goes_on_at_its_pace(lab)
        _one_that_begins_again_makes_nothing_twice(lab)

        within = recovered(lab, lab.destination, AtName("before-lunch"))
        outside = recovered(lab, elsewhere, Latest())
        servers = [lab.server.data_directory, within.data_directory]
        pids = [RunningServer.of(one).pid for one in servers]
        other = RunningServer.of(outside.data_directory)
        assert all(map(lives, [*pids, other.pid]))
        try:
            (left,) = ending.stop(lab)
            assert not any(map(lives, pids))
            assert lives(other.pid)  # it is no part of the lab
            assert f"the secondary in {elsewhere} stays" in left
            assert f"`pitr discard {run_named('last').name}`" in left
            assert not world.exists()
        finally:
            other.stop()

    first = told(lab)
    killed = own(tmp_path, f"{_TEXT}  - primary: killed\n")
    with played(killed, world, 0, lambda _: None) as again:
        assert again.primary_state == "killed"
        control = ControlHead.parse((again.server.data_directory / CONTROL_PATH).read_bytes())
        assert control.state is ServerState.IN_PRODUCTION  # as after a crash
        assert told(again) == first  # the seed is the same


def _archiving_was_broken_meanwhile(lab: Lab, commands: list[str]) -> None:
    before, broken, after = commands
    assert before == after == lab.server.database.row("SHOW archive_command")[0]
    assert broken != before
    assert str(lab.archive_directory) in before
    assert str(lab.archive_directory) not in broken


def _the_worker_goes_on_at_its_pace(lab: Lab) -> None:
    """Counted by the server's clock, which stands in the truth."""
    until(lambda: len(worked(lab)) > 20)
    first, *_, last = worked(lab)
    assert first.item is not None
    assert last.item is not None
    pause = (last.at - first.at) / (last.item - first.item)
    assert pause.total_seconds() > 0.6 / _RATE


def _one_that_begins_again_makes_nothing_twice(lab: Lab) -> None:
    worker.stop(lab)
    before = worked(lab)
    worker.start(lab)
    until(lambda: len(worked(lab)) > len(before) + 5)
    worker.stop(lab)
    _items_come_in_their_order(lab)
    assert lab.truth().refused == 0
    ahead = lab.truth().next_item + 3  # as after three that came to nothing, and told nothing
    ended = threading.Event()
    customers = lab.scenario.world.customers
    job = worker.Job(lab.database, lab.truth_path, lab.seed, customers, ahead, rate=200)
    working = threading.Thread(target=worker.work, args=(job, ended))
    working.start()
    try:
        until(lambda: (worked(lab)[-1].item or 0) >= ahead)
    finally:
        ended.set()
        working.join()
    _items_come_in_their_order(lab)
    assert not {ahead - 3, ahead - 2, ahead - 1} & {one.item for one in worked(lab)}


def _items_come_in_their_order(lab: Lab) -> None:
    """Each is the shop's transaction of its number, or what another session did meanwhile."""
    done = [(one.item, one.what) for one in lab.truth().main if one.item is not None]
    assert len(set(done)) == len(done)
    items = [item for item, _ in done]
    assert items == sorted(items)
    shop = list(itertools.islice(Shop(lab.seed, lab.scenario.world.customers), items[-1] + 1))
    for item, what in done:
        meanwhile = shop[item].meanwhile
        assert what in (shop[item].what, meanwhile.what if meanwhile else "")
