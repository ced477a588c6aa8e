"""The few files of a backup that say whose it is and how its primary ran."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.control import CONTROL_PATH, standby_minimums
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


def identity_of(path: ReadPath, tar: ReadPath | None) -> dict[str, bytes]:
    """The identifying files of a backup by their names: those of `tar`, or of a directory.

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


def _plain_identity(path: ReadPath) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in _IDENTITY:
        try:
            found[name] = (path / name).read_bytes()
        except FileNotFoundError as error:
            raise _incomplete(path, name) from error
        except OSError as error:
            raise PitrError(f"{path / name} cannot be read", str(error.strerror)) from error
    for name in _CONFIGURATION:
        with suppress(OSError):  # Debian keeps it elsewhere
            found[name] = (path / name).read_bytes()
    return found


def _tar_identity(tar: ReadPath) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with open_tar(tar) as members:
            for member in members:
                name = member.name.removeprefix("./")
                wanted = name in _IDENTITY or name in _CONFIGURATION
                file = members.extractfile(member) if wanted else None
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
