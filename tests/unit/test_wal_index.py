"""The coarse pass: what it reads, what it keeps, and that what it keeps is never stale."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.repositories import file_identity, wal_index
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.archive_names import read_names
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.segment_heads import read_heads_of
from pitr_tui.repositories.wal_index import Survey, WalIndex
from pitr_tui.storage.compression import SUFFIXES
from pitr_tui.wal.coverage import coverage
from pitr_tui.wal.first_time import NO_TIME
from pitr_tui.wal.heads import Fault
from tests.unit.made import (
    BACKUP_HISTORY_NAME,
    MEGABYTE,
    backup_history_text,
    make_archive,
    segment,
    segment_bytes,
    wait_until,
)
from tests.unit.made_wal import commit, wal_bytes

TIME = 848_673_302_117_000


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once; the tests of settling itself take this back."""
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", -1_000_000_000_000)


@pytest.fixture
def archive(tmp_path: Path) -> WalArchive:
    """Segments 1 to 4, each with a commit at its own time."""
    directory = tmp_path / "archive"
    directory.mkdir()
    for number in (1, 2, 3, 4):
        write(directory, number)
    return WalArchive(directory)


def write(directory: Path, number: int, time: int | None = None) -> Path:
    path = directory / segment(number).name
    path.write_bytes(wal_bytes(segment(number), [commit(TIME + number if time is None else time)]))
    return path


def directory_of(archive: WalArchive) -> Path:
    assert isinstance(archive.directory, Path)
    return archive.directory


def survey(archive: WalArchive) -> Survey:
    """A new process's look at an archive: with what the cache has."""
    with IndexCache() as cache:
        return WalIndex(archive, cache).survey()


def times(found: Survey) -> list[int]:
    known: list[int] = found.heads["time"].tolist()
    return known


def next_tick(directory: Path) -> None:
    """Wait until the file system's clock has gone on, so that a change can be seen."""
    probe = directory / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns

    def gone_on() -> bool:
        probe.touch()
        return probe.stat().st_ctime_ns != before

    wait_until(gone_on)


class Reads:
    """Which files were read, one list of paths for each survey."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[str] = []

        def counting(task: tuple[Path, list[str]], fed: object) -> bytes:
            self.paths.extend(task[1])
            return read_heads_of(task, fed)

        monkeypatch.setattr(wal_index, "read_heads_of", counting)

    def taken(self) -> list[str]:
        paths, self.paths = self.paths, []
        return paths


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def test_what_did_not_change_is_read_once(archive: WalArchive, reads: Reads) -> None:
    first = survey(archive)
    assert len(reads.taken()) == 4
    assert times(first) == [TIME + 1, TIME + 2, TIME + 3, TIME + 4]
    again = survey(archive)
    assert reads.taken() == []
    assert np.array_equal(again.heads, first.heads)
    assert again.remarks == ()


def changed_in_place(directory: Path) -> None:
    write(directory, 3, time=TIME + 30)


def replaced_by_rename(directory: Path) -> None:
    place = directory / "new"
    place.write_bytes(wal_bytes(segment(3), [commit(TIME + 30)]))
    place.rename(directory / segment(3).name)


def replaced_with_the_same_size_and_time(directory: Path) -> None:
    path = directory / segment(3).name
    before = path.stat()
    replaced_by_rename(directory)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def changed_and_the_clock_put_back(directory: Path) -> None:
    path = directory / segment(3).name
    before = path.stat()
    with path.open("r+b") as file:
        file.write(wal_bytes(segment(3), [commit(TIME + 30)]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def compressed(directory: Path) -> None:
    path = directory / segment(3).name
    path.with_name(f"{path.name}.gz").write_bytes(
        gzip.compress(wal_bytes(segment(3), [commit(TIME + 30)]))
    )
    path.unlink()


@pytest.mark.parametrize(
    "change",
    [
        changed_in_place,
        replaced_by_rename,
        replaced_with_the_same_size_and_time,
        changed_and_the_clock_put_back,
        compressed,
    ],
)
def test_what_changed_is_read_again_and_nothing_else(
    archive: WalArchive, reads: Reads, change: Callable[[Path], None]
) -> None:
    survey(archive)
    reads.taken()
    next_tick(directory_of(archive))
    change(directory_of(archive))
    assert times(survey(archive)) == [TIME + 1, TIME + 2, TIME + 30, TIME + 4]
    assert [path[:24] for path in reads.taken()] == [segment(3).name]


def test_what_was_deleted_is_gone_and_what_came_is_there(archive: WalArchive, reads: Reads) -> None:
    survey(archive)
    reads.taken()
    (directory_of(archive) / segment(2).name).unlink()
    write(directory_of(archive), 7)
    assert times(survey(archive)) == [TIME + 1, TIME + 3, TIME + 4, TIME + 7]
    assert reads.taken() == [segment(7).name]
    survey(archive)
    assert reads.taken() == []


def test_a_file_that_changed_a_moment_ago_is_not_trusted(
    archive: WalArchive, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within the same tick of the clock would not be seen."""
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", 2_000_000_000)
    survey(archive)
    assert len(reads.taken()) == 4
    survey(archive)
    assert len(reads.taken()) == 4
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", -1_000_000_000_000)
    survey(archive)
    assert len(reads.taken()) == 4
    survey(archive)
    assert reads.taken() == []


