"""The verdict over a backup whose own run lies in several segments, and what it has of them."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import (
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import archiving
from pitr_tui.recovery.checks import Light
from tests.integration.conftest import installed
from tests.integration.test_check import (
    EVERY,
    assert_fails,
    assert_gets_there,
    assert_never_gets_there,
    check_of,
    examined,
)
from tests.integration.world import World, run
from tests.local import local

pytestmark = pytest.mark.integration

ROWS = [1, 2, 3, 4, 10, 11, 13, *range(20, 30)]  # up to 13, by their numbers
FILES = shutil.ignore_patterns("postmaster.*", "pg_wal", "pg_xlog")


class Long(World):
    """While the files were copied by hand rows 10, 11 and 20 to 29 came; behind it 13 to 15."""

    def build(self) -> None:
        super().build()
        self.copied = self.directory / "copied"
        old = self.server.version.number < 150000
        start = "pg_start_backup('x', true, false)" if old else "pg_backup_start('x', true)"
        stop = "pg_stop_backup(false)" if old else "pg_backup_stop()"
        with self.server.database.connect() as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"SELECT {start}")
            shutil.copytree(self.server.data_directory, self.copied, symlinks=True, ignore=FILES)
            self.wal.mkdir()
            for number in (10, 11):
                self.insert_and_archive(number)
            for number in range(20, 30):
                self.insert(number)
            cursor.execute(f"SELECT labelfile FROM {stop}")
            (self.copied / "backup_label").write_text((cursor.fetchone() or ("",))[0])
        for number in (13, 14, 15):
            self.insert_and_archive(number)
        self.own()

    def insert_and_archive(self, number: int) -> None:
        self.insert(number)
        archiving.prove(self.primary, self.archive_directory)

    @property
    def wal(self) -> Path:
        return self.copied / self.installation.version.wal_directory

    def own(self) -> None:
        for path in (self.copied, *self.copied.rglob("*")):
            self.user.own(path)

    def segments(self) -> list[WalSegment]:
        """Those of the backup's own run, and the one behind."""
        backup = self.plan(Immediate(), backup=self.copied).backup
        assert backup.stop_lsn is not None
        first, last = backup.start_segment, int(backup.stop_lsn - 1) // backup.segment_size
        return [dataclasses.replace(first, number=n) for n in range(first.number, last + 2)]

    def bring(self, **contents: bytes | None) -> None:
        """Put these into the backup's pg_wal, and nothing else."""
        for path in self.wal.iterdir():
            path.unlink()
        for name, data in contents.items():
            (self.wal / name).write_bytes(
                (self.archive_directory / name).read_bytes() if data is None else data
            )
        self.own()


_worlds: dict[str, Long] = {}


@pytest.fixture(scope="module", autouse=True)
def _close() -> Iterator[None]:
    yield
    for one in _worlds.values():
        one.close()


@pytest.fixture
def long(request: pytest.FixtureRequest) -> Long:
    if request.param not in _worlds:
        _worlds[request.param] = Long(installed(request.param))
        _worlds[request.param].build()
    one = _worlds[request.param]
    one.bring()
    return one


in_each = pytest.mark.parametrize("long", EVERY, indirect=True)


def without(long: Long, *segments: WalSegment) -> Path:
    archive = long.directory / "without"
    shutil.rmtree(archive, ignore_errors=True)
    long.copy_archive("without")
    for one in segments:
        (archive / one.name).unlink()
    return archive


@in_each
def test_what_the_backup_brings_along_is_replayed(long: Long) -> None:
    *own, _ = long.segments()
    long.bring(**{one.name: None for one in own})
    archive = without(long, own[-1])
    plan = long.plan(AtXid(long.marks[13].xid), archive=archive, backup=long.copied)
    assert_gets_there(plan, ROWS)


