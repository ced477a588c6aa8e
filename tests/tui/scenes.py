"""Moments of the wizard that are drawn without any server: from recorded journals.

The snapshot tests and the pictures of the README (`python -m tests.tui.pictures`) are made of
these, so that both always show what the program shows. A journal in `tests/data/journals` is
the record of a real run, with its paths moved to /srv/pg.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from textual._context import visible_screen_stack
from textual.app import App
from textual.events import Paste
from textual.pilot import Pilot

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import AtTime
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.contents import Contents
from pitr_tui.recovery.events import CheckDone, Event, LogArrived, Stamped, Status
from pitr_tui.recovery.journal import read_journal
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import Table
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.secondary import Secondary
from pitr_tui.servers.sql import Database
from pitr_tui.tui.app import DARK, PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.screens.recover import RecoverPane
from pitr_tui.tui.screens.verify_look import Seen, SeenKind
from pitr_tui.tui.screens.wizard import WizardScreen
from pitr_tui.tui.session import Session, WizardStep
from tests.unit.made import backup_value, make_plan

JOURNALS = Path(__file__).parents[1] / "data" / "journals"
PAUSED, MISSING, SILENT = "paused-at-time-18", "missing-segment-18", "silent-promotion-12"
SMALL, LARGE = (80, 24), (120, 40)

ORDERS = Table("public", "orders", False, 94_240_768, 1_200_000)
CUSTOMERS = Table("public", "customers", False, 131_072, 1_214)
CACHE = Table("public", "session_cache", True, 8_192, 0)
PRIMARY_ROWS: dict[tuple[str, str], int | None] = {
    ("public", "orders"): 1_500_000,
    ("public", "customers"): 1_214,
    ("public", "session_cache"): 100,
}


def journal(name: str) -> list[Stamped]:
    """The events of a recorded run."""
    return list(read_journal(JOURNALS / f"{name}.jsonl"))


def until_event(events: list[Stamped], kind: type[Event], text: str = "") -> list[Stamped]:
    """The events up to the first one of a kind (with `text` in it), that one included."""
    for place, stamped in enumerate(events):
        if isinstance(stamped.event, kind) and text in str(stamped.event):
            return events[: place + 1]
    raise AssertionError(f"no {kind.__name__} with {text!r} in it")


def secondary() -> LocalSecondary:
    """The secondary of the recorded runs, as a value; it does not run."""
    programs = Installation(Path("/usr/lib/postgresql/18/bin"), PostgresVersion.parse("18.6"))
    return LocalSecondary(Path("/srv/pg/secondary"), programs, OsUser("postgres", 999, 999))


def recorded_contents(
    here: Database, primary: Database | None, emit: Emit[Contents], cancel: threading.Event
) -> None:
    """What `gather` told of the recorded run's secondary."""
    emit(Contents("postgres", (ORDERS, CUSTOMERS, CACHE), PRIMARY_ROWS if primary else None))


def recorded_look(
    server: Secondary, run: RunView, emit: Emit[Seen], cancel: threading.Event
) -> None:
    """What the checks told of the recorded run's secondary."""
    for name, evidence in (
        ("stopped at the target", f"it stopped {run.stop}"),
        ("asked to pause", "replay paused at 0/F73BFD0, timeline 1"),
        ("last transaction", "2026-11-22 18:22:08.92902 UTC"),
        ("archives nothing", "archive_mode is off, and nothing was archived"),
        ("talks to nobody", "no replication, and no process of a library"),
        ("listens", "on no address; socket /srv/pg/secondary/pitr/socket"),
        ("subscriptions", "none is enabled"),
        ("leftovers", "only backup_label.old, which nobody reads"),
    ):
        emit(Seen(CheckDone(name, Status.OK, evidence)))
    unlogged = "session_cache: empty after every recovery"
    emit(Seen(CheckDone("unlogged tables", Status.NOTE, unlogged)))
    own = CheckDone("all orders are there", Status.OK, "1200000, expected >= 1200000")
    emit(Seen(own, SeenKind.OWN))
    if run.promoted is not None:
        for name, status, evidence in (
            ("statistics", Status.NOTE, "what the server counted is gone"),
            (
                "base backup",
                Status.WARNING,
                "it writes timeline 2, of which there is no backup yet",
            ),
            ("archiving", Status.WARNING, "nothing is archived"),
        ):
            emit(Seen(CheckDone(name, status, evidence), SeenKind.TODO))


