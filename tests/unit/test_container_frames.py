"""What an engine sends is the same however it is cut, and nonsense is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.containers.engine import EngineError
from pitr_tui.containers.frames import Chunks, Frames
from pitr_tui.containers.logs import _joined, _Seen, _TtyLines

PIECES = st.lists(st.binary(max_size=40), max_size=8)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40)), max_size=8), CUTS)
def test_frames_do_not_depend_on_the_pieces(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    frames = Frames()
    stream = b"".join(frame(*one) for one in sent)
    assert [got for piece in cut(stream, cuts) for got in frames.feed(piece)] == sent


@given(PIECES, CUTS)
def test_chunks_do_not_depend_on_the_pieces(payloads: list[bytes], cuts: list[int]) -> None:
    chunks = Chunks()
    body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in payloads if p)
    assert b"".join(map(chunks.feed, cut(body, cuts))) == b"".join(payloads)
    assert not chunks.ended
    chunks.feed(b"0\r\n\r\n")
    assert chunks.ended


@pytest.mark.parametrize("data", [b"HTTP/1.1 500 what", b"\1\0\0\0\xff\xff\xff\xff...."])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(EngineError, match="cannot be understood"):
        Frames().feed(data)


@pytest.mark.parametrize("data", [b"nonsense\r\n", b"-5\r\n", b"fffffffffff\r\n", b"x" * 5000])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(EngineError, match="cannot be understood"):
        Chunks().feed(data)


@given(st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(1, 8), min_size=30))
def test_every_message_comes_once_over_broken_connections(
    steps: list[int], connections: list[int]
) -> None:
    """An engine answers `since` with everything from that very time on."""
    times: list[tuple[bytes, int]] = []
    now = 0
    for step in steps:
        now += step
        times.append((f"2026-11-22T14:00:00.{now:09d}Z".encode(), len(times)))
    seen = _Seen()
    got: list[int] = []
    for length in [*connections, len(times)]:
        nanoseconds = seen.since().partition(".")[2] or "0" * 9
        seen.resume()
        again = [one for one in times if one[0][20:29] >= nanoseconds.encode()]
        same = sum(1 for time, _ in times[: len(got)] if time == seen.last)
        got += [number for time, number in again[: length + same] if seen.is_new(time)]
    assert got == list(range(len(times)))


def test_the_last_time_keeps_its_nanoseconds_and_its_zone() -> None:
    seen = _Seen()
    assert seen.since() == ""
    assert seen.is_new(b"2026-11-22T14:00:00.000000001Z")
    assert seen.since() == "1795356000.000000001"
    assert seen.is_new(b"2026-11-22T16:00:01.5+02:00")
    assert seen.since() == "1795356001.500000000"


def test_a_terminal_s_long_line_loses_the_times_between_its_pieces() -> None:
    time, piece = b"2026-11-22T14:00:00.000000001Z ", b"x" * (16 << 10)
    line = time + piece + time + piece + time + b"end"
    assert _joined(line) == time + piece + piece + b"end"
    assert _joined(b"no time") == b"no time"
    terminal = _TtyLines()
    assert terminal.feed(time + b"a\r\n" + time + b"b") == [(1, time + b"a\n")]
    assert terminal.feed(b"\r\n") == [(1, time + b"b\n")]
