"""Draw the pictures of the README anew: `python -m tests.tui.pictures [DIRECTORY]`.

They are the scenes that the snapshot tests compare, at the larger size.
"""

import asyncio
import re
import sys
from pathlib import Path

import tests.conftest  # noqa: F401 - it sets the environment before Textual is imported
from pitr_tui.tui.app import DARK, LIGHT
from tests.tui.scenes import LARGE, SCENES, SMALL

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
_SHOWN = {
    "recover-replaying": (LARGE, DARK),
    "recover-paused": (SMALL, LIGHT),
    "recover-missing-segment": (LARGE, DARK),
    "verify": (LARGE, DARK),
}
# Rich numbers the terminals that it draws, by chance.
_TERMINAL_NUMBER = re.compile(r"\bterminal-\d+-")


async def draw(directory: Path) -> None:
    """Write one SVG for each picture."""
    directory.mkdir(exist_ok=True)
    for scene in SCENES:
        if scene.name in _SHOWN:
            size, theme = _SHOWN[scene.name]
            async with scene.played(size, theme) as pilot:
                picture = pilot.app.export_screenshot(simplify=True)
            path = directory / f"{scene.name}.svg"
            path.write_text(_TERMINAL_NUMBER.sub("terminal-", picture), encoding="utf-8")
            print(path)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]) if len(sys.argv) > 1 else SCREENSHOTS))
