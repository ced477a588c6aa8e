"""The catalogs of the backup of PostgreSQL 9.6, and what its WAL makes of them."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.recovery.place import Copy
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backup_catalog import BackupCatalog, read_catalog
from pitr_tui.repositories.backups import Backup, open_backup
from pitr_tui.servers.local_secondary import DirectoryFiller
from pitr_tui.servers.osuser import OsUser
from pitr_tui.storage.compression import read_plain
from pitr_tui.wal.actions import decode_action
from pitr_tui.wal.catalog import SHARED, Catalog, ChangeKind, RowChange
from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, DatabaseRow, SystemCatalog
from pitr_tui.wal.heappage import PAGE_SIZE
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.record import DamagedRecord, Manager, Record
from pitr_tui.wal.xact import Abort, Commit
from tests.unit.made import DATA
from tests.wal.plain_reader import read_records

PG96 = DATA / "pg96"
SHOP, DEFAULT = 16384, 1663
ORDERS, AUDIT, TMP_IMPORT = 16387, 16404, 16407


@pytest.fixture(scope="module")
def backup() -> Backup:
    return open_backup(PG96, WalArchive(PG96 / "archive"))


@pytest.fixture(scope="module")
def plain(backup: Backup, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same backup as a directory."""
    place = tmp_path_factory.mktemp("pg96") / "backup"
    place.mkdir()
    list(Copy(backup, DirectoryFiller(place, OsUser.current()), lambda: None).run())
    return place


@pytest.fixture(scope="module")
def records() -> list[Record]:
    paths = [PG96 / f"archive/00000001000000000000000{number}.zst" for number in (2, 3, 4)]
    found = list(read_records([read_plain(path, 1 << 24) for path in paths]))
    assert len(found) > 8000
    return [record for record in found if decode_action(record) or _may_be_a_catalog(record)]


def _may_be_a_catalog(record: Record) -> bool:
    if record.manager not in (Manager.HEAP, Manager.HEAP2, Manager.XLOG):
        return False
    blocks = record.body().blocks
    return bool(blocks) and blocks[0].locator.number < 16384


@pytest.fixture
def damaged(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "damaged"))


def follow(catalog: Catalog, records: list[Record]) -> Iterator[tuple[Record, list[RowChange]]]:
    """Replay records one by one, with what those of catalogs meant."""
    for record in records:
        changes: list[RowChange] = []
        action = decode_action(record)
        if isinstance(action, Commit):
            catalog.committed((action.xid, *action.subxids))
        elif isinstance(action, Abort):
            catalog.aborted((action.xid, *action.subxids))
        elif action is not None:
            catalog.apply_action(action)
        elif record.manager in (Manager.HEAP, Manager.HEAP2, Manager.XLOG):
            blocks = record.body().blocks
            if blocks and blocks[0].locator.number in catalog.watched:
                changes = catalog.apply(record)
        yield record, changes


def tables(catalog: Catalog) -> dict[str, int]:
    """User tables with their file numbers."""
    return {
        row.relname: row.relfilenode
        for row in catalog.rows(SystemCatalog.PG_CLASS, SHOP)
        if isinstance(row, ClassRow) and row.relkind == "r" and row.relnamespace == 2200
    }


def test_the_backup_knows_its_databases_and_tables(backup: Backup) -> None:
    read = read_catalog(backup)
    assert read.remarks == ()
    assert sorted(read.catalog.rows(SystemCatalog.PG_DATABASE, SHARED)) == [
        DatabaseRow(1, "template1", DEFAULT),
        DatabaseRow(12404, "template0", DEFAULT),
        DatabaseRow(12405, "postgres", DEFAULT),
        DatabaseRow(SHOP, "shop", DEFAULT),
    ]
    assert tables(read.catalog) == {
        "orders": ORDERS,
        "customers": 16396,
        "audit": AUDIT,
        "tmp_import": TMP_IMPORT,
    }
    assert read.catalog.columns(SHOP, ORDERS) == {1: "id", 2: "total", 3: "note"}


def test_files_have_names_and_owners(backup: Backup) -> None:
    book = NameBook(read_catalog(backup).catalog)
    orders = book.lookup(SHOP, DEFAULT, ORDERS)
    assert orders == RelationName(
        database="shop",
        schema="public",
        name="orders",
        kind=RelationKind.TABLE,
        oid=ORDERS,
        pages=0,
        rows=0.0,
        persistence="p",
    )
    toast = book.lookup(SHOP, DEFAULT, 16391)
    assert (str(toast), toast.kind, toast.owner) == (
        "pg_toast.pg_toast_16387",
        RelationKind.TOAST,
        orders,
    )
    assert book.lookup(SHOP, DEFAULT, 16393).owner == orders  # the index of its TOAST table
    assert book.lookup(SHOP, DEFAULT, 16394).table == orders
    assert book.lookup(SHOP, DEFAULT, 16385).kind is RelationKind.SEQUENCE
    assert str(book.lookup(SHOP, DEFAULT, 1259)) == "pg_catalog.pg_class"
    shared = book.lookup(SHARED, 1664, 1262)
    assert (shared.database, str(shared)) == (None, "pg_catalog.pg_database")
    assert book.lookup(SHOP, DEFAULT, 99999) == RelationName(database="shop")
    assert book.lookup(777, DEFAULT, 99999) == RelationName()


