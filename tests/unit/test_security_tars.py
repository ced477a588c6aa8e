"""A backup is data: none can make a copy write outside of its place, or without an end."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast

import pytest

from pitr_tui.containers.helper import Helper
from pitr_tui.containers.shell import Ran
from pitr_tui.errors import PitrError
from pitr_tui.recovery.place import Copy
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.local_secondary import DirectoryFiller
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.tar_filler import TarFiller
from tests.unit.made import backup_files, plain_backup, segment, tar_bytes, tar_member, write_files

PETABYTE = 1 << 50
SECRET = b"root:$6$secret"


@dataclass
class FakeHelper:
    """An engine's side of a copy: it keeps what it is sent, and has as much room as it says."""

    free: int
    sent: bytearray = field(default_factory=bytearray)

    def put(self, directory: str, chunks: Iterable[bytes]) -> None:
        assert directory == "/pitr/data"
        for chunk in chunks:
            self.sent += chunk

    def shell(self) -> FakeHelper:
        return self

    def run(self, script: str) -> Ran:
        assert script.startswith("df -Pk /pitr/data")
        return Ran(0, f"overlay 0 0 {self.free // 1024} 1% /".encode(), "")


class Room(NamedTuple):
    """The answer of `shutil.disk_usage`."""

    total: int
    used: int
    free: int


@pytest.fixture(params=["local", "container"])
def copied(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CopiedBy:
    return CopiedBy(request.param, tmp_path / "to", monkeypatch)


@dataclass
class CopiedBy:
    """Copies a backup by one of the two ways, and tells what came to be."""

    way: str
    place: Path
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, backup: Path, free: int = 1 << 40) -> dict[str, bytes | None]:
        """Names with contents; None for a directory. Raises as the copy does."""
        self.place.mkdir()
        opened = open_backup(backup)
        if self.way == "local":
            self.monkeypatch.setattr(shutil, "disk_usage", lambda _: Room(free, 0, free))
            list(Copy(opened, DirectoryFiller(self.place, OsUser.current()), lambda: None).run())
            return {
                str(path.relative_to(self.place)): path.read_bytes() if path.is_file() else None
                for path in self.place.rglob("*")
            }
        helper = FakeHelper(free)
        filler = TarFiller(cast(Helper, helper), PurePosixPath("/pitr/data"), "999:999")
        list(Copy(opened, filler, lambda: None).run())
        found: dict[str, bytes | None] = {}
        with tarfile.open(fileobj=io.BytesIO(bytes(helper.sent))) as tar:
            for member in tar:
                assert member.isreg() or member.isdir() or member.issym()
                assert not member.name.startswith("/")
                assert member.name not in found, "an engine would write it twice"
                content = tar.extractfile(member) if member.isreg() else None
                found[member.name] = content.read() if content else None
        return found


def tar_backup(directory: Path, data: bytes, name: str = "base.tar") -> Path:
    return write_files(directory, {name: data})


