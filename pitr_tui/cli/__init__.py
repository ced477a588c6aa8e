"""The command line: one subcommand for each step of the wizard, and the wizard itself.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a check, 130 interrupted; of `check`
0 green, 1 amber, 3 red; of `lab score` 0 full marks, 1 less.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pitr_tui
from pitr_tui.cli.lab_options import add_lab
from pitr_tui.cli.options import PLACE_HELP, RUN_HELP, add_container_options
from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import take_signals
from pitr_tui.errors import CancelledError, PitrError

Command = Callable[[argparse.Namespace, Output], int]

_TIME_HELP = "a moment with its zone, for example '2026-11-22 14:35:02.117+00'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    parsed = _parser().parse_args(arguments)
    output = Output(getattr(parsed, "json", False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets a ? for it
    take_signals()
    try:
        code: int = parsed.command(parsed, output)
    except PitrError as error:
        output.error(error)
        code = error.exit_code
    except KeyboardInterrupt:
        output.error(CancelledError("interrupted"))
        code = CancelledError().exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        output.error(PitrError("what was to be said cannot be written", str(error.strerror)))
        code = 1
    return code


def _run(module: str, function: str) -> Command:
    """A command whose module is imported only when it runs."""

    def command(parsed: argparse.Namespace, output: Output) -> int:
        from importlib import import_module

        code: int = getattr(import_module(f"pitr_tui.cli.{module}"), function)(parsed, output)
        return code

    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pitr",
        description="Take PostgreSQL back to the moment before the accident. "
        "Without a command the wizard opens.",
    )
    parser.add_argument("--version", action="version", version=f"pitr {pitr_tui.__version__}")
    parser.set_defaults(command=_run("wizard", "wizard"), json=False)
    _wizard_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _mark(commands)
    _archive(commands)
    _backup(commands)
    _wal(commands)
    _check(commands)
    _restore(commands)
    _resume(commands)
    _story(commands)
    _verify(commands)
    _containers(commands)
    _cleanup(commands)
    _demo(commands)
    add_lab(commands, _run)
    _explain(commands)
    _teach(commands)
    return parser


def _connection(parser: argparse.ArgumentParser, default: str = argparse.SUPPRESS) -> None:
    """`-d`, which may also stand before the command: there it has its default."""
    parser.add_argument(
        "-d",
        "--dsn",
        metavar="CONNINFO",
        default=default,
        help="how to connect to the primary, as host=... port=... or postgresql://...; "
        "what is left out comes from libpq's variables; passwords belong into PGPASSFILE",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def _wizard_options(parser: argparse.ArgumentParser) -> None:
    _connection(parser, default="")
    parser.add_argument("--docker", metavar="NAME", help="the primary's container, for the wizard")
    parser.add_argument(
        "--compose", type=Path, metavar="FILE", help="the compose file, for the wizard"
    )
    parser.add_argument("--archive", metavar="PLACE", help=f"the WAL archive: {PLACE_HELP}")
    parser.add_argument("--backups", metavar="PLACE", help="where base backups are kept")


def _mark(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    _connection(parser)
    add_container_options(parser)
    _json(parser)
    parser.set_defaults(command=_run("mark", "mark"))


def _archive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("archive", help="see or turn on the archiving of WAL")
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    status = actions.add_parser("status", help="how the primary archives; exit 3 if it does not")
    status.set_defaults(command=_run("archive", "status"))
    enable = actions.add_parser("enable", help="turn archiving on, and prove it")
    enable.add_argument(
        "--to",
        metavar="DIR",
        help="the WAL archive; with --docker a path in the container (its mount for that)",
    )
    enable.add_argument("--yes", action="store_true", help="do not ask: the shown diff is accepted")
    enable.add_argument("--no-restart", action="store_true", help="refuse if a restart is needed")
    enable.set_defaults(command=_run("archive", "enable"))
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
    collect.set_defaults(command=_run("collect", "collect"))
    for parser in (status, enable, collect):
        _connection(parser)
        add_container_options(parser)
        _json(parser)
    _receive(actions)


def _receive(archive: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
        parser.set_defaults(command=_run("receive", name))
        parser.add_argument("--to", metavar="VOLUME", help="the archive (pitr-archive-NAME)")
        parser.add_argument("--slot", default="pitr_receiver", help="the replication slot")
        _connection(parser)
        add_container_options(parser)
        _json(parser)


def _backup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("backup", help="take and list base backups")
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    take = actions.add_parser("take", help="take a base backup with pg_basebackup")
    _connection(take)
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
    take.set_defaults(command=_run("backup", "take"))
    listing = actions.add_parser("list", help="the backups in a place")
    listing.add_argument("directory", metavar="PLACE", help=PLACE_HELP)
    listing.add_argument(
        "--archive",
        metavar="PLACE",
        default=argparse.SUPPRESS,
        help="tells where backups ended",
    )
    listing.set_defaults(command=_run("backup", "listing"))
    for parser in (take, listing):
        container = add_container_options(parser)
        _json(parser)
    container.add_argument(
        "--image", metavar="I", help="what to read volumes with (a PostgreSQL container's image)"
    )


def _wal(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser("wal", help="see what the WAL in an archive says")
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    coverage = actions.add_parser(
        "coverage", help="timelines, gaps, and from where to where one can recover"
    )
    coverage.add_argument("--backups", metavar="PLACE", help="where base backups are kept")
    coverage.set_defaults(command=_run("wal", "coverage"))
    transactions = actions.add_parser(
        "transactions", help="every transaction: when it ended and which rows it changed"
    )
    transactions.add_argument(
        "--relation", metavar="NAME", help="only those that touched this table, or file number"
    )
    transactions.add_argument(
        "--min-rows", type=int, metavar="N", help="only those that changed as many rows"
    )
    transactions.set_defaults(command=_run("transactions", "transactions"))
    suspects = actions.add_parser(
        "suspects", help="the transactions that look harmful, the worst first"
    )
    suspects.add_argument(
        "--limit", type=int, default=20, metavar="N", help="how many are shown to people (20)"
    )
    suspects.set_defaults(command=_run("suspects", "suspects"))
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
        _json(parser)


def _check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check", help="say whether a recovery would get there; exit 0 yes, 1 not proved, 3 no"
    )
    _recovery(parser)
    parser.add_argument(
        "--checksums", action="store_true", help="read the whole backup against its manifest"
    )
    parser.set_defaults(command=_run("check", "check"))


def _restore(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("restore", help="recover a secondary to a point in time")
    _recovery(parser)
    parser.add_argument(
        "--write-compose", type=Path, metavar="FILE", help="write it down as a compose service"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its checks")
    parser.set_defaults(command=_run("restore", "restore"))


def _resume(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What becomes of a run that is there already."""
    resume = commands.add_parser(
        "resume", help="go on with a run that was cut off or failed, or to a later target"
    )
    _target(resume, "as before; or at a later target, from where the secondary stands")
    resume.set_defaults(command=_run("resume", "resume"))
    promote = commands.add_parser("promote", help="open the secondary of a run for writing")
    promote.set_defaults(command=_run("resume", "promote"))
    discard = commands.add_parser("discard", help="remove the secondary of a run with its data")
    discard.set_defaults(command=_run("resume", "discard"))
    for parser in (resume, promote, discard):
        parser.add_argument("--confirm", metavar="NAME", help="the secondary's name: do not ask")
    for parser in (resume, promote, discard):
        parser.add_argument("run", metavar="RUN", help=RUN_HELP)
        _json(parser)


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
    _json(parser)


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


