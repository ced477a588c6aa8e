"""Checks that a recovered server harms nobody: its archive, whom it talks to, who reaches it."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.postgres.quote import without_secrets
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.look import Look, some
from pitr_tui.servers.sql import query
from pitr_tui.wording import count_text

# The processes that every server has; `background_worker` ones have a name of their own.
_OWN_PROCESSES = frozenset(
    (
        *("client backend", "startup", "checkpointer", "background writer", "walwriter"),
        *("autovacuum launcher", "autovacuum worker", "parallel worker", "walsummarizer"),
        *("logical replication launcher", "io worker", "standalone backend"),
    )
)


def archiving(look: Look) -> Iterator[CheckDone]:
    settings = look.settings
    (counts,) = look.rows(query("archiver"))
    archived, last, failed = counts[0], counts[1], counts[3]
    where = settings.get("archive_library") or settings.get("archive_command")
    where = "" if where in (None, "(disabled)") else without_secrets(where)
    if settings["archive_mode"] != "off":
        yield CheckDone(
            "archives nothing",
            Status.FAILURE,
            f"archive_mode is {settings['archive_mode']}, archive_command is {where!r}: it may "
            "write into the archive of the primary",
            "stop the secondary",
        )
    elif archived or failed:
        yield CheckDone(
            "archives nothing",
            Status.FAILURE,
            f"it has tried to archive {count_text(archived + failed, 'segment')}, last {last}",
            "stop the secondary, and look at the archive",
        )
    else:
        words = "archive_mode is off, and nothing was archived"
        yield CheckDone("archives nothing", Status.OK, words)


def talks(look: Look) -> Iterator[CheckDone]:
    """Nobody replicates from it or to it, and no process runs that a library brought along."""
    found = []
    if senders := look.names("SELECT coalesce(application_name, '?') FROM pg_stat_replication"):
        found.append(f"{some(senders)} replicates from it")
    if look.names("SELECT pid FROM pg_stat_wal_receiver WHERE pid IS NOT NULL"):
        found.append("it streams WAL from another server")
    for name in ("primary_conninfo", "synchronous_standby_names"):
        if look.settings.get(name):
            found.append(f"{name} is {without_secrets(look.settings[name])!r}")
    if found:
        told = "; ".join(found)
        yield CheckDone("talks to nobody", Status.FAILURE, told, "stop the secondary")
        return
    strangers: list[str] = []
    if look.version.tells_backend_type:
        types = look.names("SELECT DISTINCT coalesce(backend_type, '?') FROM pg_stat_activity")
        strangers = sorted(set(types) - _OWN_PROCESSES)
    if strangers:
        yield CheckDone(
            "talks to nobody",
            Status.WARNING,
            f"it runs processes of a library: {some(strangers)}",
            "make sure that they do nothing here",
        )
        return
    yield CheckDone("talks to nobody", Status.OK, "no replication, and no process of a library")


def listens(look: Look) -> Iterator[CheckDone]:
    """It listens where the plan said, and nowhere else."""
    wanted, settings = look.secondary.settings(), look.settings
    for name in ("listen_addresses", "unix_socket_directories", "port"):
        if name in wanted and settings.get(name) != wanted[name]:
            yield CheckDone(
                "listens",
                Status.FAILURE,
                f"{name} is {settings.get(name)!r}, and was to be {wanted[name]!r}",
                "stop the secondary",
            )
            return
    tcp = settings["listen_addresses"]
    where = f"on {tcp}, port {settings['port']}" if tcp else "on no address"
    sockets = settings["unix_socket_directories"].strip('"') or "none"
    yield CheckDone("listens", Status.OK, f"{where}; socket {sockets}")


def sessions(look: Look) -> Iterator[CheckDone]:
    others = look.names(
        "SELECT coalesce(nullif(application_name, ''), usename, '?') || ' in ' || datname"
        "  FROM pg_stat_activity"
        " WHERE datname IS NOT NULL AND usename IS NOT NULL"
        "   AND pid <> pg_backend_pid() AND application_name <> 'pitr'"
    )
    if others:
        yield CheckDone("sessions", Status.NOTE, f"others are connected: {some(others)}")


def subscriptions(look: Look) -> Iterator[CheckDone]:
    if not look.version.has_logical_replication:
        return
    working = look.names("SELECT subname FROM pg_stat_subscription WHERE pid IS NOT NULL")
    if working:
        yield CheckDone(
            "subscriptions",
            Status.FAILURE,
            f"{some(working)} takes changes from its publisher, and may have taken the slot of "
            "the primary",
            "stop the secondary",
        )
        return
    enabled = look.names(
        "SELECT quote_ident(subname) || ' in ' || quote_ident(datname)"
        "  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
        " WHERE subenabled ORDER BY 1"
    )
    if not enabled:
        yield CheckDone("subscriptions", Status.OK, "none is enabled")
        return
    workers = look.settings.get("max_logical_replication_workers", "0")
    held = workers == "0"
    yield CheckDone(
        "subscriptions",
        Status.WARNING if held else Status.FAILURE,
        f"enabled, as on the primary: {some(enabled)}; max_logical_replication_workers = {workers}"
        + (" keeps them still" if held else ""),
        "before that setting is changed: ALTER SUBSCRIPTION … DISABLE, then "
        "ALTER SUBSCRIPTION … SET (slot_name = NONE)",
    )


def slots(look: Look) -> Iterator[CheckDone]:
    names = look.names("SELECT slot_name FROM pg_replication_slots ORDER BY 1")
    if names:
        yield CheckDone(
            "replication slots",
            Status.WARNING,
            f"{some(names)}: they keep WAL for ever once it is open",
            "pg_drop_replication_slot() each",
        )
    else:
        yield CheckDone("replication slots", Status.OK, "none")
