"""The verdict held against real servers: green gets there exactly, red does not get there."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pitr_tui.cli.check import examine, gather
from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError
from pitr_tui.postgres.conf import change_settings
from pitr_tui.postgres.control import CONTROL_PATH
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.moment import for_settings
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import archiving
from pitr_tui.recovery.checks import Judgement, Light
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.wholeness import essential_directories, look_whole, read_whole
from tests.integration.conftest import MAJORS, installed
from tests.integration.test_cli import lines, pitr, restore, secondary
from tests.integration.world import RESTORE_POINT, World, put_back, run
from tests.local import local

pytestmark = pytest.mark.integration

OTHERS = [major for major in MAJORS if major not in ("9.6", "18")]
EVERY = ["18", *(pytest.param(major, marks=pytest.mark.matrix) for major in OTHERS)]
TELLING = [
    "11",
    "18",
    *(pytest.param(major, marks=pytest.mark.matrix) for major in OTHERS if major != "11"),
]
in_each = functools.partial(pytest.mark.parametrize, "world", indirect=True)


def examined(plan: RecoveryPlan) -> tuple[RecoveryPlan, Judgement]:
    return examine(plan, Output(as_json=True), quick=False)


def check_of(judgement: Judgement, name: str) -> CheckDone:
    (check,) = (one for one in judgement.checks if one.name == name)
    return check


def assert_gets_there(plan: RecoveryPlan, rows: list[int]) -> None:
    """The verdict is green, and the recovery has just these rows."""
    fit, judgement = examined(plan)
    assert judgement.light is Light.GREEN, judgement.sentence
    result = run(fit)
    try:
        assert result.rows == rows
    finally:
        result.server.stop()
        shutil.rmtree(local(plan).directory)


def assert_never_gets_there(plan: RecoveryPlan, *words: str, check: str = "") -> None:
    """The verdict is red and names the reason; forced past it, the recovery fails."""
    _, judgement = examined(plan)
    assert judgement.light is Light.RED
    evidence = check_of(judgement, check).evidence if check else judgement.sentence
    for word in words:
        assert word in evidence
    assert_fails(plan)


def assert_fails(plan: RecoveryPlan) -> None:
    """The recovery fails and leaves nothing, or has opened a server that has no data."""
    try:
        result = run(plan)
    except PitrError:
        put_back(plan)
        assert not local(plan).directory.exists()
        return
    try:
        with pytest.raises(PitrError):
            result.server.database.rows("SELECT id FROM t")
    finally:
        result.server.stop()
        shutil.rmtree(local(plan).directory)


def last_xid(world: World) -> int:
    """That of the transaction which proving the archive wrote behind the last row."""
    return world.marks[4].xid + 1


# From a cluster on which nothing happens but inserts.


@in_each(argvalues=TELLING)
def test_check_and_restore_agree(world: World) -> None:
    """The commands as a person types them."""
    mark = world.marks[3]
    destination = world.new_destination()
    options = ["--backup", world.backup_path, "--archive", world.archive_directory]
    options += ["--bindir", world.installation.bindir, "--to", destination, "--json"]
    for target, code in (
        (["--target-xid", str(mark.xid), "--exclusive"], 0),
        (["--target-time", for_settings(datetime.now(UTC))], 1),
        (["--target-name", "never set"], 3),
    ):
        done = pitr("check", *options, *target)
        verdict = lines(done)[-1]
        assert done.returncode == code, done.stdout + done.stderr
        assert verdict["event"] == "Verdict"
        assert verdict["light"] == {0: "green", 1: "amber", 3: "red"}[code]
        if code == 1:
            assert "you asked for" in verdict["sentence"]
            found = int(verdict["alternative"]["recovery_target_xid"])
            assert found >= last_xid(world)  # others may have written to this world since
    assert not destination.exists()
    done = restore(world, destination, "--target-xid", str(mark.xid), "--exclusive")
    server = secondary(world, destination)
    try:
        assert done.returncode == 0, done.stderr + done.stdout
        assert server.database.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    finally:
        server.stop()
        shutil.rmtree(destination)


@pytest.mark.matrix
@in_each(argvalues=EVERY)
@pytest.mark.parametrize("kind", ["xid", "before", "time", "lsn", "name", "immediate", "latest"])
def test_each_green_target_is_reached_exactly(world: World, kind: str) -> None:
    target, rows = _targets(world)[kind]
    assert_gets_there(world.plan(target), rows)


def _targets(world: World) -> dict[str, tuple[RecoveryTarget, list[int]]]:
    mark = world.marks[3]
    return {
        "xid": (AtXid(mark.xid), [1, 2, 3]),
        "before": (AtXid(mark.xid, inclusive=False), [1, 2]),
        "time": (AtTime(mark.time), [1, 2, 3]),
        "lsn": (AtLsn(mark.lsn), [1, 2, 3]),
        "name": (AtName(RESTORE_POINT), [1, 2]),
        "immediate": (Immediate(), [1]),
        "latest": (Latest(), [1, 2, 3, 4]),
    }


@pytest.mark.matrix
@in_each(argvalues=EVERY)
def test_amber_does_not_get_there_and_its_alternative_does(world: World) -> None:
    plan = world.plan(AtTime(world.marks[4].time + timedelta(seconds=30)))
    _, judgement = examined(plan)
    assert judgement.light is Light.AMBER
    assert f"(commit of xid {last_xid(world)} at " in judgement.sentence
    assert_fails(plan)
    assert judgement.alternative is not None
    instead = dataclasses.replace(plan, target=judgement.alternative.target)
    assert_gets_there(instead, [1, 2, 3, 4])


@pytest.mark.matrix
@in_each(argvalues=EVERY)
def test_a_restore_point_that_was_never_set(world: World) -> None:
    assert_never_gets_there(world.plan(AtName("never set")), "'never set'", RESTORE_POINT)


@pytest.mark.matrix
@in_each(argvalues=EVERY)
def test_a_transaction_that_never_ended_here(world: World) -> None:
    gone = AtXid(world.marks[2].xid - 400)
    assert_never_gets_there(world.plan(gone), f"{gone.xid} did not end in the WAL")


@pytest.mark.matrix
@in_each(argvalues=EVERY)
def test_a_target_before_the_end_of_the_backup(world: World) -> None:
    start = world.backup.label.start_lsn
    assert_never_gets_there(
        world.plan(AtLsn(Lsn(start + 8))), "lies before the end", check="end of backup"
    )


@in_each(argvalues=EVERY)
def test_a_position_at_which_no_record_begins(world: World) -> None:
    """PostgreSQL keeps the next record, too, and here that is the commit of row 3."""
    plan = world.plan(Latest())
    chronicle = gather(plan, Output(as_json=True), quick=False).chronicle
    assert chronicle is not None
    entry = chronicle.entry_of(world.marks[3].xid)
    before = AtLsn(Lsn(int(chronicle.lsns[entry]) - 8))
    fit, judgement = examined(dataclasses.replace(plan, target=before, action=TargetAction.PAUSE))
    assert judgement.light is Light.AMBER
    assert f"no record is known to begin at {before.lsn}" in judgement.sentence
    result = run(fit)
    try:
        assert result.rows == [1, 2, 3]
    finally:
        result.server.stop()
        shutil.rmtree(local(fit).directory)
    assert_gets_there(world.plan(dataclasses.replace(before, inclusive=False)), [1, 2])


@in_each(argvalues=EVERY)
@pytest.mark.parametrize(
    "damage",
    [
        "foreign",
        pytest.param("missing", marks=pytest.mark.matrix),
        pytest.param("misnamed", marks=pytest.mark.matrix),
    ],
)
def test_a_segment_that_is_no_good(world: World, damage: str) -> None:
    """What lies before it is reached all the same."""
    archive = world.copy_archive(f"check-{damage}")
    try:
        path = archive / WalSegment.at(world.marks[4].lsn, TimelineId(1)).name
        data = bytearray(path.read_bytes())
        if damage == "foreign":
            data[24:32] = bytes(byte ^ 0xFF for byte in data[24:32])
        elif damage == "misnamed":
            data = bytearray((archive / world.backup.label.start_file).read_bytes())
        path.unlink() if damage == "missing" else path.write_bytes(data)
        shutil.copy(archive / world.backup.label.start_file, archive / _behind(path.name))
        plan = world.plan(AtXid(world.marks[3].xid), archive=archive)
        words = "is missing" if damage == "missing" else f"is {damage}"
        assert_never_gets_there(plan, f"{path.name} {words}", check="no gap")
        assert_gets_there(world.plan(Immediate(), archive=archive), [1])
    finally:
        shutil.rmtree(archive)


def _behind(name: str) -> str:
    """The name of the segment behind another one, so that a gap is no end."""
    return WalSegment.parse(name).next().name


def changed_backup(world: World, name: str) -> Path:
    """A copy of the backup, to be spoiled."""
    copy = world.directory / name
    shutil.copytree(world.backup_path, copy, symlinks=True)
    return copy


@pytest.mark.matrix
@in_each(argvalues=EVERY)
def test_a_library_that_is_missing_here(world: World) -> None:
    backup = changed_backup(world, "preloading")
    path = backup / "postgresql.auto.conf"
    names = {"shared_preload_libraries": "no_such, libpqwalreceiver"}
    path.write_text(change_settings(path.read_text(), names))
    try:
        plan = world.plan(AtXid(world.marks[3].xid), backup=backup)
        assert_fails(plan)  # as it is, it does not start
        assert_gets_there(plan, [1, 2, 3])
        fit, judgement = examined(plan)
        assert fit.preload == {"shared_preload_libraries": ("libpqwalreceiver",)}
        check = check_of(judgement, "libraries")
        assert (check.status, "no_such" in check.evidence) == (Status.NOTE, True)
    finally:
        shutil.rmtree(backup)


@pytest.mark.matrix
@in_each(argvalues=EVERY)
@pytest.mark.parametrize("spoiled", ["pg_control", "an included file"])
def test_a_backup_that_no_server_starts_with(world: World, spoiled: str) -> None:
    backup = changed_backup(world, "spoiled")
    try:
        if spoiled == "pg_control":
            data = bytearray((backup / CONTROL_PATH).read_bytes())
            data[90] ^= 1
            (backup / CONTROL_PATH).write_bytes(data)
        else:
            with (backup / "postgresql.auto.conf").open("a") as file:
                file.write("include 'not_here.conf'\n")
        plan = world.plan(Immediate(), backup=backup)
        check = "pg_control" if spoiled == "pg_control" else "configuration"
        assert_never_gets_there(plan, check=check)
    finally:
        shutil.rmtree(backup)


@pytest.mark.matrix
@in_each(argvalues=EVERY)
def test_the_directories_without_which_a_server_does_not_start(world: World) -> None:
    backup = changed_backup(world, "thinned")
    (backup / "backup_manifest").unlink(missing_ok=True)
    version = world.installation.version
    try:
        for path in sorted(path for path in backup.iterdir() if path.is_dir()):
            kept = path.rename(world.directory / f"kept-{path.name}")
            if path.name != "global":  # has pg_control, so that it is no backup without it
                plan = world.plan(Immediate(), backup=backup)
                if path.name in essential_directories(version):
                    assert_never_gets_there(plan, path.name, check="backup complete")
                else:
                    assert_gets_there(plan, [1])
            kept.rename(path)
    finally:
        shutil.rmtree(backup)


@in_each(argvalues=EVERY)
def test_a_real_manifest_has_right_checksums(world: World) -> None:
    if not world.installation.version.writes_backup_manifest:
        assert read_whole(world.backup) is None
        return
    for found in (look_whole(world.backup), read_whole(world.backup)):
        assert found is not None
        assert found.looked_at > 100
        assert (found.lost, found.others) == ((), ())


# From a cluster that was started anew with other settings, and made a tablespace.


class Eventful(World):
    """After row 4 the server got more connections (5), a tablespace (6), and minimal WAL (7)."""

    @property
    def space(self) -> Path:
        return self.directory / "space"

    def build(self) -> None:
        super().build()
        self.start_with(max_connections="150", max_prepared_transactions="7")
        self.insert(5)
        self.user.make_directory(self.space)
        self.server.database.rows(f"CREATE TABLESPACE space LOCATION '{self.space}'")
        self.server.database.rows("CREATE TABLE s TABLESPACE space AS SELECT 6 AS six")
        self.insert(6)
        self.start_with(wal_level="minimal", archive_mode="off", max_wal_senders="0")
        self.insert(7)
        self.start_with(wal_level="replica", archive_mode="on", max_wal_senders="4")
        self.insert(8)
        archiving.prove(self.primary, self.archive_directory)
        self.server.stop()

    def start_with(self, **settings: str) -> None:
        self.server.stop()
        path = self.server.data_directory / "postgresql.auto.conf"
        self.user.write_file(path, change_settings(path.read_text(), settings))
        self.server.start()
        self.server.wait_until_open()


_eventful: dict[str, Eventful] = {}


@pytest.fixture(scope="module", autouse=True)
def _close() -> Iterator[None]:
    yield
    for world in _eventful.values():
        world.close()


@pytest.fixture
def eventful(request: pytest.FixtureRequest) -> Eventful:
    major = request.param
    if major not in _eventful:
        world = Eventful(installed(major))
        _eventful[major] = world
        world.build()
    return _eventful[major]


eventful_in = functools.partial(pytest.mark.parametrize, "eventful", indirect=True)


@eventful_in(argvalues=EVERY)
def test_what_the_wal_asks_for_is_given(eventful: Eventful) -> None:
    plan = eventful.plan(AtXid(eventful.marks[5].xid))
    fit, judgement = examined(plan)
    assert fit.raised == {"max_connections": 150, "max_prepared_transactions": 7}
    assert check_of(judgement, "settings").status is Status.NOTE
    assert_gets_there(plan, [1, 2, 3, 4, 5])
    assert_fails(plan)  # which is not fitted


@pytest.mark.matrix
@eventful_in(argvalues=EVERY)
def test_minimal_wal_leads_nowhere(eventful: Eventful) -> None:
    shutil.rmtree(eventful.space)
    eventful.user.make_directory(eventful.space)
    plan = eventful.plan(AtXid(eventful.marks[7].xid))
    fit, _ = examined(plan)
    assert_never_gets_there(fit, "wal_level = minimal", check="wal_level")


@pytest.mark.matrix
@eventful_in(argvalues=EVERY)
def test_a_tablespace_is_made_where_the_primary_has_it(eventful: Eventful) -> None:
    place = eventful.space
    plan = eventful.plan(AtXid(eventful.marks[6].xid))
    shutil.rmtree(place)
    fit, _ = examined(plan)
    assert_never_gets_there(fit, f"{place}, which is not there", check="new tablespace")

    eventful.user.make_directory(place)
    fit, judgement = examined(plan)
    assert check_of(judgement, "new tablespace").status is Status.NOTE
    assert_gets_there(fit, [1, 2, 3, 4, 5, 6])

    # What that recovery has made is now in the way, as the primary's own would be.
    files = [path for path in place.rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        path.write_bytes(b"mine" * (path.stat().st_size // 4))
    fit, judgement = examined(plan)
    assert judgement.light is Light.RED
    assert "writes over the files" in check_of(judgement, "new tablespace").evidence
    run(fit).server.stop()
    assert files
    assert any(b"mine" not in path.read_bytes()[:1000] for path in files)  # it does
