"""The list of a class, from the exports of its trainees. Nothing is unpacked to the disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from pitr_tui.errors import PitrError
from pitr_tui.lab import export
from pitr_tui.lab.compare import Comparison
from pitr_tui.lab.grade import sentence
from pitr_tui.lab.result import Score
from pitr_tui.lab.scenario import Answer
from pitr_tui.lab.score import PRIMARY_NOW, Cut, Yardstick, cut_words
from pitr_tui.lab.truth import Commit, Rows, Truth, Unknown
from pitr_tui.lab.truth_lines import parse_line
from pitr_tui.wording import size_text

_MOST_BYTES = 128 << 20
_MOST_WORDS = 300  # of a problem, which may quote what is no score at all
_NEEDED = (export.ABOUT, export.FACTS, export.SCENARIO, export.SCORE, export.TRUTH)


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One export. `problem` tells why it is not believed, or cannot be read: then without marks."""

    file: str
    trainee: str = ""
    scenario: str = ""
    seed: int = 0
    version: str = ""
    marks: int | None = None
    minutes: float | None = None
    hints: int = 0
    attempts: int = 0
    after_answer: bool = False
    run: str = ""
    problem: str = ""


def class_list(paths: Iterable[Path]) -> tuple[ClassRow, ...]:
    """A row for each export, by trainee and scenario; one that is damaged has its reason."""
    rows = [_row(path) for path in paths]
    return tuple(sorted(rows, key=lambda row: (row.trainee.lower(), row.scenario, row.file)))


def read_export(path: Path) -> dict[str, bytes]:
    """The files in an export, by name. Raises PitrError for what `export` does not make."""
    files: dict[str, bytes] = {}
    try:
        with gzip.open(path) as stream:  # a small file may hold endless bytes
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise PitrError("it is no export", f"it holds more than {size_text(_MOST_BYTES)}")
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for entry in tar:
                if not entry.isreg() or entry.name not in export.NAMES or entry.name in files:
                    raise PitrError("it is no export", f"it has {entry.name!r} in it")
                content = tar.extractfile(entry)
                files[entry.name] = content.read() if content is not None else b""
    except OSError as error:
        raise PitrError("it cannot be read", error.strerror or str(error)) from error
    except (EOFError, zlib.error, tarfile.TarError, ValueError) as error:
        raise PitrError("it is damaged", str(error)) from error
    for name in _NEEDED:
        if name not in files:
            raise PitrError("it is damaged", f"{name} is not in it")
    return files


def _row(path: Path) -> ClassRow:
    try:
        files = read_export(path)
        about = _about(files)
        row = ClassRow(path.name, trainee=str(about["trainee"]))
    except PitrError as error:
        return ClassRow(path.name, problem=_words(error))
    try:
        _require_unchanged(files, about)
        score, truth = _read(files)
        _require_consistent(files, score, truth)
    except PitrError as error:
        return ClassRow(row.file, row.trainee, problem=_words(error))
    return ClassRow(
        file=row.file,
        trainee=row.trainee,
        scenario=score.scenario,
        seed=score.seed,
        version=score.version,
        marks=score.marks,
        minutes=score.minutes,
        hints=score.hints,
        attempts=score.attempts,
        after_answer=score.after_answer,
        run=score.run,
    )


def _about(files: dict[str, bytes]) -> dict[str, Any]:
    about = _json(files, export.ABOUT)
    if about.get("schema") != export.SCHEMA:
        raise PitrError("it was made by another version of pitr", f"schema {about.get('schema')}")
    if not isinstance(about.get("trainee"), str) or not isinstance(about.get("sha256"), dict):
        raise PitrError("it is damaged", f"{export.ABOUT} tells no trainee")
    return about


def _require_unchanged(files: dict[str, bytes], about: dict[str, Any]) -> None:
    told = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    del told[export.ABOUT]
    for name in sorted(told.keys() | about["sha256"].keys()):
        if told.get(name) != about["sha256"].get(name):
            raise PitrError("it was changed", f"{name} is not as it was exported")


def _read(files: dict[str, bytes]) -> tuple[Score, Truth]:
    plain = _json(files, export.SCORE)
    try:
        lines = files[export.TRUTH].decode().removesuffix("\n").split("\n")
        return Score.from_json(plain), Truth.of(parse_line(line) for line in lines)
    except UnicodeDecodeError as error:
        raise PitrError("it is damaged", f"{export.TRUTH}: {error}") from error
    except PitrError as error:
        raise PitrError("it is damaged", _words(error)) from error


