"""How a container of ours reaches a server in another one, also after that one's restart.

Sharing its network namespace would not last: a restart makes a new one, and who shared the
old one is left with no network at all. A network of both lasts, because there the engine finds
the server by its container's name, whatever address it gets.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.containers.helper import Helper
from pitr_tui.containers.labels import LABEL, Role, labels
from pitr_tui.containers.networks import remove_network
from pitr_tui.containers.shell import Ran
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import visible
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.image_tools import image_tools
from pitr_tui.servers.sql import connection_text

_HOST = "host"
_WITHOUT_NAMES = ("bridge", "none", _HOST)
_REFUSED = re.compile(
    r"(?:no pg_hba\.conf entry for replication connection from|"
    r'pg_hba\.conf rejects replication connection for) host "([^"]+)"'
)
_SECONDS = 60
_KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


class NoReplicationLine(RefusedError):
    """No line of pg_hba.conf lets a replication connection from `address` in."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(
            "the primary does not let the receiver in",
            why,
            "pg_hba.conf needs a line for the database `replication`: `all` does not include it",
        )
        self.address = address


@dataclass(frozen=True, slots=True)
class Route:
    """A network of the engine, and the server's name in it.

    `subnets` are the addresses that come from there. `new` says that the network is to be made,
    with one of them if that can be, and the server's container to be joined to it.
    """

    network: str
    host: str
    subnets: tuple[str, ...] = ()
    new: bool = False

    def subnet_of(self, address: str) -> str:
        """The narrowest range that an address of this network will be in again.

        >>> Route("shop", "db", ("172.18.0.0/16",)).subnet_of("172.18.0.7")
        '172.18.0.0/16'
        >>> Route("host", "127.0.0.1").subnet_of("127.0.0.1")
        '127.0.0.1/32'
        """
        one = ipaddress.ip_address(address)
        holding = [net for net in self.subnets if one in ipaddress.ip_network(net, strict=False)]
        return holding[0] if holding else f"{one}/{one.max_prefixlen}"


def route_to(engine: Engine, container: PostgresContainer) -> Route:
    """A network on which a name leads to the container.

    Raises RefusedError when it has no network that another container could join, EngineError.
    """
    facts = _inspected(engine, container)
    mode = str(facts["HostConfig"].get("NetworkMode") or "")
    if mode == _HOST:
        return Route(_HOST, "127.0.0.1")
    joined = facts["NetworkSettings"].get("Networks") or {}
    for name in sorted(joined):
        if name not in _WITHOUT_NAMES:
            return Route(name, container.name, _subnets(engine, name))
    if mode == "none" or mode.startswith("container:"):
        raise RefusedError(
            f"no other container can reach {container.name}",
            "it has no network" if mode == "none" else "it shares another container's network",
            "use archive_command, or give its service a network",
        )
    return Route(own_network(container), container.name, new=True)


def own_network(container: PostgresContainer) -> str:
    """The network that is made for a container that has none where names are known."""
    return f"pitr-{container.name}"


def route_on(engine: Engine, container: PostgresContainer, network: str) -> Route:
    """The way over a network that there is. Raises EngineError."""
    if network == _HOST:
        return Route(_HOST, "127.0.0.1")
    return Route(network, container.name, _subnets(engine, network))


def open_route(engine: Engine, container: PostgresContainer, route: Route) -> Route:
    """Make the network when it is new, and join the server to it. Raises EngineError."""
    if not route.new:
        return route
    api = engine.client.api
    with engine_errors(f"the network {route.network} cannot be made"):
        if not engine.client.networks.list(names=[f"^{re.escape(route.network)}$"]):
            _make_network(engine, route)
        if route.network not in _inspected(engine, container)["NetworkSettings"]["Networks"]:
            api.connect_container_to_network(container.id, route.network)
    return Route(route.network, route.host, _subnets(engine, route.network))


