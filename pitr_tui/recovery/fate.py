"""What a person decides over a run's secondary, written down in the run's journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pitr_tui.errors import RefusedError
from pitr_tui.recovery.aftercare import promote
from pitr_tui.recovery.events import GivenUp, Promoted, Sink, Stamped, ThrownAway
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import ServerState, server_state
from pitr_tui.servers.secondary import Secondary


def _nobody(stamped: Stamped) -> None:
    pass


def promote_run(record: RunRecord, secondary: Secondary, sink: Sink = _nobody) -> ServerState:
    """Open a run's secondary for writing.

    Raises RefusedError for one that is not paused at its target, PitrError.
    """
    with _open(record, sink) as (journal, view):
        require_own(record, view, secondary)
        if view.finished is None:
            raise RefusedError(
                f"the run {record.name} has not come to its target",
                "only a secondary that is where it should be is opened for writing",
                f"pitr resume {record.name}",
            )
        if not secondary.is_running():
            raise RefusedError(
                f"the secondary of the run {record.name} does not run",
                "",
                f"pitr resume {record.name} starts it",
            )
        if not server_state(secondary.database, secondary.version).in_recovery:
            raise RefusedError(f"the secondary of the run {record.name} is open already")
        state = promote(secondary)
        journal.emit(Promoted(state.timeline))
        return state


def discard_run(record: RunRecord, secondary: Secondary, sink: Sink = _nobody) -> None:
    """Stop a run's secondary and leave its place as it was before the run; also a cut off one's.

    Raises RefusedError when something else is there, PitrError.
    """
    with _open(record, sink) as (journal, view):
        gone = view.failed is not None and not view.failed.kept
        place = None if gone else view.place
        if place is not None and secondary.take_over(record.name, place.was_there):
            journal.emit(GivenUp(kept=False))
            secondary.unmake()
        journal.emit(ThrownAway())


def require_own(record: RunRecord, view: RunView, secondary: Secondary) -> None:
    """Raises RefusedError when what lies at the place of a run's secondary is not that run's."""
    if view.place is None or not secondary.take_over(record.name, view.place.was_there):
        raise RefusedError(
            f"the secondary of the run {record.name} is not there any more",
            f"there is nothing in {secondary.destination}",
            "recover once more",
        )
    secondary.settle()


@contextmanager
def _open(record: RunRecord, sink: Sink) -> Iterator[tuple[Journal, RunView]]:
    journal = Journal.reopen(record.directory, sink)
    try:
        view = record.view()  # now that nobody else can write to it
        if view.thrown_away:
            raise RefusedError(f"the secondary of the run {record.name} was thrown away before")
        yield journal, view
    finally:
        journal.close()
