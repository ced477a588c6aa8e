"""Which files a collection beside an existing archive takes, links to, and leaves alone."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.collect import CHANGED, GONE, Collected, WalFile, WalSource, collect
from pitr_tui.recovery.collect_beside import Beside, reach_of, require_apart
from pitr_tui.recovery.collect_drafts import is_draft
from pitr_tui.recovery.collect_place import new_directory
from pitr_tui.recovery.wal_source import wal_of_directory
from pitr_tui.repositories.archive import WalArchive
from tests.unit.made import control_bytes
from tests.wal.made_wal import MEGABYTE, SYSTEM, WalWriter

HISTORY = b"1\t0/3000000\tno recovery target specified\n"


@cache
def history_of_four() -> tuple[tuple[WalSegment, bytes], ...]:
    """Three full segments, and a fourth with a third of it written."""
    writer = WalWriter()
    while len(writer.segments()) < 4 or writer.position % MEGABYTE < MEGABYTE // 3:
        writer.insert(700, size=6000)
        writer.commit(700)
    return tuple(writer.segments())


NAMES = [segment.name for segment, _ in history_of_four()]
DATA = dict(zip(NAMES, (data for _, data in history_of_four()), strict=True))
FIRST, SECOND, THIRD, LAST = NAMES
PARTIAL = f"{LAST}.partial"


def with_junk(data: bytes) -> bytes:
    """As a server's file is that was used before: old pages behind the end of its WAL."""
    end = MEGABYTE // 2
    return data[:end] + DATA[FIRST][end:]


