"""Open the wizard, alone or on the demo's primary."""

from __future__ import annotations

import argparse
from datetime import UTC

from pitr_tui.cli.connection import database_of
from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError
from pitr_tui.lab.tutorial import Tutorial
from pitr_tui.wording import count_text


def wizard(parsed: argparse.Namespace, output: Output) -> int:
    """The wizard on whatever it finds."""
    from pitr_tui.tui.app import PitrApp
    from pitr_tui.tui.session import Session

    session = Session(
        database=database_of(parsed) if parsed.dsn else None,
        archive_directory=parsed.archive.absolute() if parsed.archive else None,
        backup_directory=parsed.backups.absolute() if parsed.backups else None,
    )
    return PitrApp(session).run() or 0


def demo_wizard(tutorial: Tutorial, output: Output) -> int:
    """The wizard on a primary to which the tutorial's accident has just happened."""
    from pitr_tui.tui.app import PitrApp
    from pitr_tui.tui.session import Moment, Session, Story

    tutorial.play()
    if tutorial.noted is None:
        raise PitrError("the demo has no moment to go back to")
    noted = tutorial.noted.astimezone(UTC)
    story = Story(
        f"{count_text(2 * tutorial.rows, 'good row')} are in the table orders of the database "
        f"shop. Somebody noted the clock, {noted:%H:%M:%S.%f} UTC, and then "
        f"{count_text(tutorial.rows // 2, 'wrong row')} came in. "
        "Recover a secondary to the noted moment, and find only the good rows in it.",
        (Moment(noted, "the clock was noted here: everything before it is good"),),
    )
    session = Session(
        story=story,
        database=tutorial.server.database,
        archive_directory=tutorial.archive_directory,
        backup_directory=tutorial.backup_directory,
        destination=tutorial.directory / "secondary",
    )
    try:
        return PitrApp(session).run() or 0
    finally:
        if session.secondary is not None:
            session.secondary.stop()
