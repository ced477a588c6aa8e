"""A secondary harms nobody, whatever the configuration that its backup brings along."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import conf_value
from pitr_tui.postgres.target import AtXid, Immediate
from pitr_tui.recovery import merged
from pitr_tui.recovery.aftercare import promote
from pitr_tui.recovery.checks.judgement import fitted
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.place import Copy
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.servers.local import LocalServer, socket_settings
from pitr_tui.servers.process import running_pid
from tests.integration.conftest import MAJORS, OLD_AND_NEW, majors
from tests.integration.listening import listening
from tests.integration.world import World, run
from tests.local import local
from tests.unit.made import wait_until

pytestmark = pytest.mark.integration


def rarely(major: str) -> ParameterSet:
    return pytest.param(major, marks=pytest.mark.matrix)


old_and_new = pytest.mark.parametrize(
    "world",
    [major if major in OLD_AND_NEW else rarely(major) for major in MAJORS],
    indirect=True,
)


def hostile_settings(world: World, marks: Path) -> dict[str, str]:
    """Every setting that would reach out of a copy of its server, each in its own way."""
    version = world.server.version
    primary = f"host={world.server.socket_directory} port={world.server.port} user=postgres"
    settings = {
        "archive_mode": "always",
        "archive_command": f"touch {marks}/archived",
        "synchronous_standby_names": "FIRST 1 (nobody)",
        "listen_addresses": "*",
        "port": "5499",
        "unix_socket_directories": str(marks),
        "unix_socket_permissions": "0777",
        "hba_file": str(marks / "open_hba.conf"),
        "ident_file": str(marks / "ident.conf"),
        "external_pid_file": str(marks / "postmaster.pid"),
        "logging_collector": "on",
        "log_destination": "syslog,csvlog",
        "log_directory": str(marks / "log"),
        "shared_preload_libraries": "pg_cron, no_such_library",
        "session_preload_libraries": "no_such_library",
        "ssl": "on",
        "ssl_cert_file": str(marks / "none.crt"),
        "cluster_name": "production",
        "hot_standby": "off",
        "data_directory": str(world.server.data_directory),
    }
    recovery = {
        "restore_command": f"touch {marks}/restored; false",
        "recovery_end_command": f"touch {marks}/ended",
        "archive_cleanup_command": f"touch {marks}/cleaned",
        "recovery_target_name": "elsewhere",
        "primary_conninfo": primary,
        "primary_slot_name": "stolen",
        "recovery_min_apply_delay": "1h",
    }
    if version.has_logical_replication:
        settings["max_logical_replication_workers"] = "8"
    if version.has_statistics_files:
        settings["stats_temp_directory"] = str(marks)
    if version.has_wal_receiver_settings:
        settings |= recovery
        if not version.forgot_trigger_file:
            settings["promote_trigger_file"] = str(marks / "open_hba.conf")
    return settings


@pytest.fixture
def marks(world: World) -> Iterator[Path]:
    """A directory where the server could leave traces, and does not."""
    directory = world.directory / "marks"
    world.user.make_directory(directory)
    world.user.write_file(
        directory / "open_hba.conf", "host all all all trust\nlocal all all trust\n"
    )
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def hostile(world: World, marks: Path) -> Iterator[Path]:
    """A backup whose configuration tries everything, in all places where a setting can stand."""
    backup = world.directory / "hostile"
    shutil.copytree(world.backup_path, backup, symlinks=True)
    settings = hostile_settings(world, marks)
    lines = [f"{name} = {conf_value(value)}\n" for name, value in settings.items()]
    for name in ("postgresql.conf", "postgresql.auto.conf", "conf.d/zz.conf"):
        path = backup / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.writelines(lines)
    with (backup / "postgresql.conf").open("a") as file:
        file.write("include_dir 'conf.d'\ninclude 'gone.conf'\nINCLUDE_DIR='gone.d'\n")
        file.write(f"include'{marks}/more.conf'\ninclude_if_exists = '../marks/more.conf'\n")
    with (backup / "conf.d/zz.conf").open("a") as file:
        file.write(f"include '{marks}/more.conf' # out of a file that is included\n")
    world.user.write_file(marks / "more.conf", f"archive_command = 'touch {marks}/included'\n")
    (backup / "standby.signal").touch()
    (backup / "recovery.conf").write_text(
        f"standby_mode = on\nrestore_command = 'touch {marks}/restored; false'\n"
    )
    yield backup
    shutil.rmtree(backup)


@old_and_new
def test_a_hostile_configuration_does_nothing(world: World, marks: Path, hostile: Path) -> None:
    before = {path.name for path in marks.iterdir()}
    plan = fitted(world.plan(AtXid(world.marks[3].xid), backup=hostile))
    result = run(plan)
    try:
        assert result.rows == [1, 2, 3]
        promote(plan.secondary)
        result.server.database.rows("INSERT INTO t VALUES (100)")  # no commit waits for a standby
        result.server.database.rows("CHECKPOINT")
        result.server.database.rows(f"SELECT {plan.version.switch_wal_function}()")
        pid = running_pid(local(plan).directory)
        assert pid is not None
        socket = str(local(plan).socket_directory / ".s.PGSQL.5432")
        assert listening(pid) == [socket]
        assert result.server.database.row("SHOW shared_preload_libraries") == ("",)
        assert result.server.database.row("SHOW cluster_name") == ("pitr_secondary",)
    finally:
        result.server.stop()
    assert {path.name for path in marks.iterdir()} == before
    slots = world.server.database.rows("SELECT slot_name FROM pg_replication_slots")
    assert slots == []
    plan.secondary.throw_away()


@pytest.fixture
def written(world: World, request: pytest.FixtureRequest) -> Iterator[RecoveryPlan]:
    """A secondary with its files written, before it starts."""
    plan = world.plan(AtXid(world.marks[3].xid), port=getattr(request, "param", None))
    secondary = local(plan)
    secondary.make("a run")
    try:
        list(Copy(plan.backup, secondary.filler(), lambda: None).run())
        for file in plan.files():
            path = secondary.directory / file.path
            before = path.read_text() if path.exists() else ""
            secondary.user.write_file(path, file.written(before))
        yield plan
    finally:
        secondary.unmake()


TAMPERED = [
    ("archive_mode = always", "archive_mode would be 'always' and not 'off'"),
    ("archive_command = 'a\\nb'", "archive_command would be 'a␊b' and not ''"),
    ("listen_addresses = '*'", "listen_addresses would be '*'"),
    ("hba_file = '/etc/hba.conf'", "hba_file would be '/etc/hba.conf'"),
    ("shared_preload_libraries = 'pg_stat_statements, $libdir/pg_cron.so'", "it runs its jobs"),
    ("session_preload_libraries = no_such_library", "load no_such_library: there is none here"),
    ("port = 0x10", "port would be '16' and not '5432'"),
    ("unix_socket_permissions = 0777", "unix_socket_permissions would be '511'"),
    ("include 'gone'", "gone"),
    ("no_such_setting = 1", "no_such_setting"),
]


@pytest.mark.parametrize("world", ["18", rarely("11")], indirect=True)
def test_what_comes_out_otherwise_than_planned_is_never_started(written: RecoveryPlan) -> None:
    (fine,) = merged.examine(written)
    assert fine.status is Status.OK
    assert "archive_mode off, it listens on its socket alone" in fine.evidence
    path = local(written).directory / "postgresql.auto.conf"
    text = path.read_text()
    for line, words in TAMPERED:
        path.write_text(f"{text}{line}\n")
        seen: list[CheckDone] = []
        with pytest.raises(PitrError) as told:
            seen.extend(merged.examine(written))
        assert words in str(told.value), line
    assert not (local(written).directory / "postmaster.pid").exists()


@majors("11", "18")
def test_a_file_that_makes_it_a_standby_is_told(written: RecoveryPlan) -> None:
    directory = local(written).directory
    if written.version.uses_recovery_conf:
        with (directory / "recovery.conf").open("a") as file:
            file.write("restore_command = 'false'\n")
        words = "restore_command would be 'false'"
    else:
        (directory / "standby.signal").touch()
        words = "standby.signal came along"
    with pytest.raises(PitrError, match=words):
        list(merged.examine(written))


def publishing(world: World) -> LocalServer:
    """Another server of the same version, that can publish."""
    server = LocalServer(
        world.installation,
        world.directory / "publisher",
        world.user,
        world.directory / "ps",
        5432,
        world.directory / "publisher.log",
    )
    server.initialize()
    world.user.make_directory(server.socket_directory)
    settings = socket_settings(server.socket_directory, server.port) | {"wal_level": "logical"}
    with (server.data_directory / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {conf_value(value)}\n" for name, value in settings.items())
    server.start()
    server.wait_until_open()
    return server


PUBLISHED = """
CREATE TABLE published (id int PRIMARY KEY)
CREATE PUBLICATION p FOR TABLE published
INSERT INTO published VALUES (1)
"""


@pytest.mark.parametrize("own_world", ["18", rarely("11"), rarely("15")], indirect=True)
def test_a_recovered_subscriber_leaves_its_publisher_alone(own_world: World) -> None:
    """The world is the subscriber; its publisher waits for it, and would serve any copy."""
    publisher = publishing(own_world)
    try:
        for statement in PUBLISHED.strip().splitlines():
            publisher.database.rows(statement)
        server = own_world.server
        server.database.rows("CREATE TABLE published (id int PRIMARY KEY)")
        address = f"host={publisher.socket_directory} port={publisher.port} user=postgres"
        server.database.rows(
            f"CREATE SUBSCRIPTION s CONNECTION '{address} dbname=postgres' PUBLICATION p"
        )
        active = "SELECT active FROM pg_replication_slots WHERE slot_name = 's'"
        wait_until(lambda: server.database.row("SELECT count(*) FROM published") == (1,), 30)
        backup = own_world.directory / "subscribed"
        own_world.take_backup(backup)
        # The real subscriber is gone, so that its slot is free for whoever comes.
        server.stop()
        wait_until(lambda: publisher.database.row(active) == (False,), 30)
        publisher.database.rows("INSERT INTO published VALUES (2)")

        plan = own_world.plan(Immediate(), backup=backup)
        result = run(plan)
        try:
            promote(plan.secondary)
            database = result.server.database
            database.rows("INSERT INTO t VALUES (100)")
            assert database.row("SELECT subenabled FROM pg_subscription") == (True,)
            launcher = "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'logical rep'"
            assert database.row(launcher) == (0,)
            assert publisher.database.row(active) == (False,)
            assert database.row("SELECT count(*) FROM published") == (1,)
            # Nothing else than the missing workers keeps it from there.
            database.rows("ALTER SYSTEM SET max_logical_replication_workers = 4")
            result.server.stop()
            result.server.start()
            wait_until(lambda: publisher.database.row(active) == (True,), 30)
        finally:
            result.server.stop()
    finally:
        publisher.stop()
