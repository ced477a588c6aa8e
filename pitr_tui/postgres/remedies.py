"""What each failure of a recovery is in plain words, and what to do about it.

The ids are those of the messages in PostgreSQL's recovery log; a remedy names fields of the
diagnosed log in {braces}.
"""

from __future__ import annotations

from dataclasses import dataclass

from pitr_tui.postgres.logkind import ObservationKind as Kind


@dataclass(frozen=True, slots=True)
class Remedy:
    """`restartable`: mend the cause and start the server again; no new restore is needed."""

    cause: str
    fix: str
    restartable: bool = False
    warning: str = ""
    id: str = ""  # of the diagnosis, where several remedies share one


_LABEL = (
    "PostgreSQL's hint invites you to remove backup_label. Do NOT: the server would start and "
    "the data would be silently corrupt."
)
_HINT_OF_GRAVE = "PostgreSQL's hint about initdb does not help here: initdb makes an empty cluster."
_ELSEWHERE = "(the primary's pg_wal, a standby, another archive)"
_COVERAGE = "`pitr wal coverage ARCHIVE`"
_SUSPECTS = "`pitr wal suspects ARCHIVE`"
_TRANSACTIONS = "`pitr wal transactions ARCHIVE`"
# Of a copy that is still in recovery.
PASSED = (
    "If the server then says that the stop point is before the consistent point, replay has passed "
    "it: restore a fresh copy."
)

