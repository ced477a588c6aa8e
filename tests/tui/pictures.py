"""Draw every picture in `screenshots/` anew: `python -m tests.tui.pictures [DIRECTORY]`.

Each scene is one picture, dark and 120 by 40; some have another one, in light or 80 by 24. The
walk through a lab is one that moves. The tests draw the same and compare it with the files.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

from textual.pilot import Pilot
from textual.widgets import Input

import tests.conftest  # noqa: F401 - it sets the environment before Textual is imported
from pitr_tui.tui.app import DARK, LIGHT, PitrApp
from tests.tui.dialog_scenes import DIALOG_SCENES
from tests.tui.first_scenes import FIRST_SCENES
from tests.tui.lab_scenes import LAB_SCENES
from tests.tui.replay_scenes import REPLAY_SCENES
from tests.tui.scenes import LARGE, SCENES, SMALL, screen_text
from tests.tui.standing_scenes import STANDING_SCENES
from tests.tui.svg import animated, picture, still
from tests.tui.walk import STORY, frames

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
WALK = "walk-dropped-table"


class Playable(Protocol):
    """A moment of the program that can be shown again and again."""

    @property
    def name(self) -> str: ...

    def played(
        self, size: tuple[int, int], theme: str = DARK
    ) -> AbstractAsyncContextManager[Pilot[Any]]: ...


@dataclass(frozen=True)
class Drawn:
    """What a scene shows in 80 by 24 as text, and its pictures by their names."""

    text: str
    pictures: Mapping[str, str]


ALL_SCENES: tuple[Playable, ...] = (
    *FIRST_SCENES,
    *SCENES,
    *REPLAY_SCENES,
    *STANDING_SCENES,
    *DIALOG_SCENES,
    *LAB_SCENES,
)
ALSO_LIGHT = ("connect", "target", "plan", "recover-replaying", "verify")
ALSO_SMALL = ("target", "plan", "recover-paused")


def names(scene: str) -> dict[str, tuple[tuple[int, int], str]]:
    """The pictures of a scene, each with its size and theme."""
    looks = {scene: (LARGE, DARK)}
    if scene in ALSO_LIGHT:
        looks[f"{scene}-light"] = (LARGE, LIGHT)
    if scene in ALSO_SMALL:
        looks[f"{scene}-80x24"] = (SMALL, DARK)
    return looks


async def drawn(scene: Playable) -> Drawn:
    """Play a scene and draw it, with a cursor that does not blink."""
    found: dict[str, str] = {}
    with patch.object(Input, "_toggle_cursor", lambda _: None):
        async with scene.played(SMALL) as pilot:
            text = screen_text(pilot.app)
            for name, (size, theme) in names(scene.name).items():
                pilot.app.theme = theme
                await pilot.resize_terminal(*size)
                await pilot.pause()
                if isinstance(pilot.app, PitrApp):
                    pilot.app.wizard.refresh_frame()  # as it does once a second
                found[name] = picture(await still(pilot))
    return Drawn(text, found)


def all_names() -> set[str]:
    """Every picture that there is."""
    return {WALK, *STORY}.union(*(names(scene.name) for scene in ALL_SCENES))


async def walked() -> dict[str, str]:
    """The walk, and of its frames those that are pictures of their own."""
    seen = await frames()
    return {WALK: animated(seen)} | {one.name: picture(one.screen) for one in seen if one.name}


async def draw(directory: Path) -> None:
    """Write every picture."""
    directory.mkdir(exist_ok=True)
    for scene in ALL_SCENES:
        for name, text in (await drawn(scene)).pictures.items():
            _write(directory / f"{name}.svg", text)
    for name, text in (await walked()).items():
        _write(directory / f"{name}.svg", text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]) if len(sys.argv) > 1 else SCREENSHOTS))
