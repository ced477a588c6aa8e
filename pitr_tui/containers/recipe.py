"""A server's container as one description: for the engine, for a shell, for a compose file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pitr_tui.containers.engine import Engine, engine_errors
from pitr_tui.containers.helper import HelperMount, image_missing
from pitr_tui.containers.labels import LABEL, Role, labels

if TYPE_CHECKING:
    from docker.models.containers import Container

_STOP_SIGNAL = "SIGINT"  # PostgreSQL's fast shutdown
_STOP_SECONDS = 300
_SHARED_MEMORY = "1g"  # a limit, not a reservation; Docker's 64 MB is little for a parallel query
_LOOPBACK = "127.0.0.1"
_NO_NETWORK = "none"


@dataclass(frozen=True, slots=True)
class ServerRecipe:
    """What a PostgreSQL container of ours is made of, and nothing that it does not need.

    `user` is "uid:gid". `port` publishes `inner_port` on the engine's loopback address.
    """

    image: str
    name: str
    user: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    mounts: tuple[HelperMount, ...]
    network: str
    inner_port: int
    port: int | None = None
    role: Role = Role.SECONDARY

    def create(self, engine: Engine) -> Container:
        """Make the container, without starting it. Raises EngineError."""
        from docker.errors import ImageNotFound
        from docker.types import LogConfig

        with engine_errors(f"the container {self.name} cannot be made"):
            try:
                return engine.client.containers.create(
                    self.image,
                    entrypoint=[self.argv[0]],
                    command=list(self.argv[1:]),
                    name=self.name,
                    user=self.user,
                    environment=self.environment,
                    labels=labels(self.role),
                    mounts=[mount.checked(engine) for mount in self.mounts],
                    network=self._network,
                    ports={f"{self.inner_port}/tcp": (_LOOPBACK, self.port)} if self.port else None,
                    stop_signal=_STOP_SIGNAL,
                    shm_size=_SHARED_MEMORY,
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges", "label=disable"],
                    healthcheck={"test": ["NONE"]},
                    log_config=LogConfig(type="json-file"),  # one that can be read back
                )
            except ImageNotFound as error:
                raise image_missing(self.image) from error

    def command(self) -> tuple[str, ...]:
        """The `docker run` that does the same."""
        words = ["docker", "run", "--detach", "--name", self.name, "--user", self.user]
        words += ["--label", f"{LABEL}={self.role}", "--entrypoint", self.argv[0]]
        for name, value in self.environment.items():
            words += ["--env", f"{name}={value}"]
        for mount in self.mounts:
            closed = "" if mount.writable else ",readonly"
            where = f"source={mount.source},target={mount.target}"
            words += ["--mount", f"type={mount.kind},{where}{closed}"]
        words += ["--network", self._network]
        if self.port:
            words += ["--publish", f"{_LOOPBACK}:{self.port}:{self.inner_port}"]
        words += ["--stop-signal", _STOP_SIGNAL, "--stop-timeout", str(_STOP_SECONDS)]
        words += ["--shm-size", _SHARED_MEMORY, "--cap-drop", "ALL"]
        words += ["--security-opt", "no-new-privileges", "--security-opt", "label=disable"]
        words += ["--no-healthcheck", "--log-driver", "json-file"]
        return (*words, self.image, *self.argv[1:])

    def compose(self, service: str = "") -> str:
        """A compose file with one service that runs the same data in the same way.

        With the name of a service of another file it is an override of that one, and leaves it
        in its networks: `docker compose -f docker-compose.yml -f THIS up -d SERVICE`.
        """
        import yaml

        described: dict[str, Any] = {
            "image": self.image,
            # With this name there can be only one server on the data.
            "container_name": self.name,
            "user": self.user,
            "entrypoint": [self.argv[0]],
            "command": list(self.argv[1:]),
            "environment": self.environment,
            "volumes": [
                {
                    "type": mount.kind,
                    "source": mount.source,
                    "target": mount.target,
                    "read_only": not mount.writable,
                }
                for mount in self.mounts
            ],
            "stop_signal": _STOP_SIGNAL,
            "stop_grace_period": f"{_STOP_SECONDS}s",
            "shm_size": _SHARED_MEMORY,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges", "label=disable"],
            "healthcheck": {"disable": True},
        }
        if not service:
            described["network_mode"] = self._network
        if self.port:
            described["ports"] = [f"{_LOOPBACK}:{self.port}:{self.inner_port}"]
        volumes = [mount.source for mount in self.mounts if mount.kind == "volume"]
        project = {
            "services": {service or self.name: described},
            "volumes": {name: {"external": True} for name in volumes},
        }
        return yaml.safe_dump(project, sort_keys=False)

    @property
    def _network(self) -> str:
        """A published port needs some network to be published from."""
        return "bridge" if self.port and self.network == _NO_NETWORK else self.network