def test_a_file_of_another_tablespace_is_another(backup: Backup) -> None:
    book = NameBook(read_catalog(backup).catalog)
    assert book.lookup(SHOP, DEFAULT, ORDERS).name == "orders"
    assert book.lookup(SHOP, 20000, 16385).name == "orders_id_seq"  # a database that moved


def test_both_formats_say_the_same(backup: Backup, plain: Path) -> None:
    tar, directory = read_catalog(backup), read_catalog(open_backup(plain))
    assert directory.remarks == ()
    assert directory.rows.files.sizes == tar.rows.files.sizes
    assert (
        tar.rows.files.sizes[SHOP][ORDERS] == (plain / f"base/{SHOP}/{ORDERS}").stat().st_size > 0
    )
    for database in (1, SHOP):
        for catalog in SystemCatalog:
            if catalog is not SystemCatalog.PG_DATABASE:
                own = sorted(directory.catalog.rows(catalog, database))
                assert own == sorted(tar.catalog.rows(catalog, database))
                assert own


def test_the_wal_tells_what_was_done(backup: Backup, records: list[Record]) -> None:
    catalog = read_catalog(backup).catalog
    changes = [change for _, some in follow(catalog, records) for change in some]
    assert tables(catalog) == {
        "customers": 16396,
        "audit": 16412,
        "tmp_import": 16410,
        "t2": 16415,
    }
    assert {row[0] for row in catalog.rows(SystemCatalog.PG_DATABASE, SHARED)} == {
        1,
        12404,
        12405,
        SHOP,
    }
    truncated = [
        (change.before.relfilenode, change.after.relfilenode)
        for change in changes
        if isinstance(change.before, ClassRow)
        and isinstance(change.after, ClassRow)
        and change.before.relname == "tmp_import"
    ]
    assert truncated == [(TMP_IMPORT, 16410)]
    (column,) = [
        (change.before.attname, change.after.attname)
        for change in changes
        if isinstance(change.before, AttributeRow)
        and isinstance(change.after, AttributeRow)
        and "dropped" in change.after.attname
    ]
    assert column == ("note", "........pg.dropped.3........")
    gone = {
        change.before.relname
        for change in changes
        if change.kind is ChangeKind.DELETED and isinstance(change.before, ClassRow)
    }
    assert {"orders", "orders_pkey", "orders_total_idx", "orders_id_seq"} <= gone
    assert all(change.xid for change in changes if change.kind is not ChangeKind.UPDATED)


def test_names_follow_the_transactions(backup: Backup, records: list[Record]) -> None:
    catalog = read_catalog(backup).catalog
    book = NameBook(catalog)
    seen: dict[int, tuple[str, str]] = {}
    for record, changes in follow(catalog, records):
        for change in changes:
            if isinstance(change.after, ClassRow) and change.after.relname == "t2":
                number = change.after.relfilenode
                mine = book.lookup(SHOP, DEFAULT, number, frozenset((record.xid,)))
                seen[record.xid] = str(mine), str(book.lookup(SHOP, DEFAULT, number))
    assert list(seen.values()) == [("public.t2", "?")]
    assert str(book.lookup(SHOP, DEFAULT, 16415)) == "public.t2"
    assert str(book.lookup(SHOP, DEFAULT, ORDERS)) == "public.orders"  # dropped by now
    for number in (AUDIT, 16412):  # written anew by VACUUM FULL
        assert str(book.lookup(SHOP, DEFAULT, number)) == "public.audit"
    for number in (TMP_IMPORT, 16410):
        assert str(book.lookup(SHOP, DEFAULT, number)) == "public.tmp_import"


def test_what_was_rolled_back_has_no_name_but_for_those_who_did_it(
    backup: Backup, records: list[Record]
) -> None:
    catalog = read_catalog(backup).catalog
    book = NameBook(catalog)
    for _, changes in follow(catalog, records):
        if any(isinstance(one.after, ClassRow) and one.after.relname == "t2" for one in changes):
            (xid,) = {change.xid for change in changes}
            break
    catalog.aborted(frozenset((xid,)))
    assert book.lookup(SHOP, DEFAULT, 16415).name is None
    assert book.lookup(SHOP, DEFAULT, 16415, frozenset((xid,))).name == "t2"
    assert "t2" not in tables(catalog)


