"""Options that several commands share. This module loads nothing, so that --help stays quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from pitr_tui.cli.output import Output

Command = Callable[[argparse.Namespace, Output], int]
Subcommands = argparse._SubParsersAction  # argparse has no public name for it

PLACE_HELP = "a directory, volume:NAME[/DIR], or engine:/DIR on the Docker engine's machine"
RUN_HELP = "its name, a part that only one has, or last"


def add_container_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """`--docker`, `--compose` and `--service`: the server is in a container."""
    group = parser.add_argument_group("a server in a container")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--docker", metavar="NAME", help="the container's name or id")
    which.add_argument("--compose", type=Path, metavar="FILE", help="the compose file that has it")
    group.add_argument("--service", metavar="NAME", help="the service of the compose file")
    return group


def late(module: str, function: str) -> Command:
    """A command whose module is imported only when it runs."""

    def command(parsed: argparse.Namespace, output: Output) -> int:
        from importlib import import_module

        code: int = getattr(import_module(f"pitr_tui.cli.{module}"), function)(parsed, output)
        return code

    return command


def add_connection(parser: argparse.ArgumentParser, default: str = argparse.SUPPRESS) -> None:
    """`-d`, which may also stand before the command: there it has its default."""
    parser.add_argument(
        "-d",
        "--dsn",
        metavar="CONNINFO",
        default=default,
        help="how to connect to the primary, as host=... port=... or postgresql://...; "
        "what is left out comes from libpq's variables; passwords belong into PGPASSFILE",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON lines")
