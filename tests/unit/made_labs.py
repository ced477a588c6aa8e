"""A lab for tests that never ran: its record, and a truth of a few commits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pitr_tui.lab import place, record
from pitr_tui.lab.place import Place
from pitr_tui.lab.record import Lab
from pitr_tui.lab.scenario import Answer
from pitr_tui.lab.scenario_file import find
from pitr_tui.lab.truth import BackupTaken, Changes, Commit, Line, Truth, TruthWriter
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.version import PostgresVersion

STARTED = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
READY = STARTED + timedelta(seconds=20)
ORDERS, STOCK, AUDIT = "shop.orders", "shop.stock", "shop.audit"
SYSTEM = 7_000_000_000_000_000_001


def commit(
    number: int,
    changes: Changes,
    *,
    good: bool = True,
    timeline: int = 1,
    dropped: tuple[str, ...] = (),
    created: tuple[str, ...] = (),
) -> Commit:
    return Commit(
        number=number,
        xid=700 + number,
        lsn=Lsn(number * 100),
        timeline=TimelineId(timeline),
        at=STARTED + timedelta(seconds=number),
        good=good,
        what=f"deed {number}",
        changes=changes,
        dropped=dropped,
        created=created,
    )


def backup(stop: int, whole: bool = True) -> BackupTaken:
    return BackupTaken("nightly", Lsn(stop - 40), Lsn(stop), TimelineId(1), whole)


# Two orders and the stock; a backup; a payment and a third order; the accident; a fourth order.
BEGUN = (
    commit(
        1,
        {ORDERS: {"1": "(1,new)", "2": "(2,new)"}, STOCK: {"7": "(7,9)"}},
        created=(ORDERS, STOCK, AUDIT),
    ),
    backup(150),
    commit(2, {ORDERS: {"1": "(1,paid)"}, AUDIT: {"1": "(1,paid)"}}),
    commit(3, {ORDERS: {"3": "(3,new)"}, STOCK: {"7": "(7,8)"}, AUDIT: {"2": "(3,new)"}}),
)
UPDATED = commit(4, {ORDERS: {"1": "(1,free)", "2": "(2,free)", "3": "(3,free)"}}, good=False)
AFTER = commit(5, {ORDERS: {"4": "(4,new)"}, STOCK: {"7": "(7,7)"}, AUDIT: {"3": "(4,new)"}})
HISTORY: tuple[Line, ...] = (*BEGUN, UPDATED, AFTER)


def truth_of(*lines: Line) -> Truth:
    return Truth.of(lines)


def made_lab(directory: Path, answer: Answer = Answer.SECONDARY, **more: object) -> Lab:
    """A lab that nobody has played; nothing is written."""
    name = "keep-later-rows" if answer is Answer.PRIMARY else "update-without-where"
    values: dict[str, object] = {
        "name": record.lab_name(name, 5, STARTED),
        "scenario": find(name),
        "seed": 5,
        "version": PostgresVersion(180006),
        "bindir": Path("/usr/lib/postgresql/18/bin"),
        "os_user": "root",
        "directory": directory,
        "system_identifier": SYSTEM,
        "started": STARTED,
        "ready": READY,
        "story": "All prices are zero.",
        "rate": 2.0,
        "image": None,
        "done_items": 5,
        "primary_state": "runs",
        "hints": ("look at the WAL", "stop before it", "--target-xid 704 --exclusive"),
        "expert": "Stop right before transaction 704.",
    }
    return Lab(**{**values, **more})  # type: ignore[arg-type]


def written_lab(directory: Path, **more: object) -> Lab:
    """The same, written down as a start does, with the truth of `HISTORY`."""
    lab = made_lab(directory, **more)  # type: ignore[arg-type]
    directory.mkdir(exist_ok=True)
    with record.reserved(lab.name):
        with TruthWriter(lab.truth_path) as writer:
            for line in HISTORY:
                writer.write(line)
        place.note(lab.name, Place(directory, lab.image))
        record.create(lab)
    return lab
