"""The cache of what was read: it helps where it can, and is in nobody's way where it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pitr_tui.repositories import index_cache
from pitr_tui.repositories.index_cache import IndexCache, Variant, cache_directory

FILE = "wal-index.sqlite"
FIRST = Variant("facts", 1, "k")


@pytest.fixture
def cache() -> Iterator[IndexCache]:
    with IndexCache() as opened:
        yield opened


def keep(cache: IndexCache, name: str, data: bytes = b"data", variant: Variant = FIRST) -> None:
    cache.keep_facts("/a", name, variant, b"id", data)


def kept(name: str, variant: Variant = FIRST, identity: bytes = b"id") -> bytes | None:
    with IndexCache() as cache:
        return cache.facts("/a", name, variant, identity)


def test_the_place_is_the_users(monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> None:
    assert cache_directory() == cache_dir
    monkeypatch.delenv("PITR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_directory() == Path("/x/pitr-tui")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_directory() == Path("/home/me/.cache/pitr-tui")


def test_what_is_kept_comes_back(cache: IndexCache, cache_dir: Path) -> None:
    cache.keep_heads("/a", [b"heads", b"more heads"])
    cache.keep_heads("/a", [b"newer heads"])
    keep(cache, "1", b"")
    keep(cache, "2", b"older")
    keep(cache, "2", b"newer")
    assert bytes(cache.heads("/a", 0) or b"") == b"newer heads"
    assert (cache.heads("/a", 1), cache.heads("/b", 0)) == (None, None)
    assert (kept("1"), kept("2"), kept("3")) == (b"", b"newer", None)
    assert kept("2", identity=b"another") is None
    assert kept("2", Variant("facts", 1, "other")) is None
    assert cache.known_facts("/a", FIRST) == {"1": b"id", "2": b"id"}
    assert cache.remark == ""
    assert cache_dir.stat().st_mode & 0o077 == 0


def test_an_older_format_is_dropped_and_other_kinds_stay(cache: IndexCache) -> None:
    keep(cache, "1")
    keep(cache, "1", variant=Variant("other", 1))
    newer = Variant("facts", 2, "k")
    assert cache.known_facts("/a", newer) == {}
    assert kept("1") is None
    assert kept("1", Variant("other", 1)) == b"data"


def test_what_was_not_used_for_longest_goes_first(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000
    monkeypatch.setattr("pitr_tui.repositories.index_cache.time.time", lambda: now)
    for name in ("1", "2", "3"):
        keep(cache, name, bytes(400))
        now += 10_000
    assert cache.facts("/a", "1", FIRST, b"id") == bytes(400)
    monkeypatch.setattr(index_cache, "_MOST_BYTES", 1000)
    keep(cache, "4", bytes(100))
    cache.close()
    assert [name for name in "1234" if kept(name) is not None] == ["1", "3", "4"]


def test_only_so_many_archives_are_remembered(
    cache: IndexCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_cache, "_MOST_ARCHIVES", 2)
    for name in "abc":
        cache.keep_heads(name, [name.encode()] * 3)
    assert [name for name in "abc" if cache.heads(name, 0) is not None] == ["b", "c"]


def works_without(cache: IndexCache) -> None:
    cache.keep_heads("/a", [b"x"])
    keep(cache, "1")
    assert cache.heads("/a", 0) is None
    assert cache.facts("/a", "1", FIRST, b"id") is None
    assert cache.known_facts("/a", FIRST) == {}
    cache.close()


def test_a_place_that_cannot_be_made_is_done_without(closable: Path) -> None:
    (closable / "closed").mkdir(mode=0o500)
    with IndexCache(closable / "closed" / "cache") as cache:
        assert "is not kept for the next time" in cache.remark
        assert "Permission denied" in cache.remark
        works_without(cache)


def test_a_directory_that_cannot_be_written_is_done_without(closable: Path) -> None:
    (closable / "cache").mkdir(mode=0o500)
    with IndexCache(closable / "cache") as cache:
        assert "is not kept for the next time" in cache.remark
        works_without(cache)


def test_a_user_without_a_home_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PITR_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with IndexCache() as cache:
        assert "home directory" in cache.remark
        works_without(cache)


def test_a_damaged_file_is_removed_and_made_anew(cache_dir: Path) -> None:
    cache_dir.mkdir()
    (cache_dir / FILE).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with IndexCache() as cache:
        assert "is not kept for the next time" in cache.remark
        works_without(cache)
    with IndexCache() as cache:
        assert cache.remark == ""
        keep(cache, "1")
    assert kept("1") == b"data"


def test_what_was_damaged_inside_does_not_come_back(cache: IndexCache, cache_dir: Path) -> None:
    cache.keep_heads("/a", [b"x" * 1000])
    keep(cache, "1", b"y" * 1000)
    cache.close()
    with closing(sqlite3.connect(cache_dir / FILE)) as database, database:
        database.execute("UPDATE heads SET data = CAST(replace(data, 'xx', 'xz') AS BLOB)")
        database.execute("UPDATE facts SET data = zeroblob(2)")
    with IndexCache() as again:
        assert again.heads("/a", 0) is None
    assert kept("1") is None


def test_a_file_that_another_holds_is_done_without(
    cache: IndexCache, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_cache, "_LOCK_SECONDS", 0.01)
    keep(cache, "1")
    cache.close()
    with closing(sqlite3.connect(cache_dir / FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with IndexCache() as locked:
            assert "locked" in locked.remark
            works_without(locked)
    assert kept("1") == b"data"


def test_a_cache_of_another_format_is_begun_anew(cache_dir: Path) -> None:
    cache_dir.mkdir()
    with closing(sqlite3.connect(cache_dir / FILE)) as database, database:
        database.execute("CREATE TABLE facts (nonsense)")
        database.execute("PRAGMA user_version = 99")
    with IndexCache() as cache:
        assert cache.remark == ""
        keep(cache, "1")
    assert kept("1") == b"data"
