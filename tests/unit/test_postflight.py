"""What may be said of a recovered database, and what lies around the cut: never too much."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtTime, AtXid, Latest, Stop
from pitr_tui.postgres.timestamp import moment
from pitr_tui.recovery.as_of import agrees, as_of
from pitr_tui.recovery.events import (
    CheckDone,
    CutKnown,
    LogArrived,
    Promoted,
    RunStarted,
    Stamped,
    Status,
)
from pitr_tui.recovery.postflight import (
    last_transaction,
    state_check,
    stop_check,
    without_todo,
)
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.surroundings import cut_known
from pitr_tui.recovery.verify import ServerState
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.transactions import Kind, Transaction
from tests.unit.test_chronicle import NOON, SECOND, START, chronicle_of, ended, histories

AT = datetime(2026, 11, 22, 14, 35, tzinfo=UTC)
KEPT, LOST = AT - timedelta(seconds=3), AT + timedelta(seconds=2, microseconds=500)
CUT = CutKnown(726, KEPT, 727, LOST, "dropped orders (about 20,000 rows)", 5, 2, (), LOST)
BEFORE_727 = f"before commit of transaction 727, time {LOST:%Y-%m-%d %H:%M:%S.%f}+00"
AFTER_726 = f"after commit of transaction 726, time {KEPT:%Y-%m-%d %H:%M:%S}+00"
POINT = f'at restore point "safe", time {AT:%Y-%m-%d %H:%M:%S}+00'


def view_of(
    target: object, stopping: str = "", cut: CutKnown | None = None, action: str = "pause"
) -> RunView:
    view = RunView()
    view.apply(Stamped(AT, RunStarted("r", "18.6", "", "", "", str(target), action, "")))
    if stopping:
        line = f"2026-11-22 14:36:00.000 UTC [7] LOG:  recovery stopping {stopping}"
        view.apply(Stamped(AT, LogArrived(line)))
        assert view.stop is not None
    if cut is not None:
        view.apply(Stamped(AT, cut))
    return view


def paused(time: datetime | None, timeline: int = 1) -> ServerState:
    return ServerState(True, True, Lsn(0x3000000), time, TimelineId(timeline))


OPEN = ServerState(False, False, None, None, TimelineId(2))


@pytest.mark.parametrize(
    ("target", "stopping", "cut", "sentence"),
    [
        (
            AtTime(AT),
            BEFORE_727,
            CUT,
            "as of 2026-11-22 14:35:00 UTC, after transaction 726 (14:34:57), "
            "before transaction 727 (14:35:02.0005, dropped orders (about 20,000 rows)).",
        ),
        (AtTime(AT), BEFORE_727, None, "as of 2026-11-22 14:35:00 UTC, before transaction 727."),
        (
            AtXid(726),
            AFTER_726,
            CUT,
            "as of 2026-11-22 14:34:57 UTC, after transaction 726 (14:34:57), "
            "before transaction 727 (14:35:02.0005, dropped orders (about 20,000 rows)).",
        ),
        (
            AtXid(726),
            AFTER_726,
            replace(CUT, first_lost_xid=None, first_lost_time=None, first_lost_deed=""),
            "as of 2026-11-22 14:34:57 UTC, after transaction 726 (14:34:57).",
        ),
        # The WAL told of another place: it is not believed.
        (
            AtXid(726),
            AFTER_726,
            replace(CUT, last_kept_xid=725),
            "as of 2026-11-22 14:34:57 UTC, after transaction 726.",
        ),
        (
            AtTime(AT),
            BEFORE_727,
            replace(CUT, first_lost_time=LOST + timedelta(seconds=1)),
            "as of 2026-11-22 14:35:00 UTC, before transaction 727.",
        ),
        (
            "restore point 'safe'",
            POINT,
            CUT,
            "as of restore point 'safe', 2026-11-22 14:35:00 UTC, after transaction 726 "
            "(14:34:57), before transaction 727 (14:35:02.0005, dropped orders (about 20,000 "
            "rows)).",
        ),
        (
            "restore point 'safe'",
            POINT,
            replace(CUT, last_kept_time=AT + timedelta(seconds=1)),
            "as of restore point 'safe', 2026-11-22 14:35:00 UTC.",
        ),
        (
            "just before WAL position 0/3002448",
            'before WAL location (LSN) "0/3002448"',
            CUT,
            "as of before WAL position 0/3002448.",
        ),
    ],
)
def test_the_sentence(target: object, stopping: str, cut: CutKnown | None, sentence: str) -> None:
    assert as_of(view_of(target, stopping, cut)) == f"This is the database {sentence}"


def test_a_stop_at_a_position_is_believed_by_the_servers_clock() -> None:
    view = view_of("just before WAL position", 'before WAL location (LSN) "0/3002448"', CUT)
    assert "after transaction 726 (14:34:57)" in as_of(view, KEPT)
    for at in (KEPT - timedelta(seconds=1), LOST):
        assert "transaction" not in as_of(view, at)


def test_without_a_stop_only_the_end_of_the_archive_can_be_told() -> None:
    end = replace(CUT, first_lost_xid=None, first_lost_time=None, lost_transactions=0)
    told = as_of(view_of(Latest(), cut=end, action="promote"), KEPT)
    assert told.endswith(
        "the end of the archived WAL, after transaction 726 (2026-11-22 14:34:57 UTC)."
    )
    other = as_of(view_of(Latest(), cut=end, action="promote"), AT)
    assert "transaction 726" not in other
    assert "Nobody can say" in as_of(view_of(AtXid(726), cut=CUT), KEPT)


def test_stops_that_a_cut_does_not_explain() -> None:
    assert not agrees(CUT, Stop("commit", True, 726, str(LOST)))
    assert not agrees(CUT, Stop("commit", False, 727, str(KEPT)))
    assert agrees(CUT, Stop("abort", True, 9999, str(AT)))
    assert not agrees(CUT, Stop("abort", True, 9999, str(LOST)))
    assert not agrees(CUT, Stop("consistency"))
    assert agrees(CUT, Stop("consistency"), KEPT)
    assert not agrees(CUT, Stop("commit", False, 726, "2026-11-22 14:34:57.000001+00"))
    assert not agrees(CUT, Stop("abort", True, 9999, "22.11.2026 at night"), None)


def test_the_stop_is_held_against_the_plan_and_the_wal() -> None:
    good = view_of(AtTime(AT), BEFORE_727, CUT)
    assert stop_check(good, AtTime(AT)).status is Status.OK
    assert stop_check(good, AtTime(LOST)).status is Status.FAILURE
    assert stop_check(view_of(AtXid(726)), None).status is Status.FAILURE
    elsewhere = view_of(AtTime(AT), BEFORE_727, replace(CUT, first_lost_xid=700))
    assert stop_check(elsewhere, None).status is Status.FAILURE
    assert stop_check(view_of(Latest(), action="promote"), None).status is Status.FAILURE


def test_the_state_is_the_one_that_was_asked_for() -> None:
    view = view_of(AtXid(726), AFTER_726)
    assert state_check(view, paused(KEPT)).status is Status.OK
    going = ServerState(True, False, Lsn(0x3000000), KEPT, TimelineId(1))
    assert state_check(view, going).status is Status.FAILURE
    assert state_check(view, OPEN).status is Status.WARNING, "nobody of ours opened it"
    view.apply(Stamped(AT, Promoted(TimelineId(2))))
    assert state_check(view, OPEN).status is Status.OK
    assert state_check(view, replace(OPEN, timeline=TimelineId(3))).status is Status.FAILURE
    promoted = view_of(AtXid(726), AFTER_726, action="promote")
    assert state_check(promoted, OPEN).status is Status.OK


@pytest.mark.parametrize(
    ("time", "status", "words"),
    [
        (KEPT, Status.OK, "transaction 726"),
        (AT, Status.OK, "rolled back"),
        (LOST, Status.FAILURE, "transaction 727"),
        (KEPT - timedelta(seconds=1), Status.WARNING, "transaction 726"),
    ],
)
def test_the_last_transaction_is_the_last_kept(time: datetime, status: Status, words: str) -> None:
    (check,) = last_transaction(view_of(AtTime(AT), BEFORE_727, CUT), paused(time))
    assert check.status is status
    assert words in check.evidence


def test_a_server_that_tells_no_transaction_is_not_judged() -> None:
    assert list(last_transaction(view_of(AtTime(AT), BEFORE_727, CUT), paused(None))) == []


def test_a_transaction_later_than_the_stop_is_none_of_the_target() -> None:
    view = view_of(AtXid(727), BEFORE_727)
    late, near = LOST + timedelta(minutes=1), LOST + timedelta(milliseconds=1)
    (check,) = last_transaction(view, paused(late))
    assert check.status is Status.FAILURE
    assert "14:36:02.0005 UTC, which is later than the stop at" in check.evidence
    after = view_of(AtXid(726), AFTER_726)
    (check,) = last_transaction(after, paused(KEPT + timedelta(milliseconds=30)))
    assert check.status is Status.FAILURE
    (check,) = last_transaction(after, paused(KEPT))
    assert check.status is Status.OK
    (check,) = last_transaction(view, paused(near))
    assert check.status is Status.OK, "transactions side by side end in no order of their times"


def test_what_is_to_do_is_not_told_twice() -> None:
    same, other = CheckDone("a", Status.WARNING, "1"), CheckDone("b", Status.OK, "2")
    failed, todo = CheckDone("a", Status.FAILURE, "3"), CheckDone("a", Status.NOTE, "4")
    assert list(without_todo([same, other, failed], [todo])) == [other, failed]


# Around the cut.


@given(histories())
def test_a_cut_is_between_its_neighbours(items: list[Transaction]) -> None:
    chronicle = chronicle_of(items)
    for cut in range(len(items) + 1):
        known = cut_known(chronicle, cut, START)
        assert known is not None
        kept = [one for one in items[:cut] if one.is_committed]
        lost = [one for one in items[cut:] if one.is_committed]
        assert (known.kept_transactions, known.lost_transactions) == (len(kept), len(lost))
        assert known.last_kept_xid == (kept[-1].xid if kept else None)
        assert known.first_lost_xid == (lost[0].xid if lost else None)
        assert known.last_kept_time == (moment(kept[-1].time or 0) if kept else None)
        assert known.first_lost_time == (moment(lost[0].time or 0) if lost else None)
        assert bool(known.first_lost_deed) == bool(lost)
        every = [*kept, *lost]
        assert known.archive_end == (moment(every[-1].time or 0) if every else None)


def test_what_is_kept_is_counted_from_the_backup_on() -> None:
    chronicle = chronicle_of([ended(n) for n in range(1, 6)])
    known = cut_known(chronicle, 4, Lsn(int(START) + 3 * 0x100))
    assert known is not None
    assert (known.kept_transactions, known.lost_transactions) == (2, 1)


def test_unread_wal_makes_nothing_certain() -> None:
    chronicle = chronicle_of([ended(n) for n in range(1, 6)])

    def hole(number: int) -> CutKnown | None:
        at = Lsn(int(START) + number * 0x100 + 0x50)
        unread = Unread(at, Lsn(at + 0x10), next(iter(Ending)), "it is damaged")
        return cut_known(replace(chronicle, holes=(unread,)), 2, START)

    assert hole(2) is None, "between the last kept and the first lost"
    behind, before = hole(4), hole(1)
    assert behind is not None
    assert behind.archive_end is None
    assert behind.first_lost_xid == 703
    assert before is not None
    assert before.archive_end is not None
    unfinished = cut_known(chronicle_of([ended(1), ended(2)], finished=False), 1, START)
    assert unfinished is not None
    assert unfinished.archive_end is None


def test_the_lost_rows_are_told_by_table() -> None:
    items = [ended(1), ended(2, changes=[(20000, 3)]), ended(3, changes=[(20000, 2), (20001, 9)])]
    known = cut_known(chronicle_of([*items, ended(4, kind=Kind.ABORT)]), 1, START)
    assert known is not None
    assert [line.rpartition(": ")[2] for line in known.lost_rows] == ["9 inserted", "5 inserted"]
    assert known.first_lost_deed.startswith("3 inserted in ")
    assert known.archive_end == moment(NOON + 3 * SECOND)
