"""A run told event by event: while it happens, and again from its journal."""

from __future__ import annotations

from pitr_tui.cli.check import show_check
from pitr_tui.cli.output import Output
from pitr_tui.recovery.events import (
    CheckDone,
    FeedFailed,
    Progress,
    Promoted,
    ReplayAt,
    RunFailed,
    RunFinished,
    RunTakenUp,
    Stamped,
    Status,
    StepDone,
    StepStarted,
    ThrownAway,
    to_json,
)

# What is shown of a run's checks, besides doubts: the rest is for `pitr verify` and the report.
_FIRST = ("as of", "shut down")
_DOUBTS = (Status.WARNING, Status.FAILURE)


def tell(stamped: Stamped, output: Output) -> None:
    """One event of the run, for people or for programs."""
    output.fact(to_json(stamped))
    match stamped.event:
        case RunTakenUp() as again:
            output.say(f"taken up again from “{again.step.words}”: {again.target}")
        case StepStarted(step):
            output.begin(step.words)
        case StepDone(step, seconds):
            output.finished(step.words, seconds)
        case Progress(done, total):
            output.progress("copy", done, total, "byte")
        case ReplayAt(lsn, start, end):
            output.progress(f"replay at {lsn}", lsn - start, (end or lsn) - start, "byte")
        case FeedFailed(name, why):
            output.say(f"  ✗ {name}: {why}")
        case CheckDone() as check if check.name in _FIRST or check.status in _DOUBTS:
            show_check(check, output)
        case RunFinished() as finished:
            output.say(f"✓ {finished.headline}")
            branch = f", timeline {finished.timeline}" if finished.timeline else ""
            output.say(f"  state: {finished.state}{branch}")
            if finished.last_transaction:
                output.say(f"  last transaction: {finished.last_transaction}")
            if finished.connect:
                output.say(f"  look at it: {finished.connect}")
        case RunFailed() as failed:
            output.say(f"  what is left: {failed.left}")
        case Promoted(timeline):
            output.say(f"✓ promoted, timeline {timeline}")
        case ThrownAway():
            output.say("✓ thrown away: nothing of the secondary is left")
        case _:
            pass
