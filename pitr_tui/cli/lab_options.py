"""The options of `pitr lab`. This module loads nothing, so that --help stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path

from pitr_tui.cli.options import RUN_HELP, Subcommands, late

_DESCRIPTION = (
    "Practise: a shop's database is broken on purpose, you recover it, and the lab knows how well "
    "you did. Without an action the scenarios are listed."
)


def add_lab(commands: Subcommands[argparse.ArgumentParser]) -> None:
    """`pitr lab` and its actions."""
    parser = commands.add_parser(
        "lab", help="practise on a database broken on purpose", description=_DESCRIPTION
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.set_defaults(command=late("lab", "scenarios"))
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    _list(actions)
    _start(actions)
    _while_it_runs(actions)
    _for_instructors(actions)
    worker = actions.add_parser("_work")  # started by `lab start`: without a help it is not listed
    worker.add_argument("directory", type=Path)
    worker.set_defaults(command=late("lab", "work"))


def _list(actions: Subcommands[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("list", help="the scenarios, and your best marks so far")
    parser.set_defaults(command=late("lab", "scenarios"))
    _json(parser)


def _start(actions: Subcommands[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "start",
        help="make a shop, let the accident happen, and tell the story; exit 3 if a lab runs",
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="its name, or a file of your own")
    parser.add_argument(
        "--docker",
        dest="image",
        nargs="?",
        const="",
        metavar="IMAGE",
        help="the primary in a container, of this image (postgres:18, or of --version)",
    )
    parser.add_argument(
        "--version",
        dest="major",
        metavar="N",
        help="the major version of PostgreSQL (the embedded one, or the newest that is found)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="S",
        help="the same seed gives the same rows and the same accident (one at random)",
    )
    parser.add_argument("--dir", type=Path, metavar="DIR", help="a new directory for everything")
    parser.add_argument(
        "--rate",
        type=float,
        metavar="N",
        help="transactions a second while you recover (the scenario's; 0 stops the shop)",
    )
    parser.set_defaults(command=late("lab", "start"))
    _json(parser)


def _while_it_runs(actions: Subcommands[argparse.ArgumentParser]) -> None:
    for name, words in (
        ("status", "the lab that runs, its story and its places; exit 3 if none runs"),
        ("hint", "the next hint of three; each one taken is told with your marks"),
        ("score", "how well you did, row by row; exit 0 for full marks, 1 for less"),
        ("reset", "throw the lab away and begin again: same scenario, same seed"),
        ("stop", "stop the lab's servers and remove its directory; what is known of it is kept"),
        ("open", "the wizard on the lab that runs; the scenarios to choose from if none does"),
    ):
        parser = actions.add_parser(name, help=words)
        parser.set_defaults(command=late("lab", "open_wizard" if name == "open" else name))
        if name != "open":
            _json(parser)
        if name == "score":
            _run_argument(parser)


def _for_instructors(actions: Subcommands[argparse.ArgumentParser]) -> None:
    validate = actions.add_parser(
        "validate", help="every mistake in a scenario's file; exit 2 if any"
    )
    validate.add_argument("file", type=Path, metavar="FILE", help="a scenario in YAML")
    validate.add_argument("--play", action="store_true", help="also start it once, and stop it")
    validate.set_defaults(command=late("lab_class", "validate"))
    export = actions.add_parser("export", help="a run with its journal, score and report, packed")
    _run_argument(export)
    export.add_argument("--to", type=Path, metavar="FILE", help="a new .tar.gz (named by the run)")
    export.add_argument("--name", default="", metavar="TRAINEE", help="whose work it is")
    export.set_defaults(command=late("lab_class", "export"))
    listing = actions.add_parser(
        "class", help="the list of a class, from exports; exit 1 if one of them is not genuine"
    )
    listing.add_argument("exports", nargs="+", type=Path, metavar="EXPORT")
    listing.set_defaults(command=late("lab_class", "listing"))
    for parser in (validate, export, listing):
        _json(parser)


def _run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="", metavar="RUN", help=f"{RUN_HELP}; without it the lab's newest"
    )


def _json(parser: argparse.ArgumentParser) -> None:
    """`--json`, which may also stand before the action."""
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON lines"
    )
