"""Did the recovery get where it should? Decided from what the server said, not from a port.

Up to version 12 a server that does not reach its target opens without a word, and every
version does so without a target when a segment is missing. So an open server counts for
nothing here: only its `recovery stopping` line does, held against the target.
"""

from __future__ import annotations

from pitr_tui.errors import PitrError
from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logline import Observation, explain
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.recovery.verify import ServerState
from pitr_tui.wording import count_text


class RecoveryFailedError(PitrError):
    """The replay did not end where it should have.

    `failure` is the id of the diagnosis. With `restartable` a plain restart of the secondary
    is enough, once the cause is mended: the copy is kept.
    """

    failure = ""
    restartable = False


_DAMAGE = (Kind.CHECKSUM, Kind.BAD_PAGE, Kind.FOREIGN_SYSTEM, Kind.WRONG_SIZE)
_CONSEQUENCES = (Kind.FETCH_FATAL, Kind.STARTUP_FAILED)


def is_over(plan: RecoveryPlan, view: RunView) -> bool:
    """Whether the log already tells how the replay ended."""
    if view.opened:
        return True
    if plan.action is TargetAction.PAUSE:
        return view.paused
    return False


def failure(plan: RecoveryPlan, view: RunView, running: bool) -> PitrError | None:
    """Why the replay did not end at its target, or None when it did."""
    if view.feed_failure is not None:
        fed = view.feed_failure
        return PitrError(
            f"the recovery needs {fed.name}, which cannot be delivered",
            fed.why,
            "look for that file elsewhere (the primary's pg_wal, a standby, another archive), "
            "or choose a target before it",
        )
    if view.opened and view.stop is None and not isinstance(plan.target, Latest):
        return PitrError(
            "the recovery did not reach its target, and the secondary opened all the same",
            f"PostgreSQL {plan.version} replayed all WAL that it could get, up to "
            f"{view.redo_done}, and never said that it stops (it was to: {plan.target}); "
            f"{_last_transaction(view)}",
            "the data are not as of the target; archive the WAL that follows, or choose an "
            "earlier target",
        )
    if view.stop is not None and not plan.target.met_by(view.stop):
        return PitrError(
            "the recovery stopped somewhere else",
            f"it was to stop {plan.target}, and it stopped {view.stop}",
            "do not use these data as the state at the target",
        )
    if view.paused and view.stop is None:
        return PitrError(
            "the recovery is paused before its target", _told(view), "see the log for the reason"
        )
    if view.failures and not (running or view.state is RunState.SHUT_DOWN):
        return _from_log(plan, view)
    if not running and plan.action is not TargetAction.SHUTDOWN:
        return PitrError("the secondary stopped by itself", _told(view), "see the end of its log")
    if not running and view.state is not RunState.SHUT_DOWN:
        return _from_log(plan, view)
    return _gap(plan, view)


def evidence(plan: RecoveryPlan, view: RunView, state: ServerState | None) -> tuple[CheckDone, ...]:
    """What shows that the recovery is what was asked for, from the log and from SQL."""
    checks = []
    if view.stop is not None:
        checks.append(CheckDone("stopped at the target", Status.OK, f"it stopped {view.stop}"))
    else:
        checks.append(
            CheckDone(
                "end of the WAL", Status.OK, f"replayed to {view.redo_done}, no gap before it"
            )
        )
    if view.last_transaction:
        checks.append(CheckDone("last transaction", Status.OK, view.last_transaction))
    if plan.action is TargetAction.SHUTDOWN:
        checks.append(CheckDone("shut down", Status.OK, "the server shut down at its target"))
    elif state is not None:
        checks.append(_state_check(plan, state))
        if state.locked:
            checks.append(
                CheckDone(
                    "locked",
                    Status.WARNING,
                    f"{count_text(state.locked, 'relation')} cannot be read while it is paused: "
                    "the transaction just behind the target had locked them (a DROP, TRUNCATE or "
                    "ALTER). They are whole, and can be read once it is promoted",
                )
            )
    return tuple(checks)


