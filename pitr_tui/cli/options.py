"""Options that several commands share. This module loads nothing, so that --help stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path

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
