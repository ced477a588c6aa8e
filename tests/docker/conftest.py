"""A real Docker engine, and compose projects in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from tests.docker import world
from tests.docker.world import Project


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """The engine that DOCKER_HOST names; without one a test skips."""
    client = world.connect()
    yield client
    client.close()


@pytest.fixture
def project(
    request: pytest.FixtureRequest, engine: DockerClient, tmp_path: Path
) -> Iterator[Project]:
    """The tutorial's project on a test's major version, or image tag (18 if it names none)."""
    tag: str = getattr(request, "param", "18")
    world.image(engine, f"postgres:{tag}")
    with world.running(engine, tmp_path / "compose", world.tutorial(tag)) as project:
        yield project


@pytest.fixture
def secondary_name(engine: DockerClient) -> Iterator[str]:
    """The name of a volume and container that a test may make."""
    name = f"pitr-test-{uuid.uuid4().hex[:8]}-recovered"
    yield name
    world.remove_secondary(engine, name)


@pytest.fixture
def secondary(project: Project, secondary_name: str) -> str:
    """Such a name, of what is gone before the project is."""
    return secondary_name
