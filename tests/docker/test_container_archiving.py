"""Archiving on a primary that runs in a container: shown, confirmed, made, proved, put back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

import psycopg2
import pytest
import yaml
from docker import DockerClient

from pitr_tui.cli import main
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.found import postgres_container
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import archiving, container_archiving
from pitr_tui.recovery.access import replication_refusal
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from tests.docker import world
from tests.docker.world import PASSWORD, Project, executed
from tests.integration.test_cli import lines, pitr
from tests.unit.made import segment, segment_bytes, wait_until
from tests.unit.test_archive_command import substituted

pytestmark = pytest.mark.docker

OLD_NEW_AND_BUSYBOX = pytest.mark.parametrize("project", ["11", "18", "15-busybox"], indirect=True)
NAME = segment(2).name
ARCHIVE = PurePosixPath("/archive")


@contextmanager
def server_of(project: Project) -> Iterator[ContainerServer]:
    engine = Engine.connect()
    server = ContainerServer(engine, postgres_container(engine, str(project.primary.name)))
    try:
        yield server
    finally:
        server.close()
        engine.close()


@pytest.fixture
def server(project: Project) -> Iterator[ContainerServer]:
    with server_of(project) as found:
        yield found


def in_data(project: Project, command: str) -> str:
    return project.run(["sh", "-c", f'cd "$PGDATA" && {command}'])


def files(project: Project) -> str:
    return in_data(project, "ls; cat postgresql.auto.conf pg_hba.conf")


def changed(text: str, command: list[str]) -> str:
    """The tutorial's compose file whose primary has a command."""
    described = yaml.safe_load(text)
    described["services"]["primary"]["command"] = command
    return yaml.safe_dump(described, sort_keys=False)


def crashes(project: Project) -> list[str]:
    """What a postmaster says when it takes somebody else's end for a crash of its own."""
    said = project.primary.logs().decode().splitlines()
    return [line for line in said if "by signal" in line or "recovery mode" in line]


