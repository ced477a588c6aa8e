"""The process that goes on with the shop's work while somebody recovers it."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab.recorder import Recorder
from pitr_tui.lab.session import AwayError
from pitr_tui.lab.settling import settle
from pitr_tui.lab.shop import Shop
from pitr_tui.lab.truth import Truth, TruthWriter
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.process import start_detached
from pitr_tui.servers.sql import Database

if TYPE_CHECKING:
    from pitr_tui.lab.record import Lab

_LOCK, _LOG = "worker.lock", "worker.log"
_POLL = 0.02
_START_SECONDS = 20
_STOP_SECONDS = 10
_LOCK_SECONDS = 2
_AWAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """Which shop goes on where, from which transaction on, and how many a second."""

    database: Database
    truth_path: Path
    seed: int
    customers: int
    first_item: int
    rate: float


def main(record_directory: Path) -> None:
    """Work for the lab of this record until SIGTERM comes or the lab is gone.

    Raises RefusedError while another process works for it, PitrError.
    """
    from pitr_tui.lab import record

    ended = threading.Event()
    lab = record.load(record_directory.name)  # who holds the lock counts as at work
    with _only_one(record_directory):
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        job = Job(
            database=lab.database,
            truth_path=lab.truth_path,
            seed=lab.seed,
            customers=lab.scenario.world.customers,
            first_item=lab.done_items,
            rate=lab.rate,
        )
        work(job, ended)


def work(job: Job, ended: threading.Event) -> None:
    """Make the shop's transactions until `ended` is set or the truth's file is gone.

    While the primary is away it waits; what it was doing then is settled when it is back. Raises
    PitrError when the truth cannot be read or written.
    """
    if not _goes_on(job, ended):
        return
    with TruthWriter(job.truth_path) as writer:
        while _goes_on(job, ended):
            try:
                settle(writer, job.database)
                _work_while_there(job, writer, ended)
            except AwayError:
                ended.wait(_AWAY_SECONDS)


def start(lab: Lab) -> int | None:
    """Start the process, and give its id; none for a lab that is to be quiet.

    Raises PitrError when it does not begin to work.
    """
    if not lab.rate:
        return None
    running = alive(lab)
    if running is not None:
        return running
    log_path = lab.record_directory / _LOG
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "wb") as log:
        process = start_detached(
            [sys.executable, "-m", "pitr_tui", "lab", "_work", str(lab.record_directory)],
            log=log,
            directory=lab.record_directory,
            user=OsUser.current(),
            environment=_environment(),
        )
    deadline = time.monotonic() + _START_SECONDS
    while alive(lab) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise PitrError(
                "the shop's work does not go on",
                log_path.read_text(encoding="utf-8", errors="replace").strip(),
            )
        time.sleep(_POLL)
    return process.pid


def stop(lab: Lab) -> None:
    """End the process, at once where it does not end by itself. Raises PitrError."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_SECONDS
        pid = alive(lab)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        while alive(lab) is not None and time.monotonic() < deadline:
            time.sleep(_POLL)
    if alive(lab) is not None:
        raise PitrError("the shop's work cannot be stopped", f"process {alive(lab)} goes on")


def alive(lab: Lab) -> int | None:
    """The process that works for a lab; its number counts only while it holds the lock."""
    try:
        with (lab.record_directory / _LOCK).open("r+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # who else asks is not it
            except BlockingIOError:
                return _number_in(file.read())
    except OSError:
        return None
    return None


def _work_while_there(job: Job, writer: TruthWriter, ended: threading.Event) -> None:
    truth = Truth.read(job.truth_path)
    first = max(job.first_item, truth.next_item)
    items = itertools.islice(enumerate(Shop(job.seed, job.customers)), first, None)
    timeline = truth.main[0].timeline if truth.main else None
    due = time.monotonic()
    with Recorder(job.database, writer, timeline) as recorder:
        while _goes_on(job, ended):
            recorder.shop(*next(items))
            due = max(due + 1 / job.rate, time.monotonic())
            ended.wait(due - time.monotonic())


def _goes_on(job: Job, ended: threading.Event) -> bool:
    return not ended.is_set() and job.truth_path.exists()


@contextmanager
def _only_one(record_directory: Path) -> Iterator[None]:
    """Hold the lock that goes with this process, with its number in the file."""
    with (record_directory / _LOCK).open("a+", encoding="ascii") as file:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:  # `alive` holds it for a moment, too
                if time.monotonic() > deadline:
                    raise RefusedError("somebody works for this lab already") from error
            time.sleep(_POLL)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _number_in(text: str) -> int | None:
    """None for a moment, while a process that has just begun writes its number."""
    return int(text) if text.strip().isdigit() else None


def _environment() -> dict[str, str]:
    """Ours, without what changes how libpq connects; the place of the records is in it."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")}
