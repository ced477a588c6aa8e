"""`pitr explain`: any log file, no server, no privileges."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pitr_tui.cli import main
from tests.unit.made import LOG_MAJORS, SERVER_LOGS

HEAVY = {"docker", "numpy", "psycopg2", "rich", "textual", "yaml"}
Explained = Callable[..., dict[str, Any]]


def log(major: str, number: str) -> Path:
    (path,) = (SERVER_LOGS / major).glob(f"{number}_*.log")
    return path


@pytest.fixture
def explained(capsys: pytest.CaptureFixture[str]) -> Explained:
    def explain(path: Path | str, code: int = 0) -> dict[str, Any]:
        assert main(["explain", str(path), "--json"]) == code
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        told: dict[str, Any] = json.loads(out)
        return told

    return explain


def test_a_met_target_in_json(explained: Explained) -> None:
    told = explained(log("18", "05"))
    assert (told["state"], told["reached_target"], told["failure"]) == ("open", True, None)
    assert told["target"] == {"kind": "xid", "text": "transaction 756", "value": 756, "xid": 756}
    stop = told["stop"]
    assert (stop["what"], stop["before"], stop["xid"]) == ("commit", True, 756)
    assert (told["timeline"], told["version"], told["lives"]) == (2, "18.6", 1)
    first = told["events"][0]
    assert (first["kind"], first["time"]) == ("server start", "2026-11-22T14:54:25.937000+00:00")
    assert all({"time", "kind", "text", "explanation"} <= set(one) for one in told["events"])


def test_every_kind_of_target_in_json(explained: Explained) -> None:
    assert explained(log("18", "07"))["target"]["name"] == "before_drop"
    assert explained(log("18", "09"))["target"]["lsn"] == "0/3002470"
    assert explained(log("18", "03"))["target"]["time"].startswith("2026-11-22 14:5")
    assert explained(log("18", "08"))["target"]["kind"] == "immediate"
    assert explained(log("18", "11"))["target"] is None


def test_a_failure_in_json(explained: Explained) -> None:
    told = explained(log("18", "20"), code=1)
    failure = told["failure"]
    assert set(failure) == {"id", "cause", "evidence", "fix", "restartable", "warning"}
    assert (failure["id"], failure["restartable"]) == ("NO_CHECKPOINT", True)
    assert "backup_label" in failure["warning"]
    assert "000000010000000000000002" in failure["evidence"]


def test_probes_and_deliveries_are_folded(explained: Explained) -> None:
    events = explained(log("18", "58"))["events"]
    runs = [one for one in events if one["kind"] == "fetched"]
    last = max(runs, key=lambda one: int(one["count"]))
    assert (last["count"], last["first"][-2:], last["last"][-2:]) == (6, "04", "09")
    assert "(6 segments)" in last["explanation"]
    absent = [one for one in events if one["kind"] == "absent"]
    assert [one["count"] for one in absent] == [1, 2, 1, 1]


def test_people_get_the_verdict_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(log("12", "21"))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "state     ✗ SUSPECT OPEN, then shut down: do not trust these data; the target",
        "          was NOT reached",
    ]
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    for words in ("Why: ", "Evidence: ", "Fix: ", "a restart is not enough", "(UNREACHED)"):
        assert words in text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("01", "✓ OPEN, then shut down: the target was reached"),
        ("04", "✓ SHUT DOWN: the target was reached"),
        ("55", "✓ PAUSED, then shut down: the target was reached"),
        ("11", "● OPEN, then shut down"),
        ("32", "● SHUT DOWN"),
    ],
)
def test_a_server_that_was_shut_down_since_says_so_in_its_state(
    capsys: pytest.CaptureFixture[str], number: str, words: str
) -> None:
    assert main(["explain", str(log("15", number))]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"state     {words}"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("01", "replayed  to 0/3002448, last transaction of 2026-11-22 14:43:42.829987+00"),
        ("55a", "replayed  at least to 0/2000100"),
        ("57", "replayed  at least to 0/7000028, last known transaction of"),
        ("22", "replayed  from 0/2000028; how far, the log does not tell"),
    ],
)
def test_replay_is_told_as_far_as_it_is_proved(
    capsys: pytest.CaptureFixture[str], number: str, words: str
) -> None:
    main(["explain", str(log("15", number))])
    assert words in capsys.readouterr().out.splitlines()


def test_a_moment_is_not_broken_in_two(capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted((SERVER_LOGS / "15").glob("*.log")):
        main(["explain", str(path)])
        assert not re.search(r"\d{4}-\d\d-\d\d\n +\d\d:\d\d:\d\d\S", capsys.readouterr().out)


def test_the_anti_hint_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(log("15", "20"))]) == 1
    assert "WARNING:  PostgreSQL's hint invites you to remove backup_label. Do NOT" in (
        capsys.readouterr().out
    )


def test_a_target_before_the_backup_is_remarked(explained: Explained) -> None:
    for major in ("9.6", "13", "18"):
        told = explained(log(major, "14"), code=1)
        assert told["reached_target"] is True
        assert "lies before the base backup" in told["notes"][0]


def test_a_target_before_the_backup_gets_no_tick(capsys: pytest.CaptureFixture[str]) -> None:
    for major in LOG_MAJORS:
        assert main(["explain", str(log(major, "14"))]) == 1
        head = " ".join(capsys.readouterr().out.split())
        assert head.startswith("state ! OPEN, then shut down: the target lies before the backup;")
        assert "✓" not in head
        assert "the data are those of the backup's end" in head


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_compressed_logs_are_read(
    tmp_path: Path, explained: Explained, pack: Callable[[bytes], bytes]
) -> None:
    packed = tmp_path / "log"
    packed.write_bytes(pack(log("18", "03").read_bytes()))
    assert explained(packed) == explained(log("18", "03"))


def test_a_cut_file_is_told_as_far_as_it_goes(tmp_path: Path, explained: Explained) -> None:
    cut = tmp_path / "log.gz"
    data = gzip.compress(os.urandom(3000).hex().encode() + b"\n" + log("18", "03").read_bytes())
    cut.write_bytes(data[:-20])
    assert any("breaks off" in note for note in explained(cut)["notes"])


def test_a_file_cut_before_its_first_line_is_told_as_cut(
    tmp_path: Path, explained: Explained
) -> None:
    cut = tmp_path / "log.gz"
    cut.write_bytes(gzip.compress(os.urandom(5000).hex().encode() + b"\n")[:500])
    told = explained(cut, code=2)
    assert told["what"] == f"no line of a server log could be read from {cut}"
    assert "breaks off in the middle" in told["why"]


def test_a_directory_is_read_in_the_order_of_time(tmp_path: Path, explained: Explained) -> None:
    lines = log("18", "03").read_text().splitlines(keepends=True)
    (tmp_path / "postgresql-Tue.log").write_text("".join(lines[:9]))
    (tmp_path / "postgresql-Mon.log.gz").write_bytes(gzip.compress("".join(lines[9:]).encode()))
    (tmp_path / "postgresql-Tue.csv").write_text("2026-11-22 14:43:48.896 UTC,,,7\n")
    (tmp_path / "notes.txt").write_text("nothing of a server\n")
    told = explained(tmp_path)
    assert told["reached_target"] is True
    assert told["events"][0]["kind"] == "server start"


def test_the_logs_of_two_servers_in_one_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], explained: Explained
) -> None:
    """Else what the one has reached would be taken for the other's."""
    missed, met = (log("12", number).read_text().splitlines() for number in ("12", "03"))
    path = tmp_path / "compose.log"
    path.write_text(
        "".join(
            f"db-1   | {one}\ncopy-1 | {other}\nweb-1  | GET / failed\n"
            for one, other in zip(missed, met, strict=False)
        )
    )
    assert main(["explain", str(path)]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert "2 servers wrote this log" in said.err
    assert "copy-1, db-1" in said.err
    path.write_text("".join(f"copy-1 | {one}\nweb-1  | GET / failed\n" for one in met))
    assert explained(path)["reached_target"] is True


HEALTHY = (
    "database system was shut down at 2026-11-20 15:00:00 UTC",
    "database system is ready to accept connections",
)
CRASHED = (
    "database system was interrupted; last known up at 2026-11-22 14:40:00 UTC",
    "database system was not properly shut down; automatic recovery in progress",
    "redo starts at 0/2000028",
    "redo done at 0/2000100",
    "database system is ready to accept connections",
)


def written(path: Path, *messages: str) -> Path:
    path.write_text("".join(f"2026-11-22 14:43:48.896 UTC [7] LOG:  {one}\n" for one in messages))
    return path


def test_a_crash_is_not_taken_for_a_lost_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(written(tmp_path / "x", *CRASHED))]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("state ! OPEN: it repaired itself as after a crash; was a restore meant?")
    assert "ordinary crash, all is well" in out
    assert "do not trust" not in out
    assert "a restart is not enough" not in out
    # Behind a recovery that failed it is no mere crash: its label was taken away.
    failed = log("15", "20").read_text()
    both = tmp_path / "both"
    both.write_text(failed + written(tmp_path / "x", *CRASHED).read_text())
    assert main(["explain", str(both)]) == 1
    assert "✗ SUSPECT OPEN: do not trust these data" in capsys.readouterr().out


