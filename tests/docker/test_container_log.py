"""A container's log: whole lines, each once, whatever breaks in between."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.logs import ContainerLog
from tests.docker import world
from tests.docker.cutting import Cutter
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker

IMAGE = "postgres:15-busybox"
Run = Callable[..., Container]


@pytest.fixture
def cutter(engine: DockerClient, tmp_path: Path) -> Iterator[Cutter]:
    with closing(Cutter(tmp_path / "engine.sock")) as cutter:
        yield cutter


@pytest.fixture
def seen(cutter: Cutter) -> Iterator[Engine]:
    """The engine as our code sees it, through a connection that can be cut."""
    with closing(Engine.connect(cutter.url)) as ours:
        yield ours


@pytest.fixture
def run(engine: DockerClient) -> Iterator[Run]:
    """Run a script in a container of its own."""
    made: list[Container] = []

    def run(script: str, **options: Any) -> Container:
        container = engine.containers.create(
            world.image(engine, IMAGE),
            entrypoint=["sh", "-c", script],
            name=f"pitr-test-{uuid.uuid4().hex[:8]}",
            labels={world.MARK: "log"},
            **options,
        )
        made.append(container)
        container.start()
        return container

    yield run
    for container in made:
        with suppress(NotFound):
            container.remove(force=True, v=True)


def all_of(log: ContainerLog, seconds: float = 60) -> list[str]:
    """Every line until the container has stopped."""
    lines: list[str] = []

    def ended() -> bool:
        lines.extend(log.lines())
        return log.ended

    wait_until(ended, seconds)
    return lines


def first_of(log: ContainerLog) -> list[str]:
    """The first lines that come."""
    lines: list[str] = []

    def came() -> bool:
        lines.extend(log.lines())
        return bool(lines)

    wait_until(came, 20)
    return lines


@pytest.mark.parametrize("tty", [False, True], ids=["frames", "terminal"])
def test_lines_come_whole_and_as_they_were(seen: Engine, run: Run, tty: bool) -> None:
    script = (
        "echo one; printf 'tw'; printf 'o\\n\\n'; printf 'b\\377d\\n'; "
        "head -c 40000 /dev/zero | tr '\\000' x; echo; echo 2026-11-22T10:00:00Z text; echo end"
    )
    with closing(ContainerLog(seen, run(script, tty=tty).name or "")) as log:
        wanted = ["one", "two", "", "b\ufffdd", "x" * 40000, "2026-11-22T10:00:00Z text", "end"]
        assert all_of(log) == wanted


def test_both_outputs_are_read(seen: Engine, run: Run) -> None:
    container = run("for n in 1 2 3; do echo out $n; echo err $n >&2; done; printf 'no end' >&2")
    with closing(ContainerLog(seen, str(container.id))) as log:
        lines = all_of(log)
    assert [line for line in lines if line.startswith("out")] == ["out 1", "out 2", "out 3"]
    assert [line for line in lines if not line.startswith("out")] == [
        "err 1",
        "err 2",
        "err 3",
        "no end",
    ]


@pytest.mark.parametrize("tty", [False, True], ids=["frames", "terminal"])
def test_no_line_is_lost_or_doubled_when_the_connection_breaks(
    seen: Engine, cutter: Cutter, run: Run, tty: bool
) -> None:
    script = (
        "n=0; while [ $n -lt 12000 ]; do n=$((n+1)); echo line $n; "
        "[ $((n % 200)) -eq 0 ] && sleep 0.02; done; :"
    )
    container = run(script, tty=tty)
    lines: list[str] = []
    cuts = 0
    with closing(ContainerLog(seen, str(container.id))) as log:
        for goal in range(1000, 12000, 1000):

            def reached(goal: int = goal) -> bool:
                lines.extend(log.lines())
                return len(lines) >= goal

            wait_until(reached, 60)
            cutter.refusing = goal % 3000 == 0
            cuts += cutter.cut()
            if cutter.refusing:
                wait_until(lambda: bool(log.trouble), 20)
                cutter.refusing = False
        lines += all_of(log)
        assert log.trouble == ""
    assert cuts >= 5
    assert lines == [f"line {n}" for n in range(1, 12001)]


def test_a_container_that_starts_again_is_followed(seen: Engine, run: Run) -> None:
    container = run("echo begun; read nothing; echo stopped", stdin_open=True)
    with closing(ContainerLog(seen, str(container.id))) as log:
        lines: list[str] = []

        def came(count: int) -> bool:
            lines.extend(log.lines())
            return len(lines) >= count

        wait_until(lambda: came(1), 20)
        assert not log.ended
        container.kill()
        wait_until(lambda: log.ended, 20)
        container.start()
        wait_until(lambda: came(2), 20)
        assert not log.ended
        assert lines == ["begun", "begun"]


def test_it_begins_where_it_is_told_to(seen: Engine, run: Run) -> None:
    container = run("echo before; read nothing", stdin_open=True)
    wait_until(lambda: b"before" in container.logs(), 20)
    since = datetime.now(UTC)
    container.restart(timeout=0)
    with closing(ContainerLog(seen, str(container.id), since)) as log:
        lines = first_of(log)
        assert lines == ["before"]


def test_a_reader_that_is_slow_is_waited_for(seen: Engine, run: Run) -> None:
    """What is not taken yet stays with the engine, not in our memory."""
    container = run("seq 1 200000 | sed 's/$/ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/'")
    container.wait()
    with closing(ContainerLog(seen, str(container.id))) as log:
        lines: list[str] = []
        biggest = 0

        def ended() -> bool:
            nonlocal biggest
            some = log.lines()
            biggest = max(biggest, sum(map(len, some)))
            lines.extend(some)
            return log.ended

        wait_until(lambda: log._size >= 4 << 20, 30)
        wait_until(ended, 60)
    assert biggest < 6 << 20
    assert [int(line.split()[0]) for line in lines] == list(range(1, 200_001))


@pytest.mark.parametrize("script", ["sleep 1000", "yes", "true"])
def test_it_closes_at_once(seen: Engine, run: Run, script: str) -> None:
    log = ContainerLog(seen, str(run(script, log_config={"Config": {"max-size": "20m"}}).id))
    threads = [t for t in threading.enumerate() if t.name == "container-log"]
    assert threads
    log.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_a_log_that_cannot_be_read_is_refused(seen: Engine, run: Run) -> None:
    silent = run("sleep 1000", log_config={"Type": "none"})
    with pytest.raises(EngineError, match="cannot be read"):
        ContainerLog(seen, str(silent.id))
    with pytest.raises(EngineError, match="cannot be read"):
        ContainerLog(seen, "no-such-container")


def test_a_container_that_is_removed_has_ended(seen: Engine, run: Run) -> None:
    container = run("echo all; sleep 1000")
    with closing(ContainerLog(seen, str(container.id))) as log:
        lines = first_of(log)
        container.remove(force=True, v=True)
        wait_until(lambda: log.ended, 20)
        assert lines == ["all"]
