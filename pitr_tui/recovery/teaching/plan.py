"""The fifth lesson: what a recovery will do, and whether it can succeed."""

from __future__ import annotations

from pathlib import PurePosixPath

from pitr_tui.postgres.quote import shell_command
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_commands import PlannedFile
from pitr_tui.recovery.teaching.manual import Page, archive_recovery, pages, recovery_target
from pitr_tui.recovery.teaching.seen import Case
from pitr_tui.recovery.teaching.settings import how_to_be_harmless, how_to_recover
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson
from pitr_tui.repositories.backups import BackupFormat

_WHAT = (
    "The recovery makes a secondary: a new PostgreSQL server in a new directory or, behind a "
    "Docker engine, a new container with a new volume, from a copy of the backup. The primary, the "
    "backup and the archive are only read. Before you say yes, all of it is checked.",
    "GREEN: nothing speaks against it, and the record at which it will stop was seen in the WAL "
    "(the write-ahead log, the record of every change). AMBER: it may work, and something is not "
    "proven; it can be changed to stop where that can be proven, at the last transaction that is "
    "there. RED: it cannot succeed, and the first ✗ says why.",
    '"recover into" takes a directory of this machine, volume:NAME for a new volume, or '
    "engine:/DIR for a directory of the engine's machine. A container gets the primary's own "
    "image, or the one that you name: with another C library text may sort otherwise.",
    '"then" is what the server does at the target. "pause" keeps it readable and in recovery, so '
    "that you can look and, if it was too early, go on. To promote is to open it for writing; its "
    "history then goes on as a new branch, a new timeline.",
    "Where a copy stands already, paused or kept after a failure, the plan is to go on with that: "
    "nothing is copied again, and replay goes forward only. A new copy in a new place can be made "
    "instead; the other one stays as it is.",
    "If the target is younger than the last archived segment, pitr can make the primary finish the "
    "segment that it is writing (it asks first, with the statements), wait for it in the archive, "
    "and look again.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with all files, settings and commands of the plan."""
    version, plan = case.version, case.plan
    return Lesson(
        step="plan",
        title="check: what will be done, and whether it can work",
        version=version,
        what=_WHAT,
        why=_why(case),
        source=f"{case.source} The plan itself can be shown, with every file and its text; what "
        "it shows is what the run does.",
        behind=(
            *_commands(plan),
            *map(_file, plan.files()),
            *how_to_recover(plan),
            *how_to_be_harmless(plan),
        ),
        without=_without(case),
        manual=(
            *pages(version, Page.RECOVERING),
            archive_recovery(version),
            recovery_target(version),
            *pages(version, Page.MINIMUMS, Page.CAVEATS),
        ),
        headless=(
            "pitr check --backup BACKUP --archive ARCHIVE --to DIR --target-xid 4711 --exclusive",
            "pitr restore --backup BACKUP --archive ARCHIVE --to DIR --target-xid 4711 --exclusive "
            "--dry-run",
            "pitr resume last --target-time '2026-11-22 14:35:02+01'",
        ),
    )


def _why(case: Case) -> tuple[str, ...]:
    version = case.version
    how = (
        f"PostgreSQL {version.major} recovers when it finds a file recovery.conf in its data "
        "directory at its start. The settings of the recovery stand in that file and nowhere else."
        if version.uses_recovery_conf
        else f"PostgreSQL {version.major} recovers when it finds a file recovery.signal in its "
        "data directory at its start; the file is empty. The settings of the recovery are ordinary "
        "ones; pitr writes them at the end of postgresql.auto.conf, where they win over all "
        "others. (Up to version 11 both stood in a file recovery.conf, of which this server would "
        "say that it is not supported.)"
    )
    return (
        "A copy, and never the primary itself: if the target was wrong you try again, and until "
        "you decide otherwise the application goes on with what it has.",
        how,
        "The copy has the primary's configuration. Left as it is, it would archive into the same "
        "archive, follow the same servers and answer the same applications. So the plan has a "
        "list of settings that keep it harmless: no archiving, no connection to another server, "
        "its own socket, no network for a container, and a TCP port only if you name one.",
    )


def _without(case: Case) -> tuple[str, ...]:
    start = (
        "Without recovery.conf the server would start as after a crash, replay only the WAL that "
        "came with the backup, and open for writing."
        if case.version.uses_recovery_conf
        else "Without recovery.signal the settings of the recovery are not looked at: the server "
        "would start as after a crash, with only the WAL that came with the backup."
    )
    return (
        start,
        "A recovery that cannot succeed would show that only at its end, perhaps after hours of "
        "copying and replaying.",
        "A secondary that archives would mix its own WAL into the primary's archive, and the next "
        "recovery could end up on the wrong branch.",
    )


def _commands(plan: RecoveryPlan) -> tuple[Behind, ...]:
    secondary, backup = plan.secondary, plan.backup
    copied = secondary.copy_commands(backup.path, backup.format is BackupFormat.TAR, [])[0]
    return (
        *(
            Behind(Kind.COMMAND, "place", command, "the new place; it has to be empty")
            for command in secondary.place_commands()
        ),
        Behind(Kind.COMMAND, "copy", copied, "the backup is copied to it"),
        Behind(
            Kind.COMMAND,
            "start",
            shell_command(secondary.start_command()),
            "and the server is started there. The data directory is named twice, because a copied "
            "configuration may name another one",
        ),
    )


_MEANINGS = {
    "restore-command": "the script that restore_command runs",
    "pg_hba.conf": "who may connect: the secondary's own file",
    "pg_ident.conf": "belongs to pg_hba.conf; empty",
    "recovery.conf": "makes the server recover, and says how and where to stop. At the end it is "
    "renamed to recovery.done",
    "recovery.signal": "makes the server recover; it is empty. The server removes it at the end",
}


def _file(file: PlannedFile) -> Behind:
    if file.append:
        does = []
        if file.left_out:
            does.append("its lines that read other files become comments")
        if file.text:
            does.append("the settings below are written at its end")
        meaning = "of the backup: " + (" and ".join(does) or "it stays as it is")
    else:
        meaning = _MEANINGS[PurePosixPath(file.path).name]
    return Behind(Kind.FILE, str(file.path), "", meaning)
