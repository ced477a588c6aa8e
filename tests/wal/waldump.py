"""The oracle: what pg_waldump (pg_xlogdump of 9.6) prints, as values that can be compared.

Its text differs a little between majors; every difference is in a pattern below.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.servers.installation import find_installations

WALDUMPS_VARIABLE = "PITR_WALDUMPS"
WITHOUT_WALDUMP = ("10", "11", "12", "13", "14")  # no package brings one

_RECORD = re.compile(
    r"rmgr: (\w+) +len \(rec/tot\): +\d+/ *(\d+), tx: +(\d+), "
    r"lsn: (\w+)/(\w+), prev (\w+)/(\w+), desc: ([^ \n]*)(.*)",
    re.DOTALL,
)
_RELATION = re.compile(r"rel (\d+)/(\d+)/(\d+)")
_TUPLES = re.compile(r"ntuples: (\d+)|^ (\d+) tuples")
_MOMENT = re.compile(r"(\d+-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) UTC")
_PREPARED = re.compile(r"^ (\d+): ")
_GID = re.compile(r"^ gid (.*?): \d+-\d\d-\d\d ", re.DOTALL)
_NUMBERS = re.compile(r"(?:^| |; )(subxacts|rels|rels\(commit\)): ([^;]*)")
_PATH = re.compile(r"(?:base/(\d+)|(global)|pg_tblspc/(\d+)/[^/]+/(\d+))/(\d+)")
_STOP = re.compile(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+): (.*)")

DEFAULT_TABLESPACE, GLOBAL_TABLESPACE = 1663, 1664


class Row(NamedTuple):
    """A line: a record, with the name of its operation and the rest of the description."""

    lsn: int
    previous: int
    manager: str
    xid: int
    length: int
    operation: str
    rest: str


class Place(NamedTuple):
    """Where the files of a relation lie: tablespace, database, file number."""

    tablespace: int
    database: int
    number: int


@dataclass(slots=True)
class Counts:
    """How many rows were changed, by kind; `updated` are those that left their page's chain."""

    inserted: int = 0
    updated: int = 0
    hot_updated: int = 0
    deleted: int = 0

    def add(self, other: Counts) -> None:
        self.inserted += other.inserted
        self.updated += other.updated
        self.hot_updated += other.hot_updated
        self.deleted += other.deleted


class Ending(NamedTuple):
    """A commit, an abort or a prepare."""

    kind: str
    xid: int
    lsn: int
    time: datetime | None  # None for PREPARE up to 12, which is not described
    subxids: frozenset[int]
    dropped: frozenset[Place]
    gid: str | None  # only told by PREPARE from 13 on


@dataclass(slots=True)
class Span:
    """What a transaction id wrote: from where to where, how many records of how many bytes."""

    first: int
    last: int
    records: int = 0
    bytes: int = 0


_KINDS = {
    "COMMIT": "commit",
    "ABORT": "abort",
    "COMMIT_PREPARED": "commit prepared",
    "ABORT_PREPARED": "abort prepared",
    "PREPARE": "prepare",
}


@dataclass
class Account:
    """The sum of what was read; `stop` has the last record before an error, and its words."""

    records: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    operations: Counter[str] = field(default_factory=Counter)  # "Heap INSERT+INIT" and so on
    endings: list[Ending] = field(default_factory=list)
    changes_by_xid: dict[int, dict[Place, Counts]] = field(default_factory=dict)
    spans: dict[int, Span] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    stop: tuple[Lsn, str] | None = None

    def add(self, row: Row) -> None:
        self.records += 1
        self.bytes += row.length
        self.first = row.lsn if self.first is None else self.first
        self.last = row.lsn
        self.positions.append(row.lsn)
        self.operations[f"{row.manager} {row.operation}"] += 1
        span = self.spans.get(row.xid)
        if span is None:
            span = self.spans[row.xid] = Span(row.lsn, row.lsn)
        span.last = row.lsn
        span.records += 1
        span.bytes += row.length
        if row.manager in ("Heap", "Heap2"):
            self._add_change(row)
        elif row.manager == "Transaction" and row.operation in _KINDS:
            self.endings.append(ending(row))

    def _add_change(self, row: Row) -> None:
        attribute = _CHANGES.get(row.operation.removesuffix("+INIT"))
        if attribute is None:
            return
        relation = _RELATION.search(row.rest)
        assert relation, row
        changes = self.changes_by_xid.setdefault(row.xid, {})
        counts = changes.setdefault(Place(*map(int, relation.groups())), Counts())
        number = 1
        if row.manager == "Heap2":
            tuples = _TUPLES.search(row.rest)
            assert tuples, row
            number = int(tuples[1] or tuples[2])
        setattr(counts, attribute, getattr(counts, attribute) + number)


