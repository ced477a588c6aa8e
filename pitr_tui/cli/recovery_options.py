"""The options of a recovery, from its WAL to its report. This module loads nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from pitr_tui.cli.options import (
    PLACE_HELP,
    RUN_HELP,
    Subcommands,
    add_connection,
    add_container_options,
    add_json,
    late,
)

_TIME_HELP = "a moment with its zone, for example '2026-11-22 14:35:02.117+00'"


def add_recovery(commands: Subcommands[argparse.ArgumentParser]) -> None:
    """`pitr wal`, and what makes runs or tells of them."""
    _wal(commands)
    _check(commands)
    _restore(commands)
    _resume(commands)
    _story(commands)
    _verify(commands)


def _wal(commands: Subcommands[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("wal", help="see what the WAL in an archive says")
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    coverage = actions.add_parser(
        "coverage", help="timelines, gaps, and from where to where one can recover"
    )
    coverage.add_argument("--backups", metavar="PLACE", help="where base backups are kept")
    coverage.set_defaults(command=late("wal", "coverage"))
    transactions = actions.add_parser(
        "transactions", help="every transaction: when it ended and which rows it changed"
    )
    transactions.add_argument(
        "--relation", metavar="NAME", help="only those that touched this table, or file number"
    )
    transactions.add_argument(
        "--min-rows", type=int, metavar="N", help="only those that changed as many rows"
    )
    transactions.set_defaults(command=late("transactions", "transactions"))
    suspects = actions.add_parser(
        "suspects", help="the transactions that look harmful, the worst first"
    )
    suspects.add_argument(
        "--limit", type=int, default=20, metavar="N", help="how many are shown to people (20)"
    )
    suspects.set_defaults(command=late("suspects", "suspects"))
    for parser in (transactions, suspects):
        parser.add_argument("--backup", metavar="B", help="a base backup, which tells names")
        parser.add_argument("--from", dest="first", metavar="T|LSN", help="a time or WAL position")
        parser.add_argument("--to", dest="last", metavar="T|LSN", help="a time or WAL position")
        parser.add_argument("--timeline", metavar="N", help="the branch to follow (the newest)")
    for parser in (coverage, transactions, suspects):
        parser.add_argument("archive", metavar="ARCHIVE", help=PLACE_HELP)
        parser.add_argument("--zone", metavar="NAME", help="the zone to show times in (UTC)")
        container = add_container_options(parser)
        container.add_argument(
            "--image", metavar="I", help="what to read volumes with (a PostgreSQL container's)"
        )
        add_json(parser)


def _check(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check", help="say whether a recovery would get there; exit 0 yes, 1 not proved, 3 no"
    )
    _recovery(parser)
    parser.add_argument(
        "--checksums", action="store_true", help="read the whole backup against its manifest"
    )
    parser.set_defaults(command=late("check", "check"))


def _restore(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("restore", help="recover a secondary to a point in time")
    _recovery(parser)
    parser.add_argument(
        "--write-compose", type=Path, metavar="FILE", help="write it down as a compose service"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its checks")
    parser.set_defaults(command=late("restore", "restore"))


def _resume(commands: Subcommands[argparse.ArgumentParser]) -> None:
    """What becomes of a run that is there already."""
    resume = commands.add_parser(
        "resume", help="go on with a run that was cut off or failed, or to a later target"
    )
    _target(resume, "as before; or at a later target, from where the secondary stands")
    resume.set_defaults(command=late("resume", "resume"))
    promote = commands.add_parser("promote", help="open the secondary of a run for writing")
    promote.set_defaults(command=late("resume", "promote"))
    discard = commands.add_parser("discard", help="remove the secondary of a run with its data")
    discard.set_defaults(command=late("resume", "discard"))
    for parser in (resume, promote, discard):
        parser.add_argument("--confirm", metavar="NAME", help="the secondary's name: do not ask")
    for parser in (resume, promote, discard):
        parser.add_argument("run", metavar="RUN", help=RUN_HELP)
        add_json(parser)


def _recovery(parser: argparse.ArgumentParser) -> None:
    """What a recovery is made from, and where it is to stop."""
    places = parser.add_argument_group("places", PLACE_HELP)
    places.add_argument("--backup", required=True, metavar="B", help="a base backup")
    places.add_argument("--archive", required=True, metavar="A", help="the WAL archive")
    places.add_argument(
        "--to",
        required=True,
        metavar="TO",
        help="where the new data come to lie, for example "
        "/srv/recovered; in volume:NAME the secondary becomes a container",
    )
    places.add_argument(
        "--dead-primary",
        type=Path,
        metavar="DATADIR",
        help="the data directory of a primary that is down, if it is still there: says whether "
        "it has WAL that the archive lacks",
    )
    _target(parser, "the end of the archive, if nothing is said")
    parser.add_argument("--bindir", type=Path, metavar="DIR", help="PostgreSQL's programs")
    parser.add_argument("--port", type=int, metavar="N", help="also listen on 127.0.0.1:N")
    container = add_container_options(parser)
    container.add_argument("--image", metavar="I", help="the secondary's image (--docker's own)")
    container.add_argument("--name", metavar="NAME", help="the secondary's name (the volume's)")
    container.add_argument(
        "--network", default="none", metavar="NET", help="a network for the secondary (none)"
    )
    parser.add_argument("--role", default="postgres", help="a superuser of the backup's cluster")
    parser.add_argument("--os-user", metavar="NAME", help="who runs the server when we are root")
    add_json(parser)


def _target(parser: argparse.ArgumentParser, default: str) -> None:
    """Where to stop, and what to do there; `default` says what holds without."""
    group = parser.add_argument_group("where to stop", default)
    target = group.add_mutually_exclusive_group()
    target.add_argument("--target-time", metavar="T", help=_TIME_HELP)
    target.add_argument("--target-xid", type=int, metavar="X", help="a transaction id")
    target.add_argument("--target-lsn", metavar="L", help="a WAL position, for example 0/3002448")
    target.add_argument("--target-name", metavar="N", help="a restore point")
    target.add_argument("--immediate", action="store_true", help="the end of the backup")
    target.add_argument("--latest", action="store_true", help="the end of the archive")
    parser.add_argument("--exclusive", action="store_true", help="stop just before, not just after")
    parser.add_argument("--timeline", metavar="N", help="the branch to follow (the backup's own)")
    parser.add_argument(
        "--action",
        choices=("pause", "promote", "shutdown"),
        help="what to do there (pause; at the end of the archive promote)",
    )
    parser.add_argument("--zone", metavar="NAME", help="the zone of a time without one")
    parser.add_argument(
        "--quick", action="store_true", help="check without reading the WAL: less is proved"
    )


def _story(commands: Subcommands[argparse.ArgumentParser]) -> None:
    """What was done here, told again from the journals."""
    listing = commands.add_parser("runs", help="the recoveries that were done here, newest first")
    listing.set_defaults(command=late("runs", "runs"))
    report = commands.add_parser("report", help="the story of a run, to be read and to be checked")
    report.add_argument("--to", type=Path, metavar="FILE", help="write it into a new file")
    report.set_defaults(command=late("runs", "report"))
    replay = commands.add_parser("replay", help="see a run once more; nothing is done by it")
    replay.add_argument(
        "--speed",
        type=float,
        default=10.0,
        metavar="N",
        help="how many times its own pace (10); 0 tells it at once, as text",
    )
    replay.set_defaults(command=late("runs", "replay"))
    for parser in (report, replay):
        parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    for parser in (listing, report, replay):
        add_json(parser)


def _verify(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verify", help="look at a recovered secondary; exit 0 all well, 1 a check failed"
    )
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--checks", type=Path, metavar="FILE", help="your own checks (pitr.yaml, if it is here)"
    )
    parser.add_argument("--no-rows", action="store_true", help="count no rows")
    add_connection(parser)
    add_container_options(parser)
    add_json(parser)
    parser.set_defaults(command=late("verify", "verify"))