def claiming(size: int, **headers: str) -> bytes:
    """A tar with a member that says to be larger than it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in backup_files().items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        member = tarfile.TarInfo("base/1/bomb")
        member.size = 0 if headers else size
        member.pax_headers = headers
        buffer.write(member.tobuf(tarfile.PAX_FORMAT))
        buffer.write(bytes(1024))
    return buffer.getvalue()


SPARSE = {"GNU.sparse.size": str(PETABYTE), "GNU.sparse.map": "0,0", "GNU.sparse.name": "bomb"}


@pytest.mark.parametrize(
    ("headers", "words"),
    [({}, "damaged"), (SPARSE, "No space left for .*: it has 1024.0 TB")],
    ids=["plain", "sparse"],
)
def test_a_member_that_claims_a_petabyte_is_refused(
    copied: CopiedBy, tmp_path: Path, headers: Mapping[str, str], words: str
) -> None:
    backup = tar_backup(tmp_path / "b", claiming(PETABYTE, **headers))
    with pytest.raises(PitrError, match=words):
        copied(backup)
    assert sum(path.stat().st_size for path in copied.place.rglob("*")) < 1 << 20


def test_a_gzip_bomb_stops_before_the_disk_is_full(copied: CopiedBy, tmp_path: Path) -> None:
    files = backup_files() | {"base/1/bomb": bytes(80 << 20)}
    backup = tar_backup(tmp_path / "b", gzip.compress(tar_bytes(files), 1), "base.tar.gz")
    assert (backup / "base.tar.gz").stat().st_size < 1 << 20
    with pytest.raises(PitrError, match="No space left for base/1/bomb"):
        copied(backup, free=100 << 20)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory_is_refused(
    copied: CopiedBy, tmp_path: Path, kind: bytes
) -> None:
    bomb = tarfile.TarInfo("bomb")
    bomb.type, bomb.size = kind, 1 << 33
    data = bomb.tobuf(tarfile.GNU_FORMAT) + tar_bytes(backup_files())
    with pytest.raises(PitrError, match="damaged") as told:
        copied(tar_backup(tmp_path / "b", data))
    assert "a header of 8,589,934,592 bytes" in told.value.why


@pytest.mark.parametrize("name", ["a/" * 3000 + "x", "b" * 5000, "c/" * 100 + "x"])
def test_a_name_that_no_file_system_takes_is_refused(
    copied: CopiedBy, tmp_path: Path, name: str
) -> None:
    backup = tar_backup(tmp_path / "b", tar_bytes(backup_files() | {name: b"x"}))
    with pytest.raises(PitrError, match="damaged"):
        copied(backup)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (tar_member("base/evil", tarfile.SYMTYPE, "{outside}"), "base/evil/x"),
        (tar_member("base/evil", tarfile.LNKTYPE, "{outside}/passwd"), "base/evil"),
        (tar_member("evil", tarfile.SYMTYPE, "."), "evil/x"),
        (tar_member("pg_tblspc/16384", tarfile.LNKTYPE, "{outside}"), "pg_tblspc/16384/x"),
    ],
    ids=["link", "hard link", "own directory", "tablespace"],
)
def test_nothing_is_written_through_a_link(
    copied: CopiedBy, tmp_path: Path, first: tarfile.TarInfo, then: str
) -> None:
    outside = write_files(tmp_path / "outside", {"passwd": b"as before"})
    first.linkname = first.linkname.format(outside=outside)
    data = tar_bytes({}, first)[: tarfile.BLOCKSIZE] + tar_bytes(backup_files() | {then: b"evil"})
    with pytest.raises(PitrError, match="damaged"):
        copied(tar_backup(tmp_path / "b", data))
    assert [path.name for path in outside.iterdir()] == ["passwd"]
    assert (outside / "passwd").read_bytes() == b"as before"


def test_a_link_to_a_tablespace_leads_inside_whatever_it_says(
    copied: CopiedBy, tmp_path: Path
) -> None:
    outside = write_files(tmp_path / "outside", {"kept": b""})
    link = tar_member("pg_tblspc/16384", tarfile.SYMTYPE, str(outside))
    data = tar_bytes({}, link)[: tarfile.BLOCKSIZE]
    data += tar_bytes(backup_files() | {"pg_tblspc/16384/x": b"through it"})
    found = copied(tar_backup(tmp_path / "b", data))
    assert found["pg_tblspc/16384/x"] == b"through it"
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_the_same_name_twice_is_refused(copied: CopiedBy, tmp_path: Path) -> None:
    once = tar_bytes({"base/1/x": b"first"})[: 2 * tarfile.BLOCKSIZE]
    backup = tar_backup(tmp_path / "b", once + tar_bytes(backup_files() | {"base/1/x": b"then"}))
    with pytest.raises(PitrError, match=r"base/1/x"):
        copied(backup)


@pytest.mark.parametrize(
    ("name", "leads_to"),
    [
        ("base/2", "outside"),
        ("base/1/2", "outside/passwd"),
        ("base/1/up", "."),
        ("pg_tblspc/16384/PG_18_202506291/5", "outside"),
    ],
)
def test_a_link_deep_in_a_plain_backup_is_refused(tmp_path: Path, name: str, leads_to: str) -> None:
    outside = write_files(tmp_path / "outside", {"passwd": SECRET})
    backup = plain_backup(tmp_path / "b")
    (backup / name).parent.mkdir(parents=True, exist_ok=True)
    (backup / name).symlink_to(backup if leads_to == "." else tmp_path / leads_to)
    (tmp_path / "to").mkdir()
    filler = DirectoryFiller(tmp_path / "to", OsUser.current())
    with pytest.raises(PitrError, match="damaged") as told:
        list(Copy(open_backup(backup), filler, lambda: None).run())
    assert f"it holds {name}, which is neither a file nor a directory" in told.value.why
    assert SECRET not in b"".join(contents(tmp_path / "to").values())
    assert (outside / "passwd").read_bytes() == SECRET


def test_links_on_top_of_a_plain_backup_carry_nothing_foreign(tmp_path: Path) -> None:
    """PostgreSQL has links to its WAL and its tablespaces; an attacker has them to /etc."""
    wal = write_files(tmp_path / "wal", {segment(2).name: b"wal", "shadow": SECRET})
    (wal / segment(3).name).symlink_to(wal / "shadow")
    space = {"PG_18_202506291/5/16385": b"rows", "shadow": SECRET}
    space_directory = write_files(tmp_path / "space", space)
    (space_directory / "PG_18_202506292").symlink_to(wal)
    backup = write_files(tmp_path / "b", backup_files())
    (backup / "pg_tblspc").mkdir()
    for name, place in {
        "pg_wal": wal,
        "pg_tblspc/16384": space_directory,
        "log": wal,
        "server.key": wal / "shadow",
        "postgresql.auto.conf": wal / "shadow",
    }.items():
        (backup / name).symlink_to(place)
    (tmp_path / "to").mkdir()
    filler = DirectoryFiller(tmp_path / "to", OsUser.current())
    list(Copy(open_backup(backup), filler, lambda: None).run())
    found = contents(tmp_path / "to")
    assert found == backup_files() | {
        f"pg_wal/{segment(2).name}": b"wal",
        "pitr_tablespaces/16384/PG_18_202506291/5/16385": b"rows",
    }
    assert (tmp_path / "to" / "log").is_dir()
    assert not (tmp_path / "to" / "log").is_symlink()


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
