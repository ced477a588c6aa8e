"""Bring WAL from the archive to the secondary, ahead of its replay.

The other side is the script `restore-command` in this package. Both meet in `pitr/wal` of
the secondary's data directory:

    ready/NAME      a whole, checked file; the script moves it to where the server wants it
    asked/NAME      the server wants this name and it was not ready
    answers/NAME    `absent` (proved) or `failed`, the answer to an asked name
    heartbeat       a number that changes while we live
    closed          we are done; what the server may still need lies in ready/, and the
                    names that were proved absent stand in this file

See field-notes on PostgreSQL's reading of exit codes: RestoreArchivedFile() in
src/backend/access/transam/xlogarchive.c.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files

from pitr_tui.errors import PitrError
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import WalSegment, is_partial, is_segment
from pitr_tui.recovery.events import Event, FeedFailed, NameAbsent, SegmentStaged
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.secondary import OWN_DIRECTORY, Owner
from pitr_tui.storage.path import WritePath
from pitr_tui.wal.header import HEADER_BYTES, SegmentHeader

FEED_DIRECTORY = OWN_DIRECTORY / "wal"
SCRIPT_PATH = OWN_DIRECTORY / "restore-command"
# The script has to know its parent. Where it cannot be read a shell ends with 2, and the server
# would take that for the end of the archive.
RESTORE_COMMAND = f"[ -r {SCRIPT_PATH} ] || exit 255; exec sh {SCRIPT_PATH} %f %p"

_ROOMS = ("ready", "asked", "answers", "drafts")
_AHEAD = 8
_WORKERS = 3
_RETRY_PAUSES = (0.0, 0.3, 1.0, 2.0)
_HEARTBEAT_SECONDS = 1.0
_LAST_SECONDS = 2.0  # for what is being read when the feed ends


def restore_script() -> str:
    """The text of the script that the server runs."""
    return (files("pitr_tui.recovery") / "restore-command").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class WalSource:
    """Which WAL belongs to a recovery: the archive, the cluster, and the way to follow."""

    archive: WalArchive
    system_identifier: int
    major: str
    start: WalSegment
    history: TimelineHistory

    def candidates(self, number: int) -> tuple[WalSegment, ...]:
        """The segments that can hold this part of the WAL, in the server's order of asking."""
        return tuple(
            WalSegment(timeline, number, self.start.size) for timeline in self.history.lineage
        )

    def held(self) -> dict[int, WalSegment]:
        """The archived segments on the way, by their numbers; of two, the one asked for first.

        A parent's segments behind the fork are not on it, however far the parent went on.
        Raises PitrError when the archive cannot be read.
        """
        listing = self.archive.listing()
        return {
            segment.number: segment
            for segment in (*listing.partial, *listing.segments)
            if self.history.passes(segment.timeline, segment.start, segment.end)
        }

    def last_reachable(self) -> WalSegment | None:
        """The end of the unbroken run of held segments that begins with the first one."""
        held, number = self.held(), self.start.number
        while number + 1 in held:
            number += 1
        return held[number] if self.start.number in held else None

    def fetch(self, name: str, place: WritePath) -> int | None:
        """Copy one archived file to `place`, checked; its bytes, or None if proved absent.

        Raises PitrError when it is there and cannot be delivered whole, OSError when
        `place` cannot be written.
        """
        if is_segment(name) and not self._is_on_the_way(name):
            return None
        path = self.archive.find(name)
        if path is None:
            return None
        size = self.archive.copy(path, place)
        if is_segment(name):
            self._check(WalSegment.parse(name, self.start.size), place, size)
        return size

    def _is_on_the_way(self, name: str) -> bool:
        """Whether the history runs through a segment. Raises PitrError where it leaves within.

        PostgreSQL falls back to the parent's segments, and would replay what its own branch
        never had: a segment of the parent behind the fork counts as absent, and the one with
        the fork in it is no substitute for the child's copy.
        """
        segment = WalSegment.parse(name, self.start.size)
        for fork in self.history.forks:
            within = segment.start < fork.switch_lsn < segment.end
            if fork.parent != segment.timeline or not within:
                continue
            child = segment.on(self.history.owner(segment.end))
            if self.archive.find(child.name) is None:
                raise PitrError(
                    f"segment {name} goes on behind the fork at {fork.switch_lsn}",
                    f"timeline {child.timeline} needs its own copy, {child.name}, and that is not "
                    "in the archive",
                )
        return self.history.passes(segment.timeline, segment.start, segment.end)

    def _check(self, segment: WalSegment, place: WritePath, size: int) -> None:
        problem = None
        if size != segment.size:
            problem = f"it has {size:,} bytes instead of {segment.size:,}"
        else:
            with place.open("rb") as file:
                header = SegmentHeader.parse(file.read(HEADER_BYTES))
            problem = header.why_not(segment, self.system_identifier, self.major)
        if problem:
            raise PitrError(f"segment {segment.name} of the archive cannot be used", problem)


