"""From the words of a command line to a connection."""

from __future__ import annotations

import argparse
import os

from pitr_tui.errors import UsageError
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.sql import Database, parse_conninfo


def database_of(parsed: argparse.Namespace) -> Database:
    """The database that was named; libpq's variables fill in what was not.

    Raises PitrError for a connection string that cannot be read or has a password in it.
    """
    parameters = parse_conninfo(parsed.dsn) if parsed.dsn else {}
    if "password" in parameters:
        raise UsageError(
            "a password has no place on a command line",
            "everybody on this machine can read it there",
            "put it into ~/.pgpass, or into PGPASSWORD",
        )
    for key, variable in (("dbname", "PGDATABASE"), ("user", "PGUSER")):
        if key not in parameters and variable in os.environ:
            parameters[key] = os.environ[variable]
    return Database(parameters)


def primary_of(parsed: argparse.Namespace) -> Primary:
    return Primary(database_of(parsed))