@pytest.mark.parametrize("messages", [HEALTHY, (*HEALTHY, *CRASHED)])
def test_a_healthy_server_has_no_recovery_to_tell_of(
    tmp_path: Path, explained: Explained, messages: tuple[str, ...]
) -> None:
    told = explained(written(tmp_path / "x", *messages))
    assert (told["state"], told["failure"]) == ("open", None)
    assert told["notes"] == ["There is no recovery from a backup in this log."]


def test_a_pipe_is_read(monkeypatch: pytest.MonkeyPatch, explained: Explained) -> None:
    data = log("18", "04").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert explained("-")["state"] == "shut down"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(data))))
    assert explained("-")["state"] == "shut down"


def test_utf16_from_a_windows_shell_is_read(tmp_path: Path, explained: Explained) -> None:
    path = tmp_path / "log"
    path.write_bytes(log("18", "04").read_text().encode("utf-16"))
    assert explained(path)["reached_target"] is True


def test_what_is_no_log(tmp_path: Path, explained: Explained) -> None:
    path = tmp_path / "x"
    path.write_text("hello\n")
    for text in (b"", b"hello\n", b"it failed: missing\n", b"\x7fELF\0could not\0%s\n"):
        path.write_bytes(text)
        told = explained(path, code=2)
        assert (told["event"], told["what"]) == ("Error", f"{path} is no PostgreSQL server log")
    (tmp_path / "empty").mkdir()
    for name in (tmp_path / "missing", tmp_path / "empty"):
        assert main(["explain", str(name)]) == 2


