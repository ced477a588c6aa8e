"""The list of a class believes every honest export, and outlives whatever else it is given."""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import lab_class
from pitr_tui.cli.output import Output
from pitr_tui.lab import diary, export
from pitr_tui.lab.class_list import class_list, read_export
from pitr_tui.lab.export import packed
from pitr_tui.lab.record import Lab
from pitr_tui.lab.truth import Commit, Rows
from pitr_tui.lab.truth_lines import line_text, parse_line
from pitr_tui.recovery.runs import RunRecord
from tests.unit.made_journals import PAUSED, lay_down, recorded
from tests.unit.made_labs import AUDIT, ORDERS, written_lab
from tests.unit.test_lab_export import RUN, changed, keep, problem, problem_free


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return written_lab(tmp_path / "world")


@pytest.fixture
def run() -> RunRecord:
    return RunRecord(lay_down(RUN, recorded(PAUSED)))


_WRITTEN = {
    "kind": "Commit",
    "number": 9,
    "xid": 709,
    "lsn": "0/900",
    "timeline": 1,
    "at": "2026-10-05T12:01:00+00:00",
    "good": True,
    "what": "deed 9",
    "changes": {},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "9"},
        {"number": 9.5},
        {"xid": True},
        {"at": "2026-10-05T12:01:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": 5},
        {"good": "yes"},
        {"what": ["x"]},
        {"changes": 5},
        {"changes": {"t": ["1"]}},
        {"changes": {"t": {"1": [1]}}},
        {"dropped": "shop.orders"},
        {"created": [["x"]]},
        {"timeline": "1"},
        {"lsn": 5},
        {"kind": ["Commit"]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_truth_of_other_types_is_damaged(
    lab: Lab, run: RunRecord, tmp_path: Path, wrong: dict[str, object]
) -> None:
    line = json.dumps({**_WRITTEN, **wrong}).encode()
    damaged_beside_a_good_one(lab, run, tmp_path, truth_jsonl=line + b"\n")


@pytest.mark.parametrize(
    "truth",
    [b"\xff\xfe\n", b"[" * 100_000, b"", b"\n\n"],
    ids=["not UTF-8", "deep", "empty", "empty lines"],
)
def test_a_truth_that_is_none_is_damaged(
    lab: Lab, run: RunRecord, tmp_path: Path, truth: bytes
) -> None:
    damaged_beside_a_good_one(lab, run, tmp_path, truth_jsonl=truth)


def at(*place: str | int, value: object) -> tuple[tuple[str | int, ...], object]:
    return place, value


@pytest.mark.parametrize(
    "wrong",
    [
        at("minutes", value=float("inf")),
        at("minutes", value=float("nan")),
        at("minutes", value=-5),
        at("minutes", value=1e300),
        at("minutes", value=True),
        at("hints", value=10**30),
        at("attempts", value=1.0),
        at("at", value="2026-01-01T00:00:00"),
        at("truth_lines", value="11"),
        at("missing_tables", value="shop"),
        at("missing_tables", value=[1]),
        at("tables", 0, "expected", value="x"),
        at("tables", 0, "found", value=-1),
        at("tables", 0, value=[]),
        at("wrong", 0, "table", value=["a"]),
        at("wrong", 0, "table", value={"a": 1}),
        at("wrong", 0, "key", value=None),
        at("wrong", 0, "found", value=[1]),
        at("around", 0, "number", value="1"),
        at("around", 0, "at", value="9999-12-31T23:59:59-14:00"),
        at("around", 0, "good", value=1),
    ],
    ids=str,
)
def test_a_score_of_other_types_is_damaged(
    lab: Lab, run: RunRecord, tmp_path: Path, wrong: tuple[tuple[str | int, ...], object]
) -> None:
    keep(lab, lab.truth().rows_after(5))
    kept = diary.last_score(lab)
    assert kept is not None
    plain: Any = kept.to_json()
    (*way, last), value = wrong
    place = plain
    for one in way:
        place = place[one]
    place[last] = value
    damaged_beside_a_good_one(lab, run, tmp_path, score_json=json.dumps(plain).encode())


def damaged_beside_a_good_one(lab: Lab, run: RunRecord, tmp_path: Path, **files: bytes) -> None:
    """An export with these files has its line in the list, and the next one has its marks."""
    keep(lab, lab.truth().best().rows)
    good = export.export(lab, run, tmp_path / "good.tar.gz", "Zoe")
    bad = changed(export.export(lab, run, tmp_path / "bad.tar.gz", "Ada"), **files)
    rows = class_list([bad, good])
    assert [(one.trainee, one.marks) for one in rows] == [("Ada", None), ("Zoe", 100)]
    assert rows[0].problem.startswith("it is damaged: ")
    assert len(rows[0].problem) <= 300


def without_mistakes(plain: dict[str, Any]) -> dict[str, Any]:
    """A score as a cheat would have it, who does not look at everything."""
    tables = [{**one, "lost": 0, "wrong": 0} for one in plain["tables"]]
    clean = {"lost": [], "wrong": [], "missing_tables": [], "marks": 100, "tables": tables}
    return {**plain, **clean}


def forged(lab: Lab, run: RunRecord, to: Path, found: Rows) -> tuple[Path, dict[str, Any]]:
    """An export of such a score, and the score."""
    keep(lab, found)
    path = export.export(lab, run, to, "Mallory")
    assert problem_free(path)
    plain = without_mistakes(json.loads(read_export(path)[export.SCORE]))
    return changed(path, score_json=json.dumps(plain).encode()), plain


def test_a_forged_score_has_to_agree_with_what_was_found(
    lab: Lab, run: RunRecord, tmp_path: Path
) -> None:
    no_table = {table: rows for table, rows in lab.truth().best().rows.items() if table != ORDERS}
    path, plain = forged(lab, run, tmp_path / "a.tar.gz", no_table)
    assert "counts do not follow" in problem(path)
    generous = json.dumps({**plain, "extra": 1000}).encode()
    assert "counts do not follow" in problem(changed(path, score_json=generous))
    counted = copy.deepcopy(plain)
    for one in counted["tables"]:
        one["found"] = one["expected"]
    path = changed(path, score_json=json.dumps(counted).encode())
    assert "the answer's end" in problem(path)  # its sentence still tells of a missing table
    counted["missing_tables"] = [AUDIT]
    path = changed(path, score_json=json.dumps(counted).encode())
    assert "counts do not follow" in problem(path)


def test_an_empty_table_that_is_missing_is_a_mistake(
    lab: Lab, run: RunRecord, tmp_path: Path
) -> None:
    first, *rest = lab.truth_path.read_text().splitlines()
    begun = parse_line(first)
    assert isinstance(begun, Commit)
    begun = replace(begun, created=(*begun.created, "shop.empty"))
    lab.truth_path.write_text("\n".join((line_text(begun), *rest, "")))
    rows = lab.truth().best().rows
    del rows["shop.empty"]
    path, plain = forged(lab, run, tmp_path, rows)
    assert [one["table"] for one in plain["tables"] if one["found"] is None] == ["shop.empty"]
    assert "counts do not follow" in problem(path)


@pytest.mark.parametrize("number", [0, 1, 2, 4, 5])
def test_a_forged_score_has_to_agree_with_where_the_answer_ends(
    lab: Lab, run: RunRecord, tmp_path: Path, number: int
) -> None:
    path, plain = forged(lab, run, tmp_path, lab.truth().rows_after(number))
    for one in plain["tables"]:
        one["found"] = one["expected"]
    sentence = "Everything good that could be reached is there, and nothing that is wrong."
    plain |= {"extra": 0, "sentence": sentence}
    assert "the answer's end" in problem(changed(path, score_json=json.dumps(plain).encode()))


@pytest.mark.parametrize("field", ["best", "around", "cut"])
def test_what_the_truth_tells_cannot_be_told_otherwise(
    lab: Lab, run: RunRecord, tmp_path: Path, field: str
) -> None:
    keep(lab, lab.truth().best().rows)
    path = export.export(lab, run, tmp_path, "Ada")
    plain = json.loads(read_export(path)[export.SCORE])
    other = plain["around"][1:] if field == "around" else "right after lunch"
    data = json.dumps({**plain, field: other}).encode()
    assert "the answer's end" in problem(changed(path, score_json=data))


def test_every_honest_score_is_believed(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    truth = lab.truth()
    answers: list[Rows] = [truth.rows_after(number) for number in range(6)]
    typed = truth.rows_after(5)
    typed[ORDERS]["9"], typed["public.notes"] = "(9,typed)", {"1": "(mine)"}
    answers += [truth.repaired(), typed, {AUDIT: {}}]
    for place, found in enumerate(answers):
        keep(lab, found)
        assert problem_free(export.export(lab, run, tmp_path / f"{place}.tar.gz", "Ada"))


def test_a_name_cannot_pass_for_another_row(
    lab: Lab, run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "Mal\nAda   wrong-rows   100"
    keep(lab, lab.truth().best().rows)
    paths = [export.export(lab, run, tmp_path / f"{n}.tar.gz", "Mal") for n in range(2)]
    for path in paths:
        about = json.loads(read_export(path)[export.ABOUT]) | {"trainee": name}
        path.write_bytes(packed(read_export(path) | {export.ABOUT: json.dumps(about).encode()}))
    changed_later = packed(read_export(paths[1]) | {export.REPORT: b"x"})
    paths[1].write_bytes(changed_later)
    assert lab_class.listing(argparse.Namespace(exports=paths), Output(False)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in lines] == ["traine", "! Mal␊", "    1.", "Mal␊Ad", "1 expo"]
