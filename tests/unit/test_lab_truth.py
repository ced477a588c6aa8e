"""What the lab's truth says: its folds, the best answer that can be reached, and its file."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.lab.truth import (
    BackupTaken,
    Changes,
    Commit,
    Done,
    Intent,
    Line,
    Noted,
    Refused,
    Truth,
    TruthWriter,
    Undone,
    Unknown,
    WalBroken,
    WalEnd,
)
from pitr_tui.postgres.lsn import Lsn, TimelineId

AT = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
ONE, TWO = TimelineId(1), TimelineId(2)
T = "shop.orders"


def commit(
    number: int, changes: Changes, *, good: bool = True, timeline: TimelineId = ONE, **more: object
) -> Commit:
    values = {"what": f"commit {number}", "at": AT, **more}
    return Commit(
        number=number,
        xid=700 + number,
        lsn=Lsn(number * 100),
        timeline=timeline,
        good=good,
        changes=changes,
        **values,  # type: ignore[arg-type]
    )


def backup(name: str, start: int, stop: int, whole: bool = True) -> BackupTaken:
    return BackupTaken(name, Lsn(start), Lsn(stop), ONE, whole)


HISTORY: tuple[Line, ...] = (
    commit(1, {T: {"1": "a"}}, created=(T, "shop.audit")),
    commit(2, {T: {"2": "b"}}),
    backup("base", 210, 250),
    commit(3, {T: {"1": "A"}, "shop.audit": {"1": "x"}}),
    commit(4, {T: {"2": None}}, good=False),
    commit(5, {T: {"3": "c"}}),
)


def truth_of(*lines: Line) -> Truth:
    return Truth.of(lines)


def best_number(truth: Truth) -> tuple[int | None, str]:
    best = truth.best()
    return (best.last.number if best.last else None, best.backup.name)


def test_rows_are_the_fold_of_all_changes() -> None:
    truth = truth_of(*HISTORY)
    assert truth.rows_after(None) == {}
    assert truth.rows_after(1) == {T: {"1": "a"}, "shop.audit": {}}
    assert truth.rows_after(5) == {T: {"1": "A", "3": "c"}, "shop.audit": {"1": "x"}}
    assert truth.repaired() == {T: {"1": "A", "2": "b", "3": "c"}, "shop.audit": {"1": "x"}}


def test_a_dropped_table_is_gone_until_it_is_made_again() -> None:
    dropped = commit(6, {}, good=False, dropped=(T,))
    again = commit(7, {T: {"9": "z"}}, created=(T,))
    truth = truth_of(*HISTORY, dropped, again)
    assert truth.rows_after(6) == {"shop.audit": {"1": "x"}}
    assert truth.rows_after(7)[T] == {"9": "z"}
    written = [(one.number, text) for one, text in truth.versions(T, "3")]
    assert written == [(5, "c"), (6, None)]


def test_the_best_answer_ends_right_before_the_first_bad_commit() -> None:
    best = truth_of(*HISTORY).best()
    assert best.last is not None
    assert (best.last.number, best.backup.name) == (3, "base")
    assert best.first_bad is not None
    assert best.first_bad.number == 4
    assert best.rows == {T: {"1": "A", "2": "b"}, "shop.audit": {"1": "x"}}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ((), (3, "base")),
        ((WalEnd(Lsn(299)),), (2, "base")),
        ((WalEnd(Lsn(300)),), (3, "base")),
        ((WalBroken("x", Lsn(260), Lsn(270), ONE, missing=True),), (2, "base")),
        ((WalBroken("x", Lsn(100), Lsn(210), ONE, missing=True),), (3, "base")),
        ((WalBroken("x", Lsn(260), Lsn(270), TWO, missing=True),), (3, "base")),
        (
            (WalBroken("x", Lsn(260), Lsn(270), ONE, missing=False), backup("new", 310, 320)),
            (3, "new"),
        ),
        ((backup("new", 310, 320, whole=False),), (3, "base")),
        ((backup("too new", 410, 420),), (3, "base")),
    ],
)
def test_the_best_answer_lies_in_a_window(
    more: tuple[Line, ...], expected: tuple[int, str]
) -> None:
    assert best_number(truth_of(*HISTORY, *more)) == expected


def test_without_an_accident_the_end_of_the_wal_is_the_best() -> None:
    good = [one for one in HISTORY if not (isinstance(one, Commit) and not one.good)]
    assert best_number(truth_of(*good)) == (5, "base")
    assert best_number(truth_of(*good, WalEnd(Lsn(499)))) == (3, "base")


@pytest.mark.parametrize(
    "lines",
    [
        [one for one in HISTORY if not isinstance(one, BackupTaken)],
        [*HISTORY, backup("base", 210, 250, whole=False)],
        [*HISTORY, WalEnd(Lsn(249))],
        [*HISTORY, backup("base", 380, 400)],
    ],
)
def test_nothing_good_can_be_reached(lines: Iterable[Line]) -> None:
    with pytest.raises(PitrError, match="no backup of this lab"):
        Truth.of(lines).best()


def test_a_stray_timeline_is_not_the_primarys() -> None:
    stray = commit(6, {T: {"1": "stray"}}, good=False, timeline=TWO)
    later = commit(7, {T: {"7": "g"}})
    good = [one for one in HISTORY if not (isinstance(one, Commit) and not one.good)]
    truth = truth_of(*good, stray, later)
    assert truth.first_bad is None
    assert best_number(truth) == (7, "base")
    assert truth.rows_after(7)[T]["1"] == "A"
    assert [(one.number, text) for one, text in truth.versions(T, "1")] == [
        (1, "a"),
        (3, "A"),
        (6, "stray"),
    ]


def test_a_state_tells_after_which_commit_it_was() -> None:
    truth = truth_of(*HISTORY)
    for one in truth.main:
        assert truth.cut_of(truth.rows_after(one.number)) == one
    assert truth.cut_of({}) is None
    assert truth.cut_of({T: {"1": "nobody's"}}) is Unknown.CUT
    without = truth.rows_after(5)
    del without["shop.audit"]
    assert truth.cut_of(without) is Unknown.CUT


def test_every_line_is_read_back_as_it_was(tmp_path: Path) -> None:
    lines: list[Line] = [
        *HISTORY,
        commit(6, {T: {"ö|1": 'a "quoted"\nline'}}, deed="drop", dropped=("x",), item=12),
        WalBroken("000000010000000000000003", Lsn(1), Lsn(2), ONE, missing=False),
        WalEnd(Lsn(900)),
        Noted("later", AT, Lsn(5), None),
        Noted("then", AT, Lsn(5), 0xFFFFFFFF),
        Refused("an order", AT, 13),
        Refused("declined", AT, 14, meant=True),
    ]
    path = tmp_path / "truth.jsonl"
    with TruthWriter(path) as writer:
        for line in lines:
            writer.write(line)
    assert Truth.read(path) == Truth.of(lines)
    truth = Truth.read(path)
    assert (truth.refused, truth.next_item) == (1, 15)
    assert truth.noted["then"].xid == 0xFFFFFFFF


def test_an_intent_becomes_a_commit_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    first, second, third = (commit(one, {T: {str(one): "a"}}, item=one) for one in (1, 2, 3))
    with TruthWriter(path) as writer:
        writer.write(Intent(first))
        writer.write(Done(1, Lsn(150), AT))
        writer.write(Intent(second))
        writer.write(Undone(2))
        writer.write(Intent(third))
    truth = Truth.read(path)
    assert [(one.number, one.lsn) for one in truth.commits] == [(1, Lsn(150))]
    assert [one.commit.number for one in truth.uncertain] == [3]
    assert truth.next_item == 2
    assert truth.rows_after(3) == {T: {"1": "a"}}


def test_a_torn_line_is_no_line_and_the_next_writer_takes_it_away(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    with TruthWriter(path) as writer:
        writer.write(commit(1, {}))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "Commit", "number": 2, "xi')
    assert len(Truth.read(path).commits) == 1
    with TruthWriter(path) as writer:
        assert writer.next_number() == 2
        writer.write(commit(2, {}))
    assert [one.number for one in Truth.read(path).commits] == [1, 2]


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "no JSON",
        '{"kind": "Unheard"}',
        '{"kind": "WalEnd"}',
        '{"kind": "WalEnd", "lsn": "x"}',
        '{"kind": "WalEnd", "lsn": "0/1", "more": 1}',
    ],
)
def test_what_is_no_line_is_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(PitrError, match="not a line of a lab's truth"):
        Truth.read(path)


def test_a_truth_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PitrError, match="cannot be read"):
        Truth.read(tmp_path / "truth.jsonl")
    with pytest.raises(PitrError, match="cannot be written"):
        TruthWriter(tmp_path / "missing" / "truth.jsonl")


def _write_many(path: Path, count: int) -> None:
    with TruthWriter(path) as writer:
        for _ in range(count):
            with writer.locked():
                writer.write(commit(writer.next_number(), {T: {"1": "x" * 300}}))


def test_several_processes_number_their_commits_in_one_row(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(path, 50)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    lines = path.read_text().splitlines()
    assert len(lines) == 100
    assert [one.number for one in Truth.read(path).commits] == [*range(1, 101)]
