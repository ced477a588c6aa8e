"""A compose file as values: its services, also those that do not run, and what they mount.

The file is read as Docker reads it, but every scalar stays text: `5432:5432`, `on` and `1.10`
must not become a number or a truth value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pitr_tui.containers.interpolation import interpolated, read_variables
from pitr_tui.containers.service import ComposeService, Surroundings, service_of
from pitr_tui.errors import PitrError, UsageError
from pitr_tui.postgres.quote import visible

if TYPE_CHECKING:
    import yaml

_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_NAME_VARIABLE = "COMPOSE_PROJECT_NAME"
_FLAT = "write it out flat with 'docker compose config > flat.yml' and name that file"


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A compose file's project: the name that its containers carry, and its services."""

    path: Path
    name: str
    services: tuple[ComposeService, ...]

    @property
    def postgres(self) -> tuple[ComposeService, ...]:
        """The services that are PostgreSQL servers."""
        return tuple(service for service in self.services if service.is_postgres)

    def service(self, name: str) -> ComposeService:
        """The service of that name. Raises UsageError with the names that there are."""
        for service in self.services:
            if service.name == name:
                return service
        names = ", ".join(service.name for service in self.services)
        raise UsageError(
            f"{self.path} has no service {name!r}", f"its services are {names}", "name one of them"
        )


def read_compose(path: Path, environment: Mapping[str, str]) -> ComposeProject:
    """Read a compose file, or the one in a directory, with `.env` beside it.

    Raises PitrError, with the line where there is one.
    """
    path = _file(path).absolute()
    text = _text(path)
    known = _variables(path.parent, environment)
    raw, name = _load(path, text, known)
    if "include" in raw:
        raise _refused(path, "it uses 'include'")
    surroundings = Surroundings(
        project=name,
        directory=path.parent,
        environment=known,
        volumes=_section(path, raw, "volumes"),
        networks=_section(path, raw, "networks"),
    )
    described = _section(path, raw, "services")
    if not described:
        raise PitrError(f"{path} describes no services", "there is no section 'services'")
    services = []
    for service, entry in described.items():
        if not isinstance(entry, Mapping):
            raise PitrError(f"{path} cannot be read", f"the service {service!r} is no mapping")
        if "extends" in entry:
            raise _refused(path, f"the service {service!r} uses 'extends'")
        try:
            services.append(service_of(service, entry, surroundings))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PitrError(
                f"{path} cannot be read",
                f"the service {service!r} is not written as a compose file wants it",
                "'docker compose config' says more",
            ) from error
    return ComposeProject(path, name, tuple(services))


def _load(path: Path, text: str, known: dict[str, str]) -> tuple[dict[str, Any], str]:
    """The file's contents with its variables replaced, and the project's name.

    The name is looked at before the rest, because values may refer to it. As with Docker,
    the environment goes before the file, and the directory's name is the last resort.
    """
    import yaml

    with _yaml_errors(path):
        loader = _loader_class()(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise PitrError(f"{path} is no compose file", "it is empty or no mapping of names")
        named = [node for key, node in root.value if key.value == "name"]
        _interpolate(path, named, known)
        name = known.get(_NAME_VARIABLE) or next((str(one.value) for one in named), "")
        name = name or _normalised(path.parent.resolve().name)
        rest = [node for key, node in root.value if key.value != "name"]
        _interpolate(path, rest, {**known, _NAME_VARIABLE: name})
        raw: dict[str, Any] = loader.construct_document(root)
    return raw, name


@contextmanager
def _yaml_errors(path: Path) -> Iterator[None]:
    """Turn what the YAML library raises into a PitrError with the line."""
    import yaml

    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise PitrError(
            f"{path} is no proper YAML", visible(f"{line}{error.problem or error.context}")
        ) from error
    except yaml.YAMLError as error:
        raise PitrError(f"{path} is no proper YAML", visible(str(error))) from error


def _loader_class() -> type[yaml.SafeLoader]:
    """A safe loader that knows `<<` and nothing, and takes every other scalar for text."""
    import yaml

    kept = {"tag:yaml.org,2002:merge", "tag:yaml.org,2002:null"}

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            first: [one for one in resolvers if one[0] in kept]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader


def _interpolate(path: Path, nodes: list[yaml.Node], known: Mapping[str, str]) -> None:
    """Replace the variables in the values below some nodes; names of a mapping have none."""
    for node in _values(nodes):
        try:
            node.value = interpolated(node.value, known)
        except UsageError as error:
            line = node.start_mark.line + 1
            raise PitrError(f"{path}, line {line}: {error.what}", error.why, error.hint) from error


def _values(nodes: list[yaml.Node]) -> Iterator[yaml.ScalarNode]:
    """Every scalar that is a value, once: an alias is the same node as its anchor."""
    import yaml

    waiting = list(nodes)
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in _NAMES:
        if (path / name).is_file():
            return path / name
    raise PitrError(f"there is no compose file in {path}", f"looked for {', '.join(_NAMES)}")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise PitrError(
            f"{path} cannot be read", error.strerror or "", "name the compose file with --compose"
        ) from error
    except UnicodeDecodeError as error:
        raise PitrError(f"{path} is no compose file", "it is not UTF-8 text") from error


def _variables(directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What `${NAME}` means: the environment, and below it the file `.env` beside."""
    path = directory / ".env"
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return dict(environment)
    except OSError as error:
        raise PitrError(f"{path} cannot be read", error.strerror or "") from error
    return {**read_variables(text, environment), **environment}


def _section(path: Path, raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name) or {}
    if not isinstance(section, Mapping):
        raise PitrError(f"{path} cannot be read", f"its section {name!r} is no mapping of names")
    return section


def _refused(path: Path, why: str) -> PitrError:
    return PitrError(f"{path} says only a part of what it means", why, _FLAT)


def _normalised(name: str) -> str:
    """A directory's name as the project's name.

    >>> _normalised("My Project.d")
    'myprojectd'
    """
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")