def _require_consistent(files: dict[str, bytes], score: Score, truth: Truth) -> None:
    """Work out again, from the truth, whatever the score tells."""
    facts = _json(files, export.FACTS)
    named = (score.lab, score.scenario, score.seed)
    if named != (facts.get("name"), facts.get("scenario"), facts.get("seed")):
        raise PitrError("it was changed", "its score is of another lab than the rest")
    if score.truth_lines != truth.lines:
        raise PitrError("it was changed", "its score was not given by the truth that is in it")
    answer = Answer.PRIMARY if score.cut == PRIMARY_NOW else Answer.SECONDARY
    yardstick = Yardstick.of(truth, answer)
    told = Comparison(score.lost, score.wrong, score.extra, score.missing_tables, score.tables)
    if (yardstick.stake, yardstick.marks(told)) != (score.stake, score.marks):
        raise PitrError("it was changed", "its marks do not follow from its differences")
    if not _wanted_agrees(told, yardstick.rows) or not _found_agrees(told, yardstick):
        raise PitrError("it was changed", "its counts do not follow from the truth")
    if not _words_agree(score, told, yardstick):
        raise PitrError("it was changed", "what it tells of the answer's end does not agree")


def _wanted_agrees(told: Comparison, rows: Rows) -> bool:
    """Whether the counts and the differences are those of an answer that should hold `rows`."""
    differences = (*told.lost, *told.wrong)
    tables = {one.table for one in told.tables}
    lost = Counter(one.table for one in told.lost)
    wrong = Counter(one.table for one in told.wrong)
    return (
        len(tables) == len(told.tables)
        and tables >= {*rows, *lost, *wrong}
        and all(
            rows.get(one.table, {}).get(one.key) == one.expected for one in differences if one.key
        )
        and all(
            (len(rows.get(one.table, ())), lost[one.table], wrong[one.table])
            == (one.expected, one.lost, one.wrong)
            for one in told.tables
        )
    )


def _found_agrees(told: Comparison, yardstick: Yardstick) -> bool:
    """Whether as many rows were found as there can be, beside the differences.

    Rows of commits that are newer than what was asked for are no differences, so for each of
    those a table may have one more or one less.
    """
    newer = _newer_rows(yardstick)
    unexplained = 0
    for table in told.tables:
        differences = [one for one in (*told.lost, *told.wrong) if one.table == table.table]
        more = sum((one.found is not None) - (one.expected is not None) for one in differences)
        off = abs((table.found or 0) - table.expected - more)
        if off > len(newer[table.table]):
            return False
        if table.found is None and not table.expected and not differences:
            return False  # an empty table that is missing is a mistake by itself
        unexplained += off
    missing = [one.table for one in told.tables if one.found is None]
    possible = sum(map(len, newer.values()))
    return sorted(told.missing_tables) == sorted(missing) and unexplained <= told.extra <= possible


def _newer_rows(yardstick: Yardstick) -> defaultdict[str, set[str]]:
    """The keys of each table that good commits touch behind what an answer should hold."""
    newer: defaultdict[str, set[str]] = defaultdict(set)
    for commit in yardstick.possible:
        if commit.good and commit.number > yardstick.newest:
            for table in commit.dropped:
                newer[table].update(yardstick.rows.get(table, ()))
            for table, changed in commit.changes.items():
                newer[table].update(changed)
    return newer


def _words_agree(score: Score, told: Comparison, yardstick: Yardstick) -> bool:
    """Whether the answer's end is one where it would have these differences."""
    truth = yardstick.truth
    ends: list[Cut] = [Unknown.CUT]
    if not yardstick.on_primary:
        ends = [one for one in (*ends, None, *truth.main) if cut_words(one) == score.cut]
    return score.best == yardstick.best_words and any(
        score.around == yardstick.around(end)
        and score.sentence == sentence(told, yardstick.best, end)
        and (end is Unknown.CUT or told == yardstick.compared(_rows_at(truth, end)))
        for end in ends
    )


def _rows_at(truth: Truth, end: Cut) -> Rows:
    return truth.rows_after(end.number if isinstance(end, Commit) else None)


def _json(files: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise PitrError("it is damaged", f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise PitrError("it is damaged", f"{name} is no object")
    return value


def _words(error: PitrError) -> str:
    return shorten(f"{error.what}: {error.why}" if error.why else error.what, _MOST_WORDS)
