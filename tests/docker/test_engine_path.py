"""Paths in a volume answer as paths of this machine do."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest
from docker import DockerClient

from pitr_tui.containers.engine import Engine
from pitr_tui.containers.helper import Helper
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.storage.engine_place import helper_mount, place_in
from pitr_tui.storage.location import EngineLocation, LocationKind
from tests.docker import world
from tests.unit.made import MEGABYTE, segment, segment_bytes

pytestmark = pytest.mark.docker


@pytest.fixture(params=["15", "15-busybox"])
def volume(
    request: pytest.FixtureRequest, engine: DockerClient, secondary_name: str
) -> Iterator[EnginePath]:
    """A new volume, writable."""
    image = world.image(engine, f"postgres:{request.param}")
    engine.volumes.create(secondary_name, labels={world.MARK: secondary_name})
    location = EngineLocation(LocationKind.VOLUME, secondary_name)
    ours = Engine.connect()
    mount = helper_mount(location, world.PLACE, writable=True)
    try:
        with Helper.start(ours, image, mounts=[mount]) as helper:
            yield place_in(helper, location, world.PLACE)
    finally:
        ours.close()


def test_files_are_written_and_read(volume: EnginePath) -> None:
    volume_file = volume / "a 'name' $with %signs"
    with volume_file.open("wb") as file:
        file.write(b"\0\xff" * MEGABYTE)
    assert volume_file.read_bytes() == b"\0\xff" * MEGABYTE
    assert volume_file.stat().st_size == 2 * MEGABYTE
    (volume / "directory").mkdir(0o750)
    assert stat.S_IMODE((volume / "directory").stat().st_mode) == 0o750
    assert {path.name: path.is_dir() for path in volume.iterdir()} == {
        volume_file.name: False,
        "directory": True,
    }
    volume_file.rename(volume / "directory" / "b")
    assert [str(path.relative) for path in volume.files_below()] == ["directory/b"]
    (volume / "directory" / "b").unlink()
    assert not (volume / "directory" / "b").exists()


def test_what_is_not_there_is_told_as_on_this_machine(volume: EnginePath) -> None:
    (volume / "file").write_text("x")
    assert not (volume / "none").is_dir()
    assert EnginePath.first_of([volume / "none", volume / "file" / "below"]) is None
    with pytest.raises(FileNotFoundError):
        list((volume / "none").iterdir())
    with pytest.raises(NotADirectoryError):
        list((volume / "file").iterdir())
    with pytest.raises(FileNotFoundError):
        (volume / "none").open("rb")
    with pytest.raises(FileExistsError):
        (volume / "file").mkdir()
    volume.tree.run(f"ln -s /nowhere {volume.inside}/dangling")
    assert (volume / "dangling").is_symlink()
    assert not (volume / "dangling").exists()
    assert EnginePath.first_of([volume / "dangling"]) == volume / "dangling"


def test_an_archive_that_is_written_to_can_be_listed(volume: EnginePath) -> None:
    """The names of drafts are gone again before their facts can be asked for."""
    (volume / segment(2).name).write_text("a segment")
    script = (
        f"cd {volume.inside}; i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); "
        ": >.draft.part; mv .draft.part draft; done"
    )
    writing = volume.tree.helper.popen(["sh", "-c", script])
    archive = WalArchive(volume)
    listings = 0
    while writing.poll() is None:
        assert archive.listing().segments == (segment(2, size=16 * MEGABYTE),)
        assert archive.find(segment(3).name) is None
        listings += 1
    writing.close()
    assert listings > 3


def test_a_name_with_a_line_break_is_passed_over(volume: EnginePath) -> None:
    with (volume / segment(2).name).open("wb") as file:
        file.write(segment_bytes(segment(2)))
    volume.tree.run(f"touch \"{volume.inside}/$(printf 'a\\nb')\"")
    assert WalArchive(volume).listing().segments == (segment(2),)
