"""A real backup and archive of 9.6, the version that no test has a server of."""

import stat
from pathlib import Path

import pytest

from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.control import ControlHead
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtXid
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.feeder import WalSource
from pitr_tui.recovery.place import Copy
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat, list_backups, open_backup
from pitr_tui.servers.local_secondary import DirectoryFiller
from pitr_tui.servers.osuser import OsUser
from tests.unit.made import DATA, make_plan

PG96 = DATA / "pg96"
SYSTEM = 7711016176074235882
NAMES = [f"00000001000000000000000{number}" for number in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def archive() -> WalArchive:
    return WalArchive(PG96 / "archive")


@pytest.fixture(scope="module")
def backup(archive: WalArchive) -> Backup:
    return open_backup(PG96, archive)


@pytest.fixture(scope="module")
def copy(backup: Backup, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pg96")
    list(Copy(backup, DirectoryFiller(place, OsUser.current()), lambda: None).run())
    return place


def test_the_backup_is_listed(archive: WalArchive, backup: Backup) -> None:
    assert list_backups(PG96, archive) == [backup]
    assert list_backups(DATA, archive) == [backup]


def test_the_backup_says_what_it_is(backup: Backup) -> None:
    assert backup.format is BackupFormat.TAR
    assert backup.version == PostgresVersion.parse("9.6")
    assert backup.system_identifier == SYSTEM
    assert backup.label.label == "nightly"
    assert backup.label.start_lsn == Lsn.parse("0/2000028")
    assert backup.start_segment.name == NAMES[1]
    assert backup.segment_size == 16 << 20
    assert backup.restored_bytes is None


def test_the_archive_tells_where_it_ended(backup: Backup) -> None:
    assert backup.stop_lsn == Lsn.parse("0/20000F8")
    assert backup.stop_time is not None
    assert backup.stop_time.startswith("2026-11-22 15:21:0")
    assert open_backup(PG96).stop_lsn is None


def test_the_archive_is_listed(archive: WalArchive) -> None:
    listing = archive.listing()
    assert [segment.name for segment in listing.segments] == NAMES
    assert listing.backup_histories == (f"{NAMES[1]}.00000028.backup",)
    assert listing.segment_size == 16 << 20
    (only,) = listing.ranges
    assert only.count == 4


@pytest.mark.parametrize("name", NAMES)
def test_the_segments_are_this_clusters(archive: WalArchive, name: str) -> None:
    segment = WalSegment.parse(name)
    header = archive.header(segment)
    assert (header.major, header.system_identifier) == ("9.6", SYSTEM)
    assert header.why_not(segment, SYSTEM, "9.6") is None
    assert header.why_not(segment, SYSTEM, "10") is not None


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_segments_can_be_fetched(
    archive: WalArchive, backup: Backup, tmp_path: Path, name: str
) -> None:
    history = archive.history(TimelineId(1))
    source = WalSource(archive, SYSTEM, "9.6", backup.start_segment, history)
    assert source.fetch(name, tmp_path / name) == 16 << 20
    assert source.last_reachable() == WalSegment.parse(NAMES[3])


@pytest.mark.parametrize(
    "name",
    ["PG_VERSION", "backup_label", "global/pg_control", "postgresql.conf", "base/1/PG_VERSION"],
)
def test_the_copy_has_its_files(copy: Path, name: str) -> None:
    assert (copy / name).is_file()


def test_the_copy_is_whole_and_closed(copy: Path) -> None:
    assert (copy / "PG_VERSION").read_text() == "9.6\n"
    assert ControlHead.parse((copy / "global/pg_control").read_bytes()).major == "9.6"
    assert (copy / "pg_xlog").is_dir()
    for path in copy.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_plan_is_one_of_9_6(backup: Backup, archive: WalArchive, tmp_path: Path) -> None:
    plan = make_plan(tmp_path, "9.6.24", AtXid(560), backup=backup, archive=archive)
    files = {str(file.path): file.text for file in plan.files()}
    assert "recovery.signal" not in files
    assert read_settings(files["recovery.conf"])["recovery_target_xid"] == "560"
    assert f"from {NAMES[1]} on" in plan.render()