def damaged(data: bytes) -> bytes:
    return data[: MEGABYTE // 8] + bytes(MEGABYTE - MEGABYTE // 8)


def source(files: Mapping[str, bytes], gone: str = "", shrunk: str = "") -> WalSource:
    def each() -> Iterator[WalFile]:
        for name, data in files.items():
            size = -1 if name == gone else len(data)
            yield WalFile(name, size, BytesIO(data[:-1] if name == shrunk else data))

    return WalSource("a dead server", SYSTEM, "18", each)


def archive_of(directory: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def joined(tmp_path: Path, archived: Mapping[str, bytes], server: Mapping[str, bytes]) -> Collected:
    archive = archive_of(tmp_path / "archive", archived)
    before = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    with new_directory(tmp_path / "new") as to:
        found = collect(source(server), to, lambda done: None, beside=Beside(archive))
    assert {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()} == before
    assert [path.name for path in to.iterdir() if path.name.startswith(".")] == []
    return found


def content(tmp_path: Path, name: str) -> tuple[str, bytes]:
    """The file that a recovery gets for a segment, and what is in it."""
    archive = WalArchive(tmp_path / "new")
    path = archive.find(name)
    assert isinstance(path, Path)
    copy = tmp_path / "copy"
    archive.copy(path, copy)
    return path.name, copy.read_bytes()


def test_the_server_gives_what_the_archive_lacks(tmp_path: Path) -> None:
    archived = {FIRST: DATA[FIRST], SECOND: DATA[SECOND], f"{SECOND}.00000028.backup": b"x\n"}
    found = joined(tmp_path, archived, DATA)
    assert found.added == (THIRD, PARTIAL)
    assert (found.linked, found.archived, found.differences) == (3, 2, ())
    assert found.unfinished == LAST
    assert found.gaps == ()
    links = {path.name for path in (tmp_path / "new").iterdir() if path.is_symlink()}
    assert links == set(archived)
    for name, data in DATA.items():
        assert content(tmp_path, name)[1] == data
    assert (tmp_path / "new" / THIRD).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("archived", "server", "taken", "kept_as"),
    [
        # What the archive has whole stays, whatever the server has under that name.
        ({THIRD: DATA[THIRD]}, {THIRD: damaged(DATA[THIRD])}, False, THIRD),
        ({LAST: DATA[LAST]}, {LAST: DATA[LAST]}, None, LAST),
        ({f"{THIRD}.gz": gzip.compress(DATA[THIRD])}, {THIRD: DATA[THIRD]}, None, f"{THIRD}.gz"),
        # What is damaged there, cut off, of no known form or empty gives way to a whole one.
        ({THIRD: damaged(DATA[THIRD])}, {THIRD: DATA[THIRD]}, True, THIRD),
        ({THIRD: DATA[THIRD][:-1]}, {THIRD: DATA[THIRD]}, True, THIRD),
        ({THIRD: DATA[THIRD] + b"x"}, {THIRD: DATA[THIRD]}, True, THIRD),
        ({THIRD: b""}, {THIRD: DATA[THIRD]}, True, THIRD),
        ({f"{THIRD}.gz": gzip.compress(DATA[THIRD])[:-9]}, {THIRD: DATA[THIRD]}, True, THIRD),
        ({f"{THIRD}.gz": b"no gzip"}, {THIRD: DATA[THIRD]}, True, THIRD),
        # One that was begun: a receiver may be behind the server, level with it, or ahead.
        ({PARTIAL: damaged(DATA[LAST])}, {LAST: with_junk(DATA[LAST])}, True, PARTIAL),
        ({PARTIAL: DATA[LAST]}, {LAST: with_junk(DATA[LAST])}, False, PARTIAL),
        ({PARTIAL: DATA[LAST]}, {LAST: damaged(DATA[LAST])}, False, PARTIAL),
        ({f"{THIRD}.partial": DATA[THIRD]}, {THIRD: DATA[THIRD]}, None, THIRD),
        ({f"{THIRD}.partial": damaged(DATA[THIRD])}, {THIRD: DATA[THIRD]}, True, THIRD),
        # The server has one that was begun on a timeline that it left.
        ({THIRD: DATA[THIRD]}, {f"{THIRD}.partial": damaged(DATA[THIRD])}, False, THIRD),
        ({THIRD: damaged(DATA[THIRD])}, {f"{THIRD}.partial": DATA[THIRD]}, True, THIRD),
    ],
)
def test_of_two_the_one_with_more_wal_counts(
    tmp_path: Path,
    archived: dict[str, bytes],
    server: dict[str, bytes],
    taken: bool | None,
    kept_as: str,
) -> None:
    (name,) = server
    found = joined(tmp_path, {FIRST: DATA[FIRST], **archived}, server)
    assert [(one.name, one.taken) for one in found.differences] == (
        [] if taken is None else [(name, taken)]
    )
    base = name.removesuffix(".partial")
    shown, data = content(tmp_path, base)
    assert shown == kept_as
    wanted = {True: server[name], False: next(iter(archived.values())), None: DATA[base]}
    assert data == wanted[taken]


def test_a_last_segment_that_is_full_is_whole(tmp_path: Path) -> None:
    found = joined(tmp_path, {FIRST: DATA[FIRST]}, {SECOND: DATA[SECOND], THIRD: DATA[THIRD]})
    assert found.added == (SECOND, THIRD)
    assert found.unfinished is None


def test_nothing_new_is_no_error(tmp_path: Path) -> None:
    found = joined(tmp_path, DATA, {SECOND: DATA[SECOND]})
    assert (found.added, found.linked, found.archived) == ((), 4, 1)


def test_segments_in_subdirectories_and_histories_are_seen(tmp_path: Path) -> None:
    place = FIRST[:16]
    archived = {f"{place}/{FIRST}": DATA[FIRST], "00000002.history": HISTORY}
    server = {FIRST: DATA[FIRST], SECOND: DATA[SECOND], "00000002.history": HISTORY + b"#\n"}
    found = joined(tmp_path, archived, server)
    assert found.added == (SECOND,)
    assert [(one.name, one.taken) for one in found.differences] == [("00000002.history", False)]
    assert content(tmp_path, FIRST)[1] == DATA[FIRST]
    assert (tmp_path / "new" / "00000002.history").read_bytes() == HISTORY


def test_what_is_no_file_and_what_was_left_half_done_is_not_linked(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", {FIRST: DATA[FIRST], f".{SECOND}.part": b"half"})
    os.mkfifo(archive / "pipe")
    (archive / "000000010000000000000009").symlink_to("nowhere")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(archive / "socket"))
        with new_directory(tmp_path / "new") as to:
            found = collect(source(DATA), to, lambda done: None, beside=Beside(archive))
    assert found.linked == 2
    assert {path.name for path in to.iterdir()} == {
        FIRST,
        SECOND,
        THIRD,
        PARTIAL,
        "000000010000000000000009",
    }


def test_another_clusters_archive_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    theirs = replace(source(DATA), system_identifier=1)
    for name, files, why in (
        ("theirs", {FIRST: DATA[FIRST]}, "another cluster"),
        ("empty", {}, "has no WAL"),
    ):
        archive = archive_of(tmp_path / name, files)
        archive.mkdir(exist_ok=True)
        with pytest.raises(RefusedError, match=why), new_directory(tmp_path / "new") as to:
            collect(theirs, to, lambda done: None, beside=Beside(archive))
        assert not (tmp_path / "new").exists()
    with pytest.raises(RefusedError, match="no WAL archive"):
        Beside(tmp_path / "nowhere")


def test_cancelling_and_a_full_disk_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "archive", {FIRST: DATA[FIRST]})
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError), new_directory(tmp_path / "new") as to:
        collect(source(DATA), to, lambda done: None, cancel, Beside(archive))
    assert not to.exists()

    def full(self: Path, target: Path) -> None:
        assert any(is_draft(path.name) for path in self.parent.iterdir()), "a kill would show"
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "symlink_to", full)
    failing = pytest.raises(PitrError, match="cannot be collected")
    with failing as raised, new_directory(tmp_path / "new") as to:
        collect(source(DATA), to, lambda done: None, beside=Beside(archive))
    assert "No space left" in raised.value.why
    assert not to.exists()