def close_route(engine: Engine, network: str) -> bool:
    """Remove a network of ours, and say whether there was one; another's stays.

    Raises PitrError.
    """
    try:
        with engine_errors(f"the network {network} cannot be removed"):
            facts = engine.client.api.inspect_network(network)
    except EngineError as error:
        if error.status != 404:
            raise
        return False
    if (facts.get("Labels") or {}).get(LABEL) != Role.NETWORK:
        return False
    remove_network(engine, network)
    return True


def replication_parameters(server: ContainerServer, route: Route) -> dict[str, str]:
    """A connection for a tool on that network; the password is not in it. Raises PitrError."""
    parameters = server.database.parameters
    return {
        "host": route.host,
        "port": parameters["port"],
        "user": parameters["user"],
        "connect_timeout": "10",
        **_KEEPALIVE,
    }


def try_replication(
    server: ContainerServer, route: Route, environment: Mapping[str, str], system_identifier: int
) -> None:
    """Open a real replication connection over the route, from a helper that joins it.

    Raises NoReplicationLine when pg_hba.conf is what refuses it, PitrError with PostgreSQL's
    words for everything else, and when another cluster answers to the name.
    """
    parameters = {**replication_parameters(server, route), "replication": "true"}
    ran = _ask(server, route, "IDENTIFY_SYSTEM", parameters, environment)
    if ran.code != 0:
        words = visible(ran.stderr.strip())
        if refused := _REFUSED.search(words):
            raise NoReplicationLine(refused[1], words)
        raise PitrError(
            f"{server.name} cannot be reached for replication on the network {route.network}",
            words,
            "listen_addresses must let other containers in, and the password be right (PGPASSWORD)",
        )
    answered = ran.stdout.decode("ascii", "replace").partition("|")[0].strip()
    if answered != str(system_identifier):
        raise RefusedError(
            f"another cluster answers to {route.host} on the network {route.network}",
            f"its system identifier is {answered}, the primary's {system_identifier}",
        )


def trusts(server: ContainerServer, route: Route) -> bool:
    """Whether the server lets its user in from this network without a password. PitrError."""
    parameters = {**replication_parameters(server, route), "dbname": "postgres"}
    return _ask(server, route, "SELECT 1", parameters, {"LC_ALL": "C"}).code == 0


def _ask(
    server: ContainerServer,
    route: Route,
    query: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> Ran:
    """What psql says from a helper on that network. Raises PitrError."""
    engine, image = server.engine, server.image
    psql = image_tools(engine, image).require("psql")
    command = [psql.path, "--no-psqlrc", "--no-password", "--no-align", "--tuples-only"]
    command += ["--command", query, connection_text(parameters)]
    with Helper.start(engine, image, network=route.network, name_hint="try") as helper:
        return helper.run(command, environment=environment, timeout=_SECONDS)


def _inspected(engine: Engine, container: PostgresContainer) -> dict[str, Any]:
    with engine_errors(f"the container {container.name} cannot be looked at"):
        facts: dict[str, Any] = engine.client.api.inspect_container(container.id)
    return facts


def _make_network(engine: Engine, route: Route) -> None:
    """A network with one of the route's ranges, or with what the engine chooses if all are taken.

    Raises EngineError.
    """
    from docker.types import IPAMConfig, IPAMPool

    api, name, tags = engine.client.api, route.network, labels(Role.NETWORK)
    for subnet in route.subnets:
        pools = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
        try:
            with engine_errors(f"the network {name} cannot be made"):
                api.create_network(name, labels=tags, ipam=pools)
            return
        except EngineError as error:
            if not error.status:
                raise
    api.create_network(name, labels=tags)


def _subnets(engine: Engine, network: str) -> tuple[str, ...]:
    with engine_errors(f"the network {network} cannot be looked at"):
        facts = engine.client.api.inspect_network(network)
    configured = (facts.get("IPAM") or {}).get("Config") or ()
    return tuple(one["Subnet"] for one in configured if one.get("Subnet"))
