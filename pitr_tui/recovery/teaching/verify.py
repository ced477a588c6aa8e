"""The last lesson: whether it is what was wanted, and what becomes of it."""

from __future__ import annotations

from pitr_tui.recovery.teaching.manual import Page, pages
from pitr_tui.recovery.teaching.seen import Case
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson

_WHAT = (
    "The secondary has stopped where it was to. Shown are the sentence that PostgreSQL said to "
    "that and the checks, and below them its tables with their exact number of rows, beside the "
    "primary's. Checks that came out well are told in one line, and can be shown with what was "
    "seen.",
    "Ask it anything with a query: it runs in a read-only transaction, in the database of the "
    "table that is highlighted. A query can be kept with its answer as a check of your own, which "
    "is made again after the next recovery of this cluster; checks can be written into pitr.yaml, "
    "too.",
    "Paused, it stays as it is for as long as you like, and can be stepped on to a later target "
    "with the same copy. There is no step back, but a new copy can be made for an earlier one. "
    "Promoted, it opens for writing, on a timeline (a branch of history) of its own, and there is "
    "no way back to the pause. Thrown away, it is stopped and removed.",
    "A secondary in a container can be written down as a service of a compose file: of one of its "
    "own, or of the compose file's service beside the primary.",
)
_WITHOUT = (
    "A target can be a second or a time zone off. Whoever promotes without looking finds that out "
    "when new data have been written on top, and has to begin again.",
    "Rows that look wrong may be right: unlogged tables are empty after every recovery, because "
    "nothing is written into the WAL for them, and a sequence can be up to 32 values ahead.",
    "A paused secondary that is forgotten holds its disk space. One that is promoted twice from "
    "the same backup gives two servers with different histories: write down which one is in use.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with how the secondary is reached and asked."""
    version = case.version
    return Lesson(
        step="verify",
        title="verify: look before you decide",
        version=version,
        what=_WHAT,
        why=_why(case),
        source=case.source,
        behind=_behind(case),
        without=_WITHOUT,
        manual=pages(
            version, Page.READING_IN_RECOVERY, Page.RECOVERY_FUNCTIONS, Page.TIMELINES, Page.CAVEATS
        ),
        headless=(
            "pitr verify last",
            "pitr resume last --target-time '2026-11-22 14:35:02+01'",
            "pitr promote last",
            "pitr discard last",
            "pitr report last",
        ),
    )


def _why(case: Case) -> tuple[str, ...]:
    version = case.version
    promoting = (
        "The pause ends when the server is told to resume: then it promotes itself."
        if version.can_promote_while_paused
        else "The pause ends when the server is told to resume: then it promotes itself. (In "
        f"PostgreSQL {version.major} pg_ctl promote is not listened to during the pause.)"
    )
    return (
        "That the server stopped at the target is a fact about the WAL (the write-ahead log). "
        "Whether the data are the ones you want only you can say, and now is the moment: as long "
        "as it is paused nothing is final.",
        "To promote is to end the recovery and open the server for writing. It then starts a new "
        "timeline, so that its own WAL never gets mixed up with what the primary wrote behind that "
        f"moment. {promoting}",
        "Often nobody needs a promotion: if only a table was lost, its rows can be copied from the "
        "paused secondary into the primary, where work went on.",
    )


def _behind(case: Case) -> tuple[Behind, ...]:
    version, secondary = case.version, case.plan.secondary
    end = (
        Behind(Kind.FILE, "recovery.done", "", "what recovery.conf is called after a promotion")
        if version.uses_recovery_conf
        else Behind(Kind.FILE, "recovery.signal", "", "gone after a promotion")
    )
    found = [
        Behind(Kind.COMMAND, "psql", secondary.psql_command(), "how you get to it yourself"),
        Behind(Kind.FUNCTION, "pg_is_in_recovery", "", "true until it is promoted"),
        Behind(Kind.FUNCTION, version.replay_paused_function, "", "true while it waits"),
        Behind(
            Kind.FUNCTION,
            version.replay_lsn_function,
            "",
            "where it stands, as an LSN, which is a position in the WAL",
        ),
        Behind(
            Kind.FUNCTION,
            "pg_last_xact_replay_timestamp",
            "",
            "the time of the last commit that is in it",
        ),
        Behind(
            Kind.FUNCTION,
            version.replay_resume_function,
            "",
            "ends the pause: at its target the server then promotes itself",
        ),
        end,
        Behind(
            Kind.FILE,
            f"{version.wal_directory}/0000000N.history",
            "",
            "written at the promotion: from where on the new timeline N has a history of its own",
        ),
        Behind(Kind.COMMAND, "stop", secondary.stop_command(), "how you stop it yourself"),
    ]
    return tuple(found)