def test_two_archives_are_kept_apart(archive: WalArchive, tmp_path: Path, reads: Reads) -> None:
    (tmp_path / "other").mkdir()
    write(tmp_path / "other", 1, time=TIME + 99)
    other = WalArchive(tmp_path / "other")
    survey(archive)
    assert times(survey(other)) == [TIME + 99]
    reads.taken()
    assert len(times(survey(archive))) == 4
    assert times(survey(other)) == [TIME + 99]
    assert reads.taken() == []


@pytest.mark.parametrize("folder", ["", "00000001", "0000000100000000"])
@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        (".lz4", lz4.frame.compress),
    ],
)
def test_a_segment_is_read_wherever_and_however_it_lies(
    tmp_path: Path, folder: str, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    assert suffix in SUFFIXES
    (tmp_path / "a" / folder).mkdir(parents=True)
    (tmp_path / "a" / folder / f"{segment(4095).name}{suffix}").write_bytes(
        pack(wal_bytes(segment(4095), [commit(TIME)]))
    )
    write(tmp_path / "a", 4096)
    found = survey(WalArchive(tmp_path / "a"))
    (timeline,) = coverage(found.holdings()).timelines
    assert [(s.range.first, s.range.last) for s in timeline.stretches] == [
        (segment(4095), segment(4096))
    ]
    assert sorted(times(found)) == [TIME, TIME + 4096]
    assert (timeline.packed_ratio is not None) == bool(suffix)


def test_a_directory_full_of_other_files_is_an_archive_without_wal(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(300):
        (tmp_path / "a" / f"photo-{number}.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "a" / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
    found = survey(WalArchive(tmp_path / "a"))
    assert (len(found.heads), found.histories, found.labels) == (0, {}, {})
    assert coverage(found.holdings()).timelines == ()


def faults(found: Survey) -> dict[int, Fault]:
    known = found.holdings()
    return {
        number: bad.fault
        for several in known.unusable.values()
        for bad in several
        for number in range(bad.range.first.number, bad.range.last.number + 1)
    }


def test_what_is_no_segment_is_told_and_the_others_still_count(archive: WalArchive) -> None:
    directory = directory_of(archive)
    (directory / segment(5).name).mkdir()
    os.mkfifo(directory / segment(6).name)
    (directory / segment(7).name).symlink_to("/nowhere/at/all")
    (directory / segment(8).name).write_bytes(b"")
    (directory / segment(9).name).write_bytes(bytes(MEGABYTE))
    (directory / segment(10).name).write_bytes(segment_bytes(segment(10))[:-1])
    (directory / segment(11).name).write_bytes(random.Random(1).randbytes(MEGABYTE))
    (directory / f"{segment(12).name}.gz").write_bytes(b"not gzip")
    (directory / f"{segment(13).name}.zst").write_bytes(b"")
    found = survey(archive)
    assert faults(found) == {
        5: Fault.UNREADABLE,
        6: Fault.UNREADABLE,
        7: Fault.UNREADABLE,
        8: Fault.EMPTY,
        9: Fault.NO_WAL,
        10: Fault.WRONG_LENGTH,
        11: Fault.NO_WAL,
        12: Fault.UNPACKABLE,
        13: Fault.EMPTY,
    }
    assert faults(survey(archive)) == faults(found)
    assert found.holdings().held[TimelineId(1)].run_from(1) == 5


def test_what_may_not_be_read_is_told_and_read_once_it_may(closable: Path) -> None:
    (closable / "a").mkdir()
    path = write(closable / "a", 1)
    write(closable / "a", 2)
    archive = WalArchive(closable / "a")
    path.chmod(0)
    found = survey(archive)
    assert faults(found) == {1: Fault.UNREADABLE}
    assert "Permission denied" in coverage(found.holdings()).timelines[0].unusable[0].why
    path.chmod(0o600)
    assert times(survey(archive)) == [TIME + 1, TIME + 2]


def test_an_archive_that_cannot_be_entered_is_an_error(closable: Path) -> None:
    (closable / "a").mkdir()
    write(closable / "a", 1)
    archive = WalArchive(closable / "a")
    (closable / "a").chmod(0o200)
    try:
        with pytest.raises(PitrError, match="archive cannot be read"):
            survey(archive)
    finally:
        (closable / "a").chmod(0o700)


def test_a_file_that_goes_while_the_others_are_read_is_passed_over(
    archive: WalArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removing(task: tuple[Path, list[str]], fed: object) -> bytes:
        (task[0] / segment(2).name).unlink()
        write(task[0], 5)
        return read_heads_of(task, fed)

    monkeypatch.setattr(wal_index, "read_heads_of", removing)
    found = survey(archive)
    assert times(found) == [TIME + 1, TIME + 3, TIME + 4]
    assert found.remarks == ("1 segment disappeared while they were read",)
    monkeypatch.undo()
    assert len(times(survey(archive))) == 4


def test_a_name_that_goes_before_it_is_looked_at_is_passed_over(
    archive: WalArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = read_names(directory_of(archive))
    (directory_of(archive) / segment(3).name).unlink()
    monkeypatch.setattr(WalArchive, "names", lambda self: names)
    assert times(survey(archive)) == [TIME + 1, TIME + 2, TIME + 4]


def test_small_files_are_read_and_those_that_make_no_sense_are_told(archive: WalArchive) -> None:
    directory = directory_of(archive)
    (directory / "00000002.history").write_text("1\t0/400100\tat restore point\n")
    (directory / "00000003.history").write_text("nonsense\n")
    (directory / segment(4, 4).name).write_bytes(segment_bytes(segment(4, 4)))
    (directory / BACKUP_HISTORY_NAME).write_text(backup_history_text())
    (directory / f"{segment(3).name}.00000028.backup").write_text("START WAL LOCATION: ?")
    found = survey(archive)
    assert found.histories[TimelineId(2)].forks[0].reason == "at restore point"
    assert set(found.problems) == {3, 4}
    assert "makes no sense" in found.problems[TimelineId(3)]
    assert "00000004.history is not in the archive" in found.problems[TimelineId(4)]
    assert list(found.labels) == [BACKUP_HISTORY_NAME]
    assert f"{segment(3).name}.00000028.backup" in found.remarks[0]


def test_many_segments_are_read_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_index, "_ALONE", 10)
    monkeypatch.setattr(wal_index, "_CHUNK", 7)
    monkeypatch.setattr(wal_index, "default_count", lambda: 2)
    archive = make_archive(tmp_path / "a", *(segment(n) for n in range(1, 60)))
    told: list[tuple[int, int]] = []
    with IndexCache() as cache:
        index = WalIndex(archive, cache, told=lambda done, total: told.append((done, total)))
        found = index.survey()
    assert not faults(found)
    assert found.holdings().held[TimelineId(1)].run_from(1) == 60
    assert told == [(done, 59) for done in (0, 7, 14, 21, 28, 35, 42, 49, 56, 59)]


@pytest.mark.parametrize("alone", [True, False])
def test_it_can_be_cancelled(
    archive: WalArchive, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    monkeypatch.setattr(wal_index, "_ALONE", 100 if alone else 1)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise CancelledError

    with IndexCache() as cache, pytest.raises(CancelledError):
        WalIndex(archive, cache, check).survey()


def test_the_cache_is_small_and_of_one_row(archive: WalArchive, cache_dir: Path) -> None:
    survey(archive)
    survey(archive)
    with sqlite3.connect(cache_dir / "wal-index.sqlite") as database:
        rows = database.execute("SELECT archive, length(data) FROM heads").fetchall()
    database.close()
    assert rows == [(str(archive.directory), 4 + 4 * 132)]


def test_an_archive_in_several_parts_is_known_again(
    archive: WalArchive, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is inserted before them moves the others to other places and parts."""
    monkeypatch.setattr(wal_index, "_PART", 3)
    for number in range(10, 20):
        write(directory_of(archive), number)
    first = survey(archive)
    assert len(reads.taken()) == 14
    assert np.array_equal(survey(archive).heads, first.heads)
    assert reads.taken() == []
    write(directory_of(archive), 7)
    (directory_of(archive) / segment(15).name).unlink()
    wanted = [TIME + n for n in (1, 2, 3, 4, 7, *range(10, 15), *range(16, 20))]
    assert times(survey(archive)) == wanted
    assert reads.taken() == [segment(7).name]
    assert times(survey(archive)) == wanted
    assert reads.taken() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("wrd")), max_size=12))
def test_the_cache_never_lies(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    """Whatever is written, replaced and deleted: with the cache it is as without."""
    directory = tmp_path_factory.mktemp("archive")
    archive = WalArchive(directory)
    for at, (number, step) in enumerate(steps):
        path = directory / segment(number).name
        data = wal_bytes(segment(number), [commit(TIME + at)])
        next_tick(directory)
        if step == "d":
            path.unlink(missing_ok=True)
        elif step == "w" or not path.exists():
            path.write_bytes(data)
        else:
            (directory / "new").write_bytes(data)
            (directory / "new").rename(path)
        with IndexCache(Path("/dev/null/nowhere")) as nothing:
            fresh = WalIndex(archive, nothing).survey()
        assert np.array_equal(survey(archive).heads, fresh.heads)


def test_a_segment_without_a_time_has_none(archive: WalArchive) -> None:
    (directory_of(archive) / segment(5).name).write_bytes(segment_bytes(segment(5)))
    found = survey(archive)
    assert times(found)[-1] == NO_TIME