def _story(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What was done here, told again from the journals."""
    listing = commands.add_parser("runs", help="the recoveries that were done here, newest first")
    listing.set_defaults(command=_run("runs", "runs"))
    report = commands.add_parser("report", help="the story of a run, to be read and to be checked")
    report.add_argument("--to", type=Path, metavar="FILE", help="write it into a new file")
    report.set_defaults(command=_run("runs", "report"))
    replay = commands.add_parser("replay", help="see a run once more; nothing is done by it")
    replay.add_argument(
        "--speed",
        type=float,
        default=10.0,
        metavar="N",
        help="how many times its own pace (10); 0 tells it at once, as text",
    )
    replay.set_defaults(command=_run("runs", "replay"))
    for parser in (report, replay):
        parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    for parser in (listing, report, replay):
        _json(parser)


def _verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verify", help="look at a recovered secondary; exit 0 all well, 1 a check failed"
    )
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--checks", type=Path, metavar="FILE", help="your own checks (pitr.yaml, if it is here)"
    )
    parser.add_argument("--no-rows", action="store_true", help="count no rows")
    _connection(parser)
    add_container_options(parser)
    _json(parser)
    parser.set_defaults(command=_run("verify", "verify"))


def _containers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "containers", help="the PostgreSQL servers of the Docker engine, running or not"
    )
    parser.add_argument(
        "--compose",
        type=Path,
        metavar="FILE",
        help="also the services of this compose file that were not created",
    )
    _json(parser)
    parser.set_defaults(command=_run("containers", "containers"))


def _cleanup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "cleanup", help="remove what pitr left in the Docker engine; archives and backups stay"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="just this container, volume or network"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask: what is listed is removed")
    _json(parser)
    parser.set_defaults(command=_run("cleanup", "cleanup"))


def _demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo", help="lose data and get them back, on a PostgreSQL of its own"
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=1_000_000,
        metavar="N",
        help="good rows before the backup; as many after it, and half as many wrong ones",
    )
    parser.add_argument("--dir", type=Path, metavar="DIR", help="a new directory for everything")
    parser.add_argument("--keep", action="store_true", help="leave both servers running")
    parser.add_argument("--tui", action="store_true", help="open the wizard after the accident")
    _json(parser)
    parser.set_defaults(command=_run("demo", "demo"))


def _explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "explain", help="what a server's log says about its recovery, and why it failed"
    )
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help="a server log of any version and format, compressed or not, or a directory of "
        "them; - or nothing reads a pipe",
    )
    _json(parser)
    parser.set_defaults(command=_run("explain", "explain"))


def _teach(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "teach", help="what each step of a recovery does, why, and which settings are behind it"
    )
    parser.add_argument("step", nargs="?", metavar="STEP", help="a step; without one, their list")
    parser.add_argument(
        "--version", dest="major", metavar="N", help="as this major version has it (18)"
    )
    _json(parser)
    parser.set_defaults(command=_run("teach", "teach"))
