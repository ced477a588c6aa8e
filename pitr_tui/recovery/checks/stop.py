"""Where a server stops that is given a target: what it does, whatever was meant."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.postgres.timestamp import from_moment
from pitr_tui.wal.aim import restore_points
from pitr_tui.wal.chronicle import Chronicle

_LONG_HEADER = 40  # bytes: that of the first page of a segment, the others' are shorter


class Stop(NamedTuple):
    """Where a server with the plan's target stops: a position, and the entries before it.

    `perhaps` is an entry that it may replay as well.
    """

    lsn: Lsn
    cut: int
    perhaps: int | None = None


def stop_in(
    chronicle: Chronicle, target: RecoveryTarget, since: Lsn, end: Lsn | None
) -> Stop | None:
    """The first record behind `since` that fits, None where it was not seen.

    `end` is where the backup is consistent.
    """
    match target:
        case AtTime(time, inclusive):
            cut = chronicle.cut_at_time(from_moment(time), inclusive=inclusive, since=since)
            return Stop(Lsn(int(chronicle.lsns[cut])), cut) if cut < len(chronicle) else None
        case AtXid(xid, inclusive):
            entry = chronicle.entry_of(xid, since)
            if entry is None or int(chronicle.xids[entry]) != xid:
                return None  # a server never stops at a subtransaction
            column = chronicle.ends if inclusive else chronicle.lsns
            return Stop(Lsn(int(column[entry])), entry + inclusive)
        case AtLsn(lsn, inclusive):
            return _at_lsn(chronicle, lsn, inclusive)
        case AtName(name):
            points = restore_points(chronicle, name, since)
            return Stop(points[0].lsn, points[0].index) if points else None
        case Immediate():
            return None if end is None else Stop(end, chronicle.cut_at_lsn(end))
        case Latest():
            return Stop(chronicle.end, len(chronicle)) if chronicle.finished else None


def _at_lsn(chronicle: Chronicle, lsn: Lsn, inclusive: bool) -> Stop | None:
    """An inclusive one keeps the first record that begins there or behind.

    Source: recoveryStopsAfter() in src/backend/access/transam/xlogrecovery.c. Without a record
    that begins between the position and the next end of a transaction that end may be the one.
    """
    if lsn > _last_record(chronicle):
        return None
    cut = chronicle.cut_at_lsn(lsn, inclusive=inclusive)
    exact = cut > 0 and int(chronicle.lsns[cut - 1]) == lsn
    if not inclusive or exact or cut == len(chronicle):
        return Stop(lsn, cut)
    return Stop(lsn, cut, None if _has_record(chronicle, lsn, chronicle.lsns[cut]) else cut)


def _has_record(chronicle: Chronicle, begin: int, end: int) -> bool:
    """Whether a record is known to begin from `begin` on and before `end`.

    Where one ends another begins, or behind the header of the next page: so it does not count
    where only such a header would fit between.
    """
    if ((chronicle.firsts >= begin) & (chronicle.firsts < end)).any():
        return True
    begins = [one.lsn for one in chronicle.happenings] + [one.lsn for one in chronicle.prepared]
    if any(begin <= one < end for one in begins):
        return True
    ends = np.r_[chronicle.ends, np.array([one.end for one in chronicle.happenings], np.uint64)]
    return bool(((ends >= begin) & (ends + np.uint64(_LONG_HEADER) < end)).any())


def _last_record(chronicle: Chronicle) -> Lsn:
    """The begin of the last record that is known of."""
    last = int(chronicle.lsns[-1]) if len(chronicle) else 0
    return Lsn(max(last, *(int(one.lsn) for one in chronicle.happenings[-1:]), 0))
