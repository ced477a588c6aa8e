"""The fine pass: facts of whole segments, in order, by several processes, each read once."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories import file_identity, wal_facts
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.index_cache import IndexCache, Variant
from pitr_tui.repositories.wal_facts import Means, facts_in_order
from pitr_tui.repositories.workers import Fed, Task, Workers
from tests.unit.made import MEGABYTE, make_archive, segment, segment_bytes, wait_until

VARIANT = Variant("test", 1)
SEGMENTS = [segment(number) for number in range(1, 8)]
LITTLE = 2 * SEGMENTS[0].size


def first_name(source: IO[bytes], of: WalSegment) -> bytes:
    """What a segment of `segment_bytes` says of itself, and how long it is."""
    data = source.read()
    return data[40:64] + str(len(data)).encode()


def says(of: WalSegment) -> bytes:
    return of.name.encode() + str(MEGABYTE).encode()


def counted(log: Path, source: IO[bytes], of: WalSegment) -> bytes:
    """The same, and a line in a file, from whatever process."""
    with log.open("a") as file:
        file.write(f"{of.number} {os.getpid()}\n")
    return first_name(source, of)


def refuses_the_third(source: IO[bytes], of: WalSegment) -> bytes:
    if of.number == 3:
        raise PitrError("this is not WAL", "it smells", "look elsewhere")
    if of.number == 4:
        raise ZeroDivisionError("a mistake of ours")
    return first_name(source, of)


def dies_at_the_third(source: IO[bytes], of: WalSegment) -> bytes:
    if of.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return first_name(source, of)


def waits_for_ever(log: Path, source: IO[bytes], of: WalSegment) -> bytes:
    log.with_name(f"{log.name}-{os.getpid()}").touch()
    signal.pause()
    return b""


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", -1_000_000_000_000)
    monkeypatch.setattr(wal_facts, "_LITTLE", LITTLE)


@pytest.fixture
def archive(tmp_path: Path) -> WalArchive:
    return make_archive(tmp_path / "archive", *SEGMENTS)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def lines(log: Path) -> list[tuple[int, int]]:
    """The numbers of the segments that were read since the last time, and by which process."""
    if not log.exists():
        return []
    found = [(int(a), int(b)) for a, b in (line.split() for line in log.read_text().splitlines())]
    log.unlink()
    return sorted(found)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_facts_come_in_the_order_that_was_asked_for(archive: WalArchive, processes: int) -> None:
    order = [SEGMENTS[at] for at in (4, 0, 6, 2, 1, 5, 3)]
    found = list(facts_in_order(archive, order, VARIANT, first_name, Means(processes=processes)))
    assert found == [(one, says(one)) for one in order]


def test_other_processes_do_it_unless_it_is_little(archive: WalArchive, log: Path) -> None:
    read, means = partial(counted, log), Means(processes=2)
    list(facts_in_order(archive, SEGMENTS[:2], VARIANT, read, means))
    assert {process for _, process in lines(log)} == {os.getpid()}
    list(facts_in_order(archive, SEGMENTS, VARIANT, read, means))
    processes = {process for _, process in lines(log)}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.parametrize("processes", [1, 2])
def test_each_is_read_once_as_long_as_it_is_the_same(
    archive: WalArchive, log: Path, processes: int
) -> None:
    def look(variant: Variant = VARIANT) -> list[bytes | PitrError]:
        with IndexCache() as cache:
            means = Means(cache, processes)
            read = partial(counted, log)
            return [facts for _, facts in facts_in_order(archive, SEGMENTS, variant, read, means)]

    first = look()
    assert len(lines(log)) == 7
    assert look() == first
    assert lines(log) == []
    path = Path(str(archive.directory)) / segment(3).name
    (path.parent / "new").write_bytes(segment_bytes(segment(3)).replace(b"03", b"33"))
    (path.parent / "new").rename(path)
    changed = look()
    assert [number for number, _ in lines(log)] == [3]
    assert [at for at in range(7) if changed[at] != first[at]] == [2]
    look(Variant("test", 1, "other key"))
    assert len(lines(log)) == 7
    look(Variant("test", 2))
    assert len(lines(log)) == 7
    look(Variant("test", 2))
    assert lines(log) == []


def test_what_has_not_settled_is_read_again(
    archive: WalArchive, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", 1_000_000_000_000)
    for _ in range(2):
        with IndexCache() as cache:
            list(
                facts_in_order(archive, SEGMENTS[:2], VARIANT, partial(counted, log), Means(cache))
            )
        assert len(lines(log)) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_segment_that_cannot_be_read_does_not_end_the_others(
    archive: WalArchive, processes: int
) -> None:
    directory = Path(str(archive.directory))
    packed = gzip.compress(os.urandom(MEGABYTE))
    (directory / f"{segment(8).name}.gz").write_bytes(packed[: len(packed) // 2])
    (directory / segment(9).name).mkdir()
    asked = [*SEGMENTS, *(segment(number) for number in (8, 9, 10))]
    with IndexCache() as cache:
        means = Means(cache, processes)
        found = dict(facts_in_order(archive, asked, VARIANT, refuses_the_third, means))
        kept = cache.known_facts(str(archive.directory), VARIANT)
    problems = {
        one.number: str(facts) for one, facts in found.items() if isinstance(facts, PitrError)
    }
    assert list(problems) == [3, 4, 8, 9, 10]
    assert f"segment {segment(3).name} cannot be read" in problems[3]
    assert "this is not WAL: it smells" in problems[3]
    assert "look elsewhere" in problems[3]
    assert "ZeroDivisionError" in problems[4]
    assert "ended before" in problems[8]
    assert "Is a directory" in problems[9]
    assert "is not in" in problems[10]
    assert sorted(kept) == [segment(number).name for number in (1, 2, 5, 6, 7)]


def test_permission_denied_is_told_of_the_segment(closable: Path) -> None:
    archive = make_archive(closable / "archive", *SEGMENTS[:2])
    (closable / "archive" / segment(1).name).chmod(0)
    found = dict(facts_in_order(archive, SEGMENTS[:2], VARIANT, first_name))
    assert "Permission denied" in str(found[segment(1)])
    assert found[segment(2)] == says(segment(2))


def test_a_worker_that_dies_is_an_error_and_no_hang(archive: WalArchive) -> None:
    found: list[tuple[WalSegment, bytes | PitrError]] = []
    facts = facts_in_order(archive, SEGMENTS, VARIANT, dies_at_the_third, Means(processes=2))
    with pytest.raises(PitrError, match="process that was reading WAL has died") as told:
        found.extend(facts)
    assert found == [(one, says(one)) for one in SEGMENTS[: len(found)]]
    assert len(found) <= 2
    assert "-9" in told.value.why


def test_it_can_be_cancelled_while_all_are_busy(archive: WalArchive, log: Path) -> None:
    def busy() -> list[int]:
        return [int(path.name.rpartition("-")[2]) for path in log.parent.glob(f"{log.name}-*")]

    def check() -> None:
        if len(busy()) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        list(
            facts_in_order(
                archive, SEGMENTS, VARIANT, partial(waits_for_ever, log), Means(None, 2, check)
            )
        )
    for process in busy():
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_who_stops_listening_ends_the_processes(archive: WalArchive, log: Path) -> None:
    listening = facts_in_order(
        archive, SEGMENTS, VARIANT, partial(counted, log), Means(processes=2)
    )
    assert next(listening) == (segment(1), says(segment(1)))
    listening.close()
    for _, process in lines(log):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


LISTENER = """
import signal, sys
from functools import partial
from pathlib import Path
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories import wal_facts
from pitr_tui.repositories.wal_facts import Means, facts_in_order
from tests.unit.test_wal_facts import LITTLE, SEGMENTS, VARIANT, counted

