"""What holds for every test: a known environment, a state directory of its own, honest skips."""

import gc
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _prepare_environment() -> None:
    """Remove what changes libpq or Textual, and set what makes pictures repeatable.

    It runs when this file is imported, because Textual reads its variables at import.
    """
    for name in list(os.environ):
        if name.startswith(("PG", "TEXTUAL")) or name == "NO_COLOR":
            del os.environ[name]
    os.environ.update(TEXTUAL_ANIMATIONS="none", COLORTERM="truecolor", TZ="UTC")
    time.tzset()


_prepare_environment()


class StrictSkips:
    """A plugin that fails whatever would skip; an expected failure stays what it is."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge the report of a test's setup, call or teardown."""
        return _refuse_skip((yield))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Judge the report of a module's collection."""
        return _refuse_skip((yield))


def _refuse_skip(report: Report) -> Report:
    """Turn a report of a skip into one of a failure that keeps the skip's reason."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nPITR_STRICT is set, so a skip is a failure."
    return report


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what is loaded now: it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse skips where PITR_STRICT is set, as it is in CI."""
    if os.environ.get("PITR_STRICT"):
        config.pluginmanager.register(StrictSkips())


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own directory for journals, and return it. It is not created."""
    directory = tmp_path / "state"
    monkeypatch.setenv("PITR_STATE_DIR", str(directory))
    return directory


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own directory for what is kept of archives. It is not created."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("PITR_CACHE_DIR", str(directory))
    return directory
