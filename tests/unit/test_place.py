"""A backup is put into its place whole, or the copy is refused; nothing leaves the place."""

import gzip
import os
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.recovery.events import Progress
from pitr_tui.recovery.place import Copy
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.local_secondary import DirectoryFiller, remove, require_empty
from pitr_tui.servers.osuser import OsUser
from tests.unit.made import backup_files, plain_backup, tar_bytes, tar_member, write_files

# What may lie in a backup and must not come along.
LEFT_OUT = {
    name: b"x\n"
    for name in (
        *("postmaster.pid", "postmaster.opts", "recovery.conf", "recovery.done"),
        *("recovery.signal", "standby.signal", "tablespace_map", "pitr/wal/closed"),
        "pitr_tablespaces/16384/PG_18_202506291/5/16385",
    )
}


def copied(backup: Path, to: Path) -> dict[str, bytes]:
    """Copy a backup, and give the files that came, with their paths in the destination."""
    to.mkdir()
    filler = DirectoryFiller(to, OsUser.current())
    events = list(Copy(open_backup(backup), filler, lambda: None).run())
    files = {
        str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()
    }
    assert isinstance(events[-1], Progress)
    assert events[-1].done == sum(map(len, files.values()))
    return files


def tar_backup(directory: Path, files: Mapping[str, bytes], *others: tarfile.TarInfo) -> Path:
    return write_files(directory, {"base.tar": tar_bytes(files, *others)})


def test_a_plain_backup_comes_whole(tmp_path: Path) -> None:
    plain_backup(tmp_path / "b", backup_files() | LEFT_OUT | {"base/1/recovery.conf": b"kept"})
    (tmp_path / "b" / "pg_notify").mkdir()
    files = copied(tmp_path / "b", tmp_path / "to")
    assert files.pop("pg_wal/000000010000000000000002")
    assert files == backup_files() | {"base/1/recovery.conf": b"kept"}
    assert (tmp_path / "to" / "pg_notify").is_dir()


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_tar_backup_comes_whole(tmp_path: Path, prefix: str) -> None:
    files = {prefix + name: data for name, data in (backup_files() | LEFT_OUT).items()}
    folders = [tar_member(name, tarfile.DIRTYPE) for name in (prefix or ".", f"{prefix}pg_wal")]
    backup = tar_backup(tmp_path / "b", files, *folders)
    write_files(backup, {"pg_wal.tar.gz": gzip.compress(tar_bytes({"0" * 24: b"wal"}))})
    files = copied(backup, tmp_path / "to")
    assert files == backup_files() | {f"pg_wal/{'0' * 24}": b"wal"}


@pytest.mark.parametrize("form", ["plain", "tar"])
def test_only_its_user_may_look_into_it(tmp_path: Path, form: str) -> None:
    if form == "plain":
        backup = plain_backup(tmp_path / "b")
        (backup / "base" / "1" / "1259").chmod(0o666)
        (backup / "base").chmod(0o777)
    else:
        backup = tar_backup(tmp_path / "b", backup_files())
    umask = os.umask(0)
    try:
        copied(backup, tmp_path / "to")
    finally:
        os.umask(umask)
    for path in (tmp_path / "to").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_plain_tablespaces_come_to_lie_inside(tmp_path: Path) -> None:
    backup = plain_backup(tmp_path / "b")
    original = write_files(tmp_path / "space", {"PG_18_202506291/5/16385": b"rows"})
    (backup / "pg_tblspc").mkdir()
    (backup / "pg_tblspc" / "16384").symlink_to(original)
    files = copied(backup, tmp_path / "to")
    check_tablespace(tmp_path / "to", files)
    assert (original / "PG_18_202506291/5/16385").read_bytes() == b"rows"


def test_tablespaces_of_a_secondary_that_was_ours_come_once(tmp_path: Path) -> None:
    """A backup of a recovered and promoted secondary, whose tablespaces lie inside it."""
    backup = plain_backup(tmp_path / "b")
    write_files(backup, {"pitr_tablespaces/16384/PG_18_202506291/5/16385": b"rows"})
    (backup / "pg_tblspc").mkdir()
    (backup / "pg_tblspc" / "16384").symlink_to("../pitr_tablespaces/16384")
    check_tablespace(tmp_path / "to", copied(backup, tmp_path / "to"))


@pytest.mark.parametrize("linked", [False, True])
def test_tablespaces_of_a_tar_come_to_lie_inside(tmp_path: Path, linked: bool) -> None:
    link = tar_member("pg_tblspc/16384", tarfile.SYMTYPE, "/srv/live/tablespace")
    others = [tar_member("pg_tblspc", tarfile.DIRTYPE), *([link] if linked else [])]
    backup = tar_backup(
        tmp_path / "b",
        backup_files() | {"tablespace_map": b"16384 /srv/live/tablespace\n"},
        *others,
    )
    write_files(backup, {"16384.tar": tar_bytes({"PG_18_202506291/5/16385": b"rows"})})
    check_tablespace(tmp_path / "to", copied(backup, tmp_path / "to"))


