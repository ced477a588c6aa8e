"""What a person picked, so that it can be found again when more of the WAL was read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Latest, RecoveryTarget
from pitr_tui.tui.widgets.moment_rows import Pick
from pitr_tui.wal.aim import Aim, aim_at, aim_at_cut
from pitr_tui.wal.chronicle import Chronicle


@dataclass(frozen=True, slots=True)
class AtEnd:
    """Just before, or just after, the record that ended a transaction."""

    lsn: Lsn
    after: bool = False


Wanted = AtEnd | RecoveryTarget


def other_side(wanted: Wanted | None) -> Wanted | None:
    """Just after what it was just before, or the other way round; None where there are no sides.

    >>> other_side(AtXid(728, False))
    AtXid(xid=728, inclusive=True)
    """
    match wanted:
        case AtEnd():
            return replace(wanted, after=not wanted.after)
        case AtXid() | AtLsn() | AtTime():
            return replace(wanted, inclusive=not wanted.inclusive)
        case _:
            return None


def wanted_of(one: Pick) -> Wanted:
    """What a row worth a look stands for."""
    if one.point:
        return AtName(one.point)
    if one.noted is not None:
        return AtTime(one.noted)
    return AtEnd(one.mark.lsn) if one.mark is not None else Latest()


def wanted_at_cut(story: Chronicle, cut: int) -> Wanted:
    """A cut, by the transaction behind it, or by the last one."""
    if not len(story):
        return Latest()
    if cut < len(story):
        return AtEnd(Lsn(int(story.lsns[cut])))
    return AtEnd(Lsn(int(story.lsns[-1])), after=True)


def aim_of(wanted: Wanted, story: Chronicle | None, since: Lsn | None) -> Aim:
    """The aim at what is wanted; `since` is where the backup is consistent, if that is known."""
    if isinstance(wanted, AtEnd):
        if story is None:
            target = AtLsn(wanted.lsn, wanted.after)
            return Aim(target, target)
        return aim_at_cut(story, story.cut_at_lsn(wanted.lsn, inclusive=wanted.after), since)
    return aim_at(story, wanted, since) if story is not None else Aim(wanted, wanted)
