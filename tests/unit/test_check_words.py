"""How a check is told: within 80 columns, its name apart from what was seen."""

from __future__ import annotations

import pytest

from pitr_tui.cli.check import show_check
from pitr_tui.cli.output import Output
from pitr_tui.recovery.events import CheckDone, Status

LONG = "word " * 40


def shown(capsys: pytest.CaptureFixture[str], name: str, hint: str = "", width: int = 15) -> str:
    check = CheckDone(name, Status.FAILURE if hint else Status.OK, LONG, hint)
    show_check(check, Output(as_json=False), width)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["gaps", "fifteen letters", "last transaction", "x" * 60])
@pytest.mark.parametrize("width", [15, 21])
def test_what_was_seen_stands_in_one_column(
    capsys: pytest.CaptureFixture[str], name: str, width: int
) -> None:
    lines = shown(capsys, name, LONG, width).splitlines()
    assert lines[0].startswith(f"  ✗ {name}")
    assert (lines[0] == f"  ✗ {name}") is (len(name) > width)
    behind = [line[4 + width :] for line in lines if name not in line or len(name) <= width]
    assert all(one.startswith((" word", " try: word")) for one in behind)
    assert max(map(len, lines)) <= 80


def test_a_name_with_a_line_break_begins_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    told = shown(capsys, "two\nlines")
    assert told.startswith("  ✓ two␊lines       word")
