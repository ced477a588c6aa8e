"""Follow a container's log through its engine, over broken connections and restarts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from pitr_tui.containers.engine import Engine, engine_errors
from pitr_tui.containers.frames import STDOUT, Chunks, Frames
from pitr_tui.containers.stream import Stream, get, short_name
from pitr_tui.errors import PitrError

_PENDING = 4 << 20
_LONGEST_LINE = 1 << 20
_STOPPED_SECONDS = 0.3
_PAUSES = (0.0, 0.1, 0.3, 1.0, 2.0)
_TTY_PIECE = 16 << 10  # the engine cuts longer lines, and puts a time before each piece
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* ")


class ContainerLog:
    """A container's standard output and error from a moment on, read without ever waiting.

    A thread reads ahead of the caller by 4 MiB. Where the connection breaks it goes on after
    the last message that it has, by the engine's own times, so that none is lost or doubled;
    when the container stops it waits for the next start.
    """

    def __init__(self, engine: Engine, container: str, since: datetime | None = None) -> None:
        """Begin. Raises EngineError when the engine cannot give this log."""
        self._engine = engine
        self._what = f"the log of the container {short_name(container)} cannot be read"
        with engine_errors(self._what):
            facts = engine.client.api.inspect_container(container)
        self._container = str(facts["Id"])
        self._tty = bool(facts["Config"]["Tty"])
        self._begin = f"{since.timestamp():.9f}" if since else "0"
        self._seen = _Seen()
        self._rests: dict[int, bytes] = {}
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._closed = False
        self._ended = False
        self._trouble = ""
        self._stream = self._open(follow=True)
        threading.Thread(target=self._follow, daemon=True, name="container-log").start()

    def lines(self) -> list[str]:
        """The complete lines that have come since the last call; undecodable bytes are marked.

        A line longer than 1 MiB is given in pieces.
        """
        with self._changed:
            lines, self._lines, self._size = self._lines, [], 0
            self._changed.notify_all()
        return [line.decode("utf-8", "replace") for line in lines]

    @property
    def ended(self) -> bool:
        """Whether the container has stopped and every line of it has been given."""
        with self._changed:
            return self._ended and not self._lines

    @property
    def trouble(self) -> str:
        """Why nothing comes at the moment: the engine's words, or "" when all is well."""
        return self._trouble

    def close(self) -> None:
        """Stop reading, at once and from any thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._stream.close()

    def _open(self, *, follow: bool) -> Stream:
        """Ask for what comes after the last message. Raises EngineError."""
        parameters = {
            "follow": str(int(follow)),
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "since": self._seen.since() or self._begin,
        }
        with engine_errors(self._what):
            return Stream(get(self._engine, f"/containers/{self._container}/logs", parameters))

    def _follow(self) -> None:
        failures = 0
        while not self._closed:
            try:
                before = self._seen.mark
                self._take_all(self._stream)
                if not self._running():
                    self._finish()
                failures = failures + 1 if self._seen.mark == before else 0
                self._pause(failures)
                self._reopen()
                self._trouble = ""
            except (PitrError, OSError) as error:
                if getattr(error, "status", 0) == 404:
                    self._end()
                    return
                failures += 1
                self._trouble = getattr(error, "why", "") or str(error)
                self._stream.close()
                self._pause(failures)

    def _finish(self) -> None:
        """The container has stopped: read what is left, and wait for its next start."""
        self._stream = self._open(follow=False)
        if self._take_all(self._stream):
            self._end()
            self._wait_for_start()

    def _reopen(self) -> None:
        if self._closed:
            return
        stream = self._open(follow=True)
        with self._changed:
            self._stream = stream
            self._ended = False
            closed = self._closed
        if closed:
            stream.close()

    def _take_all(self, stream: Stream) -> bool:
        """Read one connection to its end; whether it came whole, and did not break."""
        self._seen.resume()
        chunks, frames, tty = Chunks(), Frames(), _TtyLines()
        with suppress(OSError):
            while data := stream.read():
                body = chunks.feed(data) if stream.chunked else data
                messages = tty.feed(body) if self._tty else frames.feed(body)
                self._keep(list(self._new_lines(messages)))
                if chunks.ended:
                    break
        stream.close()
        return chunks.ended or not stream.chunked

    def _new_lines(self, messages: list[tuple[int, bytes]]) -> Iterator[bytes]:
        """The lines that messages complete, without the engine's times."""
        rests, is_new = self._rests, self._seen.is_new
        for stream, message in messages:
            time, _, text = message.partition(b" ")
            if not is_new(time):
                continue
            if rest := rests.get(stream):
                text = rest + text
            if text.endswith(b"\n"):
                rests[stream] = b""
                yield text[:-1]
            elif len(text) > _LONGEST_LINE:
                rests[stream] = b""
                yield text
            else:
                rests[stream] = text

    def _keep(self, lines: list[bytes]) -> None:
        with self._changed:
            self._lines += lines
            self._size += sum(map(len, lines))
            self._changed.wait_for(lambda: self._closed or self._size < _PENDING)

    def _running(self) -> bool:
        with engine_errors(self._what):
            facts = self._engine.client.api.inspect_container(self._container)
        return bool(facts["State"]["Running"])

    def _end(self) -> None:
        """The container stopped: a line that it did not finish is all there will be of it."""
        with self._changed:
            self._lines += filter(None, self._rests.values())
            self._rests.clear()
            self._trouble = ""
            self._ended = True

    def _wait_for_start(self) -> None:
        while not self._closed and not self._running():
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _STOPPED_SECONDS)

    def _pause(self, failures: int) -> None:
        seconds = _PAUSES[min(failures, len(_PAUSES) - 1)]
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)


@dataclass(slots=True)
class _Seen:
    """Which messages have come, by the engine's times: the last one, and how many share it."""

    last: bytes = b""
    count: int = 0
    _until: bytes = field(default=b"", init=False)
    _skip: int = field(default=0, init=False)

    @property
    def mark(self) -> tuple[bytes, int]:
        """Another one after each message."""
        return self.last, self.count

    def since(self) -> str:
        """The last time as the engine wants it: seconds and nanoseconds, or "" for none."""
        if not self.last:
            return ""
        head, _, fraction = self.last.decode().partition(".")
        digits = re.match(r"\d*", fraction)
        nanoseconds = digits[0] if digits else ""
        zone = fraction[len(nanoseconds) :] if fraction else ""
        moment = datetime.fromisoformat(head + zone)
        return f"{int(moment.timestamp())}.{nanoseconds.ljust(9, '0')[:9]}"

    def resume(self) -> None:
        """A new connection begins, with the messages of the last time once more."""
        self._until, self._skip = self.last, self.count

    def is_new(self, time: bytes) -> bool:
        """Take note of a message; False for one that had come before the connection broke."""
        if self._until:
            if time < self._until:
                return False
            if time == self._until and self._skip:
                self._skip -= 1
                return False
            if time > self._until:
                self._until = b""
        if time == self.last:
            self.count += 1
        else:
            self.last, self.count = time, 1
        return True


class _TtyLines:
    """The log of a container with a terminal: no frames, lines that end with CR and LF."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [(STDOUT, _joined(line.removesuffix(b"\r")) + b"\n") for line in lines]


def _joined(line: bytes) -> bytes:
    """A long line without the times that the engine put between its pieces."""
    first = _TIME.match(line)
    if first is None:
        return line
    pieces, at = [first[0]], first.end()
    while again := _TIME.match(line, at + _TTY_PIECE):
        pieces.append(line[at : at + _TTY_PIECE])
        at = again.end()
    return b"".join([*pieces, line[at:]])
