"""Compose files as people write them become services; what cannot be read is told with its line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from pitr_tui.containers.command import settings_of
from pitr_tui.containers.compose import ComposeProject, read_compose
from pitr_tui.containers.container import Mount, PublishedPort
from pitr_tui.containers.interpolation import interpolated, read_variables
from pitr_tui.containers.service import ComposeService
from pitr_tui.errors import PitrError, UsageError
from pitr_tui.postgres.version import PostgresVersion

TUTORIAL = """
services:
  primary:
    image: postgres:11
    environment:
      POSTGRES_PASSWORD: secret-word
    ports:
      - "5432:5432"
    volumes:
      - primary-data:/var/lib/postgresql/data
      - ./archive:/archive
  secondary:
    image: postgres:11
    environment:
      - POSTGRES_PASSWORD=secret-word
    volumes:
      - secondary-data:/var/lib/postgresql/data
      - ./archive:/archive:ro
volumes:
  primary-data:
  secondary-data:
"""


def read(
    directory: Path, text: str, environment: Mapping[str, str] | None = None
) -> ComposeProject:
    path = directory / "docker-compose.yml"
    path.write_text(text)
    return read_compose(path, environment or {})


def only(
    directory: Path, body: str, environment: Mapping[str, str] | None = None
) -> ComposeService:
    """The one service of a file with this description, written at the depth of a service."""
    text = "services:\n  db:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return read(directory, text, environment).service("db")


def test_the_tutorial(tmp_path: Path) -> None:
    place = tmp_path / "My Project"
    place.mkdir()
    project = read(place, TUTORIAL)
    assert project.name == "myproject"
    primary, secondary = project.postgres
    assert primary.version == PostgresVersion.parse("11")
    assert primary.data_directory == PurePosixPath("/var/lib/postgresql/data")
    assert primary.mounts == (
        Mount("volume", "myproject_primary-data", PurePosixPath("/var/lib/postgresql/data"), True),
        Mount("bind", str(place / "archive"), PurePosixPath("/archive"), True),
    )
    assert primary.ports == (PublishedPort(5432, "", 5432),)
    assert primary.networks == {"myproject_default": ""}
    assert (primary.user, primary.database, primary.password) == (
        "postgres",
        "postgres",
        "secret-word",
    )
    assert secondary.password == "secret-word"
    assert not secondary.mounts[1].writable
    held = secondary.mount_of(PurePosixPath("/archive/sub/file"))
    assert held == (secondary.mounts[1], PurePosixPath("sub/file"))
    assert secondary.mount_of(PurePosixPath("/archives")) is None


def test_no_password_is_shown(tmp_path: Path) -> None:
    assert "secret-word" not in repr(read(tmp_path, TUTORIAL))


@pytest.mark.parametrize(
    ("text", "environment", "name"),
    [
        ("name: shop\n", {}, "shop"),
        ("name: ${WHO:-shop}-db\n", {"WHO": "my"}, "my-db"),
        ("name: shop\n", {"COMPOSE_PROJECT_NAME": "other"}, "other"),
        ("", {}, "dirdots"),
    ],
)
def test_project_name(tmp_path: Path, text: str, environment: dict[str, str], name: str) -> None:
    """The environment goes before the file, and both before the directory, as with Docker."""
    place = tmp_path / "_Dir.dots"
    place.mkdir()
    body = "services: {db: {image: postgres, container_name: '$COMPOSE_PROJECT_NAME-x'}}\n"
    project = read(place, text + body, environment)
    assert project.name == name
    assert project.service("db").container_name == f"{name}-x"


@pytest.mark.parametrize(
    ("top", "engine_name"),
    [
        ("volumes: {v: }", "p_v"),
        ("volumes: {v: {}}", "p_v"),
        ("volumes: {v: {external: true}}", "v"),
        ("volumes: {v: {external: false}}", "p_v"),
        ("volumes: {v: {name: real}}", "real"),
        ("volumes: {v: {external: true, name: real}}", "real"),
        ("volumes: {v: {external: {name: real}}}", "real"),
    ],
)
@pytest.mark.parametrize("written", ["v:/x", "{type: volume, source: v, target: /x}"])
def test_engine_name_of_a_volume(tmp_path: Path, top: str, engine_name: str, written: str) -> None:
    text = f"name: p\n{top}\nservices: {{db: {{image: postgres, volumes: [{written}]}}}}\n"
    assert read(tmp_path, text).service("db").mounts[0].source == engine_name


def test_volumes_in_every_way(tmp_path: Path) -> None:
    body = """\
