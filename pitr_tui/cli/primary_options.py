"""The options of what is done with the primary. This module loads nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from pitr_tui.cli.options import (
    PLACE_HELP,
    Subcommands,
    add_connection,
    add_container_options,
    add_json,
    late,
)


def add_primary(commands: Subcommands[argparse.ArgumentParser]) -> None:
    """`pitr mark`, `pitr archive` and `pitr backup`."""
    _mark(commands)
    _archive(commands)
    _backup(commands)


def _mark(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "mark", help="set a restore point now, before anything else is done after an accident"
    )
    parser.add_argument(
        "--timeout",
        type=int,
        default=60,
        metavar="S",
        help="how long to wait until the segment with it is archived (60)",
    )
    add_connection(parser)
    add_container_options(parser)
    add_json(parser)
    parser.set_defaults(command=late("mark", "mark"))


def _archive(commands: Subcommands[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("archive", help="see or turn on the archiving of WAL")
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    status = actions.add_parser("status", help="how the primary archives; exit 3 if it does not")
    status.set_defaults(command=late("archive", "status"))
    enable = actions.add_parser("enable", help="turn archiving on, and prove it")
    enable.add_argument(
        "--to",
        metavar="DIR",
        help="the WAL archive; with --docker a path in the container (its mount for that)",
    )
    enable.add_argument("--yes", action="store_true", help="do not ask: the shown diff is accepted")
    enable.add_argument("--no-restart", action="store_true", help="refuse if a restart is needed")
    enable.set_defaults(command=late("archive", "enable"))
    collect = actions.add_parser(
        "collect", help="make an archive of the WAL that a primary, dead or alive, still has"
    )
    collect.add_argument(
        "--to", required=True, metavar="PLACE", help="a new directory, or volume:NAME"
    )
    collect.add_argument(
        "--from", dest="source", type=Path, metavar="DATADIR", help="a dead server's data directory"
    )
    collect.add_argument(
        "--with",
        dest="beside",
        type=Path,
        metavar="ARCHIVE",
        help="a WAL archive, a directory: the new one has all of its files too, as links",
    )
    collect.set_defaults(command=late("collect", "collect"))
    for parser in (status, enable, collect):
        add_connection(parser)
        add_container_options(parser)
        add_json(parser)
    _receive(actions)


def _receive(archive: Subcommands[argparse.ArgumentParser]) -> None:
    group = archive.add_parser(
        "receive", help="archive by a receiver in a container: no restart, no archive_command"
    )
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    start = actions.add_parser("start", help="start the receiver, and prove it")
    start.add_argument("--yes", action="store_true", help="do not ask: what is shown is accepted")
    status = actions.add_parser("status", help="how far it is; exit 3 if it does not follow")
    stop = actions.add_parser("stop", help="end the receiver; the archive stays")
    stop.add_argument("--drop-slot", action="store_true", help="the primary keeps no WAL for it")
    for name, parser in (("start", start), ("status", status), ("stop", stop)):
        parser.set_defaults(command=late("receive", name))
        parser.add_argument("--to", metavar="VOLUME", help="the archive (pitr-archive-NAME)")
        parser.add_argument("--slot", default="pitr_receiver", help="the replication slot")
        add_connection(parser)
        add_container_options(parser)
        add_json(parser)


def _backup(commands: Subcommands[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("backup", help="take and list base backups")
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    take = actions.add_parser("take", help="take a base backup with pg_basebackup")
    add_connection(take)
    take.add_argument("--to", required=True, metavar="PLACE", help=f"a new place: {PLACE_HELP}")
    take.add_argument("--format", choices=("plain", "tar"), default="plain")
    take.add_argument(
        "--compress",
        choices=("none", "gzip", "lz4", "zstd"),
        default="none",
        help="tar only; lz4 and zstd need the tools of PostgreSQL 15",
    )
    take.add_argument(
        "--gzip", action="store_const", const="gzip", dest="compress", help="--compress gzip"
    )
    take.add_argument("--label", default="pitr", help="the name in backup_label")
    take.set_defaults(command=late("backup", "take"))
    listing = actions.add_parser("list", help="the backups in a place")
    listing.add_argument("directory", metavar="PLACE", help=PLACE_HELP)
    listing.add_argument(
        "--archive",
        metavar="PLACE",
        default=argparse.SUPPRESS,
        help="tells where backups ended",
    )
    listing.set_defaults(command=late("backup", "listing"))
    for parser in (take, listing):
        container = add_container_options(parser)
        add_json(parser)
    container.add_argument(
        "--image", metavar="I", help="what to read volumes with (a PostgreSQL container's image)"
    )
