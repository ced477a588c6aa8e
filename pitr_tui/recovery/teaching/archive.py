"""The second lesson: how WAL outlives its server."""

from __future__ import annotations

from pathlib import PurePosixPath

from pitr_tui.recovery.archiving import archive_command
from pitr_tui.recovery.teaching.manual import Page, pages, receiving_wal
from pitr_tui.recovery.teaching.seen import EXAMPLE_ARCHIVE, Case
from pitr_tui.recovery.teaching.settings import archiving_meanings
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson
from pitr_tui.wording import size_text

_WHY = (
    "A recovery does again what the WAL (write-ahead log, the record of every change) says. So it "
    "can reach a moment only if all the WAL from the backup up to that moment still exists.",
    "The primary itself needs WAL only to survive a crash, and uses old segments again after some "
    "minutes. With archiving on, it first hands every finished segment to a command of yours, "
    "which copies it to another place: the WAL archive.",
    "The only proof that this works is a segment that has arrived. Therefore pitr writes a restore "
    "point, which is a name in the WAL, finishes the segment with it, and waits until that very "
    "segment lies in the archive, whole, with the system identifier of this cluster. After an "
    "accident that also brings the last transactions into the archive.",
)
_WITHOUT = (
    "With archive_mode off there is nothing to replay: only the moment of each backup can be had "
    "back, and nothing that was done since.",
    "A command that fails makes the primary keep all of its WAL until the disk is full. One that "
    "says that it has copied when it has not is worse: it makes a hole that nobody sees before "
    "the day of the recovery, and WAL behind a hole cannot be replayed.",
    "A command that writes a segment in place can leave half of one when the machine goes down, "
    "and one that overwrites can destroy another server's WAL.",
)


def teach(case: Case) -> Lesson:
    """The lesson, with the proposal or what is set where that is known."""
    seen = case.seen
    return Lesson(
        step="archive",
        title="archive: keep every change",
        version=case.version,
        what=_what(case),
        why=_WHY,
        source=_source(case),
        behind=(*_settings(case), *_rest(case)),
        without=_WITHOUT,
        manual=(
            *pages(case.version, Page.ARCHIVING, Page.ARCHIVING_SETTINGS, Page.ARCHIVER),
            receiving_wal(case.version),
        ),
        headless=(
            "pitr archive status --json",
            f"pitr archive enable --to {seen.archive or EXAMPLE_ARCHIVE}",
            "pitr archive receive start --docker NAME",
            "pitr archive collect --to NEW",
        ),
    )


def _what(case: Case) -> tuple[str, ...]:
    facts = case.seen.facts
    size = size_text(facts.segment_size) if facts else "16 MB, as a rule"
    return (
        "Here is seen whether the primary archives its WAL, and where to. If it does not, pitr "
        "proposes the settings that are missing, as a difference of postgresql.auto.conf, the file "
        "that ALTER SYSTEM writes. Nothing is changed before you say yes.",
        f"The WAL is written into files of {size}, the segments. archive_mode = on makes the "
        "primary run archive_command for each one that is finished. wal_level and archive_mode "
        "count from the next restart only; the question says so. For a server in a container the "
        "archive has to be one of its mounts.",
        "There are two other ways. Without a restart and without a mount, "
        f"{case.version.wal_receiver_tool} in a container beside the primary takes the WAL from it "
        "and writes it into a volume, with a replication slot: the primary's promise to keep what "
        "was not taken yet. And when it is too late for all that, an archive can be made of the "
        f"WAL that still lies in the primary's {case.version.wal_directory}, running or stopped.",
    )


def _source(case: Case) -> str:
    if case.seen.change is not None:
        return "These are the settings as they are proposed for this primary, or as they are."
    if case.seen.archiving is not None:
        return "These are the settings of this primary as they are."
    return f"So they will be proposed, for an archive in {case.seen.archive or EXAMPLE_ARCHIVE}."


def _settings(case: Case) -> tuple[Behind, ...]:
    seen = case.seen
    proposed = seen.change.settings if seen.change is not None else {}
    there = seen.archiving.settings if seen.archiving is not None else {}
    usual = {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_command": archive_command(PurePosixPath(seen.archive or EXAMPLE_ARCHIVE)),
        "archive_library": "",
        "archive_timeout": "60",
        "max_wal_senders": "10",
    }
    found = []
    for name, meaning in archiving_meanings(case.version).items():
        setting = there.get(name)
        now = setting.value.replace("(disabled)", "") if setting is not None else usual[name]
        value = proposed.get(name, now)
        note = ""
        if name in proposed:
            restart = seen.change is not None and name in seen.change.restart
            note = f"now {now or 'empty'}" + (", needs a restart" if restart else "")
        found.append(Behind(Kind.SETTING, name, value, meaning, note))
    return tuple(found)


def _rest(case: Case) -> tuple[Behind, ...]:
    version, archiving = case.version, case.seen.archiving
    last = ""
    if archiving is not None and archiving.archiver.last_archived:
        last = f"last archived: {archiving.archiver.last_archived}"
    return (
        Behind(
            Kind.FILE,
            "postgresql.auto.conf",
            "",
            "in the data directory: what ALTER SYSTEM sets, read after postgresql.conf",
        ),
        Behind(
            Kind.FILE,
            f"{version.wal_directory}/archive_status/",
            "",
            "the primary's list of what is to be archived (.ready) and what is (.done)",
        ),
        Behind(
            Kind.VIEW,
            "pg_stat_archiver",
            last,
            "which segment was archived last, and which one failed",
        ),
        Behind(
            Kind.FUNCTION,
            "pg_create_restore_point",
            "",
            "for the proof: a name in the WAL, because an empty segment is not finished at all",
        ),
        Behind(
            Kind.FUNCTION,
            version.switch_wal_function,
            "",
            "for the proof: finish the segment now, however full it is",
        ),
    )
