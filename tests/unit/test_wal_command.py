"""`pitr wal coverage`: what a person reads, and what a program does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pitr_tui.cli import main
from pitr_tui.repositories import file_identity
from tests.unit.made import (
    BACKUP_HISTORY_NAME,
    SYSTEM,
    backup_history_text,
    header_bytes,
    plain_backup,
    segment,
)
from tests.unit.made_wal import commit, wal_bytes

TIME = 848_673_302_117_000  # 2026-11-22 14:35:02.117 UTC
MINUTE = 60_000_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Timeline 1 with a gap, a stranger and a segment that was begun; timeline 2 without fault."""
    directory = tmp_path / "archive"
    directory.mkdir()
    for number in (2, 3, 4, 5, 8):
        data = wal_bytes(segment(number), [commit(TIME + number * MINUTE)])
        (directory / segment(number).name).write_bytes(data)
    for number in (4, 5):
        data = wal_bytes(segment(number, 2), [commit(TIME + (number + 30) * MINUTE)])
        (directory / segment(number, 2).name).write_bytes(data)
    stranger = header_bytes(segment(7), system=4711).ljust(segment(7).size, b"\0")
    (directory / segment(7).name).write_bytes(stranger)
    begun = wal_bytes(segment(9), [commit(TIME + 9 * MINUTE)])
    (directory / f"{segment(9).name}.partial").write_bytes(begun)
    (directory / "00000002.history").write_text("1\t0/400100\tbefore 2026-11-22 14:39:00+00\n")
    (directory / BACKUP_HISTORY_NAME).write_text(backup_history_text())
    return directory


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_tired_person_understands_it(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wal", "coverage", str(archive)]) == 0
    said = lines(capsys)
    assert said[1:] == [
        f"  PostgreSQL 18, system {SYSTEM}, segments of 1.0 MB",
        "",
        "Timeline 1: 5 segments, 5.0 MB",
        "  000000010000000000000002 to 000000010000000000000005 (4)",
        "      2026-11-22 14:37:02 UTC to 2026-11-22 14:40:02 UTC",
        "  ✗ 000000010000000000000006 missing (1)",
        "  ✗ 000000010000000000000007 foreign",
        f"      system identifier 4711, not {SYSTEM}",
        "  000000010000000000000008",
        "      2026-11-22 14:43:02 UTC",
        "  … 000000010000000000000009 begun, not finished",
        "",
        "Timeline 2, left timeline 1 at 0/400100: 2 segments, 2.0 MB",
        "  because: before 2026-11-22 14:39:00+00",
        "  000000020000000000000004 to 000000020000000000000005 (2)",
        "      2026-11-22 15:09:02 UTC to 2026-11-22 15:10:02 UTC",
        "",
        "What can be recovered (backups that the archive tells of; see --backups):",
        "  000000010000000000000002.00000028, timeline 1",
        "      from 0/200120, 2026-11-22 14:43:41 UTC",
        "    ✓ on timeline 1 to 0/500050, 2026-11-22 14:40:02 UTC",
        "      then 000000010000000000000006 is missing",
        "    ✓ on timeline 2 to 0/500050, 2026-11-22 15:10:02 UTC",
        "Damage inside a segment does not show here, because only beginnings and ends are",
        "read; `pitr wal suspects` reads all of it.",
    ]
    assert all(len(line) <= 80 for line in said[1:])


def test_long_reasons_are_broken_into_lines(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = archive / segment(6).name
    torn.write_bytes(wal_bytes(segment(6), [commit(TIME)])[:500_000])
    assert main(["wal", "coverage", str(archive)]) == 0
    said = lines(capsys)
    at = said.index(f"      then {segment(6).name} is damaged: it has 500,000 bytes")
    assert said[at + 1] == "        instead of 1,048,576"


def test_an_archive_without_wal_has_no_segment_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wal", "coverage", str(tmp_path), "--json"]) == 0
    (fact,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (fact["version"], fact["segment_size"]) == (None, None)


@pytest.mark.parametrize("ending", ["gz.partial", "partial.zst"])
def test_a_begun_segment_that_is_compressed_is_told(
    archive: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    (archive / f"{segment(10).name}.{ending}").write_bytes(b"\x1f\x8b")
    (archive / f"{segment(5).name}.{ending}").write_bytes(b"the whole one is there")
    assert main(["wal", "coverage", str(archive), "--json"]) == 0
    first, *_ = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    (remark,) = first["remarks"]
    assert remark.startswith(f"{segment(10).name}.{ending} is not read: it was begun")


def test_times_are_shown_in_the_zone_that_is_asked_for(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wal", "coverage", str(archive), "--zone", "Asia/Kolkata"]) == 0
    assert "      2026-11-22 20:13:02+0530" in lines(capsys)
    assert main(["wal", "coverage", str(archive), "--zone", "IST"]) == 2


def test_a_program_gets_a_line_for_each_timeline_and_window(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wal", "coverage", str(archive), "--json"]) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [fact["event"] for fact in facts] == [
        "ArchiveCoverage",
        *["TimelineCoverage"] * 2,
        *["RecoverableWindow"] * 2,
    ]
    archive_fact, first, second, home, branch = facts
    assert (archive_fact["version"], archive_fact["system_identifier"]) == ("18", SYSTEM)
    assert (first["status"], second["status"]) == ("DEGRADED", "OK")
    assert first["lost_segments"] == [
        {"first": segment(6).name, "last": segment(7).name, "segments": 2}
    ]
    assert [(bad["first"], bad["kind"]) for bad in first["unusable"]] == [
        (segment(7).name, "foreign")
    ]
    assert (first["begun"], first["segments"]) == ([segment(9).name], 5)
    assert first["first_time"] == "2026-11-22T14:37:02.117000+00:00"
    assert (second["parent"], second["switch_lsn"]) == (1, "0/400100")
    assert second["closest_backup"] == home["backup"] == BACKUP_HISTORY_NAME[: -len(".backup")]
    assert (home["timeline"], home["start_lsn"], home["end_lsn"]) == (1, "0/200120", "0/500050")
    assert home["stopped_by"] == f"{segment(6).name} is missing"
    assert [run["first"] for run in branch["way"]] == [segment(2).name, segment(4, 2).name]
    assert branch["end_time"] == "2026-11-22T15:10:02.117000+00:00"


def test_backups_of_a_place_are_marked_and_broken_ones_named(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain_backup(tmp_path / "backups" / "nightly")
    (tmp_path / "backups" / "torn").mkdir()
    (tmp_path / "backups" / "torn" / "backup_label").write_text("nonsense")
    place = str(tmp_path / "backups")
    assert main(["wal", "coverage", str(archive), "--backups", place]) == 0
    said = lines(capsys)
    after = said[said.index("What can be recovered:") :]
    assert after[1:3] == [
        "  nightly, timeline 1",
        "      from 0/200120, 2026-11-22 14:43:41 UTC",
    ]
    assert any(line.startswith("  ✗ torn:") for line in after)


def test_a_backup_before_the_archive_is_stranded(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = plain_backup(tmp_path / "backups" / "nightly")
    (backup / "pg_wal" / segment(2).name).unlink()
    (archive / segment(2).name).unlink()
    place = str(tmp_path / "backups")
    assert main(["wal", "coverage", str(archive), "--backups", place, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "StrandedBackup"
    assert last["why"].startswith(f"{segment(2).name} is missing")


def test_very_many_pieces_are_cut_short_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 200, 2):
        data = header_bytes(segment(number)).ljust(segment(number).size, b"\0")
        (tmp_path / segment(number).name).write_bytes(data)
    assert main(["wal", "coverage", str(tmp_path)]) == 0
    said = lines(capsys)
    assert len(said) < 40
    assert "  … 175 more of these, all of them with --json …" in said


def test_an_archive_without_wal_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README").write_text("nothing")
    assert main(["wal", "coverage", str(tmp_path)]) == 0
    said = lines(capsys)
    assert "holds no WAL" in said[0]
    assert said[-1].startswith("The archive tells of no base backup")


def test_a_cache_that_cannot_be_used_is_remarked(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PITR_CACHE_DIR", "/dev/null/nowhere")
    assert main(["wal", "coverage", str(archive)]) == 0
    assert any("this is not kept for the next time" in line for line in lines(capsys))


def test_what_is_no_archive_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wal", "coverage", str(tmp_path / "none")]) == 3
    assert "there is no WAL archive" in capsys.readouterr().err


def test_it_says_the_same_the_second_time(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", -1_000_000_000_000)
    main(["wal", "coverage", str(archive)])
    first = capsys.readouterr().out
    main(["wal", "coverage", str(archive)])
    assert capsys.readouterr().out == first
