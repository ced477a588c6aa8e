"""An archive that goes away, comes back, is slow, fails now and then, or has changed its mind."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import AtXid, Latest
from pitr_tui.recovery.checks import Light, judge
from pitr_tui.recovery.events import FeedFailed, Step, StepStarted, utc_now
from pitr_tui.recovery.state import RunState
from pitr_tui.repositories import archive as archive_module
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.storage import compression
from pitr_tui.storage.path import ReadPath, WritePath
from tests.integration.mishaps import (
    ALL_ROWS,
    LAST,
    Begun,
    Gate,
    begun,
    go_on,
    long_world_of,
    long_worlds,
    rows,
    segment_of,
    untouched,
)
from tests.integration.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def long_world(request: pytest.FixtureRequest) -> World:
    return long_world_of(getattr(request, "param", "18"))


@pytest.fixture
def archive(long_world: World) -> Iterator[Path]:
    """An archive of one's own."""
    copy = long_world.copy_archive("own")
    yield copy
    shutil.rmtree(copy)


def assert_fed_again(run: Begun, name: str) -> None:
    """It failed for want of this file, kept its copy, and goes on now to all of its rows."""
    failed = run.failed()
    assert (failed.failure, failed.kept) == ("FETCH_FATAL", True), failed
    assert name in failed.what
    assert go_on(run.record, run.plan).state is RunState.PAUSED
    assert rows(run.plan) == ALL_ROWS


@pytest.mark.matrix
@long_worlds
def test_an_archive_that_goes_away_and_comes_back(
    long_world: World, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, away = segment_of(long_world, 6), archive.with_name("away")
    gate = Gate(monkeypatch, name)
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid), archive=archive)
    with untouched(long_world), begun(plan) as run:
        gate.wait()
        archive.rename(away)
        gate.open()
        run.until(FeedFailed, name)
        run.error()
        away.rename(archive)
        assert_fed_again(run, name)


@pytest.fixture
def mounted(long_world: World) -> Iterator[Path]:
    """An archive on a file system of its own."""
    place = long_world.directory / "mounted"
    place.mkdir()
    tmpfs = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=755", "none", str(place)]
    done = subprocess.run(tmpfs, capture_output=True, text=True)
    if done.returncode:
        place.rmdir()
        pytest.skip(f"a file system cannot be mounted: {done.stderr.strip()}")
    shutil.copytree(long_world.archive_directory, place, dirs_exist_ok=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], capture_output=True)
    place.rmdir()


@long_worlds
@pytest.mark.parametrize("when", [Step.COPY, pytest.param(Step.REPLAY, marks=pytest.mark.matrix)])
def test_an_archive_that_is_unmounted_proves_no_end(
    long_world: World, mounted: Path, when: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory is there still, and empty: without a target every version would open."""
    gate = Gate(monkeypatch, segment_of(long_world, 6))
    if when is Step.COPY:
        gate.open()

    def hear(stamped: object) -> None:
        if getattr(stamped, "event") == StepStarted(Step.COPY) and when is Step.COPY:  # noqa: B009
            subprocess.run(["umount", "-l", str(mounted)], check=True)

    plan = long_world.plan(Latest(), archive=mounted)
    with untouched(long_world), begun(plan, hear) as run:
        if when is Step.REPLAY:
            gate.wait()
            subprocess.run(["umount", "-l", str(mounted)], check=True)
            gate.open()
        failed = run.failed()
        assert (failed.failure, failed.kept) == ("FETCH_FATAL", True)
        assert "not what it was" in failed.why
        assert not run.record.view().opened


class Flapping:
    """Reading any one file fails every second time, beginning with the first."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.tried: Counter[str] = Counter()
        self.failed = 0
        self.lock = threading.Lock()
        opened = compression.open_plain

        def open_plain(path: ReadPath) -> AbstractContextManager[IO[bytes]]:
            with self.lock:
                self.tried[path.name] += 1
                fails = self.tried[path.name] % 2 == 1
                self.failed += fails
            if fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return opened(path)

        patch.setattr(archive_module, "open_plain", open_plain)


@long_worlds
def test_an_archive_that_fails_every_second_time(
    long_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flapping = Flapping(monkeypatch)
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid))
    with untouched(long_world), begun(plan) as run:
        assert run.future.result(120).state is RunState.PAUSED
        assert flapping.failed >= 4
        assert rows(plan) == ALL_ROWS


