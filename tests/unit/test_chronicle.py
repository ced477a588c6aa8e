"""Cuts between transactions, and the targets they become, held against a plain server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import first_backup, read_chronicle, survey_archive
from pitr_tui.wal.aim import Aim, aim_at, aim_at_cut
from pitr_tui.wal.catalog import Catalog
from pitr_tui.wal.chronicle import Chronicle, MarkKind
from pitr_tui.wal.chronicle_writer import ChronicleWriter
from pitr_tui.wal.names import NameBook
from pitr_tui.wal.suspects import SuspectFinder
from pitr_tui.wal.transactions import Change, Happening, Item, Kind, Transaction
from pitr_tui.wal.xlog import RestorePoint
from tests.unit.made import DATA

ONE = TimelineId(1)
START = Lsn(0x3000000)
SECOND = 1_000_000
NOON = 848_000_000 * SECOND
PG96 = DATA / "pg96"


def ended(
    number: int,
    *,
    kind: Kind = Kind.COMMIT,
    time: int | None = None,
    begun: int = 0,
    xid: int | None = None,
    changes: Sequence[tuple[int, int]] = (),
    subxids: tuple[int, ...] = (),
    gid: str | None = None,
) -> Transaction:
    """The transaction whose last record is the `number`-th of all; it began `begun` before."""
    lsn = int(START) + number * 0x100
    xid = 700 + number if xid is None else xid
    return Transaction(
        xid=xid,
        top_xid=xid,
        full_xid=xid,
        kind=kind,
        time=NOON + number * SECOND if time is None else time,
        lsn=Lsn(lsn),
        end=Lsn(lsn + 0x40),
        first=Lsn(lsn - begun * 0x100 - 0x80),
        bytes=100,
        records=2,
        subxids=subxids,
        gid=gid,
        partial=False,
        changes=tuple(Change(xid, (1663, 5, table), rows, 0, 0, 0, 0) for table, rows in changes),
        dropped=(),
        rows=(),
        actions=(),
        timeline=ONE,
    )


def chronicle_of(items: Sequence[Item], *, finished: bool = True) -> Chronicle:
    names = NameBook(Catalog(PostgresVersion.parse("18")))
    writer = ChronicleWriter(ONE, START, names, SuspectFinder(names))
    for item in items:
        writer.add(item)
    return writer.chronicle(finished=finished)


def point(number: int, name: str) -> Happening:
    lsn = int(START) + number * 0x100 + 0x60
    return Happening(Lsn(lsn), Lsn(lsn + 0x18), ONE, RestorePoint(name, NOON + number * SECOND))


def kept_by_a_server(
    items: Sequence[Transaction], target: RecoveryTarget, since: Lsn = START
) -> list[int] | None:
    """Which commits a server replays: the rules of PostgreSQL, record by record.

    None where it would never stop. Source: recoveryStopsBefore() and recoveryStopsAfter() in
    src/backend/access/transam/xlogrecovery.c.
    """
    kept: list[int] = []
    for number, one in enumerate(items):
        when = moment(one.time or 0)
        assert when is not None
        match target:
            case AtXid(xid, False) if one.xid == xid:
                return kept
            case AtTime(time, inclusive) if when > time or (when == time and not inclusive):
                return kept
            case AtLsn(lsn, False) if one.lsn >= lsn:
                return kept
        kept += [number] * one.is_committed
        match target:
            case AtXid(xid, True) if one.xid == xid:
                return kept
            case AtLsn(lsn, True) if one.lsn >= lsn:
                return kept
            case Immediate() if one.end >= since:
                return kept
    return kept if isinstance(target, Latest) else None


@st.composite
def histories(draw: st.DrawFn) -> list[Transaction]:
    kinds = st.sampled_from([Kind.COMMIT, Kind.COMMIT, Kind.COMMIT, Kind.ABORT])
    steps = draw(st.lists(st.tuples(kinds, st.integers(-3, 5), st.integers(0, 9)), max_size=24))
    time, found = NOON, []
    for number, (kind, seconds, begun) in enumerate(steps, 1):
        time += seconds * SECOND
        rows = draw(st.lists(st.tuples(st.integers(20000, 20003), st.integers(0, 9)), max_size=3))
        again = draw(st.integers(0, 9)) == 0  # an xid that was there an epoch ago
        xid = 700 + (number // 2 if again else number)
        found.append(ended(number, kind=kind, time=time, begun=begun, xid=xid, changes=rows))
    return found


@given(histories())
def test_a_server_stops_where_the_cut_is(items: list[Transaction]) -> None:
    chronicle = chronicle_of(items)
    for cut in range(len(items) + 1):
        wanted = [number for number in range(cut) if items[number].is_committed]
        for since in (None, START, items[cut - 1].end if cut else START):
            aim = aim_at_cut(chronicle, cut, since)
            assert aim.reached
            assert kept_by_a_server(items, aim.target, since or START) == wanted or not wanted


@given(histories(), st.integers(-5, 30), st.booleans(), st.integers(0, 24))
def test_a_time_means_what_a_server_makes_of_it(
    items: list[Transaction], seconds: int, inclusive: bool, first: int
) -> None:
    """Also one that begins behind transactions with other clocks."""
    chronicle = chronicle_of(items)
    since = items[first].lsn if first < len(items) else None
    when = moment(NOON + seconds * SECOND)
    assert when is not None
    asked = AtTime(when, inclusive)
    begun = items[first:] if since is not None else items
    told, aim = kept_by_a_server(begun, asked), aim_at(chronicle, asked, since)
    assert aim.reached == (told is not None)
    if told is None:
        assert aim.target == asked
    elif told:
        assert kept_by_a_server(begun, aim.target) == told
        assert aim.asked == asked


@given(histories(), st.data())
def test_what_is_lost_is_counted(items: list[Transaction], data: st.DataObject) -> None:
    chronicle = chronicle_of(items)
    cut = data.draw(st.integers(0, len(items)))
    lost = [one for one in items[cut:] if one.is_committed]
    rows: Counter[str] = Counter()
    for one in lost:
        for change in one.changes:
            rows[f"file {change.place[2]}"] += change.inserted
    loss = chronicle.loss(cut)
    assert loss.transactions == len(lost)
    assert loss.rows == rows.total()
    assert {one.table.name: one.inserted for one in loss.tables if one.rows} == +rows
    assert [one.rows for one in loss.tables] == sorted(one.rows for one in loss.tables)[::-1]
    through = chronicle.cut_through(cut)
    at = items[cut - 1].end if cut else START
    expected = [
        n for n, one in enumerate(items) if n >= cut and one.is_committed and one.first < at
    ]
    cut_itself = [n for n in expected if n > cut or one_began_before(items, cut)]
    assert list(through.entries) == cut_itself


def one_began_before(items: list[Transaction], cut: int) -> bool:
    """Whether the transaction that ends at the cut itself had begun before the one before it."""
    return items[cut].first < items[cut].lsn


def test_an_xid_may_be_that_of_a_subtransaction() -> None:
    chronicle = chronicle_of([ended(1), ended(2, xid=705, subxids=(706, 707)), ended(3, xid=708)])
    aim = aim_at(chronicle, AtXid(707, inclusive=False))
    assert (aim.target, aim.cut) == (AtXid(705, inclusive=False), 1)
    assert aim_at(chronicle, AtXid(707 + (7 << 32), inclusive=True)).cut == 2
    absent = aim_at(chronicle, AtXid(999))
    assert (absent.reached, absent.cut) == (False, None)


def test_of_two_restore_points_the_first_one_counts() -> None:
    first, second = point(1, "a"), point(2, "a")
    chronicle = chronicle_of([ended(1), first, ended(2), second, ended(3)])
    assert aim_at(chronicle, AtName("a")) == Aim(
        AtName("a"), AtName("a"), 1, first.lsn, reached=True
    )
    assert aim_at(chronicle, AtName("a"), since=second.lsn).cut == 2
    assert not aim_at(chronicle, AtName("b")).reached
    assert [mark.index for mark in chronicle.marks if mark.what is MarkKind.RESTORE_POINT] == [1, 2]


def test_prepared_transactions_are_cut_through() -> None:
    items = [
        ended(1, kind=Kind.PREPARE, xid=800, gid="one"),
        ended(2, kind=Kind.PREPARE, xid=801, gid="two"),
        ended(3),
        ended(4, kind=Kind.COMMIT_PREPARED, xid=800, gid="one", begun=3),
    ]
    chronicle = chronicle_of(items)
    assert len(chronicle) == 2
    assert [one.gid for one in chronicle.cut_through(1).prepared] == ["one", "two"]
    assert chronicle.cut_through(1).entries == ()
    assert [one.gid for one in chronicle.cut_through(2).prepared] == ["two"]


def test_where_a_table_is_dropped_the_stop_is_before_its_lock() -> None:
    chronicle = read_pg96()
    dropped = next(mark for mark in chronicle.suspects() if "dropped public.orders" in mark.words)
    before = aim_at_cut(chronicle, dropped.index)
    assert before.target == AtXid(572, inclusive=False)
    gentle = aim_at_cut(chronicle, dropped.index, since=chronicle.start)
    kept = chronicle.last_kept(dropped.index)
    assert kept is not None
    assert gentle.target == AtXid(int(chronicle.xids[kept]), inclusive=True)
    assert gentle.cut == before.cut == dropped.index
    late = Lsn(int(chronicle.lsns[dropped.index]) - 1)  # a backup that ended after the last commit
    assert aim_at_cut(chronicle, dropped.index, since=late).target == before.target


def read_pg96() -> Chronicle:
    archive = WalArchive(PG96 / "archive")
    backups = list_backups(PG96, archive)
    with IndexCache() as cache:
        means = Means(cache, processes=1)
        surveyed = survey_archive(archive, backups, means)
        return read_chronicle(surveyed, means, backup=first_backup(surveyed))


def test_a_real_archive_is_told_in_columns() -> None:
    chronicle = read_pg96()
    assert chronicle.finished
    worst = chronicle.suspects()
    assert [int(chronicle.xids[one.index]) for one in worst] == [575, 572, 566, 568, 567, 571]
    deleted = chronicle.entry_of(568)
    assert deleted is not None
    assert [(str(one.table), one.deleted) for one in chronicle.changes(deleted)] == [
        ("public.customers", 502)
    ]
    found = chronicle.suspect_at(deleted)
    assert found is not None
    assert found.words == "deleted 502 of about 502 rows of public.customers"
    after = aim_at_cut(chronicle, deleted + 1)
    assert after.cut == deleted + 1
    points = [one for one in chronicle.marks if one.what is MarkKind.RESTORE_POINT]
    assert [one.name for one in points] == ["before_release"]


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=90)])
def test_a_time_behind_the_last_transaction_tells_how_far(behind: timedelta) -> None:
    chronicle = chronicle_of([ended(1), ended(2)])
    last = moment(NOON + 2 * SECOND)
    assert last is not None
    aim = aim_at(chronicle, AtTime(last + behind))
    assert (aim.reached, aim.short_by, aim.cut) == (False, behind, 2)


def test_a_clock_that_goes_back_is_noticed() -> None:
    times = [NOON, NOON + 60 * SECOND, NOON + 5 * SECOND, NOON + 70 * SECOND]
    chronicle = chronicle_of([ended(n, time=time) for n, time in enumerate(times, 1)])
    assert chronicle.clock_back.tolist() == [2]
    at = moment(NOON + 10 * SECOND)
    assert at is not None
    assert chronicle.cut_at_time(from_moment(at), inclusive=True) == 1
