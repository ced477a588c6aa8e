"""Base backups in directories: the plain and the tar format of pg_basebackup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.control import CONTROL_PATH, ControlHead
from pitr_tui.postgres.label import BackupLabel, BackupManifest
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE, WalSegment, is_segment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.identity import (
    IncludedFile,
    configured_locales,
    control_is_whole,
    identity_of,
    included_files,
    preload_libraries,
    raised_settings,
    server_parameters,
    tablespaces,
    traces,
)
from pitr_tui.storage.compression import SUFFIXES, plain_name
from pitr_tui.storage.path import ReadPath, files_below, first_of
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader

TAR_NAMES = tuple(f"base.tar{suffix}" for suffix in SUFFIXES)
_TAR = re.compile(rf"(base|pg_wal|\d+)\.tar({'|'.join(map(re.escape, SUFFIXES))})")
TABLESPACES = "pitr_tablespaces"  # where a backup of ours keeps them, inside of itself


class BackupFormat(StrEnum):
    PLAIN = "plain"
    TAR = "tar"


@dataclass(frozen=True, slots=True)
class Backup:
    """A complete base backup.

    `total_bytes` is its size on disk, compressed where it is; `restored_bytes` what a copy
    will need, None where a compressed one has no manifest that tells. `stop_lsn` is None
    where neither manifest nor archive tell where the backup ends. `raised` has the settings
    that the primary had more of than the backup's own files say, as by its command line,
    `parameters` what these say of the same, and `locales` those that its server needs.
    `preload` are the libraries that it loads, by setting, `includes` the lines by which its
    configuration makes the server read other files, `traces` what recoveries before this one
    left, `tablespaces` where those of a backup in tar format lay, by their oids. `control` is
    the head of pg_control, `control_whole` whether its checksum is right, None where that is
    not known.
    """

    path: ReadPath
    format: BackupFormat
    version: PostgresVersion
    system_identifier: int
    label: BackupLabel
    total_bytes: int
    restored_bytes: int | None
    segment_size: int
    stop_lsn: Lsn | None = None
    stop_time: str | None = None
    raised: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    locales: tuple[str, ...] = ()
    preload: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    includes: tuple[IncludedFile, ...] = ()
    traces: tuple[str, ...] = ()
    tablespaces: Mapping[int, str] = field(default_factory=dict)
    control: ControlHead | None = None
    control_whole: bool | None = None

    @property
    def name(self) -> str:
        return self.path.name

    def tars(self) -> list[ReadPath]:
        """The files of a backup in tar format; none of a plain one. Raises OSError.

        Of one that is there packed and unpacked, the unpacked one.
        """
        if self.format is not BackupFormat.TAR:
            return []
        found: dict[str, ReadPath] = {}
        for path in _entries(self.path):
            match = _TAR.fullmatch(path.name)
            if match is not None:
                found.setdefault(match[1], path)
        return list(found.values())

    def own_wal(self) -> list[WalSegment]:
        """The segments that a plain backup brings along. Raises OSError."""
        directory = self.path / self.version.wal_directory
        paths = _entries(directory) if directory.is_dir() else []
        names = [path.name for path in paths if is_segment(path.name)]
        return [WalSegment.parse(name, self.segment_size) for name in names]

    @property
    def start_segment(self) -> WalSegment:
        """The first segment that a recovery from this backup needs."""
        return WalSegment.at(self.label.start_lsn, self.label.timeline, self.segment_size)


@dataclass(frozen=True, slots=True)
class BrokenBackup:
    """Something that looks like a backup and cannot be used, with the reason."""

    path: ReadPath
    problem: PitrError


def list_backups(
    directory: ReadPath, archive: WalArchive | None = None
) -> list[Backup | BrokenBackup]:
    """Every backup in a directory (itself or one level below), oldest first.

    Raises RefusedError when there is no such directory.
    """
    if not directory.is_dir():
        raise RefusedError(f"there is no directory {directory}", "", "name the place of backups")
    try:
        places = [directory, *(path for path in _entries(directory) if path.is_dir())]
    except OSError as error:
        raise PitrError(f"{directory} cannot be read", str(error.strerror)) from error
    found: list[Backup | BrokenBackup] = []
    for place in places:
        try:
            if not looks_like_backup(place):
                continue
            found.append(open_backup(place, archive))
        except PitrError as error:
            found.append(BrokenBackup(place, error))
        if place == directory:
            break
    found.sort(key=lambda one: one.label.start_lsn if isinstance(one, Backup) else Lsn(0))
    return found


def looks_like_backup(path: ReadPath) -> bool:
    """Whether a directory has what only a backup or a data directory has.

    Raises PitrError for one that may not be entered.
    """
    try:
        names = ("backup_label", "PG_VERSION", *TAR_NAMES)
        return path.is_dir() and first_of([path / name for name in names]) is not None
    except OSError as error:
        raise PitrError(f"{path} cannot be read", str(error.strerror)) from error


def open_backup(path: ReadPath, archive: WalArchive | None = None) -> Backup:
    """Read what a backup says of itself, and from the archive where it ended.

    Raises PitrError for an incomplete or damaged one, RefusedError for one that cannot be
    started as it is.
    """
    path = path.absolute()
    if not looks_like_backup(path):
        raise RefusedError(
            f"there is no base backup in {path}",
            "neither a backup_label nor a base.tar is there",
            "`pitr backup list DIR` shows the backups below a directory",
        )
    tar = tar_of(path)
    identity = identity_of(path, tar)
    label = BackupLabel.parse(identity["backup_label"].decode("utf-8", "replace"))
    if label.incremental:
        raise RefusedError(
            f"{path.name} is an incremental backup",
            "it holds only what changed since another backup",
            "join it with its parents with pg_combinebackup and use the result",
        )
    version = PostgresVersion.parse(identity["PG_VERSION"].decode("ascii", "replace"))
    version.require_supported()
    control = ControlHead.parse(identity[CONTROL_PATH])
    segment_size = _segment_size(path, version, label, archive)
    manifest = _manifest(path)
    stop_lsn, stop_time = _end(manifest, label, archive)
    total = _size_on_disk(path)
    compressed = tar is not None and plain_name(tar.name) != tar.name
    return Backup(
        path=path,
        format=BackupFormat.TAR if tar else BackupFormat.PLAIN,
        version=version,
        system_identifier=control.system_identifier,
        label=label,
        total_bytes=total,
        restored_bytes=_restored_bytes(total, compressed, manifest),
        segment_size=segment_size,
        stop_lsn=stop_lsn,
        stop_time=stop_time,
        raised=raised_settings(identity, version),
        parameters=server_parameters(identity, version),
        locales=configured_locales(identity),
        preload=preload_libraries(identity),
        includes=included_files(identity),
        traces=traces(identity),
        tablespaces=tablespaces(identity),
        control=control,
        control_whole=control_is_whole(identity),
    )


def tar_of(path: ReadPath) -> ReadPath | None:
    """The base.tar of a backup in tar format."""
    return first_of([path / name for name in TAR_NAMES])


def _segment_size(
    path: ReadPath, version: PostgresVersion, label: BackupLabel, archive: WalArchive | None
) -> int:
    """The segment size, from a segment of the backup's own or of the archive."""
    directory = path / version.wal_directory
    for file in _entries(directory) if directory.is_dir() else []:
        if not is_segment(file.name):
            continue
        try:
            with file.open("rb") as segment:
                return SegmentHeader.parse(segment.read(HEADER_BYTES)).segment_size
        except (OSError, PitrError):
            continue
    if archive is not None:
        return archive.listing().segment_size
    return DEFAULT_SEGMENT_SIZE


