"""What a recovery will do, to the last file and command, before it does any of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pitr_tui.errors import UsageError
from pitr_tui.postgres.conf import settings_block
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.quote import conf_value, shell_command, shell_word
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
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_place, socket_settings
from pitr_tui.servers.osuser import OsUser

OWN_DIRECTORY = Path("pitr")
_DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the secondary's data directory; appended to what the backup has, or written."""

    path: Path
    text: str
    append: bool = False


@dataclass(frozen=True)
class RecoveryPlan:
    """Everything that a run will do. What `render` prints is what the run does.

    `timeline` None means the backup's own. `port` None opens no TCP port: the secondary
    listens on a socket that only its user can reach.
    """

    backup: Backup
    archive: WalArchive
    destination: Path
    target: RecoveryTarget
    action: TargetAction
    installation: Installation
    user: OsUser
    timeline: TimelineId | None = None
    port: int | None = None
    role: str = "postgres"

    def __post_init__(self) -> None:
        require_known_by(self.target, self.version)
        if isinstance(self.target, Latest) and self.action is not TargetAction.PROMOTE:
            raise UsageError(
                f"a recovery to the end of the WAL cannot {self.action}",
                "PostgreSQL acts on recovery_target_action only at a target; at the end of the "
                "archive it promotes",
                "leave the action out, or choose a target",
            )
        if not self.destination.is_absolute():
            raise UsageError(f"the destination {self.destination} has to be an absolute path")

    @property
    def version(self) -> PostgresVersion:
        """The version of the programs that will run; its major is the backup's."""
        return self.installation.version

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

    @property
    def socket_directory(self) -> Path:
        return socket_place(self.destination / OWN_DIRECTORY / "socket")

    @property
    def server(self) -> LocalServer:
        """The secondary as it will run."""
        return LocalServer(
            installation=self.installation,
            data_directory=self.destination,
            user=self.user,
            socket_directory=self.socket_directory,
            port=self.port or _DEFAULT_PORT,
            log_path=self.destination / OWN_DIRECTORY / "postgresql.log",
            role=self.role,
        )

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
        settings = {
            "archive_mode": "off",
            "archive_command": "",
            "synchronous_standby_names": "",
            "hot_standby": "on",
            "cluster_name": "pitr_secondary",
            **socket_settings(self.socket_directory, self.port or _DEFAULT_PORT),
            **({"listen_addresses": "127.0.0.1"} if self.port else {}),
            "hba_file": str(self.destination / OWN_DIRECTORY / "pg_hba.conf"),
            "ident_file": str(self.destination / OWN_DIRECTORY / "pg_ident.conf"),
            "external_pid_file": str(self.destination / OWN_DIRECTORY / "postmaster.pid"),
            "ssl": "off",
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
        if version.has_statistics_files:
            settings["stats_temp_directory"] = "pg_stat_tmp"
        if version.has_archive_library:
            settings["archive_library"] = ""
        if version.has_startup_progress:
            settings["log_startup_progress_interval"] = "1s"
        return settings

    def files(self) -> tuple[PlannedFile, ...]:
        """The files that the run writes into the copied backup."""
        configured = self.safe_settings()
        if not self.version.uses_recovery_conf:
            configured |= self.recovery_settings()
        files = [
            PlannedFile(SCRIPT_PATH, restore_script()),
            PlannedFile(OWN_DIRECTORY / "pg_hba.conf", self._hba()),
            PlannedFile(OWN_DIRECTORY / "pg_ident.conf", ""),
            PlannedFile(Path("postgresql.conf"), "", append=True),
            PlannedFile(Path("postgresql.auto.conf"), settings_block(configured), append=True),
        ]
        if self.version.uses_recovery_conf:
            lines = [f"{k} = {conf_value(v)}\n" for k, v in self.recovery_settings().items()]
            files.append(PlannedFile(Path("recovery.conf"), "".join(lines)))
        else:
            files.append(PlannedFile(Path("recovery.signal"), ""))
        return tuple(files)

    def render(self) -> str:
        """The plan for a person: every file with its text and every command."""
        source, to = self.backup, shell_word(str(self.destination))
        lines = [
            f"# {source.path} ({source.format}) -> {self.destination}",
            f"# PostgreSQL {self.version}, as user {self.user.name}; stop {self.target}, "
            f"then {self.action}",
            "",
            "# 1. the destination, new and empty",
            f"install -d -m 0700 -o {self.user.name} {to}",
            "",
            "# 2. the base backup",
            f"{self._copy_command()} {to}",
            "",
            "# 3. the settings",
        ]
        for file in self.files():
            sign = ">>" if file.append else ">"
            path = shell_word(str(self.destination / file.path))
            if not file.text:
                lines += [f": {sign}{path}", ""]
                continue
            lines += [
                f"cat {sign}{path} <<'EOF'",
                *file.text.removesuffix("\n").split("\n"),
                "EOF",
                "",
            ]
        lines += [
            "# 4. WAL: pitr reads, checks and lays ready",
            f"#    {self.archive.directory}/  ->  {self.destination / FEED_DIRECTORY}/ready/",
            f"#    from {source.start_segment.name} on, timelines "
            + ", ".join(str(int(one)) for one in self.history.lineage),
            "",
            "# 5. the secondary",
            shell_command(self.server.start_command()),
        ]
        return "\n".join(lines) + "\n"

    def _copy_command(self) -> str:
        path = shell_word(str(self.backup.path))
        if self.backup.format == "tar":
            return f"tar -xf {path}/base.tar* -C"
        return f"cp -R {path}/."

    def _hba(self) -> str:
        lines = ["local all all trust\n"]
        if self.port is not None:
            method = self.version.password_method
            lines.append(f"host all all 127.0.0.1/32 {method}\n")
        return "".join(lines)


_NEVER_BLANK = ("recovery_target_inclusive", "recovery_target_timeline", "recovery_target_action")
