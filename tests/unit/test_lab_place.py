"""A lab whose record is damaged, or was never finished, can be ended all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pitr_tui.cli import main
from pitr_tui.errors import PitrError
from pitr_tui.lab import place, record
from pitr_tui.lab.place import Place
from tests.unit.made_labs import written_lab


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))


def test_a_damaged_lab_is_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = written_lab(tmp_path / "world")
    lab.facts_path.write_text("")
    with pytest.raises(PitrError, match="cannot be read") as damaged:
        record.current()
    assert "`pitr lab stop` ends that lab" in damaged.value.hint
    assert main(["lab"]) == 0
    assert main(["lab", "stop"]) == 0
    assert f"{lab.directory} is gone" in capsys.readouterr().out
    assert not lab.directory.exists()
    assert record.current() is None
    assert lab.truth_path.exists()  # what was recorded stays


@pytest.mark.parametrize("mark", ["another\n", None], ids=["another's", "without a mark"])
def test_only_what_is_the_labs_own_is_removed(
    tmp_path: Path, mark: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = written_lab(tmp_path / "world")
    lab.facts_path.write_text("{}")
    own = lab.directory / record.MARK
    own.unlink() if mark is None else own.write_text(mark)
    assert main(["lab", "stop"]) == 0
    assert "nothing tells where its servers and files are" in capsys.readouterr().out
    assert lab.directory.exists()
    assert record.current() is None


def test_without_a_lab_there_is_nothing_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "stop"]) == 3
    assert "no lab is running" in capsys.readouterr().err


def test_a_start_that_was_killed_is_cleared_by_the_next(tmp_path: Path) -> None:
    with record.reserved("killed") as directory:
        (tmp_path / "killed").mkdir()
        place.note("killed", Place(tmp_path / "killed", None))
        place.remove_unfinished("killed")  # its own is spared
        assert directory.exists()
    finished = written_lab(tmp_path / "world")
    record.forget(finished.name)
    with record.reserved("next"):
        place.remove_unfinished("next")
    assert not directory.exists()
    assert not (tmp_path / "killed").exists()
    assert finished.record_directory.exists()
    assert finished.directory.exists()
