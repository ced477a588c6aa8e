"""From what a person picks to where a server stops: between two transactions, by the safest means.

What happened is known from the WAL, so a time or a position becomes the transaction that it
means. An xid needs no clock and no later transaction, and every version knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

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
from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.wal.chronicle import Chronicle, Mark, MarkKind, Ruin


@dataclass(frozen=True, slots=True)
class Aim:
    """Where to stop. `target` is what PostgreSQL is told, `asked` what the person said.

    `cut` is the place between the entries of the chronicle, and `lsn` that of the record at
    which replay stops; both None where the WAL does not tell. `reached` says that this record
    was seen. `short_by` is how far behind the last transaction a time lies that was not reached.
    """

    target: RecoveryTarget
    asked: RecoveryTarget
    cut: int | None = None
    lsn: Lsn | None = None
    reached: bool = False
    short_by: timedelta | None = None


def aim_at_cut(
    chronicle: Chronicle,
    cut: int,
    since: Lsn | None = None,
    asked: RecoveryTarget | None = None,
) -> Aim:
    """Stop at a cut: just before the first commit that is lost.

    That server has replayed the locks of the transaction before which it stops, so nobody
    could read a table there that this one drops. So where it changed definitions, the stop is
    just after the last commit that is kept, if that lies before the first of its records and
    behind `since`, from where on the backup is consistent.
    """
    lost, kept = chronicle.first_lost(cut), chronicle.last_kept(cut)
    ruin = chronicle.ruin_of(lost) if lost is not None else None
    if ruin is not None:
        return _before_ruin(chronicle, ruin, since, asked)
    after = kept is not None and lost is None
    if kept is not None and lost is not None and since is not None and chronicle.locks[lost]:
        after = bool(chronicle.firsts[lost] >= chronicle.ends[kept] >= since)
        after = after and _is_first(chronicle, kept)
    if after and kept is not None:
        if lost is None and since is not None and chronicle.ends[kept] < since:
            return Aim(Immediate(), asked or Immediate(), cut, since, True)
        target, lsn = _just(chronicle, kept, inclusive=True), Lsn(int(chronicle.ends[kept]))
    elif lost is not None:
        target, lsn = _just(chronicle, lost, inclusive=False), Lsn(int(chronicle.lsns[lost]))
    else:
        return Aim(Immediate(), asked or Immediate(), cut, since, True)
    return Aim(target, asked or target, cut, lsn, True)


def _before_ruin(
    chronicle: Chronicle, ruin: Ruin, since: Lsn | None, asked: RecoveryTarget | None
) -> Aim:
    """Before the record that removes a database's files, which no later stop brings back.

    What committed between that record and the end of the DROP DATABASE is lost with it.
    """
    cut = chronicle.cut_at_lsn(ruin.lsn)
    kept = chronicle.last_kept(cut)
    if kept is not None and chronicle.ends[kept] >= (since or 0) and _is_first(chronicle, kept):
        target: RecoveryTarget = AtXid(int(chronicle.xids[kept]))
        return Aim(target, asked or target, cut, Lsn(int(chronicle.ends[kept])), True)
    target = AtLsn(ruin.lsn, inclusive=False)
    return Aim(target, asked or target, cut, ruin.lsn, True)


def aim_at(chronicle: Chronicle, asked: RecoveryTarget, since: Lsn | None = None) -> Aim:
    """What was typed, found in the WAL. `since` is where the backup is consistent, if known."""
    match asked:
        case AtTime(time, inclusive):
            return _at_time(chronicle, asked, time, inclusive, since)
        case AtXid(xid, inclusive):
            return _at_xid(chronicle, asked, xid, inclusive, since)
        case AtLsn(lsn, inclusive):
            if lsn > chronicle.end:
                return Aim(asked, asked, lsn=lsn)
            cut = chronicle.cut_at_lsn(lsn, inclusive=inclusive)
            return aim_at_cut(chronicle, cut, since, asked)
        case AtName(name):
            return _at_name(chronicle, asked, name, since)
        case Immediate():
            at = None if since is None else chronicle.cut_at_lsn(since)
            return Aim(asked, asked, at, since, True)
        case Latest():
            return Aim(asked, asked, len(chronicle), chronicle.end, chronicle.finished)


def restore_points(chronicle: Chronicle, name: str, since: Lsn | None = None) -> list[Mark]:
    """The restore points of a name, in WAL order: a server stops at the first."""
    return [
        mark
        for mark in chronicle.marks
        if mark.what is MarkKind.RESTORE_POINT and mark.name == name and mark.lsn >= (since or 0)
    ]


def _at_time(
    chronicle: Chronicle, asked: AtTime, time: datetime, inclusive: bool, since: Lsn | None
) -> Aim:
    cut = chronicle.cut_at_time(from_moment(time), inclusive=inclusive, since=since or 0)
    if cut < len(chronicle):
        return aim_at_cut(chronicle, cut, since, asked)
    last = moment(int(chronicle.at[-1])) if len(chronicle) else None
    return Aim(asked, asked, cut, chronicle.end, False, time - last if last else None)


def _at_xid(
    chronicle: Chronicle, asked: AtXid, xid: int, inclusive: bool, since: Lsn | None
) -> Aim:
    entry = chronicle.entry_of(xid, since or 0)
    if entry is None:
        return Aim(asked, asked)
    top = int(chronicle.xids[entry])
    column = chronicle.ends if inclusive else chronicle.lsns
    cut = entry + 1 if inclusive else entry
    return Aim(AtXid(top, inclusive), asked, cut, Lsn(int(column[entry])), True)


def _at_name(chronicle: Chronicle, asked: AtName, name: str, since: Lsn | None) -> Aim:
    found = restore_points(chronicle, name, since)
    if not found:
        return Aim(asked, asked)
    return Aim(asked, asked, found[0].index, found[0].lsn, True)


def _just(chronicle: Chronicle, entry: int, *, inclusive: bool) -> RecoveryTarget:
    """The xid of an entry, or its position where an earlier one ended with the same 32 bits."""
    if _is_first(chronicle, entry):
        return AtXid(int(chronicle.xids[entry]), inclusive)
    return AtLsn(Lsn(int(chronicle.lsns[entry])), inclusive)


def _is_first(chronicle: Chronicle, entry: int) -> bool:
    return not bool((chronicle.xids[:entry] == chronicle.xids[entry]).any())
