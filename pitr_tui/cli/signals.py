"""Interrupts: the first one stops the work, and stopping is not interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pitr_tui.errors import CancelledError
from pitr_tui.recovery.cancellation import Cancellation

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def take_signals() -> None:
    """Let an interrupt, a hang-up or a request to end raise KeyboardInterrupt, once.

    A hang-up that is ignored already stays so: that is what `nohup` asks for.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise KeyboardInterrupt

    for number in _taken():
        signal.signal(number, stop)


def ignore_signals() -> None:
    """Finish what has begun: servers are shut down and half-done work is removed."""
    for number in _TAKEN:
        signal.signal(number, signal.SIG_IGN)


def _taken() -> list[signal.Signals]:
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in _TAKEN if not (nohup and number is signal.SIGHUP)]


@contextmanager
def cancelling(cancel: threading.Event) -> Iterator[None]:
    """While this lasts, the same signals only set `cancel`, which the engine looks at.

    An exception out of nowhere could fall between the start of a server and our knowing of it.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and isinstance(cancel, Cancellation):
            cancel.keeps = True  # a connection was lost: one that is made anew may go on
        cancel.set()

    before = {number: signal.getsignal(number) for number in _taken()}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def cancellable() -> Iterator[Callable[[], None]]:
    """While this lasts, an interrupt makes the `check` that it gives raise."""
    cancel = threading.Event()

    def check() -> None:
        if cancel.is_set():
            raise CancelledError

    with cancelling(cancel):
        yield check
