"""What shows that a recovered secondary is what was wanted, and harms nobody: named checks.

Everything is asked by SQL while it is paused or after it was opened, one connection for each
database. Nothing here changes the secondary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import RecoveryTarget, TargetAction
from pitr_tui.recovery.as_of import agrees, as_of, clock, stop_time
from pitr_tui.recovery.database_looks import database_checks
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.server_looks import server_checks
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import ServerState, databases, server_state
from pitr_tui.servers.secondary import Secondary
from pitr_tui.wording import count_text

LOCKED = "locked"
_SLACK = timedelta(seconds=1)  # transactions take their time before they write their end

# The checks that say whether replay stopped where it was to.
STOPS = ("stopped at the target", "end of the WAL")


def postflight(
    secondary: Secondary, view: RunView, target: RecoveryTarget | None = None
) -> Iterator[CheckDone]:
    """Every check of a secondary that takes connections, the most important first.

    `target` is what the plan asked for, where that is known. Raises PitrError when the
    secondary does not answer.
    """
    state = server_state(secondary.database, secondary.version)
    yield stop_check(view, target)
    yield state_check(view, state)
    yield CheckDone("as of", *_as_of(view, state))
    yield from last_transaction(view, state)
    if state.locked:
        yield locked_check(state.locked)
    yield from server_checks(secondary, state)
    names = databases(secondary.database)
    for name in names:
        yield from _inside(secondary, name, state, several=len(names) > 1)


def without_todo(checks: Iterable[CheckDone], todo: Sequence[CheckDone]) -> Iterator[CheckDone]:
    """The checks that a list of what is to do does not tell better; failures stay in any case."""
    told = {check.name for check in todo}
    for check in checks:
        if check.name not in told or check.status is Status.FAILURE:
            yield check


def locked_check(count: int) -> CheckDone:
    """That tables, or what belongs to them, cannot be read while it is paused."""
    return CheckDone(
        LOCKED,
        Status.WARNING,
        f"{count_text(count, 'relation')} cannot be read while it is paused: the "
        "transaction just behind the target had locked them (a DROP, TRUNCATE or ALTER). "
        "They are whole, and can be read once it is promoted",
    )


def stop_check(view: RunView, target: RecoveryTarget | None) -> CheckDone:
    """Whether the server said that it stops, and where it was to stop."""
    name, at_end = STOPS
    stop = view.stop
    if stop is None:
        if not view.aims_at_stop:
            reached = f"replayed to {view.redo_done}" if view.redo_done else "it has no end yet"
            status = Status.OK if view.redo_done else Status.FAILURE
            return CheckDone(at_end, status, reached)
        return CheckDone(
            name,
            Status.FAILURE,
            f"it never said that it stops ({view.target})",
            "do not take these data for those of the target",
        )
    if target is not None and not target.met_by(stop):
        return CheckDone(
            name, Status.FAILURE, f"it was to stop {target}, and it stopped {stop}", "recover anew"
        )
    if view.cut is not None and stop.what == "commit" and not agrees(view.cut, stop):
        side = "before" if stop.before else "after"
        xid = view.cut.first_lost_xid if stop.before else view.cut.last_kept_xid
        return CheckDone(
            name,
            Status.FAILURE,
            f"it stopped {stop}; the WAL that was read before has transaction {xid} there: it "
            f"was expected to stop {side} that",
            "look whether the backup or the archive was changed meanwhile, and recover anew",
        )
    return CheckDone(name, Status.OK, f"it stopped {stop}")


def state_check(view: RunView, state: ServerState) -> CheckDone:
    """Whether it is paused, or open on the timeline on which it was opened."""
    action = _action(view)
    if state.in_recovery:
        where = f"at {state.replayed}, timeline {state.timeline}"
        if state.paused:
            return CheckDone(f"asked to {TargetAction.PAUSE}", Status.OK, f"replay paused {where}")
        return CheckDone(
            f"asked to {action}",
            Status.FAILURE,
            f"replay goes on, now {where}",
            "do not use the data while it replays",
        )
    opened = f"open for writing on timeline {state.timeline}"
    expected = _opened_on(view)
    if expected is not None and expected != state.timeline:
        return CheckDone(
            "promoted", Status.FAILURE, f"{opened}, and it was opened on timeline {expected}"
        )
    if view.promoted is None and action != TargetAction.PROMOTE:
        return CheckDone(
            "promoted",
            Status.WARNING,
            f"{opened}; this run did not open it, so somebody else did",
            "ask who writes to it",
        )
    return CheckDone("promoted", Status.OK, opened)


def last_transaction(view: RunView, state: ServerState) -> Iterator[CheckDone]:
    """What it replayed last, against the WAL: the server's own clock of transactions."""
    name = "last transaction"
    at, cut = state.time, view.cut
    if at is None:
        if view.last_transaction:
            yield CheckDone(name, Status.OK, view.last_transaction)
        return
    stop = view.stop
    stopped = stop_time(stop) if stop is not None else None
    # Behind a commit that it stopped after nothing can have ended.
    exact = stop is not None and stop.what == "commit" and not stop.before
    if stopped is not None and at - stopped > (timedelta() if exact else _SLACK):
        yield CheckDone(
            name,
            Status.FAILURE,
            f"{clock(at)}, which is later than the stop at {clock(stopped)}",
            "do not take these data for those of the target",
        )
    elif cut is None or at == cut.last_kept_time:
        last = f", transaction {cut.last_kept_xid}" if cut else ""
        yield CheckDone(name, Status.OK, clock(at) + last)
    elif cut.first_lost_time is not None and at == cut.first_lost_time:
        yield CheckDone(
            name,
            Status.FAILURE,
            f"it has replayed transaction {cut.first_lost_xid} of {clock(at)}, which was to be "
            "lost",
        )
    elif cut.last_kept_time is not None and at < cut.last_kept_time:
        yield CheckDone(
            name,
            Status.WARNING,
            f"{clock(at)}; the WAL has transaction {cut.last_kept_xid} of "
            f"{clock(cut.last_kept_time)} before the target",
        )
    else:
        yield CheckDone(name, Status.OK, f"{clock(at)}, of one that was rolled back")


def _action(view: RunView) -> str:
    """What the server was to do at its target, as it was asked for last."""
    last = view.taken_up or view.started
    return last.action if last is not None else TargetAction.PAUSE


def _opened_on(view: RunView) -> TimelineId | None:
    if view.promoted is not None:
        return view.promoted.timeline
    return view.new_timeline


def _as_of(view: RunView, state: ServerState) -> tuple[Status, str]:
    known = view.stop is not None or not view.aims_at_stop
    return Status.OK if known else Status.FAILURE, as_of(view, state.time)


def _inside(
    secondary: Secondary, name: str, state: ServerState, *, several: bool
) -> Iterator[CheckDone]:
    """The checks of one database; one that cannot be entered is told."""
    try:
        yield from database_checks(
            secondary.database.named(name), secondary.version, state, name if several else ""
        )
    except PitrError as error:
        yield CheckDone(f"database {name}", Status.WARNING, error.why or error.what)
