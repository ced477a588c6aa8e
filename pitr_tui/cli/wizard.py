"""Open the wizard, alone or on the demo's primary."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError, UsageError
from pitr_tui.wording import count_text

if TYPE_CHECKING:  # the wizard paints its frame before it loads the engine
    from pitr_tui.lab.record import Lab
    from pitr_tui.lab.tutorial import Tutorial
    from pitr_tui.tui.reach import Place
    from pitr_tui.tui.session import Session, Story


def wizard(parsed: argparse.Namespace, output: Output) -> int:
    """The wizard on whatever it finds. A secondary that it made goes on after it."""
    from pitr_tui.tui.session import Session

    require_terminal()
    database = None
    if parsed.dsn:
        from pitr_tui.cli.connection import database_of

        database = database_of(parsed)
    session = Session(
        database=database,
        container=parsed.docker or "",
        compose=parsed.compose,
        archive_directory=_place(parsed.archive),
        backup_directory=_place(parsed.backups),
    )
    return _open_and_tell(session, output)


def lab_wizard(lab: Lab | None, output: Output) -> int:
    """The wizard on a lab that runs; without one on the cards, to choose one."""
    from pitr_tui.tui.lab_session import session_of
    from pitr_tui.tui.screens.lab_keys import CARDS
    from pitr_tui.tui.session import Session

    require_terminal()
    if lab is not None:
        return _open_and_tell(session_of(lab), output)
    return _open_and_tell(Session(), output, CARDS)


def _open_and_tell(session: Session, output: Output, first: str = "") -> int:
    """The wizard, and then what of it goes on without it."""
    with closing(session.reach):
        code, session = _open(session, first)
        secondary = session.secondary
        if secondary is not None and secondary.is_running():
            output.say(f"The secondary in {secondary.destination} goes on running.")
            output.say(f"  look at it:  {secondary.psql_command()}")
            output.say(f"  stop it:     {secondary.stop_command()}")
    _tell_what_is_left(session, output)
    if session.lab is not None:
        output.say(f"The lab {session.lab.lab.name} goes on running.")
        output.say("  back to it:  pitr lab open")
        output.say("  score it:    pitr lab score")
        output.say("  end it:      pitr lab stop")
    return code


def _tell_what_is_left(session: Session, output: Output) -> None:
    """How to go on with each run of this session that can be gone on with."""
    if not session.records:
        return
    from pitr_tui.recovery.glance import glance
    from pitr_tui.recovery.report import Ending

    for one in map(glance, session.records):
        if not one.can_go_on or one.outcome is None:
            continue
        name = one.record.name
        output.say(f"The recovery into {one.destination}: {one.outcome}.")
        if one.outcome.ending is Ending.REACHED:
            output.say(f"  step on:     pitr resume {name} --target-…")
        else:
            output.say(f"  go on:       pitr resume {name}")
        output.say(f"  remove it:   pitr discard {name}")


def _place(text: str | None) -> Place | None:
    """A place of the command line, where a directory may be relative. Raises UsageError."""
    from pitr_tui.storage.location import engine_location

    if not text:
        return None
    return engine_location(text) or Path(text).absolute()


def demo_wizard(tutorial: Tutorial) -> int:
    """The wizard on a primary to which the tutorial's accident has just happened.

    Raises PitrError when the accident could not be played.
    """
    from pitr_tui.tui.session import Session

    tutorial.play()
    if tutorial.noted is None:
        raise PitrError("the demo has no moment to go back to")
    story = demo_story(tutorial.noted.astimezone(UTC), tutorial.rows)
    session = Session(
        story=story,
        database=tutorial.server.database,
        archive_directory=tutorial.archive_directory,
        backup_directory=tutorial.backup_directory,
        destination=tutorial.directory / "secondary",
    )
    code, _ = _open(session)
    return code


def demo_story(noted: datetime, rows: int) -> Story:
    """The accident in words: twice `rows` good rows, then the noted clock, then the wrong ones."""
    from pitr_tui.lab.tutorial import DATABASE
    from pitr_tui.tui.session import Moment, Story

    return Story(
        f"{count_text(2 * rows, 'good row')} are in the table orders of the database "
        f"{DATABASE}. Somebody noted the clock, {noted:%H:%M:%S.%f} UTC, and then "
        f"{count_text(rows // 2, 'wrong row')} came in. "
        "Recover a secondary to the noted moment, and find only the good rows in it.",
        (Moment(noted, "the clock was noted here: everything before it is good"),),
    )


def require_terminal() -> None:
    """Raises UsageError where the wizard could neither be seen nor typed into."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the wizard needs a terminal",
            "input or output goes somewhere else",
            "`pitr --help` lists the commands that work without one",
        )


def _open(session: Session, first: str = "") -> tuple[int, Session]:
    """Run the wizard; give its exit code, and the session that it ended with."""
    from pitr_tui.tui.app import PitrApp

    app = PitrApp(session, first)
    return app.run() or 0, app.session
