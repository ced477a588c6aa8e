"""What a mark would run, when it counts as archived, and what its journal keeps."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.minute_zero import (
    Mark,
    MarkOrder,
    Position,
    plan_mark,
    set_mark,
    wait_until_archived,
)
from pitr_tui.servers.primary import ArchiverStatus, Primary, PrimaryFacts, Setting
from pitr_tui.servers.sql import Database
from tests.tui.world import FACTS
from tests.unit.made import segment

NOW = datetime(2026, 11, 22, 18, 24, 30, 250_000, UTC)
NOTHING = ArchiverStatus(0, None, None, 0, None, None)
FAILING = ArchiverStatus(3, segment(3).name, NOW, 7, segment(4).name, NOW.replace(second=31))
POSITION = Position(NOW, Lsn(0x400060), segment(4), "731:733:731", NOTHING)


class MadePrimary(Primary):
    """A primary that says these things and does nothing."""

    def __init__(self, facts: PrimaryFacts = FACTS, level: str = "replica") -> None:
        super().__init__(Database({"host": "/nowhere"}))
        self._facts, self._level = facts, level
        self.seen = [NOTHING]

    def facts(self) -> PrimaryFacts:
        return self._facts

    def settings(self, *names: str) -> dict[str, Setting]:
        values = {"wal_level": self._level, "archive_mode": "off"}
        return {name: Setting(name, values.get(name, ""), "", "", "", "", False) for name in names}

    def archiver(self) -> ArchiverStatus:
        return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]


def order(version: str = "18.6") -> MarkOrder:
    facts = replace(FACTS, version=PostgresVersion.parse(version))
    return MarkOrder(facts, POSITION, "incident_20261122T182430Z", "")


def mark(tmp_path: Path) -> Mark:
    return Mark("incident_x", Lsn(0x4000C8), NOW, 733, segment(4), tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("version", "switch"),
    [("9.6.24", "pg_switch_xlog"), ("10.23", "pg_switch_wal"), ("18.6", "pg_switch_wal")],
)
def test_each_version_is_asked_in_its_own_words(version: str, switch: str) -> None:
    assert order(version).statements == (
        "SET synchronous_commit = local",
        "SELECT pg_create_restore_point('incident_20261122T182430Z')",
        "SELECT txid_current()",
        f"SELECT {switch}()",
    )


def test_what_cannot_be_marked_is_refused_before_anything_is_done(state_dir: Path) -> None:
    with pytest.raises(RefusedError, match="this server is a standby"):
        plan_mark(MadePrimary(replace(FACTS, in_recovery=True)))
    with pytest.raises(RefusedError) as refused:
        plan_mark(MadePrimary(level="minimal"))
    assert "wal_level is minimal" in refused.value.why
    assert not state_dir.exists()


def test_a_journal_that_cannot_be_written_keeps_the_primary_untouched(state_dir: Path) -> None:
    state_dir.write_text("a file where the directory would be")
    with pytest.raises(PitrError, match="journal of this incident cannot be written") as raised:
        set_mark(MadePrimary(), order())  # its database could not be connected to
    assert "PITR_STATE_DIR" in raised.value.hint


def test_the_journal_says_what_was_wanted_even_if_the_primary_is_gone(state_dir: Path) -> None:
    with pytest.raises(PitrError, match="cannot connect"):
        set_mark(MadePrimary(), order(), lambda: NOW)
    (journal,) = (state_dir / "incidents").iterdir()
    assert journal.name == "20261122T182430Z.jsonl"
    assert journal.stat().st_mode & 0o777 == 0o600
    first, second = map(json.loads, journal.read_text().splitlines())
    assert (first["event"], first["lsn"], first["timeline"]) == ("Position", "0/400060", 1)
    assert first["snapshot"] == "731:733:731"
    assert second["statements"] == list(order().statements)
    with pytest.raises(PitrError, match="in this very second"):
        set_mark(MadePrimary(), order(), lambda: NOW)
    assert len(journal.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        (None, False),
        (segment(3).name, False),
        (segment(4).name, True),
        (segment(5).name, True),
        (f"{segment(4).name}.00000028.backup", True),
        (f"{segment(3).name}.partial", False),
        ("00000002.history", False),
        ("00000001.history", False),
        (segment(5, timeline=2).name, False),
    ],
)
def test_the_segment_or_a_later_one_of_its_timeline_proves_it(
    tmp_path: Path, last: str | None, counts: bool
) -> None:
    primary = MadePrimary()
    primary.seen = [NOTHING, replace(NOTHING, last_archived=last, last_archived_time=NOW)]
    if counts:
        assert wait_until_archived(primary, mark(tmp_path), timeout=5).last_archived == last
        assert json.loads((tmp_path / "x.jsonl").read_text())["event"] == "Archived"
    else:
        with pytest.raises(PitrError, match="is not archived yet"):
            wait_until_archived(primary, mark(tmp_path), timeout=0)


def test_an_archiver_that_is_late_is_told_in_its_own_words(tmp_path: Path) -> None:
    primary = MadePrimary()
    primary.seen = [FAILING]
    with pytest.raises(PitrError) as raised:
        wait_until_archived(primary, mark(tmp_path), timeout=0)
    assert f"the archiver fails: {segment(4).name} at 2026-11-22 18:24:31" in raised.value.why
    assert json.loads((tmp_path / "x.jsonl").read_text())["event"] == "NotArchived"


def test_waiting_can_be_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError, match="the mark is set"):
        wait_until_archived(MadePrimary(), mark(tmp_path), cancel)
