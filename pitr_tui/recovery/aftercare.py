"""What becomes of a recovered secondary: it is opened for writing, and what is to do then."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import BEGIN, END, block_in, read_settings
from pitr_tui.postgres.quote import one_line, shell_command, shell_word
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.verify import ServerState, databases, server_state
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.secondary import Secondary
from pitr_tui.servers.sql import Database, query
from pitr_tui.wording import count_text

_POLL = 0.1
_PROMOTE_SECONDS = 300
_START_SECONDS = 2
_KEPT = ".pitr"  # the name of what was there before ends with it
_SHOWN = 8
_CONFIGURATION = "postgresql.auto.conf"
_Row = tuple[str, str, str]


def promote(secondary: Secondary, timeout: float = _PROMOTE_SECONDS) -> ServerState:
    """End the pause of a secondary at its target: from then on it writes a timeline of its own.

    Replay is resumed rather than `pg_ctl promote` called, which PostgreSQL 12 and older ignore
    during the pause. Raises RefusedError for a server that is not paused, PitrError when it
    does not open; then it is as its log says.
    """
    state = server_state(secondary.database, secondary.version)
    if not state.in_recovery:
        return state
    if not state.paused:
        raise RefusedError(
            "the secondary is not paused, so it is not at its target",
            f"it has replayed up to {state.replayed} and goes on",
            "wait until it stops",
        )
    resume = secondary.version.replay_resume_function
    secondary.database.rows(f"SELECT {resume}()")  # noqa: S608 - a fixed name
    deadline = time.monotonic() + timeout
    while True:
        why = ""
        try:
            state = server_state(secondary.database, secondary.version)
            if not state.in_recovery:
                return state
        except PitrError as error:
            why = error.why  # it may refuse connections for a moment while it changes over
        if not secondary.is_running() or time.monotonic() > deadline:
            raise PitrError(
                "the secondary did not open for writing",
                "\n".join(secondary.log_tail()) or why,
                "its data are still as of the target; throw it away and recover once more",
            )
        time.sleep(_POLL)


def aftercare(secondary: Secondary) -> tuple[CheckDone, ...]:
    """What a person has to do with a promoted secondary before others may use it, in order.

    Only what applies to it, with its real names; the hint of each has the exact statements.
    What could do harm is a WARNING, the rest NOTEs. Raises PitrError when it does not answer.
    """
    database = secondary.database
    names = databases(database)
    # Subscriptions before settings: with the workers back they would go to the publisher.
    return (
        *_subscriptions(secondary),
        *_of_the_server(database),
        *(check for name in names for check in _inside(secondary, name, len(names) > 1)),
        *_always(secondary, names),
        *_settings(secondary),
    )


def _subscriptions(secondary: Secondary) -> Iterator[CheckDone]:
    if not secondary.version.has_logical_replication:
        return
    found = secondary.database.rows(query("subscriptions"))
    if found:
        on = "enabled" if any(row[2] for row in found) else "disabled"
        yield CheckDone(
            "subscriptions",
            Status.WARNING,
            f"{_some([name for name, *_ in found])} ({on}): with logical replication workers they "
            "take the primary's changes from its publisher",
            _statements([(place, text) for _, place, _, text in found]),
        )


def _of_the_server(database: Database) -> Iterator[CheckDone]:
    found = database.rows(query("aftercare_server"))
    prepared = [(name, place, text) for kind, name, place, text in found if kind == "prepared"]
    slots = [(name, place, text) for kind, name, place, text in found if kind == "slot"]
    if prepared:
        yield CheckDone(
            "prepared transactions",
            Status.WARNING,
            f"{_some([name for name, *_ in prepared])}: they hold their locks, and VACUUM back",
            _statements([(place, text) for _, place, text in prepared]),
        )
    if slots:
        yield CheckDone(
            "replication slots",
            Status.WARNING,
            f"{_some([name for name, *_ in slots])}: nobody reads them here, and WAL piles up",
            _statements([("", text) for _, _, text in slots]),
        )


def _inside(secondary: Secondary, name: str, several: bool) -> Iterator[CheckDone]:
    """What is to do in one database."""
    try:
        rows: list[_Row] = secondary.database.named(name).rows(query("aftercare"))
    except PitrError as error:
        yield CheckDone("database", Status.WARNING, f"{one_line(name)}: {error.why}", error.hint)
        return
    where = f"in {one_line(name)}: " if several else ""
    for kind, (title, status, sentence, advice) in _KINDS.items():
        if kind == "hash index" and secondary.version.logs_hash_indexes:
            continue
        found = [(one, statement) for its, one, statement in rows if its == kind]
        if found:
            statements = _statements([(name, text) for _, text in found if text])
            yield CheckDone(
                title,
                status,
                f"{where}{_some([one for one, _ in found])}: {sentence}",
                "\n".join(filter(None, (advice, statements))),
            )


_KINDS = {
    "cron": (
        "cron jobs",
        Status.WARNING,
        "the primary's jobs, which run here as soon as pg_cron is loaded",
        "",
    ),
    "foreign server": (
        "foreign servers",
        Status.WARNING,
        "what is written to foreign tables reaches the same servers as the primary's",
        "",
    ),
    "hash index": (
        "hash indexes",
        Status.WARNING,
        "WAL has no changes of them, so they give wrong answers",
        "",
    ),
    "unlogged": (
        "unlogged tables",
        Status.NOTE,
        "empty after every recovery",
        "fill them from where they were filled before",
    ),
    "sequence": (
        "sequences",
        Status.NOTE,
        "each may be up to 32 numbers ahead",
        "leave them where a gap is no harm; numbers that are set back may be given out twice",
    ),
}


def _always(secondary: Secondary, names: list[str]) -> Iterator[CheckDone]:
    yield CheckDone(
        "statistics",
        Status.NOTE,
        "what the server counted is gone, so autovacuum knows of no table that needs it",
        _statements([(name, "ANALYZE;") for name in names]),
    )
    timeline = server_state(secondary.database, secondary.version).timeline
    yield CheckDone(
        "base backup",
        Status.WARNING,
        f"it writes timeline {timeline}, of which there is no backup yet",
        shell_command(("pitr", "backup", "take", *secondary.reach_options(), "--to", "PLACE")),
    )
    yield CheckDone(
        "other standbys",
        Status.NOTE,
        "if it takes the primary's place, the primary's standbys have gone another way",
        "seed each anew from it, or pg_rewind those that stopped before the cut",
    )


def _settings(secondary: Secondary) -> Iterator[CheckDone]:
    """What pitr wrote keeps the server to itself until somebody takes it out."""
    text = str(secondary.database.row("SELECT pg_read_file(%s)", [_CONFIGURATION])[0])
    settings = read_settings(block_in(text))
    archiving = "give it an archive of its own, a new directory, before archive_mode is on again"
    if "archive_mode" in settings or not settings:
        yield CheckDone(
            "archiving",
            Status.WARNING,
            "nothing is archived, so nothing behind its next backup can be recovered",
            f"{archiving}: two servers in one archive overwrite each other's WAL",
        )
    if settings:
        file = shell_word(str(secondary.data_directory / _CONFIGURATION))
        edit = f"sed -i{_KEPT} {shell_word(f'/^{BEGIN}$/,/^{END}$/d')} {file}"
        yield CheckDone(
            "settings",
            Status.NOTE,
            f"{count_text(len(settings), 'setting')} of pitr's keep it to itself ("
            f"{', '.join(list(settings)[:_SHOWN])} ...); without them it runs as the primary did, "
            "with the primary's port, archive_command and pg_hba.conf: look at these first",
            "\n".join(
                [
                    *_stopped(secondary),
                    *secondary.writing_commands([edit]),
                    *_started(secondary),
                    f"# if it did not come up: put {_CONFIGURATION}{_KEPT} back in its place",
                ]
            ),
        )


def _stopped(secondary: Secondary) -> list[str]:
    """Shell commands that stop it, and come back when it has stopped."""
    stop = secondary.stop_command()
    if not isinstance(secondary, LocalSecondary):
        return [stop]
    pid_file = shell_word(str(secondary.server.pid_file))
    return [stop, f"while [ -e {pid_file} ]; do sleep 1; done"]


def _started(secondary: Secondary) -> list[str]:
    """Shell commands that start it for good, and show whether it came up.

    Not by pg_ctl: that gives the directory's name to a shell without quoting it.
    """
    if not isinstance(secondary, LocalSecondary):
        name = shell_word(secondary.name)
        return [f"docker start {name}", f"sleep {_START_SECONDS}", f"docker logs --tail 3 {name}"]
    log = shell_word(str(secondary.server.log_path))
    start = f"nohup {shell_command(secondary.start_command())} >> {log} 2>&1 < /dev/null &"
    return [
        *secondary.writing_commands([start]),
        f"sleep {_START_SECONDS}",
        f"tail -n 3 {log}",
    ]


def _some(names: list[str]) -> str:
    shown = ", ".join(one_line(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"


def _statements(found: list[tuple[str, str]]) -> str:
    """Statements by the database in which they have to be run, as psql takes them."""
    lines: list[str] = []
    place = ""
    for where, text in found:
        if where and where != place:
            quoted = where.replace('"', '""')
            lines.append(f'\\c "{one_line(quoted)}"')
            place = where
        lines.append(one_line(text))
    return "\n".join(lines)
