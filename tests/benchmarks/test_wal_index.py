"""How long an archive of 65,536 segments keeps a person waiting, against coreutils in the same run.

The cold pass reads the first pages of every segment, as `head -c 8192` does; the one from the
cache looks at every file, as `ls -l` does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.walname import WalSegment
from tests.unit.made_wal import commit, record, wal_bytes

pytestmark = pytest.mark.benchmark

COUNT = 65_536
SIZE = 16 << 20
ROUNDS = 5
COLD_SECONDS, COLD_BUDGET = 2.0, 3.0  # the seconds are those of two idle cores
WARM_SECONDS, WARM_BUDGET = 0.3, 1.5
MEMORY_BYTES = 400 << 20

# One process each, so that nothing is warm but what the operating system and the cache keep.
SURVEY = """
import resource, sys, time
from pathlib import Path
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_index import WalIndex
from pitr_tui.wal.coverage import coverage

if __name__ == "__main__":
    started = time.monotonic()
    with IndexCache() as cache:
        survey = WalIndex(WalArchive(Path(sys.argv[1])), cache).survey()
    (timeline,) = coverage(survey.holdings()).timelines
    seconds = time.monotonic() - started
    assert timeline.segments == int(sys.argv[2]), timeline.segments
    assert timeline.stretches[0].last_time is not None
    assert not survey.remarks, survey.remarks
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(seconds, kilobytes)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sparse segments, each with some records and a commit in its first page."""
    directory = tmp_path_factory.mktemp("archive")
    small = record(10, 0, bytes(80))
    for number in range(1, COUNT + 1):
        of = WalSegment(TimelineId(1), number, 1 << 20)
        page = bytearray(wal_bytes(of, [small] * 12 + [commit(number * 1_000_000)])[:8192])
        of = WalSegment(TimelineId(1), number, SIZE)
        page[8:16] = int(of.start).to_bytes(8, "little")
        page[32:36] = SIZE.to_bytes(4, "little")
        with (directory / of.name).open("wb") as file:
            file.write(page)
            file.truncate(SIZE)
    return directory


def surveyed(archive: Path) -> tuple[float, int]:
    """The seconds that the survey took, without the start of Python, and its peak of memory."""
    script = archive.parent / "survey.py"
    script.write_text(SURVEY)
    run = subprocess.run(
        [sys.executable, script, archive, str(COUNT)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seconds, kilobytes = run.stdout.split()
    return float(seconds), int(kilobytes) * 1024


def taken(command: str, archive: Path) -> float:
    started = time.monotonic()
    subprocess.run(["sh", "-c", command], cwd=archive, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def alternated(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    """The least of several rounds of both, so that a busy machine decides nothing."""
    rounds = [(ours(), theirs()) for _ in range(ROUNDS)]
    return min(one for one, _ in rounds), min(one for _, one in rounds)


def test_many_segments_are_opened_at_once(archive: Path, cache_dir: Path) -> None:
    peaks: list[int] = []

    def cold() -> float:
        for file in cache_dir.glob("*"):
            file.unlink()
        return warm()

    def warm() -> float:
        seconds, peak = surveyed(archive)
        peaks.append(peak)
        return seconds

    heads = "ls | xargs head -q -c 8192"
    ours, theirs = alternated(cold, lambda: taken(heads, archive))
    print(f"\n{COUNT:,} segments, cold: {ours:.2f} s, head {theirs:.2f} s, {ours / theirs:.2f}")
    settled = max(file.stat().st_ctime for file in archive.iterdir()) + 2
    while time.time() < settled:  # what changed a moment ago is not kept
        time.sleep(0.1)
    warm()
    again, listed = alternated(warm, lambda: taken("LC_ALL=C ls -l", archive))
    print(f"from the cache: {again:.2f} s, ls -l {listed:.2f} s, {again / listed:.2f}")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"memory: {max(*peaks, children) >> 20} MB")
    assert ours < max(COLD_SECONDS, COLD_BUDGET * theirs)
    assert again < max(WARM_SECONDS, WARM_BUDGET * listed)
    assert max(*peaks, children) < MEMORY_BYTES
