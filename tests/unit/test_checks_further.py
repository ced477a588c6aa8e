"""A secondary that has replayed a part of the way goes forward only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtXid, Immediate, Latest, RecoveryTarget
from pitr_tui.recovery.checks import Light, judge
from pitr_tui.recovery.events import Status
from pitr_tui.wal.chronicle import Mark, MarkKind
from tests.unit.made_checks import NOW, at, check_of, chronicle_of, ended, good_plan, seen

ITEMS = (ended(1), ended(2), ended(3), ended(4))


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        (AtXid(703), Status.OK, "goes on from there"),
        (AtXid(702, inclusive=False), Status.OK, "goes on from there"),
        (AtXid(701), Status.FAILURE, "the target lies at 0/300140"),
        (AtLsn(at(1)), Status.FAILURE, "it never goes back"),
        (AtXid(999), Status.WARNING, "was not seen"),
        (Immediate(), Status.FAILURE, "the end of the backup was passed"),
        (Latest(), Status.OK, "goes on from there"),
    ],
    ids=str,
)
def test_where_it_may_go_on_to(
    tmp_path: Path, target: RecoveryTarget, status: Status, words: str
) -> None:
    plan = good_plan(tmp_path, target)
    judgement = judge(plan, NOW, seen(plan, *ITEMS), reached=at(2))
    check = check_of(judgement, "later")
    assert (check.status, words in check.evidence) == (status, True)
    assert (judgement.light is Light.RED) == (status is Status.FAILURE)


def test_what_concerned_the_copy_is_not_asked_again(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, AtXid(703))
    place = Path(str(plan.secondary.data_directory))
    place.mkdir(parents=True)
    (place / "PG_VERSION").write_text("18\n")
    evidence = seen(plan, *ITEMS)
    assert judge(plan, NOW, evidence).light is Light.RED  # the destination is not empty
    again = judge(plan, NOW, evidence, reached=Lsn(at(1)))
    assert again.light is Light.GREEN
    assert again.estimate is None
    assert "destination" not in [check.name for check in again.checks]


def test_what_looks_harmful_on_the_way_is_named(tmp_path: Path) -> None:
    plan = good_plan(tmp_path, AtXid(704))
    chronicle = chronicle_of(ended(1), ended(2), ended(3), ended(4))
    mark = Mark(MarkKind.SUSPECT, 2, Lsn(at(3)), None, "dropped shop.orders")
    evidence = seen(plan, chronicle=replace(chronicle, marks=(mark,)))
    found = check_of(judge(plan, NOW, evidence, reached=at(2)), "goes past")
    assert found.status is Status.NOTE
    assert "xid 703 dropped shop.orders" in found.evidence
    names = [one.name for one in judge(plan, NOW, evidence, reached=at(4)).checks]
    assert "goes past" not in names
