"""What the settings of a plan mean, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pitr_tui.postgres.target import TARGET_SETTINGS, TargetAction
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.teaching.values import Behind, Kind


@dataclass(frozen=True, slots=True)
class _Theme:
    """Settings that are there for one reason."""

    names: tuple[str, ...]
    meaning: str


_TARGETS = {
    "recovery_target_time": "the time to stop at. PostgreSQL compares it with the times that "
    "stand in the WAL at each commit",
    "recovery_target_xid": "the transaction to stop at, by its id",
    "recovery_target_lsn": "the LSN, which is a position in the WAL, to stop at",
    "recovery_target_name": "the restore point to stop at: a name that somebody wrote into the "
    "WAL with pg_create_restore_point()",
    "recovery_target": "stop as soon as the copy is consistent: at the end of the backup",
}
_INCLUSIVE = {
    "on": "on: stop just after the target, so that it is kept",
    "off": "off: stop just before the target, so that it is left out",
}
_ACTION = {
    TargetAction.PAUSE: "what to do there: stay in recovery, readable and unchanged, so that you "
    "can look, and go on if it was too early",
    TargetAction.PROMOTE: "what to do there: open for writing. There is no way back from that",
    TargetAction.SHUTDOWN: "what to do there: stop the server",
}
_TIMELINE = (
    "which branch of history to follow where there are several; current is the one that the "
    "backup was taken on"
)
_RESTORE_COMMAND = (
    "the shell command by which the server asks for each file of the archive: %f is its name, %p "
    "where to put it. It runs a small script of pitr's, which hands over what pitr has read and "
    "checked. Exit code 0 means delivered, 1 means that the archive does not have it, which is "
    "the end of the WAL, and above 125 that the server has to stop"
)
_EMPTIED = (
    "emptied: a backup can bring values of an earlier recovery along, and two targets at once are "
    "an error"
)

# In the order in which a person decides: how, where to stop, which way, what then.
_ORDER = (
    "restore_command",
    *_TARGETS,
    "recovery_target_inclusive",
    "recovery_target_timeline",
    "recovery_target_action",
)

_SAFE = (
    _Theme(
        ("archive_mode", "archive_command", "archive_library"),
        "the secondary archives nothing. It has the primary's configuration, and would otherwise "
        "write into the very archive that it is made from",
    ),
    _Theme(
        (
            "primary_conninfo",
            "primary_slot_name",
            "promote_trigger_file",
            "recovery_min_apply_delay",
            "max_logical_replication_workers",
            "sync_replication_slots",
            "synchronized_standby_slots",
            "synchronous_standby_names",
        ),
        "it connects to no other server, is opened by no file of another's, delays nothing, and "
        "waits for no standby",
    ),
    _Theme(
        ("recovery_end_command", "archive_cleanup_command"),
        "it runs none of the primary's commands, of which the second one deletes archived WAL",
    ),
    _Theme(
        ("hot_standby",),
        "it can be read while it is in recovery. Without that nobody could look at the target "
        "before it is opened for writing",
    ),
    _Theme(
        (
            "max_connections",
            "max_worker_processes",
            "max_wal_senders",
            "max_prepared_transactions",
            "max_locks_per_transaction",
        ),
        "not less than the primary had: in recovery the server has to keep track of what went on "
        "there, and cannot be read with less room for it",
    ),
    _Theme(
        ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"),
        "without the libraries that act by themselves, such as job schedulers, and those that "
        "are missing here",
    ),
    _Theme(
        (
            "cluster_name",
            "listen_addresses",
            "port",
            "unix_socket_directories",
            "unix_socket_permissions",
        ),
        "a name and a door of its own, so that no application takes it for the primary",
    ),
    _Theme(
        ("hba_file", "ident_file", "external_pid_file", "stats_temp_directory"),
        "files of its own: who may connect, and what it would else share with the primary",
    ),
    _Theme(
        ("ssl", "bonjour", "unix_socket_group", "huge_pages"),
        "what the primary's machine has and this place need not have",
    ),
    _Theme(
        ("recovery_prefetch",),
        "no segment is asked for before it is needed",
    ),
    _Theme(
        (
            "logging_collector",
            "log_destination",
            "log_line_prefix",
            "log_timezone",
            "log_min_messages",
            "log_error_verbosity",
            "log_checkpoints",
            "log_startup_progress_interval",
            "lc_messages",
        ),
        "its log comes to pitr, in one form and language, with all that it says of the recovery",
    ),
)


def where_to_stop(plan: RecoveryPlan) -> tuple[Behind, ...]:
    """The settings that a target and what happens there become."""
    return _those(plan, lambda name, value: bool(value) and name in TARGET_SETTINGS)


def how_to_recover(plan: RecoveryPlan) -> tuple[Behind, ...]:
    """All the settings of the recovery, the emptied ones last."""
    asked = _those(plan, lambda name, value: bool(value))
    return asked + _those(plan, lambda name, value: not value)


def how_to_be_harmless(plan: RecoveryPlan) -> tuple[Behind, ...]:
    """The settings that keep the secondary from doing harm, by what they are for."""
    settings = plan.safe_settings()
    if not plan.version.uses_recovery_conf:
        settings |= plan.recovery_settings()
    return tuple(
        Behind(Kind.SETTING, name, settings[name], theme.meaning)
        for theme in _SAFE
        for name in theme.names
        if name in settings
    )


def archiving_meanings(version: PostgresVersion) -> Mapping[str, str]:
    """What the settings of a primary that archives mean."""
    meanings = {
        "wal_level": "how much is written into the WAL. replica is enough to rebuild the data on "
        "another server; minimal is not",
        "archive_mode": "on: the server hands over every finished segment, and keeps it until "
        "that has worked",
        "archive_command": "the shell command that it runs for each one: %p is the segment, %f "
        "its name. This one copies, writes through to the disk, renames at the end, and never "
        "replaces a file by a different one",
        "archive_timeout": "finish a segment after so many seconds even if it is not full. So "
        "much work can be missing from the archive at most",
        "max_wal_senders": "how many programs may take WAL from the server at once; a backup "
        "takes two",
    }
    if version.has_archive_library:
        meanings["archive_library"] = "empty: a library in here would take archive_command's place"
    return meanings


def _those(plan: RecoveryPlan, wanted: Callable[[str, str], bool]) -> tuple[Behind, ...]:
    settings = plan.recovery_settings()
    return tuple(
        Behind(Kind.SETTING, name, value, _meaning(name, value))
        for name in _ORDER
        if (value := settings.get(name)) is not None and wanted(name, value)
    )


def _meaning(name: str, value: str) -> str:
    if name == "restore_command":
        return _RESTORE_COMMAND
    if not value:
        return _EMPTIED
    if name == "recovery_target_inclusive":
        return _INCLUSIVE[value]
    if name == "recovery_target_action":
        return _ACTION[TargetAction(value)]
    return _TIMELINE if name == "recovery_target_timeline" else _TARGETS[name]