REMEDIES: dict[str, Remedy] = {
    "UNREACHED": Remedy(
        "The WAL ended before the target was met.",
        "Is the target right (date, time zone)? If it is, look whether the archive goes on behind "
        f"the segment that was not found ({_COVERAGE}): then that is a gap, and its segments "
        f"must be found elsewhere {_ELSEWHERE}. If the archive ends there, the target is later "
        "than the last archived transaction: commit something on the primary and run "
        "pg_switch_wal() there (pg_switch_xlog() in 9.6), or choose an earlier target. Then start "
        f"the server again. {PASSED}",
        restartable=True,
    ),
    "UNREACHED_AT_BACKUP": Remedy(
        "The WAL ended where the base backup ends, before the target was met: nothing that was "
        "written after the backup was replayed.",
        "Look whether the archive goes on behind the segment that was not found "
        f"({_COVERAGE}): then that is a gap, and its segments must be found elsewhere "
        f"{_ELSEWHERE}, or a backup from behind the gap be used. If the archive ends there, what "
        "the primary wrote after the backup was never archived: get it from the primary's pg_wal. "
        "Then start the server again.",
        restartable=True,
        id="UNREACHED",
    ),
    "UNREACHED_NAME": Remedy(
        "All WAL that was found was replayed, and it has no restore point of that name behind the "
        "base backup.",
        f"Check the spelling, capitals too: {_SUSPECTS} lists the restore points that the archive "
        "has. One made before the end of the backup needs an older backup; one on another branch "
        "of history its recovery_target_timeline. Only when it was made after the last archived "
        "WAL, archive what follows. Set the right name and start the server again. "
        f"{PASSED}",
        restartable=True,
        id="UNREACHED",
    ),
    "UNREACHED_XID": Remedy(
        "All WAL that was found was replayed, and no commit or rollback of that transaction is in "
        "it behind the base backup.",
        "Is the number right? It has 32 bits: of a longer one, as pg_current_xact_id() and "
        "txid_current() give it, the server takes only the lower 32. That of a subtransaction, or "
        f"of a transaction that never ended, is not met; {_TRANSACTIONS} lists those that are. "
        "One that ended before the backup did needs an older backup. Only when it ended after the "
        "last archived WAL, archive what follows. Set the right number and start the server "
        f"again. {PASSED}",
        restartable=True,
        id="UNREACHED",
    ),
    "TOO_EARLY": Remedy(
        "The target lies before the point where this copy is consistent: before the end of the "
        "base backup, or before the place that an earlier replay has come to.",
        "Restore a fresh copy of a backup that ended before the target, or choose a later target. "
        "Replay cannot go backwards in this copy.",
    ),
    "NO_END_OF_BACKUP": Remedy(
        "The WAL that was written while the base backup ran is not all there, and without it the "
        "backup is unusable.",
        "Find the WAL from the begin to the end of the backup and put it into the archive, then "
        "start the server again; otherwise use another backup.",
        restartable=True,
        warning="If PostgreSQL asks for pg_stop_backup(): that is for the primary while the "
        "backup runs, and mends nothing now.",
    ),
    "NOT_CONSISTENT": Remedy(
        "The WAL ended before the copied data files were consistent.",
        "Put the segments that follow into the archive and start the server again; otherwise use "
        "another backup.",
        restartable=True,
    ),
    "NO_CHECKPOINT": Remedy(
        "The server did not find the WAL segment with the checkpoint that its backup_label names.",
        "Check that recovery.signal (recovery.conf before 12) is in the data directory and that "
        "restore_command finds that segment, then start the server again.",
        restartable=True,
        warning=_LABEL,
    ),
    "NO_LABEL": Remedy(
        "The copy has no backup_label, so the server looked for a checkpoint that is not the "
        "backup's.",
        "Restore the backup again and leave backup_label where it is.",
        warning="Do not use pg_resetwal: it makes the server start on data that are corrupt.",
    ),
    "NO_REDO": Remedy(
        "The WAL segment where replay must begin is missing.",
        "Put that segment into the archive (or check recovery.signal and restore_command), then "
        "start the server again.",
        restartable=True,
        warning=_LABEL,
    ),
    "TIMELINE": Remedy(
        "The timeline that the server was to follow is not a continuation of this copy's history.",
        "Set recovery_target_timeline by hand ('current' before version 12 is the default: leave "
        "it out) to the backup's own timeline or to one that forked off after the backup, and "
        "start the server again. Earlier trial recoveries leave such timelines in an archive.",
        restartable=True,
    ),
    "TIMELINE_MISSING": Remedy(
        "The timeline that was asked for has no history file in the archive.",
        "Ask for a timeline that exists, or put its .history file into the archive, and start the "
        "server again.",
        restartable=True,
        id="TIMELINE",
    ),
    "WRONG_BRANCH": Remedy(
        "Replay has gone along one branch of history and cannot change to the other one: this "
        "copy, or its backup's end, lies behind the place where the timelines part.",
        "Set recovery_target_timeline to the branch that this copy is on, and start again; to "
        "follow the other branch restore a backup that ended before the fork.",
        restartable=True,
        id="TIMELINE",
    ),
    "HISTORY": Remedy(
        "The history file of a timeline is damaged.",
        "Replace the .history file in the archive with a whole copy, and start the server again.",
        restartable=True,
    ),
    "PARAM": Remedy(
        "A setting is lower here than it was on the primary, and replay needs at least that much.",
        "Raise the setting and start the server again; no new restore is needed.",
        restartable=True,
        warning="hot_standby = off would hide the error, and then nobody can look at the data "
        "while replay is paused.",
    ),
    "WAL_LEVEL": Remedy(
        "The primary ran with wal_level = minimal for a while: its WAL lacks data from there on.",
        "Use a backup taken after that moment, or a target before it (in a fresh copy).",
    ),
    "FETCH_FATAL": Remedy(
        "The restore_command broke down, so the server stopped instead of going on without WAL.",
        "Run the restore_command by hand as the server's user until it works, then start the "
        "server again.",
        restartable=True,
    ),
    "FETCH_FAILED": Remedy(
        "The restore_command failed for another reason than an absent file, but with an exit code "
        "of 1 to 125: PostgreSQL takes that for the end of the archive.",
        "Make the archive reachable and let restore_command exit with 255 for anything but a "
        "file that is proved absent. Then start the server again.",
        restartable=True,
    ),
    "FETCH_KILLED": Remedy(
        "The process that replays ended without a word, as it does when its restore_command is "
        "killed (SIGTERM).",
        "Find out who ended the restore_command (a timeout, a container that stops, an "
        "administrator), and start the server again.",
        restartable=True,
    ),
    "KILLED": Remedy(
        "The process that replays was killed from outside, as the kernel does when memory runs "
        "out.",
        "Look into the kernel's log for the OOM killer, give the server more memory or lower "
        "shared_buffers, and start it again.",
        restartable=True,
    ),
    "SIZE": Remedy(
        "A WAL segment was delivered cut or empty: its upload or download was broken off.",
        "Replace the segment in the archive with a whole copy (the primary's pg_wal, a standby, "
        "another archive), and start the server again.",
        restartable=True,
    ),
    "STAT": Remedy(
        "The restore_command reports success but does not leave a file where the server looks.",
        "Mend the restore_command: it must write the file to %p and exit with 1 when it does not "
        "have it. Then start the server again.",
        restartable=True,
        warning=_LABEL,
    ),
    "CRC": Remedy(
        "A WAL record is damaged, and the server takes that for the end of the WAL.",
        "Replace the segment in the archive with a whole copy from elsewhere (the primary's "
        "pg_wal, a standby, another archive) and start the server again, or choose a target "
        "before the damage.",
        restartable=True,
    ),
    "PAGE": Remedy(
        "A segment that the archive delivered holds no valid WAL, and the server takes that for "
        "the end of the WAL.",
        "Replace the segment in the archive with a whole copy from elsewhere (the primary's "
        "pg_wal, a standby, another archive) and start the server again, or choose a target "
        "before it.",
        restartable=True,
    ),
    "UNUSABLE": Remedy(
        "A segment that the archive delivered was not used: it is empty, damaged, or of another "
        "cluster. Up to version 11 PostgreSQL says nothing about that, and takes it for the end "
        "of the WAL.",
        "Look at that segment (pg_waldump, its size and its first bytes), replace it by a whole "
        "copy from elsewhere (the primary's pg_wal, a standby, another archive) and start the "
        "server again.",
        restartable=True,
        id="PAGE",
    ),
    "RECLEN": Remedy(
        "The WAL breaks off in the middle of a segment where more should follow.",
        "Look for a whole copy of that segment (the primary's pg_wal, a standby, a .partial file), "
        "put it into the archive and start the server again.",
        restartable=True,
    ),
    "SYSID": Remedy(
        "The archive delivered WAL of another cluster, and the server takes that for the end of "
        "the WAL.",
        "Point restore_command at the archive of this cluster, or remove the foreign segments "
        "from it, and start the server again.",
        restartable=True,
    ),
    "GAP": Remedy(
        "A WAL segment is missing although later ones are there, and PostgreSQL takes a missing "
        "segment for the end of the WAL.",
        "Look for the missing segment elsewhere (the primary's pg_wal, a standby, another "
        "archive), or use a backup from behind the gap.",
        restartable=True,
    ),
    "ENDED_AT_BACKUP": Remedy(
        "Replay ended where the base backup ends: nothing that was written after the backup is "
        "in these data.",
        "If the primary went on after the backup, its WAL is missing from the archive or could "
        "not be read: look for the first missing segment. If nothing was written since, all is "
        "well.",
    ),
    "MULTI": Remedy(
        "More than one recovery target is set; one is often left over from an earlier restore.",
        "Keep exactly one recovery_target... setting in all configuration files, "
        "postgresql.auto.conf included, and start the server again.",
        restartable=True,
    ),
    "GUC": Remedy(
        "The server does not accept a setting.",
        "Correct the setting and start the server again; times are safest as "
        "2026-11-22 14:35:02.117+00.",
        restartable=True,
    ),
    "CONF": Remedy(
        "The recovery is not configured the way this version of PostgreSQL wants it.",
        "Up to version 11 the settings belong into recovery.conf; from 12 on into postgresql.conf "
        "with an empty recovery.signal beside it. Correct that and start the server again.",
        restartable=True,
    ),
    "PERM": Remedy(
        "The server may not use its data directory or a file in it, or others may.",
        "Make the server's user the owner of all files and set the data directory to mode 0700, "
        "then start the server again.",
        restartable=True,
    ),
    "INCR": Remedy(
        "This is an incremental backup, which is not a data directory.",
        "Combine it with its parents by pg_combinebackup into a new directory, and start that.",
    ),
    "INVALID_PAGES": Remedy(
        "The WAL changes pages that the copied files do not have: the restore was partial, or a "
        "file was lost.",
        "Restore the whole backup again, without leaving out databases or tablespaces.",
        warning="ignore_invalid_pages and zero_damaged_pages lose data; they repair nothing.",
    ),
    "VERSION": Remedy(
        "The data directory belongs to another major version of PostgreSQL than the server.",
        "Start the server of the backup's own major version on it.",
        restartable=True,
        warning=_HINT_OF_GRAVE,
    ),
    "NO_RECOVERY_FILE": Remedy(
        "The server replayed only the WAL that lay in its own directory, as after a crash, and "
        "never asked the WAL archive: its recovery.signal (recovery.conf before 12) was missing, "
        "and any target was ignored.",
        "If a recovery was meant, restore the backup again, and put recovery.signal or "
        "recovery.conf there before the first start. If the server had merely crashed, or only "
        "the backup's own state was wanted, all is well.",
    ),
    "CRASH": Remedy(
        "The server repaired itself from the WAL in its own directory and asked no WAL archive. "
        "So does any server that crashed, and so does a restored copy whose recovery.signal "
        "(recovery.conf before 12) was forgotten; this log does not tell which it is.",
        "Was this a restore from a backup? If not, it was an ordinary crash, all is well, and "
        "nothing is to be done. If it was, any target was ignored: restore the backup again, and "
        "put recovery.signal or recovery.conf there before the first start.",
        id="NO_RECOVERY_FILE",
    ),
    "NOT_ASKED": Remedy(
        "The server began from a backup_label, but did not ask any archive for the WAL segment "
        "with its first checkpoint.",
        "Put recovery.signal (recovery.conf before 12) into the data directory, check that "
        "restore_command is set and finds the segment, and start the server again.",
        restartable=True,
        warning=_LABEL,
        id="NO_CHECKPOINT",
    ),
    "PORT": Remedy(
        "The server cannot have its port or socket: another server has it.",
        "Choose another port or socket directory, or stop the other server; then start this one.",
        restartable=True,
    ),
    "LOCKED": Remedy(
        "Another server runs on this data directory, or one died and left its lock file.",
        "Stop the other server. Only when none runs (look at the process in postmaster.pid), "
        "remove postmaster.pid and start again.",
        restartable=True,
        warning="Removing postmaster.pid under a running server destroys the data.",
    ),
    "DISK_FULL": Remedy(
        "A file system is full.",
        "Make room and start the server again.",
        restartable=True,
        warning="Do not delete files in pg_wal to make room.",
    ),
    "LIBRARY": Remedy(
        "The server needs a library that is not installed here.",
        "Install the extension for this version, or take it out of shared_preload_libraries in "
        "the copy, and start the server again.",
        restartable=True,
    ),
    "RESOURCES": Remedy(
        "The machine did not give the server the memory or semaphores that it asked for.",
        "Lower shared_buffers or max_connections (not below the primary's), turn huge_pages off, "
        "or raise the limit of the machine or container; then start the server again.",
        restartable=True,
    ),
    "SLOTS": Remedy(
        "The server is configured for fewer slots or prepared transactions than the copy holds.",
        "Raise the setting that the line names (max_replication_slots, wal_level, "
        "max_prepared_transactions) and start the server again.",
        restartable=True,
    ),
    "BACKUP": Remedy(
        "The base backup itself is not sound.",
        "Use another backup.",
    ),
    "CONTROL_FILE": Remedy(
        "The file global/pg_control is missing or damaged: the copy is not whole.",
        "Restore the backup again, whole.",
        warning="Do not use pg_resetwal: it makes the server start on data that are corrupt.",
    ),
    "DATA": Remedy(
        "The copied data files are damaged or not whole.",
        "Restore the backup again and verify it (pg_verifybackup, pg_checksums); if it is damaged "
        "itself, use another one.",
        warning="ignore_invalid_pages and zero_damaged_pages lose data; they repair nothing.",
    ),
    "TABLESPACE": Remedy(
        "A tablespace has no directory at the place where the copy expects it.",
        "Make the directory (owned by the server's user) or point the link in pg_tblspc elsewhere, "
        "and start the server again.",
        restartable=True,
    ),
    "NO_DATA": Remedy(
        "The path is not a data directory of PostgreSQL.",
        "Give the server the directory with PG_VERSION in it, and check that it is mounted.",
        restartable=True,
    ),
    "IMAGE": Remedy(
        "The container image found its data elsewhere than it expects them.",
        "Mount the copy at a place of its own and name it by PGDATA, or start the program "
        "'postgres -D PLACE' itself instead of the image's entry point.",
        restartable=True,
    ),
    "ROOT": Remedy(
        "PostgreSQL refuses to run as root.",
        "Start it as the user that owns the data directory.",
        restartable=True,
    ),
    "WRONG_STOP": Remedy(
        "The server stopped at another place than its target.",
        "Do not use these data as the state at the target; restore again.",
    ),
    "NO_EVIDENCE": Remedy(
        "The server opened, and this log does not tell at which target it was to stop, nor that "
        "it stopped: its beginning is missing.",
        "Look at the whole log, from the start of the server on, before you trust the data.",
    ),
    "UNKNOWN": Remedy(
        "The server broke off for a reason that this program does not know.",
        "Read the line itself; what the server wrote just before it tells more.",
    ),
}

