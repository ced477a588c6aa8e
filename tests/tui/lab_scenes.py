"""The lab in the wizard: its cards, the coach, a hint and scores, over the recorded lab."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from textual.pilot import Pilot

from pitr_tui.lab import diary, record
from pitr_tui.lab.result import Score
from pitr_tui.tui.app import DARK, PitrApp
from pitr_tui.tui.lab_session import session_of
from pitr_tui.tui.session import Session
from tests.tui.scenes import opened, screen_text, settled, until
from tests.tui.walk_world import NOW, WalkPrimary, WalkWorld, read_json
from tests.tui.world import ARCHIVE, BACKUPS

SCORE, EARLY = (Score.from_json(read_json(name)) for name in ("score", "score-early"))


@dataclass(frozen=True)
class LabScene:
    """A step of the wizard on the lab that runs, or its cards, after some keys."""

    name: str
    step: str
    shows: str
    keys: tuple[str, ...] = ()
    then_shows: str = ""
    score: Score = SCORE
    hints: int = 0

    @asynccontextmanager
    async def played(self, size: tuple[int, int], theme: str = DARK) -> AsyncIterator[Pilot[Any]]:
        """The running application at that moment."""
        with TemporaryDirectory() as place, ExitStack() as stack:
            world = WalkWorld(Path(place).resolve())
            if self.step == "target":  # the other steps read none of its files
                world.make()
            stack.enter_context(world.opened())
            stack.enter_context(patch("pitr_tui.lab.score.score", lambda *_: self.score))
            app = PitrApp(self._session(world))
            app.theme = theme
            async with app.run_test(size=size) as pilot:
                await opened(pilot)
                await app.wizard.show(self.step)
                await until(pilot, lambda: self.shows in screen_text(app))
                await settled(pilot)
                await pilot.press(*self.keys)
                await until(pilot, lambda: self.then_shows in screen_text(app))
                await settled(pilot)
                yield pilot

    def _session(self, world: WalkWorld) -> Session:
        """On the lab that runs, with an earlier score of it."""
        lab = world.lab
        (record.labs_directory() / "current").write_text(f"{lab.name}\n")
        for _ in range(self.hints):
            diary.take_hint(lab)
        if self.step == "lab":
            diary.keep_score(lab, self.score)
            return Session(clock=lambda: NOW)
        session = session_of(lab)
        session.clock = lambda: NOW
        if self.step == "target":
            session.facts = WalkPrimary(lab.server.database).facts()
            session.backup = world.read_catalogue(BACKUPS, ARCHIVE).usable[0]
        return session


LAB_SCENES = (
    LabScene("lab-cards", "lab", "Somebody dropped a table", ("down", "down", "down"), "euro"),
    LabScene("lab-running", "lab", "Somebody dropped a table", then_shows="hints 0 of 3"),
    LabScene("lab-stop-asked", "lab", "hints 0 of 3", ("x",), "Stop the lab?"),
    LabScene("lab-coach", "connect", "go on to archive", hints=1),
    LabScene("lab-coach-target", "target", "● reachable", hints=1),
    LabScene("lab-hint-asked", "connect", "go on to archive", ("H",), "Take hint", hints=1),
    LabScene("lab-score", "connect", "go on to archive", ("S",), "100 of 100"),
    LabScene(
        "lab-score-mistakes",
        "connect",
        "go on to archive",
        ("S",),
        f"{EARLY.marks} of 100",
        score=EARLY,
    ),
)
