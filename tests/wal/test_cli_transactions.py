"""`pitr wal transactions`, as a program, on archives with a known history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.postgres.lsn import Lsn
from tests.wal.conftest import shapes
from tests.wal.histories import SHAPES, History
from tests.wal.truth import Deed
from tests.wal.waldump import Place

pytestmark = pytest.mark.integration

(OF_15,) = (shape for shape in SHAPES if shape.major == "15")
(OF_18,) = (shape for shape in SHAPES if shape.major == "18")
CHOSEN = shapes(*(shape for shape in SHAPES if shape.major in ("11", "15", "18")))
Line = dict[str, Any]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def lines(history: History, cache: Path, *options: str) -> list[Line]:
    """The transactions that the program lists."""
    argv = [sys.executable, "-m", "pitr_tui", "wal", "transactions", str(history.archive)]
    done = subprocess.run(
        [*argv, "--json", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PITR_CACHE_DIR": str(cache)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [line for line in found if line["event"] == "Transaction"]


def line_of(found: list[Line], deed: Deed) -> Line:
    (line,) = (one for one in found if (one["xid"], one["kind"]) == (deed.xid, deed.kind))
    return line


def place_of(relation: Line) -> Place:
    return Place(relation["tablespace"], relation["database_oid"], relation["filenode"])


@CHOSEN
def test_every_deed_is_listed_with_names(history: History, cache: Path) -> None:
    found = lines(history, cache, "--backup", str(history.backup))
    assert [Lsn.parse(one["lsn"]) for one in found] == sorted(
        Lsn.parse(one["lsn"]) for one in found
    )
    for deed in history.truth.deeds:
        line = line_of(found, deed)
        when = datetime.fromisoformat(line["time"])
        assert deed.before is not None
        assert deed.after is not None
        assert deed.before <= when <= deed.after
        places = [place_of(relation) for relation in line["relations"]]
        assert len(places) == len(set(places)), (deed.label, "a relation is listed twice")
        by_place = dict(zip(places, line["relations"], strict=True))
        for place, counts in deed.rows.items():
            relation = by_place[place]
            assert relation["inserted"] == counts.inserted, deed.label
            assert relation["updated"] == counts.updated, deed.label
            assert relation["deleted"] == counts.deleted, deed.label
            if deed.hot is not None:
                assert relation["hot_updated"] == (counts.updated if deed.hot else 0), deed.label
            check_name(relation, deed.names[place])
        gone = {place_of(relation): relation for relation in line["dropped"]}
        if deed.kind.startswith("commit"):
            for place in deed.dropped:
                check_name(gone[place], deed.names[place])


def check_name(relation: Line, name: str) -> None:
    """A table's own name, with its schema."""
    assert relation["name"] == (name if "." in name else f"public.{name}"), relation
    if name == "there":
        assert relation["database"] == "scratch"
    else:
        assert relation["database"] == "postgres"


@CHOSEN
def test_whose_definitions_were_changed_is_told(history: History, cache: Path) -> None:
    argv = [sys.executable, "-m", "pitr_tui", "wal", "transactions", str(history.archive)]
    told = subprocess.run(
        [*argv, "--backup", str(history.backup)],
        capture_output=True,
        text=True,
        env={**os.environ, "PITR_CACHE_DIR": str(cache)},
        check=True,
    ).stdout.splitlines()
    assert any(line.endswith("changed definitions of audit") for line in told)  # a new index


@shapes(OF_18)
def test_a_second_reading_says_the_same(history: History, cache: Path) -> None:
    """From the cache, and without one."""
    first = lines(history, cache)
    assert lines(history, cache) == first
    assert lines(history, cache.with_name("another")) == first


@shapes(OF_15)
def test_what_is_asked_for_is_listed(history: History, cache: Path) -> None:
    whole = lines(history, cache, "--backup", str(history.backup))
    backup = ("--backup", str(history.backup))
    deed = history.truth["delete 250"]
    line = line_of(whole, deed)

    some = lines(history, cache, *backup, "--min-rows", "1000")
    assert {one["xid"] for one in some} < {one["xid"] for one in whole}
    assert history.truth["copy 1000"].xid in {one["xid"] for one in some}
    assert deed.xid not in {one["xid"] for one in some}

    some = lines(history, cache, *backup, "--relation", "wide")
    assert history.truth["toast 30"].xid in {one["xid"] for one in some}
    assert deed.xid not in {one["xid"] for one in some}
    same = lines(history, cache, *backup, "--relation", "public.wide")
    assert [one["xid"] for one in same] == [one["xid"] for one in some]

    some = lines(history, cache, *backup, "--from", line["lsn"], "--to", line["lsn"])
    assert [one["xid"] for one in some] == [deed.xid]
    some = lines(history, cache, *backup, "--from", line["time"], "--to", line["time"])
    assert [one["xid"] for one in some] == [deed.xid]
    ours = [one["xid"] for one in whole if Lsn.parse(one["lsn"]) >= Lsn.parse(line["lsn"])]
    assert [one["xid"] for one in lines(history, cache, *backup, "--from", line["lsn"])] == ours
