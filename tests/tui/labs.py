"""A lab over the made world: one whose table was dropped, its hints, its score, and the cards."""

from __future__ import annotations

from datetime import timedelta

from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import AroundRow, RowDifference, Score, TableCount
from pitr_tui.lab.scenario_file import built_in, find
from pitr_tui.tui.lab_session import LabsSeen, OpenLab
from pitr_tui.tui.session import Session, Story
from tests.tui.world import NOTED, NOW, SRV
from tests.unit.made_labs import made_lab

MARKS = {"wrong-rows": 100, "dropped-table": 87}
HINTS = (
    "Everything that a server does is in its WAL, a DROP TABLE as well. Let pitr look for it.",
    "The wizard marks suspects on the timeline. You want to stop just before one.",
    "The transaction is 731. Stop just before it.",
)
_AROUND = (
    (57, 729, "payment of order 1014", True, ""),
    (58, 730, "an order of 2 lines", True, "the best answer ends here"),
    (59, 731, "the developer drops shop.orders, in the wrong window", False, "must not be there"),
    (60, 732, "a new customer", True, ""),
)


def lab(**more: object) -> Lab:
    """A dropped table, four minutes ago."""
    scenario = find("dropped-table")
    given: dict[str, object] = {
        "name": "dropped-table-5-20261122T181959",
        "scenario": scenario,
        "story": scenario.story,
        "hints": HINTS,
        "expert": "Stop just before transaction 731. A guessed time loses orders.",
        "started": NOW - timedelta(seconds=260),
        "ready": NOW - timedelta(seconds=245),
    }
    return made_lab(SRV, **{**given, **more})  # type: ignore[arg-type]


def score(marks: int = 100) -> Score:
    """Full marks, or those for an answer that has lost three orders."""
    lost = tuple(
        RowDifference("shop.orders", str(key), f"({key},new)", None, "a good row that was lost")
        for key in (1015, 1016, 1017)
    )
    full = marks == 100
    best = "right after “an order of 2 lines” (transaction 730, 2026-11-22 18:22:08 UTC)"
    early = "right after “a new customer” (transaction 726, 2026-11-22 18:22:04 UTC)"
    return Score(
        lab="dropped-table-5-20261122T181959",
        scenario="dropped-table",
        seed=5,
        version="18",
        marks=marks,
        stake=214,
        lost=() if full else lost,
        wrong=(),
        extra=0,
        missing_tables=(),
        tables=(
            TableCount("shop.customers", 44, 44, 0, 0),
            TableCount("shop.orders", 67, 67 if full else 64, 0 if full else 3, 0),
            TableCount("shop.order_lines", 165, 165, 0, 0),
        ),
        minutes=4.1,
        hints=1,
        attempts=0,
        after_answer=False,
        cut=best if full else early,
        best=best,
        sentence=(
            "Everything good that could be reached is there, and nothing that is wrong."
            if full
            else "The answer ends too early: 3 good rows are lost."
        ),
        expert="Stop just before transaction 731. A guessed time loses orders.",
        around=tuple(
            AroundRow(
                number=number,
                xid=xid,
                lsn=f"0/{number:X}00",
                at=NOTED + timedelta(seconds=xid - 731),
                what=what,
                good=good,
                marker=marker,
            )
            for number, xid, what, good, marker in _AROUND
        ),
        run="20261122T182400-1a2b3c4d",
        at=NOW,
        truth_lines=120,
    )


def seen(running: OpenLab | None = None) -> LabsSeen:
    return LabsSeen(built_in(), MARKS, running)


def practising(session: Session, open_lab: OpenLab | None = None) -> Session:
    """A session of the made world as that of a lab."""
    session.lab = open_lab or OpenLab(lab())
    session.story = Story(session.lab.lab.story)
    return session


def hinted() -> OpenLab:
    return OpenLab(lab(), [HINTS[0]])