def _state_check(plan: RecoveryPlan, state: ServerState) -> CheckDone:
    """Whether the server is in the state that was asked for."""
    expected = plan.action is TargetAction.PAUSE
    if state.in_recovery:
        status = Status.OK if expected and state.paused else Status.FAILURE
        where = f"replay is {'paused' if state.paused else 'NOT paused'} at {state.replayed}"
    else:
        status = Status.FAILURE if expected else Status.OK
        where = f"open for writing on timeline {state.timeline}"
    return CheckDone(f"asked to {plan.action}", status, where)


def _gap(plan: RecoveryPlan, view: RunView) -> PitrError | None:
    """Without a target: is there WAL in the archive that the server never got to?"""
    if not isinstance(plan.target, Latest) or view.redo_done is None:
        return None
    damage = [seen for seen in view.failures if seen.kind in _DAMAGE]
    if damage:
        return PitrError(
            "the recovery ended at damaged WAL",
            f"{explain(damage[0])} It opened at {view.redo_done}.",
            "what follows there is lost unless another copy of that segment is found",
        )
    reached = int(view.redo_done) // plan.backup.segment_size
    beyond = [held.name for number, held in sorted(plan.source.held().items()) if number > reached]
    if not beyond:
        return None
    return PitrError(
        "the recovery ended before the end of the archive",
        f"it opened at {view.redo_done}, but the archive goes on to {beyond[-1]}; a segment in "
        "between is missing or damaged",
        "look for the missing segment, or use a backup from behind the gap",
    )


def _from_log(plan: RecoveryPlan, view: RunView) -> PitrError:
    causes = [one for one in view.failures if one.kind not in _CONSEQUENCES]
    causes = causes or view.failures or view.alarms
    if not causes:
        return PitrError("the secondary stopped by itself", "its log does not tell why")
    first = causes[0]
    if first.kind is Kind.UNREACHED and view.absent:
        return _unreached(plan, view)
    return PitrError(
        f"the recovery failed: {first.kind.value}",
        f"{explain(first)} {_last_transaction(view)}".strip(),
        _remedy(first, plan),
    )


def _unreached(plan: RecoveryPlan, view: RunView) -> PitrError:
    """The WAL ended before the target: in a gap of the archive, or at its end."""
    absent = WalSegment.parse(view.absent, plan.backup.segment_size)
    held = sorted(plan.source.held().items())
    later = [segment for number, segment in held if number > absent.number]
    last = _last_transaction(view)
    if later:
        return PitrError(
            f"segment {absent.name} is not in the archive",
            f"without it PostgreSQL cannot pass {absent.start}; the archive goes on with "
            f"{later[0].name} behind the gap. {last[:1].upper()}{last[1:]}".strip(),
            "use a backup that starts behind the gap, stop before it, or look for the segment "
            "elsewhere (the primary's pg_wal, a standby, another archive)",
        )
    return PitrError(
        "the archive ends before the target is met",
        f"the target is {plan.target}; everything before {absent.name} was replayed without "
        f"meeting it, and that segment is not archived. {last[:1].upper()}{last[1:]}".strip(),
        "is the target right? If it is, archive the WAL that follows (switch the WAL on the "
        "primary after one more transaction), or choose an earlier target",
    )


def _remedy(seen: Observation, plan: RecoveryPlan) -> str:
    match seen.kind:
        case Kind.UNREACHED:
            return (
                "archive the WAL that follows (switch the WAL on the primary after one more "
                "transaction), or choose an earlier target"
            )
        case Kind.TOO_EARLY:
            return "use an older backup, or a later target"
        case Kind.PORT_IN_USE:
            return "choose another --port"
        case Kind.DISK_FULL:
            return f"make room for {plan.secondary.destination}"
        case Kind.NO_CHECKPOINT | Kind.NO_BACKUP_LABEL:
            return (
                "find the missing first segment; do not remove backup_label, whatever the "
                "server's hint says"
            )
        case _:
            return "the log of the secondary is in the run's journal"


def _told(view: RunView) -> str:
    return "; ".join(explain(one) for one in view.failures) or "the log does not tell why"


def _last_transaction(view: RunView) -> str:
    if view.last_transaction:
        return f"the last replayed transaction is of {view.last_transaction}"
    if view.replay is not None and view.replay.time is not None:
        return f"the last replayed transaction is of {view.replay.time:%Y-%m-%d %H:%M:%S.%f%z}"
    return ""
