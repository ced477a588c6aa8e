"""What the secondary's configuration amounts to, asked from its own server before it starts.

The plan writes its settings last, where they win; but a copied configuration has its own files,
includes and spellings, and only the server that reads them all knows what comes of it.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping

from pitr_tui.errors import PitrError
from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.libraries import acts_by_itself
from pitr_tui.postgres.quote import one_line, without_secrets
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.identity import names_in_list

_NAME = "merged configuration"
_LOADED = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")
_SEARCHED = "dynamic_library_path"
_HARMFUL = (
    *("archive_mode", "archive_command", "archive_library", "restore_command"),
    *("recovery_end_command", "archive_cleanup_command", "promote_trigger_file"),
    *("primary_conninfo", "primary_slot_name", "synchronous_standby_names"),
    *("max_logical_replication_workers", "sync_replication_slots", "external_pid_file"),
    *("listen_addresses", "port", "unix_socket_directories", "unix_socket_permissions"),
    *("hba_file", "ident_file", "logging_collector", "cluster_name", "recovery_target_timeline"),
)
_PATHS = ("data_directory", "hba_file", "ident_file", "external_pid_file")
_TRUE, _FALSE = ("on", "true", "yes"), ("off", "false", "no")
_QUANTITY = re.compile(r"(-?\d+)\s*(ms|s|min|h|d)?")
_MILLISECONDS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_WAY_OUT = (
    "take the line that says so out of the configuration files in a copy of the backup, "
    "and recover from that"
)


def examine(plan: RecoveryPlan) -> Iterator[CheckDone]:
    """Ask the written, not yet started secondary what it would run with, and compare.

    Raises PitrError behind the last check if one of them failed: such a secondary must not be
    started.
    """
    secondary = plan.secondary
    wanted = {**_wanted(plan), "data_directory": str(secondary.data_directory)}
    found = secondary.configured([*wanted, *_LOADED, _SEARCHED])
    checks = [*_deviations(wanted, found), *_libraries(plan, found), *_signals(plan)]
    if not any(check.status is Status.FAILURE for check in checks):
        listen = found["listen_addresses"] or "its socket alone"
        checks.append(
            CheckDone(
                _NAME,
                Status.OK,
                f"{len(wanted)} settings are as planned by the server's own reading: "
                f"archive_mode {found['archive_mode']}, it listens on {one_line(listen)}",
            )
        )
    yield from checks
    failed = [check for check in checks if check.status is Status.FAILURE]
    if failed:
        raise PitrError(
            "the secondary was not started: its configuration is not what was planned",
            "; ".join(check.evidence for check in failed),
            failed[0].hint,
        )


def _wanted(plan: RecoveryPlan) -> dict[str, str]:
    """What could harm others, or lead replay elsewhere. Each name is a program to be run."""
    settings = plan.safe_settings()
    if not plan.version.uses_recovery_conf:
        settings |= plan.recovery_settings()
    return {name: value for name, value in settings.items() if name in _HARMFUL}


def _deviations(wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[CheckDone]:
    for name, value in wanted.items():
        if not _same(name, value, found[name]):
            yield CheckDone(
                _NAME,
                Status.FAILURE,
                f"{name} would be {_shown(found[name])!r} and not {_shown(value)!r}",
                _WAY_OUT,
            )


def _shown(value: str) -> str:
    return one_line(without_secrets(value))


def _same(name: str, wanted: str, found: str) -> bool:
    """Whether the server means by its value what the plan has written."""
    if name in _PATHS:
        return os.path.normpath(wanted) == os.path.normpath(found)
    return wanted == found or _canonical(wanted) == _canonical(found)


def _canonical(value: str) -> str | int:
    """A value as the server prints it: times in milliseconds, numbers decimal, on and off.

    >>> _canonical("1s"), _canonical("0700"), _canonical("true"), _canonical("a, b")
    (1000, 448, 'on', 'a, b')
    """
    match = _QUANTITY.fullmatch(value)
    if match is not None:
        digits, unit = match.groups()
        base = 8 if re.fullmatch("0[0-7]+", digits) else 10
        return int(digits, base) * _MILLISECONDS.get(unit, 1)
    if value in _TRUE:
        return "on"
    return "off" if value in _FALSE else value


def _libraries(plan: RecoveryPlan, found: Mapping[str, str]) -> Iterator[CheckDone]:
    """What is loaded must be there, and must not act by itself."""
    named = {name: names_in_list(found[name]) for name in _LOADED}
    every = tuple(dict.fromkeys(name for names in named.values() for name in names))
    missing = plan.secondary.missing_libraries(every) if every else ()
    if missing and found[_SEARCHED] not in ("", "$libdir"):
        yield CheckDone(
            _NAME,
            Status.WARNING,
            f"{', '.join(map(one_line, missing))} must be found in {one_line(found[_SEARCHED])}",
            "without them the server does not start",
        )
        missing = ()
    for setting, names in named.items():
        for name in names:
            deed = acts_by_itself(name)
            if deed or name in (missing or ()):
                yield CheckDone(
                    _NAME,
                    Status.FAILURE,
                    f"{setting} would load {one_line(name)}: {deed or 'there is none here'}",
                    _WAY_OUT,
                )


def _signals(plan: RecoveryPlan) -> Iterator[CheckDone]:
    """The files beside the configuration that decide what the server does."""
    directory = plan.secondary.directory
    try:
        if plan.version.uses_recovery_conf:
            text = (directory / "recovery.conf").read_bytes().decode("utf-8", "surrogateescape")
            yield from _deviations(
                plan.recovery_settings(),
                dict.fromkeys(plan.recovery_settings(), "") | read_settings(text),
            )
        elif not (directory / "recovery.signal").exists():
            yield CheckDone(_NAME, Status.FAILURE, "there is no recovery.signal", "try once more")
        elif (directory / "standby.signal").exists():
            yield CheckDone(
                _NAME, Status.FAILURE, "standby.signal came along, and the server would obey it"
            )
    except OSError as error:
        raise PitrError("the secondary's files cannot be read", str(error)) from error
