"""What an answer is worth: good rows lost, bad rows kept, and the best one that could be had."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.lab import record
from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import Score
from pitr_tui.lab.scenario import Answer
from pitr_tui.lab.score import Effort, scored
from pitr_tui.lab.truth import Done, Intent, Rows, Truth, WalBroken
from pitr_tui.postgres.lsn import Lsn, TimelineId
from tests.unit.made_labs import (
    AFTER,
    AUDIT,
    BEGUN,
    HISTORY,
    ORDERS,
    READY,
    STOCK,
    UPDATED,
    commit,
    made_lab,
    truth_of,
)

EFFORT = Effort("20261005-120500-aa", READY + timedelta(minutes=5), 5.0, 0, 0, False)


def told(found: Rows, truth: Truth | None = None, lab: Lab | None = None) -> Score:
    return scored(lab or made_lab(Path("/srv/lab")), truth or truth_of(*HISTORY), found, EFFORT)


def numbers(score: Score) -> tuple[int, int, int]:
    return len(score.lost), len(score.wrong), score.extra


def reasons(score: Score) -> dict[str, str]:
    return {f"{one.table} {one.key}".strip(): one.why for one in (*score.lost, *score.wrong)}


def best_rows(truth: Truth | None = None) -> Rows:
    return copy.deepcopy((truth or truth_of(*HISTORY)).best().rows)


def test_the_best_answer_gets_full_marks() -> None:
    score = told(best_rows())
    assert (score.marks, numbers(score), score.perfect) == (100, (0, 0, 0), True)
    assert score.sentence == (
        "Everything good that could be reached is there, and nothing that is wrong."
    )
    assert score.cut == score.best
    assert score.truth_lines == len(HISTORY)
    assert "transaction 703" in score.cut
    markers = {one.number: one.marker for one in score.around}
    assert markers[3] == "yours ends here, as the best answer does"
    assert markers[4] == "must not be there"


def test_too_early_loses_good_rows() -> None:
    truth = truth_of(*HISTORY)
    score = told(truth.rows_after(2))
    assert numbers(score) == (3, 0, 0)
    assert reasons(score) == {
        "shop.orders 3": "the row is not there",
        "shop.stock 7": "an older state of the row",
        "shop.audit 2": "the row is not there",
    }
    assert 0 < score.marks < 100
    assert score.sentence == "The answer ends too early: 3 good rows are lost."
    assert told(truth.rows_after(1)).marks < score.marks
    assert "before the first transaction" in told({}).cut


def test_too_late_keeps_bad_rows() -> None:
    truth = truth_of(*HISTORY)
    score = told(truth.rows_after(5))
    assert numbers(score) == (0, 3, 3)
    assert set(reasons(score).values()) == {"written by: deed 4"}
    assert score.sentence == (
        "The answer goes past the accident (deed 4): 3 rows are there that must not be."
    )
    assert score.marks < 100


def test_nothing_at_all_is_worth_nothing() -> None:
    score = told({})
    assert score.marks == 0
    assert set(score.missing_tables) == {ORDERS, STOCK, AUDIT}
    assert score.sentence == "Nothing of the shop is there: 6 good rows are lost."


def test_a_missing_table_loses_its_rows_or_itself() -> None:
    truth = truth_of(*BEGUN, commit(4, {}, good=False, dropped=(ORDERS,)), AFTER)
    score = told(truth.rows_after(4), truth)
    assert score.missing_tables == (ORDERS,)
    assert numbers(score) == (3, 0, 0)
    assert set(reasons(score).values()) == {"taken away by: deed 4"}
    assert score.sentence.startswith("shop.orders is missing: 3 good rows")
    count = next(one for one in score.tables if one.table == ORDERS)
    assert (count.expected, count.found, count.lost, count.wrong) == (3, None, 3, 0)
    assert score.marks == 0  # nothing of what the accident did is undone
    empty = truth_of(
        commit(1, {}, created=(AUDIT,)), *truth.backups, commit(2, {STOCK: {"1": "x"}})
    )
    assert reasons(told({STOCK: {"1": "x"}}, empty)) == {AUDIT: "the table is not there"}


def test_a_table_of_the_accident_must_not_stay() -> None:
    made = commit(4, {"shop.orders_old": {"1": "(1)"}}, good=False, created=("shop.orders_old",))
    truth = truth_of(*BEGUN, made)
    score = told(truth.rows_after(4), truth)
    assert reasons(score) == {
        "shop.orders_old": "the table was made by: deed 4",
        "shop.orders_old 1": "written by: deed 4",
    }


def test_the_trainees_own_table_is_nobodys_business() -> None:
    assert told({**best_rows(), "public.notes": {"1": "(1)"}}).perfect


def test_rows_that_somebody_typed_in_are_wrong() -> None:
    found = best_rows()
    found[ORDERS]["99"] = "(99,new)"
    found[ORDERS]["3"] = "(3,guessed)"
    score = told(found)
    assert numbers(score) == (0, 2, 0)
    assert set(reasons(score).values()) == {"nobody in the shop ever wrote this"}
    assert "no state" in score.cut
    assert 0 < score.marks < 100


def test_one_mistake_in_a_large_world_is_not_full_marks() -> None:
    many = {str(number): f"({number})" for number in range(1000)}
    truth = truth_of(*BEGUN, commit(4, {"shop.lines": many}), commit(5, {}, good=False))
    found = best_rows(truth)
    del found["shop.lines"]["5"]
    assert told(found, truth).marks == 99


def test_an_older_backups_row_that_is_gone_by_now() -> None:
    truth = truth_of(*BEGUN, commit(4, {ORDERS: {"2": None}}), commit(5, {}, good=False))
    score = told(truth.rows_after(3), truth)
    assert reasons(score) == {"shop.orders 2": "it should be gone by now"}
    assert numbers(score) == (1, 0, 0)


def test_another_timeline_is_not_this_history() -> None:
    branch = (
        commit(4, {ORDERS: {"3": "(3,branch)"}}, good=False, timeline=2),
        commit(5, {AUDIT: {"2": "(2,branch)"}}, good=False, timeline=2),
    )
    truth = truth_of(*BEGUN, *branch, commit(6, {ORDERS: {"5": "(5,new)"}}))
    found = truth.rows_after(2)
    found[ORDERS]["3"], found[AUDIT]["2"] = "(3,branch)", "(2,branch)"
    score = told(found, truth)
    assert numbers(score) == (2, 2, 0)
    assert reasons(score)["shop.orders 3"] == "written by: deed 4"
    assert reasons(score)["shop.orders 5"] == "the row is not there"
    assert "no state" in score.cut


def test_good_rows_newer_than_the_best_answer_cost_nothing() -> None:
    broken = WalBroken("x", Lsn(250), Lsn(260), TimelineId(1), missing=True)
    truth = truth_of(*BEGUN, broken, UPDATED, AFTER)
    assert truth.best().last is not None
    assert truth.best().last.number == 2  # type: ignore[union-attr]
    score = told(truth.rows_after(3), truth)
    assert (score.marks, numbers(score)) == (100, (0, 0, 3))


def test_a_good_change_on_top_of_a_bad_one_is_bad() -> None:
    shipped = commit(6, {ORDERS: {"2": "(2,free,shipped)"}})
    score = told(
        {**best_rows(), ORDERS: {**best_rows()[ORDERS], "2": "(2,free,shipped)"}},
        truth_of(*HISTORY, shipped),
    )
    assert reasons(score) == {"shop.orders 2": "deed 6, built on: deed 4"}
    assert numbers(score) == (0, 1, 0)


def test_a_commit_that_is_uncertain_may_be_there_or_not() -> None:
    newer = commit(6, {ORDERS: {"5": "(5,new)"}})
    open_end = truth_of(*BEGUN, Intent(newer))
    for found in (
        open_end.rows_after(3),
        {**best_rows(open_end), ORDERS: {**best_rows(open_end)[ORDERS], "5": "(5,new)"}},
    ):
        assert told(found, open_end).marks == 100
    settled = truth_of(*BEGUN, Intent(newer), Done(6, Lsn(600), READY))
    assert reasons(told(settled.rows_after(3), settled)) == {
        "shop.orders 5": "the row is not there"
    }


def test_on_the_primary_later_rows_have_to_stay() -> None:
    lab = made_lab(Path("/srv/lab"), Answer.PRIMARY)
    truth = truth_of(*BEGUN, commit(4, {ORDERS: {"1": None, "2": None}}, good=False), AFTER)
    assert told(truth.repaired(), truth, lab).marks == 100
    assert "without what was done by: deed 4" in told(truth.repaired(), truth, lab).best
    untouched = told(truth.rows_after(5), truth, lab)
    assert reasons(untouched) == {
        "shop.orders 1": "taken away by: deed 4",
        "shop.orders 2": "taken away by: deed 4",
    }
    thrown_back = told(truth.best().rows, truth, lab)
    assert reasons(thrown_back)["shop.orders 4"] == "the row is not there"
    assert reasons(thrown_back)["shop.stock 7"] == "an older state of the row"
    assert numbers(thrown_back) == (3, 0, 0)


def test_what_it_took_is_told_and_changes_no_marks() -> None:
    lab = made_lab(Path("/srv/lab"))
    effort = Effort("r", READY, 3.5, 2, 1, True)
    score = scored(lab, truth_of(*HISTORY), best_rows(), effort)
    assert score.marks == 100
    assert (score.hints, score.attempts, score.minutes, score.after_answer) == (2, 1, 3.5, True)


def test_a_score_is_read_back_as_it_was() -> None:
    score = told(truth_of(*HISTORY).rows_after(5))
    assert Score.from_json(json.loads(json.dumps(score.to_json()))) == score


@pytest.mark.parametrize(
    "change",
    [
        {"marks": 101},
        {"marks": "100"},
        {"schema": 9},
        {"lost": [{"table": "x"}]},
        {"at": "x"},
        {"minutes": None},
        {"tables": 3},
        {"seed": True},
        {"truth_lines": None},
        {"minutes": float("inf")},
    ],
)
def test_what_is_no_score_is_told(change: dict[str, object]) -> None:
    with pytest.raises(PitrError, match="not a score"):
        Score.from_json({**told({}).to_json(), **change})


def test_the_effort_is_read_from_the_record(tmp_path: Path) -> None:
    from pitr_tui.lab import diary
    from tests.unit.made_labs import written_lab

    lab = written_lab(tmp_path / "world")
    diary.take_hint(lab)
    first = Effort.of(lab, None, READY + timedelta(minutes=2))
    assert (first.minutes, first.hints, first.attempts, first.after_answer) == (2.0, 1, 0, False)
    diary.keep_score(lab, scored(lab, lab.truth(), {}, first))
    record.forget(lab.name)
    assert Effort.of(lab, None, READY).after_answer
    again = written_lab(tmp_path / "again", name="again", started=READY)
    assert Effort.of(again, None, READY).after_answer  # the same seed is the same accident
    record.forget(again.name)
    other = written_lab(tmp_path / "other", name="other", seed=6)
    assert not Effort.of(other, None, READY).after_answer