def test_a_log_in_another_language_is_not_under_way(tmp_path: Path, explained: Explained) -> None:
    path = tmp_path / "x"
    path.write_text("2026-11-22 14:43:48.896 CET [7] LOG:  Datenbanksystem ist bereit\n" * 5)
    told = explained(path, code=2)
    assert (told["state"], told["reached_target"], told["events"]) == ("init", None, [])
    assert "lc_messages" in told["notes"][0]


def test_a_log_without_a_recovery_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    path.write_text("2026-11-22 14:43:48.896 CET [7] ERROR:  division by zero\n")
    assert main(["explain", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("state     ● nothing is known of a recovery yet\n")
    assert "No line in it is about a recovery." in out


def test_hostile_text_stays_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    stamp = b"2026-11-22 14:43:48.896 UTC [7] "
    path.write_bytes(
        stamp + b"FATAL:  \x1b[2J\x00\xff\xfe[bold]\n" + stamp + b"FATAL:  " + b"x" * 3_000_000
    )
    assert main(["explain", str(path)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x00" not in out
    assert "␛[2J" in out
    assert len(out) < 20_000


def test_nothing_heavy_is_needed() -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
        "from pitr_tui.cli import main; sys.exit(main())"
    )
    path = log("18", "03")
    process = subprocess.run(
        [sys.executable, "-c", code, "explain", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere"},
    )
    assert process.returncode == 0, process.stderr
    modules = {name.partition(".")[0] for name in process.stderr.split()}
    assert not modules & HEAVY