@pytest.mark.matrix
@in_each
def test_an_archive_that_begins_within_the_backup(long: Long) -> None:
    """A time at which the copy was made lies before its end, which the archive does not tell."""
    *own, _ = long.segments()
    long.bring(**{one.name: None for one in own})
    archive = without(long, *own)
    early = long.plan(AtTime(long.marks[10].time), archive=archive, backup=long.copied)
    assert_never_gets_there(early, "lies before the end of the backup", check="end of backup")
    assert_gets_there(dataclasses.replace(early, target=AtTime(long.marks[13].time)), ROWS)


@pytest.mark.matrix
@in_each
def test_segments_that_were_made_ready_for_later_are_no_wal(long: Long) -> None:
    *own, behind = long.segments()
    old = (long.archive_directory / own[0].name).read_bytes()
    long.bring(**{own[0].name: None, behind.name: old, behind.next().name: old})
    plan = long.plan(AtXid(long.marks[15].xid), archive=without(long, behind), backup=long.copied)
    assert_never_gets_there(plan, f"{behind.name} is missing", check="no gap")


@pytest.mark.matrix
@in_each
@pytest.mark.parametrize("brought", [1, 2])
def test_a_backup_that_does_not_bring_its_own_end(long: Long, brought: int) -> None:
    *own, behind = long.segments()
    long.bring(**{one.name: None for one in own[:brought]})
    later = [WalSegment(TimelineId(1), behind.number + n, behind.size) for n in range(3)]
    archive = without(long, *own, *later)
    plan = long.plan(Immediate(), archive=archive, backup=long.copied)
    assert_never_gets_there(plan, f"{own[brought].name} is missing", check="no gap")


@pytest.mark.matrix
@in_each
@pytest.mark.parametrize("how", ["partial", "zeros", "damaged", "brought"])
@pytest.mark.parametrize("target", [Immediate(), Latest()])
def test_wal_that_ends_before_the_backup_does(long: Long, how: str, target: RecoveryTarget) -> None:
    """The last segment of the backup's own run is there, and not whole."""
    *own, behind = long.segments()
    data = (long.archive_directory / own[-1].name).read_bytes()
    at = int(long.marks[25].lsn) % behind.size
    spoiled = data[:at] + bytes(len(data) - at)
    if how == "damaged":
        spoiled = data[: at + 20] + bytes(40) + data[at + 60 :]
    later = [WalSegment(TimelineId(1), behind.number + n, behind.size) for n in range(3)]
    archive = without(long, own[-1], *later)
    if how == "brought":
        long.bring(**{one.name: None for one in own[:-1]}, **{own[-1].name: spoiled})
    else:
        name = own[-1].name + (".partial" if how == "partial" else "")
        (archive / name).write_bytes(spoiled)
    plan = long.plan(target, archive=archive, backup=long.copied)
    assert_never_gets_there(plan, "the WAL can be read to", check="end of backup")


@pytest.mark.matrix
@in_each
def test_a_branch_that_left_while_the_backup_was_made(long: Long) -> None:
    first = run(long.plan(AtXid(long.marks[10].xid), TargetAction.PROMOTE))
    archive = without(long)
    try:
        database = first.server.database
        for number in (100, 101, 102):
            database.rows(f"INSERT INTO t VALUES ({number})")
            xid = int(database.row("SELECT max(xmin::text::bigint) FROM t")[0])
            database.row(f"SELECT {first.server.version.switch_wal_function}()")
        wal = local(first.plan).directory / first.server.version.wal_directory
        for path in sorted(wal.glob("00000002*"))[:-1]:
            shutil.copy(path, archive)
    finally:
        first.server.stop()
        shutil.rmtree(local(first.plan).directory)
    plan = long.plan(AtXid(xid - 1), archive=archive, backup=long.copied)
    plan = dataclasses.replace(plan, timeline=TimelineId(2))
    _, judgement = examined(plan)
    assert judgement.light is Light.RED
    assert "does not contain the backup" in check_of(judgement, "timeline").evidence
    assert_fails(plan)
    older = dataclasses.replace(long.plan(AtXid(xid - 1), archive=archive), timeline=TimelineId(2))
    assert_gets_there(older, [1, 2, 3, 4, 10, 100, 101])
