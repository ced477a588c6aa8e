"""The thread beside the event loop: values come over, nothing blocks, nothing is swallowed."""

import threading
import time

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.tui.bridge import Bridge, Crashed, Emit, Failed, Finished

_SOON = 5.0


def test_events_keep_their_order_and_are_drained_in_bounded_lots() -> None:
    def job(emit: Emit[int], cancel: threading.Event) -> str:
        for number in range(2_500):
            emit(number)
        return "done"

    bridge: Bridge[int, str] = Bridge(job)
    bridge.start()
    assert bridge.join(_SOON)
    first = bridge.drain()
    assert first == list(range(2_000))
    assert not bridge.running
    assert not bridge.done
    assert bridge.drain() == list(range(2_000, 2_500))
    assert bridge.done
    assert bridge.outcome == Finished("done")


def test_a_foreseen_error_is_a_value() -> None:
    error = PitrError("no", "because", "try")

    def job(emit: Emit[int], cancel: threading.Event) -> None:
        raise error

    bridge: Bridge[int, None] = Bridge(job)
    bridge.start()
    assert bridge.join(_SOON)
    assert bridge.outcome == Failed(error)


def test_an_unforeseen_exception_is_a_value_too() -> None:
    def job(emit: Emit[int], cancel: threading.Event) -> float:
        return 1 / 0

    bridge: Bridge[int, float] = Bridge(job)
    bridge.start()
    assert bridge.join(_SOON)
    assert isinstance(bridge.outcome, Crashed)
    assert isinstance(bridge.outcome.error, ZeroDivisionError)


def test_cancel_lets_the_job_tidy_up() -> None:
    tidied = []

    def job(emit: Emit[int], cancel: threading.Event) -> None:
        cancel.wait(_SOON)
        tidied.append(True)
        raise CancelledError

    bridge: Bridge[int, None] = Bridge(job)
    bridge.start()
    bridge.cancel()
    assert bridge.join(_SOON)
    assert tidied
    assert isinstance(bridge.outcome, Failed)


def test_close_never_waits_and_drops_what_is_still_said() -> None:
    go_on = threading.Event()

    def job(emit: Emit[str], cancel: threading.Event) -> None:
        emit("before")
        go_on.wait(_SOON)
        emit("after")

    bridge: Bridge[str, None] = Bridge(job)
    bridge.start()
    begun = time.monotonic()
    bridge.close()
    assert time.monotonic() - begun < 0.5
    assert bridge.running
    go_on.set()
    assert bridge.join(_SOON)
    assert bridge.drain() == []


def test_the_thread_does_not_hold_the_process() -> None:
    bridge: Bridge[int, None] = Bridge(lambda emit, cancel: None)
    assert bridge._thread.daemon
