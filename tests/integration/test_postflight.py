"""What is asked of a recovered secondary, on real servers: while it is paused, and once open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import main
from pitr_tui.cli.check import examine
from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import AtXid, Immediate
from pitr_tui.recovery import archiving
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.fate import promote_run
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.postflight import postflight
from pitr_tui.recovery.run import recover
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.servers.sql import Database
from tests.integration.conftest import MAJORS, majors
from tests.integration.world import World
from tests.local import local

pytestmark = pytest.mark.integration

CHECKS = """\
checks:
  - name: five rows
    sql: SELECT count(*) FROM t
    expect: 5
  - name: the newest
    sql: SELECT id, id > 4 FROM t ORDER BY id DESC LIMIT 2
    expect: [[5, true], [4, false]]
"""


@contextmanager
def recovered(plan: RecoveryPlan) -> Iterator[RunRecord]:
    """A run with everything that `pitr restore` gives it; its secondary is stopped behind."""
    plan, judgement = examine(plan, Output(False), quick=False)
    journal = Journal.create(lambda _: None)
    try:
        recover(plan, journal, judgement=judgement)
    finally:
        journal.close()
    try:
        yield run_named(journal.run)
    finally:
        local(plan).server.stop()


def looked(plan: RecoveryPlan, record: RunRecord) -> dict[str, CheckDone]:
    return {one.name: one for one in postflight(plan.secondary, record.view(), plan.target)}


def bad(checks: dict[str, CheckDone]) -> list[str]:
    return [one.name for one in checks.values() if one.status is Status.FAILURE]


def verified(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of `pitr verify last --json`, and its facts."""
    capsys.readouterr()
    code = main(["verify", "last", "--json", *words])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def furnish(world: World) -> None:
    """Put into the primary what a recovery leaves in another state than it was, and drop t."""
    rows = world.server.database.rows
    rows("CREATE UNLOGGED TABLE cache (n int)")
    rows("INSERT INTO cache SELECT generate_series(1, 10)")
    rows("CREATE SEQUENCE numbers")
    rows("CREATE INDEX broken ON t (id)")
    rows("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass")
    if world.server.version.tells_collation_versions:
        rows("UPDATE pg_collation SET collversion = '9' WHERE collname = 'ucs_basic'")
    if world.server.version.tells_database_collation_version:
        rows("UPDATE pg_database SET datcollversion = '9' WHERE datname = current_database()")
    if world.server.version.has_logical_replication:
        rows(
            "CREATE SUBSCRIPTION news CONNECTION 'host=/nowhere' PUBLICATION p"
            " WITH (connect = false, slot_name = 'news')"
        )
        rows("ALTER SUBSCRIPTION news ENABLE")
    world.insert(5)
    rows("DELETE FROM t WHERE id > 2")
    archiving.prove(world.primary, world.archive_directory)


