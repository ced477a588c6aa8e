"""What step 1 finds: servers of this machine, containers, services of a compose file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.containers.compose import ComposeProject, read_compose
from pitr_tui.containers.container import Mount, PostgresContainer, PublishedPort
from pitr_tui.containers.found import find_postgres
from pitr_tui.containers.service import ComposeService
from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Status
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.running import RunningServer, find_running, is_recovered
from pitr_tui.servers.sql import Database
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.literal import Part
from pitr_tui.tui.reach import Reach
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wording import count_text, duration_text, size_text

Origin = PostgresContainer | ComposeService

_COMPOSE_STEMS = ("compose", "docker-compose")
_STATES = {"exited": "stopped", "created": "not started"}
_CLOCK_SLACK_SECONDS = 2.0
_LONGEST_NAME = 30
_NAMELESS = 64  # an engine calls a volume without a name by so many digits
_ROLE_WIDTH = 17


@dataclass(frozen=True, slots=True)
class Found:
    """A server on this machine, with what it said or why it said nothing."""

    server: RunningServer
    answer: PrimaryFacts | PitrError | None
    recovered: bool = False  # a secondary that a run has made

    @property
    def key(self) -> str:
        return str(self.server.data_directory)

    @property
    def name(self) -> str:
        return f"port {self.server.port}"

    @property
    def is_primary(self) -> bool:
        """Whether it may have lost data: what a recovery made has not."""
        facts = self.answer
        return isinstance(facts, PrimaryFacts) and not (facts.in_recovery or self.recovered)

    @property
    def rank(self) -> tuple[int, str]:
        """Primaries first, then what does not answer, standbys last; each by its port."""
        place = 0 if self.is_primary or self.answer is None else 1
        place = 2 if isinstance(self.answer, PrimaryFacts) and not self.is_primary else place
        return place, f"{self.server.port:05}"

    def parts(self) -> list[Part]:
        """What its row says behind its name."""
        match self.answer:
            case PrimaryFacts() as facts:
                role = "standby" if facts.in_recovery else "primary"
                role = "by pitr" if self.recovered else role
                parts: list[Part] = [f"{role} {facts.version!s:<6}"]
                parts.append(f"{size_text(facts.total_bytes):>9}  ")
            case PitrError():
                parts = [("no connection  ", "$text-warning")]
            case None:
                parts = [("asking …  ", "$foreground-muted")]
        return [*parts, str(self.server.data_directory)]


@dataclass(frozen=True, slots=True)
class Contained:
    """A container, or a service of the compose file that has none.

    `near` when it belongs to the compose file that was read.
    """

    origin: Origin
    near: bool = False

    @property
    def key(self) -> str:
        return key_of(self.origin)

    @property
    def name(self) -> str:
        return self.origin.name

    @property
    def rank(self) -> tuple[int, str]:
        """The compose file's before all others, the rest behind the servers of this machine."""
        origin = self.origin
        state = 2 if isinstance(origin, ComposeService) else int(not origin.running)
        return state + (-3 if self.near else 3), self.name

    def parts(self) -> list[Part]:
        """What its row says behind its name."""
        origin = self.origin
        role = f"{state_of(origin)} {_version_of(origin).removeprefix('PostgreSQL ')}"
        words = [origin.image or "built by compose", *map(published, origin.ports)]
        service = "" if isinstance(origin, ComposeService) else origin.compose_service
        if service:
            words.append(f"compose {origin.compose_project}/{service}")
        style = "" if can_answer(origin) else "$foreground-muted"
        return [(f"{role:<{_ROLE_WIDTH}}", style), "  ".join(words)]


@dataclass(frozen=True, slots=True)
class Behind:
    """What a Docker engine has, or why there is none; and the compose file that was read."""

    engine: str
    containers: tuple[PostgresContainer, ...] = ()
    refusal: PitrError | None = None
    project: ComposeProject | None = None
    no_project: PitrError | None = None

    def rows(self) -> tuple[Contained, ...]:
        """Containers that may be the primary, and services that have none; ours are left out."""
        project = self.project
        name = project.name if project is not None else ""
        others = (one for one in self.containers if not one.recovered)
        missing = (
            one for one in (project.postgres if project else ()) if not one.among(self.containers)
        )
        return (
            *(Contained(one, bool(name) and one.compose_project == name) for one in others),
            *(Contained(one, True) for one in missing),
        )

    def facts(self) -> list[Fact]:
        """The engine and the compose file in a line each."""
        rows = []
        if self.refusal is not None:
            words = f"{self.refusal.what}: {self.refusal.why}".rstrip(": ")
            rows.append(Fact("Docker", words, hint=self.refusal.hint))
        else:
            ours = sum(1 for one in self.containers if one.recovered)
            told = count_text(len(self.containers) - ours, "PostgreSQL container")
            told += (
                f", and {count_text(ours, 'secondary', 'secondaries')} of pitr's" if ours else ""
            )
            rows.append(Fact("Docker", f"{self.engine}: {told}"))
        if self.no_project is not None:
            words = f"{self.no_project.what}: {self.no_project.why}".rstrip(": ")
            rows.append(
                Fact("compose file", words, status=Status.WARNING, hint=self.no_project.hint)
            )
        elif self.project is not None:
            services = ", ".join(one.name for one in self.project.postgres) or "none of PostgreSQL"
            rows.append(Fact("compose file", str(self.project.path), f"services: {services}"))
        return rows


