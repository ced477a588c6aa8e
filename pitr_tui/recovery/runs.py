"""The runs that were recorded on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import RefusedError
from pitr_tui.recovery.events import Stamped
from pitr_tui.recovery.journal import is_written, read_journal, runs_directory
from pitr_tui.recovery.state import RunView

_LAST = "last"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run's directory, with its journal."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    def events(self) -> Iterator[Stamped]:
        """What happened, in order. Raises PitrError for a journal that cannot be read."""
        return read_journal(self.directory)

    def view(self) -> RunView:
        """The run as it stands. Raises PitrError as `events`."""
        view = RunView()
        for stamped in self.events():
            view.apply(stamped)
        return view

    def is_live(self) -> bool:
        """Whether a process is at it now."""
        return is_written(self.directory)


def all_runs() -> list[RunRecord]:
    """Every run, the newest first: their names begin with the time of their start."""
    try:
        directories = [path for path in runs_directory().iterdir() if path.is_dir()]
    except OSError:
        return []
    return [RunRecord(path) for path in sorted(directories, key=lambda p: p.name, reverse=True)]


def run_named(text: str) -> RunRecord:
    """The run that a name means: a whole one, a part that only one has, or `last`.

    Raises RefusedError when there is none, or more than one.
    """
    runs = all_runs()
    if text == _LAST and runs:
        return runs[0]
    exact = [run for run in runs if run.name == text]
    found = exact or [run for run in runs if text and text in run.name]
    if len(found) == 1:
        return found[0]
    raise RefusedError(
        f"no run is called {text!r}" if not found else f"{text!r} may be one of several runs",
        ", ".join(run.name for run in found[:4]) if found else f"looked in {runs_directory()}",
        "`pitr runs` lists them",
    )
