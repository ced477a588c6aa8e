"""pgbench with an accident in the middle: found in the WAL, and undone to the transaction."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtXid, TargetAction
from pitr_tui.recovery.checks import Evidence, Light, judge
from pitr_tui.recovery.choice import best, candidates, consistent_from
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import (
    Surveyed,
    first_backup,
    read_chronicle,
    survey_archive,
)
from pitr_tui.servers.installation import find_installations
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.wal.aim import aim_at_cut
from pitr_tui.wal.chronicle import Chronicle
from tests.integration.conftest import installed
from tests.integration.world import run
from tests.wal.cluster import Cluster

pytestmark = pytest.mark.integration

CLIENTS = 4


def pgbench() -> Path:
    """One that is found, of any version: a newer one works on an older server."""
    for installation in find_installations():
        if installation.has("pgbench"):
            return installation.bindir / "pgbench"
    pytest.skip("no pgbench on this machine")


@dataclass
class Accident:
    """A server on which pgbench ran before and after one transaction, and what it kept of it."""

    cluster: Cluster
    surveyed: Surveyed
    chronicle: Chronicle
    xid: int

    def history_before(self) -> int:
        """How many rows of pgbench were committed before the accident, as its server says."""
        return self._count("<")

    def history_and_after(self) -> int:
        return self._count("<>")

    def _count(self, comparison: str) -> int:
        counted = (
            "SELECT count(*) FROM pgbench_history WHERE pg_xact_commit_timestamp(xmin) "
            f"{comparison} pg_xact_commit_timestamp(%s::text::xid)"
        )
        (count,) = self.cluster.server.database.row(counted, [self.xid])
        return int(count)


@pytest.fixture(scope="module", params=["11", "15", "18"])
def accident(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Accident]:
    cluster = Cluster(installed(request.param), settings={"track_commit_timestamp": "on"})
    try:
        cluster.initialize()
        cluster.start()
        yield _live(cluster, tmp_path_factory.mktemp("accident"))
    finally:
        cluster.close()


def _live(cluster: Cluster, place: Path) -> Accident:
    server = cluster.server
    where = [str(pgbench()), "-h", str(server.socket_directory), "-p", str(server.port)]
    where += ["-U", server.role, "postgres"]
    subprocess.run([*where[:-1], "-i", "-q", "postgres"], check=True, capture_output=True)
    server.database.rows("CREATE TABLE customers AS SELECT generate_series(1, 5000) AS id")
    cluster.take_backup()
    load = subprocess.Popen(
        [*where[:-1], "-n", "-c", str(CLIENTS), "-t", "400", "postgres"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while server.database.row("SELECT count(*) FROM pgbench_history") < (200,):
            assert load.poll() is None
        server.database.rows("ALTER TABLE customers ADD COLUMN note text")
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT txid_current()")
            (xid,) = cursor.fetchone() or (0,)
            cursor.execute("DROP TABLE customers")
            cursor.execute("COMMIT")
        _, said = load.communicate(timeout=60)
        assert load.returncode == 0, said
    finally:
        load.kill()
        load.wait()
    cluster.switch()
    archive = WalArchive(cluster.archive_to(place / "archive"))
    with IndexCache() as cache:
        means = Means(cache)
        surveyed = survey_archive(archive, list_backups(cluster.directory, archive), means)
        chronicle = read_chronicle(surveyed, means, backup=first_backup(surveyed))
    return Accident(cluster, surveyed, chronicle, int(xid))


def test_whose_definitions_were_changed_is_known(accident: Accident) -> None:
    """By the new column and by the drop; pgbench changes rows alone."""
    chronicle = accident.chronicle
    told = [chronicle.changed_definitions(entry) for entry in chronicle.defined]
    assert told == ["changed definitions of customers"] * 2
    assert int(chronicle.xids[max(chronicle.defined)]) == accident.xid
    assert not any(chronicle.changes(entry) for entry in chronicle.defined)


@pytest.mark.parametrize("side", ["before", "after"])
def test_the_state_just_beside_it_is_recovered(accident: Accident, side: str) -> None:
    chronicle, surveyed = accident.chronicle, accident.surveyed
    worst = chronicle.suspects()[0]
    assert chronicle.xids[worst.index] == accident.xid
    assert worst.words.startswith("dropped public.customers (about 5,000 rows)")
    cut = worst.index + (side == "after")
    first = aim_at_cut(chronicle, cut)
    backup = best(candidates(surveyed, first, chronicle.timeline, chronicle))
    assert backup is not None
    since = consistent_from(backup, chronicle)
    assert since is not None
    aimed = aim_at_cut(chronicle, cut, since)
    plan = RecoveryPlan(
        backup=backup,
        archive=surveyed.archive,
        secondary=LocalSecondary(
            accident.cluster.directory / f"recovered-{side}",
            accident.cluster.installation,
            accident.cluster.user,
        ),
        target=aimed.target,
        action=TargetAction.PROMOTE,
        timeline=chronicle.timeline,
    )
    recovered = run(plan)
    try:
        database = recovered.server.database
        (history,) = database.row("SELECT count(*) FROM pgbench_history")
        here = "SELECT to_regclass('public.customers') IS NOT NULL"
        assert database.row(here) == (side == "before",)
        if side == "before":
            assert database.row("SELECT count(*) FROM customers") == (5000,)
            assert history == accident.history_before()
        else:
            assert history >= accident.history_before()
        assert chronicle.first_lost(aimed.cut or 0) is not None
        lost = {str(one.table): one for one in chronicle.loss(aimed.cut or 0).tables}
        assert lost["public.pgbench_history"].inserted == accident.history_and_after() - history
    finally:
        recovered.server.stop()


def test_where_nothing_came_between_the_dropped_table_can_be_read_at_once(
    accident: Accident,
) -> None:
    """The server stops behind the commit before, so that it has not replayed the lock."""
    chronicle = accident.chronicle
    entry = chronicle.entry_of(accident.xid)
    assert entry is not None
    kept = chronicle.last_kept(entry)
    assert kept is not None
    apart = bool(chronicle.firsts[entry] >= chronicle.ends[kept])
    target = aim_at_cut(chronicle, entry, Lsn(int(chronicle.start))).target
    expected = AtXid(int(chronicle.xids[kept])) if apart else AtXid(accident.xid, inclusive=False)
    assert target == expected


@pytest.mark.parametrize("major", ["11", pytest.param("15", marks=pytest.mark.matrix), "18"])
def test_a_dropped_database_is_back_with_its_files(major: str, tmp_path: Path) -> None:
    """Replay removes the files before the DROP DATABASE commits: the stop has to lie before."""
    cluster = Cluster(installed(major))
    try:
        cluster.initialize()
        cluster.start()
        database = cluster.server.database
        database.rows("CREATE DATABASE gone")
        cluster.take_backup()
        database.named("gone").rows("CREATE TABLE kept AS SELECT generate_series(1, 300) AS id")
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE gone")
        cluster.switch()
        archive = WalArchive(cluster.archive_to(tmp_path / "archive"))
        with IndexCache() as cache:
            means = Means(cache)
            surveyed = survey_archive(archive, list_backups(cluster.directory, archive), means)
            chronicle = read_chronicle(surveyed, means, backup=first_backup(surveyed))
        worst = chronicle.suspects()[0]
        assert worst.words == "dropped the database gone"
        (backup,) = surveyed.usable
        aim = aim_at_cut(chronicle, worst.index, consistent_from(backup, chronicle))
        plan = RecoveryPlan(
            backup=backup,
            archive=archive,
            secondary=LocalSecondary(
                cluster.directory / "recovered", cluster.installation, cluster.user
            ),
            target=aim.target,
            action=TargetAction.PROMOTE,
        )
        evidence = Evidence(surveyed, chronicle, aim)
        now = datetime.now(UTC)
        assert judge(plan, now, evidence).light is Light.GREEN
        late = replace(plan, target=AtXid(int(chronicle.xids[worst.index]), inclusive=False))
        refused = judge(late, now, evidence)
        assert refused.light is Light.RED
        assert "removes the files of a database" in refused.sentence
        recovered = run(plan)
        try:
            kept = recovered.server.database.named("gone")
            assert kept.row("SELECT count(*) FROM kept") == (300,)
        finally:
            recovered.server.stop()
    finally:
        cluster.close()
