"""What becomes of a secondary, on real servers."""

import subprocess

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import BEGIN, read_settings
from pitr_tui.postgres.target import AtXid, Immediate, Latest
from pitr_tui.recovery import archiving
from pitr_tui.recovery.aftercare import aftercare, promote
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.verify import server_state
from pitr_tui.servers.local_secondary import LocalSecondary
from tests.integration.conftest import majors
from tests.integration.world import World, run
from tests.local import local

pytestmark = pytest.mark.integration


@majors("11", "12", "15", "18")
def test_a_paused_secondary_is_promoted_and_then_thrown_away(world: World) -> None:
    plan = world.plan(AtXid(world.marks[3].xid))
    server = run(plan).server
    assert server_state(server.database, server.version).paused
    state = promote(plan.secondary)
    assert (state.in_recovery, int(state.timeline)) == (False, 2)
    server.database.rows("INSERT INTO t VALUES (1000)")
    assert promote(plan.secondary) == state, "a second time changes nothing"
    plan.secondary.throw_away()
    assert not server.is_running()
    assert not local(plan).directory.exists()
    assert not local(plan).socket_directory.exists()
    plan.secondary.throw_away()  # there is nothing left to do


@majors("18")
def test_a_secondary_that_is_already_open_needs_no_promotion(world: World) -> None:
    plan = world.plan(Latest())
    run(plan)
    assert not promote(plan.secondary).in_recovery
    plan.secondary.throw_away()


@majors("18")
def test_nothing_but_a_secondary_of_ours_is_thrown_away(world: World) -> None:
    plan = world.plan(Latest())
    local(plan).directory.mkdir()
    (local(plan).directory / "precious").write_text("not ours")
    with pytest.raises(RefusedError, match="is left alone"):
        plan.secondary.throw_away()
    assert (local(plan).directory / "precious").read_text() == "not ours"
    (local(plan).directory / "precious").unlink()
    local(plan).directory.rmdir()
    local(plan).directory.symlink_to(world.backup_path)
    with pytest.raises(RefusedError, match="is left alone"):
        plan.secondary.throw_away()
    local(plan).directory.unlink()


@majors("18")
def test_the_primary_is_never_promoted_nor_thrown_away(world: World) -> None:
    primary = LocalSecondary(world.server.data_directory, world.installation, world.user)
    primary.server = world.server
    assert not promote(primary).in_recovery
    with pytest.raises(RefusedError, match="is left alone"):
        primary.throw_away()
    assert world.server.is_running()


@majors("18")
def test_a_stopped_secondary_is_told_and_can_be_thrown_away(world: World) -> None:
    plan = world.plan(AtXid(world.marks[2].xid))
    server = run(plan).server
    server.stop()
    with pytest.raises(PitrError, match="cannot connect"):
        promote(plan.secondary)
    plan.secondary.throw_away()
    assert not local(plan).directory.exists()


@majors("18")
def test_the_psql_command_names_the_socket(world: World) -> None:
    plan = world.plan(Latest())
    command = plan.secondary.psql_command("a b")
    assert f"-h {local(plan).socket_directory} -p 5432 -U postgres -d 'a b'" in command


DEEDS = (
    "CREATE SEQUENCE counted",
    'CREATE TABLE "My ""rows""" (id serial, "n;m" int)',
    "CREATE UNLOGGED TABLE fleeting (id int)",
    "CREATE INDEX hashed ON fleeting USING hash (id)",
    "CREATE EXTENSION postgres_fdw",
    "CREATE SERVER \"far away\" FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'elsewhere')",
)


@pytest.mark.parametrize(
    "own_world", ["18", pytest.param("11", marks=pytest.mark.matrix)], indirect=True
)
def test_what_is_to_do_after_a_promotion_is_told_with_statements_that_work(
    own_world: World,
) -> None:
    """Each statement of the list is run as it stands, by psql's rules for `\\c`."""
    database = own_world.server.database
    database.rows("ALTER SYSTEM SET max_prepared_transactions = 2")
    own_world.server.stop()
    own_world.server.start()
    own_world.server.wait_until_open()
    database.rows('CREATE DATABASE "sh\'op"')
    for deed in DEEDS:
        database.named("sh'op").rows(deed)
    database.rows("CREATE TABLE followed (id int)")
    database.rows(
        'CREATE SUBSCRIPTION "from ""there""" CONNECTION \'host=/none\' PUBLICATION p '
        "WITH (connect = false, slot_name = 'taken')"
    )
    database.rows('ALTER SUBSCRIPTION "from ""there""" ENABLE')
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO t VALUES (77); PREPARE TRANSACTION 'it''s half'")
    backup = own_world.directory / "later"
    own_world.take_backup(backup)
    plan = own_world.plan(Immediate(), backup=backup)
    result = run(plan)
    try:
        promote(plan.secondary)
        found = {check.name: check for check in aftercare(plan.secondary)}
        assert list(found) == [
            *("subscriptions", "prepared transactions", "foreign servers", "unlogged tables"),
            *("sequences", "statistics", "base backup", "other standbys", "archiving", "settings"),
        ]
        assert "(enabled)" in found["subscriptions"].evidence
        assert 'public."My ""rows""_id_seq"' in found["sequences"].evidence
        assert "public.fleeting" in found["unlogged tables"].evidence
        assert "timeline 2" in found["base backup"].evidence
        for name in ("subscriptions", "prepared transactions", "sequences", "statistics"):
            obey(plan, found[name])
        again = {check.name: check for check in aftercare(plan.secondary)}
        assert "prepared transactions" not in again
        assert "(disabled)" in again["subscriptions"].evidence
        slot = "SELECT subslotname IS NULL, subenabled FROM pg_subscription"
        assert result.server.database.row(slot) == (True, False)
        own_world.server.stop()  # it has the port and the socket that are the secondary's now
        told = subprocess.run(
            ["sh", "-euc", again["settings"].hint], check=True, stdout=subprocess.PIPE, text=True
        )
        assert "ready to accept connections" in told.stdout
        configuration = (local(plan).directory / "postgresql.auto.conf").read_text()
        assert read_settings(configuration)["archive_mode"] == "on", "as the primary had it"
        assert BEGIN not in configuration
        assert BEGIN in (local(plan).directory / "postgresql.auto.conf.pitr").read_text()
        assert result.server.is_running()
        where = "SELECT current_setting('data_directory'), current_setting('archive_mode')"
        assert database.row(where) == (str(local(plan).directory), "on")
    finally:
        result.server.stop()


def obey(plan: RecoveryPlan, check: CheckDone) -> None:
    """Run the statements of a check's hint, each in the database that it names."""
    database = plan.secondary.database
    told = 0
    for line in check.hint.splitlines():
        if line.startswith("\\c "):
            database = database.named(line[4:-1].removeprefix('"'))
        elif line.endswith(";"):
            for statement in line.removesuffix(";").split("; "):
                database.rows(statement)
                told += 1
    assert told
    assert check.status in (Status.NOTE, Status.WARNING)


@majors("9.6")
@pytest.mark.matrix
def test_hash_indexes_of_old_servers_are_told(world: World) -> None:
    world.server.database.rows("CREATE INDEX hashed ON t USING hash (id)")
    archiving.prove(world.primary, world.archive_directory)
    plan = world.plan(Latest())
    result = run(plan)
    try:
        found = {check.name: check for check in aftercare(plan.secondary)}
        assert found["hash indexes"].hint.endswith("REINDEX INDEX public.hashed;")
        obey(plan, found["hash indexes"])
    finally:
        result.server.stop()