@dataclass(frozen=True, slots=True)
class _Fetch:
    """A file on its way; a patient one is tried again before it is given up."""

    future: Future[Event]
    patient: bool


@dataclass(slots=True)
class WalFeeder:
    """The engine's side of the feed. Call `tick` often; it never waits."""

    source: WalSource
    directory: WritePath
    user: Owner
    newest: str = ""  # a segment that the archive had when the run began
    _next: int = field(init=False)
    _started: dict[str, _Fetch] = field(default_factory=dict, init=False)
    _asked: set[str] = field(default_factory=set, init=False)
    _staged: deque[str] = field(default_factory=lambda: deque(maxlen=3 * _AHEAD), init=False)
    _turns: threading.Semaphore = field(init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _mark: str = field(default_factory=lambda: secrets.token_hex(4), init=False)
    _absent: set[str] = field(default_factory=set, init=False)
    _beat: float = field(default=0.0, init=False)
    _hold: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._next = self.source.start.number
        self._turns = threading.Semaphore(_WORKERS)

    def prepare(self) -> None:
        """Make the meeting place, or empty the one of an earlier server. Raises OSError."""
        if not self.directory.is_dir():
            self.user.make_directory(self.directory)
            for name in _ROOMS:
                self.user.make_directory(self.directory / name)
            return
        self._hold = True  # it goes on somewhere on the way, and will ask
        (self.directory / "closed").unlink(missing_ok=True)
        for name in _ROOMS:
            room = self.directory / name
            if not room.is_dir():  # a process was cut off while it made them
                self.user.make_directory(room)
            for path in room.iterdir():
                path.unlink()

    def take_over(self) -> None:
        """Go on beside a server that asks here already. Raises OSError."""
        self._hold = True
        closed = self.directory / "closed"
        if closed.exists():
            self._absent = set(closed.read_bytes().decode().split())
            closed.unlink()

    def tick(self) -> Iterator[Event]:
        """Answer what is asked, read ahead, and tell what happened since the last call.

        Raises PitrError when the meeting place cannot be written (a full disk).
        """
        try:
            self._keep_heartbeat()
            self._take_questions()
            self._read_ahead()
            yield from self._collect()
        except OSError as error:
            raise PitrError(
                "the WAL cannot be handed to the secondary",
                f"{error.filename or self.directory}: {error.strerror}",
                "make room on that disk and try again",
            ) from error

    def finish(self) -> None:
        """Lay ready what a later promotion needs, and let the server go on without us."""
        for listed in self.source.archive.listing().histories:
            self._stage_quietly(listed.history_name)
        taken = [n for n in self._staged if not (self.directory / "ready" / n).exists()]
        for name in sorted(filter(is_segment, taken))[-2:]:  # they were staged in any order
            self._stage_quietly(name)
        self.user.write_file(
            self.directory / "closed", "".join(f"{name}\n" for name in sorted(self._absent))
        )
        self.stop()

    def stop(self) -> None:
        """End the threads; what they were reading is given up.

        One that hangs in an archive which does not answer is not waited for: it lays nothing
        ready any more, and ends with the process.
        """
        self._over.set()
        running = [one.future for one in self._started.values() if not one.future.cancel()]
        wait(running, timeout=_LAST_SECONDS)

    def _keep_heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._beat > _HEARTBEAT_SECONDS:
            self._beat = now
            self.user.write_file(self.directory / "heartbeat", f"{now:.3f}\n")

    def _take_questions(self) -> None:
        """A question stays until it is answered, so that none can be missed."""
        self._asked = {question.name for question in (self.directory / "asked").iterdir()}
        for name in self._asked:
            self._start(name)
            if is_segment(name):
                asked = WalSegment.parse(name, self.source.start.size)
                self._next = max(self._next, asked.number)

    def _read_ahead(self) -> None:
        ready = sum(1 for _ in (self.directory / "ready").iterdir())
        while not self._hold and ready + len(self._started) < _AHEAD:
            name = self._next_name()
            if name is None:
                self._hold = True  # from here on only what is asked for
            else:
                self._start(name)
                self._next += 1

    def _next_name(self) -> str | None:
        """The next segment that the archive has whole; None also while it cannot be read.

        One that is still being received grows until it is asked for.
        """
        try:
            for segment in self.source.candidates(self._next):
                path = self.source.archive.find(segment.name)
                if path is not None:
                    return None if is_partial(path.name) else segment.name
        except PitrError:
            return None
        return None

    def _start(self, name: str) -> None:
        if name in self._started or (self.directory / "ready" / name).exists():
            return
        patient = name in self._asked
        future: Future[Event] = Future()
        self._started[name] = _Fetch(future, patient)
        threading.Thread(
            target=self._work, args=(future, name, patient), daemon=True, name=f"wal-feeder {name}"
        ).start()

    def _work(self, future: Future[Event], name: str, patient: bool) -> None:
        with self._turns:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self._stage(name, patient))
            except BaseException as error:
                future.set_exception(error)

    def _collect(self) -> Iterator[Event]:
        for name, fetch in list(self._started.items()):
            if not fetch.future.done():
                continue
            del self._started[name]
            try:
                event = fetch.future.result()
            except OSError:
                if name in self._asked:
                    raise
                self._hold = True  # the disk has no room to read ahead
                continue
            if isinstance(event, SegmentStaged):
                self._staged.append(name)
                self._hold = self._hold and not is_segment(name)
            elif name not in self._asked:
                self._hold = True  # unusable, but nobody needs it yet
                continue
            elif isinstance(event, FeedFailed) and not fetch.patient:
                self._start(name)
                continue
            else:
                absent = isinstance(event, NameAbsent)
                self._answer(name, "absent" if absent else "failed")
                if absent:
                    self._absent.add(name)
            yield event

    def _answer(self, name: str, word: str) -> None:
        (self.directory / "asked" / name).unlink(missing_ok=True)
        self.user.write_file(self.directory / "answers" / name, f"{word}\n")

    def _stage(self, name: str, patient: bool) -> Event:
        """Fetch one file into ready/, trying again while that may help."""
        why = ""
        for pause in _RETRY_PAUSES if patient else _RETRY_PAUSES[:1]:
            if self._over.wait(pause):
                break
            started = time.monotonic()
            # Of this feeder alone: one before it may still be reading the same segment.
            draft = self.directory / "drafts" / f"{name}.{self._mark}"
            try:
                size = self.source.fetch(name, draft)
                if size is None:
                    self._require_same_archive()
                    return NameAbsent(name)
                draft.chmod(0o600)
                self.user.own(draft)
                if self._over.is_set():
                    draft.unlink()
                    break
                draft.rename(self.directory / "ready" / name)
                return SegmentStaged(name, size, time.monotonic() - started)
            except PitrError as error:
                why = f"{error.what}: {error.why}" if error.why else error.what
                draft.unlink(missing_ok=True)
            except OSError:  # the disk is full, and half a file keeps it so
                with suppress(OSError):
                    draft.unlink(missing_ok=True)
                raise
        return FeedFailed(name, why or "the feed has ended")

    def _require_same_archive(self) -> None:
        """Raises PitrError when the archive has lost what it just had: then nothing is proved.

        A file system that is not mounted any more leaves an empty directory behind.
        """
        known = self.newest or (self._staged[-1] if self._staged else "")
        if known and self.source.archive.find(known) is None:
            raise PitrError(
                "the WAL archive is not what it was",
                f"{known} was in {self.source.archive.directory} and is not there any more",
            )

    def _stage_quietly(self, name: str) -> None:
        if not (self.directory / "ready" / name).exists():
            self._stage(name, patient=False)