def test_files_that_vanish_or_shrink_are_told(tmp_path: Path) -> None:
    to = tmp_path / "new"
    to.mkdir()
    found = collect(source(DATA, gone=SECOND, shrunk=THIRD), to, lambda done: None)
    assert found.left_out == {GONE: 1, CHANGED: 1}
    assert found.added == (FIRST, PARTIAL)
    assert {path.name for path in to.iterdir()} == {FIRST, PARTIAL}


def data_directory(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "global").mkdir(parents=True)
    (data / "global" / "pg_control").write_bytes(control_bytes(system=SYSTEM))
    return data


def test_a_dead_servers_directory_is_read_as_it_is(tmp_path: Path) -> None:
    data, moved = data_directory(tmp_path), archive_of(tmp_path / "moved", DATA)
    (data / "pg_wal").symlink_to(moved)
    (moved / "archive_status").mkdir()
    os.mkfifo(moved / "00000001000000000000000A")
    (moved / "00000001000000000000000B").symlink_to("nowhere")
    files = wal_of_directory(data).files()
    assert next(files).name == FIRST
    (moved / SECOND).unlink()
    assert [(one.name, one.size) for one in files] == [
        (SECOND, -1),
        (THIRD, MEGABYTE),
        (LAST, MEGABYTE),
    ]


@pytest.mark.parametrize("wal", ["nothing", "a link that leads nowhere", "a link to itself"])
def test_a_directory_without_wal_is_an_error_in_words(tmp_path: Path, wal: str) -> None:
    data = data_directory(tmp_path)
    if wal != "nothing":
        (data / "pg_wal").symlink_to("nowhere" if "nowhere" in wal else "pg_wal")
    with pytest.raises(PitrError, match="the server's WAL cannot be read"):
        list(wal_of_directory(data).files())


def test_the_new_archive_lies_apart(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    require_apart(tmp_path / "data-collected", [tmp_path / "data"])
    for place in (tmp_path / "data", tmp_path / "data/x", tmp_path / "link/x"):
        with pytest.raises(RefusedError, match="cannot be in"):
            require_apart(place, [tmp_path / "data"])


def test_how_far_a_segment_goes(tmp_path: Path) -> None:
    def reach(data: bytes, of: int = 0) -> tuple[bool, int]:
        file = tmp_path / "file"
        file.write_bytes(data)
        return reach_of(file, history_of_four()[of][0], SYSTEM, "18")

    assert reach(DATA[FIRST])[0]
    assert reach(DATA[LAST], 3) == reach(with_junk(DATA[LAST]), 3)
    finished, end = reach(DATA[LAST], 3)
    assert not finished
    assert end > history_of_four()[3][0].start
    for useless in (b"", bytes(MEGABYTE), DATA[SECOND], DATA[FIRST][:-8], DATA[FIRST] + b"x"):
        assert reach(useless) == (False, 0)
