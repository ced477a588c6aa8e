"""From which backup to which moment the data can be brought back, on every timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.holdings import Holdings, times_of
from pitr_tui.wal.ranges import WalRange


@dataclass(frozen=True, slots=True)
class BackupMark:
    """A base backup, as far as its WAL is concerned.

    It is consistent from `stop_lsn` on, at `stop_time` by its server's clock and in its words;
    `own` has the numbers of the segments that it brings along.
    """

    name: str
    timeline: TimelineId
    start_lsn: Lsn
    checkpoint_lsn: Lsn
    stop_lsn: Lsn | None = None
    stop_time: str | None = None
    system_identifier: int | None = None
    own: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Window:
    """What can be reached from one backup by following one timeline.

    `way` has the runs of WAL that lead there, the last one perhaps with a segment that was
    only `begun`: then the WAL ends somewhere before `end_lsn`. `end_time` is the last time
    that a segment's head tells of, so there is more behind it. Both are `exact` once the last
    segment was read to its end. `stopped_by` says why it goes
    no further where there is more WAL behind a gap.
    """

    backup: BackupMark
    timeline: TimelineId
    way: tuple[WalRange, ...]
    end_lsn: Lsn
    end_time: datetime | None
    begun: bool
    stopped_by: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Stranded:
    """A backup that nothing can be recovered from with this archive, and why."""

    backup: BackupMark
    why: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A timeline that leaves a backup's and has WAL here, to which something is missing."""

    backup: BackupMark
    timeline: TimelineId
    why: str


def windows(
    known: Holdings, backups: Sequence[BackupMark]
) -> tuple[tuple[Window, ...], tuple[Unreachable, ...], tuple[Stranded, ...]]:
    """One window for each backup and each timeline that can be reached from it.

    A timeline whose own WAL behind a fork is not there makes none: all that could be reached
    on it lies on the way to the child.
    """
    reached: list[Window] = []
    unreachable: list[Unreachable] = []
    stranded: list[Stranded] = []
    for backup in backups:
        home = _window(known, backup, known.history(backup.timeline))
        problem = _why_stranded(known, backup, home)
        if problem:
            stranded.append(Stranded(backup, problem))
            continue
        mine = [home]
        for window in _further(known, backup):
            if window.way and window.way[-1].first.timeline == window.timeline:
                mine.append(window)
            elif window.timeline in known.held:
                unreachable.append(Unreachable(backup, window.timeline, window.stopped_by))
        reached.extend(one for one in mine if not any(_is_part_of(one, two) for two in mine))
    return tuple(reached), tuple(unreachable), tuple(stranded)


def _why_stranded(known: Holdings, backup: BackupMark, home: Window) -> str:
    ours = known.cluster.system_identifier
    if backup.system_identifier is not None and ours not in (None, backup.system_identifier):
        return f"it is of another cluster (system identifier {backup.system_identifier})"
    needed = backup.stop_lsn or Lsn(int(backup.start_lsn) + 1)
    if home.end_lsn >= needed:
        return ""
    gone = known.segment(backup.timeline, known.number_at(home.end_lsn))
    return f"{known.why_not(gone)}, and without it the backup is not consistent"


def _further(known: Holdings, backup: BackupMark) -> Iterator[Window]:
    """How far one gets on the timelines that left the backup's after it had ended."""
    for timeline in known.timelines:
        history = known.history(timeline)
        if timeline == backup.timeline or not history.forks:
            continue
        at_the_end = Lsn(int(backup.stop_lsn or backup.checkpoint_lsn + 1) - 1)
        if not all(
            history.contains(backup.timeline, lsn) for lsn in (backup.checkpoint_lsn, at_the_end)
        ):
            continue
        yield _window(known, backup, history)


def _is_part_of(one: Window, other: Window) -> bool:
    """Whether all of a window lies on the way through another one."""
    history_left = [run for run in other.way if run.first.timeline == one.timeline]
    return (
        other.timeline != one.timeline
        and bool(history_left)
        and not one.begun
        and one.end_lsn <= history_left[-1].last.end
    )


def _window(known: Holdings, backup: BackupMark, history: TimelineHistory) -> Window:
    """Follow a history from the start of a backup to the first segment that is not there."""
    way: list[WalRange] = []
    number = known.number_at(backup.start_lsn)
    while True:
        timeline = known.needed(history, number)
        limit = _fork_number(known, history, timeline)
        end = _run_from(known, backup, timeline, number)
        end = end if limit is None else min(end, limit)
        if end > number:
            first, last = known.segment(timeline, number), known.segment(timeline, end - 1)
            way.append(WalRange(first, last))
        number = end
        if end != limit:
            break
    held = known.held.get(timeline)
    begun = held is not None and number in held.begun
    stopped_by = _stopped_by(known, history, known.segment(timeline, number), begun)
    if begun:
        unfinished = known.segment(timeline, number)
        way.append(WalRange(unfinished, unfinished))
    return Window(
        backup,
        history.timeline,
        tuple(way),
        known.segment(timeline, number + begun).start,
        _last_time(known, way),
        begun,
        stopped_by,
    )


def _run_from(known: Holdings, backup: BackupMark, timeline: TimelineId, number: int) -> int:
    """The first number from `number` on that neither the archive nor the backup has."""
    held = known.held.get(timeline)
    while True:
        end = held.run_from(number) if held else number
        if timeline == backup.timeline and end in backup.own:
            end += 1
        if end == number:
            return end
        number = end


def _fork_number(known: Holdings, history: TimelineHistory, timeline: TimelineId) -> int | None:
    """The number of the segment in which a history leaves a timeline; None if it stays."""
    for fork in history.forks:
        if fork.parent == timeline:
            return known.number_at(fork.switch_lsn)
    return None


def _last_time(known: Holdings, way: Sequence[WalRange]) -> datetime | None:
    for run in reversed(way):
        held = known.held.get(run.first.timeline)
        _, last = times_of(held.between(run.first.number, run.last.number)) if held else (0, None)
        if last is not None:
            return last
    return None


def _stopped_by(known: Holdings, history: TimelineHistory, gone: WalSegment, begun: bool) -> str:
    """What is in the way to the WAL behind, or nothing if there is none behind."""
    held = known.held.get(gone.timeline)
    behind = held is not None and len(held.numbers) > 0 and int(held.numbers[-1]) > gone.number
    why = f"{gone.name} was never finished" if begun else known.why_not(gone)
    is_there = not begun and not why.endswith("is missing")
    return why if behind or is_there or gone.timeline != history.timeline else ""
