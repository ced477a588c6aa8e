"""Where the command line of a server in a container can be changed without losing its data."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from pitr_tui.containers.container import Mount, PostgresContainer
from pitr_tui.recovery.container_archiving import starter

DATA = PurePosixPath("/var/lib/postgresql/data")
ANONYMOUS = "0f" * 32


def container(*mounts: Mount, service: str = "") -> PostgresContainer:
    return PostgresContainer(
        id="1",
        name="db",
        image="postgres:18",
        image_id="sha256:1",
        state="running",
        version=None,
        data_directory=DATA,
        mounts=mounts,
        networks={},
        ports=(),
        compose_project="shop" if service else "",
        compose_service=service,
        user="postgres",
        database="postgres",
        command=(),
    )


def test_the_new_container_is_given_the_same_mounts() -> None:
    archive = Mount("bind", "/srv/my wal", PurePosixPath("/archive"), True)
    words = starter(container(Mount("volume", "shop-data", DATA, True), archive))
    assert f"-v shop-data:{DATA} -v '/srv/my wal:/archive'" in words
    assert "docker rm" not in words


def test_a_volume_without_a_name_is_warned_of() -> None:
    words = starter(container(Mount("volume", ANONYMOUS, DATA, True)))
    assert f"-v {ANONYMOUS}:{DATA}" in words
    assert "the new container starts empty" in words


@pytest.mark.parametrize("mounts", [(), (Mount("tmpfs", "", DATA, True),)])
def test_a_container_that_holds_its_data_is_never_removed(mounts: tuple[Mount, ...]) -> None:
    words = starter(container(*mounts))
    assert "never remove it" in words
    assert "pitr archive receive start --docker db" in words


def test_a_service_is_changed_in_its_file() -> None:
    words = starter(container(Mount("volume", ANONYMOUS, DATA, True), service="primary"))
    assert words.startswith("`command:` of the service primary")
