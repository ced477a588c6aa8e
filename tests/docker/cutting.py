"""An engine behind a Unix socket of the test's own, whose connections can be cut."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path


class Cutter:
    """Carries connections to the engine that DOCKER_HOST names, until they are cut."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.refusing = False
        self._engine = os.environ["DOCKER_HOST"].removeprefix("unix://")
        self._lock = threading.Lock()
        self._carried: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Break every connection, wherever it is; how many there were."""
        with self._lock:
            cut = list(self._carried)
        for carried in cut:
            with suppress(OSError):
                carried.shutdown(socket.SHUT_RDWR)
        return len(cut) // 2

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine)
            with self._lock:
                self._carried |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with self._lock:
            last = target not in self._carried
            self._carried.discard(source)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        if last:
            source.close()
            target.close()
