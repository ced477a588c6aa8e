"""The programs of PostgreSQL: which ones are found, and which ones may run a backup."""

import shutil
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers import installation as module
from pitr_tui.servers.installation import (
    KNOWN_LIBRARY,
    Installation,
    find_installations,
    installation_for,
    tool_path,
)


def programs(bindir: Path, said: str, *tools: str, code: int = 0) -> Path:
    """A bin directory whose `postgres` says this."""
    bindir.mkdir(parents=True)
    for tool in ("postgres", *tools):
        (bindir / tool).write_text(f"#!/bin/sh\necho '{said}'\nexit {code}\n")
        (bindir / tool).chmod(0o755)
    return bindir


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with three versions, one of them broken, and nothing else."""
    bindirs = [
        programs(tmp_path / "11", "postgres (PostgreSQL) 11.22", "pg_ctl"),
        programs(tmp_path / "18", "postgres (PostgreSQL) 18.6 (Debian 18.6-1)", "pg_ctl"),
        programs(tmp_path / "13", "postgres (PostgreSQL) 13.23"),
        programs(tmp_path / "broken", "no library", code=127),
        tmp_path / "none",
    ]
    (tmp_path / "again").symlink_to(tmp_path / "18")
    monkeypatch.setenv("PITR_BINDIRS", ":".join(map(str, [*bindirs, tmp_path / "again", ""])))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(module, "_DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(module, "_embedded_bindir", lambda: None)
    return tmp_path


def test_all_that_run_are_found_once_newest_first(found: Path) -> None:
    versions = [str(one.version) for one in find_installations()]
    assert versions == ["18.6", "13.23", "11.22"]


def test_a_backup_gets_the_programs_of_its_own_major(found: Path) -> None:
    assert installation_for(PostgresVersion.parse("11.3")).bindir == found / "11"
    with pytest.raises(RefusedError, match=r"programs of PostgreSQL 9\.6 were found") as told:
        installation_for(PostgresVersion.parse("9.6"))
    assert "found: 18.6, 13.23, 11.22" in told.value.why
    with pytest.raises(RefusedError, match="programs of PostgreSQL 11"):
        installation_for(PostgresVersion.parse("11"), found / "18")


def test_a_tool_is_of_the_servers_major_or_the_next_newer_one(found: Path) -> None:
    assert tool_path("pg_ctl", PostgresVersion.parse("9.6")) == found / "11" / "pg_ctl"
    assert tool_path("pg_ctl", PostgresVersion.parse("13")) == found / "18" / "pg_ctl"
    with pytest.raises(RefusedError, match="program psql was not found"):
        tool_path("psql", PostgresVersion.parse("13"))


@pytest.mark.parametrize("name", ["broken", "none"])
def test_what_does_not_run_is_told(found: Path, name: str) -> None:
    with pytest.raises(PitrError, match="no usable PostgreSQL"):
        Installation.at(found / name)


@pytest.mark.parametrize("place", ["lib/postgresql", "lib", "lib64/postgresql"])
def test_the_libraries_lie_beside_the_programs(tmp_path: Path, place: str) -> None:
    found = Installation(tmp_path / "bin", PostgresVersion.parse("18"))
    assert found.library_directory is None
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / KNOWN_LIBRARY).touch()
    assert found.library_directory == tmp_path / place
