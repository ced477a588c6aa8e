"""The head of pg_control: the cluster, its version and its last checkpoint."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.control import ControlHead, ServerState, standby_minimums
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from tests.unit.made import SYSTEM, control_bytes


def test_a_head_is_read() -> None:
    head = ControlHead.parse(control_bytes())
    assert head == ControlHead(
        SYSTEM,
        202506291,
        datetime(2026, 11, 22, 14, 43, 40, tzinfo=UTC),
        Lsn.parse("0/200080"),
        ServerState.IN_PRODUCTION,
    )
    assert head == ControlHead.parse(control_bytes()[:40])


@pytest.mark.parametrize(
    ("catalog", "major"),
    [
        (201608131, "9.6"),
        (201707211, "10"),
        (201809051, "11"),
        (201909212, "12"),
        (202007201, "13"),
        (202107181, "14"),
        (202209061, "15"),
        (202307071, "16"),
        (202406281, "17"),
        (202506291, "18"),
        (202506292, None),
    ],
)
def test_the_catalog_tells_the_major(catalog: int, major: str | None) -> None:
    assert ControlHead.parse(control_bytes(catalog=catalog)).major == major


@pytest.mark.parametrize(
    "data",
    [
        b"",
        control_bytes()[:39],
        bytes(8192),
        b"\xff" * 8192,
        control_bytes(system=0),
        control_bytes(seconds=-1),
        control_bytes(seconds=1 << 40),
    ],
)
def test_what_is_no_control_file_is_refused(data: bytes) -> None:
    with pytest.raises(PitrError, match="pg_control cannot be read"):
        ControlHead.parse(data)


def test_an_identifier_may_use_all_64_bits() -> None:
    head = ControlHead.parse(control_bytes(system=(1 << 64) - 1))
    assert head.system_identifier == (1 << 64) - 1


CONTROL_FILES = Path(__file__).parents[1] / "data" / "pg_control"
OLD = {
    "max_connections": 131,
    "max_worker_processes": 17,
    "max_prepared_transactions": 7,
    "max_locks_per_transaction": 77,
}
NEW = OLD | {"max_wal_senders": 13}
STOCK = dict(zip(OLD, (100, 8, 5, 64), strict=True))


@pytest.mark.parametrize(
    ("major", "settings"),
    [
        ("9.6", STOCK),
        *((major, OLD) for major in ("10", "11")),
        *((major, NEW) for major in ("12", "13", "14", "15", "16", "17", "18")),
    ],
)
def test_the_settings_of_the_primary_are_found(major: str, settings: dict[str, int]) -> None:
    """The files are the beginnings of those that servers of each major have written."""
    data = (CONTROL_FILES / major).read_bytes()
    assert standby_minimums(data, PostgresVersion.parse(major)) == settings


@pytest.mark.parametrize("cut", [0, 100, 180, 207])
def test_a_control_file_without_them_gives_none(cut: int) -> None:
    data = (CONTROL_FILES / "18").read_bytes()[:cut]
    assert standby_minimums(data, PostgresVersion.parse("18")) == {}
