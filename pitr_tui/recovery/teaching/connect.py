"""The first lesson: which server it is, and what to do before anything else."""

from __future__ import annotations

from pitr_tui.recovery.switching import switch_statements
from pitr_tui.recovery.teaching.manual import Page, pages
from pitr_tui.recovery.teaching.seen import Case
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson

_WHAT = (
    "The primary is the server that lost data. This step finds it and asks who it is: its "
    "version, its system identifier, its clock. Nothing is changed by that; every look is a short "
    "SQL connection of its own.",
    "The list has the PostgreSQL servers that run on this machine, the PostgreSQL containers of "
    "the Docker engine (DOCKER_HOST, or the current context), and the services of the compose "
    "file: the one named with --compose, or the one in the working directory. For another server "
    "type how to connect: host=... port=... user=... dbname=..., or postgresql://...",
    "A password is never typed here. libpq, PostgreSQL's own library for connections, takes it "
    "from PGPASSWORD or from a password file (PGPASSFILE, ~/.pgpass). A container's user and "
    "password are those of its environment.",
    "If the primary is down or gone, say so: a base backup and the archive are all that a recovery "
    "needs. Choose a stopped container to say which one it was: its image, its volumes and the "
    "WAL in it are used. Nothing starts it.",
    "Before anything else is done, this moment can be marked on a primary that lives, with a "
    "restore point: a name that is written into the WAL. And for a primary that is down, an "
    "archive can be made with the WAL that was never archived and still lies in its data "
    "directory, before anybody deletes it. An archive that is known already appears in the new "
    "one, and is not changed.",
    "Recoveries that were made on this machine before can be opened again. One that was cut off, "
    "that failed with its copy kept, or that waits at its target can be gone on with.",
)
_WHY = (
    "WAL is short for write-ahead log: PostgreSQL's record of every change, written before the "
    "change itself is. A base backup is a copy of all of a server's files. A recovery starts from "
    "the backup and does again what the WAL says, change by change, up to the moment you want.",
    "Backup and WAL have to be of the same cluster, which is one data directory with all of its "
    "databases. Each cluster draws a number when it is made, its system identifier, and that "
    "stands in every file of its WAL. So pitr has to know it to tell what belongs together.",
    "The version says which programs can run the copy: only those of the same major version read "
    "its files. The clock matters because the times in the WAL are the primary's and not yours.",
)
_WITHOUT = (
    "WAL of another cluster could be taken for this one's. PostgreSQL would not replay it, and "
    "would take the last good file before it for the end of all WAL.",
    "A time like 14:35 could be read in the wrong zone, and the recovery stop an hour early or "
    "late: before good work, or behind the accident.",
    "Without a mark, the newest changes may sit in a file that is not archived yet. A server on "
    "which nothing happens does not finish it, and no recovery gets to them.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with what the primary answered if it was asked."""
    known = case.seen.facts is not None
    return Lesson(
        step="connect",
        title="connect: the server that lost data",
        version=case.version,
        what=_WHAT,
        why=_WHY,
        source="This is what the primary was asked, and what a mark would run."
        if known
        else "This is what the primary will be asked, and what a mark would run.",
        behind=(*_looks(case), *_mark(case)),
        without=_WITHOUT,
        manual=pages(case.version, Page.WAL, Page.BACKUP_FUNCTIONS, Page.PASSWORD_FILE),
        headless=(
            "pitr containers --json",
            "pitr archive status --json",
            "pitr mark",
            "pitr runs",
            "pitr resume last",
            "pitr archive collect --from DATADIR --with ARCHIVE --to NEW",
        ),
    )


def _looks(case: Case) -> tuple[Behind, ...]:
    version, facts = case.version, case.seen.facts
    told = {
        "pg_control_system": str(facts.system_identifier) if facts else "",
        "pg_is_in_recovery": ("yes" if facts.in_recovery else "no") if facts else "",
        "clock_timestamp": facts.clock.isoformat(" ", "seconds") if facts else "",
    }
    meanings = {
        "pg_control_system": "who it is: its system identifier, out of the file global/pg_control",
        "pg_is_in_recovery": "whether it is a standby, which only replays what another server "
        "writes",
        "clock_timestamp": "its clock, by which the times in its WAL are",
    }
    looks = [Behind(Kind.FUNCTION, name, told[name], meanings[name]) for name in told]
    if facts is not None:
        meaning = "the zone in which it writes times"
        looks.append(Behind(Kind.SETTING, "TimeZone", facts.time_zone, meaning))
        if facts.data_directory is not None:
            meaning = "where all of its files are: its data directory"
            place = str(facts.data_directory)
            looks.append(Behind(Kind.SETTING, "data_directory", place, meaning))
    meaning = "in its data directory: the newest WAL, in files of fixed size, called segments"
    looks.append(Behind(Kind.FILE, f"{version.wal_directory}/", "", meaning))
    return tuple(looks)


def _mark(case: Case) -> tuple[Behind, ...]:
    """What `pitr mark` runs, statement by statement."""
    meanings = {
        "pg_create_restore_point": "writes a name into the WAL, at which a recovery can stop",
        "txid_current": "a transaction behind it: a recovery to a time finds the moment by the "
        "first commit behind it",
        case.version.switch_wal_function: "finishes the segment, so that it is archived now",
    }
    statements = switch_statements(case.version, "incident_TIME")
    return tuple(
        Behind(Kind.FUNCTION, name, "", meanings[name])
        for statement in statements
        for name in meanings
        if f"{name}(" in statement
    )
