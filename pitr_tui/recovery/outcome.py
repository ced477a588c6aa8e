"""The last step of a run: ask the secondary itself, and say how it ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import TargetAction
from pitr_tui.recovery.events import CheckDone, Event, RunFinished, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.postflight import STOPS, postflight, stop_check
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verdict import RecoveryFailedError, require_asked_for
from pitr_tui.recovery.verify import ServerState, server_state

_TICK = 0.02
_PATIENCE = 30
_LOGIN_REFUSED = re.compile(r"FATAL:  .*(does not exist|authentication failed|not permitted to)")


def look(plan: RecoveryPlan, view: RunView, emit: Callable[[Event], None]) -> RunFinished:
    """Emit every check of the result, and give what is to be said of the end.

    Raises RecoveryFailedError for a server in another state than the plan's, or one that does
    not answer.
    """
    secondary, state = plan.secondary, None
    if plan.action is TargetAction.SHUTDOWN:
        emit(stop_check(view, plan.target))
        emit(CheckDone("shut down", Status.OK, "the server shut down at its target"))
    else:
        try:
            state = _settled_state(plan)
            require_asked_for(plan, state)
            for check in postflight(secondary, view, plan.target):
                emit(check)
                if check.name in STOPS and check.status is Status.FAILURE:
                    raise RecoveryFailedError(
                        "the secondary stopped where it should not have",
                        check.evidence,
                        check.hint,
                        restartable=True,
                    )
        except RecoveryFailedError:
            raise
        except PitrError as error:
            emit(CheckDone("look by SQL", Status.WARNING, error.why, error.hint))
    stop = str(view.stop) if view.stop else f"at the end of the WAL, {view.redo_done}"
    last = view.last_transaction
    if not last and state and state.time:
        last = f"{state.time:%Y-%m-%d %H:%M:%S.%f%z}"
    return RunFinished(
        headline=f"recovered {plan.target}: it stopped {stop}",
        stop_reason=stop,
        state=view.state.value,
        connect=secondary.psql_command() if secondary.is_running() else "",
        segments_restored=view.segments_restored,
        last_transaction=last,
        timeline=state.timeline if state else None,
    )


def _settled_state(plan: RecoveryPlan) -> ServerState:
    """The server's own view, once it takes connections.

    Raises RecoveryFailedError when it never does, PitrError when it lets nobody of ours in.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            state = server_state(plan.secondary.database, plan.version)
            if state.paused or not state.in_recovery or time.monotonic() > deadline:
                return state
        except PitrError as error:
            if _LOGIN_REFUSED.search(error.why):
                raise
            if time.monotonic() > deadline or not plan.secondary.is_running():
                raise RecoveryFailedError(
                    "the secondary stopped where it should, and answers nobody",
                    error.why,
                    "its data may be damaged: see the end of its log",
                    restartable=True,
                ) from error
        time.sleep(_TICK)
