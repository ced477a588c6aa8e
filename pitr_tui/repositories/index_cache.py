"""What was read of archives before, in one SQLite file of the user's cache directory.

It may be thrown away at any time. Without it everything is read again, and a remark says why.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "PITR_CACHE_DIR"
_FILE_NAME = "wal-index.sqlite"
_FORMAT = 2
_MOST_BYTES = 2 << 30
_MOST_ARCHIVES = 32
_LOCK_SECONDS = 1.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_USED_EVERY = 3600  # seconds: how exact the time of the last use has to be
_EVICT_EVERY = 64
_SEAL_BYTES = 4

_TABLES = """
CREATE TABLE heads (
    archive TEXT, part INTEGER, used INTEGER, data BLOB, PRIMARY KEY (archive, part)
);
CREATE TABLE facts (
    archive TEXT, path TEXT, kind TEXT, key TEXT, format INTEGER, identity BLOB,
    used INTEGER, bytes INTEGER, data BLOB,
    PRIMARY KEY (archive, path, kind, key)
);
CREATE INDEX facts_by_use ON facts (used, bytes);
"""


def cache_directory() -> Path:
    """PITR_CACHE_DIR, or `pitr-tui` in the user's XDG cache directory."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pitr-tui"


@dataclass(frozen=True, slots=True)
class Variant:
    """What was read out of a segment: of each kind only the newest format is kept.

    The key has whatever else the result depends on.
    """

    kind: str
    format: int
    key: str = ""


class IndexCache:
    """The cache, or none: no method raises for what is wrong with it.

    `remark` tells why it is not used, empty while it is.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.remark = ""
        self._lock = threading.RLock()  # results are kept by one thread and asked for by another
        self._added = 0
        self._database: sqlite3.Connection | None = None
        try:
            place = directory or cache_directory()
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
            self.remark = _unkept(getattr(error, "filename", None), error)
            return
        self._file = place / _FILE_NAME
        with suppress(OSError):  # one that is there, or cannot be made: sqlite tells of it
            self._file.touch(mode=0o600, exist_ok=False)
        with self._failures():
            self._database = sqlite3.connect(
                self._file, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._prepare(self._database)

    def __enter__(self) -> IndexCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._database is not None and self._added:
            self._evict()
        if self._database is not None:
            self._database.close()
            self._database = None

    def heads(self, archive: str, part: int) -> memoryview | None:
        """One part of the heads of an archive's segments; None behind the last one."""
        with self._failures():
            if self._database is not None:
                found = self._database.execute(
                    "SELECT data FROM heads WHERE archive = ? AND part = ?", (archive, part)
                ).fetchone()
                return _checked(found[0]) if found else None
        return None

    def keep_heads(self, archive: str, parts: Iterable[bytes]) -> None:
        """Keep these parts in the place of those before."""
        now = int(time.time())
        with self._failures():
            if self._database is None:
                return
            with self._transaction() as database:
                database.execute("DELETE FROM heads WHERE archive = ?", (archive,))
                database.executemany(
                    "INSERT INTO heads VALUES (?, ?, ?, ?)",
                    ((archive, at, now, _sealed(part)) for at, part in enumerate(parts)),
                )
                database.execute(
                    "DELETE FROM heads WHERE archive NOT IN (SELECT archive FROM heads "
                    "GROUP BY archive ORDER BY max(used) DESC, max(rowid) DESC LIMIT ?)",
                    (_MOST_ARCHIVES,),
                )

    def known_facts(self, archive: str, variant: Variant) -> dict[str, bytes]:
        """The identity of each file, by its path, of which facts are kept.

        Those of the same kind in another format are removed.
        """
        with self._failures():
            if self._database is not None:
                self._database.execute(
                    "DELETE FROM facts WHERE kind = ? AND format != ?",
                    (variant.kind, variant.format),
                )
                return dict(
                    self._database.execute(
                        "SELECT path, identity FROM facts "
                        "WHERE archive = ? AND kind = ? AND key = ?",
                        (archive, variant.kind, variant.key),
                    )
                )
        return {}

    def facts(self, archive: str, path: str, variant: Variant, identity: bytes) -> bytes | None:
        """What was kept of a file, if it is still the same."""
        now = int(time.time())
        row = (archive, path, variant.kind, variant.key)
        with self._failures():
            if self._database is not None:
                found = self._database.execute(
                    "SELECT data, used FROM facts WHERE archive = ? AND path = ? AND kind = ? "
                    "AND key = ? AND format = ? AND identity = ?",
                    (*row, variant.format, identity),
                ).fetchone()
                if found is None:
                    return None
                if found[1] < now - _USED_EVERY:
                    self._database.execute(
                        "UPDATE facts SET used = ? WHERE archive = ? AND path = ? AND kind = ? "
                        "AND key = ?",
                        (now, *row),
                    )
                data = _checked(found[0])
                return None if data is None else bytes(data)
        return None

    def keep_facts(
        self, archive: str, path: str, variant: Variant, identity: bytes, data: bytes
    ) -> None:
        sealed = _sealed(data)
        row = (archive, path, variant.kind, variant.key, variant.format, identity)
        with self._failures():
            if self._database is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, int(time.time()), len(sealed), sealed),
                )
                self._added += 1
                if self._added % _EVICT_EVERY == 0:
                    self._evict()

    def _evict(self) -> None:
        """Remove what was not used for longest, until the rest is not too much."""
        with self._failures():
            if self._database is None:
                return
            (total,) = self._database.execute("SELECT total(bytes) FROM facts").fetchone()
            if total <= _MOST_BYTES:
                return
            oldest = self._database.execute("SELECT rowid, bytes FROM facts ORDER BY used, rowid")
            gone: list[tuple[int]] = []
            for rowid, size in oldest:
                if total <= _MOST_BYTES:
                    break
                gone.append((rowid,))
                total -= size
            with self._transaction() as database:
                database.executemany("DELETE FROM facts WHERE rowid = ?", gone)

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA synchronous = OFF")  # what a crash damages is found by its seal
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found == _FORMAT:
            return
        with self._transaction():
            if database.execute("PRAGMA user_version").fetchone() == (_FORMAT,):
                return  # another process was quicker
            names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            for (name,) in names.fetchall():
                database.execute(f'DROP TABLE "{name}"')
            for statement in _TABLES.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {_FORMAT}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._database is None:
            raise sqlite3.ProgrammingError("there is no database")
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has ended it already
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Go on without the cache after a failure; one that is damaged is removed."""
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                self.remark = _unkept(self._file, error)
                if self._database is not None:
                    with closing(self._database), suppress(sqlite3.Error):
                        self._database = None
                if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                    with suppress(OSError):
                        self._file.unlink()


def _unkept(place: object, error: Exception) -> str:
    """What a person is told, whose answer is complete all the same."""
    why = getattr(error, "strerror", None) or str(error)
    where = f"{place}: " if place else ""
    return f"this is not kept for the next time, which will take as long ({where}{why})"


def _sealed(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(_SEAL_BYTES, "little")


def _checked(sealed: object) -> memoryview | None:
    """What was sealed, or None for what is not as it was."""
    if not isinstance(sealed, bytes):
        return None
    data = memoryview(sealed)[:-_SEAL_BYTES]
    seal = zlib.crc32(data).to_bytes(_SEAL_BYTES, "little")
    return data if sealed.endswith(seal) and len(sealed) >= _SEAL_BYTES else None
