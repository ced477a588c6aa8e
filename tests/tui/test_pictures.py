"""The wizard as it looks: before a recovery over a made world, then replayed from journals."""

import pytest

from pitr_tui.tui.app import DARK, LIGHT
from tests.tui.conftest import Golden, Snap
from tests.tui.first_scenes import FIRST_SCENES, FirstScene
from tests.tui.scenes import LARGE, SCENES, SMALL, Scene, screen_text


@pytest.mark.parametrize("scene", [*FIRST_SCENES, *SCENES], ids=lambda scene: scene.name)
async def test_scene(scene: FirstScene | Scene, snap: Snap, golden: Golden) -> None:
    async with scene.played(SMALL, LIGHT) as pilot:
        golden(screen_text(pilot.app), "80x24")
        await snap(pilot, "80x24")
        pilot.app.theme = DARK
        await pilot.resize_terminal(*LARGE)
        await snap(pilot, "120x40")
