"""The marks of a timeline in words, for who cannot see them or wants to know more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import islice
from typing import TYPE_CHECKING

from pitr_tui.postgres.quote import visible
from pitr_tui.tui.widgets.timeline.picture import Picture
from pitr_tui.tui.widgets.timeline.ruler import clock_text
from pitr_tui.wording import count_text

if TYPE_CHECKING:
    from pitr_tui.postgres.lsn import TimelineId
    from pitr_tui.repositories.wal_story import Surveyed
    from pitr_tui.tui.widgets.timeline.positions import Positions
    from pitr_tui.wal.chronicle import Chronicle
    from pitr_tui.wal.coverage import TimelineCoverage
    from pitr_tui.wal.ranges import WalRange

_MOST = 100  # sentences of one kind


def describe(picture: Picture) -> list[str]:
    """A sentence for every mark that the list of transactions does not have.

    Backups first, then timeline by timeline how it began, what is missing and what is of no
    use, then what is not known of the transactions, and noted moments.
    """
    if picture.surveyed is None:
        return ["The archive has not been looked at yet."]
    from pitr_tui.tui.widgets.timeline.positions import Positions

    known = Positions(picture.surveyed, picture.chronicle)
    said = [*_backups(picture, picture.surveyed, known)]
    for timeline in picture.surveyed.coverage.timelines:
        said += _timeline(picture, timeline, known)
    if not picture.surveyed.coverage.timelines and not said:
        return ["There is no WAL and no base backup."]
    if picture.chronicle is not None:
        said += _reading(picture.chronicle, picture, known)
    else:
        said.append("No transaction has been read yet.")
    said += [
        f"Noted for {clock_text(time, picture.zone)} {picture.zone_name}: {words}"
        for time, words in picture.moments
    ]
    return [visible(one) for one in said]


def _backups(picture: Picture, surveyed: Surveyed, known: Positions) -> Iterator[str]:
    from pitr_tui.repositories.backups import BrokenBackup

    stranded = {
        (one.backup.timeline, one.backup.start_lsn): one.why for one in surveyed.coverage.stranded
    }
    label = picture.backup.label if picture.backup is not None else None
    chosen = (label.timeline, label.start_lsn) if label is not None else None
    marks = [mark for one in surveyed.coverage.timelines for mark in one.backups]
    for mark in sorted(marks, key=lambda one: (one.start_lsn, one.name)):
        key = (mark.timeline, mark.start_lsn)
        end = mark.stop_lsn or mark.start_lsn
        about = f"{mark.start_lsn} to {mark.stop_lsn or 'an unknown end'}"
        when = _when(known, mark.timeline, end, picture.zone)
        if mark.stop_time:
            when = f", by its server's clock until {mark.stop_time}"
        words = f"Backup {mark.name} of timeline {mark.timeline}: {about}{when}"
        if key == chosen:
            words += "; chosen"
        if key in stranded:
            words += f"; it cannot be used: {stranded[key]}"
        yield f"{words}."
    for one in surveyed.backups:
        if isinstance(one, BrokenBackup):
            why = ": ".join(filter(None, (one.problem.what, one.problem.why)))
            yield f"Backup {one.path.name} cannot be used: {why}."


def _timeline(picture: Picture, one: TimelineCoverage, known: Positions) -> Iterator[str]:
    zone, name = picture.zone, f"Timeline {one.timeline}"
    if one.fork is not None:
        when = _when(known, one.fork.parent, one.fork.switch_lsn, zone)
        reason = one.fork.reason.strip() or "no reason is given"
        yield (f"{name} left timeline {one.fork.parent} at {one.fork.switch_lsn}{when}: {reason}.")
    if one.problem:
        yield f"{name}: where it comes from is not known, {one.problem}."
    yield from _runs(
        f"gap in timeline {one.timeline}", one.gaps, known, zone, "are missing or of no use"
    )
    for bad in islice(one.unusable, _MOST):
        verb = "is" if bad.range.count == 1 else "are"
        yield f"{bad.range} {verb} {bad.fault.kind}: {bad.why}."
    where = f"with unusable files on timeline {one.timeline}"
    yield from _rest(len(one.unusable), f"place {where}", f"places {where}")
    for segment in one.begun:
        yield f"{segment.name} was begun and never finished."


def _runs(
    what: str, runs: Sequence[WalRange], known: Positions, zone: tzinfo, end: str
) -> Iterator[str]:
    for run in islice(runs, _MOST):
        when = ""
        if known.timed:
            times = known.at(run.first.timeline, [int(run.first.start), int(run.last.end)])
            begin, behind = (clock_text(int(time), zone) for time in times)
            when = f", about {begin} to {behind}"
        count = count_text(run.count, "segment")
        verb = end if run.count > 1 else end.replace("are", "is", 1)
        yield f"{what.capitalize()}: {count}, {run}, {verb}{when}."
    yield from _rest(len(runs), what, what.replace("gap", "gaps", 1))


def _rest(count: int, what: str, many: str = "") -> Iterator[str]:
    if count > _MOST:
        yield f"And {count_text(count - _MOST, f'more {what}', f'more {many}')}."


def _reading(chronicle: Chronicle, picture: Picture, known: Positions) -> Iterator[str]:
    from pitr_tui.tui.widgets.timeline.plot import damage

    so_far = "" if chronicle.finished else " so far"
    yield f"The transactions from {chronicle.start} to {chronicle.end} were read{so_far}."
    found = damage(chronicle)
    for hole in islice(found, _MOST):
        until = f" to {hole.until}" if hole.until else " on"
        when = _when(known, known.owner(chronicle.timeline, hole.lsn), hole.lsn, picture.zone)
        yield f"WAL that cannot be read, from {hole.lsn}{until}{when}: {hole.why}."
    yield from _rest(len(found), "damaged place", "damaged places")
    back = chronicle.clock_back
    if len(back):
        first = int(back[0])
        told = clock_text(int(chronicle.times[first]), picture.zone)
        yield (
            f"The server's clock was put back: {count_text(len(back), 'transaction')} from xid "
            f"{chronicle.xids[first]} on, which says {told}, stand where the clock had been."
        )


def _when(known: Positions, timeline: TimelineId, lsn: int, zone: tzinfo) -> str:
    if not known.knows(timeline, lsn):
        return ""
    return f", about {clock_text(int(known.at(timeline, [lsn])[0]), zone)}"
