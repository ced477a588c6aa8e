"""What the archive of a real 9.6 tells of its accidents, and how they are judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import main
from pitr_tui.cli.transaction_words import short_name, wrapped
from pitr_tui.wal.names import RelationKind, RelationName
from pitr_tui.wal.record import Locator
from tests.unit.made import DATA

PG96 = DATA / "pg96"
PLACES = [str(PG96 / "archive"), "--backup", str(PG96)]

# The oracle is what the steps of the workload did (see the fixture's README).
SENTENCES = {
    575: "dropped the database scratch",
    572: "dropped public.orders (about 2,095 rows) and 5 more relations",
    566: "truncated public.tmp_import (about 300 rows)",
    568: "deleted 502 of about 502 rows of public.customers",
    567: "updated 2,095 of about 2,095 rows of public.orders",
    571: "dropped the column note of public.orders",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cache for all: the archive does not change."""
    monkeypatch.setenv("PITR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "pg96-cache"))


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["wal", *arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_accident_is_named_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    suspects = [one for one in said(capsys, "suspects", *PLACES) if one["event"] == "Suspect"]
    assert {one["xid"]: one["sentence"] for one in suspects} == SENTENCES
    assert [one["xid"] for one in suspects] == list(SENTENCES)
    assert [one["rank"] for one in suspects] == list(range(1, len(SENTENCES) + 1))


def test_what_harms_nobody_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    events = [one for one in said(capsys, "suspects", *PLACES) if "words" in one]
    words = {one["lsn"]: one["words"] for one in events}
    assert words["0/3008820"] == "restore point 'before_release'"
    assert words["0/40D14F0"].startswith("rewrote public.audit, as VACUUM")
    assert words["0/40BA0C0"] == "created the index public.orders_total_idx on public.orders"


def test_a_span_leaves_out_what_is_outside_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    some = said(capsys, "suspects", *PLACES, "--from", "0/40A0000", "--to", "0/40D3A48")
    assert [one["xid"] for one in some if one["event"] == "Suspect"] == [568, 571]
    early = "2026-11-22 16:21:02.41+01"
    some = said(capsys, "transactions", *PLACES, "--to", early, "--relation", "customers")
    kinds = [(one["xid"], one["kind"]) for one in some if one["event"] == "Transaction"]
    assert kinds == [(559, "abort"), (558, "commit")]


def test_people_read_it_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wal", "suspects", *PLACES, "--limit", "2", "--zone", "Europe/Berlin"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2. Sunday, 2026-11-22 16:21:02.529687 Europe/Berlin, xid 572 in shop" in lines
    assert "     just before it: --target-xid 572 --exclusive" in lines
    assert "… 4 more suspects; --limit shows them" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("bound", "why"),
    [
        ("14:35", "does not say in which time zone"),
        ("nonsense", "is not a time"),
        ("0/GG", "is not a WAL position"),
    ],
)
def test_a_bound_that_cannot_be_read_is_refused(
    capsys: pytest.CaptureFixture[str], bound: str, why: str
) -> None:
    assert main(["wal", "transactions", *PLACES, "--from", bound]) == 2
    assert why in capsys.readouterr().err


def test_bounds_in_the_wrong_order_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wal", "suspects", *PLACES, "--from", "0/4000000", "--to", "0/3000000"]) == 2
    assert "--from lies behind --to" in capsys.readouterr().err


def test_an_archive_without_wal_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert main(["wal", "suspects", str(tmp_path)]) == 3
    assert "there is no WAL to read" in capsys.readouterr().err


def test_wal_of_another_cluster_than_the_backup_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from tests.wal.made_wal import WalWriter

    writer = WalWriter()
    writer.commit(700)
    for segment, data in writer.segments():
        (tmp_path / segment.name).write_bytes(data)
    assert main(["wal", "suspects", str(tmp_path), "--backup", str(PG96)]) == 3
    assert "no WAL of the backup's cluster" in capsys.readouterr().err


@pytest.fixture
def holed(tmp_path: Path) -> list[str]:
    """The archive without its third segment; the backup began in the second one."""
    archive = tmp_path / "archive"
    shutil.copytree(PG96 / "archive", archive)
    (archive / "000000010000000000000003.zst").unlink()
    return [str(archive), "--backup", str(PG96)]


def test_what_lies_behind_a_hole_is_out_of_reach(
    holed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = said(capsys, "suspects", *holed)
    (hole,) = (one for one in facts if one["event"] == "Unread" and one["until"])
    suspects = [one for one in facts if one["event"] == "Suspect"]
    assert [one["xid"] for one in suspects if one["unreadable_before"]] == [575, 572, 568, 567, 571]
    assert main(["wal", "suspects", *holed]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"     out of reach from this backup: the WAL has a hole at {hole['lsn']}" in lines
    assert not any("--target-xid" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_without_a_backup_a_hole_asks_for_a_later_one(
    holed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = said(capsys, "suspects", holed[0])
    (hole,) = (one for one in facts if one["event"] == "Unread" and one["until"])
    assert main(["wal", "suspects", holed[0]]) == 0
    lines = capsys.readouterr().out.splitlines()
    advice = f"     only from a backup taken after the hole that ends at {hole['until']}"
    assert "--target-xid " in lines[lines.index(advice) + 1]


def test_unread_wal_has_a_segment_and_an_offset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.wal.made_wal import WalWriter

    writer = WalWriter()
    for xid in range(700, 30_000):
        writer.commit(xid)
    spoilt = writer.lsns[100]
    for segment, data in writer.segments():
        image = bytearray(data)
        if segment.start <= spoilt < segment.end:
            image[spoilt - segment.start + 30] ^= 1
        (tmp_path / segment.name).write_bytes(image)
    (unread, *_) = (
        one for one in said(capsys, "transactions", str(tmp_path)) if one["event"] == "Unread"
    )
    offset = spoilt % (1 << 20)
    assert (unread["lsn"], unread["segment"]) == (str(spoilt), "000000010000000000000001")
    assert unread["offset"] == offset
    assert main(["wal", "transactions", str(tmp_path), "--min-rows", "1"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert f"(byte {offset:,} of 000000010000000000000001)" in words
    assert "Recovery from a backup before it stops there." in words


def test_a_later_timeline_is_named_beside_the_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same number may be another transaction on another timeline."""
    for path in (PG96 / "archive").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "00000002.history").write_text("1\t0/4000000\tno recovery target specified\n")
    (tmp_path / "000000020000000000000004.zst").write_bytes(b"")
    arguments = [str(tmp_path), "--backup", str(PG96), "--timeline", "1"]
    assert main(["wal", "suspects", *arguments]) == 0
    assert "--target-xid 572 --exclusive --timeline 1\n" in capsys.readouterr().out
    suspects = [one for one in said(capsys, "suspects", *arguments) if one["event"] == "Suspect"]
    assert suspects[1]["target"] == {"xid": 572, "inclusive": False, "timeline": 1}


def test_a_dropped_database_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [one for one in said(capsys, "transactions", *PLACES) if one["event"] == "Transaction"]
    gone = {one["xid"]: one["dropped_databases"] for one in listed if one["dropped_databases"]}
    assert gone == {575: ["scratch"]}
    assert main(["wal", "transactions", *PLACES, "--from", "0/40D1000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("575  0/40EE718    dropped the database scratch") for line in lines)
    assert max(map(len, lines)) <= 80


def test_rows_of_catalogs_do_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    """The drop of a schema's tables deletes many of them."""
    some = said(capsys, "transactions", *PLACES, "--min-rows", "7")
    listed = [one["xid"] for one in some if one["event"] == "Transaction"]
    assert listed == [557, 562, 563, 563, 564, 567, 568, 573]


def test_a_prepared_transaction_without_an_end_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["wal", "transactions", *PLACES]) == 0
    assert "neither committed" not in capsys.readouterr().out  # p1 was committed
    assert main(["wal", "transactions", *PLACES, "--to", "0/3008710"]) == 0
    assert "! 563 was prepared as 'p1', and neither committed" in capsys.readouterr().out


def test_a_table_that_nothing_touched_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wal", "transactions", *PLACES, "--relation", "Orders"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "None of them touched Orders. A table is asked for by its exact name" in words


def test_a_name_with_a_line_break_stays_on_its_line() -> None:
    name = RelationName("shop", "public", "evil\n1. Monday", RelationKind.TABLE)
    assert short_name(name, Locator(1663, 5, 16384)) == "public.evil␊1. Monday"
    assert list(wrapped("dropped public.evil\n\x1b[2J", 5)) == ["dropped public.evil␊␛[2J"]
