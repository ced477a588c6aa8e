"""A walk through one lab, from the call to the score, as one animated picture.

The wizard is really played, over the recorded world of `walk_world.py`: what it shows is drawn
after the keys that a person would press.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from textual.pilot import Pilot
from textual.widgets import Input

from pitr_tui.recovery.events import LogArrived, Stamped
from pitr_tui.recovery.state import RunView
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.session import Session
from tests.tui.scenes import opened, screen_text, settled, until, until_event
from tests.tui.svg import Frame, still
from tests.tui.walk_world import NOW, WalkWorld

SIZE = (100, 30)


@dataclass(frozen=True)
class _Shot:
    """What a person presses, what the screen shows then, and for how many seconds with which words.

    With a `name` it is a picture of its own as well.
    """

    keys: tuple[str, ...]
    shows: str
    seconds: float
    caption: str
    name: str = ""


_UNTIL_REPLAY = (
    _Shot(("down",), "nobody can order", 6, "The phone rings: a shop that runs was hurt."),
    _Shot(
        ("enter",),
        "go on to archive",
        5,
        "1  Which server lost data? Enter goes on.",
        "story-incident",
    ),
    _Shot(("enter",), "last archived", 3, "2  The WAL archive is there."),
    _Shot(("ctrl+n",), "1 of 1 backup", 3, "3  So is a base backup from before the accident."),
    _Shot(
        ("enter",),
        "● reachable",
        7,
        "4  Found: the DROP TABLE. The cut stands just before it.",
        "story-found",
    ),
    _Shot(("i",), "Why it is a suspect", 4, "   What this transaction did, as the WAL tells it."),
    _Shot(
        ("escape", "enter"),
        "● GREEN",
        6,
        "5  The verdict, before a byte is copied.",
        "story-verdict",
    ),
    _Shot(("enter",), "Start the recovery?", 3, "   Nothing starts without a yes."),
    _Shot(
        ("right", "enter"),
        "state reached",
        4,
        "6  Recovering: the log as it is written, and how far replay is.",
    ),
)
_FROM_THEN_ON = (
    _Shot(
        (), "verify what was recovered", 5, "   It stopped where it was told to.", "story-recovered"
    ),
    _Shot(("enter",), "shop.orders", 7, "7  Verified: shop.orders is back.", "story-verified"),
    _Shot(("S",), "100 of 100", 8, "The score: the database was asked for every row."),
)
STORY = tuple(shot.name for shot in (*_UNTIL_REPLAY, *_FROM_THEN_ON) if shot.name)


@dataclass
class _Run:
    """The recovery as it was recorded: up to where it can be read, then to its end.

    `now` is the clock of the walk.
    """

    events: list[Stamped]
    now: datetime = NOW
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(
        self, plan: object, seen: object, emit: Emit[Stamped], cancel: threading.Event
    ) -> RunView:
        first = until_event(self.events, LogArrived, "consistent recovery state")
        self.now = first[-1].at
        for stamped in first:
            emit(stamped)
        while not (self.go_on.wait(0.01) or cancel.is_set()):
            pass
        self.now = self.events[-1].at
        view = RunView()
        for stamped in self.events:
            view.apply(stamped)
        for stamped in self.events[len(first) :]:
            emit(stamped)
        return view


async def frames() -> list[Frame]:
    """Every frame of the walk."""
    with TemporaryDirectory() as place, ExitStack() as stack:
        stack.enter_context(patch.object(Input, "_toggle_cursor", lambda _: None))
        world = WalkWorld(Path(place).resolve())
        world.make()
        stack.enter_context(world.opened())
        run = _Run(world.journal)
        stack.enter_context(patch("pitr_tui.tui.screens.recover._recover", run))
        async with PitrApp(Session(clock=lambda: run.now)).run_test(size=SIZE) as pilot:
            app = await opened(pilot)
            await app.wizard.show("lab")
            await until(pilot, lambda: "Somebody dropped a table" in screen_text(app))
            found = [await _taken(pilot, shot) for shot in _UNTIL_REPLAY]
            run.go_on.set()
            return found + [await _taken(pilot, shot) for shot in _FROM_THEN_ON]


async def _taken(pilot: Pilot[Any], shot: _Shot) -> Frame:
    """The screen once it shows what it should, and nothing but the recovery is at work."""
    app = pilot.app
    await pilot.press(*shot.keys)
    await until(pilot, lambda: shot.shows in screen_text(app))
    if "REPLAYING" not in screen_text(app):
        await settled(pilot)
    assert isinstance(app, PitrApp)
    app.wizard.refresh_frame()
    return Frame(await still(pilot), shot.caption, shot.seconds, shot.name)
