"""What becomes of a recovered secondary: it is opened for writing, or thrown away."""

from __future__ import annotations

import shutil
import time

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import shell_command
from pitr_tui.recovery import place
from pitr_tui.recovery.feeder import SCRIPT_PATH
from pitr_tui.recovery.verify import ServerState, server_state
from pitr_tui.servers.local import LocalServer

_POLL = 0.1
_PROMOTE_SECONDS = 300


def promote(server: LocalServer, timeout: float = _PROMOTE_SECONDS) -> ServerState:
    """End the pause of a secondary at its target: from then on it writes a timeline of its own.

    Replay is resumed rather than `pg_ctl promote` called, which PostgreSQL 12 and older ignore
    during the pause. Raises RefusedError for a server that is not paused, PitrError when it
    does not open; then it is as its log says.
    """
    state = server_state(server.database, server.version)
    if not state.in_recovery:
        return state
    if not state.paused:
        raise RefusedError(
            "the secondary is not paused, so it is not at its target",
            f"it has replayed up to {state.replayed} and goes on",
            "wait until it stops",
        )
    resume = server.version.replay_resume_function
    server.database.rows(f"SELECT {resume}()")  # noqa: S608 - a fixed name
    deadline = time.monotonic() + timeout
    while True:
        why = ""
        try:
            state = server_state(server.database, server.version)
            if not state.in_recovery:
                return state
        except PitrError as error:
            why = error.why  # it may refuse connections for a moment while it changes over
        if not server.is_running() or time.monotonic() > deadline:
            raise PitrError(
                "the secondary did not open for writing",
                "\n".join(server.log_tail()) or why,
                "its data are still as of the target; throw it away and recover once more",
            )
        time.sleep(_POLL)


def throw_away(server: LocalServer) -> None:
    """Stop a secondary and remove its data directory.

    Raises RefusedError when that directory does not look like one that a run has made,
    PitrError when something of it cannot be removed.
    """
    destination = server.data_directory
    if not destination.exists():
        return
    if destination.is_symlink() or not (destination / SCRIPT_PATH).is_file():
        raise RefusedError(
            f"{destination} is left alone",
            f"it has no {SCRIPT_PATH}, so it is not a secondary that pitr made",
            "look at what it is, and remove it by hand",
        )
    server.stop()
    if server.is_running():
        raise PitrError(
            "the secondary did not stop",
            f"a server still runs in {destination}",
            "stop it by hand, then try again",
        )
    place.remove(destination, keep_directory=destination.is_mount())
    if server.socket_directory.exists():  # where the one inside had too long a path
        try:
            server.socket_directory.rmdir()
        except OSError as error:
            raise PitrError(
                f"{server.socket_directory} could not be removed", str(error.strerror)
            ) from error


def psql_command(server: LocalServer, dbname: str = "postgres") -> str:
    """How a person connects to the secondary, as one would type it."""
    own = server.installation.bindir / "psql"
    on_path = shutil.which("psql") is not None  # any version of it can talk to the secondary
    return shell_command(
        [
            "psql" if on_path or not own.is_file() else str(own),
            *("-h", str(server.socket_directory)),
            *("-p", str(server.port)),
            *("-U", server.role),
            *("-d", dbname),
        ]
    )
