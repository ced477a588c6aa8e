"""The third lesson: what a recovery starts from."""

from __future__ import annotations

from pitr_tui.postgres.quote import shell_word
from pitr_tui.recovery.teaching.manual import Page, backup_manifest, pages
from pitr_tui.recovery.teaching.seen import EXAMPLE_BACKUP, Case
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson

_WHAT = (
    "A base backup is a copy of all files of the server, taken while it runs. This step shows "
    "those in the place of your backups, newest last, and says of each whether it can be used for "
    "this cluster and with this archive.",
    "The picture below has the backups (◆) and the archived WAL of each timeline as time goes by; "
    "░ marks a gap, ✗ what is of no use. A timeline is one branch of a server's history: a new one "
    "begins whenever a recovered server is opened for writing.",
    "A new backup can be taken from the running primary, with pg_basebackup and into a new "
    "directory. It protects what happens from now on. It does not bring back what was lost before "
    "it.",
)
_WHY = (
    "Replay only goes forward. It can start from nothing but such a copy, and so the backup has to "
    "be over before the moment you want back. Every WAL segment (WAL: the write-ahead log, in "
    "files of fixed size) from the backup's beginning up to that moment has to be in the archive.",
    "While a backup is taken the server goes on writing, so the copy by itself is of no single "
    "moment: some of its files are older than others. The WAL that was written meanwhile makes "
    "them fit together. Only behind the backup's end is the copy consistent, and no moment before "
    "that can be reached with it.",
    "The file backup_label tells the server from which position in the WAL it has to begin.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with the command of a backup as it would be taken now."""
    version = case.version
    place = case.seen.backups or str(EXAMPLE_BACKUP.parent)
    return Lesson(
        step="backups",
        title="backups: what a recovery starts from",
        version=version,
        what=_WHAT,
        why=_WHY,
        source=_source(case),
        behind=(*_files(case), *_taking(case)),
        without=_without(case),
        manual=(
            *pages(version, Page.BASE_BACKUP, Page.PG_BASEBACKUP, Page.TIMELINES),
            *backup_manifest(version),
            *pages(version, Page.LOW_LEVEL_BACKUP),
        ),
        headless=(
            f"pitr backup list {shell_word(place)} --json",
            f"pitr backup take --to {shell_word(place + '/NEW')}",
        ),
    )


def _source(case: Case) -> str:
    if case.seen.backup_command:
        return "The command is the one that would run now."
    return "The command is as it would be, for a new directory in the place of your backups."


def _without(case: Case) -> tuple[str, ...]:
    version = case.version
    checked = (
        "pg_verifybackup reads all files against the checksums in the backup_manifest"
        if version.writes_backup_manifest
        else f"PostgreSQL {version.major} writes no checksums of a backup's files, so only its "
        "most important ones can be checked"
    )
    return (
        "From a backup that is younger than the accident the accident cannot be undone: it is in "
        "it.",
        "Of a copy whose backup_label is missing or was deleted, the server believes that it is "
        "just its own data after a crash. It starts at the wrong place in the WAL, comes up "
        "without complaint, and its tables can be broken.",
        f"A file that is missing or damaged may show only when somebody reads that table. {checked}"
        ".",
    )


def _files(case: Case) -> tuple[Behind, ...]:
    version = case.version
    found = [
        Behind(
            Kind.FILE,
            "backup_label",
            "",
            "where in the WAL the recovery has to begin. The server renames it to "
            "backup_label.old once it has read it",
        ),
        Behind(
            Kind.FILE,
            "tablespace_map",
            "",
            "in backups as tar files: where tablespaces, which are directories of tables outside "
            "the data directory, lay at the primary. pitr leaves it out of the copy, which keeps "
            "them inside",
        ),
        Behind(
            Kind.FILE,
            "global/pg_control",
            "",
            "the state of the cluster: system identifier, last checkpoint, and how much of some "
            "settings it had",
        ),
    ]
    if version.writes_backup_manifest:
        meaning = "every file of the backup with its size and checksum"
        found.append(Behind(Kind.FILE, "backup_manifest", "", meaning))
    return tuple(found)


def _taking(case: Case) -> tuple[Behind, ...]:
    version, seen = case.version, case.seen
    place = seen.backups or str(EXAMPLE_BACKUP.parent)
    command = seen.backup_command or (
        f"pg_basebackup --pgdata {shell_word(place + '/NEW')} --format plain -X stream "
        "--checkpoint fast --label pitr --progress --no-password"
    )
    found = [
        Behind(
            Kind.COMMAND,
            "pg_basebackup",
            command,
            "takes a backup over a connection, and with -X the WAL that was written meanwhile",
        ),
        Behind(
            Kind.FUNCTION,
            version.backup_start_function,
            "",
            "what other backup tools call before they copy the files; it sets a checkpoint, from "
            "which the replay begins",
        ),
        Behind(
            Kind.FUNCTION,
            version.backup_stop_function,
            "",
            "and behind the copy: it gives the text of backup_label (before version 15 when it is "
            "called with false)",
        ),
    ]
    if version.writes_backup_manifest:
        found.append(
            Behind(
                Kind.COMMAND,
                "pg_verifybackup",
                f"pg_verifybackup {shell_word(place + '/NEW')}",
                "compares a backup with its backup_manifest",
            )
        )
    return tuple(found)
