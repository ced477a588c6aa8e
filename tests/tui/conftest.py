"""Pictures of the screen, compared with the SVG files in `__snapshots__`."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.pictures import without_chance

Snap: TypeAlias = Callable[[Pilot[Any], str], Awaitable[None]]
Golden: TypeAlias = Callable[[str, str], None]


class SvgExtension(SingleFileSnapshotExtension):
    """Keeps each snapshot in an .svg file, which a browser shows."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: Any, **_options: Any) -> str:
        """Return the picture without what differs from run to run."""
        return without_chance(data)


class TextExtension(SingleFileSnapshotExtension):
    """Keeps each screen in a .txt file, whose diff a person can read."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: Any, **_options: Any) -> str:
        """Return the text as it is."""
        return str(data)


@pytest.fixture(autouse=True)
def _still_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the cursor of inputs from blinking."""
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _input: None)


@pytest.fixture
def snap(snapshot: SnapshotAssertion) -> Snap:
    """Return a function that compares the screen with the snapshot of the given name.

    One running app can be taken several times, at other sizes and themes.
    """
    pictures = snapshot.use_extension(SvgExtension)

    async def take(pilot: Pilot[Any], name: str) -> None:
        await pilot.pause()
        assert pilot.app.export_screenshot(simplify=True) == pictures(name=name)

    return take


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> Golden:
    """Return a function that compares a screen's text with the snapshot of the given name."""
    texts = snapshot.use_extension(TextExtension)

    def compare(text: str, name: str) -> None:
        assert text == texts(name=name)

    return compare
