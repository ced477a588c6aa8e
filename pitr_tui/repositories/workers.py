"""Processes that do one kind of task, and hand the results over in the order of the tasks."""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import Full, Queue
from typing import Any, Generic, TypeVar

from pitr_tui.errors import PitrError

Result = TypeVar("Result")
Check = Callable[[], None]

_POLL_SECONDS = 0.1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Task(Generic[Result]):
    """What a worker is called with; `feed` gives bytes that it cannot read itself.

    One with a `ready` result needs no worker, and keeps its place among the others.
    """

    value: object = None
    feed: Callable[[], Iterator[bytes]] | None = None
    ready: Result | PitrError | None = None


class Fed(io.RawIOBase):
    """The bytes that a worker is fed with, as a stream."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunk = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises PitrError when the other side could not read on."""
        while not self._chunk and not self._ended:
            received = self._connection.recv()
            if isinstance(received, tuple):
                self._ended = True
                raise PitrError(*received)
            self._chunk, self._ended = memoryview(received), not received
        count = min(len(buffer), len(self._chunk))
        buffer[:count], self._chunk = self._chunk[:count], self._chunk[count:]
        return count

    def drain(self) -> None:
        """Take what was not read, so that the next thing to come is a task."""
        self._chunk = memoryview(b"")
        while not self._ended:
            self._ended = not isinstance(received := self._connection.recv(), bytes) or not received


Function = Callable[[Any, Fed | None], Result]


def default_count() -> int:
    """As many as there are processors for us."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class _End:
    """What comes behind the last result, with what ended it early."""

    error: BaseException | None = None


def _put(ready: Queue[Any], one: object, closed: threading.Event) -> None:
    """Wait for a place, unless nobody takes results any more."""
    while not closed.is_set():
        with suppress(Full):
            ready.put(one, timeout=_POLL_SECONDS)
            return


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


@dataclass(slots=True)
class Workers(Generic[Result]):
    """`count` processes for one function, started when they are needed.

    They start anew and share nothing, because this process may have threads. Close it: that
    ends them at once, whatever they are at. Should this process be killed, they end too.
    """

    function: Function[Result]
    count: int = field(default_factory=default_count)
    check: Check = lambda: None
    _workers: list[_Worker] = field(default_factory=list, init=False)
    _closed: threading.Event = field(default_factory=threading.Event, init=False)
    _driver: threading.Thread | None = field(default=None, init=False)

    def ordered(self, tasks: Iterable[Task[Result]]) -> Iterator[Result | PitrError]:
        """The result of each task. What the function raises is given as a PitrError.

        A thread hands out tasks and takes results, so that the work goes on while the caller
        is busy; no more than a few results wait for their turn. To be asked for once, before
        `close`. Raises PitrError when a process dies, and what `check` and `tasks` raise.
        """
        ready: Queue[Result | PitrError | _End] = Queue(1)

        def drive() -> None:
            end = _End()
            try:
                for result in self._in_order(tasks):
                    _put(ready, result, self._closed)
                    if self._closed.is_set():
                        return
            except BaseException as error:  # it belongs to the caller, whatever it is
                end = _End(error)
            _put(ready, end, self._closed)

        self._driver = threading.Thread(target=drive, daemon=True, name="wal-workers")
        self._driver.start()
        while not isinstance(result := ready.get(), _End):
            yield result
        if result.error is not None:
            raise result.error

    def _in_order(self, tasks: Iterable[Task[Result]]) -> Iterator[Result | PitrError]:
        waiting = iter(tasks)
        idle = list(self._workers)
        running: dict[Connection, tuple[_Worker, int]] = {}
        done: dict[int, Result | PitrError] = {}
        given, begun, exhausted = 0, 0, False
        while True:
            while not exhausted and len(running) < self.count and begun - given < self._ahead:
                task = next(waiting, None)
                if task is None:
                    exhausted = True
                elif task.ready is not None:
                    done[begun] = task.ready
                    begun += 1
                else:
                    worker = idle.pop() if idle else self._start()
                    self._give(worker, task)
                    running[worker.connection] = (worker, begun)
                    begun += 1
            answered = wait(running, 0 if given in done else _POLL_SECONDS) if running else []
            for connection in [one for one in running if one in answered]:
                worker, number = running.pop(connection)
                done[number] = self._receive(worker)
                idle.append(worker)
            self.check()
            if given in done:
                yield done.pop(given)
                given += 1
            elif exhausted and not running:
                return

    @property
    def _ahead(self) -> int:
        """How many results may wait for their turn, or be worked on."""
        return 2 * self.count

    def close(self) -> None:
        self._closed.set()
        for worker in list(self._workers):  # the thread that waits for them goes on
            worker.process.kill()
        if self._driver is not None:
            self._driver.join()
        for worker in self._workers:
            worker.process.kill()  # also one that was just being started
            worker.process.join()
            worker.process.close()
            worker.connection.close()
        self._workers.clear()

    def __enter__(self) -> Workers[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.function), daemon=True)
        # An interrupt from the terminal goes to all of its processes; it is ours to answer.
        # What starts first with the first worker would unblock it again, and wants a real
        # stderr, while a terminal application may have put another one in its place.
        with redirect_stderr(sys.__stderr__):
            resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        except OSError as error:
            ours.close()
            raise PitrError(
                "no further process can be started", str(error.strerror), "close other programs"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _give(self, worker: _Worker, task: Task[Result]) -> None:
        try:
            worker.connection.send((task.value, task.feed is not None))
            if task.feed is None:
                return
            try:
                for chunk in task.feed():
                    self.check()
                    if chunk:
                        worker.connection.send(chunk)
                end: object = b""
            except PitrError as error:
                end = (error.what, error.why, error.hint)
            worker.connection.send(end)
        except BrokenPipeError as error:
            raise self._died(worker) from error

    def _receive(self, worker: _Worker) -> Result | PitrError:
        try:
            good, result = worker.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._died(worker) from error
        return result if good else PitrError(*result)

    def _died(self, worker: _Worker) -> PitrError:
        self.check()  # whoever ended us may have ended it too
        worker.process.join(_POLL_SECONDS * 10)
        return PitrError(
            "a process that was reading WAL has died",
            f"its exit code was {worker.process.exitcode}",
            "if the machine is short of memory, close other programs, and try again",
        )


def attempt(function: Function[Result], value: Any, fed: Fed | None) -> Result | PitrError:
    """What a function gives, or a PitrError for whatever it raises.

    One file that nobody foresaw must not end the reading of the others.
    """
    try:
        return function(value, fed)
    except PitrError as error:
        return error
    except Exception as error:
        return PitrError("it cannot be understood", f"{type(error).__name__}: {error}")


def _serve(connection: Connection, function: Function[Result]) -> None:
    """The life of a worker: until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_freed_memory()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            value, is_fed = connection.recv()
            fed = Fed(connection) if is_fed else None
            result = attempt(function, value, fed)
            if fed is not None:
                fed.drain()
            if isinstance(result, PitrError):
                connection.send((False, (result.what, result.why, result.hint)))
            else:
                connection.send((True, result))


def _keep_freed_memory() -> None:
    """Give arrays memory that was used before: a fifth of a reader's time went into new pages.

    Only glibc has these settings (mallopt(3)); elsewhere the memory is got as ever.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)
