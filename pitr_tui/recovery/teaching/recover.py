"""The sixth lesson: the replay."""

from __future__ import annotations

from pitr_tui.postgres.quote import shell_command
from pitr_tui.recovery.feeder import FEED_DIRECTORY, SCRIPT_PATH
from pitr_tui.recovery.teaching.manual import Page, archive_recovery, pages
from pitr_tui.recovery.teaching.seen import Case
from pitr_tui.recovery.teaching.settings import how_to_recover
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson

_WHAT = (
    "The plan is carried out: the backup is copied to the destination, the settings are written, "
    "and a secondary is started there. It replays the WAL (the write-ahead log, the record of "
    "every change) that pitr hands to it, up to your target.",
    'The badge says how it stands. "Readable" is not "at the target": only when the badge says so '
    "have the data the state that you asked for. Below is the secondary's own log, and each line "
    "of it can be explained.",
    "You may look at other steps meanwhile. Stopping the run takes away what it has made; your "
    "backup, your archive and the primary are not touched by it in any case.",
    "Where a run fails and a restart may be enough, its copy is kept: it can be gone on with, now "
    "or later, and nothing is copied again. A setting of which the secondary said that it is too "
    "low is raised then. Such a run is not removed any more unless you say so.",
)
_WHY = (
    "At its start the server reads backup_label to learn where in the WAL it has to begin. Then it "
    "asks for one segment (one file of WAL) after the other by running restore_command, and does "
    "again what each record says.",
    "First it has to replay what was written while the backup was taken. At the end of that it "
    "says consistent recovery state reached, and can be read; the data are those of the backup's "
    "end. From there it goes on to the target, and says recovery stopping before or after commit "
    "of transaction ..., with its time.",
    "pitr stands between the archive and the server. It reads the segments ahead, several at a "
    "time, unpacks them, and checks that each is whole, of this cluster and at its place.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with what the server is told and what it can be asked meanwhile."""
    version = case.version
    return Lesson(
        step="recover",
        title="recover: replay up to the target",
        version=version,
        what=_WHAT,
        why=_WHY,
        source=case.source,
        behind=(
            Behind(
                Kind.COMMAND,
                "start",
                shell_command(case.plan.secondary.start_command()),
                "the secondary",
            ),
            *(one for one in how_to_recover(case.plan) if one.value),
            *_rest(case),
        ),
        without=_without(case),
        manual=(
            *pages(version, Page.RECOVERING),
            archive_recovery(version),
            *pages(version, Page.READING_IN_RECOVERY, Page.MINIMUMS),
        ),
        headless=(
            "pitr restore --backup BACKUP --archive ARCHIVE --to DIR --target-xid 4711 --exclusive",
            "pitr resume last",
            "pitr discard last",
            "pitr explain LOGFILE",
        ),
    )


def _without(case: Case) -> tuple[str, ...]:
    version = case.version
    few = (
        f"PostgreSQL {version.major} goes on to open for writing where the WAL ends, even if that "
        "is before the target."
        if not version.fails_when_target_unreached
        else "With a target set the server then stops with an error; without one it opens for "
        "writing there."
    )
    return (
        "A restore_command that fails because a disk or a network is away looks to the server just "
        f"like the end of the archive, if its exit code is below 126. {few} That is why pitr's "
        "script says 1 only when it is proved that the file is not there, and 255 otherwise.",
        "Who takes the first answer on the port for the recovered state reads the data of the "
        "backup, perhaps a day old, while the replay still goes on.",
    )


def _rest(case: Case) -> tuple[Behind, ...]:
    version = case.version
    signal = "recovery.conf" if version.uses_recovery_conf else "recovery.signal"
    return (
        Behind(Kind.FILE, str(SCRIPT_PATH), "", "the script that restore_command runs"),
        Behind(
            Kind.FILE,
            f"{FEED_DIRECTORY}/ready/",
            "",
            "where pitr lays the checked segments for it",
        ),
        Behind(Kind.FILE, "backup_label", "", "where to begin; renamed once it is read"),
        Behind(Kind.FILE, signal, "", "as long as it is there, every start goes on recovering"),
        Behind(
            Kind.FUNCTION,
            version.replay_lsn_function,
            "",
            "how far it is, as an LSN, which is a position in the WAL",
        ),
        Behind(
            Kind.FUNCTION,
            "pg_last_xact_replay_timestamp",
            "",
            "the time of the last commit that was replayed",
        ),
        Behind(
            Kind.FUNCTION,
            version.replay_paused_function,
            "",
            "whether it waits at its target",
        ),
    )
