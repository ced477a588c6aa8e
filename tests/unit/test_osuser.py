"""Accounts: which door is closed to whom, and files that are there whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.servers.osuser import OsUser, server_user

SOMEBODY = OsUser("somebody", 12345, 23456)


def test_we_are_ourselves() -> None:
    us = OsUser.current()
    assert us.is_us
    assert us.uid == os.geteuid()
    assert us.process_options() == {}


def test_others_are_stepped_down_to_without_our_groups() -> None:
    assert not SOMEBODY.is_us
    assert SOMEBODY.process_options() == {"user": 12345, "group": 23456, "extra_groups": []}


def test_an_account_is_found_by_its_name() -> None:
    assert OsUser.named("root").uid == 0
    with pytest.raises(UsageError, match="no user 'nobody-at-all'"):
        OsUser.named("nobody-at-all")


def test_a_number_without_a_name_is_an_account_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 987654321)
    assert OsUser.current().name == "987654321"


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "may"),
    [
        (0o700, 12345, 1, True),
        (0o077, 12345, 23456, False),
        (0o070, 1, 23456, True),
        (0o010, 1, 23456, True),
        (0o707, 1, 23456, False),
        (0o007, 1, 1, True),
        (0o001, 1, 1, True),
        (0o776, 1, 1, False),
        (0o666, 12345, 23456, False),
    ],
)
def test_the_first_class_that_fits_decides(mode: int, uid: int, gid: int, may: bool) -> None:
    facts = os.stat_result((stat.S_IFDIR | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))
    assert SOMEBODY._may_enter(facts) is may


def open_way(directory: Path) -> Path:
    """A directory that everybody can get to, whatever the modes above it are for this test."""
    directory.mkdir(parents=True)
    return directory


def test_the_first_closed_door_is_named_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = open_way(tmp_path / "a" / "b" / "c")
    monkeypatch.setattr(OsUser, "_may_enter", lambda self, facts: facts.st_ino not in closed)
    closed: set[int] = set()
    assert SOMEBODY.closed_directory(inner / "file") is None
    closed = {(tmp_path / "a" / "b").stat().st_ino, inner.stat().st_ino}
    assert SOMEBODY.closed_directory(inner / "file") == tmp_path / "a" / "b"
    # The last part is what is reached for: it need not be entered.
    assert SOMEBODY.closed_directory(tmp_path / "a" / "b") is None
    with pytest.raises(RefusedError, match="cannot reach the data") as told:
        SOMEBODY.require_reach(inner / "file", "the data")
    assert str(tmp_path / "a" / "b") in told.value.why


def test_what_is_not_there_yet_is_no_closed_door(tmp_path: Path) -> None:
    us = OsUser.current()
    assert us.closed_directory(tmp_path / "new" / "newer" / "file") is None
    us.require_reach(tmp_path / "new" / "newer" / "file", "it")


def test_our_own_closed_door_is_named(closable: Path) -> None:
    closed = closable / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o600)
    us = OsUser.current()
    try:
        assert us.closed_directory(closed / "inner" / "file") == closed
        assert us.closed_directory(closed) is None
    finally:
        closed.chmod(0o700)


def test_a_file_is_written_whole_and_for_its_user_alone(tmp_path: Path) -> None:
    us, path = OsUser.current(), tmp_path / "file"
    umask = os.umask(0)
    try:
        us.write_file(path, "one\nünï\n")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        us.write_file(path, "two", mode=0o640)
    finally:
        os.umask(umask)
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_was_read_in_another_encoding_is_written_back(tmp_path: Path) -> None:
    """As `write_files` of a run does with a postgresql.conf that has Latin-1 comments."""
    text = b"# r\xe9glages\n".decode("utf-8", "surrogateescape")
    OsUser.current().write_file(tmp_path / "file", text)
    assert (tmp_path / "file").read_bytes() == b"# r\xe9glages\n"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    us, path = OsUser.current(), tmp_path / "file"
    us.write_file(path, "old")
    (tmp_path / "file.pitr-new").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left|Operation not permitted|Permission denied"):
        us.write_file(path, "new", mode=0o666)
    assert path.read_text() == "old"


def test_a_directory_has_its_mode_whatever_the_umask_is(tmp_path: Path) -> None:
    umask = os.umask(0o777)
    try:
        OsUser.current().make_directory(tmp_path / "a")
        OsUser.current().make_directory(tmp_path / "b", 0o750)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o750
    with pytest.raises(FileExistsError):
        OsUser.current().make_directory(tmp_path / "a")


def accounts(monkeypatch: pytest.MonkeyPatch, us: int, *others: str) -> None:
    """Be the account with this number, on a machine with `others` and root."""
    known = {"root": OsUser("root", 0, 0)}
    known |= {name: OsUser(name, 100 + n, 100) for n, name in enumerate(others)}

    def named(name: str) -> OsUser:
        if name not in known:
            raise UsageError(f"there is no user {name!r} on this machine")
        return known[name]

    monkeypatch.setattr(os, "geteuid", lambda: us)
    monkeypatch.setattr(OsUser, "named", staticmethod(named))


@pytest.mark.parametrize(
    ("us", "others", "preferred", "chosen"),
    [
        (0, ("postgres", "nobody"), None, "postgres"),
        (0, ("nobody",), None, "nobody"),
        (0, ("postgres", "dba"), "dba", "dba"),
        (987654321, ("postgres",), None, "987654321"),
        (100, ("postgres",), "postgres", "postgres"),
    ],
)
def test_who_runs_the_servers(
    monkeypatch: pytest.MonkeyPatch,
    us: int,
    others: tuple[str, ...],
    preferred: str | None,
    chosen: str,
) -> None:
    accounts(monkeypatch, us, *others)
    assert server_user(preferred).name == chosen


@pytest.mark.parametrize(
    ("us", "others", "preferred", "words"),
    [
        (0, (), None, "there is nobody to run it"),
        (0, ("postgres",), "root", "refuses to run as root"),
        (0, ("postgres",), "ghost", "no user 'ghost'"),
        (5, ("postgres",), "postgres", "only root can start a server as postgres"),
    ],
)
def test_who_does_not(
    monkeypatch: pytest.MonkeyPatch,
    us: int,
    others: tuple[str, ...],
    preferred: str | None,
    words: str,
) -> None:
    accounts(monkeypatch, us, *others)
    with pytest.raises((RefusedError, UsageError), match=words):
        server_user(preferred)
