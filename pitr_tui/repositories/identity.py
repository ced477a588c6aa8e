"""The few files of a backup that say whose it is and how its primary ran."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from google_crc32c import value as crc32c

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.control import CONTROL_PATH, checksum_places, standby_minimums
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
_INCLUDE = re.compile(r"^\s*(include|include_dir)\s*(?:=\s*|\s+)'?([^'#\n]+?)'?\s*(?:#.*)?$", re.M)


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
    """What pg_control has more of than the configuration; files that this includes do not count."""
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


def included_files(identity: Mapping[str, bytes]) -> tuple[tuple[str, str], ...]:
    """The files and directories that the configuration has to find: the word and the path."""
    found = []
    for name in _CONFIGURATION:
        text = identity.get(name, b"").decode("utf-8", "replace")
        found += [(match[1], match[2]) for match in _INCLUDE.finditer(text)]
    return tuple(found)


def traces(identity: Mapping[str, bytes]) -> tuple[str, ...]:
    """What earlier recoveries left: names of files, and settings with their values."""
    configured = _configured(identity)
    files = [name for name in _TRACES if name in identity]
    settings = ((name, configured.get(name, "")) for name in _TRACE_SETTINGS)
    return (*files, *(f"{name} = {value}" for name, value in settings if value not in ("", "0")))


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
    return found


def _tar_identity(tar: ReadPath) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with open_tar(tar) as members:
            for member in members:
                name = member.name.removeprefix("./")
                wanted = name in (*_IDENTITY, *_CONFIGURATION, _TABLESPACE_MAP)
                file = members.extractfile(member) if wanted else None
                if name in _TRACES:
                    found[name] = b""
                if file is not None:
                    found[name] = file.read()
                if found.keys() >= set(_IDENTITY):
                    return found
    except tar_errors() as error:
        raise PitrError(
            f"the backup in {tar.parent} is damaged", f"{tar.name}: {error}", "use another backup"
        ) from error
    missing = next(name for name in _IDENTITY if name not in found)
    raise _incomplete(tar.parent, missing)


def _incomplete(path: ReadPath, name: str) -> PitrError:
    why = f"it has no {name}"
    if name == "backup_label":
        why += ": it is a data directory, not a backup, or it was started already"
    return RefusedError(f"{path} is not a complete base backup", why, "use another backup")


def _configured(identity: Mapping[str, bytes]) -> dict[str, str]:
    configured: dict[str, str] = {}
    for name in _CONFIGURATION:
        configured |= read_settings(identity.get(name, b"").decode("utf-8", "replace"))
    return configured
