"""SQL into a container that has neither a network nor a published port."""

from __future__ import annotations

import io
import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from docker import DockerClient
from docker.models.containers import Container

from pitr_tui.containers.engine import Engine
from pitr_tui.containers.relay import SqlRelay
from tests.docker import world
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker

Connection = Any


@pytest.fixture(scope="module")
def seen(engine: DockerClient) -> Iterator[Engine]:
    """The engine as our code sees it."""
    with closing(Engine.connect()) as ours:
        yield ours


@pytest.fixture(scope="module", params=["postgres:15", "postgres:15-busybox", "postgres:11"])
def server(request: pytest.FixtureRequest, engine: DockerClient) -> Iterator[Container]:
    """A server without a network, whose TCP connections need a password."""
    container = engine.containers.run(
        world.image(engine, request.param),
        detach=True,
        name=f"pitr-test-{uuid.uuid4().hex[:8]}",
        network_mode="none",
        labels={world.MARK: "relay"},
        environment={
            "POSTGRES_PASSWORD": world.PASSWORD,
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256",
        },
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


@pytest.fixture
def relay(seen: Engine, server: Container) -> Iterator[SqlRelay]:
    """A way to the server, once it answers."""
    with closing(SqlRelay(seen, str(server.id))) as relay:

        def answers() -> bool:
            try:
                connect(relay).close()
            except psycopg2.OperationalError:
                return False
            return True

        wait_until(answers, 60)
        yield relay


def connect(relay: SqlRelay, password: str = world.PASSWORD) -> Connection:
    where: dict[str, Any] = {**relay.parameters, "connect_timeout": 20}
    return psycopg2.connect(**where, user="postgres", password=password)


def value(connection: Connection, query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def abandon(relay: SqlRelay) -> None:
    """Connect, begin to speak, and go without a word, as a client does that is killed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{relay.parameters['host']}/.s.PGSQL.{relay.parameters['port']}")
        words = struct.pack(">i", 196608) + b"user\0postgres\0\0"
        client.sendall(struct.pack(">i", len(words) + 4) + words)
        assert client.recv(1) == b"R"


def carriers(server: Container) -> list[str]:
    """What of ours runs in the container."""
    lines = [process[-1] for process in server.top()["Processes"]]
    return [line for line in lines if not line.startswith("postgres")]


def test_a_password_is_checked_by_the_server(relay: SqlRelay) -> None:
    with closing(connect(relay)) as connection:
        assert value(connection, "SELECT host(inet_client_addr())") == "127.0.0.1"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(relay, "wrong")


def test_every_byte_arrives_both_ways(relay: SqlRelay) -> None:
    line = "".join(map(chr, range(0x20, 0x7F))).replace("\\", "") + "ü\n"
    sent = (line * 600).encode()  # our statements are short; what they give may be long
    with closing(connect(relay)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE lines (line text)")
        cursor.copy_expert("COPY lines FROM STDIN", io.BytesIO(sent))
        got = io.BytesIO()
        cursor.copy_expert("COPY lines TO STDOUT", got)
        assert got.getvalue() == sent
        cursor.execute("INSERT INTO lines SELECT lines.line FROM lines, generate_series(1, 99)")
        much = io.BytesIO()
        cursor.copy_expert("COPY lines TO STDOUT", much)
        assert much.getvalue() == sent * 100
        every = bytes(range(256)) * 100
        cursor.execute("SELECT %s::bytea", (psycopg2.Binary(every),))
        assert bytes(cursor.fetchone()[0]) == every


def test_connections_do_not_hinder_each_other(relay: SqlRelay) -> None:
    sums: list[int] = []

    def work() -> None:
        with closing(connect(relay)) as connection:
            sums.extend(value(connection, "SELECT 1") for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sums == [1] * 120


def test_an_end_on_either_side_leaves_nothing_in_the_container(
    relay: SqlRelay, server: Container
) -> None:
    """An orphan that dies by a signal would look to PostgreSQL like the crash of a backend."""
    with closing(connect(relay)) as watching:
        watching.autocommit = True
        begun = value(watching, "SELECT pg_postmaster_start_time()")
        for _ in range(4):
            connect(relay).close()
            abandon(relay)
            ended = connect(relay)
            assert value(watching, f"SELECT pg_terminate_backend({ended.get_backend_pid()})")
            with pytest.raises(psycopg2.OperationalError):
                value(ended, "SELECT 1")
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
        wait_until(lambda: value(watching, sessions) == 1, 20)
        assert value(watching, "SELECT pg_postmaster_start_time()") == begun
    wait_until(lambda: not carriers(server), 20)
    assert b"terminated by signal" not in server.logs()


def test_closing_ends_every_connection(seen: Engine, relay: SqlRelay, server: Container) -> None:
    raised: list[psycopg2.Error] = []
    own = SqlRelay(seen, str(server.id))
    with closing(connect(relay)) as watching, closing(connect(own)) as connection:
        watching.autocommit = True

        def blocked() -> None:
            try:
                value(connection, "SELECT pg_sleep(20)")
            except psycopg2.Error as error:
                raised.append(error)

        thread = threading.Thread(target=blocked)
        thread.start()
        sleeping = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: value(watching, f"SELECT count(*) {sleeping}") == 1, 20)
        own.close()
        thread.join(5)
        assert not thread.is_alive()
        assert raised
        assert value(watching, f"SELECT pg_terminate_backend(pid) {sleeping}")
    assert not Path(own.parameters["host"]).exists()
    with pytest.raises(psycopg2.OperationalError):
        connect(own)


def test_a_server_that_does_not_answer_is_an_ordinary_error(
    seen: Engine, relay: SqlRelay, server: Container
) -> None:
    with (
        closing(SqlRelay(seen, str(server.id), 5439)) as nobody,
        pytest.raises(psycopg2.OperationalError, match="nothing answers on port 5439"),
    ):
        connect(nobody)
    with (
        closing(SqlRelay(seen, "no-such-container")) as nowhere,
        pytest.raises(psycopg2.OperationalError, match="[Nn]o such container"),
    ):
        connect(nowhere)
    mode = Path(relay.parameters["host"]).stat().st_mode
    assert mode & 0o077 == 0
