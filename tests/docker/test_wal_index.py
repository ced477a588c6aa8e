"""An archive in a volume is surveyed and read as one on this machine is."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import IO

import pytest
from docker import DockerClient

from pitr_tui.containers.engine import Engine
from pitr_tui.containers.helper import Helper
from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories import file_identity, wal_facts
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.index_cache import IndexCache, Variant
from pitr_tui.repositories.wal_facts import Means, facts_in_order
from pitr_tui.repositories.wal_index import Survey, WalIndex
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.engine_place import helper_mount, place_in
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.wal.heads import Fault
from tests.docker import world
from tests.unit.made import MEGABYTE, segment
from tests.unit.made_wal import commit, record, wal_bytes

pytestmark = pytest.mark.docker

TIME = 848_673_302_117_000
LATE = [record(10, 0, bytes(40))] * 300  # longer than the first page


@pytest.fixture(params=["15", "15-busybox"])
def volume(
    request: pytest.FixtureRequest, engine: DockerClient, secondary_name: str
) -> Iterator[EnginePath]:
    """A new volume with segments 1 to 4, the third compressed, and a torn fifth one."""
    image = world.image(engine, f"postgres:{request.param}")
    engine.volumes.create(secondary_name, labels={world.MARK: secondary_name})
    location = EngineLocation(LocationKind.VOLUME, secondary_name)
    ours = Engine.connect()
    mount = helper_mount(location, world.PLACE, writable=True)
    try:
        with Helper.start(ours, image, mounts=[mount]) as helper:
            place = place_in(helper, location, world.PLACE)
            write(place, segment(1).name, data(1))
            write(place, segment(2).name, data(2, LATE))
            write(place, f"{segment(3).name}.gz", gzip.compress(data(3)))
            write(place, segment(4).name, data(4))
            write(place, segment(5).name, data(5)[:100])
            yield place
    finally:
        ours.close()


def data(number: int, before: list[bytes] | None = None, time: int = TIME) -> bytes:
    return wal_bytes(segment(number), [*(before or []), commit(time + number)])


def write(place: EnginePath, name: str, content: bytes) -> None:
    with (place / name).open("wb") as file:
        file.write(content)


def survey(place: EnginePath) -> Survey:
    with IndexCache() as cache:
        return WalIndex(WalArchive(place), cache).survey()


def length(source: IO[bytes], of: WalSegment) -> bytes:
    return f"{of.number} {len(source.read())}".encode()


def test_it_is_surveyed_and_what_changed_is_seen(
    volume: EnginePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_identity, "SETTLE_NANOSECONDS", -1_000_000_000_000)
    found = survey(volume)
    assert found.heads["time"].tolist()[:4] == [TIME + n for n in (1, 2, 3, 4)]
    (bad,) = found.holdings().unusable[TimelineId(1)]
    assert (bad.range.first, bad.fault) == (segment(5), Fault.WRONG_LENGTH)
    assert found.holdings().held[TimelineId(1)].run_from(1) == 5
    assert survey(volume).heads.tolist() == found.heads.tolist()
    write(volume, "new", data(2, time=TIME + 70))
    (volume / "new").rename(volume / segment(2).name)
    (volume / segment(4).name).unlink()
    times = survey(volume).heads["time"].tolist()
    assert times[:3] == [TIME + 1, TIME + 72, TIME + 3]
    assert len(times) == 4


@pytest.mark.parametrize("processes", [1, 2])
def test_whole_segments_are_read_through_the_engine(
    volume: EnginePath, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_facts, "_LITTLE", 0)
    asked = [segment(number) for number in (4, 3, 2, 1, 5, 6)]
    found = list(
        facts_in_order(
            WalArchive(volume), asked, Variant("test", 1), length, Means(processes=processes)
        )
    )
    assert [one for one, _ in found] == asked
    assert [facts for _, facts in found[:5]] == [
        *(f"{number} {MEGABYTE}".encode() for number in (4, 3, 2, 1)),
        b"5 100",
    ]
    assert isinstance(found[5][1], PitrError)