class Slow:
    """Reads come at so many bytes a second."""

    def __init__(self, patch: pytest.MonkeyPatch, rate: int, name: str = "") -> None:
        self.began = threading.Event()
        copy = WalArchive.copy

        def slow(archive: WalArchive, path: ReadPath, to: WritePath) -> int:
            if not path.name.startswith(name):
                return copy(archive, path, to)
            done = 0
            with path.open("rb") as source, to.open("wb") as target:
                while chunk := source.read(1 << 16):
                    done += target.write(chunk)
                    self.began.set()
                    time.sleep(len(chunk) / rate)
            return done

        patch.setattr(WalArchive, "copy", slow)


@pytest.mark.matrix
@pytest.mark.parametrize("long_world", ["11", "18"], indirect=True)
@pytest.mark.parametrize("rate", [1 << 20, 400_000])
def test_a_slow_archive_is_waited_for(
    long_world: World, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the lower rate a segment takes longer than the server waits for a sign of life."""
    Slow(monkeypatch, rate, segment_of(long_world, 6) if rate < 1 << 20 else "")
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid))
    with untouched(long_world), begun(plan) as run:
        assert run.future.result(300).state is RunState.PAUSED
        assert rows(plan) == ALL_ROWS


def test_a_slow_archive_does_not_hold_up_who_stops(
    long_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, 1 << 20)
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid))
    with untouched(long_world), begun(plan) as run:
        assert slow.began.wait(60)
        started = time.monotonic()
        run.cancel.set()
        run.error()
        assert time.monotonic() - started < 10  # a segment takes 16 seconds
        assert run.record.view().state is RunState.CANCELLED
        assert not run.place.exists()


def garbage(path: Path, world: World) -> None:
    path.write_bytes(os.urandom(1 << 20) * 16)


def cut(path: Path, world: World) -> None:
    path.write_bytes(path.read_bytes()[: 5 << 20])


def foreign(path: Path, world: World) -> None:
    """The same segment of another cluster."""
    data = bytearray(path.read_bytes())
    data[24:32] = bytes(byte ^ 0xFF for byte in data[24:32])
    path.write_bytes(data)


@long_worlds
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(garbage, marks=pytest.mark.matrix),
        pytest.param(cut, marks=pytest.mark.matrix),
        foreign,
    ],
)
def test_a_segment_that_is_replaced_behind_the_check(
    long_world: World, archive: Path, damage: Callable[[Path, World], None]
) -> None:
    name = segment_of(long_world, 6)
    plan = long_world.plan(AtXid(long_world.marks[LAST].xid), archive=archive)
    assert judge(plan, utc_now()).light is not Light.RED
    whole = (archive / name).read_bytes()
    damage(archive / name, long_world)
    with untouched(long_world), begun(plan) as run:
        run.error()
        (archive / name).write_bytes(whole)
        assert_fed_again(run, name)


def empty_control(backup: Path) -> None:
    (backup / "global" / "pg_control").write_bytes(bytes(8192))


def no_label(backup: Path) -> None:
    (backup / "backup_label").unlink()


def other_label(backup: Path) -> None:
    label = backup / "backup_label"
    label.write_text(label.read_text().replace("LABEL: pitr", "LABEL: another"))


def no_catalog(backup: Path) -> None:
    for path in (backup / "base").rglob("1259"):
        path.unlink()


def other_version(backup: Path) -> None:
    (backup / "PG_VERSION").write_text("9.6\n")


@long_worlds
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(empty_control, "version mismatch", marks=pytest.mark.matrix),
        (no_label, "its backup_label is gone"),
        pytest.param(other_label, "its backup_label is another one", marks=pytest.mark.matrix),
        (no_catalog, "base/"),
        pytest.param(other_version, "version mismatch|PG_VERSION has", marks=pytest.mark.matrix),
    ],
)
def test_a_backup_that_changes_behind_the_check(
    long_world: World, damage: Callable[[Path], None], words: str
) -> None:
    backup = long_world.directory / "own-backup"
    shutil.copytree(long_world.backup_path, backup, symlinks=True)
    try:
        plan = long_world.plan(AtXid(long_world.marks[LAST].xid), backup=backup)
        assert judge(plan, utc_now()).light is not Light.RED
        damage(backup)
        with untouched(long_world), begun(plan) as run:
            failed = run.failed()
            assert re.search(words, f"{failed.what}: {failed.why}")
            assert failed.kept == run.place.exists()
    finally:
        shutil.rmtree(backup)


def test_errors_are_ours(long_world: World, archive: Path) -> None:
    """What the operating system says of a directory is told as ours, and proves nothing."""
    plan = long_world.plan(Latest(), archive=archive)
    shutil.rmtree(archive)
    try:
        with pytest.raises(PitrError, match="cannot be read"):
            plan.source.held()
    finally:
        archive.mkdir()
