"""What servers do to their WAL seldom: segments used again, xids set by hand, forks, `.partial`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.walname import is_segment
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.xlog import ParameterChange
from tests.integration.conftest import installed
from tests.wal import ours
from tests.wal.cluster import MEGABYTE, Cluster
from tests.wal.test_transactions import compare
from tests.wal.waldump import waldump

pytestmark = pytest.mark.integration

Making = Callable[..., Cluster]
NEXT_XID = 7 << 28  # far ahead, and still of the same half of all numbers
both = pytest.mark.parametrize("major", ["15", "18"])


@pytest.fixture
def made() -> Iterator[Making]:
    """Makes and starts clusters, and closes them when the test is over."""
    clusters: list[Cluster] = []

    def make(major: str, **settings: str) -> Cluster:
        cluster = Cluster(installed(major), MEGABYTE, settings)
        clusters.append(cluster)
        cluster.initialize()
        cluster.start()
        return cluster

    yield make
    for cluster in clusters:
        cluster.close()


def sql(cluster: Cluster, *statements: str, dbname: str = "postgres") -> None:
    with cluster.connect(dbname) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def pitr(place: Path, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "pitr_tui", "wal", *arguments, "--json"],
        env={**os.environ, "PITR_CACHE_DIR": str(place / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def sentences(place: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    said = pitr(place, "suspects", *arguments)
    return {one["sentence"]: one for one in said if one["event"] == "Suspect"}


@both
def test_segments_used_again_end_where_the_server_does(
    made: Making, tmp_path: Path, major: str
) -> None:
    """Behind its last record a server's own directory is full of older WAL."""
    cluster = made(major, archive_mode="off", min_wal_size="20MB", max_wal_size="20MB")
    fill = "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n"
    sql(cluster, "CREATE TABLE t (id int, body text)", *[fill, "CHECKPOINT"] * 4)
    sql(cluster, "CREATE TABLE u AS SELECT generate_series(1, 7) n")
    position = cluster.position()
    cluster.crash()
    archive = tmp_path / "archive"
    archive.mkdir()
    names = sorted(path for path in cluster.wal_directory.iterdir() if is_segment(path.name))
    for path in names:
        shutil.copyfile(path, archive / path.name)
    at = int(position) // MEGABYTE
    ahead = [path for path in names if ours.number_of(path, MEGABYTE) > at]
    assert any(path.read_bytes()[:2] != b"\0\0" for path in ahead)  # older WAL, not zeros
    live = [archive / path.name for path in names if path not in ahead]
    reading = ours.read(ours.facts_of(live, MEGABYTE))
    compare(reading, waldump(major).read(live[0], live[-1]))
    (end,) = reading.unread
    assert end.lsn == position
    assert end.kind in (Ending.UNWRITTEN, Ending.RECYCLED)
    said = pitr(tmp_path, "transactions", str(archive))
    listed = [one["lsn"] for one in said if one["event"] == "Transaction"]
    assert listed == [str(one.lsn) for one in reading.transactions]


