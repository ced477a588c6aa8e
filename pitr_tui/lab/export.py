"""One file of what a trainee did, for the instructor: score, journal, report and truth."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
from pathlib import Path
from typing import Any

from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.lab import diary
from pitr_tui.lab.record import Lab
from pitr_tui.recovery.events import from_json, to_json
from pitr_tui.recovery.journal import read_journal
from pitr_tui.recovery.report import markdown
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.servers.osuser import OsUser
from pitr_tui.storage.new_file import write_new

SCHEMA = 1  # another one for other words of a score, too: `class_list` works them out again
ABOUT, FACTS, JOURNAL, REPORT = "export.json", "lab.json", "journal.jsonl", "report.md"
SCENARIO, SCORE, TRUTH = "scenario.yaml", "score.json", "truth.jsonl"
NAMES = frozenset((ABOUT, FACTS, JOURNAL, REPORT, SCENARIO, SCORE, TRUTH))
_EVERYBODYS = frozenset(("root", "postgres", "nobody"))  # such a name tells of nobody
_ALIAS = "trainee"
_USER_FIELDS = ("user", "os_user")
_LONGEST_NAME = 80


def export(lab: Lab, run: RunRecord | None, to: Path, trainee: str) -> Path:
    """Write the export to a new file, or into a directory, and give its path.

    It is the same byte for byte for the same run and score: of the truth, to which a lab that runs
    goes on adding, it has what the score was given by. Raises RefusedError when there is no
    score yet or the file is there, UsageError for a name that is none, PitrError.
    """
    name = " ".join(trainee.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError("the trainee needs a name", f"of at most {_LONGEST_NAME} characters")
    score = diary.last_score(lab, run.name if run is not None else None)
    if score is None:
        raise RefusedError(
            f"there is no score of {run.name if run is not None else lab.name} yet",
            "an export tells how well it was done",
            "`pitr lab score` asks the database",
        )
    hidden = _Hidden.of(lab)
    try:
        files = {
            FACTS: _json(hidden.in_json(json.loads(lab.facts_path.read_text(encoding="utf-8")))),
            SCENARIO: lab.scenario_path.read_bytes(),
            SCORE: _json(score.to_json()),
            TRUTH: _first_lines(lab.truth_path.read_bytes(), score.truth_lines),
        }
    except (OSError, ValueError) as error:
        raise PitrError(f"the record of the lab {lab.name} cannot be read", str(error)) from error
    if run is not None:
        told = [hidden.in_json(to_json(one)) for one in read_journal(run.directory)]
        files[JOURNAL] = "".join(json.dumps(one) + "\n" for one in told).encode()
        files[REPORT] = markdown(from_json(one) for one in told).encode()
    about = {
        "schema": SCHEMA,
        "trainee": name,
        "sha256": {one: hashlib.sha256(data).hexdigest() for one, data in sorted(files.items())},
    }
    files[ABOUT] = _json(about)
    path = to / f"{lab.name}-{_slug(name)}.tar.gz" if to.is_dir() else to
    write_new(path, packed(files))
    return path


def packed(files: dict[str, bytes]) -> bytes:
    """A compressed tar of these files, without times and owners."""
    packed_bytes = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed_bytes, mode="wb", filename="", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, 0
            tar.addfile(entry, io.BytesIO(data))
    return packed_bytes.getvalue()


def _first_lines(data: bytes, count: int) -> bytes:
    r"""As many lines of a truth.

    >>> _first_lines(b"one\ntwo\nthree\n", 2)
    b'one\ntwo\n'
    """
    return b"".join(line + b"\n" for line in data.split(b"\n", count)[:count])


class _Hidden:
    """Hides who works on this machine: account names and home directories."""

    def __init__(self, names: set[str], home: str) -> None:
        words = sorted(names - _EVERYBODYS - {""}, key=len, reverse=True)
        inner = "|".join(map(re.escape, words))
        self._names, self._home = words, home
        self._pattern = re.compile(rf"(?<![\w-])(?:{inner})(?![\w-])") if words else None

    @classmethod
    def of(cls, lab: Lab) -> _Hidden:
        names = {OsUser.current().name, lab.os_user, os.environ.get("SUDO_USER", "")}
        return cls(names, str(Path.home()))

    def in_json(self, value: Any, name: str = "") -> Any:
        """The same values; a single word is left alone, unless it is given as a user."""
        if isinstance(value, dict):
            return {key: self.in_json(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [self.in_json(one, name) for one in value]
        if not isinstance(value, str):
            return value
        if name in _USER_FIELDS and value in self._names:
            return _ALIAS
        return self.in_text(value) if "/" in value or " " in value else value

    def in_text(self, text: str) -> str:
        if len(self._home) > 1:
            text = re.sub(rf"{re.escape(self._home)}(?![\w-])", f"/home/{_ALIAS}", text)
        return self._pattern.sub(_ALIAS, text) if self._pattern is not None else text


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _slug(name: str) -> str:
    """A name as a part of a file's name.

    >>> _slug("Ada Lovelace"), _slug("../x"), _slug("…")
    ('Ada-Lovelace', 'x', 'trainee')
    """
    return re.sub(r"[^\w]+", "-", name).strip("-_") or _ALIAS
