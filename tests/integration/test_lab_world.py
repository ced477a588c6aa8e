"""The lab's shop on real servers: its rows, the truth about them, and processes that die."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab import worker
from pitr_tui.lab.capture import rows_of
from pitr_tui.lab.ground import Ground, lab_directory
from pitr_tui.lab.record import Lab
from pitr_tui.lab.recorder import Recorder
from pitr_tui.lab.session import AwayError
from pitr_tui.lab.settling import settle
from pitr_tui.lab.shop import TABLES, Shop
from pitr_tui.lab.truth import Commit, Intent, Line, Truth, TruthWriter
from pitr_tui.lab.worker import Job, work
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.sql import Database
from tests.integration.conftest import installed

pytestmark = pytest.mark.integration

SEED, CUSTOMERS = 11, 40
_SECONDS = 30
_WORK = """
import sys, threading
from pathlib import Path
from pitr_tui.lab.worker import Job, work
from pitr_tui.servers.sql import Database
host, truth, first = sys.argv[1:]
database = Database({"host": host, "port": "5432", "user": "postgres", "dbname": "shop"})
work(Job(database, Path(truth), %d, %d, int(first), 1000), threading.Event())
"""


class Stage:
    """A server with an open shop, and the truth about it."""

    def __init__(self, ground: Ground, truth_path: Path) -> None:
        self.ground = ground
        self.path = truth_path

    @property
    def database(self) -> Database:
        return self.ground.server.database.named("shop")

    def open(self) -> None:
        """A new, empty truth and a new shop."""
        self.path.unlink(missing_ok=True)
        self.ground.server.database.rows("DROP DATABASE IF EXISTS shop")
        self.ground.server.database.rows("CREATE DATABASE shop")
        with TruthWriter(self.path) as writer, Recorder(self.database, writer) as recorder:
            recorder.open_shop(SEED, CUSTOMERS)

    def work(self, count: int, first: int = 0) -> None:
        items = itertools.islice(enumerate(Shop(SEED, CUSTOMERS)), first, first + count)
        with TruthWriter(self.path) as writer, Recorder(self.database, writer) as recorder:
            for item, transaction in items:
                recorder.shop(item, transaction)

    def play(self, *statements: str, good: bool = True) -> Commit:
        with TruthWriter(self.path) as writer, Recorder(self.database, writer) as recorder:
            return recorder.statements(statements, "somebody's", good=good)

    def truth(self) -> Truth:
        return Truth.read(self.path)

    def has(self, commits: int) -> bool:
        return len(self.truth().commits) > commits

    def require_true(self) -> None:
        """The database holds what the truth says, and no commit is open."""
        truth, rows = self.truth(), rows_of(self.database)
        assert truth.uncertain == ()
        assert truth.rows_after(truth.main[-1].number) == rows
        assert truth.cut_of(rows) == truth.main[-1]

    def job(self, rate: float = 1000) -> Job:
        return Job(self.database, self.path, SEED, CUSTOMERS, 0, rate)

    def start_worker(self) -> subprocess.Popen[bytes]:
        host = str(self.ground.server.socket_directory)
        argv = [sys.executable, "-c", _WORK % (SEED, CUSTOMERS), host, str(self.path), "0"]
        return subprocess.Popen(argv)


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


_HOLD = """
import sys
from pathlib import Path
from pitr_tui.lab import worker
with worker._only_one(Path(sys.argv[1])):
    print("working", flush=True)
    sys.stdin.read()
