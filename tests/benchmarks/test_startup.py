"""How long a person waits for the command line itself."""

import resource
import subprocess
import sys

import pytest

PASS = ["-c", "pass"]
PITR_VERSION = ["-c", "import sys; from pitr_tui.cli import main; sys.exit(main())", "--version"]
BUDGET = 0.150  # seconds of CPU time beyond an empty Python program
ROUNDS = 7


def cpu_seconds(arguments: list[str]) -> float:
    """Return the CPU time of one Python process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


@pytest.mark.benchmark
def test_version_costs_little_more_than_python() -> None:
    """Rounds alternate and the least of each counts, so that a busy machine decides nothing."""
    rounds = [(cpu_seconds(PASS), cpu_seconds(PITR_VERSION)) for _ in range(ROUNDS)]
    python, pitr = (min(times) for times in zip(*rounds, strict=True))
    assert pitr - python < BUDGET, f"pitr {pitr:.3f} s, Python {python:.3f} s"
