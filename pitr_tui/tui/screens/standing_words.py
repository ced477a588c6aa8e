"""A recovery that can go on, in words: what is there of it, and what going on means."""

from __future__ import annotations

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.tui.screens.opening import OpenedRun
from pitr_tui.tui.session import Standing


def halted_words(run: OpenedRun) -> str:
    """What a run has left that nobody is at; "" for one that came to an end and tells it."""
    place, view = run.plan.secondary.destination, run.view
    standing = Standing(run.record, run.plan, view)
    if view.failed is not None or view.promoted is not None:
        return ""
    if view.finished is not None:
        words = f"the secondary in {place} does not run any more, but its data are there"
        return "" if run.runs else words
    if view.place is None:
        return f"nothing was made in {place} yet"
    if not standing.is_whole:
        return f"what was copied into {place} is not whole: it is removed, and copied anew"
    if run.runs:
        return f"the secondary in {place} runs, and waits for WAL that nobody hands to it"
    return f"the copy in {place} is whole, and nothing of it is copied again"


def onward_words(standing: Standing) -> str:
    """What going on means, as the next action."""
    if standing.view.finished is not None:
        return "start the secondary again, up to the same target"
    if not standing.is_whole:
        return "recover once more, by the same plan"
    return "go on with the copy that is there, by the same plan"


def stand_words(standing: Standing, reached: Lsn | None = None) -> str:
    """Where it is and how it came to stand there."""
    how = "cut off"
    if standing.view.finished is not None:
        how = f"{standing.view.state} ({standing.plan.target})"
    elif standing.view.failed is not None:
        how = "cancelled" if standing.view.failed.cancelled else "failed"
    at = f"replayed up to {reached}, " if reached is not None else ""
    return f"{standing.plan.secondary.destination}, {at}{how}"