@both
def test_xids_that_were_set_by_hand(made: Making, tmp_path: Path, major: str) -> None:
    """pg_resetwal begins the WAL anew, and nothing of before it goes on behind it."""
    cluster = made(major)
    sql(cluster, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
    archive = cluster.archive_to(tmp_path / "archive")
    before = ours.read(ours.facts_of(sorted(archive.iterdir()), MEGABYTE))
    cluster.server.stop()
    cluster.archive_to(archive)
    data = str(cluster.server.data_directory)
    # It wants the part of pg_xact that has this xid to be there.
    page = f"{NEXT_XID // (8192 * 4 * 32):04X}"
    cluster.user.write_file(cluster.server.data_directory / "pg_xact" / page, "\0" * 32 * 8192)
    cluster.server.run_tool("pg_resetwal", ["-x", str(NEXT_XID), "-e", "3", "-D", data])
    cluster.start()
    sql(cluster, "INSERT INTO t SELECT generate_series(1, 3)")
    cluster.switch()
    cluster.archive_to(archive)
    reading = ours.read(ours.facts_of(sorted(archive.iterdir()), MEGABYTE))
    assert [one.xid for one in reading.ended][: len(before.ended)] == [
        one.xid for one in before.ended
    ]
    last = reading.ended[-1]
    assert NEXT_XID <= last.xid < NEXT_XID + 10
    assert last.full_xid == 3 << 32 | last.xid
    assert not last.partial
    assert sum(change.inserted for change in last.changes) == 3
    (gap, *_) = reading.unread
    assert gap.until is not None
    assert gap.until <= last.first


@both
def test_another_wal_level_at_every_restart(made: Making, tmp_path: Path, major: str) -> None:
    cluster = made(major, wal_keep_size="1GB")
    levels = ("minimal", "replica", "logical", "minimal", "logical")
    sql(cluster, "CREATE TABLE t (id int PRIMARY KEY, body text)")
    for number, level in enumerate(levels):
        quiet = {"archive_mode": "off", "max_wal_senders": "0"} if level == "minimal" else {}
        cluster.configure({**cluster.settings, "wal_level": level, **quiet})
        cluster.server.stop()
        cluster.start()
        rows = f"generate_series({100 * number}, {100 * number + 99}) n"
        sql(
            cluster,
            f"INSERT INTO t SELECT n, repeat('x', 50) FROM {rows}",
            f"UPDATE t SET body = 'y' WHERE id % 100 < {number + 10}",
            f"CREATE TABLE made_{level}_{number} AS SELECT n FROM {rows}",
            f"DELETE FROM t WHERE id % 100 = {number}",
        )
    cluster.switch()
    paths = cluster.segments()
    reading = ours.read(ours.facts_of(paths, MEGABYTE))
    compare(reading, waldump(major).read(paths[0], paths[-1]))
    changes = [one.action for one in reading.happenings if isinstance(one.action, ParameterChange)]
    assert [one.wal_level for one in changes][-len(levels) :] == list(levels)
    assert not [one for one in reading.unread if one.until is not None]


@both
def test_suspects_along_a_fork(made: Making, tmp_path: Path, major: str) -> None:
    """The way to a child timeline has no accident that happened on the parent's afterwards."""
    cluster = made(major)
    sql(
        cluster,
        *(
            f"CREATE TABLE {name} AS SELECT generate_series(1, {rows}) n"
            for name, rows in (("early", 30), ("undone", 40), ("late", 50))
        ),
    )
    backup = cluster.take_backup()
    sql(cluster, "INSERT INTO late SELECT generate_series(51, 60)", "TRUNCATE early")
    fork = cluster.position()
    sql(cluster, "DROP TABLE undone", "CREATE TABLE later AS SELECT 1 AS n")
    cluster.switch()
    archive = cluster.archive_to(cluster.directory / "archive")  # where the server may look
    cluster.user.own(archive)
    cluster.server.stop()
    branch(cluster, backup, archive, fork)
    sql(cluster, "DELETE FROM undone WHERE n <= 20", "DROP TABLE late")
    cluster.archive_to(archive)
    cluster.server.stop()
    assert (archive / "00000002.history").is_file()
    places = [str(archive), "--backup", str(backup)]
    found = sentences(tmp_path, *places)
    assert {words: one["transaction"]["timeline"] for words, one in found.items()} == {
        "truncated public.early (about 30 rows)": 1,
        "deleted 20 of about 40 rows of public.undone": 2,
        "dropped public.late (about 60 rows)": 2,
    }
    parent = sentences(tmp_path, *places, "--timeline", "1")
    assert set(parent) == {
        "truncated public.early (about 30 rows)",
        "dropped public.undone (about 40 rows)",
    }


def branch(cluster: Cluster, backup: Path, archive: Path, target: Lsn) -> None:
    """Put a backup in the place of the cluster, recover it up to `target`, and promote."""
    data = cluster.server.data_directory
    shutil.rmtree(data)
    shutil.copytree(backup, data, symlinks=True)
    for path in (data, *data.rglob("*")):
        cluster.user.own(path)
    data.chmod(0o700)
    cluster.configure(
        {
            "restore_command": f'cp "{archive}/%f" "%p"',
            "recovery_target_lsn": str(target),
            "recovery_target_action": "promote",
            "recovery_target_timeline": "1",
        }
    )
    cluster.user.write_file(data / "recovery.signal", "")
    cluster.start()


@both
def test_a_segment_that_was_begun_is_read(made: Making, tmp_path: Path, major: str) -> None:
    """The accident of a minute ago lies in what pg_receivewal is still writing."""
    cluster = made(major)
    sql(cluster, "CREATE TABLE t AS SELECT generate_series(1, 300) n")
    backup = cluster.take_backup()
    cluster.switch()
    sql(cluster, "DELETE FROM t WHERE n <= 200")
    archive = cluster.archive_to(tmp_path / "archive")
    last = max(archive.iterdir())
    last.rename(f"{last}.partial")
    found = sentences(tmp_path, str(archive), "--backup", str(backup))
    assert list(found) == ["deleted 200 of about 300 rows of public.t"]
    # A shorter one, as when it was copied while it was written, has no less up to its end.
    (one,) = found.values()
    partial = Path(f"{last}.partial")
    end = Lsn.parse(one["transaction"]["end_lsn"]) % MEGABYTE
    whole = partial.read_bytes()
    partial.write_bytes(whole[: end // 8192 * 8192 + 8192])
    assert list(sentences(tmp_path, str(archive), "--backup", str(backup))) == list(found)
    # Once it is finished, it is there under both names for a while.
    last.write_bytes(whole)
    assert list(sentences(tmp_path, str(archive), "--backup", str(backup))) == list(found)


@pytest.mark.matrix
@both
def test_relations_over_a_gigabyte(made: Making, tmp_path: Path, major: str) -> None:
    """Rows of the second gigabyte count like those of the first, and one knows how many."""
    cluster = made(major, max_wal_size="2GB", archive_mode="off", wal_level="replica")
    rows = 140_000  # one a page
    sql(
        cluster,
        "CREATE TABLE big (id int, body text)",
        "ALTER TABLE big ALTER body SET STORAGE PLAIN",
        f"INSERT INTO big SELECT n, repeat('x', 7500) FROM generate_series(1, {rows}) n",
        "CHECKPOINT",
    )
    assert cluster.server.database.row("SELECT pg_relation_size('big') > 1 << 30")[0]
    backup = cluster.take_backup()
    sql(cluster, f"DELETE FROM big WHERE id > {rows - 30_000}")
    cluster.switch()
    archive = cluster.archive_to(tmp_path / "archive")
    found = sentences(tmp_path, str(archive), "--backup", str(backup))
    assert list(found) == ["deleted 30,000 of about 140,000 rows of public.big"]
