"""The few files of a backup that say whose it is and how its primary ran."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath

from google_crc32c import value as crc32c

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import BEGIN, Include, includes, read_settings
from pitr_tui.postgres.control import CONTROL_PATH, checksum_places, standby_minimums
from pitr_tui.postgres.quote import without_secrets
from pitr_tui.postgres.target import TARGET_SETTINGS
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.repositories.tars import open_tar, tar_errors
from pitr_tui.storage.path import ReadPath

_CONFIGURATION = ("postgresql.conf", "postgresql.auto.conf")
_DEFAULTS = {
    "max_connections": 100,
    "max_worker_processes": 8,
    "max_wal_senders": 10,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 64,
}
_LOCALES = ("lc_monetary", "lc_numeric", "lc_time")
_IDENTITY = ("backup_label", "PG_VERSION", CONTROL_PATH)
_TABLESPACE_MAP = "tablespace_map"
# What a recovery or a start before this one leaves in a data directory.
_TRACES = (
    "postmaster.pid",
    "backup_label.old",
    "tablespace_map.old",
    "recovery.conf",
    "recovery.done",
    "recovery.signal",
    "standby.signal",
)
_TRACE_SETTINGS = (
    *(name for name in TARGET_SETTINGS if name != "recovery_target_inclusive"),
    "restore_command",
    "recovery_end_command",
    "archive_cleanup_command",
    "recovery_min_apply_delay",
    "primary_conninfo",
    "primary_slot_name",
)
_PRELOADED = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")
_NAME_IN_LIST = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+?))\s*(?:,|$)')
# Where no configuration lies: PostgreSQL's own directories, and what of pitr's is not copied.
_NOT_CONFIGURATION = re.compile(r"(base|global|pg_\w+|pitr|pitr_tablespaces)/")
_CONFIGURATION_BYTES = 1 << 20
_CONFIGURATION_FILES = 1000
_NESTING = 10  # CONF_FILE_MAX_DEPTH in src/include/utils/conffiles.h
OWN_BLOCK = "settings of pitr's"


@dataclass(frozen=True, slots=True)
class IncludedFile:
    """What a line of a backup's configuration makes its server read.

    `left_out` tells why a copy has to do without it, and is "" when it stays.
    """

    file: str
    line: int
    word: str
    path: str
    left_out: str = ""


def identity_of(path: ReadPath, tar: ReadPath | None) -> dict[str, bytes]:
    """The identifying files of a backup by their names: those of `tar`, or of a directory.

    Of what an earlier recovery left there are the names alone.

    Raises RefusedError when one is missing, PitrError when one cannot be read.
    """
    return _tar_identity(tar) if tar else _plain_identity(path)


def configured_locales(identity: Mapping[str, bytes]) -> tuple[str, ...]:
    """The locales without which the server does not start: those of its own files."""
    configured = _configured(identity)
    return tuple(dict.fromkeys(configured[name] for name in _LOCALES if configured.get(name)))


def raised_settings(identity: Mapping[str, bytes], version: PostgresVersion) -> dict[str, int]:
    """What pg_control has more of than the configuration of the backup's own files."""
    configured = _configured(identity)
    raised = {}
    for name, value in standby_minimums(identity[CONTROL_PATH], version).items():
        own = configured.get(name, "")
        if value > (int(own) if own.isdecimal() else _DEFAULTS[name]):
            raised[name] = value
    return raised


def server_parameters(identity: Mapping[str, bytes], version: PostgresVersion) -> dict[str, int]:
    """What a server of the backup's own files would have of what a standby must match."""
    configured = _configured(identity)
    found = {}
    for name in version.standby_minimums:
        own = configured.get(name, "")
        found[name] = int(own) if own.isdecimal() else _DEFAULTS[name]
    return found


