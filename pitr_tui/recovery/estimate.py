"""How long a recovery will take, by what the runs before it took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import (
    Progress,
    ReplayAt,
    RunFinished,
    RunStarted,
    SegmentStaged,
    Step,
    StepDone,
)
from pitr_tui.recovery.journal import read_journal, state_directory
from pitr_tui.storage.location import engine_location
from pitr_tui.wording import duration_text

_RUNS = 5  # the last ones count
_LOOKED_AT = 50
_JOURNAL = "events.jsonl"
_TAIL_BYTES = 1 << 16  # a run that finished says so in these
_FINISHED = f'"{RunFinished.__name__}"'.encode()
_WORTH_A_RATE = 1 << 20  # bytes; less of it tells of starting, not of speed


class _Run(NamedTuple):
    """The rates of one run, and whether it went into a container."""

    contained: bool
    copy: float | None
    replay: float | None


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes a second, as far as they were measured; `delivery` is of WAL out of the archive."""

    copy: float | None = None
    replay: float | None = None
    delivery: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of the two long steps, None where nothing was measured.

    `at_least` tells that the replay was never measured, only how fast its WAL can be fetched.
    """

    copy_seconds: float | None
    replay_seconds: float | None
    at_least: bool = False

    @property
    def seconds(self) -> float | None:
        known = [one for one in (self.copy_seconds, self.replay_seconds) if one is not None]
        return sum(known) if known else None

    def __str__(self) -> str:
        """
        >>> str(Estimate(100, 25)), str(Estimate(None, 7300, True))
        ('copy about 1 min 40 s, replay about 25 s', 'replay at least 2 h 1 min')
        """
        about = "at least" if self.at_least else "about"
        parts = []
        if self.copy_seconds is not None:
            parts.append(f"copy about {duration_text(self.copy_seconds)}")
        if self.replay_seconds is not None:
            parts.append(f"replay {about} {duration_text(self.replay_seconds)}")
        return ", ".join(parts)


def estimate(copy_bytes: int | None, replay_bytes: int | None, rates: Rates) -> Estimate | None:
    """None where nothing at all was measured."""
    replay, at_least = rates.replay, False
    if replay is None and rates.delivery is not None:
        replay, at_least = rates.delivery, True
    copying = None if rates.copy is None or copy_bytes is None else copy_bytes / rates.copy
    replaying = None if replay is None or replay_bytes is None else replay_bytes / replay
    if copying is None and replaying is None:
        return None
    return Estimate(copying, replaying, at_least and replaying is not None)


def is_contained(destination: str) -> bool:
    """Whether a secondary is a container, by its destination; a name may stand behind that."""
    return engine_location(destination.partition(" (")[0]) is not None


def measured_rates(destination: str) -> Rates:
    """The middle rates of the last runs into a place of the same kind, container or directory."""
    contained = is_contained(destination)
    copies: list[float] = []
    replays: list[float] = []
    for directory in _last_runs():
        found = _remembered(directory)
        if found is None or found.contained != contained:
            continue
        if found.copy is not None:
            copies.append(found.copy)
        if found.replay is not None:
            replays.append(found.replay)
        if max(len(copies), len(replays)) == _RUNS:
            break
    return Rates(median(copies) if copies else None, median(replays) if replays else None)


def _last_runs() -> Iterator[Path]:
    """Their directories are named by when they began."""
    try:
        names = sorted((state_directory() / "runs").iterdir(), key=lambda one: one.name)
    except OSError:
        return
    yield from names[: -_LOOKED_AT - 1 : -1]


def _remembered(directory: Path) -> _Run | None:
    """What a journal tells, None for a run that failed: those are not read to their end.

    A journal that is over does not change, so each is read once, as long as its size is the same.
    """
    path = directory / _JOURNAL
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - _TAIL_BYTES))
            if _FINISHED not in file.read():
                return None
    except OSError:
        return None
    return _rates_of(directory, size)


@lru_cache(maxsize=_LOOKED_AT)
def _rates_of(directory: Path, size: int) -> _Run | None:
    """The rates of a journal of this size."""
    copied, fetched = 0, 0
    seconds: dict[Step, float] = {}
    first, last = None, None
    contained, finished = False, False
    try:
        for stamped in read_journal(directory):
            match stamped.event:
                case RunStarted(destination=destination):
                    contained = is_contained(destination)
                case Progress(done, _):
                    copied = done
                case SegmentStaged(_, size, _):
                    fetched += size
                case ReplayAt(lsn, start, _, _):
                    first, last = start, lsn
                case StepDone(step, took):
                    seconds[step] = took
                case RunFinished():
                    finished = True
                case _:
                    pass
    except PitrError:
        return None  # an older format, or a run that still goes on
    if not finished:
        return None
    replayed = last - first if first is not None and last is not None else 0
    return _Run(
        contained,
        _rate(copied, seconds.get(Step.COPY)),
        _rate(min(replayed, fetched) or fetched, seconds.get(Step.REPLAY)),
    )


def _rate(count: int, seconds: float | None) -> float | None:
    return count / seconds if seconds and count >= _WORTH_A_RATE else None