def session_at(now: datetime) -> Session:
    """A session with a primary, a moment after `now` by a clock that stands still."""
    facts = PrimaryFacts(
        version=PostgresVersion.parse("18.6"),
        system_identifier=7711009236814082698,
        in_recovery=False,
        clock=now,
        time_zone="UTC",
        segment_size=16 << 20,
        data_directory=Path("/srv/pg/primary"),
        superuser=True,
        timeline=TimelineId(1),
        total_bytes=120 << 20,
    )
    return Session(
        clock=lambda: now,
        facts=facts,
        database=Database({"host": "/srv/pg/socket", "port": "5432"}),
        archive_directory=Path("/srv/pg/archive"),
        backup_directory=Path("/srv/pg"),
        passed=set(WizardStep),
    )


@dataclass(frozen=True)
class Scene:
    """A step of the wizard after some events of a recorded run, and some keys."""

    name: str
    events: Callable[[], list[Stamped]]
    step: str = "recover"
    keys: tuple[str, ...] = ()

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        events = self.events()
        async with AsyncExitStack() as stack:
            stack.enter_context(patch("pitr_tui.tui.screens.verify.gather", recorded_contents))
            stack.enter_context(patch("pitr_tui.tui.screens.verify.look_at", recorded_look))
            stack.enter_context(patch("shutil.which", lambda program: f"/usr/bin/{program}"))
            session = session_at(events[-1].at)
            session.backup = backup_value(Path("/srv/pg/backup-1"))
            place = Path(stack.enter_context(TemporaryDirectory()))
            session.plan = make_plan(
                place, target=AtTime(events[-1].at), destination=Path("/srv/pg/secondary")
            )
            session.run = RunView()  # what was started already does not start again
            app = PitrApp(session)
            app.theme = theme
            pilot = await stack.enter_async_context(app.run_test(size=size))
            if self.step == "verify":
                await opened(pilot)
                for stamped in events:
                    session.run.apply(stamped)
                session.secondary = secondary()
                await app.wizard.show("verify")
                await settled(pilot)
            else:
                await play(app, pilot, events)
            if self.keys:
                await pilot.press(*self.keys)
            await settled(pilot)
            yield pilot


async def play(app: PitrApp, pilot: Pilot[Any], events: list[Stamped]) -> RecoverPane:
    """Go to the recover step and show a recorded run there."""
    await opened(pilot)
    await app.wizard.show("recover")
    pane = app.wizard.panes["recover"]
    assert isinstance(pane, RecoverPane)
    await pilot.pause()
    app.session.run = pane.panel.view
    pane.panel.feed(events)
    pane.changed()
    pane.refresh_bindings()
    await pilot.pause()
    return pane


async def opened(pilot: Pilot[Any]) -> PitrApp:
    """Wait until the wizard has shown its first step, so that it does not come in between."""
    app = pilot.app
    assert isinstance(app, PitrApp)
    first = "#pane-connect"
    await until(pilot, lambda: any(pane.is_on_screen for pane in app.wizard.query(first)))
    return app


async def paste(pilot: Pilot[Any], text: str) -> None:
    """Give a text to what has the focus, as a terminal does; typing it takes 40 ms a letter."""
    pilot.app.post_message(Paste(text))
    await pilot.pause()


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until no step has a job going, and everything is drawn."""
    await pilot.pause()
    wizard = pilot.app.screen_stack[0]
    assert isinstance(wizard, WizardScreen)
    await until(pilot, lambda: not any(p._jobs for p in wizard.panes.values()))
    await pilot.pause()


async def until(pilot: Pilot[Any], happened: Callable[[], object], seconds: float = 10) -> None:
    """Let the app run until something is so, and is drawn."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            await pilot.pause(0)
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not happen in time:\n" + screen_text(pilot.app))


def screen_text(app: App[Any]) -> str:
    """What a person sees, row by row, with what lies below a dialog."""
    visible_screen_stack.set(app._background_screens)
    rows = app.screen._compositor.render_strips()
    return "\n".join(strip.text[: app.size.width].rstrip() for strip in rows) + "\n"


def _replaying() -> list[Stamped]:
    return until_event(journal(PAUSED), LogArrived, "redo in progress")


SCENES = (
    Scene("recover-replaying", _replaying),
    Scene("recover-paused", lambda: journal(PAUSED)),
    Scene("recover-missing-segment", lambda: journal(MISSING)),
    Scene("recover-silent-promotion", lambda: journal(SILENT)),
    Scene("recover-line-explained", lambda: journal(MISSING), keys=("up", "up", "up", "up", "e")),
    Scene("verify", lambda: journal(PAUSED), step="verify"),
    Scene("verify-promote", lambda: journal(PAUSED), step="verify", keys=("p",)),
)
