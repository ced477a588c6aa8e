"""How a run goes on that is there already: from where, and with what changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import server_state


def mended(plan: RecoveryPlan, view: RunView) -> RecoveryPlan:
    """The plan with each setting raised of which the server said that it has too little."""
    raised = dict(plan.raised)
    for seen in view.failures:
        if seen.kind is not Kind.PARAMETER_TOO_LOW or seen.name is None or seen.wanted is None:
            continue
        if seen.name in plan.version.standby_minimums and seen.wanted > plan.minimum(seen.name):
            raised[seen.name] = max(raised.get(seen.name, 0), seen.wanted)
    return replace(plan, raised=raised)


def require_recovering(plan: RecoveryPlan, view: RunView) -> None:
    """Raises RefusedError for a secondary that has left recovery: it cannot go back to it."""
    opened = view.opened or view.promoted is not None
    if not opened and plan.secondary.is_running():
        with suppress(PitrError):  # whoever does not answer has not opened
            opened = not server_state(plan.secondary.database, plan.version).in_recovery
    if opened:
        raise RefusedError(
            "the secondary of this run has opened for writing",
            "it writes a timeline of its own now, and replay does not go on from there",
            "to stop elsewhere, recover once more from the backup",
        )


def require_same_branch(before: RecoveryPlan, after: RecoveryPlan, lsn: Lsn) -> None:
    """Raises RefusedError for a branch that left the way before where replay is, or PitrError."""
    replayed, wanted = before.history.owner(lsn), after.history.owner(lsn)
    if replayed != wanted:
        raise RefusedError(
            f"timeline {after.history.timeline} left before {lsn}, where replay is",
            f"what was replayed there is of timeline {replayed}, and it would need {wanted}",
            "recover once more from the backup, into a new place; this one stays as it is",
        )


def reached(plan: RecoveryPlan, view: RunView) -> Lsn:
    """How far replay came: as the server says if it answers, else as the journal has it."""
    if plan.secondary.is_running():
        with suppress(PitrError):
            state = server_state(plan.secondary.database, plan.version)
            if state.replayed is not None:
                return state.replayed
    known = view.replay.lsn if view.replay is not None else None
    return known or plan.backup.label.start_lsn
