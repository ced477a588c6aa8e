"""Compose projects in a real engine, made as `docker compose up` makes them, and their end."""

from __future__ import annotations

import gc
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import docker
import pytest
import yaml
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from tests.unit.made import wait_until

MARK = "pitr-tui-test"
PASSWORD = "correct horse"
USER = "postgres"
PLACE = PurePosixPath("/pitr/place")
OLD_AND_NEW = ("11", "18")
MAJORS = ("10", "11", "12", "13", "14", "15", "16", "17", "18")


def connect() -> DockerClient:
    """The engine that the environment names, or a skip that says why there is none."""
    reason = ""
    with warnings.catch_warnings():
        # Where nobody answers, the SDK leaves its socket open until the error is forgotten.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env()
        except DockerException as error:
            reason = str(error)
        gc.collect()
    if reason:
        pytest.skip(f"no Docker engine answers: {reason}")
    return client


def image(client: DockerClient, tag: str) -> str:
    """The tag, once the engine is known to have it: a test downloads nothing."""
    try:
        client.images.get(tag)
    except ImageNotFound:
        pytest.skip(f"the engine has no image {tag} (.ci/postgres-images builds it)")
    return tag


def majors(
    *names: str, argument: str = "project", often: tuple[str, ...] = OLD_AND_NEW
) -> pytest.MarkDecorator:
    """Run a test on these majors or image tags; all but those of `often` are also `matrix`."""
    return pytest.mark.parametrize(
        argument,
        [name if name in often else pytest.param(name, marks=pytest.mark.matrix) for name in names],
        indirect=True,
    )


def data_volume(major: str) -> str:
    """Where the official image of this major wants its volume."""
    return "/var/lib/postgresql" if int(major) >= 18 else "/var/lib/postgresql/data"


def tutorial(tag: str, archive: bool = True) -> str:
    """The tutorial's compose file: two services of one image, with or without an archive."""
    place = data_volume(tag.partition("-")[0])
    services: dict[str, Any] = {
        name: {
            "image": f"postgres:{tag}",
            "environment": {"POSTGRES_PASSWORD": PASSWORD},
            "volumes": [f"{name}-data:{place}"],
        }
        for name in ("primary", "secondary")
    }
    services["primary"]["ports"] = ["127.0.0.1::5432"]
    volumes = ["primary-data", "secondary-data"]
    if archive:
        services["primary"]["volumes"].append("archive:/archive")
        volumes.append("archive")
    return yaml.safe_dump(
        {"services": services, "volumes": dict.fromkeys(volumes)}, sort_keys=False
    )