def look_around(emit: Emit[Found], cancel: threading.Event) -> None:
    """Find the running servers, then ask each who it is."""
    servers = find_running()
    for server in servers:
        emit(Found(server, None))
    for server in servers:
        if cancel.is_set():
            return
        try:
            facts = Primary(server.database).facts()
            emit(Found(server, facts, is_recovered(server.data_directory)))
        except PitrError as error:
            emit(Found(server, error))


def look_behind(reach: Reach, compose: Path | None) -> Behind:
    """Ask the engine for its containers, and read the compose file that is named or lies here."""
    project, no_project = None, None
    try:
        file = compose or _compose_file_here()
        project = read_compose(file, os.environ) if file is not None else None
    except PitrError as error:
        no_project = error
    try:
        engine = reach.engine()
        kind = "rootless Docker" if engine.rootless else "Docker"
        containers = find_postgres(engine)
    except PitrError as error:
        return Behind("", refusal=error, project=project, no_project=no_project)
    told = f"{kind} {engine.version} at {engine.address}"
    return Behind(told, containers, project=project, no_project=no_project)


def _compose_file_here() -> Path | None:
    """The working directory, if a compose file lies in it."""
    here = Path.cwd()
    found = any(path.stem in _COMPOSE_STEMS for path in here.glob("*compose.y*ml"))
    return here if found else None


def key_of(origin: Origin) -> str:
    """What tells one container or service from every other one."""
    if isinstance(origin, ComposeService):
        return f"service:{origin.compose_project}/{origin.name}"
    return f"container:{origin.id}"


def can_answer(origin: Origin) -> bool:
    """Whether there is a server that can be asked."""
    return isinstance(origin, PostgresContainer) and origin.running


def image_of(origin: Origin) -> str:
    """The image that has the primary's own tools, as the engine knows it."""
    return origin.image if isinstance(origin, ComposeService) else origin.image_id


def state_of(origin: Origin) -> str:
    """How a container stands, in one word or two."""
    if isinstance(origin, ComposeService):
        return "not created"
    return _STATES.get(origin.state, origin.state)


def published(port: PublishedPort) -> str:
    """A published port in few letters."""
    host = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip or "*"
    return f"{host}:{port.host_port or '(any)'}"


def origin_facts(origin: Origin) -> list[Fact]:
    """What is known of a primary that cannot be asked: enough to take its WAL and its image."""
    kind = "service" if isinstance(origin, ComposeService) else "container"
    rows = [
        Fact(
            "primary",
            f"{kind} {origin.name}: {state_of(origin)}",
            "a recovery is possible from backup and archive",
            Status.WARNING,
        ),
        Fact("image", origin.image or "built by compose", _version_of(origin)),
    ]
    held = origin.mount_of(origin.data_directory)
    where = _mounted(held[0]) if held else "the container's own layer"
    rows.append(Fact("data directory", str(origin.data_directory), where))
    inner = held[0] if held else None
    rows += [
        Fact("mount", str(mount.target), _mounted(mount))
        for mount in origin.mounts
        if mount is not inner
    ]
    return rows


def server_facts(facts: PrimaryFacts, place: str, seconds_ahead: float) -> list[Fact]:
    """Who a server is that answered; its clock is ahead of ours by so much, or behind it."""
    side = "ahead of" if seconds_ahead > 0 else "behind"
    off = f"{duration_text(abs(seconds_ahead))} {side} the clock here"
    wrong = abs(seconds_ahead) > _CLOCK_SLACK_SECONDS
    rows = [
        Fact("connected to", place, status=Status.OK),
        Fact("version", f"PostgreSQL {facts.version}", f"timeline {int(facts.timeline)}"),
        Fact("system identifier", str(facts.system_identifier)),
        Fact("data directory", str(facts.data_directory or "hidden from this user")),
        Fact("size", size_text(facts.total_bytes), "all databases"),
        Fact(
            "clock",
            f"{facts.clock:%Y-%m-%d %H:%M:%S %z}  ({facts.time_zone})",
            off if wrong else "",
            Status.WARNING if wrong else None,
        ),
    ]
    if facts.in_recovery:
        words = "in recovery: a standby; archiving and backups belong to its primary"
        rows.append(Fact("state", words, status=Status.WARNING))
    else:
        rows.append(Fact("state", "open for writing"))
    if not facts.superuser:
        words = "not a superuser: archiving can be looked at, not changed"
        rows.append(Fact("rights", words, status=Status.WARNING))
    return rows


def place_of(database: Database, origin: Origin | None) -> str:
    """Host and port, or the container, with user and database, in one short line."""
    given = database.parameters
    if origin is not None:
        return f"the container {origin.name}, as {given['user']}, database {given['dbname']}"
    host = given.get("host") or "the default socket"
    return (
        f"{host}, port {given.get('port', '5432')}, "
        f"as {given.get('user', 'the default user')}, database {given['dbname']}"
    )


def _version_of(origin: Origin) -> str:
    """The version as far as it is known: a service's tag mostly says the major alone."""
    if origin.version is None:
        return ""
    missing = isinstance(origin, ComposeService)
    return f"PostgreSQL {origin.version.major if missing else origin.version}"


def _mounted(mount: Mount) -> str:
    kind = {"bind": "directory", "tmpfs": "memory"}.get(mount.kind, mount.kind)
    access = "" if mount.writable else ", read-only"
    nameless = len(mount.source) == _NAMELESS and mount.kind == "volume"
    source = f"{mount.source[:12]}…" if nameless else mount.source
    return f"{kind} {source}".rstrip() + access


def name_width(names: Iterable[str]) -> int:
    """How wide the first column of the list is."""
    return min(_LONGEST_NAME, max((len(name) for name in names), default=0))