@OLD_NEW_AND_BUSYBOX
def test_archiving_is_turned_on_and_proved(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", project.name)
    project.run(["chown", "root:root", "/archive"], user="root")
    in_data(project, "sed -i '/replication/d' pg_hba.conf")
    in_data(project, "echo 'host replication all all reject' >>pg_hba.conf")
    project.sql("SELECT pg_reload_conf()")
    before = files(project)
    which = ["--compose", project.file, "--service", "primary"]

    status = pitr("archive", "status", *which, "--json")
    assert status.returncode == 3, status.stdout
    assert "archive_mode is off" in lines(status)[0]["problems"]
    assert "rejects replication connection" in lines(status)[0]["refused"]

    assert pitr("archive", "enable", *which, "--json").returncode == 3  # nobody said yes
    assert pitr("archive", "enable", *which, "--yes", "--no-restart").returncode == 3
    assert files(project) == before
    assert project.run(["stat", "-c", "%u", "/archive"]) == "0"

    done = pitr("archive", "enable", *which, "--yes", "--json")
    assert done.returncode == 0, done.stdout
    change, kept, proof = lines(done)
    assert change["pg_hba"].split() == ["host", "replication", "postgres", "127.0.0.1/32", "trust"]
    assert "+archive_mode = 'on'" in change["diff"]
    assert change["commands"] == ["chown 999:999 /archive", "chmod 0700 /archive"]
    assert proof["segment"] in project.run(["ls", "/archive"])
    assert project.run(["stat", "-c", "%u %a", "/archive"]) == "999 700"
    (old_hba,) = (path for path in kept["copies"] if "pg_hba.conf.pitr-" in path)
    assert project.run(["cat", old_hba]) in before
    hba = in_data(project, "cat pg_hba.conf")
    assert hba.endswith(f"{change['pg_hba']}\nhost replication all all reject")

    after = pitr("archive", "status", *which, "--json")
    assert after.returncode == 0, after.stdout
    (facts,) = lines(after)
    assert facts["replication"] is True
    assert facts["settings"]["archive_mode"]["file"].endswith("postgresql.auto.conf")
    assert facts["settings"]["archive_mode"]["line"] > 0
    again = pitr("archive", "enable", *which, "--json")
    assert [line["event"] for line in lines(again)] == ["ArchivingProved"]
    assert crashes(project) == []


@pytest.mark.parametrize("project", ["18", "15-busybox"], indirect=True)
def test_the_very_command_in_the_containers_own_userland(project: Project, tmp_path: Path) -> None:
    archive, waiting = "/archive/it's 100%", "/tmp/pg_wal"
    project.run(["mkdir", "-p", archive, waiting], user="postgres")
    command = substituted(
        archiving.archive_command(PurePosixPath(archive)), f"{waiting}/{NAME}", NAME
    )

    def put(path: str, content: bytes) -> None:
        with server_of(project) as server:
            server.write(PurePosixPath(path), content)

    def archives() -> int:
        return executed(project.primary, ["sh", "-c", command], "postgres")[0]

    def held() -> list[str]:
        return project.run(["ls", "-A", archive]).split("\n")

    put(f"{archive}/.{NAME}.part", b"what an earlier crash has left")
    put(f"{waiting}/{NAME}", segment_bytes(segment(2)))
    assert archives() == 0
    assert held() == [NAME]
    project.run(["cmp", f"{waiting}/{NAME}", f"{archive}/{NAME}"])
    assert archives() == 0, "the same once more is a success"

    put(f"{waiting}/{NAME}", segment_bytes(segment(2), system=1))
    assert archives() != 0, "another one of that name is not"
    put(f"{waiting}/{NAME}", segment_bytes(segment(2)))
    project.run(["cmp", f"{waiting}/{NAME}", f"{archive}/{NAME}"])
    project.run(["rm", "-r", archive])
    assert archives() != 0


@world.majors("11", "18", often=("18",))
def test_a_password_is_asked_where_it_is_asked_now(
    project: Project, server: ContainerServer
) -> None:
    in_data(project, "printf 'local all all trust\\nhost all all all md5\\n' >pg_hba.conf")
    project.sql("SELECT pg_reload_conf()")
    stored = project.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    wait_until(lambda: "no pg_hba.conf entry" in (replication_refusal(server.database) or ""), 20)
    found = archiving.archiving_status(Primary(server.database))

    change = container_archiving.propose(server, found, ARCHIVE)

    assert change.access is not None
    method = "scram-sha-256" if stored.startswith("SCRAM") else "md5"
    assert change.access.rule.split()[2:] == ["postgres", "127.0.0.1/32", method]
    assert PASSWORD not in change.diff
    container_archiving.apply(server, change, may_restart=True)
    assert replication_refusal(server.database) is None


@world.majors("11", "18", often=("18",))
def test_a_failed_step_puts_the_files_back(
    project: Project, server: ContainerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_data(project, "sed -i '/replication/d' pg_hba.conf")
    project.sql("SELECT pg_reload_conf()")
    read = "cat postgresql.auto.conf pg_hba.conf"
    before = in_data(project, read)
    wait_until(lambda: replication_refusal(server.database) is not None, 20)
    found = archiving.archiving_status(Primary(server.database))
    change = container_archiving.propose(server, found, ARCHIVE)

    def refuse(database: object) -> None:
        raise PitrError("still refused")

    monkeypatch.setattr(container_archiving, "require_access", refuse)
    with pytest.raises(PitrError, match="still refused"):
        container_archiving.apply(server, change, may_restart=True)

    assert in_data(project, read) == before
    assert ".pitr-" not in in_data(project, "ls")
    assert project.sql("SHOW archive_mode") == "off"
    assert replication_refusal(server.database) is not None


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The command line takes signals; afterwards they are the tests' again."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_an_interrupt_tells_what_is_the_case(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enable = ["archive", "enable", "--docker", str(project.primary.name), "--yes", "--json"]

    def told() -> str:
        return str(json.loads(capsys.readouterr().out.splitlines()[-1])["what"])

    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before, started = files(project), project.sql("SELECT pg_postmaster_start_time()")
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "apply", interrupted)
        assert main(enable) == 130
    assert told() == "nothing was changed"
    assert files(project) == before
    assert project.sql("SELECT pg_postmaster_start_time()") == started, "nor was it restarted"

    def never_finished(*_: object) -> WalSegment:
        interrupted()
        return segment(0xFF)

    with monkeypatch.context() as patch:
        patch.setattr(archiving, "switch_wal", never_finished)
        assert main(enable) == 130
    assert told() == "archiving is on; only the proof was interrupted"
    assert project.sql("SHOW archive_mode") == "on"


@world.majors("11", "18", often=("18",))
def test_a_server_that_does_not_come_back_gets_its_old_files(
    project: Project, server: ContainerServer
) -> None:
    before = in_data(project, "cat postgresql.auto.conf")
    project.sql("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'")
    with pytest.raises(PitrError, match="did not come back") as raised:
        server.restart(timeout=60)
    assert "no_such_library" in raised.value.why

    path = server.container.data_directory / "postgresql.auto.conf"
    server.write(path, before.encode() + b"\n")
    server.start()
    assert server.database.row("SHOW shared_preload_libraries")[0] == ""


@world.majors("11", "18", often=("18",))
@pytest.mark.parametrize("by_engine", [True, False])
def test_a_restart_waits_for_no_client_and_keeps_the_container(
    project: Project, server: ContainerServer, by_engine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not by_engine:  # as with an image whose own signal is another one
        monkeypatch.setattr(server, "_engine_stops_fast", lambda: False)
    idle = psycopg2.connect(
        host="127.0.0.1", port=project.published_port(), user="postgres", password=PASSWORD
    )
    database, identifier = server.database, project.primary.id
    before = database.row("SELECT pg_postmaster_start_time()")[0]
    started = time.monotonic()
    server.restart()
    assert time.monotonic() - started < 30
    assert database.row("SELECT pg_postmaster_start_time()")[0] > before
    project.primary.reload()
    assert (project.primary.id, project.primary.status) == (identifier, "running")
    assert b"database system was not properly shut down" not in project.primary.logs()
    idle.close()


@OLD_NEW_AND_BUSYBOX
def test_sql_leaves_the_postmaster_in_peace(project: Project, server: ContainerServer) -> None:
    for _ in range(20):
        server.database.row("SELECT 1")
    server.close()
    assert crashes(project) == []


def test_an_archive_that_cannot_be_written_is_told_in_the_servers_words(
    project: Project, server: ContainerServer
) -> None:
    primary = Primary(server.database)
    change = container_archiving.propose(server, archiving.archiving_status(primary), ARCHIVE)
    container_archiving.apply(server, change, may_restart=True)
    project.run(["chown", "root:root", "/archive"], user="root")
    place = container_archiving.open_archive(server, ARCHIVE)
    try:
        with pytest.raises(PitrError, match="did not arrive") as raised:
            archiving.prove(primary, place.files, timeout=8, log=server.log)
    finally:
        place.files.tree.helper.close()
    assert "archive command failed with exit code" in raised.value.why
    assert "ermission denied" in raised.value.why
    assert "the archiver failed at 0000" in raised.value.why


@world.majors("11", "18", often=("18",))
def test_segments_without_a_command_are_counted(project: Project) -> None:
    project.sql("ALTER SYSTEM SET archive_mode = 'on'")
    project.primary.stop()
    project.primary.start()
    project.wait_ready()
    for _ in range(2):
        project.sql("SELECT pg_create_restore_point('x')")
        project.sql("SELECT pg_switch_wal()")

    done = pitr("archive", "status", "--docker", project.primary.name, "--json")

    assert done.returncode == 3
    (told,) = (one for one in lines(done)[0]["problems"] if "pitr archive collect" in one)
    assert told.startswith(("2 segments stay in pg_wal", "3 segments stay in pg_wal"))


def test_a_setting_of_the_command_line_is_refused(engine: DockerClient, tmp_path: Path) -> None:
    text = changed(world.tutorial("18"), ["postgres", "-c", "archive_mode=off"])
    with world.running(engine, tmp_path / "compose", text) as project:
        which = ["--docker", project.primary.name]
        done = pitr("archive", "enable", *which, "--yes", "--json")
        assert done.returncode == 3
        error = lines(done)[-1]
        assert "-c archive_mode=off" in error["why"]
        assert "`command:` of the service primary" in error["hint"]
        status = lines(pitr("archive", "status", *which, "--json"))[0]
        assert status["settings"]["archive_mode"]["fixed"] is True


def test_archiving_without_command_and_mount_is_left_to_a_receiver(
    engine: DockerClient, tmp_path: Path
) -> None:
    text = changed(world.tutorial("18", False), ["postgres", "-c", "archive_mode=on"])
    with world.running(engine, tmp_path / "compose", text) as project:
        which = ["--docker", project.primary.name]
        status = pitr("archive", "status", *which)
        assert status.returncode == 3
        receive = f"pitr archive receive start --docker {project.primary.name}"
        assert receive in status.stdout
        assert "pitr archive enable" not in status.stdout
        assert "to change archive_mode" not in status.stdout
        done = pitr("archive", "enable", *which, "--yes", "--json")
        assert receive in lines(done)[-1]["hint"]


def test_without_a_mount_for_it_there_is_no_archive(engine: DockerClient, tmp_path: Path) -> None:
    with world.running(engine, tmp_path / "compose", world.tutorial("18", False)) as project:
        done = pitr("archive", "enable", "--docker", project.primary.name, "--yes", "--json")
        assert done.returncode == 3
        assert "pitr archive receive" in lines(done)[-1]["hint"]
        with server_of(project) as server, pytest.raises(RefusedError, match="is no volume"):
            container_archiving.archive_directory(server.container, PurePosixPath("/srv"))
        with server_of(project) as server:
            data = server.container.data_directory
            with pytest.raises(RefusedError, match="inside of the data directory"):
                container_archiving.archive_directory(server.container, data / "archive")


def test_a_container_that_goes_when_it_stops_is_not_restarted(engine: DockerClient) -> None:
    container = engine.containers.run(
        world.image(engine, "postgres:18"),
        environment={"POSTGRES_PASSWORD": PASSWORD},
        labels={world.MARK: "restart"},
        detach=True,
        auto_remove=True,
    )
    own = Engine.connect()
    try:
        server = ContainerServer(own, postgres_container(own, str(container.id)))
        with pytest.raises(RefusedError, match="cannot be restarted"):
            server.restart()
        container.reload()
        assert container.status == "running"
    finally:
        container.remove(force=True, v=True)
        own.close()


def test_another_clusters_archive_is_refused(project: Project, server: ContainerServer) -> None:
    server.write(ARCHIVE / NAME, segment_bytes(segment(2)))
    done = pitr("archive", "enable", "--docker", project.primary.name, "--yes", "--json")
    assert done.returncode == 3
    assert "another cluster" in lines(done)[-1]["what"]
    assert project.sql("SHOW archive_mode") == "off"


def held_checkpointer(project: Project) -> str:
    """Stop the one process that a shutdown waits for; its number."""
    number = project.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    project.run(["sh", "-c", f"kill -s STOP {number}"], user="root")
    return number


def shuts_down(project: Project) -> bool:
    """Whether the server was asked to stop; the one that filled the cluster was so as well."""
    return project.primary.logs().decode().count("received fast shutdown") >= 2


def let_go(project: Project, number: str) -> None:
    project.run(["sh", "-c", f"kill -s CONT {number}"], user="root")


def proposed(server: ContainerServer) -> container_archiving.ContainerChange:
    found = archiving.archiving_status(Primary(server.database))
    return container_archiving.propose(server, found, ARCHIVE)


@world.majors("11", "18", often=("18",))
def test_an_interrupt_during_a_slow_shutdown_leaves_a_server_that_runs(
    project: Project, server: ContainerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_data(project, "cat postgresql.auto.conf")
    change = proposed(server)
    number = held_checkpointer(project)
    settle = server.settle

    def interrupted(timeout: float = 300) -> None:
        project.run(["sh", "-c", "kill -s INT 1"], user="root")
        wait_until(lambda: shuts_down(project), 20)
        raise KeyboardInterrupt

    def settled(timeout: float = 300) -> bool:
        assert in_data(project, "cat postgresql.auto.conf") == before
        let_go(project, number)
        return settle(timeout)

    monkeypatch.setattr(server, "restart", interrupted)
    monkeypatch.setattr(server, "settle", settled)
    with pytest.raises(CancelledError, match="taken back") as raised:
        container_archiving.apply(server, change, may_restart=True)

    assert "the primary runs with them again" in raised.value.hint
    assert project.sql("SHOW archive_mode") == "off"
    assert in_data(project, "cat postgresql.auto.conf") == before
    assert ".pitr-" not in in_data(project, "ls")


@world.majors("11", "18", often=("18",))
def test_who_is_killed_during_the_restart_leaves_a_server_that_comes_back(
    project: Project,
) -> None:
    number = held_checkpointer(project)
    argv = ["archive", "enable", "--docker", str(project.primary.name), "--yes"]
    enabling = subprocess.Popen([sys.executable, "-m", "pitr_tui", *argv])
    try:
        wait_until(lambda: shuts_down(project), 60)
    finally:
        enabling.kill()
        enabling.wait()
    let_go(project, number)

    def started() -> bool:
        # Nobody but the engine is there to start it.
        return project.primary.logs().decode().count("ready to accept connections") >= 3

    wait_until(started, 60)
    project.wait_ready()
    assert project.sql("SHOW archive_mode") == "on"


def test_a_restart_policy_does_not_try_a_refused_setting_for_ever(
    project: Project, server: ContainerServer
) -> None:
    project.primary.update(restart_policy={"Name": "always"})
    change = proposed(server)
    wrong = {**change.settings.settings, "shared_preload_libraries": "no_such_library"}
    change = replace(change, settings=replace(change.settings, settings=wrong))
    started = time.monotonic()

    with pytest.raises(PitrError, match="did not come back") as raised:
        container_archiving.apply(server, change, may_restart=True)

    assert time.monotonic() - started < 60
    assert "no_such_library" in raised.value.why
    assert "the primary runs with them again" in raised.value.why
    assert project.sql("SHOW archive_mode") == "off"


def test_a_write_that_fails_restarts_nothing_and_tells_what_stays(
    project: Project, server: ContainerServer
) -> None:
    project.run(["chown", "root:root", "/archive"], user="root")
    longest = "h" * 250  # no longer name can stand beside it
    in_data(project, f"sed '/replication/d' pg_hba.conf >{longest}")
    project.sql(f"ALTER SYSTEM SET hba_file = '{server.container.data_directory / longest}'")
    server.restart()
    before, started = files(project), server.started_at()
    change = proposed(server)

    with pytest.raises(PitrError) as raised:
        container_archiving.apply(server, change, may_restart=True)

    assert "the primary was not restarted" in raised.value.why
    assert "what stays is: chown 999:999 /archive; chmod 0700 /archive" in raised.value.why
    assert server.started_at() == started
    assert files(project) == before


def test_a_pg_hba_conf_that_is_a_mount_is_refused_beforehand(
    engine: DockerClient, tmp_path: Path
) -> None:
    command = ["postgres", "-c", "hba_file=/config/pg_hba.conf"]
    described = yaml.safe_load(changed(world.tutorial("18"), command))
    mounts = ["./pg_hba.conf:/config/pg_hba.conf", "./init:/docker-entrypoint-initdb.d"]
    described["services"]["primary"]["volumes"] += mounts
    place = tmp_path / "compose"
    (place / "init").mkdir(parents=True)
    (place / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n")
    with world.running(engine, place, yaml.safe_dump(described, sort_keys=False)) as project:
        done = pitr("archive", "enable", "--docker", project.primary.name, "--yes", "--json")
        assert done.returncode == 3
        error = lines(done)[-1]
        assert "is a mount of its own" in error["why"]
        assert "host    replication     postgres" in error["hint"]
        with server_of(project) as server, pytest.raises(RefusedError, match="be replaced"):
            server.write(PurePosixPath("/config/pg_hba.conf"), b"")
        found = server.container
        assert [one.target for one in found.mounts if one.kind == "bind"]
        assert project.run(["ls", "-A", "/config"]) == "pg_hba.conf"


@world.majors("11", "18", often=("18",))
def test_a_linked_file_stays_a_link_and_keeps_its_rights(
    project: Project, server: ContainerServer
) -> None:
    in_data(project, "mkdir own && mv pg_hba.conf own/hba && chmod 640 own/hba")
    in_data(project, "sed -i '/replication/d' own/hba && ln -s own/hba pg_hba.conf")
    project.run(["sh", "-c", 'chown 999:0 "$PGDATA/own/hba"'], user="root")
    project.sql("SELECT pg_reload_conf()")
    wait_until(lambda: replication_refusal(server.database) is not None, 20)

    container_archiving.apply(server, proposed(server), may_restart=True)

    assert in_data(project, "readlink pg_hba.conf") == "own/hba"
    assert in_data(project, "stat -c '%u:%g %a' own/hba") == "999:0 640"
    assert replication_refusal(server.database) is None


def test_a_directory_with_something_in_it_keeps_its_owner(project: Project) -> None:
    project.run(["sh", "-c", "chown root:root /archive; touch /archive/photo"], user="root")
    enable = ["archive", "enable", "--docker", str(project.primary.name), "--yes", "--json"]
    done = pitr(*enable)
    assert done.returncode == 3
    assert "photo" in lines(done)[-1]["why"]
    assert "--to /archive/wal" in lines(done)[-1]["hint"]
    assert pitr(*enable, "--to", "/archive/wal").returncode == 0
    assert project.run(["stat", "-c", "%u", "/archive", "/archive/wal"]) == "0\n999"


def test_a_line_that_is_missing_only_after_the_restart_is_told(
    project: Project, server: ContainerServer
) -> None:
    in_data(project, "sed -i '/replication/d' pg_hba.conf")
    project.sql("ALTER SYSTEM SET max_wal_senders = 0")
    server.restart()
    change = proposed(server)
    assert change.access is None, "that there is no line is hidden by another refusal"

    with pytest.raises(PitrError, match="the change is made, but") as raised:
        container_archiving.apply(server, change, may_restart=True)

    assert "no pg_hba.conf entry" in raised.value.why
    assert project.sql("SHOW archive_mode") == "on"
    change = proposed(server)
    assert change.access is not None
    container_archiving.apply(server, change, may_restart=False)


@pytest.mark.parametrize("project", ["11"], indirect=True)
def test_senders_that_do_not_fit_are_refused(project: Project, server: ContainerServer) -> None:
    project.sql("ALTER SYSTEM SET max_connections = 12")
    project.sql("ALTER SYSTEM SET max_wal_senders = 0")
    server.restart()
    with pytest.raises(RefusedError, match="cannot be raised to 10"):
        proposed(server)