def preload_libraries(identity: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """The libraries that its server loads when it starts, or for each session, by setting."""
    configured = _configured(identity)
    lists = ((name, tuple(names_in_list(configured.get(name, "")))) for name in _PRELOADED)
    return {name: libraries for name, libraries in lists if libraries}


def names_in_list(text: str) -> list[str]:
    """A list as PostgreSQL writes it: commas between, double quotes around what needs them.

    >>> names_in_list('auto_explain, "my lib" ,$libdir/x')
    ['auto_explain', 'my lib', '$libdir/x']
    """
    pairs = _NAME_IN_LIST.findall(text)
    names = [quoted.replace('""', '"') if quoted else plain for quoted, plain in pairs]
    return [name for name in names if name]


def included_files(identity: Mapping[str, bytes]) -> tuple[IncludedFile, ...]:
    """Every directive of the configuration, also of the files that it includes."""
    return tuple(
        IncludedFile(file, one.line, one.word, one.path, left_out)
        for name in _CONFIGURATION
        for file, one, left_out, _ in _directives(identity, name)
    )


_Directive = tuple[str, Include, str, tuple[str, ...]]


def _directives(
    identity: Mapping[str, bytes], file: str, above: tuple[str, ...] = ()
) -> Iterator[_Directive]:
    """The directives of a file and those below: where, which, why not, and the files it names."""
    for one in includes(_text(identity, file)):
        place = normpath(str(PurePosixPath(file).parent / one.path))
        left_out, named = _found(identity, one, place)
        if {*named} & {*above, file} or len(above) >= _NESTING:
            left_out, named = "it includes itself", ()
        yield file, one, left_out, named
        for name in named:
            yield from _directives(identity, name, (*above, file))


def _found(identity: Mapping[str, bytes], one: Include, place: str) -> tuple[str, tuple[str, ...]]:
    """Why a copy does without what a directive names, or the files that it leads to."""
    if place.startswith(("/", "..")):
        return "it leads out of the backup", ()
    if one.word == "include_dir":
        if not any(name.startswith(f"{place}/") for name in identity):
            return "there is no such directory in the backup", ()
        below = (name for name in identity if str(PurePosixPath(name).parent) == place)
        return "", tuple(sorted(name for name in below if _is_read_in_directory(name)))
    if place in identity and place not in _TRACES and not place.endswith("/"):
        return "", (place,)
    missing = "there is no such file in the backup"
    return ("" if one.word == "include_if_exists" else missing), ()


def _is_read_in_directory(name: str) -> bool:
    """Whether include_dir takes a file (GetConfFilesInDir in conffiles.c)."""
    last = PurePosixPath(name).name
    return last.endswith(".conf") and not last.startswith(".") and not name.endswith("/")


def _text(identity: Mapping[str, bytes], name: str) -> str:
    return identity.get(name, b"").decode("utf-8", "surrogateescape")


def traces(identity: Mapping[str, bytes]) -> tuple[str, ...]:
    """What earlier recoveries left: names of files, and settings with their values."""
    configured = _configured(identity)
    files = [name for name in _TRACES if name in identity]
    if any(BEGIN in _text(identity, name).split("\n") for name in _CONFIGURATION):
        files.append(OWN_BLOCK)
    settings = ((name, configured.get(name, "")) for name in _TRACE_SETTINGS)
    told = (f"{name} = {value}" for name, value in settings if value not in ("", "0"))
    return (*files, *map(without_secrets, told))  # a connection to a primary has its password


def tablespaces(identity: Mapping[str, bytes]) -> dict[int, str]:
    """The tablespaces that a backup in tar format has, by their oids, and where they lay."""
    lines = identity.get(_TABLESPACE_MAP, b"").decode("utf-8", "surrogateescape").split("\n")
    pairs = (line.partition(" ") for line in lines)
    return {int(oid): place.replace("\\", "") for oid, _, place in pairs if oid.isdecimal()}


def control_is_whole(identity: Mapping[str, bytes]) -> bool | None:
    """Whether pg_control's checksum is right; None where its place was not found."""
    data = identity[CONTROL_PATH]
    places = checksum_places(data)
    if not places:
        return None
    return any(
        int.from_bytes(data[place : place + 4], "little") == crc32c(data[:place])
        for place in places
    )


def _plain_identity(path: ReadPath) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in _IDENTITY:
        try:
            found[name] = (path / name).read_bytes()
        except FileNotFoundError as error:
            raise _incomplete(path, name) from error
        except OSError as error:
            raise PitrError(f"{path / name} cannot be read", str(error.strerror)) from error
    for name in (*_CONFIGURATION, _TABLESPACE_MAP):
        with suppress(OSError):  # Debian keeps the configuration elsewhere
            found[name] = (path / name).read_bytes()
    with suppress(OSError):
        found |= {entry.name: b"" for entry in path.iterdir() if entry.name in _TRACES}
    for name in _CONFIGURATION:
        _read_included(path, found, name)
    return found


def _read_included(path: ReadPath, found: dict[str, bytes], file: str) -> None:
    """Add what a file includes, and what that includes; what cannot be read is as good as gone."""
    for one in includes(_text(found, file)):
        place = normpath(str(PurePosixPath(file).parent / one.path))
        if place.startswith(("/", "..")) or _NOT_CONFIGURATION.match(f"{place}/"):
            continue
        names = [place]
        with suppress(OSError, ValueError):  # a NUL byte is no part of a path
            if one.word == "include_dir":
                entries = [entry.name for entry in (path / place).iterdir()]
                found[f"{place}/"] = b""
                names = [normpath(f"{place}/{name}") for name in entries]
                names = [name for name in names if _is_read_in_directory(name)]
            for name in names:
                small = (path / name).stat().st_size <= _CONFIGURATION_BYTES
                if name not in found and small and (path / name).is_file():
                    found[name] = (path / name).read_bytes()
                    _read_included(path, found, name)


def _tar_identity(tar: ReadPath) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with open_tar(tar) as members:
            for member in members:
                name = member.name.removeprefix("./")
                wanted = name in (*_IDENTITY, *_CONFIGURATION, _TABLESPACE_MAP)
                if not _NOT_CONFIGURATION.match(f"{name}/") and len(found) < _CONFIGURATION_FILES:
                    if member.isdir():
                        found[f"{name}/"] = b""
                    wanted = wanted or member.isreg() and member.size <= _CONFIGURATION_BYTES
                file = members.extractfile(member) if wanted else None
                if name in _TRACES:
                    found[name] = b""
                if file is not None and member.size <= _CONFIGURATION_BYTES:
                    found[name] = file.read()
    except tar_errors() as error:
        raise PitrError(
            f"the backup in {tar.parent} is damaged", f"{tar.name}: {error}", "use another backup"
        ) from error
    for name in _IDENTITY:
        if name not in found:
            raise _incomplete(tar.parent, name)
    return found


def _incomplete(path: ReadPath, name: str) -> PitrError:
    why = f"it has no {name}"
    if name == "backup_label":
        why += ": it is a data directory, not a backup, or it was started already"
    return RefusedError(f"{path} is not a complete base backup", why, "use another backup")


def _configured(identity: Mapping[str, bytes]) -> dict[str, str]:
    """The settings of a backup's own files, with what of other files these include."""
    configured: dict[str, str] = {}
    for name in _CONFIGURATION:
        configured |= _settings_of(identity, name)
    return configured


def _settings_of(
    identity: Mapping[str, bytes], file: str, above: tuple[str, ...] = ()
) -> dict[str, str]:
    """The settings of one file; what it includes counts at the place where it does."""
    lines = _text(identity, file).split("\n")
    settings: dict[str, str] = {}
    done = 0
    for one in includes("\n".join(lines)):
        settings |= read_settings("\n".join(lines[done : one.line - 1]))
        done = one.line
        place = normpath(str(PurePosixPath(file).parent / one.path))
        for name in _found(identity, one, place)[1]:
            if name not in (*above, file) and len(above) < _NESTING:
                settings |= _settings_of(identity, name, (*above, file))
    return settings | read_settings("\n".join(lines[done:]))