def _manifest(path: ReadPath) -> BackupManifest | None:
    try:
        text = (path / "backup_manifest").read_bytes().decode("utf-8", "replace")
        return BackupManifest.parse(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PitrError("the backup's manifest cannot be read", str(error.strerror)) from error


def _entries(directory: ReadPath) -> list[ReadPath]:
    return sorted(directory.iterdir(), key=lambda path: path.name)


def _size_on_disk(path: ReadPath) -> int:
    """The bytes of a backup with those of its tablespaces, which a plain one may link to."""
    links = path / "pg_tblspc"
    places = [path]
    if links.is_dir() and not (path / TABLESPACES).is_dir():
        places += [link for link in links.iterdir() if link.is_symlink()]
    return sum(file.stat().st_size for place in places for file in files_below(place))


def _restored_bytes(total: int, compressed: bool, manifest: BackupManifest | None) -> int | None:
    """What a copy will need. A manifest leaves out the WAL, so what lies there counts first."""
    if not compressed:
        return total
    return manifest.total_bytes if manifest else None


def _end(
    manifest: BackupManifest | None, label: BackupLabel, archive: WalArchive | None
) -> tuple[Lsn | None, str | None]:
    """Where and when the backup ended, as its manifest and the archive's history file tell."""
    stop_lsn, stop_time = manifest.end_lsn if manifest else None, None
    names = archive.listing().backup_histories if archive else ()
    for name in names:
        if archive is None or not name.startswith(label.start_file):
            continue
        ended = archive.backup_history(name)
        if ended.start_lsn == label.start_lsn:
            stop_lsn, stop_time = ended.stop_lsn or stop_lsn, ended.stop_time
    return stop_lsn, stop_time
