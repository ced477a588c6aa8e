"""Scenarios played on real servers: what they leave is what their files say, or nothing at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.lab import ending, record, worker
from pitr_tui.lab.play import StartOrder, start
from pitr_tui.lab.record import Lab
from pitr_tui.lab.scenario import Scenario
from pitr_tui.lab.scenario_file import TEACHING_ORDER, find, load
from pitr_tui.lab.tutorial import Phase
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import open_backup
from pitr_tui.repositories.wholeness import look_whole
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.running import RunningServer, find_running
from tests.integration.conftest import OLD_AND_NEW, installed

pytestmark = pytest.mark.integration

SEED = 7
_MAJORS = ("11", "13", "15", "18")
_HEAD = """\
name: mine
title: Mine
difficulty: easy
minutes: 5
story: It went wrong at {time noted in Asia/Tokyo}. Please help.
hints: [One, "Two, in {backups}", "Three, {xid oops}"]
expert: Before {xid oops}.
steps:
"""
_SMALL = f"""{_HEAD.replace("[One", '["One, {time noted}"')}
  - work: 10
  - backup: first
  - work: 10
  - note: noted
  - accident: {{name: oops, what: no stock, transactions: [["DELETE FROM shop.stock"]]}}
"""
_EVERYTHING = f"""{_HEAD}
  - work: 10
  - backup: first
  - sql: {{name: price, what: a price, run: ["UPDATE shop.products SET price = 7 WHERE id = 1"]}}
  - branch: {{backup: first, work: 3}}
  - restore_point: before-lunch
  - settings: {{max_connections: 60, work_mem: 8MB}}
  - backup: without-label
  - backup: without-control
  - backup: without-a-file
  - damage_backup: {{backup: without-label, how: no-label}}
  - damage_backup: {{backup: without-control, how: no-control}}
  - damage_backup: {{backup: without-a-file, how: lost-file}}
  - work: 5
  - note: hurt
  - switch: yes
  - damage_wal: {{at: hurt}}
  - work: 5
  - note: noted
  - switch: yes
  - lose_wal: {{at: noted}}
  - archiving: broken
  - work: 5
  - archiving: works
  - backup: last
  - work: 10
  - quiet: 0.2
  - accident:
      name: oops
      what: the stock is gone
      work_between: 2
      transactions: [["DELETE FROM shop.stock WHERE product_id < 3"], ["TRUNCATE shop.audit"]]
  - work: 5
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))
    yield
    lab = record.current()
    if lab is not None:
        ending.stop(lab)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory to be made, which the servers' user can reach."""
    directory = Path(tempfile.mkdtemp(prefix="pitr-lab-test-"))
    directory.chmod(0o711)
    yield directory / "world"
    shutil.rmtree(directory)


