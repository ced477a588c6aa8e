"""The fourth lesson: where to stop."""

from __future__ import annotations

from pitr_tui.recovery.teaching.manual import Page, pages, reading_wal, recovery_target
from pitr_tui.recovery.teaching.seen import Case
from pitr_tui.recovery.teaching.settings import where_to_stop
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson

_WHAT = (
    "The recovery target is where the replay of the WAL (the write-ahead log, the record of every "
    "change) stops. Everything left of the cut is kept, everything right of it is lost. The cut "
    "stands between two transactions: choose the one that did the damage, and the recovery stops "
    "just before it, or, if you say so, just after it.",
    "The list has the suspects first: dropped and truncated tables, deletions and updates of many "
    "rows. Below them are restore points and what else was seen. It can be changed to every "
    "transaction that ended, and filtered by a word of a table's name, by rows (>1000) and by "
    "times (14:30..14:40). Everything that one of them did can be shown. The cut is moved in the "
    "picture, too.",
    "Or type a target: a time (14:35, yesterday 14:35, 10 min ago, 2026-11-22 14:35:02.117+01), an "
    "LSN, which is a position in the WAL (0/3002448), a transaction id, the name of a restore "
    'point, "end of backup" or "latest". A time without a zone is one of the zone in the headline, '
    "which can be changed.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with the target as PostgreSQL will be told."""
    version = case.version
    return Lesson(
        step="target",
        title="target: the moment to go back to",
        version=version,
        what=_WHAT,
        why=_why(case),
        source=case.source,
        behind=(*where_to_stop(case.plan), *_rest(case)),
        without=_without(case),
        manual=(
            recovery_target(version),
            *pages(version, Page.TIMELINES, Page.BACKUP_FUNCTIONS),
            reading_wal(version),
        ),
        headless=(
            "pitr wal suspects ARCHIVE --backup BACKUP",
            "pitr wal transactions ARCHIVE --backup BACKUP",
            "pitr restore --backup BACKUP --archive ARCHIVE --to DIR --target-xid 4711 --exclusive",
            "pitr restore --backup BACKUP --archive ARCHIVE --to DIR "
            "--target-time '2026-11-22 14:35:02+01'",
        ),
    )


def _why(case: Case) -> tuple[str, ...]:
    version = case.version
    kinds = "a time, a transaction id, a restore point's name or the end of the backup"
    if version.knows_lsn_target:
        kinds = "a time, a transaction id, an LSN, a restore point's name or the end of the backup"
    files = "the file recovery.conf" if version.uses_recovery_conf else "the server's configuration"
    return (
        f"PostgreSQL {version.major} can stop at {kinds}, and is told so by settings in {files}. "
        "pitr uses the safest one that there is: the id of a transaction, where the WAL was read. "
        "Clocks can be put back, and many transactions can end within one second.",
        "A recovery to a time stops at the first commit behind it. So there has to be one: on an "
        "idle server no time behind the last commit can be reached.",
        "A backup can only reach what lies behind its own end. Of those the newest is taken, "
        "because from there the least has to be replayed. You can choose another one, and see what "
        "speaks against each.",
    )


def _without(case: Case) -> tuple[str, ...]:
    version = case.version
    unreached = (
        f"A target that the WAL never comes to makes PostgreSQL {version.major} stop with an error "
        "at the end: recovery ended before configured recovery target was reached."
        if version.fails_when_target_unreached
        else f"A target that the WAL never comes to is passed over in silence: PostgreSQL "
        f"{version.major} replays to the end and opens for writing, as if all were well. pitr "
        "looks in its log for the line that says where it stopped."
    )
    branch = (
        "recovery_target_timeline left out means the branch of the backup."
        if version.uses_recovery_conf
        else "recovery_target_timeline left out means latest: if somebody has recovered this "
        "server before with archiving on, that is another history than yours."
    )
    return (
        "Without a target everything is replayed, and the accident with it.",
        "One second too late, and the accident is in; one second too early, and good work is lost "
        "that was done in that second.",
        unreached,
        f"A timeline is one branch of a server's history. {branch}",
    )


def _rest(case: Case) -> tuple[Behind, ...]:
    version = case.version
    return (
        Behind(
            Kind.FUNCTION,
            "pg_create_restore_point",
            "",
            "writes a restore point; worth doing before every risky change",
        ),
        Behind(Kind.FUNCTION, "txid_current", "", "a transaction can ask for its own id"),
        Behind(
            Kind.FUNCTION,
            version.current_lsn_function,
            "",
            "the LSN that a running server has come to",
        ),
        Behind(
            Kind.FILE,
            "0000000N.history",
            "",
            "in the archive: where timeline N left its parent, and why",
        ),
        Behind(
            Kind.COMMAND,
            version.wal_dump_tool,
            f"{version.wal_dump_tool} --rmgr=Transaction SEGMENT",
            "prints the commits in a segment with their times and ids, which is what pitr reads "
            "for the list",
        ),
    )
