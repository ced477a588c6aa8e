"""The runs of this machine at a glance, without reading what their servers said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.recovery.estimate import is_contained
from pitr_tui.recovery.journal import read_journal
from pitr_tui.recovery.report.outcome import Outcome, outcome
from pitr_tui.recovery.runs import RunRecord, all_runs
from pitr_tui.recovery.state import RunView

_MOST = 20


@dataclass(frozen=True, slots=True)
class Glance:
    """A run as it is listed, or the reason why it cannot be read.

    `gone` is said of a place of this machine that has been removed by somebody.
    """

    record: RunRecord
    begun: datetime | None = None
    destination: str = ""
    target: str = ""
    outcome: Outcome | None = None
    problem: PitrError | None = None
    gone: bool = False

    @property
    def words(self) -> str:
        """How it ended."""
        if self.outcome is None:
            return "cannot be read"
        return "its place is gone" if self.gone else self.outcome.words

    @property
    def can_be_opened(self) -> bool:
        """Whether it has left something that one can do something with."""
        return self.outcome is not None and bool(self.outcome.commands) and not self.gone

    @property
    def can_go_on(self) -> bool:
        return self.outcome is not None and self.outcome.resumable and not self.gone


def glances(most: int = _MOST) -> Iterator[Glance]:
    """The newest runs, each read only as it is asked for."""
    for record in islice(all_runs(), most):
        yield glance(record)


def glance(record: RunRecord) -> Glance:
    """One run, as far as it can be read."""
    view, begun = RunView(), None
    try:
        for stamped in read_journal(record.directory, outline=True):
            begun = begun or stamped.at
            view.apply(stamped)
    except PitrError as error:
        return Glance(record, problem=error)
    if view.started is None:
        problem = PitrError("its journal has no run in it", "it was cut off before it began")
        return Glance(record, begun, problem=problem)
    came_to, place = outcome(view, record.is_live()), view.started.destination
    kept = came_to.commands and view.place is not None
    here = kept and not is_contained(place)
    gone = bool(here) and not Path(place).exists()
    return Glance(record, begun, place, view.target, came_to, None, gone)
