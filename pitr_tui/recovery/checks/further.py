"""Check of a target for a secondary that has replayed a part of the way already."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import Immediate, Latest
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status

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
    else:
        yield CheckDone(
            "later",
            Status.WARNING,
            f"replay is at {reached}; whether the target lies behind that was not seen",
        )


def _behind(why: str) -> CheckDone:
    return CheckDone("later", Status.FAILURE, f"{why}: it never goes back", _AGAIN)
