"""How fast an archive is read, against pg_waldump over the same files in the same run.

The archive takes 1.6 GB and is kept in $PITR_BENCH_DIR, where that is set, for the next run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitr_tui.servers.installation import Installation, embedded_installation, find_installations
from pitr_tui.servers.osuser import server_user
from tests.wal.cluster import MEGABYTE, Cluster

pytestmark = [pytest.mark.benchmark, pytest.mark.integration]

SCALE = 20
PGBENCH_SECONDS = 20
ROWS = 10_000_000
LEAST_BYTES = 1_500_000_000
ROUNDS = 3
ACCOUNT_BUDGET = 2.0  # of the time of pg_waldump for the commits alone
FULL_RATIO = 4  # pg_waldump in full, against our accounting
MEMORY = 400 * MEGABYTE
_TICK = 0.02


@dataclass(frozen=True)
class Bench:
    """An archive, and the pg_waldump that reads it."""

    archive: Path
    waldump: Path

    @property
    def segments(self) -> list[Path]:
        return sorted(path for path in self.archive.iterdir() if len(path.name) == 24)

    def waldump_command(self, *options: str) -> list[str]:
        first, last = self.segments[0], self.segments[-1]
        return [str(self.waldump), *options, str(first), last.name]

    @property
    def accounting_command(self) -> list[str]:
        return [sys.executable, "-m", "tests.benchmarks.accounting", str(self.archive)]

    @property
    def listing_command(self) -> list[str]:
        pitr = [sys.executable, "-m", "pitr_tui", "wal", "transactions"]
        return [*pitr, str(self.archive), "--json"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    installation = with_pgbench()
    kept = os.environ.get("PITR_BENCH_DIR")
    place = Path(kept) if kept else tmp_path_factory.mktemp("bench")
    place.mkdir(parents=True, exist_ok=True)
    archive, whole = place / f"archive-{installation.version}", place / f"{installation.version}.ok"
    if not whole.exists():
        fill(archive, installation)
        whole.touch()
    found = Bench(archive, installation.bindir / "pg_waldump")
    assert sum(path.stat().st_size for path in found.segments) >= LEAST_BYTES
    return found


def with_pgbench() -> Installation:
    """An installation with all the tools; the oldest, whose pg_waldump is the fastest."""
    tools = ("initdb", "pgbench", "pg_waldump")
    for installation in sorted(find_installations(), key=lambda one: one.version):
        if all(installation.has(tool) for tool in tools):
            return installation
    return embedded_installation(server_user())


def fill(archive: Path, installation: Installation) -> None:
    cluster = Cluster(installation)
    try:
        cluster.initialize()
        cluster.start()
        database = cluster.server.database
        where = [f"--{name}={database.parameters[name]}" for name in ("host", "port")]
        where += ["--username=postgres", "postgres"]
        cluster.server.run_tool("pgbench", ["-i", "-q", "-s", str(SCALE), *where])
        cluster.server.run_tool("pgbench", ["-T", str(PGBENCH_SECONDS), "-c", "4", *where])
        for table in ("one", "two"):
            database.rows(f"CREATE TABLE {table} (id bigint, n int)")
            database.rows(f"INSERT INTO {table} SELECT n, n % 7 FROM generate_series(1, {ROWS}) n")
        cluster.switch()
        cluster.server.stop()
        cluster.archive_to(archive)
    finally:
        cluster.close()


def seconds(argv: Sequence[str]) -> float:
    """How long a command takes, whose end may be that of the WAL."""
    started = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def our_seconds(argv: Sequence[str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setenv("PITR_CACHE_DIR", str(cache))
    started = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def test_reading_against_waldump(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds alternate and the least of each counts, so that a busy machine decides little."""
    for path in bench.segments:
        path.read_bytes()  # from memory for everybody
    commits_only, full = bench.waldump_command("--rmgr=Transaction"), bench.waldump_command()
    rounds = [
        (
            our_seconds(bench.accounting_command, tmp_path / "unused", monkeypatch),
            our_seconds(bench.listing_command, tmp_path / f"cache-{number}", monkeypatch),
            our_seconds(bench.listing_command, tmp_path / f"cache-{number}", monkeypatch),
            seconds(commits_only),
            seconds(full),
        )
        for number in range(ROUNDS)
    ]
    account, listing, again, commits, everything = map(min, zip(*rounds, strict=True))
    print(
        f"\naccounting {account:.2f} s, listing {listing:.2f} s, once more {again:.2f} s; "
        f"pg_waldump: commits {commits:.2f} s, everything {everything:.2f} s"
    )
    assert account <= ACCOUNT_BUDGET * commits
    assert everything >= FULL_RATIO * account
    assert again < listing


def test_memory_stays_bounded(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_CACHE_DIR", str(tmp_path / "cache"))
    process = subprocess.Popen(bench.listing_command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        threading.Event().wait(_TICK)
    assert process.returncode == 0
    print(f"\npeak memory of all processes {peak / MEGABYTE:.0f} MB")
    assert 0 < peak < MEMORY


def memory_of(pid: int) -> int:
    """What a process and its descendants hold, a page shared by several counted once in all."""
    total, left = 0, [pid]
    while left:
        one = left.pop()
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            for task in Path(f"/proc/{one}/task").iterdir():
                left += map(int, (task / "children").read_text().split())
        except OSError:  # it has just ended
            continue
        total += sum(
            int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")
        )
    return total
