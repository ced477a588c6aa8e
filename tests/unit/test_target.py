"""The six kinds of target: the settings they write, and whether a stop is the right one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import (
    TARGET_SETTINGS,
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    Stop,
    require_known_by,
)
from pitr_tui.postgres.version import PostgresVersion

NOON = datetime(2026, 11, 22, 12, 0, 0, 500_000, UTC)
AT_NOON = "2026-11-22 12:00:00.5+00"
JUST_BEFORE = "2026-11-22 12:00:00.499999+00"
JUST_AFTER = "2026-11-22 12:00:00.500001+00"
LSN = Lsn.parse("0/3002448")

TARGETS: list[tuple[RecoveryTarget, dict[str, str]]] = [
    (Latest(), {}),
    (Immediate(), {"recovery_target": "immediate"}),
    (
        AtTime(NOON),
        {
            "recovery_target_time": "2026-11-22 12:00:00.500000+00",
            "recovery_target_inclusive": "on",
        },
    ),
    (
        AtTime(NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), inclusive=False),
        {
            "recovery_target_time": "2026-11-22 12:00:00.500000+00",
            "recovery_target_inclusive": "off",
        },
    ),
    (AtXid(728), {"recovery_target_xid": "728", "recovery_target_inclusive": "on"}),
    (
        AtXid((7 << 32) + 728, inclusive=False),
        {"recovery_target_xid": "728", "recovery_target_inclusive": "off"},
    ),
    (AtLsn(LSN), {"recovery_target_lsn": "0/3002448", "recovery_target_inclusive": "on"}),
    (
        AtLsn(LSN, inclusive=False),
        {"recovery_target_lsn": "0/3002448", "recovery_target_inclusive": "off"},
    ),
    (AtName("before release"), {"recovery_target_name": "before release"}),
]


@pytest.mark.parametrize(("target", "settings"), TARGETS, ids=lambda value: str(value)[:40])
def test_a_target_writes_its_settings(target: RecoveryTarget, settings: dict[str, str]) -> None:
    assert target.settings() == settings
    assert settings.keys() <= set(TARGET_SETTINGS)


def test_every_target_has_its_kind_and_its_words() -> None:
    assert {target.kind for target, _ in TARGETS} == {
        *("latest", "immediate", "time", "xid", "lsn", "name")
    }
    assert len({str(target) for target, _ in TARGETS}) == len(TARGETS)


def commit(time: str, xid: int = 728, before: bool = True, what: str = "commit") -> Stop:
    return Stop(what, before=before, xid=xid, time=time)


CONSISTENT = Stop("consistency")
AT_NAME = Stop("restore point", name="before release", time=AT_NOON)

# Whether each stop is the target's. A server stops before the first commit behind a time,
# so that a stop *after* a commit is never that of a time.
MET: list[tuple[RecoveryTarget, Stop | None, bool]] = [
    (Latest(), None, True),
    (Latest(), CONSISTENT, False),
    (Immediate(), CONSISTENT, True),
    (Immediate(), None, False),
    (Immediate(), AT_NAME, False),
    # Inclusive time: commits of that very moment are kept, the stop is behind it.
    (AtTime(NOON), None, False),
    (AtTime(NOON), commit(JUST_BEFORE), False),
    (AtTime(NOON), commit(AT_NOON), False),
    (AtTime(NOON), commit(JUST_AFTER), True),
    (AtTime(NOON), commit(JUST_AFTER, what="abort"), True),
    (AtTime(NOON), commit(JUST_AFTER, before=False), False),
    (AtTime(NOON), commit("2026-11-22 13:00:00.6+01"), True),
    (AtTime(NOON), commit("2026-11-22 12:30:00+01"), False),
    (AtTime(NOON), CONSISTENT, False),
    (AtTime(NOON), AT_NAME, False),
    (AtTime(NOON), Stop("commit", before=True, xid=728), False),
    # Exclusive time: a commit of that very moment is the first one left out.
    (AtTime(NOON, inclusive=False), commit(JUST_BEFORE), False),
    (AtTime(NOON, inclusive=False), commit(AT_NOON), True),
    (AtTime(NOON, inclusive=False), commit(JUST_AFTER), True),
    (AtTime(NOON, inclusive=False), commit(AT_NOON, before=False), False),
    # Transactions.
    (AtXid(728), commit(AT_NOON, before=False), True),
    (AtXid(728), commit(AT_NOON, before=False, what="abort"), True),
    (AtXid(728), commit(AT_NOON, before=True), False),
    (AtXid(728), commit(AT_NOON, xid=729, before=False), False),
    (AtXid(728), None, False),
    (AtXid((7 << 32) + 728), commit(AT_NOON, before=False), True),
    (AtXid(728, inclusive=False), commit(AT_NOON, before=True), True),
    (AtXid(728, inclusive=False), commit(AT_NOON, before=False), False),
    # 9.6 and 10 print this time for an exclusive transaction.
    (AtXid(728, inclusive=False), commit("2000-01-01 00:00:00+00"), True),
    # Positions: the server stops at the first record that begins there or behind.
    (AtLsn(LSN), Stop("lsn", before=False, lsn=LSN), True),
    (AtLsn(LSN), Stop("lsn", before=False, lsn=LSN + 8), True),
    (AtLsn(LSN + 8), Stop("lsn", before=False, lsn=LSN), False),
    (AtLsn(LSN), Stop("lsn", before=True, lsn=LSN), False),
    (AtLsn(LSN), commit(AT_NOON), False),
    (AtLsn(LSN), None, False),
    (AtLsn(LSN, inclusive=False), Stop("lsn", before=True, lsn=LSN), True),
    (AtLsn(LSN, inclusive=False), Stop("lsn", before=False, lsn=LSN), False),
    # Names.
    (AtName("before release"), AT_NAME, True),
    (AtName("before"), AT_NAME, False),
    (AtName("before release"), CONSISTENT, False),
    (AtName("before release"), None, False),
]


@pytest.mark.parametrize(("target", "stop", "met"), MET, ids=lambda value: str(value)[:60])
def test_a_target_knows_its_stop(target: RecoveryTarget, stop: Stop | None, met: bool) -> None:
    assert target.met_by(stop) is met


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (commit(AT_NOON), f"before the commit of transaction 728 at {AT_NOON}"),
        (commit("2000-01-01 00:00:00+00"), "before the commit of transaction 728"),
        (
            commit(AT_NOON, before=False, what="abort"),
            f"after the abort of transaction 728 at {AT_NOON}",
        ),
        (AT_NAME, f"at restore point 'before release' ({AT_NOON})"),
        (Stop("lsn", before=False, lsn=LSN), "after WAL position 0/3002448"),
        (CONSISTENT, "at consistency"),
    ],
)
def test_a_stop_says_where_it_is(stop: Stop, words: str) -> None:
    assert str(stop) == words


@pytest.mark.parametrize("xid", [-1, 0, 1, 2, 1 << 32, (5 << 32) + 2, 1 << 64])
def test_what_is_no_transaction_is_refused(xid: int) -> None:
    with pytest.raises(UsageError, match="not a transaction id"):
        AtXid(xid)


@pytest.mark.parametrize("xid", [3, (1 << 32) - 1, (1 << 64) - 1])
def test_the_first_and_the_last_transaction_are_accepted(xid: int) -> None:
    assert AtXid(xid).xid == xid & 0xFFFFFFFF


@pytest.mark.parametrize("name", ["", "x" * 64, "ü" * 32, "\udce9", "two\nlines", "nul\0"])
def test_what_cannot_name_a_restore_point_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a restore point"):
        AtName(name)


@pytest.mark.parametrize("name", ["x", "x" * 63, "ü" * 31, "it's 100 % \\ \x1b"])
def test_whatever_else_can(name: str) -> None:
    assert AtName(name).settings() == {"recovery_target_name": name}


def test_a_time_needs_its_zone() -> None:
    with pytest.raises(UsageError, match="time zone"):
        AtTime(datetime(2026, 11, 22))


def test_only_9_6_knows_no_position() -> None:
    require_known_by(AtLsn(LSN), PostgresVersion.parse("10"))
    require_known_by(AtXid(728), PostgresVersion.parse("9.6"))
    with pytest.raises(RefusedError, match="cannot stop at a WAL position"):
        require_known_by(AtLsn(LSN), PostgresVersion.parse("9.6.24"))
