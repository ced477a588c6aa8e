"""The record of a run: its events as JSON lines, written before anybody else sees them."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Clock, Event, Sink, Stamped, from_json, to_json, utc_now

STATE_VARIABLE = "PITR_STATE_DIR"
_FILE_NAME = "events.jsonl"


def state_directory() -> Path:
    """Where runs are recorded: PITR_STATE_DIR, or `pitr` in the user's XDG state directory."""
    if given := os.environ.get(STATE_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pitr"


class Journal:
    """One run's journal, open for writing; every event passes through it on its way."""

    def __init__(self, directory: Path, sink: Sink, clock: Clock = utc_now) -> None:
        self.directory = directory
        self._sink = sink
        self._clock = clock
        descriptor = os.open(directory / _FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")

    @classmethod
    def create(cls, sink: Sink, clock: Clock = utc_now) -> Journal:
        """Begin a journal under a new name. Raises PitrError when it cannot be written."""
        name = f"{clock():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        directory = state_directory() / "runs" / name
        try:
            directory.mkdir(parents=True, mode=0o700)
            return cls(directory, sink, clock)
        except OSError as error:
            raise PitrError(
                "the journal of this run cannot be written",
                f"{directory}: {error.strerror}",
                f"make room there, or name another place in {STATE_VARIABLE}",
            ) from error

    @property
    def run(self) -> str:
        """The name of the run."""
        return self.directory.name

    def emit(self, event: Event) -> Stamped:
        """Record an event, then pass it on. Raises PitrError when the disk does not take it."""
        stamped = Stamped(self._clock(), event)
        try:
            json.dump(to_json(stamped), self._file, ensure_ascii=True)
            self._file.write("\n")
            self._file.flush()
        except OSError as error:
            raise PitrError(
                "the journal of this run cannot be written",
                f"{self.directory}: {error.strerror}",
            ) from error
        self._sink(stamped)
        return stamped

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[Stamped]:
    """The events of a journal, from its file or its run's directory.

    A last line that was cut off by a crash is passed over. Raises PitrError for others.
    """
    file_path = path / _FILE_NAME if path.is_dir() else path
    try:
        lines = file_path.read_text("utf-8", "replace").splitlines(keepends=True)
    except OSError as error:
        raise PitrError(f"there is no journal at {path}", str(error.strerror)) from error
    for line in lines:
        if line.endswith("\n"):
            yield from_json(_parsed(line))


def _parsed(line: str) -> dict[str, object]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PitrError("this is not a line of a journal", str(error)) from error
    if not isinstance(data, dict):
        raise PitrError("this is not a line of a journal", repr(line))
    return data