"""


def made_ground(major: str) -> Ground:
    user = server_user()
    ground = Ground(lab_directory(None, user), installed(major), user)
    ground.create({"archive_timeout": "10s"}, segment_megabytes=1)
    return ground


@pytest.fixture(scope="module", params=[pytest.param("11", marks=pytest.mark.matrix), "18"])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    ground = made_ground(request.param)
    yield ground
    ground.close()
    shutil.rmtree(ground.directory)


@pytest.fixture
def stage(ground: Ground, tmp_path: Path) -> Stage:
    stage = Stage(ground, tmp_path / "truth.jsonl")
    stage.open()
    return stage


def test_the_same_seed_gives_the_same_rows_wherever_it_goes_on(
    stage: Stage, tmp_path: Path
) -> None:
    stage.work(120)
    stage.require_true()
    rows, counted = rows_of(stage.database), len(stage.truth().commits)
    stage.open()
    stage.work(47)
    stage.work(73, first=47)
    assert rows_of(stage.database) == rows
    assert len(stage.truth().commits) == counted
    assert set(rows) == set(TABLES)
    assert min(map(len, rows.values())) > 30
    assert stage.truth().next_item == 120
    assert stage.truth().refused == 0


@pytest.mark.parametrize("ground", ["11"], indirect=True)
def test_another_server_has_the_same_rows(stage: Stage) -> None:
    stage.work(120)
    other = made_ground("18")
    try:
        twin = Stage(other, stage.path.with_name("twin.jsonl"))
        twin.open()
        twin.work(120)
        assert rows_of(twin.database) == rows_of(stage.database)
    finally:
        other.close()
        shutil.rmtree(other.directory)


def test_the_truth_follows_work_accident_and_more_work(stage: Stage) -> None:
    stage.work(60)
    good = rows_of(stage.database)
    update = stage.play("UPDATE shop.products SET price = 0", good=False)
    assert len(update.changes["shop.products"]) == len(good["shop.products"])
    stage.require_true()
    stage.work(40, first=60)
    drop = stage.play("DROP TABLE shop.order_lines", "CREATE TABLE shop.x (n int)", good=False)
    assert (drop.dropped, drop.created) == (("shop.order_lines",), ("shop.x",))
    stage.play("INSERT INTO shop.x VALUES (1), (1), (2)")
    stage.work(60, first=100)
    stage.require_true()
    truth = stage.truth()
    assert truth.first_bad == update
    before = max(one.number for one in truth.main if one.number < update.number)
    assert truth.rows_after(before) == good
    assert truth.refused > 5
    assert sorted(truth.rows_after(drop.number + 1)["shop.x"].values()) == ["(1)", "(1)", "(2)"]
    assert set(truth.repaired()) >= set(TABLES)


def test_what_the_server_refuses_leaves_nothing(stage: Stage) -> None:
    stage.work(20)
    rows, count = rows_of(stage.database), len(stage.truth().commits)
    with pytest.raises(PitrError, match="did not accept"):
        stage.play("DELETE FROM shop.audit", "SELECT 1 / 0")
    assert rows_of(stage.database) == rows
    assert len(stage.truth().commits) == count
    stage.play("ALTER TABLE shop.audit ADD CONSTRAINT late UNIQUE (at, who, what) DEFERRABLE")
    again = "INSERT INTO shop.audit (at, who, what) SELECT at, who, what FROM shop.audit"
    with pytest.raises(PitrError, match="late"):
        stage.play("SET CONSTRAINTS ALL DEFERRED", again)
    stage.require_true()


def test_a_statement_cannot_end_its_transaction(stage: Stage) -> None:
    stage.work(20)
    count = len(stage.truth().commits)
    for ending in ("COMMIT", "ROLLBACK; BEGIN", "COMMIT; BEGIN"):
        with pytest.raises(PitrError, match="a statement ended the transaction"):
            stage.play(f"UPDATE shop.products SET price = 1; {ending}; SELECT 1")
    assert len(stage.truth().commits) == count
    assert stage.truth().uncertain == ()


def test_the_shops_rows_keep_their_keys_in_a_table_without_one(stage: Stage) -> None:
    stage.work(60)
    truth, database = stage.truth(), stage.database
    rows = rows_of(database)
    for table in ("shop.stock", "shop.order_lines"):
        database.rows(f"CREATE TABLE shop.kept AS SELECT * FROM {table}")
        database.rows(f"DROP TABLE {table} CASCADE")
        database.rows(f"ALTER TABLE shop.kept RENAME TO {table.removeprefix('shop.')}")
    assert rows_of(database) == rows
    assert truth.cut_of(rows_of(database)) == truth.main[-1]

    database.rows("INSERT INTO shop.stock SELECT * FROM shop.stock WHERE product_id = 1")
    database.rows("INSERT INTO shop.stock (quantity) VALUES (5)")
    found = rows_of(database)
    more = {key: text for key, text in found["shop.stock"].items() if key not in rows["shop.stock"]}
    assert more == {"1#2": rows["shop.stock"]["1"], "(,5,,)": "(,5,,)"}

    database.rows("ALTER TABLE shop.stock RENAME product_id TO product")
    assert set(rows_of(database)["shop.stock"]) >= set(rows["shop.stock"].values())


def test_a_dropped_database_holds_nothing(stage: Stage) -> None:
    stage.work(20)
    before = stage.truth().rows_after(10**6)
    with TruthWriter(stage.path) as writer, Recorder(stage.database, writer) as recorder:
        recorder.note("before")
        drop = recorder.outside("DROP DATABASE shop", "the wrong window")
        assert rows_of(stage.database) == {}
        with pytest.raises(AwayError, match="shop"):
            recorder.note("after")
    truth = stage.truth()
    assert (truth.first_bad, set(drop.dropped)) == (drop, set(TABLES))
    assert truth.noted["before"].xid == drop.xid
    assert truth.rows_after(drop.number) == {}
    assert truth.repaired() == before


def test_a_killed_worker_leaves_a_truth_that_can_be_settled(stage: Stage) -> None:
    for wanted in (25, 50, 75, 100):
        process = stage.start_worker()
        wait_for(partial(stage.has, wanted))
        process.kill()
        process.wait()
        with TruthWriter(stage.path) as writer:
            settle(writer, stage.database)
        stage.require_true()
    numbers = [one.number for one in stage.truth().main]
    assert numbers == sorted(set(numbers))
    assert stage.truth().next_item > 75  # an item may be two commits


@pytest.mark.parametrize("committed", [True, False])
def test_a_death_at_the_commit_is_settled_by_asking(stage: Stage, committed: bool) -> None:
    """The worker dies between its two lines: once before the server commits, once after it."""
    stage.work(10)
    with TruthWriter(stage.path) as writer, Recorder(stage.database, writer) as recorder:
        write = writer.write

        def die(one: Line) -> None:
            write(one)
            if isinstance(one, Intent):
                if committed:
                    recorder._sessions[0].commit()
                raise KeyboardInterrupt

        writer.write = die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            recorder.statements(["DELETE FROM shop.audit WHERE id = 1"], "the last words")
    uncertain = stage.truth().uncertain
    assert [one.commit.what for one in uncertain] == ["the last words"]
    with TruthWriter(stage.path) as writer:
        assert settle(writer, stage.database) == 1
        assert settle(writer, stage.database) == 0
    assert (stage.truth().commits[-1].what == "the last words") is committed
    stage.require_true()


def test_the_worker_waits_for_a_primary_that_is_away(stage: Stage) -> None:
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(stage.job(200), ended))
    thread.start()
    try:
        wait_for(lambda: stage.truth().next_item > 10)
        stage.ground.server.kill()
        done = stage.truth().next_item
        stage.ground.server.start()
        stage.ground.server.wait_until_open()
        wait_for(lambda: stage.truth().next_item > done + 10)
    finally:
        ended.set()
        thread.join()
    stage.require_true()


def test_the_worker_ends_with_its_truth_and_keeps_off_other_timelines(stage: Stage) -> None:
    with TruthWriter(stage.path) as writer:
        recorder = Recorder(stage.database, writer, TimelineId(2))
        with pytest.raises(AwayError, match="timeline 1"):
            recorder.note("here")
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(stage.job(200), ended))
    thread.start()
    try:
        wait_for(lambda: stage.truth().next_item > 10)
        stage.path.unlink()
        thread.join(_SECONDS)
        assert not thread.is_alive()
    finally:
        ended.set()
        thread.join()
    work(stage.job(), threading.Event())
    assert not stage.path.exists()


def test_a_worker_counts_only_while_it_holds_its_lock(tmp_path: Path) -> None:
    lab = cast(Lab, SimpleNamespace(record_directory=tmp_path, rate=1.0))
    assert worker.alive(lab) is None
    (tmp_path / "worker.lock").write_text(f"{os.getpid()}\n")
    assert worker.alive(lab) is None
    worker.stop(lab)
    argv = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"working\n"
        assert worker.alive(lab) == worker.start(lab) == process.pid
        with (
            patch("pitr_tui.lab.record.load", lambda _: lab),
            pytest.raises(RefusedError, match="already"),
        ):
            worker.main(tmp_path)
        worker.stop(lab)
        assert worker.alive(lab) is None
    assert process.returncode == -signal.SIGTERM
