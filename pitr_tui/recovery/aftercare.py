"""What becomes of a recovered secondary: it is opened for writing, or thrown away."""

from __future__ import annotations

import time

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery.verify import ServerState, server_state
from pitr_tui.servers.secondary import Secondary

_POLL = 0.1
_PROMOTE_SECONDS = 300


def promote(secondary: Secondary, timeout: float = _PROMOTE_SECONDS) -> ServerState:
    """End the pause of a secondary at its target: from then on it writes a timeline of its own.

    Replay is resumed rather than `pg_ctl promote` called, which PostgreSQL 12 and older ignore
    during the pause. Raises RefusedError for a server that is not paused, PitrError when it
    does not open; then it is as its log says.
    """
    state = server_state(secondary.database, secondary.version)
    if not state.in_recovery:
        return state
    if not state.paused:
        raise RefusedError(
            "the secondary is not paused, so it is not at its target",
            f"it has replayed up to {state.replayed} and goes on",
            "wait until it stops",
        )
    resume = secondary.version.replay_resume_function
    secondary.database.rows(f"SELECT {resume}()")  # noqa: S608 - a fixed name
    deadline = time.monotonic() + timeout
    while True:
        why = ""
        try:
            state = server_state(secondary.database, secondary.version)
            if not state.in_recovery:
                return state
        except PitrError as error:
            why = error.why  # it may refuse connections for a moment while it changes over
        if not secondary.is_running() or time.monotonic() > deadline:
            raise PitrError(
                "the secondary did not open for writing",
                "\n".join(secondary.log_tail()) or why,
                "its data are still as of the target; throw it away and recover once more",
            )
        time.sleep(_POLL)
