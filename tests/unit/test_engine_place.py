"""Nothing is written into a primary's own data, however the place is named."""

from pathlib import PurePosixPath

import pytest

from pitr_tui.containers.container import Mount, PostgresContainer
from pitr_tui.errors import RefusedError
from pitr_tui.storage.engine_place import require_apart
from pitr_tui.storage.location import EngineLocation, engine_location

DATA = PurePosixPath("/var/lib/postgresql/18/docker")


def container(*mounts: Mount) -> PostgresContainer:
    return PostgresContainer(
        id="1",
        name="db",
        image="postgres:18",
        image_id="2",
        state="running",
        version=None,
        data_directory=DATA,
        mounts=mounts,
        networks={},
        ports=(),
        compose_project="",
        compose_service="",
        user="postgres",
        database="postgres",
        command=("postgres",),
    )


VOLUME = container(Mount("volume", "data", PurePosixPath("/var/lib/postgresql"), True))
BIND = container(Mount("bind", "/srv/pg", PurePosixPath("/var/lib/postgresql"), True))
LAYER = container()


def place(text: str) -> EngineLocation:
    found = engine_location(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("server", "where", "words"),
    [
        (VOLUME, "volume:data", "holds"),
        (VOLUME, "volume:data/18", "holds"),
        (VOLUME, "volume:data/18/docker", "lies in"),
        (VOLUME, "volume:data/18/docker/pg_wal", "lies in"),
        (BIND, "engine:/srv", "holds"),
        (BIND, "engine:/srv/pg/18/docker/pg_wal", "lies in"),
    ],
)
def test_a_place_among_the_data_is_refused(
    server: PostgresContainer, where: str, words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        require_apart(server, place(where))
    assert refused.value.what == f"{place(where)} {words} the primary's own data directory"


@pytest.mark.parametrize(
    ("server", "where"),
    [
        (VOLUME, "volume:data2"),
        (VOLUME, "volume:data/archive"),
        (VOLUME, "engine:/data"),
        (BIND, "engine:/srv/pg/18/docker2"),
        (BIND, "engine:/srv/wal"),
        (LAYER, "engine:/var/lib"),
    ],
)
def test_a_place_beside_them_is_not(server: PostgresContainer, where: str) -> None:
    require_apart(server, place(where))
