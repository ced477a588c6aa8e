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
from collections.abc import Sequence
from pathlib import Path

import pitr_tui
from pitr_tui.cli.lab_options import add_lab
from pitr_tui.cli.options import PLACE_HELP, Subcommands, add_connection, add_json, late
from pitr_tui.cli.output import Output
from pitr_tui.cli.primary_options import add_primary
from pitr_tui.cli.recovery_options import add_recovery
from pitr_tui.cli.signals import take_signals
from pitr_tui.errors import CancelledError, PitrError


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pitr",
        description="Take PostgreSQL back to the moment before the accident. "
        "Without a command the wizard opens.",
    )
    parser.add_argument("--version", action="version", version=f"pitr {pitr_tui.__version__}")
    parser.set_defaults(command=late("wizard", "wizard"), json=False)
    _wizard_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_primary(commands)
    add_recovery(commands)
    _containers(commands)
    _cleanup(commands)
    _demo(commands)
    add_lab(commands)
    _explain(commands)
    _teach(commands)
    return parser


def _wizard_options(parser: argparse.ArgumentParser) -> None:
    add_connection(parser, default="")
    parser.add_argument("--docker", metavar="NAME", help="the primary's container, for the wizard")
    parser.add_argument(
        "--compose", type=Path, metavar="FILE", help="the compose file, for the wizard"
    )
    parser.add_argument("--archive", metavar="PLACE", help=f"the WAL archive: {PLACE_HELP}")
    parser.add_argument("--backups", metavar="PLACE", help="where base backups are kept")


def _containers(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "containers", help="the PostgreSQL servers of the Docker engine, running or not"
    )
    parser.add_argument(
        "--compose",
        type=Path,
        metavar="FILE",
        help="also the services of this compose file that were not created",
    )
    add_json(parser)
    parser.set_defaults(command=late("containers", "containers"))


def _cleanup(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "cleanup", help="remove what pitr left in the Docker engine; archives and backups stay"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="just this container, volume or network"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask: what is listed is removed")
    add_json(parser)
    parser.set_defaults(command=late("cleanup", "cleanup"))


def _demo(commands: Subcommands[argparse.ArgumentParser]) -> None:
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
    add_json(parser)
    parser.set_defaults(command=late("demo", "demo"))


def _explain(commands: Subcommands[argparse.ArgumentParser]) -> None:
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
    add_json(parser)
    parser.set_defaults(command=late("explain", "explain"))


def _teach(commands: Subcommands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "teach", help="what each step of a recovery does, why, and which settings are behind it"
    )
    parser.add_argument("step", nargs="?", metavar="STEP", help="a step; without one, their list")
    parser.add_argument(
        "--version", dest="major", metavar="N", help="as this major version has it (18)"
    )
    add_json(parser)
    parser.set_defaults(command=late("teach", "teach"))
