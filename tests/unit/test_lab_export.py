"""Exports of what trainees did, and the list of a class: what was changed is told, not believed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.lab import class_list as listing
from pitr_tui.lab import diary, export, record
from pitr_tui.lab.class_list import class_list, read_export
from pitr_tui.lab.export import packed
from pitr_tui.lab.record import Lab
from pitr_tui.lab.scenario import Answer
from pitr_tui.lab.score import Effort, scored
from pitr_tui.lab.truth import Done, Intent, Line, Rows, TruthWriter
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.servers.osuser import OsUser
from tests.unit.made_journals import PAUSED, lay_down, recorded
from tests.unit.made_labs import ORDERS, READY, commit, written_lab

RUN = "20261005-120100-aaaa"
AT = READY + timedelta(minutes=4)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return written_lab(tmp_path / "world")


@pytest.fixture
def run() -> RunRecord:
    return RunRecord(lay_down(RUN, recorded(PAUSED)))


def keep(lab: Lab, found: Rows, run: str = RUN) -> None:
    diary.keep_score(lab, scored(lab, lab.truth(), found, Effort(run, AT, 4.0, 1, 0, False)))


def changed(path: Path, **files: bytes) -> Path:
    """The same export with other bytes in some of its files, sealed anew."""
    content = {
        **read_export(path),
        **{name.replace("_", "."): data for name, data in files.items()},
    }
    about = json.loads(content.pop(export.ABOUT))
    about["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    path.write_bytes(packed({**content, export.ABOUT: json.dumps(about).encode()}))
    return path


def problem(path: Path) -> str:
    (row,) = class_list([path])
    assert row.marks is None
    return row.problem


def test_an_export_has_everything_and_is_always_the_same(
    lab: Lab, run: RunRecord, tmp_path: Path
) -> None:
    keep(lab, lab.truth().best().rows)
    first = export.export(lab, run, tmp_path, "Ada Lovelace")
    assert first.name == f"{lab.name}-Ada-Lovelace.tar.gz"
    assert first.stat().st_mode & 0o777 == 0o600
    assert set(read_export(first)) == export.NAMES
    assert "# " in read_export(first)[export.REPORT].decode()
    second = export.export(lab, run, tmp_path / "again.tar.gz", "Ada Lovelace")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        entries = tar.getmembers()
    assert [one.name for one in entries] == sorted(export.NAMES)
    assert {(one.mtime, one.mode, one.uid, one.uname) for one in entries} == {(0, 0o600, 0, "")}
    with pytest.raises(RefusedError, match="exists already"):
        export.export(lab, run, first, "Ada Lovelace")


def test_without_a_score_there_is_nothing_to_export(
    lab: Lab, run: RunRecord, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="no score") as refused:
        export.export(lab, run, tmp_path, "Ada")
    assert "pitr lab score" in refused.value.hint


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x1b[1m"])
def test_a_trainee_has_a_name(lab: Lab, run: RunRecord, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        export.export(lab, run, tmp_path, name)


def test_who_works_here_is_not_told(
    run: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OsUser, "current", lambda: OsUser("grace", 1000, 1000))
    monkeypatch.setattr(Path, "home", lambda: Path("/srv/people/grace"))
    world = tmp_path / "world"
    lab = written_lab(world, os_user="grace", story="ask grace, see /srv/people/grace/notes")
    (run.directory / "events.jsonl").write_text(
        (run.directory / "events.jsonl").read_text().replace("/srv/pg", "/srv/people/grace/pg")
    )
    keep(lab, lab.truth().best().rows)
    path = export.export(lab, run, tmp_path, "Ada")
    content = b"".join(read_export(path).values())
    assert b"grace" not in content
    assert b"/home/trainee/pg" in content
    assert problem_free(path)


def problem_free(path: Path) -> bool:
    (row,) = class_list([path])
    return row.problem == "" and row.marks is not None


def test_the_list_of_a_class(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    keep(lab, lab.truth().best().rows)
    good = export.export(lab, run, tmp_path, "Zoe")
    keep(lab, lab.truth().rows_after(5))
    late = export.export(lab, run, tmp_path, "ada")
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes(good.read_bytes()[:-300])
    rows = class_list([good, late, torn, tmp_path / "absent.tar.gz"])
    assert [(one.trainee, one.marks) for one in rows if not one.problem] == [
        ("ada", diary.scores(lab)[1].marks),
        ("Zoe", 100),
    ]
    told = {one.file: one.problem for one in rows if one.problem}
    assert set(told) == {"torn.tar.gz", "absent.tar.gz"}
    assert "damaged" in told["torn.tar.gz"]
    assert "No such file" in told["absent.tar.gz"]
    assert [(one.hints, one.minutes, one.run) for one in rows if one.trainee == "Zoe"] == [
        (1, 4.0, RUN)
    ]


def test_a_scores_marks_have_to_follow_from_its_differences(
    lab: Lab, run: RunRecord, tmp_path: Path
) -> None:
    keep(lab, lab.truth().rows_after(5))
    path = export.export(lab, run, tmp_path, "Ada")
    plain = json.loads(read_export(path)[export.SCORE])
    better = json.dumps({**plain, "marks": 100}).encode()
    assert "do not follow from its differences" in problem(changed(path, score_json=better))
    stake = json.dumps({**plain, "stake": 10_000, "marks": 99}).encode()
    assert "do not follow from its differences" in problem(changed(path, score_json=stake))
    clean = json.dumps({**plain, "wrong": [], "marks": 100}).encode()
    assert "counts do not follow" in problem(changed(path, score_json=clean))
    another = json.dumps({**plain, "seed": 6}).encode()
    assert "of another lab" in problem(changed(path, score_json=another))


def test_a_changed_file_is_told(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    keep(lab, lab.truth().best().rows)
    path = export.export(lab, run, tmp_path, "Ada")
    content = read_export(path)
    path.write_bytes(packed({**content, export.REPORT: b"all was well\n"}))
    assert problem(path) == "it was changed: report.md is not as it was exported"
    path.write_bytes(packed({name: data for name, data in content.items() if name != "score.json"}))
    assert "score.json is not in it" in problem(path)
    path.write_bytes(packed({**content, export.ABOUT: b"[1]"}))
    assert "is no object" in problem(path)


@pytest.mark.parametrize("kind", ["absolute", "above", "link", "twice", "unknown", "device"])
def test_hostile_members_are_refused(tmp_path: Path, kind: str) -> None:
    names = {"absolute": "/etc/passwd", "above": "../x", "unknown": "run.sh"}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo(names.get(kind, export.SCORE))
        if kind == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        if kind == "device":
            entry.type = tarfile.CHRTYPE
        for _ in range(2 if kind == "twice" else 1):
            tar.addfile(entry)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(stream.getvalue()))
    assert problem(path).startswith("it is no export: it has")


def test_a_bomb_does_not_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_BYTES", 100_000)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(packed({export.TRUTH: bytes(1_000_000)}))
    assert path.stat().st_size < 10_000
    assert "holds more than" in problem(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b", b"not a tar", gzip.compress(b"x" * 2000)],
    ids=["empty", "cut off", "a text", "another gzip"],  # a gzip has the time in it
)
def test_what_is_no_tar_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(data)
    assert problem(path)


def test_a_lab_that_has_ended_can_be_exported(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    keep(lab, lab.truth().best().rows)
    record.forget(lab.name)
    assert problem_free(export.export(record.load(lab.name), run, tmp_path, "Ada"))


def test_a_score_of_the_primary_needs_no_run(lab: Lab, tmp_path: Path) -> None:
    keep(lab, lab.truth().best().rows, "")
    path = export.export(lab, None, tmp_path, "Ada")
    assert set(read_export(path)) == export.NAMES - {export.JOURNAL, export.REPORT}
    assert problem_free(path)


def added(lab: Lab, *lines: Line) -> None:
    """More lines of a truth, as a shop that goes on writes them."""
    with TruthWriter(lab.truth_path) as writer:
        for line in lines:
            writer.write(line)


def test_the_shop_may_go_on_after_a_score(tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "world", answer=Answer.PRIMARY)
    begun = commit(6, {ORDERS: {"5": "(5,new)"}})
    added(lab, Intent(begun))
    keep(lab, lab.truth().repaired(), "")
    score = diary.last_score(lab)
    assert score is not None
    first = export.export(lab, None, tmp_path / "first.tar.gz", "Ada")
    later: list[Line] = [commit(n, {ORDERS: {str(n): f"({n},new)"}}) for n in range(7, 12)]
    added(lab, Done(6, begun.lsn, begun.at), *later)
    second = export.export(lab, None, tmp_path / "second.tar.gz", "Ada")
    assert problem_free(first)
    assert problem_free(second)
    assert read_export(second)[export.TRUTH].count(b"\n") == score.truth_lines
    assert first.read_bytes() == second.read_bytes()
    assert score.cut == "the primary as it is now"
    whole = lab.truth_path.read_bytes()
    assert "not given by the truth" in problem(changed(second, truth_jsonl=whole))


def test_a_row_may_have_a_line_separator_in_it(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    added(lab, commit(6, {ORDERS: {"5": "(5,a\u2028b\x85c)"}}))
    keep(lab, lab.truth().best().rows)
    path = export.export(lab, run, tmp_path, "Ada")
    assert "\u2028" in read_export(path)[export.TRUTH].decode()
    assert problem_free(path)
