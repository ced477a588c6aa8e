"""The wizard as it looks: before a recovery over a made world, then replayed from journals."""

from pathlib import Path

import pytest

from tests.tui.conftest import Golden, Snap
from tests.tui.first_scenes import FIRST_SCENES, FirstScene
from tests.tui.pictures import SCREENSHOTS, SHOWN, THEMES
from tests.tui.replay_scenes import REPLAY_SCENES, ReplayScene
from tests.tui.scenes import LARGE, SCENES, SMALL, Scene, screen_text
from tests.tui.standing_scenes import STANDING_SCENES, KeptScene

SNAPSHOTS = Path(__file__).parent / "__snapshots__" / "test_pictures"


def named(size: tuple[int, int]) -> str:
    """The name of a snapshot of this size."""
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize(
    "scene",
    [*FIRST_SCENES, *SCENES, *REPLAY_SCENES, *STANDING_SCENES],
    ids=lambda scene: scene.name,
)
async def test_scene(
    scene: FirstScene | Scene | ReplayScene | KeptScene, snap: Snap, golden: Golden
) -> None:
    async with scene.played(SMALL, THEMES[SMALL]) as pilot:
        golden(screen_text(pilot.app), named(SMALL))
        await snap(pilot, named(SMALL))
        pilot.app.theme = THEMES[LARGE]
        await pilot.resize_terminal(*LARGE)
        await snap(pilot, named(LARGE))


@pytest.mark.parametrize("picture", SHOWN)
def test_the_screenshots_are_what_the_snapshots_show(picture: str) -> None:
    """What the snapshots show is compared with the program above; draw with tests.tui.pictures."""
    scene, size = SHOWN[picture]
    snapshot = SNAPSHOTS / f"test_scene[{scene}][{named(size)}].svg"
    assert (SCREENSHOTS / f"{picture}.svg").read_bytes() == snapshot.read_bytes()


def test_no_screenshot_is_left_over() -> None:
    assert {path.name for path in SCREENSHOTS.iterdir()} == {f"{name}.svg" for name in SHOWN}