_CHANGES = {
    "INSERT": "inserted",
    "MULTI_INSERT": "inserted",
    "UPDATE": "updated",
    "HOT_UPDATE": "hot_updated",
    "DELETE": "deleted",
}


def rows(lines: Iterable[str]) -> Iterator[Row]:
    """The records among lines of text."""
    for line in lines:
        match = _RECORD.match(line)
        if match is None:
            assert not line.startswith("rmgr:"), line
            continue
        manager, length, xid, high, low, before_high, before_low, operation, rest = match.groups()
        yield Row(
            int(high, 16) << 32 | int(low, 16),
            int(before_high, 16) << 32 | int(before_low, 16),
            manager,
            int(xid),
            int(length),
            operation,
            rest,
        )


def account(lines: Iterable[str]) -> Account:
    """Sum up lines of text."""
    result = Account()
    for row in rows(lines):
        result.add(row)
    return result


def ending(row: Row) -> Ending:
    """What a record of the resource manager Transaction says."""
    moment = _MOMENT.search(row.rest)
    prepared = _PREPARED.match(row.rest)
    gid = _GID.match(row.rest)
    lists = dict(_NUMBERS.findall(row.rest))
    paths = lists.get("rels") or lists.get("rels(commit)") or ""
    return Ending(
        _KINDS[row.operation],
        int(prepared[1]) if prepared else row.xid,
        row.lsn,
        datetime.fromisoformat(moment[1]).replace(tzinfo=UTC) if moment else None,
        frozenset(map(int, lists.get("subxacts", "").split())),
        frozenset(map(_place, _PATH.findall(paths))),
        gid[1] if gid else None,
    )


def _place(parts: tuple[str, str, str, str, str]) -> Place:
    base, shared, tablespace, database, number = parts
    if shared:
        return Place(GLOBAL_TABLESPACE, 0, int(number))
    if base:
        return Place(DEFAULT_TABLESPACE, int(base), int(number))
    return Place(int(tablespace), int(database), int(number))


@dataclass(frozen=True)
class Waldump:
    """The program of one major version."""

    program: Path

    def read(self, first: Path, last: Path | None = None, *options: str) -> Account:
        """Sum up the segments from `first` to `last` (without one: `first` alone)."""
        names = [str(first)] + ([last.name] if last else [str(first)])
        argv = [str(self.program), *options, *names]
        environment = {**os.environ, "TZ": "UTC"}
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
        )
        assert process.stdout
        assert process.stderr
        with process:
            result = account(process.stdout)
            words = process.stderr.read()  # a line or two: it cannot have filled its pipe
        stop = _STOP.search(words)
        if stop:
            result.stop = (Lsn.parse(stop[1]), stop[2].strip())
        elif process.returncode != 0:
            result.stop = (Lsn(0), words.strip())
        return result


@cache
def _programs() -> dict[str, Path]:
    """Major version -> pg_waldump, of all that can be found."""
    places = [Path(part) for part in os.environ.get(WALDUMPS_VARIABLE, "").split(":") if part]
    places.extend(installation.bindir for installation in find_installations())
    found: dict[str, Path] = {}
    for program in (place / "pg_waldump" for place in places):
        if program.is_file():
            argv = [str(program), "--version"]
            output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            found.setdefault(output.split()[2].partition(".")[0], program)
    return found


def waldump(major: str) -> Waldump:
    """The oracle of a major version, or a skip that says what is missing."""
    program = _programs().get(major)
    if program is None:
        pytest.skip(f"no pg_waldump of PostgreSQL {major} on this machine (see PITR_WALDUMPS)")
    return Waldump(program)
