"""Which files of a server's own WAL directory are taken into an archive, and under which name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.recovery.collect import (
    BEING_WRITTEN,
    CHANGED,
    CUT_OFF,
    FOREIGN,
    RECYCLED,
    Collected,
    WalFile,
    WalSource,
    collect,
)
from pitr_tui.recovery.collect_place import new_directory
from pitr_tui.repositories.archive import WalArchive
from tests.unit.made import SYSTEM, segment, segment_bytes

HISTORY = b"1\t0/3000000\tno recovery target specified\n"


def source(
    files: dict[str, bytes], current: int | None = None, later: set[str] | None = None
) -> WalSource:
    def each() -> Iterator[WalFile]:
        for name, data in files.items():
            yield WalFile(name, len(data), BytesIO(data))

    names: Callable[[], set[str]] | None = None
    if current is not None:
        names = lambda: set(files) if later is None else later  # noqa: E731
    return WalSource("a server", SYSTEM, "18", each, segment(current) if current else None, names)


def taken(
    to: Path, files: dict[str, bytes], current: int | None = None, later: set[str] | None = None
) -> Collected:
    to.mkdir()
    return collect(source(files, current, later), to, lambda done: None)


def whole(*numbers: int) -> dict[str, bytes]:
    return {segment(one).name: segment_bytes(segment(one)) for one in numbers}


def held(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_only_what_the_heads_confirm_is_taken(tmp_path: Path) -> None:
    to = tmp_path / "a"
    files = whole(2, 3) | {
        segment(4).name: segment_bytes(segment(4), system=1),
        segment(5).name: segment_bytes(segment(5), page=segment(1).start),
        segment(6).name: bytes(segment(6).size),
        segment(7).name: segment_bytes(segment(7))[:-1],
        "00000002.history": HISTORY,
        f"{segment(2).name}.00000028.backup": b"START WAL LOCATION: 0/2000028\n",
        f"{segment(9).name}.partial": segment_bytes(segment(9)),
        "xlogtemp.77": b"x",
        "archive_status": b"",
    }
    found = taken(to, files, current=8)
    assert found.left_out == {FOREIGN: 1, RECYCLED: 2, CUT_OFF: 1, BEING_WRITTEN: 1}
    assert held(to) == [
        segment(2).name,
        f"{segment(2).name}.00000028.backup",
        segment(3).name,
        "00000002.history",
    ]
    assert (to / segment(3).name).read_bytes() == segment_bytes(segment(3))
    assert (to / segment(3).name).stat().st_mode & 0o777 == 0o600
    assert (found.segments, found.histories, found.unfinished) == (2, 1, None)


def test_the_last_one_of_a_dead_server_is_marked_as_unfinished(tmp_path: Path) -> None:
    found = taken(tmp_path / "a", whole(2, 4, 3))
    assert held(tmp_path / "a") == [segment(2).name, segment(3).name, f"{segment(4).name}.partial"]
    assert found.unfinished == segment(4).name
    assert found.segments == 2


def test_what_a_live_server_writes_is_left_to_it(tmp_path: Path) -> None:
    found = taken(tmp_path / "a", whole(2, 3, 4), current=4)
    assert held(tmp_path / "a") == [segment(2).name, segment(3).name]
    assert found.left_out == {BEING_WRITTEN: 1}
    assert found.unfinished is None


def test_what_was_recycled_while_it_was_read_is_given_back(tmp_path: Path) -> None:
    found = taken(tmp_path / "a", whole(2, 3), current=5, later={segment(3).name})
    assert held(tmp_path / "a") == [segment(3).name]
    assert found.left_out == {CHANGED: 1}


def test_gaps_are_named(tmp_path: Path) -> None:
    found = taken(tmp_path / "a", whole(2, 3, 6, 7), current=8)
    assert found.gaps == ((segment(3), segment(6)),)
    assert [run.count for run in found.ranges] == [2, 2]


def test_nothing_usable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    files = {segment(2).name: bytes(segment(2).size), "00000002.history": HISTORY}
    with pytest.raises(PitrError, match="no WAL that can be used") as raised:
        taken(tmp_path / "a", files)
    assert RECYCLED in raised.value.why
    assert held(tmp_path / "a") == []


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    cancel = threading.Event()

    def stop(done: int) -> None:
        cancel.set()

    with pytest.raises(CancelledError):
        collect(source(whole(2, 3)), tmp_path, stop, cancel)
    assert held(tmp_path) == []


def test_what_a_killed_collection_leaves_is_no_archive(tmp_path: Path) -> None:
    """What a kill would leave is what is there while the last file is read."""
    seen: list[list[str]] = []

    def look(done: int) -> None:
        seen.append(held(tmp_path))
        listing = WalArchive(tmp_path).listing()
        assert [*listing.segments, *listing.partial, *listing.histories] == []

    collect(source(whole(2, 3) | {"00000002.history": HISTORY}), tmp_path, look)
    assert [len(names) for names in seen] == [1, 2, 3]
    assert len(held(tmp_path)) == 3
    assert not set(seen[-1]).intersection(held(tmp_path))
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / seen[-1][0]).touch()
    with pytest.raises(RefusedError, match="is not empty") as raised, new_directory(killed):
        pass
    assert "a collection was interrupted there" in raised.value.why


def test_a_place_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(RefusedError, match="is not empty"), new_directory(tmp_path):
        pass
    with pytest.raises(PitrError), new_directory(tmp_path / "new"):
        raise PitrError("failed inside")
    assert held(tmp_path) == ["there"]
