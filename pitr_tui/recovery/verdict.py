"""Did the recovery get where it should? Decided from what the server said, not from a port.

Up to version 12 a server that does not reach its target opens without a word, and every
version does so without a target when a segment is missing. So an open server counts for
nothing here: only its `recovery stopping` line does, held against the target.
"""

from __future__ import annotations

from pitr_tui.errors import PitrError
from pitr_tui.postgres.diagnosis import Diagnosis
from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logline import explain
from pitr_tui.postgres.moment import parse_moment
from pitr_tui.postgres.remedies import IDS
from pitr_tui.postgres.target import AtTime, Latest, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.recovery.verify import ServerState


class RecoveryFailedError(PitrError):
    """The replay did not end where it should have.

    `failure` is the id of the diagnosis. With `restartable` a plain restart of the secondary
    is enough, once the cause is mended: the copy is kept.
    """

    def __init__(
        self,
        what: str,
        why: str = "",
        hint: str = "",
        *,
        failure: str = "",
        restartable: bool = False,
    ) -> None:
        super().__init__(what, why, hint)
        self.failure = failure
        self.restartable = restartable


_LEARN_MORE = "the log of the secondary is in the run's journal"


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
        return RecoveryFailedError(
            f"the recovery needs {fed.name}, which cannot be delivered",
            fed.why,
            "look for that file elsewhere (the primary's pg_wal, a standby, another archive), "
            "or choose a target before it",
            failure="FETCH_FATAL",
            restartable=not view.opened,
        )
    if view.opened and view.stop is None and not isinstance(plan.target, Latest):
        found = view.log.failure
        return RecoveryFailedError(
            "the recovery did not reach its target, and the secondary opened all the same",
            f"PostgreSQL {plan.version} replayed all WAL that it could get, up to "
            f"{view.redo_done}, and never said that it stops (it was to: {plan.target}); "
            f"{_last_transaction(view)}",
            "the data are not as of the target; archive the WAL that follows, or choose an "
            "earlier target",
            failure=found.id if found is not None else "UNREACHED",
        )
    if view.stop is not None and not plan.target.met_by(view.stop) and not _too_early(view):
        return RecoveryFailedError(
            "the recovery stopped somewhere else",
            f"it was to stop {plan.target}, and it stopped {view.stop}",
            "do not use these data as the state at the target",
            failure="WRONG_STOP",
        )
    if view.stop is not None and view.cut is None and _lies_before_backup(plan):
        return RecoveryFailedError(
            "the target lies before the end of the backup",
            f"the backup began at {plan.backup.label.start_time} and has what was committed until "
            f"then; the server was to stop {plan.target}, and it stopped {view.stop}",
            "use an older backup, or a later target",
            failure="TOO_EARLY",
        )
    if view.paused and view.stop is None:
        return _paused_before(view)
    if view.failures and not (running or view.state is RunState.SHUT_DOWN):
        return _from_log(plan, view)
    if not running and plan.action is not TargetAction.SHUTDOWN:
        return _stopped_by_itself(view)
    if not running and view.state is not RunState.SHUT_DOWN:
        return _from_log(plan, view)
    return _gap(plan, view)


def require_asked_for(plan: RecoveryPlan, state: ServerState) -> None:
    """Raises RecoveryFailedError for a server in another state than the plan's action."""
    paused = state.in_recovery and state.paused
    if paused if plan.action is TargetAction.PAUSE else not state.in_recovery:
        return
    where = f"in recovery at {state.replayed}" if state.in_recovery else "open for writing"
    raise RecoveryFailedError(
        "the secondary is not in the state that was asked for",
        f"it was asked to {plan.action}, and it is {where}",
    )


def _gap(plan: RecoveryPlan, view: RunView) -> PitrError | None:
    """Without a target: is there WAL in the archive that the server never got to?"""
    if not isinstance(plan.target, Latest) or view.redo_done is None:
        return None
    damage = [one.seen for one in view.log.life.damage]
    if damage:
        return RecoveryFailedError(
            "the recovery ended at damaged WAL",
            f"{explain(damage[0])} It opened at {view.redo_done}.",
            "what follows there is lost unless another copy of that segment is found",
            failure=IDS[damage[0].kind],
        )
    reached = int(view.redo_done) // plan.backup.segment_size
    beyond = [held.name for number, held in sorted(plan.source.held().items()) if number > reached]
    if not beyond:
        return None
    return RecoveryFailedError(
        "the recovery ended before the end of the archive",
        f"it opened at {view.redo_done}, but the archive goes on to {beyond[-1]}; a segment in "
        "between is missing or damaged",
        "look for the missing segment, or use a backup from behind the gap",
        failure="GAP",
    )


