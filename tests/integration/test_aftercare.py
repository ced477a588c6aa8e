"""What becomes of a secondary, on real servers."""

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.target import AtXid, Latest
from pitr_tui.recovery.aftercare import promote, psql_command, throw_away
from pitr_tui.recovery.verify import server_state
from tests.integration.conftest import majors
from tests.integration.world import World, run

pytestmark = pytest.mark.integration


@majors("11", "12", "15", "18")
def test_a_paused_secondary_is_promoted_and_then_thrown_away(world: World) -> None:
    plan = world.plan(AtXid(world.marks[3].xid))
    server = run(plan).server
    assert server_state(server.database, server.version).paused
    state = promote(server)
    assert (state.in_recovery, int(state.timeline)) == (False, 2)
    server.database.rows("INSERT INTO t VALUES (1000)")
    assert promote(server) == state, "a second time changes nothing"
    throw_away(plan.server)
    assert not server.is_running()
    assert not plan.destination.exists()
    assert not plan.socket_directory.exists()
    throw_away(plan.server)  # there is nothing left to do


@majors("18")
def test_a_secondary_that_is_already_open_needs_no_promotion(world: World) -> None:
    plan = world.plan(Latest())
    server = run(plan).server
    assert not promote(server).in_recovery
    throw_away(plan.server)


@majors("18")
def test_nothing_but_a_secondary_of_ours_is_thrown_away(world: World) -> None:
    plan = world.plan(Latest())
    plan.destination.mkdir()
    (plan.destination / "precious").write_text("not ours")
    with pytest.raises(RefusedError, match="is left alone"):
        throw_away(plan.server)
    assert (plan.destination / "precious").read_text() == "not ours"
    (plan.destination / "precious").unlink()
    plan.destination.rmdir()
    plan.destination.symlink_to(world.backup_path)
    with pytest.raises(RefusedError, match="is left alone"):
        throw_away(plan.server)
    plan.destination.unlink()


@majors("18")
def test_the_primary_is_never_promoted_nor_thrown_away(world: World) -> None:
    assert not promote(world.server).in_recovery
    with pytest.raises(RefusedError, match="is left alone"):
        throw_away(world.server)
    assert world.server.is_running()


@majors("18")
def test_a_stopped_secondary_is_told_and_can_be_thrown_away(world: World) -> None:
    plan = world.plan(AtXid(world.marks[2].xid))
    server = run(plan).server
    server.stop()
    with pytest.raises(PitrError, match="cannot connect"):
        promote(server)
    throw_away(plan.server)
    assert not plan.destination.exists()


@majors("18")
def test_the_psql_command_names_the_socket(world: World) -> None:
    plan = world.plan(Latest())
    command = psql_command(plan.server, "a b")
    assert f"-h {plan.socket_directory} -p 5432 -U postgres -d 'a b'" in command
