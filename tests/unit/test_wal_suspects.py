"""What the archive of a real 9.6 tells of its accidents, and how they are judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import main
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
