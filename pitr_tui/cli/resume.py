"""`pitr resume`, `promote` and `discard`: what becomes of a run that is there already."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace

from pitr_tui.cli.check import examine, show_check, show_verdict, told_by
from pitr_tui.cli.confirm import require_name
from pitr_tui.cli.output import Output
from pitr_tui.cli.places import RunPlaces
from pitr_tui.cli.run_words import tell
from pitr_tui.cli.signals import cancelling
from pitr_tui.cli.targets import has_target, target_of
from pitr_tui.errors import RefusedError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery.cancellation import Cancellation
from pitr_tui.recovery.checks import Judgement, require_passed
from pitr_tui.recovery.fate import discard_run, promote_run, require_own
from pitr_tui.recovery.going_on import (
    mended,
    reached,
    require_recovering,
    require_same_branch,
)
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_record import plan_from, secondary_from
from pitr_tui.recovery.run import take_up
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunView
from pitr_tui.servers.secondary import Secondary


def resume(parsed: argparse.Namespace, output: Output) -> int:
    """Go on with a run; with another target from where its secondary stands."""
    record = run_named(parsed.run)
    with closing(Journal.reopen(record.directory, lambda told: tell(told, output))) as journal:
        view = record.view()  # now that nobody else can write to it
        plan = plan_from(view.plan, RunPlaces(parsed))
        if view.finished is not None and not view.thrown_away:
            require_own(record, view, plan.secondary)
            require_recovering(plan, view)
        opens_before = plan.action is TargetAction.PROMOTE
        plan, judgement = _changed(parsed, output, plan, view)
        if plan.action is TargetAction.PROMOTE and not opens_before:
            require_name(
                parsed,
                output,
                plan.secondary.name,
                f"{plan.secondary.destination} goes on {plan.target}, and opens for writing there; "
                "replay cannot go on after that.",
            )
        cancel = Cancellation()
        try:
            with cancelling(cancel):
                take_up(plan, journal, view, cancel, judgement)
            output.say(f"  stop it: {plan.secondary.stop_command()}")
        finally:
            output.say(f"  the record of this run: {journal.directory}")
    return 0


def _changed(
    parsed: argparse.Namespace, output: Output, plan: RecoveryPlan, view: RunView
) -> tuple[RecoveryPlan, Judgement | None]:
    """The plan with what the options change, examined. Raises RefusedError for a way back."""
    changed = plan
    if has_target(parsed):
        target = target_of(parsed)
        default = TargetAction.PROMOTE if isinstance(target, Latest) else TargetAction.PAUSE
        changed = replace(changed, target=target, action=default)
    if parsed.action:
        changed = replace(changed, action=TargetAction(parsed.action))
    if parsed.timeline:
        changed = replace(changed, timeline=TimelineId.parse(parsed.timeline))
    if changed == plan and view.failed is None:
        return plan, None  # it only goes on
    far = reached(plan, view)
    require_same_branch(plan, changed, far)
    changed, judgement = examine(
        changed, output, quick=parsed.quick, told=told_by(parsed), reached=far
    )
    changed = mended(changed, view)
    for check in judgement.checks:
        show_check(check, output)
    show_verdict(judgement, output)
    require_passed(judgement.checks)
    return changed, judgement


def promote(parsed: argparse.Namespace, output: Output) -> int:
    """Open a run's secondary for writing, once its name was typed."""
    record, secondary = _run_and_secondary(parsed)
    require_name(
        parsed,
        output,
        secondary.name,
        f"{secondary.destination} opens for writing, on a timeline of its own; replay cannot go "
        "on after that.",
    )
    promote_run(record, secondary, lambda stamped: tell(stamped, output))
    output.say(f"  look at it: {secondary.psql_command()}")
    return 0


def discard(parsed: argparse.Namespace, output: Output) -> int:
    """Remove a run's secondary with its data, once its name was typed."""
    record, secondary = _run_and_secondary(parsed)
    require_name(
        parsed,
        output,
        secondary.name,
        f"{secondary.destination} is stopped, and its data are removed with everything in them. "
        "The backup, the archive and the primary stay as they are.",
    )
    discard_run(record, secondary, lambda stamped: tell(stamped, output))
    return 0


def _run_and_secondary(parsed: argparse.Namespace) -> tuple[RunRecord, Secondary]:
    record = run_named(parsed.run)
    if record.is_live():
        raise RefusedError(
            f"the run {record.name} is going on", "another pitr is at it", "stop that one first"
        )
    return record, secondary_from(record.view().plan, RunPlaces(parsed))
