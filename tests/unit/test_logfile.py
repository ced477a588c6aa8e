"""A log that is being written: whole lines, each once, whatever bytes it holds."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.servers.logfile import LogFile


@contextmanager
def followed(path: Path) -> Iterator[tuple[BinaryIO, LogFile]]:
    """A file to write to, unbuffered, and its follower."""
    with path.open("wb", buffering=0) as file, closing(LogFile(path)) as log:
        yield file, log


def test_a_line_is_given_when_it_is_whole(tmp_path: Path) -> None:
    with followed(tmp_path / "log") as (file, log):
        assert log.lines() == []
        file.write(b"one\ntw")
        assert log.lines() == ["one"]
        assert log.lines() == []
        file.write(b"o\n\nthree\n")
        assert log.lines() == ["two", "", "three"]


def test_a_character_in_two_pieces_is_one(tmp_path: Path) -> None:
    with followed(tmp_path / "log") as (file, log):
        file.write("ü".encode()[:1])
        assert log.lines() == []
        file.write("ü".encode()[1:] + b"\xff\x1b\r\x0c\n")
        assert log.lines() == ["ü\ufffd\x1b\r\x0c"]


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    with followed(tmp_path / "log") as (file, log):
        file.write(b"x" * (5 << 19))
        pieces = [*log.lines(), *log.lines(), *log.lines()]
        assert pieces
        file.write(b"\nnext\n")
        lines = log.lines()
        assert "".join(pieces) + lines[0] == "x" * (5 << 19)
        assert lines[1:] == ["next"]


def test_it_begins_where_the_file_begins(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    with closing(LogFile(tmp_path / "log")) as log:
        assert log.lines() == ["before"]


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_lines_do_not_depend_on_how_they_are_written(pieces: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place, followed(Path(place) / "log") as (file, log):
        lines: list[str] = []
        for piece in pieces:
            file.write(piece)
            lines += log.lines()
        whole = b"".join(pieces).split(b"\n")[:-1]
        assert lines == [line.decode("utf-8", "replace") for line in whole]
