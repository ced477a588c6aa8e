"""Real servers: one cluster for each major version that is found, made once in a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.servers.installation import (
    Installation,
    embedded_installation,
    find_installations,
)
from pitr_tui.servers.osuser import server_user
from tests.integration.world import World

MAJORS = ("9.6", "10", "11", "12", "13", "14", "15", "16", "17", "18")
OLD_AND_NEW = ("11", "18")


def installed(major: str) -> Installation:
    """The programs of a major version, or a skip that says what is missing."""
    if major == "18":
        try:
            return embedded_installation(server_user())
        except PitrError as error:
            pytest.skip(str(error))
    for installation in find_installations():
        if installation.version.major == major and installation.has("initdb"):
            return installation
    pytest.skip(f"no PostgreSQL {major} on this machine (see PITR_BINDIRS)")


_worlds: dict[str, World] = {}


def world_of(major: str) -> World:
    """The cluster of a major version, built when it is first asked for."""
    if major not in _worlds:
        world = World(installed(major))
        _worlds[major] = world
        world.build()
    return _worlds[major]


@pytest.fixture(scope="session", autouse=True)
def _close_worlds() -> Iterator[None]:
    yield
    for world in _worlds.values():
        world.close()


@pytest.fixture
def world(request: pytest.FixtureRequest) -> World:
    """The shared cluster of a test's major version (18 if it names none); not to be changed."""
    return world_of(getattr(request, "param", "18"))


@pytest.fixture
def own_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A cluster for one test, which may change it."""
    world = World(installed(getattr(request, "param", "18")))
    world.build()
    yield world
    world.close()


def majors(*names: str, often: tuple[str, ...] = OLD_AND_NEW) -> pytest.MarkDecorator:
    """Run a test on these major versions; all but those of `often` are `matrix`."""
    every_run = set(often) & set(names) or {names[0]}
    params = [
        name if name in every_run else pytest.param(name, marks=pytest.mark.matrix)
        for name in names
    ]
    return pytest.mark.parametrize("world", params, indirect=True)
