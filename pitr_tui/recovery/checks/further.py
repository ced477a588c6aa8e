"""Check of a target for a secondary that has replayed a part of the way already."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import Immediate, Latest
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.wal.chronicle import MarkKind

_MOST = 3
_AGAIN = "recover once more from the backup, into a new place; this one stays as it is"


def later(case: Case, reached: Lsn) -> Iterator[CheckDone]:
    """Replay goes forward only: PostgreSQL refuses a stop before where it is already."""
    stop = case.stop
    if isinstance(case.plan.target, Immediate):
        yield _behind(f"the end of the backup was passed, replay is at {reached}")
    elif stop is not None and stop.lsn < reached:
        yield _behind(f"the target lies at {stop.lsn}, and replay is at {reached}")
    elif stop is not None or isinstance(case.plan.target, Latest):
        yield CheckDone("later", Status.OK, f"replay is at {reached}, and goes on from there")
        yield from _gone_past(case, reached)
    else:
        yield CheckDone(
            "later",
            Status.WARNING,
            f"replay is at {reached}; whether the target lies behind that was not seen",
        )


def _gone_past(case: Case, reached: Lsn) -> Iterator[CheckDone]:
    """What looks harmful and will have happened behind this: there is no way back."""
    chronicle = case.chronicle
    if chronicle is None:
        return
    begin = chronicle.cut_at_lsn(reached)
    end = case.stop.cut if case.stop is not None else len(chronicle)
    suspects = (one for one in chronicle.marks if one.what is MarkKind.SUSPECT)
    marks = [one for one in suspects if begin <= one.index < end]
    if marks:
        told = [f"xid {int(chronicle.xids[one.index])} {one.words}" for one in marks[:_MOST]]
        told += [f"{len(marks) - _MOST} more"] if len(marks) > _MOST else []
        yield CheckDone(
            "goes past", Status.NOTE, f"these will have happened then: {'; '.join(told)}"
        )


def _behind(why: str) -> CheckDone:
    return CheckDone("later", Status.FAILURE, f"{why}: it never goes back", _AGAIN)
