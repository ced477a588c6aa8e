"""Where recoverable windows end to the record, for which their last segments are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pitr_tui.errors import PitrError
from pitr_tui.postgres.timestamp import moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.index_cache import Variant
from pitr_tui.repositories.segment_reading import read_packed
from pitr_tui.repositories.wal_facts import Means, facts_in_order, parts
from pitr_tui.wal.actions import decode_action
from pitr_tui.wal.coverage import Coverage, Stretch
from pitr_tui.wal.facts import FORMAT, NO_TIME, SegmentFacts
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.record import DamagedRecord
from pitr_tui.wal.segment import Part
from pitr_tui.wal.windows import Window
from pitr_tui.wal.xact import Abort, Commit


def with_ends(found: Coverage, archive: WalArchive, means: Means) -> Coverage:
    """The same with the end of each window told by its last record and its last commit.

    So are the last times of the stretches that end there.

    A segment that cannot be read leaves what its head told. Raises PitrError when the archive
    itself cannot be read.
    """
    lasts = sorted({window.way[-1].last for window in found.windows if window.way})
    read, variant = partial(read_packed, watched=()), Variant("facts", FORMAT)
    facts: dict[WalSegment, SegmentFacts] = {}
    for one, result in facts_in_order(archive, parts(archive, lasts), variant, read, means):
        if isinstance(result, PitrError):
            continue
        segment = one.whole if isinstance(one, Part) else one
        here, before = SegmentFacts.unpack(result), facts.get(segment)
        goes_on = before is None or not (before.stop or before.switched)
        if goes_on and (before is None or here.previous is not None):
            facts[segment] = here  # of a large segment the last part with a record in it
    windows = [
        _ended(window, facts.get(window.way[-1].last)) if window.way else window
        for window in found.windows
    ]
    times = {segment: _last_time(one) for segment, one in facts.items()}
    timelines = [
        replace(one, stretches=tuple(_with_last_time(two, times) for two in one.stretches))
        for one in found.timelines
    ]
    return replace(found, windows=tuple(windows), timelines=tuple(timelines))


def _with_last_time(stretch: Stretch, times: Mapping[WalSegment, int | None]) -> Stretch:
    time = times.get(stretch.range.last)
    return stretch if time is None else replace(stretch, last_time=moment(time))


def _ended(window: Window, facts: SegmentFacts | None) -> Window:
    if facts is None:
        return window
    stop = facts.stop
    damaged = stop is not None and stop.kind is Ending.DAMAGED
    why = f"{window.way[-1].last.name} is damaged at {stop.lsn}: {stop.why}" if stop else ""
    time = _last_time(facts)
    return replace(
        window,
        end_lsn=facts.end,
        end_time=window.end_time if time is None else moment(time),
        stopped_by=why if damaged else window.stopped_by,
        exact=time is not None or window.end_time is None,
    )


def _last_time(facts: SegmentFacts) -> int | None:
    """When the last transaction ended that ends in a segment."""
    last: int | None = None
    for note in facts.tally.each_note():
        if note.time != NO_TIME:
            last = note.time
            continue
        try:
            action = decode_action(facts.tally.record(note, facts.version))
        except DamagedRecord:
            continue
        if isinstance(action, Commit | Abort):
            last = action.time
    return last
