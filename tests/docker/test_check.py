"""What the verdict asks of an image."""

from __future__ import annotations

import pytest
from docker import DockerClient

from pitr_tui.containers.engine import Engine
from pitr_tui.servers.image_tools import missing_libraries
from tests.docker.world import MAJORS, OLD_AND_NEW, image

pytestmark = pytest.mark.docker

WANTED = ("plpgsql", "no such", "$libdir/libpqwalreceiver", "/no/where")


@pytest.mark.parametrize(
    "major",
    [
        major if major in OLD_AND_NEW else pytest.param(major, marks=pytest.mark.matrix)
        for major in MAJORS
    ],
)
def test_the_libraries_that_an_image_does_not_have(engine: DockerClient, major: str) -> None:
    ours = Engine.connect()
    try:
        found = missing_libraries(ours, image(engine, f"postgres:{major}"), WANTED)
    finally:
        ours.close()
    assert found == ("no such", "/no/where")
