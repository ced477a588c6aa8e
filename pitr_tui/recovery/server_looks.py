"""Checks of a recovered server as a whole: that it harms nobody, and what it brought along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.harm_looks import archiving, listens, sessions, slots, subscriptions, talks
from pitr_tui.recovery.look import LOOK_LIMITS, Look, asked, some
from pitr_tui.recovery.verify import ServerState
from pitr_tui.servers.secondary import Secondary
from pitr_tui.servers.sql import query
from pitr_tui.wording import count_text

_SETTINGS = (
    *("archive_mode", "archive_command", "archive_library", "synchronous_standby_names"),
    *("primary_conninfo", "primary_slot_name", "max_logical_replication_workers"),
    *("listen_addresses", "unix_socket_directories", "port", "max_prepared_transactions"),
    *("data_directory", "autovacuum_freeze_max_age"),
)
_WRAPAROUND = 1_500_000_000
_LEFTOVERS = (
    *("standby.signal", "recovery.signal", "recovery.conf", "recovery.done"),
    *("backup_label", "backup_label.old", "tablespace_map", "tablespace_map.old"),
)
_IN_FORCE = ("standby.signal", "recovery.signal", "recovery.conf")


def server_checks(secondary: Secondary, state: ServerState) -> Iterator[CheckDone]:
    """Ask one database about the whole server. Raises PitrError when it cannot be reached."""
    with secondary.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(LOOK_LIMITS)
        cursor.execute(query("settings"), (list(_SETTINGS),))
        settings = {name: value or "" for name, value, *_ in cursor.fetchall()}
        look = Look(cursor, secondary, state, settings)
        for name, check in _CHECKS:
            yield from asked(name, partial(check, look))


def _prepared(look: Look) -> Iterator[CheckDone]:
    if look.state.in_recovery:
        if look.settings["max_prepared_transactions"] != "0":
            words = "they can be seen once it is promoted"
            yield CheckDone("prepared transactions", Status.NOTE, words)
        return
    names = look.names(
        "SELECT quote_literal(gid) || ' in ' || database FROM pg_prepared_xacts ORDER BY prepared"
    )
    if names:
        yield CheckDone(
            "prepared transactions",
            Status.WARNING,
            f"{count_text(len(names), 'transaction')} waiting for the end: {some(names)}; they "
            "hold locks and keep VACUUM from its work",
            "COMMIT PREPARED or ROLLBACK PREPARED each, in its database",
        )
    else:
        yield CheckDone("prepared transactions", Status.OK, "none")


def _tablespaces(look: Look) -> Iterator[CheckDone]:
    """Every one lies inside of the data directory, whose tablespaces the primary has not."""
    own = PurePosixPath(look.settings["data_directory"])
    found = look.rows(
        "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace"
        " WHERE pg_tablespace_location(oid) <> '' ORDER BY 1"
    )
    outside = [
        f"{name} in {place}"
        for name, place in found
        if PurePosixPath(place).is_absolute() and not PurePosixPath(place).is_relative_to(own)
    ]
    if outside:
        yield CheckDone(
            "tablespaces",
            Status.FAILURE,
            f"outside of the data directory: {some(outside)}",
            "stop the secondary: those may be the primary's own files",
        )
    elif found:
        inside = count_text(len(found), "tablespace")
        yield CheckDone("tablespaces", Status.OK, f"{inside}, inside of the data directory")


def _collations(look: Look) -> Iterator[CheckDone]:
    if not look.version.tells_database_collation_version:
        return
    ((count, names),) = look.rows(query("database_collations"))
    if count:
        yield stale_collations("collations", "databases", names, count)
    else:
        yield CheckDone("collations", Status.OK, "the library sorts as the databases expect")


def stale_collations(check: str, what: str, names: Sequence[str], count: int) -> CheckDone:
    """That the library here sorts by other rules than the one that indexes were built with."""
    return CheckDone(
        check,
        Status.WARNING,
        f"{what} whose collation has another version here: {some(names, count)}; indexes on text "
        "may miss rows",
        "REINDEX before the data are trusted or copied back, or read without those indexes",
    )


def _branch(look: Look) -> Iterator[CheckDone]:
    """Where its own timeline begins, in the words of the history file that it wrote."""
    timeline = look.state.timeline
    if look.state.in_recovery or timeline < 2:
        return
    path = f"{look.version.wal_directory}/{int(timeline):08X}.history"
    ((text,),) = look.rows("SELECT pg_read_file(%s)", (path,))
    parent, lsn, reason = [*text.strip().splitlines()[-1].split("\t", 2), "", ""][:3]
    yield CheckDone("timeline", Status.OK, f"{timeline}, which left {parent} at {lsn}: {reason}")


def _wraparound(look: Look) -> Iterator[CheckDone]:
    ((name, age),) = look.rows(
        "SELECT datname, age(datfrozenxid) FROM pg_database ORDER BY 2 DESC LIMIT 1"
    )
    told = f"the oldest transaction is {age:,} behind, in {name}"
    if age > _WRAPAROUND:
        yield CheckDone("wraparound", Status.WARNING, told, "VACUUM FREEZE it once it is open")
    elif age > int(look.settings["autovacuum_freeze_max_age"]):
        yield CheckDone("wraparound", Status.NOTE, f"{told}: autovacuum will freeze it")
    else:
        yield CheckDone("wraparound", Status.OK, told)


def _leftovers(look: Look) -> Iterator[CheckDone]:
    there = set(look.names("SELECT pg_ls_dir('.')"))
    found = [name for name in _LEFTOVERS if name in there]
    if "standby.signal" in found:
        yield CheckDone(
            "leftovers", Status.FAILURE, "standby.signal makes it a standby", "remove that file"
        )
        return
    in_force = [name for name in found if name in _IN_FORCE]
    if in_force and not look.state.in_recovery:
        yield CheckDone(
            "leftovers",
            Status.WARNING,
            f"{some(in_force)} is still there, so its next start is a recovery",
            "remove it",
        )
        return
    old = [name for name in found if name not in in_force]
    told = f"only {some(old)}, which nobody reads" if old else "none"
    yield CheckDone("leftovers", Status.OK, told)


_CHECKS: tuple[tuple[str, Callable[[Look], Iterator[CheckDone]]], ...] = (
    ("timeline", _branch),
    ("archives nothing", archiving),
    ("talks to nobody", talks),
    ("listens", listens),
    ("sessions", sessions),
    ("subscriptions", subscriptions),
    ("replication slots", slots),
    ("prepared transactions", _prepared),
    ("tablespaces", _tablespaces),
    ("collations", _collations),
    ("leftovers", _leftovers),
    ("wraparound", _wraparound),
)
