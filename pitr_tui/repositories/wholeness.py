"""Is everything there that a base backup should have? By names and sizes, or to the last byte."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from google_crc32c import extend

from pitr_tui.errors import PitrError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.repositories.backups import TABLESPACES, Backup, BackupFormat
from pitr_tui.repositories.tars import open_tar, tar_errors
from pitr_tui.storage.compression import plain_name
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.path import ReadPath, tree_members

_CHUNK = 1 << 20
_MANIFEST = "backup_manifest"
_LINKS = "pg_tblspc"
# Files that people and tools change, so that pg_verifybackup passes over them as well.
_CHANGING = ("postgresql.auto.conf", "recovery.signal", "standby.signal", _MANIFEST)
_DATA = ("base", "global", _LINKS, "pg_multixact", "pg_commit_ts", "pg_twophase", "PG_VERSION")

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """What a manifest says of one file; the checksum in lower-case hex, or empty."""

    size: int
    algorithm: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Wholeness:
    """What is wrong with the files of a backup.

    `looked_at` counts those that were held against a manifest; without one only essential
    directories are looked for. `lost` are missing or changed files that hold the cluster's
    data, `others` such files without which it starts, each with the reason.
    """

    looked_at: int
    lost: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def essential_directories(version: PostgresVersion) -> tuple[str, ...]:
    """Those without which a server of this version does not start, or has no data."""
    statistics = ("pg_stat", "pg_stat_tmp") if version.has_statistics_files else ()
    return (
        "base",
        "global",
        version.transaction_status_directory,
        version.wal_directory,
        "pg_notify",
        "pg_replslot",
        _LINKS,
        "pg_twophase",
        *statistics,
    )


def look_whole(backup: Backup) -> Wholeness | None:
    """Compare names and sizes; None for a compressed backup, which has to be unpacked for it.

    Raises PitrError or OSError when the backup cannot be read.
    """
    manifest = manifest_files(backup.path)
    sizes = _sizes(backup)
    if sizes is None:
        return None
    if manifest is None:
        return Wholeness(0, lost=tuple(_without_directories(backup)))
    problems = [
        (name, f"{name} is missing" if size is None else f"{name} has {size:,} bytes, not {due:,}")
        for name, due in ((name, file.size) for name, file in manifest.items())
        if name not in _CHANGING and (size := sizes.get(name)) != due
    ]
    return _told(backup, len(manifest), problems)


def read_whole(backup: Backup, check: Check = lambda: None) -> Wholeness | None:
    """Compare the checksum of every file; None without a manifest that has them.

    Raises PitrError or OSError when the backup cannot be read.
    """
    manifest = manifest_files(backup.path)
    if manifest is None or not any(file.checksum for file in manifest.values()):
        return None
    unseen, problems = dict(manifest), list[tuple[str, str]]()
    for name, content in _contents(backup):
        due = unseen.pop(name, None)
        if due is None or not due.checksum or name in _CHANGING:
            continue
        if _checksum(content, due.algorithm, check) != due.checksum:
            problems.append((name, f"{name} is not what was backed up: its checksum is wrong"))
    problems += [(name, f"{name} is missing") for name in unseen if name not in _CHANGING]
    return _told(backup, len(manifest), problems)


def manifest_files(path: ReadPath) -> dict[str, ManifestFile] | None:
    """The files of a manifest by their names, or None without one. Raises PitrError."""
    try:
        data = json.loads((path / _MANIFEST).read_bytes())
        return {
            _name(one): ManifestFile(
                int(one["Size"]),
                str(one.get("Checksum-Algorithm", "")),
                str(one.get("Checksum", "")).lower(),
            )
            for one in data["Files"]
        }
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PitrError("the backup's manifest cannot be read", str(error.strerror)) from error
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise PitrError(
            "the backup's manifest cannot be read",
            str(error),
            "the backup is damaged: use another one",
        ) from error


def _name(entry: Mapping[str, object]) -> str:
    if "Encoded-Path" in entry:
        return bytes.fromhex(str(entry["Encoded-Path"])).decode("utf-8", "surrogateescape")
    return str(entry["Path"])


def _told(backup: Backup, looked_at: int, problems: list[tuple[str, str]]) -> Wholeness:
    data = (*_DATA, backup.version.transaction_status_directory)
    lost = tuple(words for name, words in problems if name.partition("/")[0] in data)
    others = tuple(words for name, words in problems if name.partition("/")[0] not in data)
    return Wholeness(looked_at, lost, others)


def _without_directories(backup: Backup) -> Iterator[str]:
    """The essential directories that a plain backup does not have; a tar brings its own."""
    if backup.format is BackupFormat.TAR:
        return
    there = {path.name for path in backup.path.iterdir() if path.is_dir()}
    for name in essential_directories(backup.version):
        if name not in there:
            yield f"the directory {name} is missing"


def _sizes(backup: Backup) -> dict[str, int] | None:
    if backup.format is BackupFormat.TAR:
        return _sizes_in_tars(backup)
    if isinstance(backup.path, EnginePath):
        below = backup.path.relative
        pairs = (
            (str(path.relative.relative_to(below)), path.stat().st_size)
            for path in backup.path.files_below()
        )
        return {_in_tablespace(name): size for name, size in pairs}
    return dict(_sizes_below(Path(str(backup.path)), ""))


def _sizes_below(directory: Path, prefix: str) -> Iterator[tuple[str, int]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            is_link = prefix == f"{_LINKS}/" and entry.is_symlink()
            own = directory.parent / TABLESPACES / entry.name
            if is_link and own.is_dir():
                yield from _sizes_below(own, f"{name}/")
            elif entry.is_dir() and name != TABLESPACES:
                yield from _sizes_below(Path(entry.path), f"{name}/")
            elif entry.is_file():
                yield name, entry.stat().st_size


def _in_tablespace(name: str) -> str:
    """A name as the manifest has it, where tablespaces lie below the links to them."""
    rest = name.removeprefix(f"{TABLESPACES}/")
    return name if rest == name else f"{_LINKS}/{rest}"


def _sizes_in_tars(backup: Backup) -> dict[str, int] | None:
    """From the heads of the members alone, which only a file of this machine allows."""
    sizes: dict[str, int] = {}
    for path in backup.tars():
        if plain_name(path.name) != path.name or not isinstance(path, Path):
            return None
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    if member.isreg():
                        sizes[_in_tar(path.name, member.name)] = member.size
        except tar_errors() as error:
            raise PitrError("the backup is damaged", f"{path.name}: {error}") from error
    return sizes


def _in_tar(tar: str, member: str) -> str:
    """The name of a member in the data directory."""
    stem = tar.partition(".")[0]
    name = member.removeprefix("./")
    return f"{_LINKS}/{stem}/{name}" if stem.isdecimal() else name


def _contents(backup: Backup) -> Iterator[tuple[str, IO[bytes]]]:
    """Every file with its bytes, to be read before the next one is asked for."""
    if backup.format is BackupFormat.TAR:
        for path in backup.tars():
            try:
                with open_tar(path) as tar:
                    for member in tar:
                        content = tar.extractfile(member) if member.isreg() else None
                        if content is not None:
                            yield _in_tar(path.name, member.name), content
            except tar_errors() as error:
                raise PitrError("the backup is damaged", f"{path.name}: {error}") from error
        return
    members = tree_members(backup.path)
    if members is not None:
        for member, content in members:
            if content is not None:
                yield _in_tablespace(member.name), content
        return
    root = Path(str(backup.path))
    for name, _ in _sizes_below(root, ""):
        own = root / TABLESPACES / name.removeprefix(f"{_LINKS}/")
        path = own if name.startswith(f"{_LINKS}/") and own.is_file() else root / name
        with path.open("rb") as file:
            yield name, file


def _checksum(content: IO[bytes], algorithm: str, check: Check) -> str:
    """Raises PitrError for a way to sum up that is not known."""
    if algorithm == "CRC32C":
        value = 0
        while chunk := content.read(_CHUNK):
            check()
            value = extend(value, chunk)
        return value.to_bytes(4, "little").hex()
    try:
        digest = hashlib.new(algorithm.lower())
    except ValueError as error:
        raise PitrError(
            "the backup's manifest cannot be checked", f"it sums up by {algorithm!r}"
        ) from error
    while chunk := content.read(_CHUNK):
        check()
        digest.update(chunk)
    return digest.hexdigest()
