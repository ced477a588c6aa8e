"""Looking at a secondary: also where a dropped table is still locked, and never by changing it."""

from __future__ import annotations

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import AtXid
from pitr_tui.recovery import archiving
from pitr_tui.recovery.aftercare import promote
from pitr_tui.recovery.events import Status
from pitr_tui.recovery.verify import ask, server_state, tables
from tests.integration.world import World, run

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("own_world", ["11", "15", "18"], indirect=True)
def test_dropped_table_is_named_as_locked_and_is_there_after_promotion(own_world: World) -> None:
    database = own_world.server.database
    database.rows("CREATE TABLE kept AS SELECT 1 AS one")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; DROP TABLE t; SELECT txid_current()")
        xid = (cursor.fetchone() or (0,))[0]
        cursor.execute("COMMIT")
    archiving.prove(own_world.primary, own_world.archive_directory)

    result = run(own_world.plan(AtXid(xid, inclusive=False)))
    try:
        locked = next(check for check in result.view.checks if check.name == "locked")
        assert locked.status is Status.WARNING
        found = {table.name: table for table in tables(result.server.database)}
        assert found["kept"].rows == 1
        assert found["t"].problem == "locked until promoted"
        with pytest.raises(PitrError, match="promoted"):
            ask(result.server.database, "SELECT count(*) FROM t")
        promote(result.plan.secondary)
        assert result.rows == [1, 2, 3, 4]
    finally:
        result.server.stop()


def test_a_query_changes_nothing(own_world: World) -> None:
    result = run(own_world.plan(AtXid(own_world.marks[3].xid)))
    database = result.server.database
    try:
        assert ask(database, "SELECT id FROM t ORDER BY id").rows == [("1",), ("2",), ("3",)]
        for statement in (
            "SELECT pg_wal_replay_resume()",
            "SELECT pg_promote()",
            "COPY t TO '/tmp/x'",
            "INSERT INTO t VALUES (9)",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT 1; COMMIT; SELECT 2",
            "set transaction read write",
        ):
            with pytest.raises(PitrError):
                ask(database, statement)
        assert server_state(database, result.server.version).paused
        printed = ask(database, "SELECT true, 1.50, NULL, '{1,2}'::int[], '2026-01-01 UTC'::date")
        assert printed.rows == [("t", "1.50", None, "{1,2}", "2026-01-01")]
        with pytest.raises(PitrError, match="timeout"):
            ask(database, "SELECT pg_sleep(60)", timeout_seconds=0.1)
    finally:
        result.server.stop()