wal_facts._LITTLE = LITTLE
archive, read = WalArchive(Path(sys.argv[1])), partial(counted, Path(sys.argv[2]))
listening = facts_in_order(archive, SEGMENTS, VARIANT, read, Means(processes=2))
next(listening)
print("heard", flush=True)
signal.pause()
"""


def test_who_is_killed_leaves_no_process_behind(archive: WalArchive, log: Path) -> None:
    listener = subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(archive.directory), str(log)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "heard\n"
        listener.kill()
    processes = {process for _, process in lines(log)}
    assert listener.pid not in processes
    wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))


def test_results_do_not_pile_up_behind_a_slow_listener(archive: WalArchive, log: Path) -> None:
    listening = facts_in_order(
        archive, SEGMENTS, VARIANT, partial(counted, log), Means(processes=2)
    )
    next(listening)
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 2)
    assert len(lines(log)) <= 1 + 2 + 4  # heard, on the way, and twice the processes ahead
    listening.close()


def takes_its_food(value: int, fed: Fed | None) -> tuple[int, int]:
    assert fed is not None
    return value, len(io.BufferedReader(fed).read(value))


def food(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 100_000


def bad_food() -> Iterator[bytes]:
    yield b"x"
    raise PitrError("the engine is gone", "it was stopped")


def test_workers_are_fed_with_what_they_cannot_read() -> None:
    """One that reads little, one that reads all, and one whose food goes bad."""
    tasks: list[Task[tuple[int, int]]] = [
        Task(10, partial(food, 50)),
        Task(10_000_000, partial(food, 20)),
        Task(10, bad_food),
        Task(ready=(0, 0)),
        Task(5, partial(food, 0)),
    ]
    with Workers(takes_its_food, 2) as workers:
        found = list(workers.ordered(tasks))
    assert [found[at] for at in (0, 1, 3, 4)] == [(10, 10), (10_000_000, 2_000_000), (0, 0), (5, 0)]
    assert "the engine is gone" in str(found[2])


def test_segments_behind_an_engine_are_fed_too(
    archive: WalArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a directory that the workers cannot reach: compressed or not."""
    directory = Path(str(archive.directory))
    (directory / f"{segment(8).name}.gz").write_bytes(gzip.compress(segment_bytes(segment(8))))
    (directory / f"{segment(9).name}.gz").write_bytes(b"not gzip")
    monkeypatch.setattr(wal_facts, "Path", type("NoPath", (), {}))
    asked = [*SEGMENTS, segment(8), segment(9)]
    found = list(facts_in_order(archive, asked, VARIANT, first_name, Means(processes=2)))
    assert found[:-1] == [(one, says(one)) for one in asked[:-1]]
    assert isinstance(found[-1][1], PitrError)
