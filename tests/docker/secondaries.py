"""Questions to a recovered secondary, asked beside the program that made it."""

from __future__ import annotations

from docker.models.containers import Container

from tests.docker.world import executed


def query(container: Container, sql: str) -> str:
    code, text = executed(
        container, ["psql", "-XAt", "-h", "127.0.0.1", "-U", "postgres", "-c", sql]
    )
    assert code == 0, text
    return text


def has(container: Container, name: str) -> bool:
    return executed(container, ["test", "-e", f"/pitr/data/{name}"])[0] == 0


def assert_undisturbed(container: Container) -> None:
    """Nothing that we did in or around a server's container may look like a crash to it."""
    log = container.logs().decode()
    assert "terminated by signal" not in log
    assert "reinitializing" not in log
