"""The journal of an incident: what was found and done at minute zero, as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Clock
from pitr_tui.recovery.journal import STATE_VARIABLE, state_directory


class IncidentJournal:
    """`incidents/NAME.jsonl` in the state directory, for its user alone."""

    def __init__(self, name: str, clock: Clock) -> None:
        """Begin a new one. Raises PitrError when it is there already or cannot be written."""
        directory = state_directory() / "incidents"
        self._clock = clock
        self.path = directory / f"{name.removeprefix('incident_')}.jsonl"

        def make() -> None:
            directory.mkdir(parents=True, mode=0o700, exist_ok=True)
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

        try:
            self._written(make)
        except FileExistsError as error:
            raise PitrError(
                "a mark was set in this very second", f"it is in {self.path}", "try again"
            ) from error

    @classmethod
    def reopened(cls, path: Path, clock: Clock) -> IncidentJournal:
        """One that was begun, to go on with."""
        journal = cls.__new__(cls)
        journal.path, journal._clock = path, clock
        return journal

    def note(self, event: str, facts: dict[str, object]) -> None:
        """Write a line, and have it on the disk. Raises PitrError."""
        line = {"recorded": self._clock().isoformat(), "event": event, **facts}

        def write() -> None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())

        self._written(write)

    def _written(self, write: Callable[[], None]) -> None:
        try:
            write()
        except FileExistsError:
            raise
        except OSError as error:
            raise PitrError(
                "the journal of this incident cannot be written",
                f"{error.filename or self.path}: {error.strerror}",
                f"make room there, or name another place in {STATE_VARIABLE}",
            ) from error