def _from_log(plan: RecoveryPlan, view: RunView) -> PitrError:
    """The cause as the log tells it, with what is known here besides."""
    found = view.log.failure
    if found is None:
        return _stopped_by_itself(view)
    if found.id == "UNREACHED" and view.absent:
        return _unreached(plan, view)
    why = f"{found.cause} {found.evidence}"
    if found.warning:
        why = f"{why} {found.warning}"
    return RecoveryFailedError(
        f"the recovery failed: {found.title}",
        why,
        _remedy(found, plan),
        failure=found.id,
        restartable=found.restartable,
    )


def _stopped_by_itself(view: RunView) -> RecoveryFailedError:
    return RecoveryFailedError(
        "the secondary stopped by itself",
        _told(view),
        f"see the end of its log; {_LEARN_MORE}",
        failure="UNKNOWN",
        restartable=not view.opened,
    )


def _paused_before(view: RunView) -> RecoveryFailedError:
    """Replay is held, and not by the target: a setting, or somebody's hand."""
    found = view.log.failure
    if found is None:
        return RecoveryFailedError(
            "the recovery is paused before its target",
            _told(view),
            f"see the log for the reason; {_LEARN_MORE}",
            failure="UNKNOWN",
        )
    return RecoveryFailedError(
        "the recovery is paused before its target",
        f"{found.cause} {found.evidence}",
        found.fix,
        failure=found.id,
        restartable=found.restartable,
    )


def _too_early(view: RunView) -> bool:
    return any(one.kind is Kind.TOO_EARLY for one in view.failures)


def _lies_before_backup(plan: RecoveryPlan) -> bool:
    """A server does not notice such a time: it stops at the first commit that it replays.

    Where the WAL from before the backup was read, that has decided (see `RunView.cut`).
    """
    if not isinstance(plan.target, AtTime):
        return False
    try:
        return plan.target.time < parse_moment(plan.backup.label.start_time)
    except PitrError:  # in a zone that is not known here
        return False


def _unreached(plan: RecoveryPlan, view: RunView) -> RecoveryFailedError:
    """The WAL ended before the target: in a gap of the archive, or at its end."""
    absent = WalSegment.parse(view.absent, plan.backup.segment_size)
    held = sorted(plan.source.held().items())
    later = [segment for number, segment in held if number > absent.number]
    last = _last_transaction(view)
    if later:
        return RecoveryFailedError(
            f"segment {absent.name} is not in the archive",
            f"without it PostgreSQL cannot pass {absent.start}; the archive goes on with "
            f"{later[0].name} behind the gap. {last[:1].upper()}{last[1:]}".strip(),
            "use a backup that starts behind the gap, stop before it, or look for the segment "
            "elsewhere (the primary's pg_wal, a standby, another archive)",
            failure="GAP",
            restartable=True,
        )
    return RecoveryFailedError(
        "the archive ends before the target is met",
        f"the target is {plan.target}; everything before {absent.name} was replayed without "
        f"meeting it, and that segment is not archived. {last[:1].upper()}{last[1:]}".strip(),
        view.log.failure.fix if view.log.failure is not None else "choose an earlier target",
        failure="UNREACHED",
        restartable=True,
    )


def _remedy(found: Diagnosis, plan: RecoveryPlan) -> str:
    """What to do, where this program knows more than a log can tell."""
    match found.id:
        case "PORT":
            return "choose another --port"
        case "DISK_FULL":
            return f"make room for {plan.secondary.destination}"
        case _:
            return found.fix


def _told(view: RunView) -> str:
    return "; ".join(explain(one) for one in view.failures) or "the log does not tell why"


def _last_transaction(view: RunView) -> str:
    if view.last_transaction:
        return f"the last replayed transaction is of {view.last_transaction}"
    if view.replay is not None and view.replay.time is not None:
        return f"the last replayed transaction is of {view.replay.time:%Y-%m-%d %H:%M:%S.%f%z}"
    return ""