IDS: dict[Kind, str] = {
    Kind.UNREACHED: "UNREACHED",
    Kind.TOO_EARLY: "TOO_EARLY",
    Kind.WAL_ENDS_BEFORE_BACKUP_END: "NO_END_OF_BACKUP",
    Kind.NOT_CONSISTENT: "NOT_CONSISTENT",
    Kind.NO_CHECKPOINT: "NO_CHECKPOINT",
    Kind.NO_BACKUP_LABEL: "NO_LABEL",
    Kind.NO_REDO_LOCATION: "NO_REDO",
    Kind.NOT_A_CHILD_TIMELINE: "TIMELINE",
    Kind.WRONG_TIMELINE: "WRONG_BRANCH",
    Kind.NO_TIMELINE_HISTORY: "TIMELINE_MISSING",
    Kind.BAD_HISTORY: "HISTORY",
    Kind.PARAMETER_TOO_LOW: "PARAM",
    Kind.PAUSED_UNFIT: "PARAM",
    Kind.WAL_LEVEL_MINIMAL: "WAL_LEVEL",
    Kind.FETCH_FATAL: "FETCH_FATAL",
    Kind.FETCHED_NOTHING: "STAT",
    Kind.WRONG_SIZE: "SIZE",
    Kind.CHECKSUM: "CRC",
    Kind.BAD_PAGE: "PAGE",
    Kind.RECORD_END: "RECLEN",
    Kind.FOREIGN_SYSTEM: "SYSID",
    Kind.INVALID_PAGES: "INVALID_PAGES",
    Kind.MULTIPLE_TARGETS: "MULTI",
    Kind.BAD_SETTING: "GUC",
    Kind.OLD_RECOVERY_CONF: "CONF",
    Kind.NO_RESTORE_COMMAND: "CONF",
    Kind.BAD_PERMISSIONS: "PERM",
    Kind.INCREMENTAL: "INCR",
    Kind.VERSION_MISMATCH: "VERSION",
    Kind.NOT_A_DATA_DIRECTORY: "NO_DATA",
    Kind.WRONG_IMAGE_PLACE: "IMAGE",
    Kind.WRONG_USER: "ROOT",
    Kind.MISSING_LIBRARY: "LIBRARY",
    Kind.PORT_IN_USE: "PORT",
    Kind.ALREADY_RUNNING: "LOCKED",
    Kind.DISK_FULL: "DISK_FULL",
    Kind.OUT_OF_RESOURCES: "RESOURCES",
    Kind.TOO_FEW_SLOTS: "SLOTS",
    Kind.BAD_BACKUP: "BACKUP",
    Kind.BAD_CONTROL_FILE: "CONTROL_FILE",
    Kind.DAMAGED_DATA: "DATA",
    Kind.MISSING_TABLESPACE: "TABLESPACE",
}
