"""What a recovery will do, to the last file and command, before it does any of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from pitr_tui.errors import UsageError
from pitr_tui.postgres.conf import settings_block
from pitr_tui.postgres.libraries import acts_by_itself
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.quote import conf_value, shell_command
from pitr_tui.postgres.target import (
    TARGET_SETTINGS,
    Latest,
    RecoveryTarget,
    TargetAction,
    require_known_by,
)
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.feeder import (
    FEED_DIRECTORY,
    RESTORE_COMMAND,
    SCRIPT_PATH,
    WalSource,
    restore_script,
)
from pitr_tui.recovery.plan_commands import PlannedFile, copy_corrections, writing_commands
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat
from pitr_tui.repositories.identity import OWN_BLOCK
from pitr_tui.servers.secondary import OWN_DIRECTORY, Secondary


@dataclass(frozen=True)
class RecoveryPlan:
    """Everything that a run will do. What `render` prints is what the run does.

    `timeline` None means the backup's own. `raised` has the settings of which the WAL on the way
    needs more than the backup tells, and `preload` those lists of libraries, by setting, from
    which some are left out because they are missing here. Without `read_ahead` the server asks
    for no segment before it needs it. See `checks.fitted`.
    """

    backup: Backup
    archive: WalArchive
    secondary: Secondary
    target: RecoveryTarget
    action: TargetAction
    timeline: TimelineId | None = None
    raised: Mapping[str, int] = field(default_factory=dict)
    preload: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read_ahead: bool = True

    def __post_init__(self) -> None:
        require_known_by(self.target, self.version)
        if isinstance(self.target, Latest) and self.action is not TargetAction.PROMOTE:
            raise UsageError(
                f"a recovery to the end of the WAL cannot {self.action}",
                "PostgreSQL acts on recovery_target_action only at a target; at the end of the "
                "archive it promotes",
                "leave the action out, or choose a target",
            )

    @property
    def version(self) -> PostgresVersion:
        """The version of the programs that will run; its major is the backup's."""
        return self.secondary.version

    @cached_property
    def history(self) -> TimelineHistory:
        """The branch to follow. Raises PitrError when the archive does not know it."""
        return self.archive.history(self.timeline or self.backup.label.timeline)

    @property
    def source(self) -> WalSource:
        return WalSource(
            self.archive,
            self.backup.system_identifier,
            self.backup.version.major,
            self.backup.start_segment,
            self.history,
        )

    def minimum(self, name: str) -> int:
        """What the secondary will have of a setting that it must not have less of."""
        backup = self.backup
        told = (backup.parameters.get(name), backup.raised.get(name), self.raised.get(name))
        return max((value for value in told if value is not None), default=0)

    def libraries(self) -> dict[str, tuple[str, ...]]:
        """What the secondary loads, by setting: of the backup's those that act only when asked."""
        found = {name: self.preload.get(name, all_) for name, all_ in self.backup.preload.items()}
        return {
            name: tuple(one for one in libraries if not acts_by_itself(one))
            for name, libraries in found.items()
        }

    def recovery_settings(self) -> dict[str, str]:
        """Where and how to stop, for recovery.conf or the configuration."""
        settings = {"restore_command": RESTORE_COMMAND, **self.target.settings()}
        if not isinstance(self.target, Latest):
            settings["recovery_target_action"] = self.action
        own = self.backup.label.timeline
        if self.timeline is not None and self.timeline != own:
            settings["recovery_target_timeline"] = str(int(self.timeline))
        elif not self.version.uses_recovery_conf:
            settings["recovery_target_timeline"] = "current"
        if self.version.uses_recovery_conf:
            return settings
        blank = {n: "" for n in TARGET_SETTINGS if n not in _NEVER_BLANK and n not in settings}
        cleared = {"recovery_end_command": "", "archive_cleanup_command": "", **blank}
        return {**cleared, **settings}

    def safe_settings(self) -> dict[str, str]:
        """What keeps the secondary from doing harm, and makes its log readable for us."""
        version = self.version
        own = self.secondary.data_directory / OWN_DIRECTORY
        settings = {
            "archive_mode": "off",
            "archive_command": "",
            "synchronous_standby_names": "",
            "hot_standby": "on",
            **{
                name: str(value)
                for name in version.standby_minimums
                if (value := self.minimum(name))
            },
            **{
                name: _as_list(libraries)
                for name, libraries in self.libraries().items()
                if libraries != self.backup.preload[name]
            },
            "cluster_name": "pitr_secondary",
            **self.secondary.settings(),
            "hba_file": str(own / "pg_hba.conf"),
            "ident_file": str(own / "pg_ident.conf"),
            "external_pid_file": str(own / "postmaster.pid"),
            "ssl": "off",
            "bonjour": "off",
            "unix_socket_group": "",
            "huge_pages": "try",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_line_prefix": "%m [%p] ",
            "log_timezone": "UTC",
            "log_min_messages": "info",
            "log_error_verbosity": "default",
            "log_checkpoints": "on",
            "lc_messages": "C",
        }
        if version.has_logical_replication:
            settings["max_logical_replication_workers"] = "0"
        if version.has_wal_receiver_settings:
            settings |= {"primary_conninfo": "", "primary_slot_name": ""}
            settings["recovery_min_apply_delay"] = "0"
            if not version.forgot_trigger_file:
                settings["promote_trigger_file"] = ""
        if version.has_slot_synchronization:
            settings |= {"sync_replication_slots": "off", "synchronized_standby_slots": ""}
        if version.has_statistics_files:
            settings["stats_temp_directory"] = "pg_stat_tmp"
        if version.has_archive_library:
            settings["archive_library"] = ""
        if version.has_recovery_prefetch and not self.read_ahead:
            settings["recovery_prefetch"] = "off"
        if version.has_startup_progress:
            settings["log_startup_progress_interval"] = "1s"
        return settings

    def files(self) -> tuple[PlannedFile, ...]:
        """The files that the run writes into the copied backup."""
        configured = self.safe_settings()
        if not self.version.uses_recovery_conf:
            configured |= self.recovery_settings()
        own_files = ("postgresql.conf", "postgresql.auto.conf")
        texts = {own_files[0]: "", own_files[1]: settings_block(configured)}
        left_out: dict[str, list[int]] = {name: [] for name in own_files}
        for one in self.backup.includes:
            if one.left_out and one.line not in left_out.setdefault(one.file, []):
                left_out[one.file].append(one.line)
        files = [
            PlannedFile(SCRIPT_PATH, restore_script()),
            PlannedFile(OWN_DIRECTORY / "pg_hba.conf", self.secondary.access()),
            PlannedFile(OWN_DIRECTORY / "pg_ident.conf", ""),
            *(
                PlannedFile(PurePosixPath(name), texts.get(name, ""), True, tuple(lines))
                for name, lines in left_out.items()
            ),
        ]
        if self.version.uses_recovery_conf:
            lines = [f"{k} = {conf_value(v)}\n" for k, v in self.recovery_settings().items()]
            files.append(PlannedFile(PurePosixPath("recovery.conf"), "".join(lines)))
        else:
            files.append(PlannedFile(PurePosixPath("recovery.signal"), ""))
        return tuple(files)

    def render(self) -> str:
        """The plan for a person: every file with its text and every command."""
        source, secondary = self.backup, self.secondary
        lines = [
            f"# {source.path} ({source.format}) -> {secondary.destination}",
            f"# PostgreSQL {self.version}, as user {secondary.user.name}; stop {self.target}, "
            f"then {self.action}",
            "",
            "# 1. the destination, new and empty",
            *secondary.place_commands(),
            "",
            "# 2. the base backup",
            *secondary.copy_commands(
                source.path,
                source.format is BackupFormat.TAR,
                copy_corrections(source, secondary.data_directory),
            ),
            "",
            "# 3. the settings",
            *secondary.writing_commands(
                writing_commands(self.files(), secondary.data_directory, OWN_BLOCK in source.traces)
            ),
            "",
            "# 4. WAL: pitr reads, checks and lays ready",
            f"#    {self.archive.directory}/  ->  "
            f"{secondary.data_directory / FEED_DIRECTORY}/ready/",
            f"#    from {source.start_segment.name} on, timelines "
            + ", ".join(str(int(one)) for one in self.history.lineage),
            "",
            "# 5. the secondary",
            shell_command(secondary.start_command()),
        ]
        return "\n".join(lines) + "\n"


def _as_list(names: Sequence[str]) -> str:
    """Names as PostgreSQL reads a list of them."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


_NEVER_BLANK = ("recovery_target_inclusive", "recovery_target_timeline", "recovery_target_action")