image: postgres:18
tmpfs: /run/x:size=1m
volumes:
  - /anonymous
  - ../up:/up:ro,z
  - type: bind
    source: ./long
    target: /long
    read_only: true
  - {type: tmpfs, target: /mem}"""
    service = only(tmp_path, body)
    assert service.data_directory == PurePosixPath("/var/lib/postgresql/18/docker")
    assert [(one.kind, one.source, str(one.target), one.writable) for one in service.mounts] == [
        ("volume", "", "/anonymous", True),
        ("bind", str(tmp_path.parent / "up"), "/up", False),
        ("bind", str(tmp_path / "long"), "/long", False),
        ("tmpfs", "", "/mem", True),
        ("tmpfs", "", "/run/x", True),
    ]


@pytest.mark.parametrize(
    ("written", "ports"),
    [
        ("5432", [(5432, "", 0)]),
        ("22:22", [(22, "", 22)]),
        ("127.0.0.1:5433:5432", [(5432, "127.0.0.1", 5433)]),
        ("127.0.0.1::5432", [(5432, "127.0.0.1", 0)]),
        ("'[::1]:5433:5432/tcp'", [(5432, "::1", 5433)]),
        ("5432:5432/udp", []),
        ("6000-6001:5432-5433", [(5432, "", 6000), (5433, "", 6001)]),
        ("{target: 5432, published: '5433', host_ip: 127.0.0.1}", [(5432, "127.0.0.1", 5433)]),
        ("{target: 53, protocol: udp}", []),
    ],
)
def test_ports(tmp_path: Path, written: str, ports: list[tuple[int, str, int]]) -> None:
    assert list(only(tmp_path, f"image: postgres\nports:\n- {written}").ports) == ports


def test_networks(tmp_path: Path) -> None:
    text = """\
name: p
networks: {back: {name: real}, front: {}}
services:
  a: {image: postgres, networks: [back, front]}
  b: {image: postgres, networks: {back: {ipv4_address: 10.9.0.5}, front: }}
  c: {image: postgres, network_mode: host}
  d: {image: postgres, network_mode: none}
"""
    project = read(tmp_path, text)
    assert [dict(service.networks) for service in project.services] == [
        {"real": "", "p_front": ""},
        {"real": "10.9.0.5", "p_front": ""},
        {"host": ""},
        {},
    ]


def test_merge_keys_and_extension_fields(tmp_path: Path) -> None:
    text = """\
x-server: &server
  image: postgres:15.4
  environment: &env
    POSTGRES_USER: app
services:
  one:
    <<: *server
    environment:
      <<: *env
      POSTGRES_PASSWORD: pw
  two:
    <<: *server
"""
    one, two = read(tmp_path, text).postgres
    assert (one.user, one.database, one.password) == ("app", "app", "pw")
    assert (two.user, two.password) == ("app", "")
    assert two.version == PostgresVersion.parse("15.4")


def test_settings_of_the_command(tmp_path: Path) -> None:
    body = """\
image: postgres:15
command: >-
  -c archive_mode=on -c archive_command='test ! -f /a/%f && cp %p /a/%f'
  --data-directory=/elsewhere"""
    service = only(tmp_path, body)
    assert service.is_postgres
    assert service.fixed_settings() == {
        "archive_mode": "on",
        "archive_command": "test ! -f /a/%f && cp %p /a/%f",
        "data_directory": "/elsewhere",
    }
    assert service.data_directory == PurePosixPath("/elsewhere")


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("-c a=b -cc=d --E-f=g", {"a": "b", "c": "d", "e_f": "g"}),
        (
            "postgres -p 5433 -N100 -D /data -c 'x=y z'",
            {"port": "5433", "max_connections": "100", "x": "y z"},
        ),
        ("sh -ec 'chown x /d; exec postgres -c a=b && echo -c c=d'", {"a": "b"}),
        ("-c a=b -c a=c", {"a": "c"}),
        ("-c", {}),
        ("psql -c 'SELECT 1=1'", {}),
    ],
)
def test_settings_in_every_way(command: str, settings: dict[str, str]) -> None:
    words = shlex.split(command)
    entrypoint = [] if words[0] == "sh" else ["docker-entrypoint.sh"]
    assert settings_of([*entrypoint, *words]) == settings


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("image: postgres", True),
        ("image: registry.example:5000/team/postgres:16-alpine", True),
        ("image: postgis/postgis:15-3.4", True),
        ("image: timescale/timescaledb:2.14.2-pg15", True),
        ("image: bitnami/postgresql:16", True),
        ("image: supabase/postgres:15.1.0.147\ncommand: postgres -c log_min_messages=fatal", True),
        ("build: .\nvolumes: ['data:/var/lib/postgresql/data']", True),
        ("build: ./db\nenvironment: {PGDATA: /data}", True),
        ("image: postgres\nentrypoint: /wrap.sh\nvolumes: ['d:/var/lib/postgresql']", True),
        ("image: postgres\nentrypoint:\ncommand: ['postgres']", True),
        ("image: postgres\ncommand: psql -h primary", False),
        ("image: postgres\nentrypoint: ['sh', '-c', 'pg_dump -h db']", False),
        ("image: prometheuscommunity/postgres-exporter", False),
        ("image: dpage/pgadmin4", False),
        ("image: postgrest/postgrest", False),
        ("image: nginx", False),
        ("build: .\nenvironment: {POSTGRES_PASSWORD: x, PGHOST: primary}", False),
        ("image: backup\nvolumes: ['d:/var/lib/postgresql/data:ro']", False),
    ],
)
def test_what_is_a_server(tmp_path: Path, body: str, expected: bool) -> None:
    assert only(tmp_path, body).is_postgres is expected


def test_environment_from_files(tmp_path: Path) -> None:
    """`environment` goes before the files; a name alone takes its value from outside."""
    (tmp_path / ".env").write_text("TAG=15\nOUTER=from-dotenv\nPOSTGRES_DB=outer\n")
    (tmp_path / "db.env").write_text("POSTGRES_USER=file\nPOSTGRES_PASSWORD='p#w'\n")
    body = """\