def check_tablespace(to: Path, files: Mapping[str, bytes]) -> None:
    assert files["pitr_tablespaces/16384/PG_18_202506291/5/16385"] == b"rows"
    assert "tablespace_map" not in files
    link = to / "pg_tblspc" / "16384"
    assert link.is_symlink()
    assert link.resolve() == to / "pitr_tablespaces" / "16384"
    assert not link.readlink().is_absolute()


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "base/../../evil", "./../evil", "base/.."],  # noqa: S108
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    backup = tar_backup(tmp_path / "b", backup_files() | {name: b"x"})
    with pytest.raises(PitrError, match="damaged") as told:
        copied(backup, tmp_path / "to")
    assert "leads out of the destination" in told.value.why
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "other",
    [
        tar_member("base/2", tarfile.SYMTYPE, "/etc"),
        tar_member("base/2", tarfile.LNKTYPE, "PG_VERSION"),
        tar_member("base/2", tarfile.CHRTYPE),
        tar_member("base/2", tarfile.BLKTYPE),
        tar_member("base/2", tarfile.FIFOTYPE),
        tar_member("pg_tblspc/16384", tarfile.LNKTYPE, "PG_VERSION"),
    ],
    ids=["link", "hard link", "character device", "block device", "fifo", "tablespace"],
)
def test_what_is_neither_file_nor_directory_is_refused(
    tmp_path: Path, other: tarfile.TarInfo
) -> None:
    backup = tar_backup(tmp_path / "b", backup_files(), other)
    with pytest.raises(PitrError) as told:
        copied(backup, tmp_path / "to")
    assert "neither a file nor a directory" in told.value.why


TAR = tar_bytes(backup_files())
BORDER = TAR.index(b"postgresql.conf\0")


@pytest.mark.parametrize(
    "data",
    [
        TAR[:BORDER],
        TAR[: BORDER + 100],
        TAR[: BORDER + 520],
        TAR[:BORDER] + b"\xff" * 512 + TAR[BORDER + 512 :],
        gzip.compress(TAR)[:-8] + bytes(8),
        gzip.compress(TAR)[:-4],
    ],
    ids=["before a header", "in a header", "in a file", "overwritten", "checksum", "no checksum"],
)
def test_a_tar_that_is_not_whole_is_never_taken_for_a_backup(tmp_path: Path, data: bytes) -> None:
    """Python's tarfile takes damage between two members for the end of the archive."""
    name = "base.tar.gz" if data.startswith(b"\x1f\x8b") else "base.tar"
    backup = write_files(tmp_path / "b", {name: data})
    with pytest.raises(PitrError, match="damaged"):
        copied(backup, tmp_path / "to")


def test_the_checksum_of_a_compression_is_read_to_its_end(tmp_path: Path) -> None:
    """The tar's own end may fill the last chunk that is read of it."""
    files = backup_files()
    used = sum(512 + -(-len(data) // 512) * 512 for data in files.values())
    data = tar_bytes(files | {"filler": bytes((5 << 20) - used - 3 * 512)})
    assert len(data) == 5 << 20
    damaged = gzip.compress(data)[:-8] + bytes(8)
    with pytest.raises(PitrError, match="damaged"):
        copied(write_files(tmp_path / "b", {"base.tar.gz": damaged}), tmp_path / "to")


def test_a_tablespace_that_is_gone_is_told(tmp_path: Path) -> None:
    backup = plain_backup(tmp_path / "b")
    (backup / "pg_tblspc").mkdir()
    (backup / "pg_tblspc" / "16384").symlink_to(tmp_path / "none")
    with pytest.raises(PitrError, match="could not be copied"):
        copied(backup, tmp_path / "to")


def test_a_copy_can_be_cancelled(tmp_path: Path) -> None:
    def check() -> None:
        raise CancelledError

    (tmp_path / "to").mkdir()
    backup = open_backup(plain_backup(tmp_path / "b"))
    with pytest.raises(CancelledError):
        list(Copy(backup, DirectoryFiller(tmp_path / "to", OsUser.current()), check).run())


@pytest.mark.parametrize("what", ["file", "full", "link", "dangling"])
def test_an_occupied_place_is_refused(tmp_path: Path, what: str) -> None:
    write_files(tmp_path, {"file": b"", "full/.hidden": b"", "empty/x": b""})
    (tmp_path / "empty" / "x").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(RefusedError, match="not empty"):
        require_empty(tmp_path / what)
    require_empty(tmp_path / "empty")
    require_empty(tmp_path / "new")


def test_a_place_that_cannot_be_looked_at_is_refused(closable: Path) -> None:
    (closable / "closed").mkdir(mode=0)
    for path in (closable / "closed", closable / "closed" / "new"):
        with pytest.raises(RefusedError, match="cannot be looked at"):
            require_empty(path)


@pytest.mark.parametrize("keep", [False, True])
def test_what_a_failed_run_made_goes_and_nothing_else(tmp_path: Path, keep: bool) -> None:
    write_files(tmp_path, {"to/base/1": b"", "to/.x": b"", "elsewhere/kept": b""})
    (tmp_path / "to" / "link").symlink_to(tmp_path / "elsewhere")
    remove(tmp_path / "to", keep_directory=keep)
    assert (tmp_path / "to").exists() == keep
    if keep:
        assert not any((tmp_path / "to").iterdir())
    assert (tmp_path / "elsewhere" / "kept").exists()
