"""`pitr runs`, `report` and `replay` without a terminal: what was done here, told again."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import main
from pitr_tui.recovery.events import LogArrived, RunFailed, RunStarted, Stamped, ThrownAway
from pitr_tui.recovery.journal import Journal
from tests.unit.made_journals import (
    DROPPED,
    MISSING,
    PAUSED,
    SILENT,
    cut_off,
    followed_by,
    kept,
    lay_down,
    planned,
    recorded,
    taken_up,
)

FIRST, SECOND, THIRD = (
    "20261122-182210-4a3d9f01",
    "20261122-182213-77b0e112",
    "20261123-063429-1b10c457",
)
HEAVY = {"docker", "numpy", "psycopg2", "rich", "textual", "yaml"}


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command printed, with both streams in one."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out + err


def facts(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(capsys, *arguments, "--json").splitlines()]


def blocks(told: str) -> list[list[str]]:
    """The lines of each run in a list of them."""
    found: list[list[str]] = []
    for line in told.splitlines()[1:]:
        if line.startswith(" "):
            found[-1].append(line.strip())
        else:
            found.append([line])
    return found


# runs


def test_no_run_is_told(capsys: pytest.CaptureFixture[str], state_dir: Path) -> None:
    assert said(capsys, "runs") == f"no run is recorded in {state_dir}/runs\n"


def test_the_newest_comes_first_with_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    lay_down(FIRST, planned(recorded(PAUSED)))
    lay_down(SECOND, kept())
    lay_down(THIRD, recorded(DROPPED))
    third, second, first = blocks(said(capsys, "runs"))
    assert first == [
        f"✓ {FIRST}  2026-11-22 18:22:10  paused at target",
        "/srv/pg/backup-1 -> /srv/pg/secondary",
        "target: up to 2026-11-22 18:22:08.929734+00",
        "go on: pitr verify|promote|resume|discard 4a3d9f01",
    ]
    assert second == [
        f"✗ {SECOND}  2026-11-22 18:22:13  failed, can be resumed",
        "segment 00000001000000000000000A is not in the archive",
        "/srv/pg/backup-1 -> /srv/pg/secondary-2",
        "target: up to 2026-11-22 18:22:08.929734+00",
        "go on: pitr resume|discard 77b0e112",
    ]
    assert third[0] == f"✓ {THIRD}  2026-11-23 06:34:29  promoted, timeline 2"


@pytest.mark.parametrize(
    ("events", "words", "go_on"),
    [
        (cut_off(), "cut off, can be resumed", "resume|discard"),
        (recorded(MISSING), "failed", ""),
        (taken_up(), "paused at target", "verify|promote|resume|discard"),
        (followed_by(recorded(SILENT), 5, ThrownAway()), "thrown away", ""),
    ],
)
def test_how_it_ended(
    capsys: pytest.CaptureFixture[str], events: list[Stamped], words: str, go_on: str
) -> None:
    lay_down(FIRST, events)
    (block,) = blocks(said(capsys, "runs"))
    assert block[0].endswith(f"  {words}")
    assert (block[-1] == f"go on: pitr {go_on} 4a3d9f01") is bool(go_on)


def test_one_that_is_written_now_is_running(capsys: pytest.CaptureFixture[str]) -> None:
    started = planned(recorded(PAUSED))[0].event
    journal = Journal.create(lambda _: None, lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    journal.emit(started)
    (running,) = blocks(said(capsys, "runs"))
    journal.close()
    (left,) = blocks(said(capsys, "runs"))
    assert running[0].startswith("▸")
    assert running[0].endswith("running now")
    assert left[0].endswith("cut off, can be resumed")


def test_an_end_of_a_name_is_given_only_where_it_means_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in (FIRST, "20261122-182211-4a3d9f01"):
        lay_down(name, cut_off())
    assert all(block[-1].endswith(block[0].split()[1]) for block in blocks(said(capsys, "runs")))


NEWER = '{"at": "2027-01-01T00:00:00+00:00", "event": "RunStarted", "schema": 9, "mood": 1}\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NEWER, "journal of a newer pitr: its schema is 9"),
        ("no journal at all\n", "not a line of a journal"),
        ('{"event": "Rejoiced", "at": "2027-01-01T00:00:00+00:00"}\n', "not a line of a journal"),
        ("\x00\xff\n", "not a line of a journal"),
        ("[" * 100_000 + "\n", "not a line of a journal"),
        ('{"event": 1, "at": "' + "x" * 5_000 + '"}\n', "not a line of a journal"),
        ("", "its journal has no run in it"),
        ('{"at": "2026-11-22T', "its journal has no run in it"),
        (None, "there is no journal"),
    ],
)
def test_one_that_cannot_be_read_tells_why(
    capsys: pytest.CaptureFixture[str], text: str | None, reason: str
) -> None:
    lay_down(FIRST, recorded(PAUSED))
    path = lay_down(THIRD, []) / "events.jsonl"
    path.unlink()
    if text is not None:
        path.write_text(text)
    broken, whole = blocks(said(capsys, "runs"))
    assert broken[0] == f"! {THIRD}  2026-11-23 06:34:29  cannot be read"
    assert reason in " ".join(broken[1:])
    assert whole[0].endswith("paused at target")
    assert all(len(line) <= 80 for line in said(capsys, "runs").splitlines())
    problem, _ = (fact["problem"] for fact in facts(capsys, "runs"))
    assert reason in f"{problem['what']}: {problem['why']}"


def test_long_and_nasty_names_fit_and_stay_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    events = recorded(PAUSED)
    started = events[0].event
    assert isinstance(started, RunStarted)
    nasty = replace(
        started, destination="/srv/" + "x" * 300, backup="a\x1b[31m\nb", target="\x9b2J"
    )
    lay_down(FIRST, [Stamped(events[0].at, nasty), *events[1:]])
    lay_down("\x1b[2Jnot ours", events)
    told = said(capsys, "runs")
    assert all(len(line) <= 80 for line in told.splitlines())
    assert not {"\x1b", "\x9b"} & set(told)


def test_programs_get_every_fact(capsys: pytest.CaptureFixture[str]) -> None:
    directory = lay_down(FIRST, kept())
    assert facts(capsys, "runs") == [
        {
            "event": "Run",
            "name": FIRST,
            "directory": str(directory),
            "begun": "2026-11-22T18:22:10+00:00",
            "postgresql": "18.6",
            "backup": "/srv/pg/backup-1",
            "archive": "/srv/pg/holed",
            "destination": "/srv/pg/secondary-2",
            "target": "up to 2026-11-22 18:22:08.929734+00",
            "ending": "failed",
            "words": "failed, can be resumed: "
            "segment 00000001000000000000000A is not in the archive",
            "resumable": True,
            "commands": ["resume", "discard"],
            "problem": None,
        }
    ]


def test_neither_engine_nor_screen_is_loaded_for_it() -> None:
    lay_down(FIRST, recorded(PAUSED))
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
        "from pitr_tui.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "runs"], capture_output=True, text=True, check=True
    )
    assert FIRST in done.stdout
    assert not {name.partition(".")[0] for name in done.stderr.split()} & HEAVY


# report


def test_a_report_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    lay_down(FIRST, recorded(DROPPED))
    told = said(capsys, "report", "last")
    assert told.startswith("# Recovery report: 20261123-063429-1b10c457\n\n**Recovered: ")
    assert told.endswith("```\n")


def test_a_report_goes_into_a_new_file_for_its_owner_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lay_down(FIRST, recorded(PAUSED))
    path = tmp_path / "incident.md"
    said(capsys, "report", FIRST, "--to", str(path))
    assert path.read_text() == said(capsys, "report", FIRST)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert "nothing is overwritten" in said(capsys, "report", FIRST, "--to", str(path), code=3)
    assert path.read_bytes() == before
    assert "cannot be written" in said(
        capsys, "report", FIRST, "--to", str(tmp_path / "no" / "x"), code=1
    )


def test_a_report_as_facts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lay_down(FIRST, taken_up())
    (fact,) = facts(capsys, "report", "4a3d")
    assert (fact["event"], fact["ending"], fact["rto"]["attempts"]) == ("Report", "reached", 2)
    assert [one["state"] for one in fact["attempts"]] == ["failed", "paused at target"]
    assert [one["segments"] for one in fact["wal"]] == [9]
    path = tmp_path / "incident.json"
    (written,) = facts(capsys, "report", "4a3d", "--to", str(path))
    assert written == {"event": "Written", "file": str(path)}
    assert json.loads(path.read_text()) == {k: v for k, v in fact.items() if k != "event"}


def test_the_journal_of_another_machine_is_named_by_its_path(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    directory = lay_down(FIRST, recorded(PAUSED))
    elsewhere = state_dir.parent / "brought"
    directory.rename(elsewhere)
    for path in (elsewhere, elsewhere / "events.jsonl"):
        assert "Recovered" in said(capsys, "report", str(path))
        assert "PAUSED" in said(capsys, "replay", str(path)).upper()


@pytest.mark.parametrize("command", ["report", "replay"])
@pytest.mark.parametrize(
    ("name", "text", "code", "reason"),
    [
        ("nothing-like-it", "", 3, "no run is called"),
        (THIRD, NEWER, 3, "newer pitr"),
        (THIRD, "garbage\n", 1, "not a line of a journal"),
    ],
)
def test_what_cannot_be_told_says_why(
    capsys: pytest.CaptureFixture[str], command: str, name: str, text: str, code: int, reason: str
) -> None:
    (lay_down(THIRD, []) / "events.jsonl").write_text(text)
    assert reason in said(capsys, command, name, code=code)


# replay, as text


def test_a_replay_without_a_terminal_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    lay_down(FIRST, taken_up())
    told = said(capsys, "replay", "last").splitlines()
    assert told[:3] == [
        "2026-11-22 18:22:13 UTC, run 20261122-182213-6e94",
        "  /srv/pg/backup-1 -> /srv/pg/secondary-2",
        "  target: up to 2026-11-22 18:22:08.929734+00, then pause",
    ]
    failed = told.index("✗ segment 00000001000000000000000A is not in the archive")
    again = told.index(
        "taken up again from “start the secondary”: up to 2026-11-22 18:22:08.929734+00"
    )
    done = next(n for n, line in enumerate(told) if line.startswith("✓ recovered up to"))
    assert failed < again < done
    assert "  what is left: the copy in /srv/pg/secondary-2, stopped" in told


def test_a_replay_for_programs_is_the_journal(capsys: pytest.CaptureFixture[str]) -> None:
    directory = lay_down(FIRST, recorded(DROPPED))
    lines = (directory / "events.jsonl").read_text().splitlines()
    assert facts(capsys, "replay", FIRST) == [json.loads(line) for line in lines]


def test_escape_sequences_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b]0;pwned\x07\x1b[2J"
    events = followed_by(recorded(PAUSED), 1, LogArrived(bad))
    lay_down(FIRST, followed_by(events, 1, RunFailed(bad, bad, bad, bad)))
    for command in ("replay", "report"):
        told = said(capsys, command, FIRST)
        assert "␛]0;pwned" in told
        assert "\x1b" not in told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("arguments", "speed"), [([], 10.0), (["--speed", "2.5"], 2.5), (["--speed=0"], None)]
)
def test_on_a_terminal_it_opens_the_screen_unless_it_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], speed: float | None
) -> None:
    from pitr_tui.tui.replay import ReplayApp

    opened: list[tuple[str, float]] = []

    def run(app: ReplayApp) -> int:
        opened.append((app.replayed, app.speed))
        return 0

    lay_down(FIRST, recorded(PAUSED))
    monkeypatch.setattr(ReplayApp, "run", run)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, Terminal())
    assert main(["replay", FIRST, *arguments]) == 0
    assert opened == ([] if speed is None else [(FIRST, speed)])


@pytest.mark.parametrize("speed", ["-1", "nan", "inf", "1e9"])
def test_no_speed_is_refused(capsys: pytest.CaptureFixture[str], speed: str) -> None:
    lay_down(FIRST, recorded(PAUSED))
    assert "is no speed" in said(capsys, "replay", FIRST, f"--speed={speed}", code=2)
