"""Screens as text, compared with the files in `__snapshots__`."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.widgets import Input

Golden: TypeAlias = Callable[[str, str], None]


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
def golden(snapshot: SnapshotAssertion) -> Golden:
    """Return a function that compares a screen's text with the snapshot of the given name."""
    texts = snapshot.use_extension(TextExtension)

    def compare(text: str, name: str) -> None:
        assert text == texts(name=name)

    return compare
