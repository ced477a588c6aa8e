"""What a scenario is made of: its own copies, what is done to them, what has to come of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pitr_tui.recovery.checks import Light
from pitr_tui.recovery.events import Step
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunState
from tests.integration.story import Story


@dataclass
class Bench:
    """One scenario's own copies, and what happens while its run is under way."""

    story: Story
    patch: pytest.MonkeyPatch
    made: list[Path] = field(default_factory=list)
    at: dict[Step, Callable[[RecoveryPlan], None]] = field(default_factory=dict)
    mend: Callable[[RecoveryPlan], RecoveryPlan] = lambda plan: plan

    def archive(self) -> Path:
        """A copy of the archive, to be damaged."""
        self.made.append(self.story.copy_archive(f"archive-{len(self.made)}"))
        return self.made[-1]

    def backup(self, source: Path | None = None) -> Path:
        self.made.append(self.story.copy_backup(f"backup-{len(self.made)}", source))
        return self.made[-1]

    def configured(self, *files: tuple[str, str]) -> Path:
        """A backup with text appended to some of its files, or with files that it had not."""
        backup = self.backup()
        for name, text in files:
            with (backup / name).open("a") as file:
                file.write(text)
        return backup

    def clear(self) -> None:
        for path in self.made:
            shutil.rmtree(path)


@dataclass(frozen=True)
class Reached:
    """The secondary has exactly these rows, and pitr's sentence has these words."""

    rows: list[int]
    words: str
    state: RunState = RunState.PAUSED


@dataclass(frozen=True)
class Failed:
    """A diagnosis by its id, and words of it; rows once it is mended and the copy goes on."""

    failure: str
    words: str
    kept: bool = False
    then: list[int] | None = None


@dataclass(frozen=True)
class Judged:
    """The verdict before anything is copied, and the check that says why."""

    light: Light
    check: str
    words: str


Making = Callable[[Story, Bench], RecoveryPlan]


@dataclass(frozen=True)
class Scenario:
    """`silently` is what comes of it up to 12, where PostgreSQL opens without its target.

    `often` are the majors on which it is tried in every run of the tests.
    """

    name: str
    make: Making
    comes: Reached | Failed
    judged: Judged | None = None
    silently: Failed | None = None
    often: str = ""
