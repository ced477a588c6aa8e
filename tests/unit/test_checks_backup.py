"""Is the backup whole, of one piece, and what has it brought along?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.control import ControlHead, ServerState
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import Immediate
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.checks import Judgement, judge
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat, open_backup
from pitr_tui.repositories.identity import IncludedFile
from pitr_tui.repositories.wholeness import essential_directories, look_whole, read_whole
from tests.unit.made import (
    DATA,
    backup_files,
    backup_value,
    control_bytes,
    plain_backup,
    tar_bytes,
    write_files,
)
from tests.unit.made_checks import NOW, check_of, good_plan, with_backup

PG96 = DATA / "pg96"


@pytest.fixture
def plan(tmp_path: Path) -> RecoveryPlan:
    return good_plan(tmp_path, Immediate())


def looked_at(plan: RecoveryPlan) -> Judgement:
    return judge(plan, NOW)


def completeness(plan: RecoveryPlan) -> CheckDone:
    return check_of(looked_at(plan), "backup complete")


def manifest_of(files: dict[str, bytes], algorithm: str = "SHA256") -> bytes:
    def checksum(data: bytes) -> str:
        return hashlib.new(algorithm.lower(), data).hexdigest()

    entries: list[dict[str, object]] = [
        {
            "Path": name,
            "Size": len(data),
            "Checksum-Algorithm": algorithm,
            "Checksum": checksum(data),
        }
        for name, data in files.items()
    ]
    entries[0]["Encoded-Path"] = str(entries[0].pop("Path")).encode().hex()
    return json.dumps({"PostgreSQL-Backup-Manifest-Version": 1, "Files": entries}).encode()


def with_manifest(directory: Path) -> dict[str, bytes]:
    """A plain backup with a manifest of all of its files."""
    files = backup_files()
    plain_backup(directory, files)
    write_files(directory, {"backup_manifest": manifest_of(files)})
    return files


def test_the_manifest_is_held_against_names_and_sizes(plan: RecoveryPlan, tmp_path: Path) -> None:
    with_manifest(tmp_path / "backup")
    check = completeness(plan)
    assert check.status is Status.OK
    assert check.evidence == "5 files of the manifest are there, with their sizes"


@pytest.mark.parametrize(
    ("name", "change", "status", "words"),
    [
        ("base/1/1259", None, Status.FAILURE, "base/1/1259 is missing"),
        ("base/1/1259", b"short", Status.FAILURE, "base/1/1259 has 5 bytes, not 35,000"),
        ("postgresql.conf", b"", Status.WARNING, "postgresql.conf has 0 bytes"),
        ("postgresql.auto.conf", b"changed = on", Status.OK, "are there"),
    ],
)
def test_what_differs_is_named(
    plan: RecoveryPlan,
    tmp_path: Path,
    name: str,
    change: bytes | None,
    status: Status,
    words: str,
) -> None:
    with_manifest(tmp_path / "backup")
    path = tmp_path / "backup" / name
    path.unlink() if change is None else path.write_bytes(change)
    check = completeness(plan)
    assert check.status is status
    assert words in check.evidence


def test_a_file_of_a_tablespace_is_found_through_its_link(tmp_path: Path) -> None:
    files = backup_files()
    below = {"PG_18_202506291/5/16391": b"rows"}
    named = files | {f"pg_tblspc/16390/{name}": data for name, data in below.items()}
    directory = plain_backup(tmp_path / "backup", files)
    write_files(directory, {"backup_manifest": manifest_of(named)})
    write_files(tmp_path / "elsewhere", below)
    (directory / "pg_tblspc").mkdir()
    (directory / "pg_tblspc" / "16390").symlink_to(tmp_path / "elsewhere")
    backup = backup_value(directory)
    assert look_whole(backup) == read_whole(backup)
    shutil.copytree(tmp_path / "elsewhere", directory / "pitr_tablespaces" / "16390")
    shutil.rmtree(tmp_path / "elsewhere")  # a backup of ours that was moved
    for found in (look_whole(backup), read_whole(backup)):
        assert found is not None
        assert (found.looked_at, found.lost) == (6, ())


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA512"])
def test_every_byte_is_read_on_demand(tmp_path: Path, algorithm: str) -> None:
    files = backup_files()
    directory = plain_backup(tmp_path / "backup", files)
    write_files(directory, {"backup_manifest": manifest_of(files, algorithm)})
    backup = backup_value(directory)
    found = read_whole(backup)
    assert found is not None
    assert found.lost == ()
    changed = bytearray(files["base/1/1259"])
    changed[77] ^= 1
    write_files(directory, {"base/1/1259": bytes(changed)})
    assert look_whole(backup) == dataclasses.replace(found)  # of the same size
    found = read_whole(backup)
    assert found is not None
    assert found.lost == ("base/1/1259 is not what was backed up: its checksum is wrong",)


def test_an_unknown_way_to_sum_up_is_told(tmp_path: Path) -> None:
    directory = plain_backup(tmp_path / "backup")
    text = manifest_of(backup_files()).replace(b"SHA256", b"MAGIC9")
    write_files(directory, {"backup_manifest": text})
    with pytest.raises(PitrError, match="cannot be checked"):
        read_whole(backup_value(directory))


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"Files": [{"Path": "x"}]}'])
def test_a_manifest_that_makes_no_sense_is_a_failure(
    plan: RecoveryPlan, tmp_path: Path, text: bytes
) -> None:
    write_files(tmp_path / "backup", {"backup_manifest": text})
    assert completeness(plan).status is Status.FAILURE


def test_a_tar_is_looked_into_where_it_is_not_compressed(tmp_path: Path) -> None:
    files = backup_files()
    place = tmp_path / "tars"
    named = files | {"pg_tblspc/16390/PG_18/5/1": b"rows"}
    write_files(
        place, {"base.tar": tar_bytes(files), "16390.tar": tar_bytes({"PG_18/5/1": b"rows"})}
    )
    write_files(place, {"backup_manifest": manifest_of(named)})
    backup = backup_value(place, format=BackupFormat.TAR)
    for found in (look_whole(backup), read_whole(backup)):
        assert found is not None
        assert (found.looked_at, found.lost, found.others) == (6, (), ())
    with tarfile.open(place / "16390.tar", "w"):
        pass
    for found in (look_whole(backup), read_whole(backup)):
        assert found is not None
        assert found.lost == ("pg_tblspc/16390/PG_18/5/1 is missing",)


def test_a_compressed_backup_is_counted_later(plan: RecoveryPlan) -> None:
    plan = dataclasses.replace(plan, backup=open_backup(PG96, WalArchive(PG96 / "archive")))
    assert completeness(plan).status is Status.NOTE


@pytest.mark.parametrize("version", ["11.22", "18.6"])
def test_without_a_manifest_the_essential_directories_count(
    plan: RecoveryPlan, tmp_path: Path, version: str
) -> None:
    for name in essential_directories(PostgresVersion.parse(version)):
        (tmp_path / "backup" / name).mkdir(exist_ok=True)
    plan = with_backup(plan, version=PostgresVersion.parse(version))
    assert completeness(plan).status is Status.OK
    shutil.rmtree(tmp_path / "backup" / "pg_twophase")
    check = completeness(plan)
    assert check.status is Status.FAILURE
    assert check.evidence == "the directory pg_twophase is missing"


def test_what_a_backup_tells_of_itself(tmp_path: Path) -> None:
    configuration = (
        "shared_preload_libraries = 'auto_explain, \"my lib\"'\ninclude_dir 'conf.d' # ours\n"
        "#include 'not.this'\ninclude = '/etc/more.conf'\nrecovery_target_name = 'old'\n"
        "INCLUDE'gone.conf'\ninclude_if_exists 'gone.conf'\n"
        "recovery_min_apply_delay = 0\n"
    )
    files = backup_files() | {
        "postgresql.conf": configuration.encode(),
        "conf.d/b.conf": b"work_mem = 1MB\nsession_preload_libraries = b\n",
        "conf.d/a.conf": b"session_preload_libraries = a\ninclude '../postgresql.conf'\n",
        "conf.d/.hidden.conf": b"session_preload_libraries = c\n",
        "recovery.done": b"",
        "tablespace_map": b"16390 /srv/a\\ b\n16391 /srv/c\n",
    }
    plain = open_backup(plain_backup(tmp_path / "plain", files))
    ordered = {name: files[name] for name in sorted(files, key=lambda name: "pg_control" in name)}
    write_files(tmp_path / "tar", {"base.tar": tar_bytes(ordered)})
    for backup in (plain, open_backup(tmp_path / "tar")):
        assert backup.preload == {
            "shared_preload_libraries": ("auto_explain", "my lib"),
            "session_preload_libraries": ("b",),
        }
        out, gone = "it leads out of the backup", "there is no such file in the backup"
        main, below = "postgresql.conf", "conf.d/a.conf"
        assert backup.includes == (
            IncludedFile(main, 2, "include_dir", "conf.d"),
            IncludedFile(below, 2, "include", "../postgresql.conf", "it includes itself"),
            IncludedFile(main, 4, "include", "/etc/more.conf", out),
            IncludedFile(main, 6, "include", "gone.conf", gone),
            IncludedFile(main, 7, "include_if_exists", "gone.conf"),
        )
        assert backup.traces == ("recovery.done", "recovery_target_name = old")
        assert backup.tablespaces == {16390: "/srv/a b", 16391: "/srv/c"}
        assert backup.parameters["max_connections"] == 100
        assert backup.control_whole is None  # made by hand, without what stands before its sum


def test_pg_control_is_held_against_its_checksum(tmp_path: Path) -> None:
    real = open_backup(PG96, WalArchive(PG96 / "archive"))
    assert real.control_whole is True
    with tarfile.open(PG96 / "base.tar.gz") as tar:
        member = tar.extractfile("global/pg_control")
        assert member is not None
        data = bytearray(member.read())
    data[70] ^= 1
    files = backup_files() | {"PG_VERSION": b"9.6\n", "global/pg_control": bytes(data)}
    damaged = open_backup(plain_backup(tmp_path / "damaged", files))
    assert damaged.control_whole is False


def controlled(plan: RecoveryPlan, *, standby: bool = False, **changes: object) -> CheckDone:
    """The check of a control file of which this is so."""
    head = dataclasses.replace(ControlHead.parse(control_bytes()), **changes)  # type: ignore[arg-type]
    label = dataclasses.replace(plan.backup.label, from_standby=standby)
    changed = with_backup(plan, control=head, control_whole=True, label=label)
    return check_of(looked_at(changed), "pg_control")


def test_pg_control_fits_to_the_label(plan: RecoveryPlan) -> None:
    assert controlled(plan).status is Status.OK
    assert controlled(plan, checkpoint_lsn=Lsn.parse("0/20007F")).status is Status.WARNING
    assert controlled(plan, catalog_version=202406281).status is Status.FAILURE
    assert controlled(plan, standby=True).status is Status.FAILURE
    recovering = ServerState.IN_ARCHIVE_RECOVERY
    assert controlled(plan, standby=True, state=recovering).status is Status.OK


def test_a_damaged_pg_control_is_red(plan: RecoveryPlan) -> None:
    head = ControlHead.parse(control_bytes())
    check = check_of(looked_at(with_backup(plan, control=head, control_whole=False)), "pg_control")
    assert check.status is Status.FAILURE


def test_a_backup_of_a_standby_is_told(plan: RecoveryPlan) -> None:
    label = dataclasses.replace(plan.backup.label, from_standby=True)
    standby: Backup = dataclasses.replace(plan.backup, label=label)
    told = looked_at(dataclasses.replace(plan, backup=standby))
    assert check_of(told, "taken from").status is Status.NOTE
