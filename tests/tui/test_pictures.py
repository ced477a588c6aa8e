"""The wizard as it looks: before a recovery over a made world, then replayed from journals."""

import pytest

from tests.tui.conftest import Golden
from tests.tui.pictures import ALL_SCENES, SCREENSHOTS, Playable, all_names, drawn, walked


@pytest.mark.parametrize("scene", ALL_SCENES, ids=lambda scene: scene.name)
async def test_scene(scene: Playable, golden: Golden) -> None:
    """Draw them again with `python -m tests.tui.pictures`, when they shall look so from now on."""
    seen = await drawn(scene)
    golden(seen.text, "80x24")
    for name, picture in seen.pictures.items():
        kept = SCREENSHOTS / f"{name}.svg"
        assert kept.read_text(encoding="utf-8") == picture, f"{kept.name} looks otherwise now"


async def test_the_walk_is_what_a_person_sees() -> None:
    for name, picture in (await walked()).items():
        kept = SCREENSHOTS / f"{name}.svg"
        assert kept.read_text(encoding="utf-8") == picture, f"{kept.name} looks otherwise now"


def test_no_picture_is_left_over() -> None:
    assert {path.name for path in SCREENSHOTS.iterdir()} == {f"{one}.svg" for one in all_names()}