def test_records_that_a_page_has_already_are_passed_over(
    backup: Backup, records: list[Record]
) -> None:
    catalog = read_catalog(backup).catalog
    list(follow(catalog, records))
    once = tables(catalog), sorted(catalog.rows(SystemCatalog.PG_ATTRIBUTE, SHOP))
    for _ in follow(catalog, records):
        pass
    assert once == (tables(catalog), sorted(catalog.rows(SystemCatalog.PG_ATTRIBUTE, SHOP)))


def test_a_database_copied_from_a_template_has_its_names(backup: Backup) -> None:
    catalog = read_catalog(backup).catalog
    catalog.copy_database(SHOP, 50000)
    book = NameBook(catalog)
    assert str(book.lookup(50000, DEFAULT, ORDERS)) == "public.orders"
    assert catalog.columns(50000, ORDERS) == catalog.columns(SHOP, ORDERS)
    catalog.drop_database(50000)
    assert book.lookup(50000, DEFAULT, ORDERS).name is None
    assert book.lookup(SHOP, DEFAULT, ORDERS).name == "orders"


def test_damaged_records_are_refused_and_nothing_worse(
    backup: Backup, records: list[Record]
) -> None:
    catalog = read_catalog(backup).catalog
    wanted = [record for record, changes in follow(catalog, records) if changes]
    assert len(wanted) > 40
    damaged = 0
    fresh = read_catalog(backup).catalog
    for k, record in enumerate(wanted):
        for at in range(24 + k % 7, len(record.data), 7):
            data = bytearray(record.data)
            data[at] ^= 1 << at % 8
            try:
                fresh.apply(Record(record.version, record.lsn, record.end, bytes(data)))
            except DamagedRecord:
                damaged += 1
    assert damaged > 20


# Damaged backups


def read(path: Path) -> BackupCatalog:
    return read_catalog(open_backup(path))


def test_a_missing_map_is_told(damaged: Path) -> None:
    (damaged / f"base/{SHOP}/pg_filenode.map").unlink()
    found = read(damaged)
    assert f"base/{SHOP}/pg_filenode.map is missing" in found.remarks
    assert f"base/{SHOP}/1259 is missing" in found.remarks
    assert NameBook(found.catalog).lookup(1, DEFAULT, 2600).name is not None


def test_a_damaged_map_is_told(damaged: Path) -> None:
    (damaged / f"base/{SHOP}/pg_filenode.map").write_bytes(bytes(512))
    found = read(damaged)
    assert found.remarks == (
        f"base/{SHOP}/pg_filenode.map cannot be used: it begins with 0x0 and 0 entries",
    )
    assert tables(found.catalog)["orders"] == ORDERS  # where it is in a new cluster


def test_a_missing_catalog_is_told(damaged: Path) -> None:
    (damaged / f"base/{SHOP}/1259").unlink()
    found = read(damaged)
    assert found.remarks == (f"base/{SHOP}/1259 is missing",)
    assert NameBook(found.catalog).lookup(SHOP, DEFAULT, ORDERS).name is None


def test_pages_of_random_bytes_lose_names_and_no_more(damaged: Path) -> None:
    path = damaged / f"base/{SHOP}/1259"
    content = bytearray(path.read_bytes())
    last = len(content) - PAGE_SIZE
    content[:PAGE_SIZE] = bytes(range(256)) * (PAGE_SIZE // 256)
    path.write_bytes(bytes(content[: last + 100]))
    found = read(damaged)
    assert found.remarks == (f"base/{SHOP}/1259 ends inside of a page",)
    assert 0 < len(list(found.catalog.rows(SystemCatalog.PG_CLASS, SHOP))) < 320


def test_without_pg_clog_rows_count(damaged: Path) -> None:
    shutil.rmtree(damaged / "pg_clog")
    assert tables(read(damaged).catalog)["orders"] == ORDERS


def test_a_tar_that_was_cut_off_is_told(backup: Backup, tmp_path: Path) -> None:
    content = read_plain(PG96 / "base.tar.gz", 1 << 28)
    archive = WalArchive(PG96 / "archive")
    (tmp_path / "base.tar").write_bytes(content)
    with tarfile.open(tmp_path / "base.tar") as tar:
        middle = tar.getmember(f"base/{SHOP}/1249").offset + 5000
        assert tar.getmember("global/pg_control").offset > 0
    whole = open_backup(tmp_path, archive)
    (tmp_path / "base.tar").write_bytes(content[:middle])
    found = read_catalog(whole)
    assert any("base.tar cannot be read to its end" in remark for remark in found.remarks)


def test_a_catalog_that_starts_from_nothing_learns(records: list[Record]) -> None:
    """The first record that touches a page brings the whole page along."""
    version = records[0].version
    catalog = Catalog(version)
    list(follow(catalog, records))
    assert {"t2", "audit"} <= tables(catalog).keys()
    assert catalog.watched >= set(SystemCatalog)
    assert Lsn(0) < records[0].lsn
