"""The list of moments, the filter over it and the lines below it: pure, without a screen."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Latest
from pitr_tui.tui.screens.transaction_look import entry_content
from pitr_tui.tui.session import Moment
from pitr_tui.tui.wanted import AtEnd, aim_of, other_side, wanted_at_cut, wanted_of
from pitr_tui.tui.widgets.cut_panel import cut_rows
from pitr_tui.tui.widgets.moment_rows import Clock, EntryRows, PickRows, picks
from pitr_tui.tui.widgets.row_filter import RowFilter, read_filter
from pitr_tui.wal.chronicle import MarkKind
from tests.tui import stories

CLOCK = Clock(UTC)
NOTED = datetime(2026, 11, 22, 18, 22, 8, 929_734, UTC)
DROP, DELETE = 232, 167  # entries of the accident


def text(cells: list[tuple[str, str]]) -> str:
    return "".join(part for part, _ in cells)


def found(what: str) -> list[int]:
    """The entries of the accident that a filter lets through."""
    told = stories.accident()
    which = read_filter(what, UTC, stories.BEGIN).entries(told)
    return list(range(len(told))) if which is None else which.tolist()


def test_the_worst_is_on_top_below_what_was_noted() -> None:
    told = stories.accident()
    rows = PickRows(picks(told, [Moment(NOTED, "here")]), CLOCK)
    shown = [text(rows.row(number, 80)) for number in range(len(rows))]
    assert [line[:2] for line in shown] == ["● ", "▼ ", "▼ ", "◇ ", "■ "]
    assert "18:22:59.617" in shown[1]
    assert f"xid {told.xids[DROP]}" in shown[1]
    assert "dropped public.orders" in shown[1]
    assert "deleted 50,000" in shown[2]


def test_restore_points_of_our_own_are_not_on_top() -> None:
    told = stories.with_point(stories.accident(), 120, "pitr_switch_1")
    names = [one.mark.name for one in picks(told, []) if one.mark and one.mark.name]
    assert names == ["before_release", "pitr_switch_1"]
    assert picks(told, [])[-1].mark is not None


def test_a_mark_that_was_set_here_is_one_restore_point_and_never_on_top() -> None:
    set_here = Moment(NOTED, "restore point 'incident_1', set here", "incident_1")
    told = stories.accident()
    for story, row in ((told, 2), (stories.with_point(told, 240, "incident_1"), 2), (None, 0)):
        rows = picks(story, [set_here])
        assert [one.words for one in rows].count(set_here.what) == 1
        assert wanted_of(rows[row]) == AtName("incident_1")
        assert rows[row].sign == rows[row + 1].sign or story is None
        assert not rows[row].to_recover_to
        assert rows[0].to_recover_to == (story is not None)


def test_what_was_not_read_to_its_end_denies_nothing() -> None:
    told = stories.story([stories.order(0)], finished=False)
    for cut in (0, 1):
        shown = "\n".join(row.plain for row in cut_rows(told, cut, CLOCK))
        assert "so far" in shown
        assert "nothing that is in the archive" not in shown
    nothing = replace(stories.nothing(), finished=False)
    assert "was read so far" in cut_rows(nothing, 0, CLOCK)[0].plain


def test_without_any_wal_there_is_the_end() -> None:
    assert len(picks(None, [])) == 1


def test_rows_of_all_transactions_are_made_when_they_are_looked_at() -> None:
    told = stories.accident()
    rows = EntryRows(told, CLOCK)
    assert len(rows) == len(told)
    assert "order_lines +3, orders +1" in text(rows.row(0, 80))
    assert text(rows.row(DROP, 80)).startswith("▼ ")
    assert rows.row_of(len(told)) is None
    some = EntryRows(told, CLOCK, np.array([3, DROP]))
    assert (some.row_of(4), some.row_of(DROP + 1), some.entry(1)) == (1, None, DROP)


def test_a_rolled_back_transaction_says_so() -> None:
    told = stories.story([stories.Done(1, committed=False), stories.Done(2, locks=True)])
    rows = EntryRows(told, CLOCK)
    assert "rolled back" in text(rows.row(0, 80))
    assert text(rows.row(1, 80)).rstrip().endswith("changed definitions")


def test_whose_definitions_were_changed_is_told() -> None:
    names = ("public.orders", "shop.stock", "shop.customers")
    told = replace(stories.story([stories.Done(1, locks=True)]), defined={0: names})
    shown = text(EntryRows(told, CLOCK).row(0, 80))
    assert "changed definitions of orders, shop.stock and 1 more" in shown
    closely = entry_content(told, 0, CLOCK, "UTC").plain
    assert "Definitions changed\n  public.orders\n  shop.stock\n  shop.customers\n" in closely


def test_the_day_is_told_where_there_are_several() -> None:
    late = stories.story([stories.order(one) for one in (0, 6 * 3600)])
    assert Clock.of(late, UTC).text(int(late.times[0])) == "11-22 18:00:00.117"
    tokyo = Clock.of(stories.accident(), ZoneInfo("Asia/Tokyo"))
    assert tokyo.text(int(late.times[0])) == "03:00:00.117"


@pytest.mark.parametrize(
    ("what", "count"),
    [("", 244), ("ORDERS", 231), ("stock", 1), ("stock orders", 0), (">100", 1), ("<=1", 13)],
)
def test_the_filter_takes_tables_and_rows(what: str, count: int) -> None:
    assert len(found(what)) == count


def test_the_filter_takes_times_and_xids() -> None:
    assert found("18:22:58..18:23:00.1") == [DROP - 1, DROP, DROP + 1]
    assert found("..18:00:01") == [0]
    assert found(str(700 + DELETE)) == [DELETE]
    with pytest.raises(UsageError, match="is not a time"):
        read_filter("tea..18:00", UTC, NOTED)


def test_the_filter_works_on_what_is_worth_a_look_too() -> None:
    told = stories.accident()
    rows = picks(told, [Moment(NOTED, "the clock")])
    for what, count in (("restore", 1), ("orders", 1), (">60,000", 0), ("18:20..", 2), ("", 5)):
        wanted = read_filter(what, UTC, NOTED)
        assert len(wanted.picks(rows, told)) == count, what
    assert not RowFilter()


def test_what_a_row_stands_for() -> None:
    told = stories.accident()
    noted, drop, delete, point, end = picks(told, [Moment(NOTED, "here")])
    assert wanted_of(noted) == AtTime(NOTED)
    assert wanted_of(drop) == AtEnd(Lsn(int(told.lsns[DROP])))
    assert wanted_of(delete) == AtEnd(Lsn(int(told.lsns[DELETE])))
    assert wanted_of(point) == AtName("before_release")
    assert wanted_of(end) == Latest()


def test_the_second_restore_point_of_a_name_is_a_place_and_not_a_name() -> None:
    """A server would stop at the first one."""
    told = stories.with_point(stories.accident(), 120, "before_release")
    first, second = (one for one in told.marks if one.what is MarkKind.RESTORE_POINT)
    by_lsn = {one.mark.lsn: wanted_of(one) for one in picks(told, []) if one.mark}
    assert by_lsn[first.lsn] == AtName("before_release")
    assert by_lsn[second.lsn] == AtEnd(second.lsn)
    assert aim_of(AtEnd(second.lsn), told, None).cut == 120


def test_both_sides_of_a_transaction() -> None:
    told = stories.accident()
    before = wanted_at_cut(told, DELETE)
    after = other_side(before)
    assert after is not None
    assert aim_of(before, told, None).target == AtXid(700 + DELETE, False)
    assert aim_of(after, told, None).cut == DELETE + 1
    assert other_side(after) == before
    assert other_side(Latest()) is None
    assert aim_of(AtEnd(Lsn(5)), None, None).target == AtLsn(Lsn(5), False)
    assert aim_of(wanted_at_cut(told, len(told)), told, None).cut == len(told)
    assert wanted_at_cut(stories.nothing(), 0) == Latest()


def test_what_is_kept_and_what_is_lost() -> None:
    lines = [row.plain for row in cut_rows(stories.prepared(), DROP, CLOCK)]
    assert lines[0] == "Keep everything up to 18:22:58.317  xid 931  audit +1"
    assert "Lose from             18:22:59.617  xid 932  dropped public.orders" in lines[1]
    assert lines[2] == "  after the cut       12 transactions, 11 rows: audit 11"
    assert "1 transaction in progress then (xid 933) will be gone" in lines[3]
    assert "1 prepared stays so ('[/] two [b]phases')" in lines[3]


def test_at_both_ends() -> None:
    told = stories.quiet()
    assert "no transaction after it" in cut_rows(told, 0, CLOCK)[0].plain
    last = [row.plain for row in cut_rows(told, len(told), CLOCK)]
    assert "nothing that is in the archive" in last[1]
    assert "no transaction" in last[2]
