"""Archives and backups as they are found in an emergency: told, and never a crash."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BrokenBackup, list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import (
    Surveyed,
    first_backup,
    main_timeline,
    read_chronicle,
    survey_archive,
)
from pitr_tui.wal.chronicle import Chronicle
from tests.unit.made import DATA, header_bytes, segment, segment_bytes

PG96 = DATA / "pg96"
Use = Callable[[Path], Path]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A copy of a real archive, to be spoilt."""
    return Path(shutil.copytree(PG96 / "archive", tmp_path / "archive"))


def look(archive: Path, backups: Path | None = PG96) -> Surveyed:
    wal = WalArchive(archive)
    found = list_backups(backups, wal) if backups is not None else None
    with IndexCache() as cache:
        return survey_archive(wal, found, Means(cache, processes=1))


def read(surveyed: Surveyed, backup: Backup | None) -> Chronicle:
    with IndexCache() as cache:
        return read_chronicle(surveyed, Means(cache, processes=1), backup=backup)


def unpack(path: Path, to: Path) -> None:
    to.write_bytes(zstandard.ZstdDecompressor().decompress(path.read_bytes(), 1 << 24))
    path.unlink()


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    surveyed = look(tmp_path / "archive")
    assert main_timeline(surveyed) is None
    (one,) = surveyed.coverage.stranded
    assert one.why.startswith("000000010000000000000002 is missing")
    with pytest.raises(PitrError, match="there is no WAL"):
        read(surveyed, first_backup(surveyed))


def test_without_any_backup_the_archive_still_tells_its_story(archive: Path) -> None:
    (archive.parent / "nothing").mkdir()
    surveyed = look(archive, archive.parent / "nothing")
    assert first_backup(surveyed) is None
    chronicle = read(surveyed, None)
    assert chronicle.entry_of(572) is not None
    assert chronicle.start == Lsn(0x1000000)


def test_without_backup_history_files_the_wal_tells_where_a_backup_ended(archive: Path) -> None:
    (archive / "000000010000000000000002.00000028.backup").unlink()
    surveyed = look(archive)
    backup = first_backup(surveyed)
    assert backup is not None
    assert backup.stop_lsn is None
    assert read(surveyed, backup).backup_end(backup.label.start_lsn) == Lsn(0x20000F8)


def test_what_the_archive_does_not_have_is_not_taken_for_read(archive: Path) -> None:
    surveyed = look(archive)
    backup = first_backup(surveyed)
    assert backup is not None
    assert read(surveyed, backup).start == backup.label.start_lsn
    (archive / "000000010000000000000002.zst").unlink()
    assert read(look(archive), backup).start == Lsn(0x3000000)


def test_a_segment_that_was_only_begun_is_read(archive: Path) -> None:
    name = "000000010000000000000004"
    whole = read(look(archive), first_backup(look(archive)))
    unpack(archive / f"{name}.zst", archive / f"{name}.partial")
    surveyed = look(archive)
    (window,) = surveyed.coverage.windows
    assert window.begun
    assert len(read(surveyed, first_backup(surveyed))) == len(whole)


def test_a_last_segment_of_no_use_is_named(archive: Path) -> None:
    name = "000000010000000000000004"
    unpack(archive / f"{name}.zst", archive / name)
    os.truncate(archive / name, 5 << 20)
    surveyed = look(archive)
    ending = read(surveyed, first_backup(surveyed)).ending
    assert ending is not None
    assert ending.why.startswith(f"{name} is damaged: it has 5,242,880 bytes")


def test_only_a_begun_segment(archive: Path) -> None:
    for path in archive.iterdir():
        if not path.name.startswith("000000010000000000000002.zst"):
            path.unlink()
    unpack(archive / "000000010000000000000002.zst", archive / "000000010000000000000002.partial")
    surveyed = look(archive)
    assert main_timeline(surveyed) in (None, 1)
    with pytest.raises(PitrError, match="there is no WAL"):
        read(surveyed, first_backup(surveyed))


def test_a_backup_of_another_cluster_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    for one in (segment(2), segment(3)):
        (tmp_path / "archive" / one.name).write_bytes(segment_bytes(one, system=7))
    surveyed = look(tmp_path / "archive")
    assert surveyed.usable == ()
    assert first_backup(surveyed) is None
    assert "another cluster" in surveyed.coverage.stranded[0].why


def test_two_clusters_in_one_archive_are_told_apart(archive: Path) -> None:
    stranger = segment(5, size=1 << 24)
    (archive / stranger.name).write_bytes(header_bytes(stranger).ljust(1 << 24, b"\0"))
    surveyed = look(archive)
    (one,) = surveyed.known.unusable[stranger.timeline]
    assert one.why == "it was written by PostgreSQL 18, not 9.6"
    assert [str(w.end_lsn) for w in surveyed.coverage.windows] == ["0/5000000"]
    assert read(surveyed, first_backup(surveyed)).entry_of(572) is not None


def test_a_broken_backup_is_listed_beside_the_whole_one(archive: Path) -> None:
    backups = archive.parent / "backups"
    backups.mkdir()
    shutil.copytree(PG96, backups / "good", ignore=shutil.ignore_patterns("archive"))
    (backups / "torn").mkdir()
    (backups / "torn" / "base.tar.gz").write_bytes((PG96 / "base.tar.gz").read_bytes()[:100_000])
    surveyed = look(archive, backups)
    assert sorted(type(one).__name__ for one in surveyed.backups) == ["Backup", "BrokenBackup"]
    assert isinstance(surveyed.backups[0], BrokenBackup)
    found = first_backup(surveyed)
    assert found is not None
    assert found.name == "good"


def test_garbage_between_segments_is_a_hole_with_its_place(archive: Path) -> None:
    name = "000000010000000000000003"
    unpack(archive / f"{name}.zst", archive / name)
    with (archive / name).open("r+b") as file:
        file.seek(5 * 8192)
        file.write(b"\xa5" * 8192)
    chronicle = read(look(archive), first_backup(look(archive)))
    (hole,) = chronicle.holes
    assert hole.lsn < Lsn(0x3000000 + 6 * 8192)
    assert chronicle.entry_of(572) is not None  # what lies behind it is still told