image: postgres:${TAG}
env_file:
  - db.env
  - {path: absent.env, required: false}
environment:
  - POSTGRES_USER=${OUTER}
  - POSTGRES_DB
  - NOT_SET"""
    service = only(tmp_path, body, {"OUTER": "from-shell"})
    assert service.image == "postgres:15"
    assert (service.user, service.database) == ("from-shell", "outer")
    assert service.password == "p#w"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A${A}", "11"),
        ("${E:-x}${E-x}${N:-x}${N-x}", "xxx"),
        ("${A:+x}${E:+x}${E+y}${N+z}", "xy"),
        ("${A:?must}${E?must}", "1"),
        ("${N:-a${N:-${A}}b}", "a1b"),
        ("$$A $${A}", "$A ${A}"),
        ("100%", "100%"),
    ],
)
def test_interpolation(text: str, expected: str) -> None:
    assert interpolated(text, {"A": "1", "E": ""}) == expected


@pytest.mark.parametrize("text", ["${A", "$1", "$", "${A!x}", "${1}", "${}", "${N:?}", "${E:?x}"])
def test_refused_interpolation(text: str) -> None:
    with pytest.raises(UsageError):
        interpolated(text, {"A": "1", "E": ""})


def test_variables_file() -> None:
    text = (
        '\ufeffA=1\n\n # no\nB=a b # c\nC=\'it\'\'s\'\nD="two\nlines"\nE="q\\"q"\n'
        'F: yaml\nG=\nH=x#y\nOUTSIDE\nUNKNOWN\nI=$A-${OUTSIDE}\r\nJ="\\$A"\n'
    )
    assert read_variables(text, {"OUTSIDE": "o"}) == {
        "A": "1",
        "B": "a b",
        "C": "it",
        "D": "two\nlines",
        "E": 'q"q',
        "F": "yaml",
        "G": "",
        "H": "x#y",
        "OUTSIDE": "o",
        "I": "1-o",
        "J": "$A",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("services:\n  db:\n   image: [postgres\n", "line"),
        ("services:\n  db: {image: x}\n bad\n", "line 3"),
        ("services:\n  db:\n    image: ${TAG:?say which}\n", "line 3"),
        ("services:\n  db:\n    image: ${TAG:?say which}\n", "say which"),
        ("services:\n  db: {image: !reset x}\n", "line 2"),
        ("", "empty"),
        ("- a\n", "no mapping"),
        ("volumes: {a: }\n", "no services"),
        ("services: [a]\n", "no mapping"),
        ("services: {a: text}\n", "no mapping"),
        ("services: {a: {image: x, ports: [y:z]}}\n", "'a'"),
        ("services: {a: {image: x, ports: ['1-9999999999:5432']}}\n", "'a'"),
        ("services: {a: {image: x, ports: ['9-1:5432']}}\n", "'a'"),
        ("services: {a: {image: x, env_file: .}}\n", "cannot be read"),
        ("services: {a: {image: x, volumes: [{source: y}]}}\n", "'a'"),
        ("services: {a: {image: [x]}}\n", "'a'"),
        ("services: {a: {image: x, environment: [{K: v}]}}\n", "'a'"),
        ("services: {a: {image: x, environment: {K: [v]}}}\n", "'a'"),
        ("services: {a: {image: x, env_file: nowhere.env}}\n", "nowhere.env"),
        ("services: {a: {image: x, extends: {service: b}}}\n", "docker compose config"),
        ("include: [other.yml]\nservices: {a: {image: x}}\n", "docker compose config"),
        ("a: \x01\n", "YAML"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PitrError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert str(tmp_path) in caught.value.what


def test_absent_files(tmp_path: Path) -> None:
    with pytest.raises(PitrError, match="No such file"):
        read_compose(tmp_path / "none.yml", {})
    with pytest.raises(PitrError, match="no compose file"):
        read_compose(tmp_path, {})
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PitrError, match="UTF-8"):
        read_compose(tmp_path / "binary.yml", {})


def test_a_directory_stands_for_its_file(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {db: {image: postgres}}\n")
    assert read_compose(tmp_path, {}).path == tmp_path / "compose.yaml"


def test_unknown_service(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="primary, secondary"):
        read(tmp_path, TUTORIAL).service("third")


def test_an_endless_file_ends(tmp_path: Path) -> None:
    """An alias that holds itself, and one that multiplies, are read in no time."""
    lines = ["x0: &x0 [a]"] + [
        f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 30)
    ]
    text = "\n".join([*lines, "y: &y [*y]", "services: {db: {image: postgres}}", ""])
    assert read(tmp_path, text).service("db").is_postgres
