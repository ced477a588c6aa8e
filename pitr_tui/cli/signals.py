"""Interrupts: the first one stops the work, and stopping is not interrupted."""

from __future__ import annotations

import signal
from types import FrameType

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def take_signals() -> None:
    """Let an interrupt, a hang-up or a request to end raise KeyboardInterrupt, once."""

    def stop(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise KeyboardInterrupt

    for number in _TAKEN:
        signal.signal(number, stop)


def ignore_signals() -> None:
    """Finish what has begun: servers are shut down and half-done work is removed."""
    for number in _TAKEN:
        signal.signal(number, signal.SIG_IGN)