@dataclass
class Project:
    """A compose project that runs: its file, its network, its volumes and its containers."""

    client: DockerClient
    file: Path
    name: str = field(default_factory=lambda: f"pitr-test-{uuid.uuid4().hex[:8]}")
    containers: dict[str, Container] = field(default_factory=dict)

    @property
    def primary(self) -> Container:
        """The container of the service that the others recover from."""
        return self.containers["primary"]

    @property
    def secondary(self) -> Container:
        """The container of the service that is recovered into."""
        return self.containers["secondary"]

    @property
    def network(self) -> str:
        """The name of the project's network, in which each service answers to its name."""
        return f"{self.name}_default"

    @property
    def labels(self) -> dict[str, str]:
        """What tells the project's own from everything else in the engine."""
        return {MARK: self.name, "com.docker.compose.project": self.name}

    def volume(self, name: str) -> str:
        """The engine's name of a volume that the file calls `name`."""
        return f"{self.name}_{name}"

    def up(self) -> None:
        """Make and start everything that the file describes."""
        described = yaml.safe_load(self.file.read_text())
        self.client.networks.create(
            self.network, labels=self.labels | {"com.docker.compose.network": "default"}
        )
        for name in described.get("volumes", {}):
            self.client.volumes.create(
                self.volume(name), labels=self.labels | {"com.docker.compose.volume": name}
            )
        for service, description in described["services"].items():
            self.containers[service] = self._create(service, description)
            self.containers[service].start()

    def _create(self, service: str, description: dict[str, Any]) -> Container:
        """Make a service's container with the names and labels that compose gives it."""
        labels = {
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": "1",
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project.working_dir": str(self.file.parent),
            "com.docker.compose.project.config_files": str(self.file),
            "com.docker.compose.version": "2.29.7",
        }
        endpoint = self.client.api.create_endpoint_config(aliases=[service])
        return self.client.containers.create(
            image(self.client, description["image"]),
            description.get("command"),
            name=f"{self.name}-{service}-1",
            entrypoint=description.get("entrypoint"),
            environment=description.get("environment"),
            volumes=[self._mount(volume) for volume in description.get("volumes", [])],
            ports=dict(_port(port) for port in description.get("ports", [])),
            network=self.network,
            networking_config={self.network: endpoint},
            labels=self.labels | labels | description.get("labels", {}),
        )

    def _mount(self, volume: str) -> str:
        """A service's volume with the engine's name, or a directory below the file's."""
        source, rest = volume.split(":", 1)
        if source.startswith((".", "/")):
            return f"{(self.file.parent / source).resolve()}:{rest}"
        return f"{self.volume(source)}:{rest}"

    def wait_ready(self, service: str = "primary", seconds: float = 60) -> None:
        """Wait for the server that stays: the one that fills a new cluster listens to no TCP."""
        container = self.containers[service]

        def ready() -> bool:
            container.reload()
            if container.status == "exited":
                pytest.fail(f"{service} ended:\n{container.logs(tail=20).decode()}")
            return executed(container, ["pg_isready", "-q", "-h", "127.0.0.1"])[0] == 0

        wait_until(ready, seconds)

    def published_port(self, service: str = "primary") -> int:
        """The host's port on which the service's server can be reached at 127.0.0.1."""
        container = self.containers[service]
        container.reload()
        return int(container.attrs["NetworkSettings"]["Ports"]["5432/tcp"][0]["HostPort"])

    def sql(self, query: str, service: str = "primary") -> str:
        """What psql in the container prints for the query, unaligned and without headings."""
        command = ["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-U", USER, "-c", query]
        return self.run(command, service)

    def run(self, command: list[str], service: str = "primary", user: str = "") -> str:
        """What a command prints in a service's container; it has to succeed."""
        code, text = executed(self.containers[service], command, user)
        assert code == 0, f"{command} in {service} returned {code}: {text}"
        return text

    def down(self) -> list[str]:
        """Remove everything, and name what was attached to the project but not of its making."""
        own = {container.id for container in self.containers.values()}
        foreign = []
        for container in self._attached():
            if container.id not in own:
                foreign.append(f"{container.name} ({container.attrs['Config']['Image']})")
            container.remove(force=True, v=True)
        mark = {"label": f"{MARK}={self.name}"}
        for volume in self.client.volumes.list(filters=mark):
            remove_volume(self.client, str(volume.name))
        for network in self.client.networks.list(filters=mark):
            network.remove()
        return foreign

    def _attached(self) -> list[Container]:
        """Every container that carries the mark, or that keeps a volume or the network in use."""
        mark = f"{MARK}={self.name}"
        filters = [("label", mark), ("network", self.network)]
        volumes = self.client.volumes.list(filters={"label": mark})
        filters += [("volume", str(volume.name)) for volume in volumes]
        found: dict[str, Container] = {}
        for key, value in filters:
            listed = self.client.containers.list(
                all=True, filters={key: value}, ignore_removed=True
            )
            found |= {str(container.id): container for container in listed}
        return list(found.values())


def remove_volume(client: DockerClient, name: str) -> None:
    """Remove a volume if it is there; the engine lets go of it a moment after its containers."""

    def removed() -> bool:
        try:
            client.volumes.get(name).remove()
        except NotFound:
            return True
        except APIError as error:
            if error.status_code != 409:
                raise
        return False

    wait_until(removed, 30)


def remove_secondary(client: DockerClient, name: str) -> None:
    """Remove the container and the volume of a secondary, where they are there."""
    with suppress(NotFound):
        client.containers.get(name).remove(force=True, v=True)
    remove_volume(client, name)


def run_once(client: DockerClient, image: str, command: list[str], **options: Any) -> bytes:
    """What a program prints in a container of its own, which takes its volumes with it.

    `containers.run` with `remove` leaves those that have no name.
    """
    container = client.containers.run(image, command, detach=True, **options)
    try:
        code = container.wait(timeout=60)["StatusCode"]
        said: bytes = container.logs(stdout=True, stderr=False)
        assert code == 0, container.logs().decode()
        return said
    finally:
        container.remove(force=True, v=True)


def executed(container: Container, command: list[str], user: str = "") -> tuple[int, str]:
    """The exit code of a command in a container, and what it printed."""
    code, output = container.exec_run(command, user=user)
    assert code is not None
    assert isinstance(output, bytes)
    return code, output.decode().rstrip("\n")


def _port(text: str) -> tuple[str, int | tuple[str, int] | None]:
    """A published port as compose writes it, [[ADDRESS:]HOST:]CONTAINER, for the SDK.

    The engine takes the host's port 0 for one that it may choose.
    """
    outside, _, inside = text.rpartition(":")
    address, _, port = outside.rpartition(":")
    if address:
        return f"{inside}/tcp", (address, int(port or 0))
    return f"{inside}/tcp", int(port) if port else None


@contextmanager
def running(client: DockerClient, directory: Path, compose: str) -> Iterator[Project]:
    """A project of this compose file, ready for SQL, until the end of the block.

    A test fails that leaves a container of its own on the project's network or volumes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "docker-compose.yml"
    project = Project(client, file)
    file.write_text(f"name: {project.name}\n{compose}")
    try:
        project.up()
        project.wait_ready()
        if "archive:/archive" in compose:
            # A new volume belongs to root wherever the image has no such directory.
            project.run(["chown", f"{USER}:{USER}", "/archive"], user="root")
        yield project
    finally:
        foreign = project.down()
    assert not foreign, f"left on the project's network or volumes: {', '.join(foreign)}"
