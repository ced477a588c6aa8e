"""What becomes of a secondary, on real servers."""

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.target import AtXid, Latest
from pitr_tui.recovery.aftercare import promote
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
