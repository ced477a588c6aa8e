"""SQL to a server in a container, from outside of its container.

The postmaster is mostly process 1 there, and inherits every process whose parent has gone.
When such a one ends by a signal, it takes that for a crash of its own and throws everybody
out. So nothing of ours runs beside it: a helper shares its network, and carries the bytes.
"""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass, field
from typing import Any

from pitr_tui.containers.engine import Engine, engine_errors
from pitr_tui.containers.helper import Helper
from pitr_tui.containers.relay import SqlRelay
from pitr_tui.errors import RefusedError


@dataclass(frozen=True, slots=True)
class _Way:
    """How SQL gets to a server.

    It leads nowhere once the server's container was started again, or the helper is gone.
    """

    started: str
    helper: Helper
    relay: SqlRelay

    def leads_to(self, started: str) -> bool:
        return self.started == started and self.helper.exists()


@dataclass(slots=True)
class SqlAccess:
    """The way to the server of one container, made when it is needed and made anew when lost.

    `otherwise` is what can be done with a container that does not run, besides starting it.
    """

    engine: Engine
    container: str  # its name or id
    image: str
    port: int
    otherwise: str = ""
    _way: _Way | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def address(self) -> dict[str, str]:
        """Where libpq reaches the server now. Raises RefusedError when it does not run."""
        with self._lock:
            started = str(self._require_running()["StartedAt"])
            if self._way is not None and not self._way.leads_to(started):
                self._leave()
            if self._way is None:
                self._way = self._enter(started)
                atexit.register(self.close)  # its socket's directory is ours to remove
            return self._way.relay.parameters

    def close(self) -> None:
        """End the connections. The server goes on."""
        with self._lock:
            self._leave()
        atexit.unregister(self.close)

    def _require_running(self) -> dict[str, Any]:
        with engine_errors(f"the container {self.container} cannot be looked at"):
            state: dict[str, Any] = self.engine.client.api.inspect_container(self.container)[
                "State"
            ]
        if state["Status"] != "running":
            raise self._refusal(str(state["Status"]))
        return state

    def _refusal(self, status: str) -> RefusedError:
        if status == "paused":
            return RefusedError(
                f"the container {self.container} is paused", "", f"docker unpause {self.container}"
            )
        hint = f"docker start {self.container}"
        if self.otherwise:
            hint += f"; {self.otherwise}"
        return RefusedError(f"the container {self.container} does not run", f"it is {status}", hint)

    def _enter(self, started: str) -> _Way:
        network = f"container:{self.container}"
        helper = Helper.start(self.engine, self.image, network=network, name_hint="sql")
        try:
            return _Way(started, helper, SqlRelay(self.engine, helper.id, self.port))
        except BaseException:
            helper.close()
            raise

    def _leave(self) -> None:
        way, self._way = self._way, None
        if way is not None:
            way.relay.close()
            way.helper.close()
