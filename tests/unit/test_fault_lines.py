"""What no server should say, and some do: from its file into the journal and out again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pitr_tui.cli import main
from pitr_tui.recovery.events import LogArrived, Stamped
from pitr_tui.recovery.journal import Journal, read_journal
from pitr_tui.recovery.report import markdown
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.servers.logfile import LogFile
from tests.unit.made_journals import PAUSED, lay_down, recorded

HEAD = b"2026-11-22 14:43:48.896 UTC [7] "
HOSTILE = [
    b"\x1b[2J\x1b[31mred\x07\x1b]0;title\x07",
    b"\x9b31m\xc2\x9b31m 8-bit",
    b"FATAL:  \xff\xfe\xed\xa0\x80 invalid \xc3",
    b"LOG:  a\x00b\x00",
    b"LOG:  \xe2\x80\xae right to left \xe2\x81\xa6",
    b"LOG:  \r\x0b\x0c\x1c\x85\xe2\x80\xa8 breaks",
    b'LOG:  restored log file "' + b"0" * 100_000 + b'" from archive',
    b"FATAL:  " + b'"' * 50_000 + b"\\" * 50_000,
    b"LOG:  " + b"x" * (1 << 20),
    b"LOG:  " + b"could not " * 100_000,
    b'{"timestamp":' * 10_000,
    b"[" * 200_000,
    b"%s %d {0} $(reboot) `reboot` ; DROP TABLE t",
    b"",
    b"LOG:  </script>| | |\n# heading".replace(b"\n", b"\\n"),
]
LINES = [*(HEAD + line for line in HOSTILE), *HOSTILE]


def arrived(path: Path) -> list[str]:
    path.write_bytes(b"\n".join(LINES) + b"\n")
    log, told = LogFile(path), []
    while lines := log.lines():
        told += lines
    log.close()
    return told


@pytest.fixture
def told(tmp_path: Path) -> list[str]:
    return arrived(tmp_path / "log")


def with_lines(lines: list[str]) -> list[Stamped]:
    """A recorded run in whose middle its server said these, too."""
    events = recorded(PAUSED)
    middle = next(n for n, one in enumerate(events) if "redo starts" in str(one.event)) + 1
    hostile = [Stamped(events[middle].at, LogArrived(line)) for line in lines]
    return [*events[:middle], *hostile, *events[middle:]]


def test_the_journal_keeps_each_and_gives_it_back(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITR_STATE_DIR", str(tmp_path / "state"))
    journal = Journal.create(lambda _: None)
    for line in told:
        journal.emit(LogArrived(line))
    journal.close()
    kept = [one.event for one in read_journal(journal.directory)]
    assert kept == [LogArrived(line) for line in told]
    text = (journal.directory / "events.jsonl").read_bytes()
    assert not any(byte < 0x20 and byte != 0x0A or byte > 0x7E for byte in text)


def test_they_change_nothing_of_what_came_of_the_run(told: list[str]) -> None:
    view = RunView()
    started = time.process_time()
    for stamped in with_lines(told):
        view.apply(stamped)
    assert time.process_time() - started < 5
    assert view.state is RunState.PAUSED
    assert view.finished is not None


@pytest.mark.parametrize("words", [["report"], ["replay", "--speed", "0"], ["runs"]])
def test_no_command_sends_them_to_the_terminal(
    told: list[str], words: list[str], state_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lay_down("20261122-144340-0badcafe", with_lines(told))
    run = [] if words == ["runs"] else ["last"]
    started = time.process_time()
    assert main([words[0], *run, *words[1:]]) == 0
    assert time.process_time() - started < 5
    said = capfd.readouterr()
    shown = said.out + said.err
    assert said.out
    bad = {c for c in shown if ord(c) < 0x20 and c != "\n" or 0x7F <= ord(c) < 0xA0}
    assert bad == set()


def test_the_report_has_no_room_for_endless_lines(told: list[str]) -> None:
    text = markdown(with_lines(told))
    assert len(text) < 200_000
    assert "\x1b" not in text
    assert "</script>" not in text.replace("&lt;/script&gt;", "") or "```" in text


@pytest.mark.parametrize("line", [one for one in LINES if len(one) > 10_000], ids=len)
def test_a_long_line_takes_no_long_time(line: bytes) -> None:
    """No pattern may look again and again at the same words."""
    view = RunView()
    started = time.process_time()
    for _ in range(3):
        view.apply(Stamped(recorded(PAUSED)[0].at, LogArrived(line.decode("utf-8", "replace"))))
    assert time.process_time() - started < 1


def test_fifty_thousand_lines_in_a_second() -> None:
    """The state is folded faster than a wild server writes; the journal is the slower part."""
    at = recorded(PAUSED)[0].at
    line = HEAD.decode() + 'ERROR:  relation "x" does not exist at character '
    events = [Stamped(at, LogArrived(f"{line}{n}")) for n in range(50_000)]
    view = RunView()
    started = time.process_time()
    for stamped in events:
        view.apply(stamped)
    took = time.process_time() - started
    print(f"{took:.2f} s for 50,000 lines")
    assert took < 5