@pytest.mark.parametrize(
    "own_world",
    [m if m == "18" else pytest.param(m, marks=pytest.mark.matrix) for m in MAJORS],
    indirect=True,
)
def test_a_secondary_is_looked_at_while_it_is_paused_and_once_it_is_open(
    own_world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, file = own_world, tmp_path / "own.yaml"
    furnish(world)
    file.write_text(CHECKS)
    xid = world.marks[5].xid
    plan = world.plan(AtXid(xid))
    with recovered(plan) as record:
        paused = looked(plan, record)
        assert not bad(paused)
        sentence = paused["as of"].evidence
        assert re.search(rf"as of .* UTC, after transaction {xid} .*, before transaction", sentence)
        assert re.search(r"\d+ \(\d\d:\d\d:\d\d\S*, 3 deleted in t\)|deleted 3 of", sentence)
        assert paused["last transaction"].evidence.endswith(f"transaction {xid}")
        assert paused["unlogged tables"].evidence.startswith("cache: empty")
        assert paused["sequences"].evidence.startswith("numbers: ")
        assert paused["invalid indexes"].evidence.startswith("broken: ")
        assert _stale(plan, record) == [
            *(["databases"] * world.server.version.tells_database_collation_version),
            *(["collations"] * world.server.version.tells_collation_versions),
        ]
        if world.server.version.has_logical_replication:
            assert paused["subscriptions"].status is Status.WARNING
            assert "news in postgres" in paused["subscriptions"].evidence

        primary = f"host={world.server.socket_directory} port=5432 user=postgres"
        code, facts = verified(capsys, "--checks", str(file), "-d", primary)
        assert code == 0
        own = [fact for fact in facts if fact.get("kind") == "own"]
        assert [(one["name"], one["status"]) for one in own] == [
            ("five rows", "ok"),
            ("the newest", "ok"),
        ]
        (rows,) = [one for one in facts if one["event"] == "Table" and one["name"] == "t"]
        assert (rows["rows"], rows["primary_rows"]) == (5, 2)

        promote_run(record, plan.secondary)
        opened = looked(plan, record)
        assert not bad(opened)
        assert opened["promoted"].evidence == "open for writing on timeline 2"
        assert f"after transaction {xid}" in opened["timeline"].evidence
        assert opened["as of"].evidence == sentence
        code, facts = verified(capsys, "--checks", str(file), "--no-rows")
        assert code == 0
        assert "base backup" in [one["name"] for one in facts if one.get("kind") == "to do"]
        _harm(world, plan, record)
        file.write_text(CHECKS.replace("expect: 5", "expect: '> 5'"))
        code, facts = verified(capsys, "--checks", str(file), "--no-rows")
        assert (code, facts[-1]["failed"]) == (1, 2)
        assert any(one.get("evidence") == "5, expected > 5" for one in facts)
    assert verified(capsys)[0] == 3, "it does not run any more"


def _stale(plan: RecoveryPlan, record: RunRecord) -> list[str]:
    """Of what it is told that it was sorted by another version of the library."""
    found = postflight(plan.secondary, record.view())
    told = [one for one in found if one.name == "collations" and one.status is Status.WARNING]
    return [one.evidence.split()[0] for one in told]


def _harm(world: World, plan: RecoveryPlan, record: RunRecord) -> None:
    """What goes wrong behind the back of pitr is seen."""
    database = plan.secondary.database
    database.rows("ALTER SYSTEM SET synchronous_standby_names = 'somebody'")
    database.rows("SELECT pg_reload_conf()")
    signal = local(plan).directory / "standby.signal"
    world.user.write_file(signal, "")
    while database.row("SHOW synchronous_standby_names")[0] != "somebody":
        pass
    checks = looked(plan, record)
    assert bad(checks) == ["talks to nobody", "leftovers"]
    assert "'somebody'" in checks["talks to nobody"].evidence
    signal.unlink()


@majors("18")
def test_more_was_replayed_than_was_to_be_kept(world: World) -> None:
    """The run is told to have been cut elsewhere than it was: nothing of that is believed."""
    plan = world.plan(AtXid(world.marks[3].xid))
    earlier = world.plan(AtXid(world.marks[2].xid))
    _, judgement = examine(earlier, Output(False), quick=False)
    journal = Journal.create(lambda _: None)
    with pytest.raises(PitrError, match="stopped where it should not have"):
        recover(plan, journal, judgement=judgement)
    journal.close()
    record = run_named("last")
    assert record.view().finished is None
    local(plan).start()
    try:
        local(plan).server.wait_until_open()
        checks = looked(plan, record)
        assert checks["stopped at the target"].status is Status.FAILURE
        assert checks["last transaction"].status is Status.FAILURE
        assert f"transaction {world.marks[3].xid}" in checks["last transaction"].evidence
        assert "before" not in checks["as of"].evidence
    finally:
        local(plan).server.stop()


@majors("18")
def test_the_person_is_told_who_else_is_there(world: World) -> None:
    plan = world.plan(AtXid(world.marks[3].xid))
    with recovered(plan) as record:
        other = Database({**plan.secondary.database.parameters, "application_name": "report"})
        assert "sessions" not in looked(plan, record)
        with other.connect():
            assert looked(plan, record)["sessions"].evidence.endswith("report in postgres")


@pytest.mark.matrix
@pytest.mark.parametrize("own_world", ["11", "18"], indirect=True)
def test_prepared_transactions_are_seen_once_it_is_open(own_world: World) -> None:
    database = own_world.server.database
    database.rows("ALTER SYSTEM SET max_prepared_transactions = 2")
    own_world.server.stop()
    own_world.server.start()
    own_world.server.wait_until_open()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO t VALUES (77); PREPARE TRANSACTION 'it''s half'")
    backup = own_world.directory / "later"
    own_world.take_backup(backup)
    plan = own_world.plan(Immediate(), backup=backup)
    with recovered(plan) as record:
        assert looked(plan, record)["prepared transactions"].status is Status.NOTE
        promote_run(record, plan.secondary)
        check = looked(plan, record)["prepared transactions"]
        assert check.status is Status.WARNING
        assert "'it''s half' in postgres" in check.evidence
