"""The shop's worker without a server: what it is started with, and one that does not begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.lab import worker
from tests.unit.made_labs import written_lab


def test_it_connects_as_nobody_elses_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGOPTIONS", "PGDATABASE"):
        monkeypatch.setenv(name, "of the trainee")
    monkeypatch.setenv("PITR_STATE_DIR", "/srv/state")
    environment = worker._environment()
    assert not [name for name in environment if name.startswith("PG")]
    assert environment["PITR_STATE_DIR"] == "/srv/state"  # the records are found there
    assert "PATH" in environment


def test_one_that_dies_at_its_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'no module named pitr' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    lab = written_lab(tmp_path / "lab")
    with pytest.raises(PitrError, match="the shop's work does not go on") as failed:
        worker.start(lab)
    assert failed.value.why == "no module named pitr"
    assert worker.alive(lab) is None


def test_a_quiet_lab_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "not there"))
    assert worker.start(written_lab(tmp_path / "lab", rate=0.0)) is None
