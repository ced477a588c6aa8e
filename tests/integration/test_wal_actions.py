"""Records that say more than rows: what servers write is what is decoded, on every major."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.timestamp import moment
from pitr_tui.wal.actions import (
    DatabaseCreated,
    DatabaseDropped,
    HeapTruncate,
    RelationMapChanged,
    StorageCreated,
    StorageTruncated,
    TablespaceCreated,
    TablespaceDropped,
)
from pitr_tui.wal.record import Manager
from pitr_tui.wal.xact import Abort, Assignment, Commit, Prepare
from pitr_tui.wal.xlog import (
    BackupEnd,
    Checkpoint,
    EndOfRecovery,
    FullPageWrites,
    OverwriteContrecord,
    ParameterChange,
    RestorePoint,
    Switch,
)
from tests.integration.deeds import GIDS, POINT, SUBTRANSACTIONS, WITH_ORACLE, Deeds, history
from tests.wal.described import described, told
from tests.wal.waldump import rows

pytestmark = pytest.mark.integration

MAJORS = ["11", "15", "18"]
MORE_MAJORS = ["10", "12", "13", "14", "16", "17"]


def each_major() -> Iterator[Any]:
    yield from MAJORS
    for major in MORE_MAJORS:
        yield pytest.param(major, marks=pytest.mark.matrix)


@pytest.fixture(params=each_major())
def deeds(request: pytest.FixtureRequest) -> Deeds:
    return history(request.param)


def commit_of(deeds: Deeds, name: str) -> Commit:
    (commit,) = (one for one in deeds.of(Commit) if one.xid == deeds.xids[name])
    return commit


def within(deeds: Deeds, name: str, time: int) -> bool:
    """Whether it was between the clock before and the clock after."""
    before, after = deeds.clocks[name]
    when = moment(time)
    return when is not None and before <= when <= after


def test_it_is_what_pg_waldump_says(deeds: Deeds) -> None:
    if deeds.cluster.major not in WITH_ORACLE:
        assert deeds.waldump == []
        return
    actions = {record.lsn: action for record, action in deeds.actions}
    wrong, compared = [], 0
    for row in rows(deeds.waldump):
        action, said = actions.pop(Lsn(row.lsn), None), told(row)
        found = None if action is None else described(action)
        compared += said is not None
        if found != said:
            wrong.append((row, found, said))
    assert wrong == []
    assert compared > 1000
    assert list(actions) == [], "pg_waldump has less"


def test_commits_and_aborts(deeds: Deeds) -> None:
    plain = commit_of(deeds, "insert")
    assert plain == Commit(deeds.xids["insert"], plain.time)
    assert within(deeds, "insert", plain.time)
    (abort,) = (one for one in deeds.of(Abort) if one.xid == deeds.xids["rolled back"])
    assert abort == Abort(deeds.xids["rolled back"], abort.time)
    assert within(deeds, "rolled back", abort.time)
    for name in ("on timeline 2", "last", "truncate", "replicated"):
        assert within(deeds, name, commit_of(deeds, name).time)
    assert deeds.xids["lost"] not in {one.xid for one in deeds.of(Commit)}


def test_subtransactions(deeds: Deeds) -> None:
    top = deeds.xids["nested"]
    commit = commit_of(deeds, "nested")
    assert commit.subxids == tuple(range(top + 1, top + 1 + SUBTRANSACTIONS))
    (assignment,) = (one for one in deeds.of(Assignment) if one.top == top)
    assert assignment.subxids == commit.subxids[:64]
    back = top + 1 + SUBTRANSACTIONS
    (abort,) = (one for one in deeds.of(Abort) if one.xid == back)
    assert abort.subxids == ()


def test_dropped_files(deeds: Deeds) -> None:
    commit = commit_of(deeds, "drop")
    assert {deeds.files[name] for name in ("table", "index", "toast")} < set(commit.dropped)
    assert commit.database == deeds.oids["postgres"]
    created = {one.locator for one in deeds.of(StorageCreated) if one.fork == 0}
    assert set(commit.dropped) <= created
    assert deeds.files["far"] in created
    (cut,) = (one for one in deeds.of(StorageTruncated) if one.locator == deeds.files["shrunk"])
    assert cut.blocks == deeds.oids["blocks"] > 0


def test_prepared_transactions(deeds: Deeds) -> None:
    found = {one.gid: one for one in deeds.of(Prepare)}
    assert list(found) == [*GIDS, "logical"]
    first, second = found[GIDS[0]], found[GIDS[1]]
    assert (first.xid, first.database) == (deeds.xids["prepared"], deeds.oids["postgres"])
    assert first.subxids == (first.xid + 1,)
    assert first.dropped_on_commit == (deeds.files["old"],)
    assert first.dropped_on_abort == (deeds.files["new"],)
    assert within(deeds, "prepared", first.time)
    commit = commit_of(deeds, "prepared")
    assert commit.prepared
    assert (commit.subxids, commit.dropped) == (first.subxids, first.dropped_on_commit)
    assert commit.time > first.time
    (abort,) = (one for one in deeds.of(Abort) if one.xid == deeds.xids["given up"])
    assert abort.prepared
    assert (abort.subxids, abort.dropped) == ((), second.dropped_on_abort)
    assert len(abort.dropped) == 1
    assert found[GIDS[2]].xid == deeds.xids["left open"]
    told_gid = deeds.cluster.installation.version.major_number >= 1100
    assert commit_of(deeds, "logical").gid == ("logical" if told_gid else None)


def test_databases_and_tablespaces(deeds: Deeds) -> None:
    created = deeds.of(DatabaseCreated)
    oids, template = deeds.oids, deeds.oids["template1"]
    copied = [one for one in created if one.oid == oids["copied"]]
    assert copied == [DatabaseCreated(oids["copied"], 1663, template, 1663)]
    dropped = deeds.of(DatabaseDropped)
    for name in ("copied", "logged"):
        if name in oids:
            spaces = [s for one in dropped if one.oid == oids[name] for s in one.tablespaces]
            assert sorted(spaces) == [1663, oids["tablespace"]]
    if "logged" in oids:
        assert DatabaseCreated(oids["logged"], 1663, None, None) in created
    place = str(deeds.cluster.directory / "place")
    assert deeds.of(TablespaceCreated) == [TablespaceCreated(oids["tablespace"], place)]
    assert deeds.of(TablespaceDropped) == [TablespaceDropped(oids["tablespace"])]


def test_relation_maps(deeds: Deeds) -> None:
    changed = deeds.of(RelationMapChanged)
    last = {one.database: one.data for one in changed if one.database in deeds.maps}
    assert last == deeds.maps
    assert {one.tablespace for one in changed} == {1663, 1664}


def test_truncates_for_logical_decoding(deeds: Deeds) -> None:
    if deeds.cluster.installation.version.major_number < 1100:
        assert deeds.of(HeapTruncate) == []
        return
    oids = deeds.oids
    assert deeds.of(HeapTruncate) == [
        HeapTruncate(oids["postgres"], (oids["t"], oids["child"]), True, False),
        HeapTruncate(oids["postgres"], (oids["counted"],), False, True),
    ]


def test_settings_and_restore_points(deeds: Deeds) -> None:
    first, *_, last = deeds.of(ParameterChange)
    senders = deeds.cluster.installation.version.major_number >= 1200
    assert first == ParameterChange(
        *(100, 8, 4 if senders else None, 10, 64, "replica", False, False)
    )
    assert last == ParameterChange(
        *(123, 8, 7 if senders else None, 10, 64, "logical", True, False)
    )
    assert deeds.of(FullPageWrites) == [FullPageWrites(False)]
    (point,) = deeds.of(RestorePoint)
    assert point.name == POINT
    assert point.time > commit_of(deeds, "logical").time
    assert deeds.of(BackupEnd) == [BackupEnd(deeds.backup_start)]
    ends = [record.end for record, action in deeds.actions if isinstance(action, Switch)]
    assert ends
    assert all(end % (16 << 20) == 0 for end in ends)


def test_timelines_and_checkpoints(deeds: Deeds) -> None:
    (end,) = deeds.of(EndOfRecovery)
    assert (end.timeline, end.previous_timeline) == (2, 1)
    assert end.time < commit_of(deeds, "on timeline 2").time
    version = deeds.cluster.installation.version
    level, next_xid = None, 0
    for record, action in deeds.actions:
        if isinstance(action, Checkpoint):
            assert action.redo == record.lsn or not action.shutdown
            assert action.redo <= record.lsn
            assert action.next_xid >= next_xid
            assert action.timeline == action.previous_timeline
            assert (action.wal_level is not None) is version.checkpoint_tells_wal_level
            level, next_xid = action.wal_level, action.next_xid
    assert next_xid == deeds.xids["last"] + 1
    assert level == ("logical" if version.checkpoint_tells_wal_level else None)
    last = moment(deeds.of(Checkpoint)[-1].time)
    assert last is not None
    assert abs(last - deeds.clocks["last"][1]) < timedelta(minutes=1)


def test_a_record_that_was_given_up(deeds: Deeds) -> None:
    (overwrite,) = deeds.of(OverwriteContrecord)
    assert overwrite.lsn == deeds.cut_off
    before, after = deeds.clocks["lost"][1], deeds.clocks["last"][0]
    when = moment(overwrite.time)
    assert when is not None
    assert before < when < after
    assert deeds.cut_off not in {record.lsn for record in deeds.records}


def test_what_is_not_decoded(deeds: Deeds) -> None:
    """Of the managers that are looked at, only records that allocate or repeat are left."""
    decoded = {record.lsn for record, _ in deeds.actions}
    left = {
        (record.manager, record.info & (0x70 if record.manager == Manager.TRANSACTION else 0xF0))
        for record in deeds.records
        if record.lsn not in decoded and record.manager in set(Manager) - {9, 10}
    }
    images = {(0, 0xA0), (0, 0xB0)}
    assert left <= {(Manager.XLOG, 0x20), (Manager.XLOG, 0x30), (1, 0x60), *images}
