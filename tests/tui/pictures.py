"""Draw the pictures of the README anew: `python -m tests.tui.pictures [DIRECTORY]`.

They are the scenes that the snapshot tests compare, in one of the sizes and themes of those.
"""

import asyncio
import re
import sys
from pathlib import Path

import tests.conftest  # noqa: F401 - it sets the environment before Textual is imported
from pitr_tui.tui.app import DARK, LIGHT
from tests.tui.first_scenes import FIRST_SCENES
from tests.tui.replay_scenes import REPLAY_SCENES
from tests.tui.scenes import LARGE, SCENES, SMALL

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
THEMES = {LARGE: DARK, SMALL: LIGHT}
SHOWN = {
    "connect": ("connect", SMALL),
    "connect-compose": ("connect-compose", SMALL),
    "archive": ("archive-change", SMALL),
    "archive-container": ("archive-container", LARGE),
    "plan-container": ("plan-container", SMALL),
    "backups": ("backups", SMALL),
    "target": ("target", SMALL),
    "plan": ("plan", SMALL),
    "recover": ("recover-replaying", LARGE),
    "recover-paused": ("recover-paused", SMALL),
    "recover-failed": ("recover-missing-segment", LARGE),
    "verify": ("verify", LARGE),
    "replay": ("replay", SMALL),
}
# Rich numbers the terminals that it draws, by chance.
_TERMINAL_NUMBER = re.compile(r"\bterminal-\d+-")


def without_chance(picture: str) -> str:
    """An SVG that is the same whenever it shows the same."""
    return _TERMINAL_NUMBER.sub("terminal-", picture)


async def draw(directory: Path) -> None:
    """Write one SVG for each picture."""
    directory.mkdir(exist_ok=True)
    scenes = {scene.name: scene for scene in (*FIRST_SCENES, *SCENES, *REPLAY_SCENES)}
    for name, (scene, size) in SHOWN.items():
        async with scenes[scene].played(size, THEMES[size]) as pilot:
            picture = pilot.app.export_screenshot(simplify=True)
        path = directory / f"{name}.svg"
        path.write_text(without_chance(picture), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]) if len(sys.argv) > 1 else SCREENSHOTS))
