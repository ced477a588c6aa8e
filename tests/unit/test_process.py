"""Whether the process that a postmaster.pid names works in that directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pitr_tui.servers.process import running_pid


def test_a_number_from_another_machine_is_no_server(tmp_path: Path) -> None:
    """As in the copied data directory of a container, where the server was process 1."""
    (tmp_path / "postmaster.pid").write_text("1\n/var/lib/postgresql/data\n")
    assert running_pid(tmp_path) is None


def test_the_process_that_works_there_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert running_pid(tmp_path) is None
    monkeypatch.chdir(tmp_path)
    assert running_pid(tmp_path) == os.getpid()
