"""One line that tells what a background job is doing, and how to stop it."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widgets import Static

from pitr_tui.recovery.events import Progress
from pitr_tui.tui.literal import Part, assemble
from pitr_tui.wording import duration_text, size_text

_SIGNS = "◐◓◑◒"
_BAR_CELLS = 20
_SHOW_SECONDS_AFTER = 2.0


def bar(fraction: float, cells: int = _BAR_CELLS) -> str:
    """A bar of whole cells.

    >>> bar(0.5, 4)
    '██░░'
    """
    full = round(min(1.0, max(0.0, fraction)) * cells)
    return "█" * full + "░" * (cells - full)


class JobLine(Static):
    """Hidden while nothing runs. `tick` redraws it; the owner calls it on its timer."""

    def __init__(self) -> None:
        super().__init__("", markup=False, classes="job-line")
        self.display = False
        self._started = 0.0
        self._what = ""
        self._cancel_hint = ""
        self._progress: Progress | None = None
        self._stopping = False
        self._drawn: Content | None = None

    def begin(self, what: str, cancel_hint: str = "esc cancels") -> None:
        """Show a new job."""
        self._started = time.monotonic()
        self._what, self._cancel_hint = what, cancel_hint
        self._progress, self._stopping = None, False
        self.display = True
        self.tick()

    def advance(self, progress: Progress) -> None:
        """Take note of how far the job is; drawn with the next tick."""
        self._progress = progress

    def stopping(self) -> None:
        """The job was asked to stop and is tidying up."""
        self._stopping = True

    def end(self) -> None:
        self.display = False

    def tick(self) -> None:
        """Draw the state of this moment."""
        seconds = time.monotonic() - self._started
        parts: list[Part] = [
            (f"{_SIGNS[int(seconds * 4) % len(_SIGNS)]} ", "$text-accent"),
            ("stopping: " if self._stopping else "") + self._what,
        ]
        progress = self._progress
        if progress is not None:
            if progress.total > 0:
                fraction = min(1.0, progress.done / progress.total)
                parts.append((f"  {bar(fraction)} ", "$text-accent"))
                parts.append(f"{fraction * 100:.0f} % of {size_text(progress.total)}")
            else:
                parts.append(f"  {size_text(progress.done)}")
        if seconds > _SHOW_SECONDS_AFTER:
            parts.append(f"  {duration_text(seconds)}")
        if self._cancel_hint and not self._stopping:
            parts.append((f"  {self._cancel_hint}", "$foreground-muted"))
        content = assemble(*parts)
        if self._drawn is None or not content.is_same(self._drawn):
            self._drawn = content
            self.update(content, layout=False)
