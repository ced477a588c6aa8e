"""The list of a class, from the exports of its trainees. Nothing is unpacked to the disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pitr_tui.errors import PitrError
from pitr_tui.lab import export
from pitr_tui.lab.compare import kept_rows
from pitr_tui.lab.grade import harmed, marks_for, stake_of
from pitr_tui.lab.result import Score
from pitr_tui.lab.truth import Rows, Truth
from pitr_tui.lab.truth_lines import parse_line
from pitr_tui.wording import size_text

_MOST_BYTES = 128 << 20
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
        score = Score.from_json(_json(files, export.SCORE))
        _require_consistent(score, files)
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


def _require_consistent(score: Score, files: dict[str, bytes]) -> None:
    """Work out again what can be: the marks and the counts, from the truth and the differences."""
    truth = Truth.of(parse_line(line) for line in files[export.TRUTH].decode().splitlines())
    facts = _json(files, export.FACTS)
    named = (score.lab, score.scenario, score.seed)
    if named != (facts.get("name"), facts.get("scenario"), facts.get("seed")):
        raise PitrError("it was changed", "its score is of another lab than the rest")
    best = truth.best()
    differences = (*score.lost, *score.wrong)
    newest = best.last.number if best.last is not None else 0
    stakes = {stake_of(truth, best, newest), stake_of(truth, best, truth.main[-1].number)}
    mistakes = [(one.table, one.key) for one in differences]
    kept = kept_rows(score.tables, differences)
    marks = marks_for(mistakes, score.stake, harmed(truth), kept)
    if score.stake not in stakes or marks != score.marks:
        raise PitrError("it was changed", "its marks do not follow from its differences")
    for rows in (best.rows, truth.repaired()):
        if _counts_agree(score, rows):
            return
    raise PitrError("it was changed", "its counts do not follow from the truth")


def _counts_agree(score: Score, rows: Rows) -> bool:
    wanted = {table: len(of) for table, of in rows.items()}
    told = {one.table: one.expected for one in score.tables if one.table in wanted}
    of_rows = all(
        rows.get(one.table, {}).get(one.key) == one.expected
        for one in (*score.lost, *score.wrong)
        if one.key
    )
    sums = {
        one.table: (
            sum(1 for row in score.lost if row.table == one.table),
            sum(1 for row in score.wrong if row.table == one.table),
        )
        for one in score.tables
    }
    return (
        told == wanted
        and of_rows
        and all(sums[one.table] == (one.lost, one.wrong) for one in score.tables)
    )


def _json(files: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise PitrError("it is damaged", f"{name}: {error}") from error
    if not isinstance(value, dict):
        raise PitrError("it is damaged", f"{name} is no object")
    return value


def _words(error: PitrError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