def own(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def play(
    scenario: Scenario,
    place: Path,
    major: str = "18",
    rate: float | None = 0,
    tell: Callable[[Phase], None] = lambda _: None,
    cancel: threading.Event | None = None,
) -> Lab:
    order = StartOrder(scenario, SEED, installed(major), server_user(), place, rate)
    return start(order, tell, cancel or threading.Event())


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def servers_below(place: Path) -> list[RunningServer]:
    return [one for one in find_running() if one.data_directory.is_relative_to(place)]


@contextmanager
def nothing_left(place: Path) -> Iterator[None]:
    """No directory, no server, no record."""
    yield
    assert not place.exists()
    assert not servers_below(place)
    assert record.current() is None
    assert [one.name for one in record.labs_directory().iterdir()] == ["lock"]


def test_the_shop_goes_on_until_the_lab_is_stopped(tmp_path: Path, place: Path) -> None:
    phases: list[Phase] = []
    lab = play(own(tmp_path, _SMALL), place, rate=20, tell=phases.append)
    assert record.current() == lab
    assert lab.truth().noted["noted"].at.strftime("%Y-%m-%d %H:%M:%S UTC") in lab.hints[0]
    assert str(lab.backup_directory) in lab.hints[1]
    told = [phase for phase in phases if phase.name == "let the shop work"]
    assert (told[-2].done, told[-1].seconds is not None) == (told[-2].total, True)

    truth, pid = lab.truth(), worker.alive(lab)
    assert pid is not None
    noted, bad = truth.noted["noted"], truth.first_bad
    assert bad is not None
    assert noted.at.microsecond == 0
    assert all((one.at < noted.at) == (one.number < bad.number) for one in truth.main)
    assert bad.lsn < WalArchive(lab.archive_directory).listing().segments[-1].end

    with pytest.raises(RefusedError, match="is running"):
        play(find("dropped-table"), place.with_name("second"))
    assert not place.with_name("second").exists()

    until(lambda: len(lab.truth().main) > len(truth.main))
    ending.stop(lab)
    assert worker.alive(lab) is None
    assert not place.exists()
    assert lab.truth().best() == truth.best()


@pytest.mark.parametrize(
    "major",
    ["18", *(pytest.param(one, marks=pytest.mark.matrix) for one in _MAJORS if one != "18")],
)
def test_each_kind_of_step_does_what_it_says(tmp_path: Path, place: Path, major: str) -> None:
    lab = play(own(tmp_path, _EVERYTHING), place, major)
    truth, archive = lab.truth(), WalArchive(lab.archive_directory)

    assert [(one.name, one.whole) for one in truth.backups] == [
        ("first", True), ("without-label", False), ("without-control", False),
        ("without-a-file", False), ("last", True),
    ]  # fmt: skip
    for name in ("without-label", "without-control"):
        with pytest.raises(PitrError):
            open_backup(lab.backup_directory / name)
    hurt = look_whole(open_backup(lab.backup_directory / "without-a-file"))
    assert hurt is not None
    assert hurt.lost

    damaged, missing = truth.broken
    assert (damaged.missing, missing.missing) == (False, True)
    kept = lab.directory / "primary" / lab.version.wal_directory
    for one in truth.broken:
        assert not (kept / one.segment).exists()
    assert archive.find(missing.segment) is None
    path = archive.find(damaged.segment)
    assert path is not None
    assert b"\xde\xad\xbe\xef" * 100 in path.read_bytes()
    names = [segment.name for segment in archive.listing().segments if segment.timeline == 1]
    assert len(names) == (int(names[-1][16:], 16) - int(names[0][16:], 16))  # one is not there

    assert [int(one) for one in archive.listing().histories] == [2]
    trial = [one for one in truth.commits if one.timeline == TimelineId(2)]
    assert len(trial) == 3
    assert not any(one.good for one in trial)
    assert not (place / "trial").exists()
    assert not (place / "trial.log").exists()

    settings = lab.server.database.row("SHOW max_connections")
    assert settings == ("60",)
    bad = [one for one in truth.main if not one.good]
    assert [one.deed for one in bad] == ["oops", "oops"]
    assert [one.deed for one in truth.main if one.good and one.deed] == ["price"]
    best = truth.best()
    assert best.backup.name == "last"
    assert best.last is not None
    assert best.last.number == bad[0].number - 1
    assert lab.expert == f"Before {bad[0].xid}."
    assert [one.number for one in truth.main if bad[0].number < one.number < bad[1].number]


def test_a_cancelled_start_leaves_nothing(place: Path) -> None:
    cancel = threading.Event()

    def tell(phase: Phase) -> None:
        if phase.done > 5:
            cancel.set()

    with nothing_left(place), pytest.raises(CancelledError):
        play(find("wrong-rows"), place, rate=None, tell=tell, cancel=cancel)


def test_the_next_start_removes_what_a_killed_one_left(place: Path) -> None:
    world = place.with_name("killed")
    command = [
        sys.executable,
        "-m",
        "pitr_tui",
        "lab",
        "start",
        "dropped-table",
        "--dir",
        str(world),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as killed:
        until((world / "archive").exists)
        killed.kill()
    left = servers_below(world)
    assert len(left) == 1

    lab = play(find("wrong-rows"), place)
    assert not world.exists()
    assert not servers_below(world)
    assert [one.name for one in record.labs_directory().iterdir() if one.is_dir()] == [lab.name]
    ending.stop(lab)


WRONG = {
    "wrong SQL": ("  - sql: {name: oops, what: nothing, run: [SELECT 1/0]}\n",
                  "step 3 of 4", "division by zero"),
    "a transaction that is not the lab's": (
        "  - accident: {name: oops, what: no, transactions: [[DELETE FROM shop.audit; COMMIT]]}\n",
        "step 3 of 4", "a statement ended the transaction"),
    "a segment that is gone already": (
        "  - note: other\n  - note: third\n  - switch: yes\n  - lose_wal: {at: other}\n"
        "  - damage_wal: {at: third}\n"
        "  - accident: {name: oops, what: no, transactions: [[DELETE FROM shop.audit]]}\n",
        "step 7 of 9", "not there any more"),
    "an accident that harms nobody": (
        "  - accident: {name: oops, what: no, transactions: [['UPDATE shop.stock SET quantity = 1"
        " WHERE false']]}\n", "changed nothing", "no row"),
    "no backup that helps": (
        "  - accident: {name: oops, what: no, transactions: [[DELETE FROM shop.audit]]}\n"
        "  - damage_backup: {backup: b, how: no-label}\n", "no backup of this lab", "broken"),
}  # fmt: skip


_TRIGGER = """\
  - sql:
      name: visits
      what: the shop notes by itself when a customer was there
      run:
        - >
          CREATE FUNCTION shop.visit() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN UPDATE shop.customers SET last_visit = now() WHERE id = 1; RETURN NEW; END'
        - >
          CREATE TRIGGER visit AFTER INSERT ON shop.orders
          FOR EACH ROW EXECUTE PROCEDURE shop.visit()
  - work: 20
  - accident: {name: oops, what: no stock, transactions: [["DELETE FROM shop.stock"]]}
  - note: noted
"""


@pytest.mark.parametrize(
    "end", ["", pytest.param("  - primary: lost\n", marks=pytest.mark.matrix)], ids=["runs", "lost"]
)
def test_a_truth_that_does_not_hold_is_told(tmp_path: Path, place: Path, end: str) -> None:
    text = f"{_HEAD}  - work: 3\n  - backup: b\n{_TRIGGER}{end}"
    with nothing_left(place), pytest.raises(PitrError, match="does not hold") as caught:
        play(own(tmp_path, text), place)
    assert caught.value.why.endswith("every change in shop.customers")


@pytest.mark.matrix
@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_scenario_that_does_not_work_out_leaves_nothing(
    tmp_path: Path, place: Path, case: tuple[str, str, str]
) -> None:
    steps, what, why = case
    text = f"{_HEAD}  - work: 3\n  - backup: b\n{steps}  - note: noted\n"
    with nothing_left(place), pytest.raises(PitrError, match=what) as caught:
        play(own(tmp_path, text), place)
    assert why in caught.value.why


def test_a_version_that_is_too_old_is_refused(tmp_path: Path, place: Path) -> None:
    text = _EVERYTHING.replace("minutes: 5", 'minutes: 5\nsince: "18"')
    with pytest.raises(RefusedError, match="cannot be played with PostgreSQL 15"):
        play(own(tmp_path, text), place, "15")
    assert not place.exists()


# The scenarios that come with pitr: which backup the best answer takes, and what it ends before.
BEST = {
    "wrong-rows": ("before-the-import", "import"),
    "dropped-table": ("nightly", "drop"),
    "truncated-table": ("nightly", "truncate"),
    "update-without-where": ("nightly", "update"),
    "deleted-part": ("nightly", "delete"),
    "failed-deployment": ("nightly", "release"),
    "dropped-database": ("nightly", "drop"),
    "keep-later-rows": ("nightly", "drop"),
    "disk-gone": ("nightly", ""),
    "last-segment": ("nightly", "delete"),
    "missing-segment": ("monday", "zero"),
    "corrupt-segment": ("nightly", "zero"),
    "broken-backup": ("sunday", "delete"),
    "backup-too-new": ("midnight", "update"),
    "stray-timeline": ("nightly", "cancel"),
    "other-zone": ("nightly", "update"),
    "idle-server": ("nightly", ""),
    "raised-connections": ("nightly", "update"),
    "tablespace": ("nightly", "truncate"),
}


@pytest.mark.matrix
@pytest.mark.parametrize("major", OLD_AND_NEW)
@pytest.mark.parametrize("name", TEACHING_ORDER)
def test_the_best_answer_of_each_scenario(place: Path, name: str, major: str) -> None:
    began = time.monotonic()
    lab = play(find(name), place, major, rate=None)
    assert time.monotonic() - began < 30
    best, (backup, deed) = lab.truth().best(), BEST[name]
    assert best.backup.name == backup
    assert (best.first_bad.deed if best.first_bad else "") == deed
    assert "{" not in lab.story + "".join(lab.hints) + lab.expert
    assert best.last is not None
    # Nothing would do where the backup alone is as good, and nothing is lost but what has to be.
    assert best.last.lsn > best.backup.stop
    if best.first_bad is not None and name != "corrupt-segment":
        assert best.last.number == best.first_bad.number - 1
