"""A secondary of this machine takes away what it made, and nothing that was there before."""

from pathlib import Path, PurePosixPath

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import OsUser


def secondary(directory: Path, port: int | None = None) -> LocalSecondary:
    programs = Installation(Path("/nowhere/bin"), PostgresVersion.parse("18.6"))
    return LocalSecondary(directory, programs, OsUser.current(), port)


def fill(one: LocalSecondary) -> None:
    with one.filler().file(PurePosixPath("base/1/1259"), 4) as write:
        write(b"rows")


@pytest.mark.parametrize("deep", [False, True], ids=["short path", "too long for a socket"])
def test_a_new_place_is_gone_after_a_failure(tmp_path: Path, deep: bool) -> None:
    one = secondary(tmp_path / ("d" * 120 if deep else "d"))
    one.make("a run")
    fill(one)
    assert one.socket_directory.is_dir()
    one.unmake()
    assert not one.directory.exists()
    assert not one.socket_directory.exists()


def test_an_empty_place_is_empty_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    one = secondary(tmp_path / "d")
    one.make("a run")
    fill(one)
    one.unmake()
    assert list(one.directory.iterdir()) == []


def test_a_second_attempt_keeps_a_place_that_was_made_in_between(tmp_path: Path) -> None:
    one = secondary(tmp_path / "d")
    one.make("a run")
    one.unmake()
    one.directory.mkdir()
    assert one.state_of_place() == "empty"
    one.make("a run")
    fill(one)
    one.unmake()
    assert list(one.directory.iterdir()) == []


@pytest.mark.parametrize("there", [False, True])
def test_who_comes_second_leaves_the_place_to_the_first(tmp_path: Path, there: bool) -> None:
    """Both have seen that it is free."""
    if there:
        (tmp_path / "d").mkdir()
    first, second = secondary(tmp_path / "d"), secondary(tmp_path / "d")
    for one in (first, second):
        assert one.state_of_place() == ("empty" if there else "new")
    first.make("a run")
    fill(first)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RefusedError, match="somebody else"):
        second.make("a run")
    second.unmake()
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_made_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    one = secondary(tmp_path / "file" / "d")
    with pytest.raises(PitrError, match="cannot be prepared"):
        one.make("a run")
    one.unmake()
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("name", ["backup", "archive"])
def test_a_place_inside_of_what_is_only_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / name)
    for place in (name, f"{name}/d", "link/d"):
        with pytest.raises(RefusedError, match="lies inside of the"):
            secondary(tmp_path / place).require_apart(tmp_path / "backup", tmp_path / "archive")
    secondary(tmp_path / f"{name}-2").require_apart(tmp_path / "backup", tmp_path / "archive")


def test_the_file_of_a_filler_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "d" / "base" / "1").mkdir(parents=True)
    (tmp_path / "d" / "base" / "1" / "1259").write_text("mine")
    with pytest.raises(FileExistsError):
        fill(secondary(tmp_path / "d"))
    assert (tmp_path / "d" / "base" / "1" / "1259").read_text() == "mine"


def test_a_port_opens_the_loopback_and_no_more(tmp_path: Path) -> None:
    closed, opened = secondary(tmp_path / "d"), secondary(tmp_path / "d", 5433)
    assert closed.settings()["listen_addresses"] == ""
    assert opened.settings()["listen_addresses"] == "127.0.0.1"
    assert closed.access() == "local all all trust\n"
    assert "trust" not in opened.access().splitlines()[1]
    assert "-p 5433" in opened.psql_command()


def test_locales_are_known_by_any_spelling(tmp_path: Path) -> None:
    place = secondary(tmp_path / "a")
    assert place.missing_locales(["C", "POSIX", "C.UTF-8", "C.utf8"]) == ()
    assert place.missing_locales(["C", "xx_XX.utf8"]) == ("xx_XX.utf8",)
