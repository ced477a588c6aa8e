"""What goes wrong is said, nothing of ours is left, and a second try works."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Immediate, Latest, TargetAction
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import archiving
from pitr_tui.recovery.checks import Light, judge, require_passed
from pitr_tui.recovery.events import RunFailed, Stamped, Step, StepStarted, utc_now
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.repositories.backups import BackupFormat, open_backup
from pitr_tui.servers.installation import installation_for
from tests.integration.conftest import majors, world_of
from tests.integration.world import World, put_back, run
from tests.local import local

pytestmark = pytest.mark.integration


def assert_fails(plan: RecoveryPlan, *words: str) -> PitrError:
    """The run fails with these words, and leaves nothing, or a copy that it tells of.

    Thrown away, that leaves the destination as it was before, too.
    """
    place = local(plan).directory
    before = sorted(place.iterdir()) if place.exists() else None
    with pytest.raises(PitrError) as raised:
        run(plan)
    put_back(plan)
    assert (sorted(place.iterdir()) if place.exists() else None) == before
    for word in words:
        assert word in str(raised.value)
    return raised.value


def assert_works_now(world: World, destination: Path) -> None:
    """The same destination takes a second try."""
    again = run(world.plan(AtXid(world.marks[2].xid), destination=destination))
    assert again.rows == [1, 2]
    again.server.stop()


@majors("11", "12", "13", "15", "18")
def test_target_behind_the_end_of_the_archive_is_a_failure(world: World) -> None:
    plan = world.plan(AtTime(world.marks[4].time + timedelta(seconds=30)))
    error = assert_fails(plan)
    silent = not world.installation.version.fails_when_target_unreached
    assert ("opened all the same" if silent else "the archive ends before") in error.what
    assert_works_now(world, local(plan).directory)


@majors("11", "18", often=("18",))
def test_unknown_restore_point_is_a_failure(world: World) -> None:
    assert_fails(world.plan(AtName("never set")))


@majors("11", "18", often=("18",))
def test_unreached_target_is_not_promoted_quietly(world: World) -> None:
    plan = world.plan(AtXid(world.marks[4].xid + 1000), TargetAction.PROMOTE)
    assert_fails(plan)


@majors("11", "15", "18")
def test_missing_segment_before_the_target(world: World) -> None:
    archive = world.copy_archive("gap")
    segment = WalSegment.at(world.marks[3].lsn, TimelineId(1))
    (archive / segment.name).unlink()
    try:
        assert_fails(world.plan(AtXid(world.marks[3].xid), archive=archive))
    finally:
        shutil.rmtree(archive)


@majors("11", "15", "18")
def test_gap_without_a_target_is_a_failure(world: World) -> None:
    archive = world.copy_archive("hole")
    segment = WalSegment.at(world.marks[3].lsn, TimelineId(1))
    (archive / segment.name).rename(archive / segment.next().name)
    try:
        plan = world.plan(Latest(), archive=archive)
        gap = next(check for check in judge(plan, utc_now()).checks if check.name == "no gap")
        assert segment.name in gap.evidence
        assert_fails(plan, "before the end of the archive")
    finally:
        shutil.rmtree(archive)


@majors("18", "15", "11", often=("18",))
@pytest.mark.parametrize("damage", ["truncated", "foreign", "zeroed", "empty"])
def test_unusable_segment_stops_the_recovery_and_is_named(world: World, damage: str) -> None:
    archive = world.copy_archive(f"damaged-{damage}")
    segment = WalSegment.at(world.marks[3].lsn, TimelineId(1))
    path = archive / segment.name
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "foreign":
        data[24:32] = bytes(byte ^ 0xFF for byte in data[24:32])
        path.write_bytes(data)
    else:
        path.write_bytes(bytes(len(data)) if damage == "zeroed" else b"")
    plan = world.plan(AtXid(world.marks[3].xid), archive=archive)
    try:
        assert_fails(plan, segment.name)
    finally:
        shutil.rmtree(archive)
    assert_works_now(world, local(plan).directory)


def test_destination_that_is_not_empty_is_left_alone(world: World) -> None:
    destination = world.new_destination()
    destination.mkdir()
    (destination / "precious").write_text("mine")
    plan = world.plan(Latest(), destination=destination)
    with pytest.raises(RefusedError, match="not empty"):
        require_passed(judge(plan, utc_now()).checks)
    with pytest.raises(RefusedError, match="not empty"):
        run(plan)
    assert (destination / "precious").read_text() == "mine"


def test_empty_destination_stays_after_a_failure(world: World) -> None:
    destination = world.new_destination()
    destination.mkdir()
    assert_fails(world.plan(AtName("never set"), destination=destination))
    assert list(destination.iterdir()) == []
    assert_works_now(world, destination)


def test_primary_data_directory_is_refused_as_a_destination(world: World) -> None:
    plan = world.plan(Latest(), destination=world.server.data_directory)
    with pytest.raises(RefusedError, match="not empty"):
        run(plan)
    assert world.server.is_running()


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    """A file system with room for 24 MB."""
    place = world.directory / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "none", str(place)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        place.rmdir()
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    world.user.own(place)
    yield place
    subprocess.run(["umount", str(place)], check=True)
    place.rmdir()


def test_full_disk_leaves_nothing(world: World, small_disk: Path) -> None:
    plan = world.plan(Latest(), destination=small_disk / "secondary")
    space = next(check for check in judge(plan, utc_now()).checks if check.name == "space")
    assert space.status == "failure"
    assert_fails(plan, "No space left")
    assert list(small_disk.iterdir()) == []


def test_port_in_use_is_refused(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plan = world.plan(Latest(), port=port)
        with pytest.raises(RefusedError, match=f"port {port}"):
            require_passed(judge(plan, utc_now()).checks)
        error = assert_fails(plan)
        assert "port" in error.what


def test_programs_of_another_major_are_refused(world: World) -> None:
    other = world_of("15").installation
    with pytest.raises(RefusedError, match="18"):
        installation_for(world.backup.version, other.bindir)


@majors("11", "18", often=("18",))
def test_target_before_the_end_of_the_backup(world: World) -> None:
    backup = world.backup
    for target in (
        AtLsn(Lsn(backup.label.start_lsn + 8)),
        AtTime(world.marks[1].time - timedelta(hours=1)),
    ):
        with pytest.raises(RefusedError, match="before the end of the backup"):
            require_passed(judge(world.plan(target), utc_now()).checks)


def test_target_in_the_future_or_behind_the_archive_is_told(world: World) -> None:
    with pytest.raises(RefusedError, match="future"):
        require_passed(judge(world.plan(AtTime(utc_now() + timedelta(days=1))), utc_now()).checks)
    judged = judge(world.plan(AtLsn(Lsn.parse("F/0"))), utc_now())
    assert judged.light is Light.AMBER
    assert "behind the end of the archive" in judged.sentence


def test_backup_that_was_started_already_is_refused(world: World) -> None:
    copy = world.directory / "started"
    shutil.copytree(world.backup_path, copy)
    (copy / "backup_label").unlink()
    try:
        with pytest.raises(RefusedError, match="backup_label"):
            open_backup(copy)
    finally:
        shutil.rmtree(copy)


@pytest.mark.parametrize("step", [Step.COPY, Step.SETTINGS, Step.START, Step.REPLAY, Step.LOOK])
def test_cancelled_at_any_step_leaves_nothing(world: World, step: Step) -> None:
    cancel = threading.Event()
    events: list[Stamped] = []

    def listen(stamped: Stamped) -> None:
        events.append(stamped)
        if stamped.event == StepStarted(step):
            cancel.set()

    plan = world.plan(AtXid(world.marks[3].xid))
    journal = Journal.create(listen)
    try:
        with pytest.raises(CancelledError):
            recover(plan, journal, cancel)
    finally:
        journal.close()
    assert not local(plan).directory.exists()
    assert isinstance(events[-1].event, RunFailed)
    assert_works_now(world, local(plan).directory)


def test_unreadable_archive_is_no_proof_of_absence(world: World) -> None:
    archive = world.copy_archive("closed")
    plan = world.plan(AtXid(world.marks[3].xid), archive=archive)
    shutil.rmtree(archive)
    with pytest.raises(PitrError) as raised:
        plan.archive.find("000000010000000000000001")
    assert "cannot be read" in raised.value.what
    assert not os.path.exists(local(plan).directory)


@pytest.mark.parametrize("own_world", ["11", "18"], indirect=True)
@pytest.mark.parametrize("format", list(BackupFormat))
def test_tablespaces_never_touch_the_places_of_the_primary(
    own_world: World, format: BackupFormat
) -> None:
    theirs = own_world.directory / f"space {format}=1"
    own_world.user.make_directory(theirs)
    name = f"space_{format}"
    own_world.server.database.rows(f"CREATE TABLESPACE {name} LOCATION '{theirs}'")
    own_world.server.database.rows(f"CREATE TABLE in_{name} TABLESPACE {name} AS SELECT 1 AS one")
    backup = own_world.directory / f"with-{name}"
    own_world.take_backup(backup, format)
    archiving.prove(own_world.primary, own_world.archive_directory)
    result = run(own_world.plan(Immediate(), backup=backup))
    try:
        assert result.server.database.row(f"SELECT one FROM in_{name}") == (1,)
        links = [path.resolve() for path in (local(result.plan).directory / "pg_tblspc").iterdir()]
        assert links
        assert all(link.is_relative_to(local(result.plan).directory) for link in links)
    finally:
        result.server.stop()


@majors("11", "18", often=("18",))
def test_destination_inside_of_what_is_only_read_is_refused(world: World) -> None:
    for place in (world.archive_directory, world.backup_path, world.server.data_directory / "base"):
        plan = world.plan(Latest(), destination=place / "x")
        with pytest.raises(RefusedError, match="inside of"):
            require_passed(judge(plan, utc_now()).checks)
        with pytest.raises(RefusedError, match="inside of"):
            run(plan)
        assert not local(plan).directory.exists()


@majors("12", "18")
def test_damage_in_the_last_segment_is_no_success(world: World) -> None:
    archive = world.copy_archive("bitten")
    path = archive / WalSegment.at(world.marks[4].lsn, TimelineId(1)).name
    data = bytearray(path.read_bytes())
    data[(int(world.marks[3].lsn) % len(data)) + 40] ^= 0xFF
    path.write_bytes(data)
    try:
        assert_fails(world.plan(Latest(), archive=archive))
    finally:
        shutil.rmtree(archive)


@majors("12", "18")
def test_segments_in_an_unknown_form_are_not_absent(world: World) -> None:
    archive = world.copy_archive("packed")
    path = archive / WalSegment.at(world.marks[4].lsn, TimelineId(1)).name
    path.rename(path.with_name(path.name + ".Z"))
    try:
        assert_fails(world.plan(Latest(), archive=archive), "form that cannot be read")
    finally:
        shutil.rmtree(archive)


@pytest.mark.parametrize("own_world", ["12", "18"], indirect=True)
def test_settings_of_the_primary_do_not_reach_the_secondary(own_world: World) -> None:
    server = own_world.server
    for name, value in {
        "recovery_min_apply_delay": "1h",
        "synchronous_standby_names": "nobody",
        "archive_command": "false",
        "recovery_target_name": "left over",
    }.items():
        with server.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = local")
            cursor.execute(f"ALTER SYSTEM SET {name} = %s", [value])
    backup = own_world.directory / "later"
    own_world.take_backup(backup)
    result = run(own_world.plan(Immediate(), TargetAction.PROMOTE, backup=backup))
    try:
        result.server.database.rows("INSERT INTO t VALUES (100)")
        shown = result.server.database.row("SHOW archive_mode")
        assert shown == ("off",)
    finally:
        result.server.stop()
