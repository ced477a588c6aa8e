"""Between what a container sees, where that lies, and what is proposed; all of it by values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from pitr_tui.containers.container import Mount
from pitr_tui.errors import PitrError, UsageError
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui import way
from pitr_tui.tui.reach import Reach, place_of
from pitr_tui.tui.screens.connect_found import Behind, can_answer
from pitr_tui.tui.screens.mounted import inside_of, location_of
from pitr_tui.tui.screens.proposals import archive_places
from pitr_tui.tui.screens.where import (
    Where,
    proposed_image,
    proposed_place,
    read_where,
    secondary_service,
    write_new,
)
from pitr_tui.tui.session import Session
from tests.tui.containers import COMPOSE, OTHERS, PRIMARY, PROJECT, SECONDARY, container, volume
from tests.tui.world import FACTS

NOW = datetime(2026, 11, 22, 18, 24, 30, tzinfo=UTC)


def session() -> Session:
    return Session(clock=lambda: NOW, origin=PRIMARY, project=PROJECT, facts=FACTS)


@pytest.mark.parametrize(
    ("inside", "place"),
    [
        ("/archive", "volume:shop_archive"),
        ("/archive/wal", "volume:shop_archive/wal"),
        ("/host/a/b", "engine:/srv/a/b"),
    ],
)
def test_a_path_of_a_container_and_its_place_lead_to_each_other(inside: str, place: str) -> None:
    bound = Mount("bind", "/srv", PurePosixPath("/host"), True)
    origin = replace(PRIMARY, mounts=(*PRIMARY.mounts, bound))
    found = location_of(origin, PurePosixPath(inside))
    assert str(found) == place
    assert found is not None
    assert inside_of(origin, found) == PurePosixPath(inside)


def test_what_a_container_does_not_mount_has_no_path_in_it() -> None:
    assert inside_of(PRIMARY, volume("another")) is None
    assert inside_of(PRIMARY, Path("/archive")) is None
    assert location_of(PRIMARY, PurePosixPath("/tmp/x")) is None


def test_an_archive_is_looked_for_beside_the_data_and_by_its_name() -> None:
    extra = Mount("volume", "config", PurePosixPath("/etc/extra"), True)
    memory = Mount("tmpfs", "", PurePosixPath("/wal-cache"), True)
    origin = replace(PRIMARY, mounts=(extra, memory, *PRIMARY.mounts))
    assert archive_places(origin) == [volume("shop_archive"), volume("config")]
    assert archive_places(replace(PRIMARY, mounts=PRIMARY.mounts[1:])) == []


def test_our_own_secondaries_are_not_offered_and_the_compose_file_comes_first() -> None:
    rows = sorted(COMPOSE.rows(), key=lambda row: row.rank)
    assert [row.name for row in rows] == ["shop-primary-1", "secondary", "wiki-db"]
    assert [can_answer(row.origin) for row in rows] == [True, False, False]
    told = COMPOSE.facts()
    assert "2 PostgreSQL containers, and 1 secondary of pitr's" in told[0].value


def test_a_service_that_has_a_container_is_listed_once() -> None:
    created = container("secondary", state="exited")
    rows = Behind("Docker", (PRIMARY, created), project=PROJECT).rows()
    assert sorted(row.name for row in rows) == ["shop-primary-1", "shop-secondary-1"]


def test_the_secondary_is_named_after_its_service() -> None:
    known = session()
    assert secondary_service(known) is SECONDARY
    assert str(proposed_place(known)) == "volume:pitr-shop-secondary-20261122-182430"
    known.project = None
    assert str(proposed_place(known)) == "volume:pitr-shop-primary-1-20261122-182430"
    known.origin = OTHERS[0]
    known.project = PROJECT
    assert secondary_service(known) is None


def test_a_primary_without_an_engine_is_recovered_into_a_directory() -> None:
    known = replace(session(), origin=None, backup_directory=Path("/srv/pg/backups"))
    assert proposed_place(known) == Path("/srv/pg/recovered-20261122-182430")


def test_another_image_of_the_secondary_is_proposed() -> None:
    known = session()
    assert proposed_image(known) == ""
    alpine = replace(SECONDARY, image="postgres:18-alpine")
    known.project = replace(PROJECT, services=(alpine,))
    assert proposed_image(known) == "postgres:18-alpine"


@pytest.mark.parametrize("text", ["", "srv/x", "volume:", "engine:srv", "volume:a/../b"])
def test_a_place_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        place_of(text, "the archive")


@pytest.mark.parametrize("port", ["0", "65536", "x", "²"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(PitrError, match="is not a port"):
        read_where("volume:new", port, "")


def test_what_was_typed_is_read() -> None:
    place = EngineLocation(LocationKind.VOLUME, "new")
    assert read_where(" volume:new ", "5433", " postgres:18 ") == Where(place, 5433, "postgres:18")
    assert not read_where("/srv/x", "", "").contained


def test_another_primary_takes_away_what_belonged_to_the_one_before() -> None:
    known = session()
    known.archive_directory, known.destination = volume("shop_archive"), volume("new")
    known.other_archive = volume("shop_archive")
    way.forget_primary(known)
    for name in ("archive_directory", "destination", "other_archive"):
        assert getattr(known, name) is None
    named_before = Session(archive_directory=Path("/srv/archive"))
    way.forget_primary(named_before)
    assert named_before.archive_directory == Path("/srv/archive")


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    write_new(file, "one")
    with pytest.raises(PitrError, match="cannot be written"):
        write_new(file, "two")
    assert file.read_text() == "one"


def test_a_place_of_this_machine_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    reach = Reach()
    assert reach.path(Path("/srv")) == reach.find(Path("/srv")) == Path("/srv")
    with pytest.raises(PitrError, match="no Docker engine answers"):
        reach.path(volume("x"))
    reach.close()
