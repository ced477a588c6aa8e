"""The record of a run: its events as JSON lines, written before anybody else sees them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery.events import (
    Clock,
    Event,
    LogArrived,
    NameAbsent,
    Progress,
    ReplayAt,
    SegmentStaged,
    Sink,
    Stamped,
    from_json,
    to_json,
    utc_now,
)

STATE_VARIABLE = "PITR_STATE_DIR"
SCHEMA = 2
_FILE_NAME = "events.jsonl"
# What only tells of the server: nothing is done upon it that a crash of the machine could hide.
_NEWS = (LogArrived, NameAbsent, Progress, ReplayAt, SegmentStaged)
_NEWS_LINE = re.compile(
    rf"""\{{"at": "[^"]*", "event": "(?:{"|".join(kind.__name__ for kind in _NEWS)})\""""
)


def state_directory() -> Path:
    """Where runs are recorded: PITR_STATE_DIR, or `pitr` in the user's XDG state directory."""
    if given := os.environ.get(STATE_VARIABLE):
        return Path(given).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "pitr"


def runs_directory() -> Path:
    """Each run has a directory in it, by its name."""
    return state_directory() / "runs"


class Journal:
    """One run's journal, open for writing by nobody else; every event passes through it."""

    def __init__(self, directory: Path, sink: Sink, clock: Clock = utc_now) -> None:
        self.directory = directory
        self._sink = sink
        self._clock = clock
        descriptor = os.open(directory / _FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "a", encoding="utf-8")
        self._began = False
        try:
            _lock(self._file, directory)
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def create(cls, sink: Sink, clock: Clock = utc_now) -> Journal:
        """Begin a journal under a new name. Raises PitrError when it cannot be written."""
        name = f"{clock():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        directory = runs_directory() / name
        try:
            _make_private(directory)
            journal = cls(directory, sink, clock)
            for path in (directory, directory.parent):
                _sync(path)
            return journal
        except OSError as error:
            raise PitrError(
                "the journal of this run cannot be written",
                f"{directory}: {error.strerror}",
                f"make room there, or name another place in {STATE_VARIABLE}",
            ) from error

    @classmethod
    def reopen(cls, directory: Path, sink: Sink, clock: Clock = utc_now) -> Journal:
        """Go on with a journal; a line that a crash cut off is taken away.

        Raises RefusedError while another process writes it, PitrError.
        """
        if not (directory / _FILE_NAME).is_file():
            raise RefusedError(f"there is no journal in {directory}")
        try:
            journal = cls(directory, sink, clock)
            journal._began = True
            journal._drop_unfinished_line()
        except OSError as error:
            raise PitrError(
                "the journal of this run cannot be written", f"{directory}: {error.strerror}"
            ) from error
        return journal

    @property
    def run(self) -> str:
        """The name of the run."""
        return self.directory.name

    def emit(self, event: Event) -> Stamped:
        """Record an event, then pass it on. Raises PitrError when the disk does not take it."""
        stamped = Stamped(self._clock(), event)
        self._began = True
        try:
            self._file.write(json.dumps(to_json(stamped)) + "\n")
            self._file.flush()
            if not isinstance(event, _NEWS):
                os.fsync(self._file.fileno())
        except OSError as error:
            raise PitrError(
                "the journal of this run cannot be written",
                f"{self.directory}: {error.strerror}",
            ) from error
        self._sink(stamped)
        return stamped

    def close(self) -> None:
        """End it, and let others write; of a run that never began nothing is kept.

        What a full disk did not take was told by `emit`.
        """
        if self._began:
            with suppress(OSError):
                self._file.close()
            return
        self._file.close()
        (self.directory / _FILE_NAME).unlink()
        self.directory.rmdir()

    def _drop_unfinished_line(self) -> None:
        descriptor = self._file.fileno()
        end = size = os.fstat(descriptor).st_size
        while end and os.pread(descriptor, 1, end - 1) != b"\n":
            end -= 1
        if end < size:
            os.ftruncate(descriptor, end)


def read_journal(path: Path, *, outline: bool = False) -> Iterator[Stamped]:
    """The events of a journal, from its file or its run's directory.

    An `outline` is without what only tells of the server, which is most of it. A last line that
    was cut off by a crash is passed over. Raises PitrError for others, and RefusedError for a
    journal of a later schema.
    """
    file_path = path / _FILE_NAME if path.is_dir() else path
    try:
        with file_path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for line in file:
                if line.endswith("\n") and not (outline and _NEWS_LINE.match(line)):
                    data = _parsed(line)
                    _require_known(data, file_path)
                    yield from_json(data)
    except OSError as error:
        raise PitrError(f"there is no journal at {path}", str(error.strerror)) from error


def is_written(directory: Path) -> bool:
    """Whether a process is writing the journal in a run's directory now."""
    try:
        with (directory / _FILE_NAME).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(file: IO[str], directory: Path) -> None:
    """The lock goes with its process, however that ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RefusedError(
            f"the run {directory.name} is being written by another pitr",
            "only one may have a run at a time",
            "look at that one, or end it first",
        ) from error


def _make_private(directory: Path) -> None:
    """A new directory, and those above it of ours, for nobody else."""
    runs = directory.parent
    for path in (runs.parent, runs):
        if not path.is_dir():
            path.mkdir(parents=True, mode=0o700, exist_ok=True)
    directory.mkdir(mode=0o700)


def _sync(directory: Path) -> None:
    """Let the names in a directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_known(data: dict[str, object], path: Path) -> None:
    schema = data.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        raise RefusedError(
            f"{path.parent.name} is the journal of a newer pitr",
            f"its schema is {schema}; this pitr knows up to {SCHEMA}",
            "use that newer version",
        )


def _parsed(line: str) -> dict[str, object]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PitrError("this is not a line of a journal", str(error)) from error
    if not isinstance(data, dict):
        raise PitrError("this is not a line of a journal", repr(line))
    return data
