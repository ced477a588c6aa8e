"""Labs in the wizard: which there are, the session that one opens with, and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError
from pitr_tui.lab import diary, record
from pitr_tui.lab.record import Lab
from pitr_tui.lab.scenario import Note, Scenario
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.reach import place_of
from pitr_tui.tui.session import Moment, Session, Story

if TYPE_CHECKING:
    from pitr_tui.lab.result import Score

_RUNS = "runs"


@dataclass(slots=True)
class OpenLab:
    """The lab that the wizard is open on, and what its trainee has seen of it so far.

    `hints` are those that were taken, in order; `score` is the last one; `hidden` is the coach.
    """

    lab: Lab
    hints: list[str] = field(default_factory=list)
    score: Score | None = None
    hidden: bool = False

    @classmethod
    def of(cls, lab: Lab) -> OpenLab:
        """With the hints and the score of before. Reads its record."""
        hints = list(lab.hints[: diary.hints_taken(lab)])
        return cls(lab, hints, diary.last_score(lab))


@dataclass(frozen=True, slots=True)
class LabsSeen:
    """Every scenario, the best marks so far by their names, and the lab that runs.

    `broken` are the person's own files that are no scenarios.
    """

    scenarios: tuple[Scenario, ...] = ()
    marks: Mapping[str, int] = field(default_factory=dict)
    running: OpenLab | None = None
    broken: tuple[Path, ...] = ()


def look_at_labs() -> LabsSeen:
    """Read the scenarios and the records. Raises PitrError."""
    from pitr_tui.lab.scenario_file import built_in, own, own_broken

    lab = record.current()
    running = OpenLab.of(lab) if lab is not None else None
    return LabsSeen((*built_in(), *own()), diary.best_marks(), running, tuple(own_broken()))


def session_of(lab: Lab) -> Session:
    """Everything that the wizard would otherwise ask for. Reads the lab's record."""
    runs, data = lab.primary_state == _RUNS, lab.server.data_directory
    session = Session(
        story=Story(lab.story, moments_of(lab)),
        database=lab.server.database if runs else None,
        primary_is_down=not runs,
        dead_data=data if not runs and data.exists() else None,
        archive_directory=lab.archive_directory,
        backup_directory=lab.backup_directory,
        destination=free_destination(lab.destination),
        lab=OpenLab.of(lab),
    )
    if lab.image is not None:
        _put_behind_engine(session, lab)
    return session


def _put_behind_engine(session: Session, lab: Lab) -> None:
    """The primary is in a container, which sees its directories under the paths of this machine.

    The first step finds the container by its name, and whether it can answer.
    """
    from pitr_tui.lab.container_ground import container_name, destination

    session.container, session.database = container_name(lab.directory), None
    session.primary_is_down, session.dead_data = False, None
    session.archive_directory = _engine_place(lab.archive_directory)
    session.backup_directory = _engine_place(lab.backup_directory)
    before = len(record.runs_of(lab))  # each of them may have left its volume
    name = destination(lab) + (f"-{before + 1}" if before else "")
    session.destination = place_of(name, "the destination")


def _engine_place(path: Path) -> EngineLocation:
    return EngineLocation(LocationKind.ENGINE, str(path))


def moments_of(lab: Lab) -> tuple[Moment, ...]:
    """The clocks that the story tells; a time that it tells in another zone is to be found."""
    with suppress(PitrError):
        noted = lab.truth().noted
        return tuple(
            Moment(noted[name].at, "the clock that the story tells of")
            for name in told_notes(lab.scenario)
            if name in noted
        )
    return ()


def told_notes(scenario: Scenario) -> list[str]:
    """The notes whose time the story tells as it is."""
    names = [one.name for one in scenario.steps if isinstance(one, Note)]
    return [name for name in names if f"{{time {name}}}" in scenario.story]


def free_destination(place: Path) -> Path:
    """The lab's own, or the next number behind it where somebody has recovered before."""
    number, found = 1, place
    while found.exists():
        number += 1
        found = place.with_name(f"{place.name}-{number}")
    return found
