"""The lessons by their steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pitr_tui.errors import UsageError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.teaching import (
    archive,
    backups,
    connect,
    plan,
    recover,
    target,
    verify,
)
from pitr_tui.recovery.teaching.seen import Case, Seen, example_plan
from pitr_tui.recovery.teaching.values import Lesson

_NEWEST = PostgresVersion.parse("18")
_LESSONS: Mapping[str, Callable[[Case], Lesson]] = {
    "connect": connect.teach,
    "archive": archive.teach,
    "backups": backups.teach,
    "target": target.teach,
    "plan": plan.teach,
    "recover": recover.teach,
    "verify": verify.teach,
}

STEPS = tuple(_LESSONS)


def lesson(
    step: str,
    version: PostgresVersion | None = None,
    plan: RecoveryPlan | None = None,
    seen: Seen | None = None,
) -> Lesson:
    """What a step teaches, of the plan and of what was seen; the plan's version counts.

    Without a version it is the primary's, and else the newest. Raises UsageError for what is no
    step, RefusedError for a version that is not supported or does not have the target.
    """
    if step not in _LESSONS:
        raise UsageError(f"there is no step {step!r}", f"the steps are {', '.join(STEPS)}")
    return _LESSONS[step](_case(version, plan, seen or Seen()))


def lessons(
    version: PostgresVersion | None = None,
    plan: RecoveryPlan | None = None,
    seen: Seen | None = None,
) -> dict[str, Lesson]:
    """All of them by their steps, in order. As `lesson`."""
    case = _case(version, plan, seen or Seen())
    return {step: teach(case) for step, teach in _LESSONS.items()}


def _case(version: PostgresVersion | None, plan: RecoveryPlan | None, seen: Seen) -> Case:
    if plan is not None:
        return Case(plan.version, plan, seen, is_example=False)
    known = version or (seen.facts.version if seen.facts is not None else _NEWEST)
    known.require_supported()
    return Case(known, example_plan(known, seen), seen, is_example=True)
